"""Python in three lines: `segfair.audit(...)` and its like over what people have at hand. Computes nothing."""
