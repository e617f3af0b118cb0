"""Training in time order, and what the strategies change in it. Never reads an image file, never sees a test case."""
