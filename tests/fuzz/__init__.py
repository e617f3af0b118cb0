"""Readers under inputs that nobody meant: by coverage (atheris) and by properties (hypothesis)."""
