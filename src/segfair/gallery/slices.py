"""Three orthogonal slices of a case through its largest error. Arrays in, arrays out: draws nothing, reads no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segfair.scoring.boxes import joint_box

__all__ = ["Outline", "Plane", "View", "largest_error", "outline", "views"]

Bools = NDArray[np.bool_]
Plane = Literal["axial", "coronal", "sagittal", "slice"]

# Which way a picture runs, to the right and downwards: radiologists look from the feet and from the front, so that
# the patient's right is on the left.
_RUNS: dict[str, tuple[Plane, str, str]] = {
    "S": ("axial", "L", "P"),
    "A": ("coronal", "L", "I"),
    "R": ("sagittal", "P", "I"),
}
_OPPOSITE = {"R": "L", "L": "R", "A": "P", "P": "A", "S": "I", "I": "S"}
_MARGIN_MM = 8.0


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What one slice shows, cut to the surroundings of both masks; rows run downwards, columns to the right.

    Attributes:
        plane: Its direction in the patient; "slice" where the file does not say.
        axis, index: The array axis across the slice, and the voxel along it.
        sides: Which side of the patient lies left, right, up and down ("R", "L", "A", "P"); empty: unknown.
        label, prediction: (rows, columns) booleans.
        image: (rows, columns) intensities; None without an image.
        pixel_mm: Width and height of a pixel.
        error: Column and row of the largest error.
    """

    plane: Plane
    axis: int
    index: int
    sides: tuple[str, ...]
    label: Bools
    prediction: Bools
    image: NDArray[np.float32] | None
    pixel_mm: tuple[float, float]
    error: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Outline:
    """The border of a mask along the edges of its pixels, as an SVG path; `step` pixels were taken together."""

    path: str
    step: int


def largest_error(label: Bools, prediction: Bools) -> tuple[int, ...] | None:
    """The voxel deepest inside the largest connected region where the two masks differ.

    Face neighbours are connected; depth is counted in voxels, and of equals the first counts. Where the masks do
    not differ, the voxel deepest inside them; None where both are empty.

    Args:
        label: Booleans, of any number of axes.
        prediction: Booleans of the same shape.
    """
    box = joint_box(label, prediction)
    if box is None:
        return None
    wrong = label[box] ^ prediction[box]
    regions, n_regions = ndimage.label(wrong)
    if n_regions:
        sizes = np.bincount(regions.ravel())[1:]
        region = regions == int(sizes.argmax()) + 1
    else:
        region = label[box]
    # One voxel of padding: what reaches the edge of the image is not deep there.
    depth = ndimage.distance_transform_edt(np.pad(region, 1))
    deepest = np.unravel_index(int(np.asarray(depth).argmax()), tuple(length + 2 for length in region.shape))
    return tuple(int(at) - 1 + axis.start for at, axis in zip(deepest, box, strict=True))


def views(
    label: Bools,
    prediction: Bools,
    *,
    spacing_mm: Sequence[float],
    codes: str = "",
    image: NDArray[np.float32] | None = None,
) -> tuple[View, ...]:
    """The slices through the largest error: three of a volume, one of a 2-D image.

    Args:
        label: Booleans, 2-D or 3-D.
        prediction: Booleans of the same shape.
        spacing_mm: Voxel size along each axis.
        codes: Which way each array axis runs, such as "LPS"; empty where the file does not say: the first axis then
            runs to the right of the picture, the second one downwards.
        image: Intensities of the same shape; None: without.

    Returns:
        The slices, axial first; none where both masks are empty.
    """
    at = largest_error(label, prediction)
    box = joint_box(label, prediction)
    if at is None or box is None:
        return ()
    # One window for all slices, so that they can be compared.
    window = tuple(
        slice(max(0, axis.start - round(_MARGIN_MM / step)), min(length, axis.stop + round(_MARGIN_MM / step)))
        for axis, step, length in zip(box, spacing_mm, label.shape, strict=True)
    )
    if label.ndim == 2:
        across: list[tuple[int | None, Plane, int, int, tuple[str, ...]]] = [(None, "slice", 0, 1, ())]
    elif codes:
        across = [_anatomical(codes, normal) for normal in ("S", "A", "R")]
    else:
        across = [(2, "slice", 0, 1, ()), (1, "slice", 0, 2, ()), (0, "slice", 1, 2, ())]
    return tuple(
        _view(label, prediction, image, spacing_mm, codes, at, window, normal, plane, right, down, sides)
        for normal, plane, right, down, sides in across
    )


def _anatomical(codes: str, normal: str) -> tuple[int, Plane, int, int, tuple[str, ...]]:
    """Array axes across, to the right of and down the picture of one plane, and the names of its sides."""
    plane, right, down = _RUNS[normal]
    axis, horizontal, vertical = (
        next(index for index, code in enumerate(codes) if code in (wanted, _OPPOSITE[wanted]))
        for wanted in (normal, right, down)
    )
    return axis, plane, horizontal, vertical, (_OPPOSITE[right], right, _OPPOSITE[down], down)


def _view(
    label: Bools,
    prediction: Bools,
    image: NDArray[np.float32] | None,
    spacing_mm: Sequence[float],
    codes: str,
    at: tuple[int, ...],
    window: tuple[slice, ...],
    normal: int | None,
    plane: Plane,
    right: int,
    down: int,
    sides: tuple[str, ...],
) -> View:
    chosen = tuple(at[axis] if axis == normal else window[axis] for axis in range(label.ndim))
    # `sides` is left, right, top, bottom: an axis that runs the other way is turned.
    turned = (bool(sides) and codes[down] != sides[3], bool(sides) and codes[right] != sides[1])

    def cut(array: NDArray[np.generic]) -> NDArray[np.generic]:
        plain = array[chosen]
        plain = plain if down < right else plain.T
        return plain[:: -1 if turned[0] else 1, :: -1 if turned[1] else 1]

    place = [at[axis] - window[axis].start for axis in (down, right)]
    for index, axis in enumerate((down, right)):
        if turned[index]:
            place[index] = window[axis].stop - 1 - at[axis]
    return View(
        plane=plane,
        axis=normal if normal is not None else 2,
        index=at[normal] if normal is not None else 0,
        sides=sides,
        label=cut(label).astype(np.bool_),
        prediction=cut(prediction).astype(np.bool_),
        image=cut(image).astype(np.float32) if image is not None else None,
        pixel_mm=(float(spacing_mm[right]), float(spacing_mm[down])),
        error=(place[1], place[0]),
    )


def outline(mask: Bools, *, longest: int = 4000) -> Outline:
    """The border of a 2-D mask, exactly along its pixels.

    Args:
        mask: (rows, columns) booleans.
        longest: Most characters of the path. A ragged mask is drawn coarser until it fits: a block of pixels is
            inside where any of them is, so that nothing disappears.

    Returns:
        The path in pixels from the top left corner; an empty one for an empty mask.
    """
    step, coarse = 1, mask
    while True:
        # Every corner costs two characters: noise is not traced only to be thrown away.
        if 2 * _n_corners(coarse) <= longest:
            path = _trace(coarse, step)
            if len(path) <= longest:
                return Outline(path, step)
        step *= 2
        rows, columns = (-(-length // step) * step for length in mask.shape)
        padded = np.zeros((rows, columns), dtype=np.bool_)
        padded[: mask.shape[0], : mask.shape[1]] = mask
        coarse = padded.reshape(rows // step, step, columns // step, step).max(axis=(1, 3))


def _n_corners(mask: Bools) -> int:
    """Corners of the outline: one where one or three of four pixels are inside, two where two opposite ones are."""
    padded = np.pad(mask, 1)
    first, second, third, fourth = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    odd = first ^ second ^ third ^ fourth
    opposite = (first == fourth) & (second == third) & (first != second)
    return int(np.count_nonzero(odd) + 2 * np.count_nonzero(opposite))


def _trace(mask: Bools, step: int) -> str:
    """Closed loops around the pixels, clockwise; a pixel that touches another by a corner has a loop of its own."""
    padded = np.pad(mask, 1)
    inside = padded[1:-1, 1:-1]
    ends: dict[tuple[int, int], list[tuple[int, int]]] = {}
    # Clockwise with y downwards: along the top to the right, down the right side, and so on.
    for neighbour, start, stop in (
        (padded[:-2, 1:-1], (0, 0), (1, 0)),
        (padded[1:-1, 2:], (1, 0), (1, 1)),
        (padded[2:, 1:-1], (1, 1), (0, 1)),
        (padded[1:-1, :-2], (0, 1), (0, 0)),
    ):
        for y, x in np.argwhere(inside & ~neighbour).tolist():
            ends.setdefault((x + start[0], y + start[1]), []).append((x + stop[0], y + stop[1]))
    parts = []
    for first in [start for start, stops in ends.items() for _ in stops]:
        if first not in ends:
            continue
        corners, at, heading = [first], first, (0, 0)
        while True:
            choices = ends[at]
            # Where two pixels meet at a corner only, a turn to the right stays with the pixel.
            to = min(choices, key=lambda end: heading[0] * (end[1] - at[1]) - heading[1] * (end[0] - at[0]) != 1)
            choices.remove(to)
            if not choices:
                del ends[at]
            direction = (to[0] - at[0], to[1] - at[1])
            if direction == heading:
                corners[-1] = to
            else:
                corners.append(to)
            at, heading = to, direction
            if at == first:
                break
        parts.append(_loop(corners, step))
    return "".join(parts)


def _loop(corners: Sequence[tuple[int, int]], step: int) -> str:
    """A closed path of horizontal and vertical runs; the last run is left to `z`."""
    text = [f"M{corners[0][0] * step} {corners[0][1] * step}"]
    for (x, y), (to_x, to_y) in pairwise(corners[:-1]):
        text.append(f"v{(to_y - y) * step}" if to_x == x else f"h{(to_x - x) * step}")
    return "".join(text) + "z"
