"""DICOM objects: what a tree of them holds, segmentations and contours as masks, image series, headers as metadata."""
