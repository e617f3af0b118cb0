"""Breast boxes of the MAMA-MIA data: the part of an image in which a lesion can lie. Never crops an image.

What lies outside of the box is no lesion: predictions are cut to it, in validation, in the test and so in the audit,
and training ignores what lies outside, since nothing that is said there counts. The network still sees the whole image.

`patient_info_files/<id>.json` holds `primary_lesion.breast_coordinates`: `x_min` to `z_max`. The public pipelines
for these data index the NIfTI array as nibabel reads it with `[z_min:z_max, y_min:y_max, x_min:x_max]`: their z is
the first stored axis and their x the last.

References:
    Garrucho et al. A large-scale multicenter breast cancer DCE-MRI benchmark dataset with expert segmentations.
    Scientific Data 2025.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.documents import read_json
from segfair.errors import InputError
from segfair.files.images.masks import read_mask
from segfair.mitigation.data.regions import Regions

__all__ = ["BOX_FOLDER", "BreastBox", "box_notice", "find_boxes", "read_box"]

BOX_FOLDER = "patient_info_files"
_MOSTLY = 0.5
"""A box that holds less of a lesion than this is worth a warning."""

Ranges = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class BreastBox:
    """Voxel ranges along the stored axes of an image, first axis first; each from start up to but without stop."""

    ranges: Ranges

    def slices(self) -> tuple[slice, slice, slice]:
        """The box as an index."""
        first, second, third = (slice(start, stop) for start, stop in self.ranges)
        return first, second, third

    def restrict(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The part of a mask inside of the box.

        A box that reaches beyond the image is cut to it; one that lies outside of it was made for another image, and
        restricts nothing.
        """
        if not self.meets(mask.shape):
            return mask
        inside = np.zeros_like(mask)
        inside[self.slices()] = mask[self.slices()]
        return inside

    def meets(self, shape: tuple[int, ...]) -> bool:
        """Whether it holds a voxel of an image of this shape."""
        return all(start < side for (start, _), side in zip(self.ranges, shape, strict=True))

    def share_inside(self, mask: NDArray[np.bool_]) -> float | None:
        """Share of a mask's voxels that the box holds; None for an empty mask."""
        n = int(np.count_nonzero(mask))
        return int(np.count_nonzero(mask[self.slices()])) / n if n else None

    def reversed(self) -> BreastBox:
        """The box under the other order of axes, x first."""
        first, second, third = self.ranges
        return BreastBox((third, second, first))


def read_box(path: Path) -> BreastBox | None:
    """The breast box in a patient's file; None where the file has none.

    Raises:
        InputError: The file cannot be read, or its box is not six rising whole numbers.
    """
    tree = read_json(path)
    lesion = tree.get("primary_lesion") if isinstance(tree, dict) else None
    corners = lesion.get("breast_coordinates") if isinstance(lesion, dict) else None
    if corners is None:
        return None
    return BreastBox((_range(corners, "z", path), _range(corners, "y", path), _range(corners, "x", path)))


def find_boxes(folder: Path) -> dict[str, Path]:
    """Case id in lower case -> patient's file, from a folder of them or the data set that has one.

    Raises:
        InputError: No such folder, or no JSON file in it.
    """
    inner = folder / BOX_FOLDER
    place = inner if inner.is_dir() else folder
    if not place.is_dir():
        raise InputError(f"boxes {folder}: no such folder; expected the patients' files, ID.json each")
    found = {path.stem.casefold(): path for path in sorted(place.glob("*.json"))}
    if not found:
        raise InputError(f"boxes {place}: holds no ID.json; expected the patients' files of the MAMA-MIA data")
    return found


def box_notice(case_id: str, box: BreastBox, label: Path, regions: Regions) -> str | None:
    """A warning where a box misses most of a case's lesion; None where it does not.

    Raises:
        InputError: The label cannot be read.
    """
    lesion = regions.counts(read_mask(label).array)
    if not box.meets(lesion.shape):
        return f"case {case_id}: the breast box {box.ranges} lies outside of the image and is not used"
    share = box.share_inside(lesion)
    if share is None or share >= _MOSTLY:
        return None
    other = box.reversed().share_inside(lesion) or 0.0
    hint = f"; with x as the first stored axis it would hold {other:.0%}" if other >= _MOSTLY else ""
    return f"case {case_id}: the breast box holds {share:.0%} of the lesion{hint}"


def _range(corners: Mapping[str, Any], axis: str, path: Path) -> tuple[int, int]:
    try:
        start, stop = (float(corners[f"{axis}_{end}"]) for end in ("min", "max"))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: breast_coordinates lack a number {axis}_min or {axis}_max") from error
    if not (start.is_integer() and stop.is_integer()) or not 0 <= start < stop:
        raise InputError(
            f"{path}: breast_coordinates {axis}_min {start:g} and {axis}_max {stop:g} are no range of voxels"
        )
    return int(start), int(stop)
