"""From divergences to case weights. Numpy only: imports no torch."""
