"""Intersectional subgroups: which there are, who belongs to them, how far they diverge. Tests nothing."""
