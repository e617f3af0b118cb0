"""A mitigation from data to comparison."""
