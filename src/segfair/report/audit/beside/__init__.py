"""Sections that stand beside the audit where they were asked for: other labels, other raters, probabilities."""
