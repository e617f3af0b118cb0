"""DICOM masks in a cohort: which belong together, what their structures mean, on which grid they lie."""
