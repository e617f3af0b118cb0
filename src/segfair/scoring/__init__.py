"""Two masks -> the scores of a case; a cohort -> a score table. Knows no attribute."""
