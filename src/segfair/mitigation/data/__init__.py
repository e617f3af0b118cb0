"""From image files to batches' cases: sources, splits, preprocessing, caches."""
