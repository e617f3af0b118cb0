"""RTSTRUCT -> a mask on the grid of the image series that its contours were drawn on. See `polygons` for the border.

A contour belongs to the slice that its points lie on. Points may lie a little beside it: up to a hundredth of the
distance of two slices is how positions are written; up to a quarter, contours are put onto the nearest slice, and told;
beyond, or where a contour crosses slices, it was drawn on another series and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.cases import DicomMask
from segfair.errors import InputError
from segfair.files.dicom.headers import items, text, whole
from segfair.files.dicom.polygons import FURTHEST, enclosed
from segfair.files.dicom.segmentations import put_value
from segfair.files.images.grids import Mask, Place
from segfair.files.images.nifti import LPS

__all__ = ["read_structure_set", "roi_names"]

_ROUNDING, _FURTHEST_OFF = 0.01, 0.25
_CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")


def roi_names(dataset: Any) -> dict[int, str]:
    """Number -> name of each region of interest."""
    return {
        whole(roi, "ROINumber"): text(roi, "ROIName") or f"ROI {whole(roi, 'ROINumber')}"
        for roi in items(dataset, "StructureSetROISequence")
    }


@dataclass(slots=True)
class _Drawn:
    """The contours of one region, slice -> corners in pixels, and what is odd about them."""

    name: str
    slices: dict[int, list[NDArray[np.float64]]] = field(default_factory=dict)
    furthest_off: float = 0.0
    n_small: int = 0
    n_open: int = 0

    def notes(self) -> list[str]:
        """What a reader has to know."""
        found = []
        if self.furthest_off > _ROUNDING:
            found.append(
                f"contours lie up to {self.furthest_off:.2g} of a slice beside their slices, and were put onto them"
            )
        if self.n_small:
            found.append(f"{self.n_small} contours of one or two points enclose nothing but the centres on them")
        if self.n_open:
            found.append(f"{self.n_open} points or open lines enclose nothing and are passed over")
        between = set(range(min(self.slices), max(self.slices) + 1)) - set(self.slices) if self.slices else set()
        if len(between) > len(self.slices) * 0.5:
            found.append(f"{len(between)} slices between the first and the last contour have none and are background")
        return [f"{self.name}: {text}" for text in found]


def read_structure_set(dataset: Any, meant: DicomMask) -> Mask:
    """The mask that the contours of a structure set enclose.

    Raises:
        InputError: It cannot be used.
    """
    names = roi_names(dataset)
    values = {roi: roi for roi in names} if meant.values is None else meant.values
    if meant.grid is None:
        raise InputError(
            f"its contours need the image series that they were drawn on, and {_series(dataset)} is not at hand; name "
            "its folder with --dicom-series, or export a segmentation (DICOM-SEG)"
        )
    frames = {text(entry, "FrameOfReferenceUID") for entry in items(dataset, "ReferencedFrameOfReferenceSequence")}
    frames |= {text(entry, "ReferencedFrameOfReferenceUID") for entry in items(dataset, "StructureSetROISequence")}
    if meant.frame_of_reference and frames - {""} and meant.frame_of_reference not in frames:
        raise InputError(f"lies in another frame of reference ({min(frames - {''})}) than the image series at hand")
    inverse, shape = np.linalg.inv(np.array(meant.grid.affine)) @ LPS, meant.grid.shape
    drawn = {
        whole(entry, "ReferencedROINumber"): _contours(
            entry, names.get(whole(entry, "ReferencedROINumber"), "a ROI without a name"), inverse, shape
        )
        for entry in items(dataset, "ROIContourSequence")
        if whole(entry, "ReferencedROINumber") in values
    }
    mask = _painted(drawn, values, meant, names)
    notes = [note for contours in drawn.values() for note in contours.notes()]
    empty = [names[roi] for roi in values if roi in names and not (roi in drawn and drawn[roi].slices)]
    notes += [f"{name}: has no contour" for name in empty]
    return Mask(mask.part, mask.affine, place=mask.place, notes=(*meant.notes, *notes))


def _series(dataset: Any) -> str:
    found = referenced_series(dataset)
    return f"series {found[0]}" if found else "it names none, and the right one"


def referenced_series(dataset: Any) -> list[str]:
    """The UIDs of the image series that it was drawn on."""
    return [
        text(series, "SeriesInstanceUID")
        for frame in items(dataset, "ReferencedFrameOfReferenceSequence")
        for study in items(frame, "RTReferencedStudySequence")
        for series in items(study, "RTReferencedSeriesSequence")
        if text(series, "SeriesInstanceUID")
    ]


def _painted(
    drawn: Mapping[int, _Drawn], values: Mapping[int, int], meant: DicomMask, names: Mapping[int, str]
) -> Mask:
    assert meant.grid is not None
    shape = meant.grid.shape
    used = [at for contours in drawn.values() for at in contours.slices]
    first, last = (min(used), max(used)) if used else (0, 0)
    part = np.zeros((*shape[:2], last - first + 1), np.min_scalar_type(max(values.values(), default=1)))
    for roi, contours in drawn.items():
        for at, corners in contours.slices.items():
            put_value(part[..., at - first], enclosed(corners, shape[:2]), roi, values, meant, names)
    return Mask(part, np.array(meant.grid.affine), place=Place(shape, (0, 0, first)))


def _contours(entry: Any, name: str, inverse: NDArray[np.float64], shape: Sequence[int]) -> _Drawn:
    """The contours of a region by slice.

    Args:
        entry: The item of the region.
        name: What messages call it.
        inverse: (4, 4) DICOM's mm -> voxel index.
        shape: Of the grid.
    """
    drawn = _Drawn(name)
    for contour in items(entry, "ContourSequence"):
        kind = text(contour, "ContourGeometricType") or _CLOSED[0]
        if kind not in _CLOSED:
            drawn.n_open += 1
            continue
        points = _points(contour, name)
        if points is None:
            continue
        at_voxels = np.c_[points, np.ones(len(points))] @ inverse[:3].T
        if np.abs(at_voxels).max() > FURTHEST:
            raise InputError(f"{name}: a contour lies outside of its image series, of which files may be missing")
        depths = at_voxels[:, 2]
        at = int(np.rint(np.median(depths)))
        off = float(np.abs(depths - at).max())
        if off > _FURTHEST_OFF:
            raise InputError(
                f"{name}: a contour lies {off:.2g} of a slice beside the slices of its image series, or across them; "
                "it was drawn on another series"
            )
        if not 0 <= at < shape[2]:
            raise InputError(f"{name}: a contour lies outside of its image series, of which files may be missing")
        drawn.furthest_off = max(drawn.furthest_off, off)
        drawn.n_small += len(points) < 3
        drawn.slices.setdefault(at, []).append(at_voxels[:, :2])
    return drawn


def _points(contour: Any, name: str) -> NDArray[np.float64] | None:
    """(n, 3) DICOM's mm; None for a contour without a point."""
    values = contour.get("ContourData")
    found = np.asarray([] if values is None else values, dtype=np.float64).ravel()
    if found.size == 0:
        return None
    if found.size % 3 or not np.isfinite(found).all():
        what = (
            "coordinates that are no numbers (NaN)"
            if not found.size % 3
            else f"{found.size} coordinates, not three a point"
        )
        raise InputError(f"{name}: a contour has {what}; export the structure set again")
    return found.reshape(-1, 3)
