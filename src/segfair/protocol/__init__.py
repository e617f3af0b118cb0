"""The named scoring rules, as data."""
