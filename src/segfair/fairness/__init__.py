"""Scores that compare the groups of an attribute: D_v, PS, FS, TS and others."""
