"""The page of two audits, paired."""
