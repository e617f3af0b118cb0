"""Columns of metadata -> categorical attributes. Reads no file, scores nothing."""
