"""Several raters: what they mark in common, how far they agree, and what the model's gaps are under each of them."""
