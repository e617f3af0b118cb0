"""Lesions of a label and of a prediction: the parts of masks, which belong together, and how good they are."""
