"""What the gallery of worst cases holds, as it stands in `audit.json`. Facts only: chooses and draws nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segfair.subgroups.lattice import Subgroup

__all__ = ["Gallery", "GalleryCase", "GalleryGroup", "GallerySlice", "LengthUnit"]

LengthUnit = Literal["mm", "px", "voxels"]


@dataclass(frozen=True, slots=True)
class GallerySlice:
    """One slice of one case, ready to be drawn.

    Attributes:
        plane: "axial", "coronal", "sagittal", or "slice" where the file does not say.
        axis, index: The array axis across the slice, and the voxel along it.
        sides: Letters for the left, right, upper and lower side of the picture; empty: unknown.
        columns, rows: Pixels of the picture, which are voxels of the label.
        pixel_mm: Width and height of a pixel, in `unit`.
        error: Column and row of the largest error.
        label, prediction: Outlines as SVG paths in pixels; empty: no part of the mask in this slice.
        step: Pixels that the outlines take together; 1: they are exact.
        image: A grey PNG as base64, to be stretched over all pixels; empty: there is none.
        unit: "mm"; where the label's file does not say how large a voxel is, "px" (2-D) or "voxels".
    """

    plane: Literal["axial", "coronal", "sagittal", "slice"]
    axis: int
    index: int
    sides: tuple[str, ...]
    columns: int
    rows: int
    pixel_mm: tuple[float, float]
    error: tuple[int, int]
    label: str
    prediction: str
    step: int = 1
    image: str = ""
    unit: LengthUnit = "mm"


@dataclass(frozen=True, slots=True)
class GalleryCase:
    """The slices of one case; `note` says what is missing, and never quotes a file."""

    slices: tuple[GallerySlice, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class GalleryGroup:
    """The worst cases of one subgroup.

    Attributes:
        items: The subgroup; without items: all cases.
        reason: Why it is here.
        cases: Ids, worst first.
    """

    items: Subgroup
    reason: Literal["overall", "significant", "beyond margin"]
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gallery:
    """The worst cases, overall and of every flagged subgroup.

    Attributes:
        groups: All cases first.
        cases: Id -> pictures; every case once, however many groups name it.
        channel: Which channel of the images was drawn, from 0; None: without images.
        n_groups: Flagged subgroups in all; more than `groups` has where they were too many.
        typical: Of `cases` the one whose outcome is the median; empty: there is none.
    """

    groups: tuple[GalleryGroup, ...]
    cases: Mapping[str, GalleryCase]
    channel: int | None = None
    n_groups: int = 0
    typical: str = ""

    def renamed(self, names: Mapping[str, str]) -> Gallery:
        """The gallery under other case ids."""
        return dataclasses.replace(
            self,
            groups=tuple(
                dataclasses.replace(group, cases=tuple(names[case] for case in group.cases)) for group in self.groups
            ),
            cases={names[case]: pictures for case, pictures in self.cases.items()},
            typical=names[self.typical] if self.typical else "",
        )
