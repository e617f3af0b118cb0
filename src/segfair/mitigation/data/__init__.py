"""From image files to prepared cases: sources, splits, preprocessing, caches. Never decides which cases are drawn."""
