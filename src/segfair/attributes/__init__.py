"""Columns of metadata -> categorical attributes."""
