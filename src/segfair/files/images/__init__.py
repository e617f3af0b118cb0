"""One mask or image file at a time, and the grid that it lies on. Scores nothing."""
