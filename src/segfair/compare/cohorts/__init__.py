"""Audits of different patients: two of them against each other, and a series of them over time."""
