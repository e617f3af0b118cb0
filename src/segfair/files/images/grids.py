"""The voxel grid a mask lies on: re-expressing one mask on another's axes, grids in words. Reads no file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Mask",
    "Place",
    "SharedGrid",
    "align",
    "axis_codes",
    "describe_difference",
    "describe_grid",
    "displacement_mm",
    "give_spacing",
    "matching_axes",
    "right_angled",
    "shared_grid",
    "transfer_of",
]

Affine = NDArray[np.float64]

# Cosine of the angle between two axes from which on they count as not at right angles. Directions are stored with
# about seven digits, in text headers with four; what lies below changes a distance by less than one part in a thousand.
SHEAR = 1e-3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a part of an array lies in the whole.

    Attributes:
        shape: That of the whole.
        corner: Index of the part's first voxel.
    """

    shape: tuple[int, ...]
    corner: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Mask:
    """One stored array, a mask or an image, and its geometry.

    Attributes:
        part: Label values (integers) or intensities, 2-D or 3-D, axes as stored (x, y, z); may be read-only. Of a
            mask that is mostly background only a part that holds all the rest.
        affine: (4, 4) float64, voxel index -> RAS+ millimetres; the identity for files without geometry.
        affine_name: What the file calls it, where it has several ("sform", "qform", "pixdim"); else empty.
        other_affines: Name -> another affine that the same file states, and that other programs may take.
        has_size: Whether the file itself says how large a voxel is; where it does not, an edge is 1.
        place: Where `part` lies, all around it being 0; None: it is the whole.
        bounded: Whether the file says where the image ends; where it does not (a DICOM segmentation without its empty
            frames), everything around it is background.
        notes: What its reader noticed and a user of its scores has to know.
        sets: Value -> the values that it stands for, of voxels that are of several structures at once.
    """

    part: NDArray[Any]
    affine: Affine
    affine_name: str = ""
    other_affines: Mapping[str, Affine] = field(default_factory=dict)
    has_size: bool = True
    place: Place | None = None
    bounded: bool = True
    notes: tuple[str, ...] = ()
    sets: Mapping[int, frozenset[int]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along each axis of the whole."""
        return self.part.shape if self.place is None else self.place.shape

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.part.ndim

    @property
    def box(self) -> tuple[slice, ...]:
        """Where `part` lies in the whole."""
        corner = (0,) * self.ndim if self.place is None else self.place.corner
        return tuple(slice(low, low + length) for low, length in zip(corner, self.part.shape, strict=True))

    @cached_property
    def array(self) -> NDArray[Any]:
        """The whole array; made when it is first asked for."""
        return (
            self.part if self.part.shape == self.shape else self.cut(tuple(slice(0, length) for length in self.shape))
        )

    def cut(self, box: tuple[slice, ...]) -> NDArray[Any]:
        """A copy of the voxels in a box of the whole, the first axis the fastest."""
        found = np.zeros([side.stop - side.start for side in box], self.part.dtype, order="F")
        shared = [
            slice(max(side.start, mine.start), max(side.start, mine.start, min(side.stop, mine.stop)))
            for side, mine in zip(box, self.box, strict=True)
        ]
        found[_from_corner_of(box, shared)] = self.part[_from_corner_of(self.box, shared)]
        return found

    def mapped(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Mask:
        """The mask with each of its values changed alone; where 0 stays 0, background is not looked at.

        Args:
            change: Any array -> the changed values in an array of the same shape.
        """
        if self.place is None or not change(np.zeros((1,) * self.ndim, self.part.dtype)).any():
            return dataclasses.replace(self, part=change(self.part))
        return dataclasses.replace(self, part=change(self.array), place=None)

    def emptied(self) -> Mask:
        """The same grid with background only."""
        nothing = np.zeros((1,) * self.ndim, self.part.dtype)
        return dataclasses.replace(self, part=nothing, place=Place(self.shape, (0,) * self.ndim))

    def turned(self, order: tuple[int, ...], flipped: tuple[bool, ...]) -> Mask:
        """A view with its axes in another order and direction; the affine stays as it was.

        Args:
            order: For each axis of the result the axis of this mask.
            flipped: For each axis of the result whether it runs the other way.
        """
        turns = tuple(slice(None, None, -1 if flip else 1) for flip in flipped)
        shape = tuple(self.shape[axis] for axis in order)
        corner = tuple(
            self.shape[axis] - self.box[axis].stop if flip else self.box[axis].start
            for axis, flip in zip(order, flipped, strict=True)
        )
        return dataclasses.replace(self, part=self.part.transpose(order)[turns], place=Place(shape, corner))

    def reshaped(self, shape: tuple[int, ...]) -> Mask:
        """A view with axes of length 1 added or left out at the end."""
        n_axes = len(shape)
        corner = tuple(side.start for side in self.box) + (0,) * (n_axes - self.ndim)
        part = self.part.reshape((*self.part.shape, *(1,) * (n_axes - self.ndim))[:n_axes])
        return dataclasses.replace(self, part=part, place=Place(shape, corner[:n_axes]))

    @property
    def spacing_mm(self) -> tuple[float, ...]:
        """Length of a voxel's edge along each array axis in mm."""
        lengths = np.sqrt((self.affine[:3, : self.ndim] ** 2).sum(axis=0))
        return tuple(float(length) for length in lengths)

    @property
    def axes_mm(self) -> NDArray[np.float64] | None:
        """Steps in mm along the array axes where these are not at right angles; None where they are.

        (n, n) for n array axes: column k is the step from a voxel to the next along axis k, the whole turned so that
        lengths and angles stay and the matrix is upper triangular.
        """
        if right_angled(self.affine, self.ndim):
            return None
        return np.asarray(np.linalg.qr(self.affine[:3, : self.ndim], mode="r"), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class SharedGrid:
    """How one mask lies on the grid of another.

    Attributes:
        order: For each axis of the fixed mask the axis of the moving one.
        flipped: For each axis of the fixed mask whether the moving one runs the other way.
        fixed_affine, moving_affine: Names of the affines by which they share it; empty: the one that each file has,
            or that is taken where it states several.
    """

    order: tuple[int, ...]
    flipped: tuple[bool, ...]
    fixed_affine: str = ""
    moving_affine: str = ""


def align(moving: Mask, fixed: Mask, *, tolerance: float) -> Mask | None:
    """Re-expresses a mask on the axes of another one where both are the same grid, see `shared_grid`.

    Voxels are never interpolated: what comes back is a view.

    Returns:
        `moving` itself where it already lies that way, a view of it where axes had to be exchanged or flipped,
        None where the two grids differ.
    """
    grid = shared_grid(moving, fixed, tolerance=tolerance)
    if grid is None:
        return None
    if moving.shape == fixed.shape and grid.order == (0, 1, 2) and not any(grid.flipped):
        return moving
    volume = moving.reshaped((*moving.shape, 1, 1)[:3])
    affine = moving.other_affines.get(grid.moving_affine, moving.affine) @ transfer_of(grid, volume.shape)
    turned = volume.turned(grid.order, grid.flipped).reshaped(fixed.shape)
    return Mask(
        turned.part,
        affine,
        has_size=moving.has_size,
        place=turned.place,
        notes=moving.notes,
        sets=moving.sets,
    )


def shared_grid(moving: Mask, fixed: Mask, *, tolerance: float) -> SharedGrid | None:
    """How a mask lies on the grid of another one; None where the two grids differ.

    The same grid may be stored in any axis order with any axis flipped, and at any angle to the patient. Where a file
    states several affines, the ones that are taken are compared first, then the others, those of `fixed` last.

    Args:
        moving: The mask to re-express.
        fixed: The mask whose axes count.
        tolerance: Largest displacement of a corner of the volume that still is rounding, as a share of the shortest
            voxel edge of `fixed`. It bounds differences of origin, spacing and direction at once.
    """
    # A 2-D mask is a 3-D one of one slice, and has no thickness that could differ.
    flat = min(moving.ndim, fixed.ndim) == 2
    shapes = [mask.shape + (1,) * (3 - mask.ndim) for mask in (moving, fixed)]
    for (fixed_name, on_fixed), (moving_name, on_moving) in product(_affines(fixed), _affines(moving)):
        found = _on_axes(on_moving, shapes[0], on_fixed, shapes[1], tolerance, flat=flat)
        if found is not None:
            return dataclasses.replace(found, fixed_affine=fixed_name, moving_affine=moving_name)
    return None


def _from_corner_of(box: Sequence[slice], inner: Sequence[slice]) -> tuple[slice, ...]:
    """A box counted from the corner of another one."""
    return tuple(
        slice(side.start - outer.start, side.stop - outer.start) for outer, side in zip(box, inner, strict=True)
    )


def right_angled(affine: Affine, n_axes: int = 3) -> bool:
    """Whether the first axes of an affine are at right angles to each other, up to rounding."""
    steps = affine[:3, :n_axes]
    unit = steps / np.linalg.norm(steps, axis=0)
    return bool(np.abs(unit.T @ unit - np.eye(n_axes)).max() <= SHEAR)


def displacement_mm(first: Affine, second: Affine, shape: tuple[int, ...], *, flat: bool = False) -> float:
    """How far apart two affines put the outer corners of a volume at most, and so any part of any voxel.

    Args:
        first: One affine.
        second: The other.
        shape: Voxels along each axis; a missing third axis has no thickness.
        flat: Whether no axis of a single voxel has a thickness.
    """
    ends = [(0.0, 0.0) if flat and length == 1 else (-0.5, length - 0.5) for length in shape]
    corners = np.array([corner + (0.0,) * (3 - len(corner)) + (1.0,) for corner in product(*ends)])
    with np.errstate(over="ignore", invalid="ignore"):
        apart = np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1)
    return float(apart.max())


def give_spacing(mask: Mask, spacing_mm: tuple[float, ...]) -> Mask:
    """A mask whose file does not say how large a voxel is, with voxels of that size.

    `has_size` stays False: where the mask lies in the patient remains unknown.
    """
    affine = np.eye(4)
    affine[range(len(spacing_mm)), range(len(spacing_mm))] = spacing_mm
    return dataclasses.replace(mask, affine=affine, affine_name="", other_affines={})


def _affines(mask: Mask) -> Iterator[tuple[str, Affine]]:
    yield "", mask.affine
    yield from mask.other_affines.items()


def _on_axes(
    moving: Affine,
    moving_shape: tuple[int, ...],
    fixed: Affine,
    fixed_shape: tuple[int, ...],
    tolerance: float,
    *,
    flat: bool,
) -> SharedGrid | None:
    """The axes of `moving` on those of `fixed` where both are one grid."""
    extended = [axis for axis, length in enumerate(fixed_shape) if length > 1 or not flat]
    edges = np.linalg.norm(fixed[:3, extended or [0, 1]], axis=0)
    limit = tolerance * float(edges.min())
    if moving_shape == fixed_shape and displacement_mm(moving, fixed, fixed_shape, flat=flat) <= limit:
        return SharedGrid((0, 1, 2), (False, False, False))
    axes = matching_axes(moving, fixed)
    if axes is None:
        return None
    grid = SharedGrid(*axes)
    if tuple(moving_shape[axis] for axis in grid.order) != fixed_shape:
        return None
    moved = moving @ transfer_of(grid, moving_shape)
    return grid if displacement_mm(moved, fixed, fixed_shape, flat=flat) <= limit else None


def transfer_of(grid: SharedGrid, shape: tuple[int, ...]) -> Affine:
    """Voxel index of the fixed mask -> voxel index of the moving one, which has this shape."""
    transfer = np.zeros((4, 4))
    transfer[3, 3] = 1
    for axis, (source, flip) in enumerate(zip(grid.order, grid.flipped, strict=True)):
        transfer[source, axis] = -1 if flip else 1
        transfer[source, 3] = shape[source] - 1 if flip else 0
    return transfer


def matching_axes(moving: Affine, fixed: Affine) -> tuple[tuple[int, ...], tuple[bool, ...]] | None:
    """For each axis of `fixed` the axis of `moving` nearest to it and whether it runs the other way.

    None where no one-to-one match exists, which for the same grid cannot happen.
    """
    try:
        transfer = np.linalg.solve(moving[:3, :3], fixed[:3, :3])
    except np.linalg.LinAlgError:
        return None
    order = tuple(int(axis) for axis in np.abs(transfer).argmax(axis=0))
    if sorted(order) != [0, 1, 2]:
        return None
    return order, tuple(bool(transfer[source, axis] < 0) for axis, source in enumerate(order))


def describe_grid(mask: Mask) -> str:
    """The grid in words: `256x256x158, 0.586x0.586x3.3 mm, PIR` (the direction each axis runs to)."""
    shape = "x".join(str(length) for length in mask.shape)
    if not mask.has_size:
        return f"{shape} {'pixels' if mask.ndim == 2 else 'voxels'}, without a place in the patient"
    spacing = "x".join(f"{length:.3g}" for length in mask.spacing_mm)
    sheared = "" if mask.axes_mm is None else ", sheared"
    return f"{shape}, {spacing} mm, {axis_codes(mask)}{sheared}"


def describe_difference(label: Mask, prediction: Mask, *, names: tuple[str, str] = ("label", "prediction")) -> str:
    """How two grids differ, for an error message; `names` says what the two are.

    Returns:
        Both descriptions; where these read alike, how far apart the corners of the two volumes lie.
    """
    on_label, on_prediction = describe_grid(label), describe_grid(prediction)
    if on_label != on_prediction:
        return f"{names[0]} is {on_label}; {names[1]} is {on_prediction}"
    apart = displacement_mm(label.affine, prediction.affine, label.shape)
    share = apart / min(label.spacing_mm)
    return (
        f"{names[0]} and {names[1]} are both {on_label}, but their corners lie up to {apart:.3g} mm apart"
        f" ({share:.2g} of a voxel edge)"
    )


def axis_codes(mask: Mask) -> str:
    """The direction that each array axis runs to, one letter an axis; each world axis is named once."""
    from nibabel.orientations import aff2axcodes

    return "".join(aff2axcodes(mask.affine[:, [*range(mask.ndim), 3]]))  # type: ignore[no-untyped-call]
