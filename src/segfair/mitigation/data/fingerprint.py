"""What the images of a data set are like: how large, how fine, of which kind. Plans nothing and changes nothing.

A large data set is known from some of its cases, spread evenly over it; a case that cannot be read is passed over here
and named where it is prepared.

References:
    Isensee et al. nnU-Net. Nature Methods 2021 (data set fingerprint; intensities of CT).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.errors import InputError, SegfairError
from segfair.files.images.grids import align
from segfair.files.images.masks import has_size, read_channels, read_mask
from segfair.mitigation.data.preprocessing import GRID_TOLERANCE, Intensities
from segfair.mitigation.data.regions import Regions
from segfair.mitigation.data.sources import TrainingCase
from segfair.mitigation.networks.backbones import times
from segfair.scoring.executors import outcomes_in_order

__all__ = ["Fingerprint", "Modality", "take_fingerprint", "thick_axis"]

Modality = Literal["ct", "other"]

_MOST_CASES = 250
_SAMPLED_VOXELS = 10_000
_THICK = 3.0
"""Voxels so many times longer along one axis than along another are thick slices (nnU-Net's threshold)."""
_AIR = -500
"""Images of whole numbers that reach below it are taken for CT: air has -1000 HU."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the images of a data set are like.

    Attributes:
        n_cases: Cases of the data set.
        n_seen: Cases that were looked at.
        modality: "ct", whose grey values mean the same in every image, or "other".
        sizes: (n_seen, 3) voxels along each axis, in RAS order.
        spacings: (n_seen, 3) millimetres, in RAS order; pixels of 1 where no file says how large they are.
        has_size: Whether the files say how large a voxel is.
        intensities: Of the lesions of all cases, a channel each; None unless `modality` is "ct".
    """

    n_cases: int
    n_seen: int
    modality: Modality
    sizes: NDArray[np.int64]
    spacings: NDArray[np.float64]
    has_size: bool
    intensities: Intensities | None = None

    @property
    def is_planar(self) -> bool:
        """Whether every image has a single slice."""
        return bool((self.sizes[:, 2] == 1).all())

    @property
    def dims(self) -> int:
        """Axes that a network sees."""
        return 2 if self.is_planar else 3

    @property
    def median_spacing(self) -> tuple[float, ...]:
        """Median voxel size along each axis that a network sees."""
        return tuple(np.median(self.spacings, axis=0)[: self.dims].tolist())

    def sizes_at(self, spacing: Sequence[float]) -> NDArray[np.int64]:
        """(n_seen, dims) voxels of each image at another spacing, as resampling makes them."""
        exact = self.sizes[:, : self.dims] * self.spacings[:, : self.dims] / np.asarray(spacing)
        rounded: NDArray[np.int64] = np.maximum(1, np.rint(exact)).astype(np.int64)
        return rounded

    def describe(self) -> str:
        """The fingerprint in one sentence."""
        low, middle, high = (
            times(np.quantile(self.sizes[:, : self.dims], q, axis=0, method="nearest").tolist()) for q in (0, 0.5, 1)
        )
        unit = "mm" if self.has_size else "px"
        step = " x ".join(f"{side:.3g}" for side in self.median_spacing)
        seen = f" (of {self.n_seen} of them)" if self.n_seen < self.n_cases else ""
        kind = "CT" if self.modality == "ct" else "no CT"
        return (
            f"fingerprint: {self.n_cases:,} cases{seen}, {self.dims}-D, {kind}, {low} to {high} voxels, "
            f"median {middle} of {step} {unit}"
        )


def take_fingerprint(
    cases: Sequence[TrainingCase],
    regions: Regions,
    *,
    phases: int,
    modality: Modality | None = None,
    executor: Executor | None = None,
) -> Fingerprint:
    """Looks at the images of a data set.

    Args:
        cases: At least one.
        regions: What counts as lesion.
        phases: Channels of a case.
        modality: The kind of image, where it is known; None: CT is told by its values.
        executor: Where files are read; None: here.

    Raises:
        InputError: No image can be read.
    """
    seen = [cases[index] for index in _spread(len(cases), _MOST_CASES)]
    read = [entry for entry in _map(_geometry, seen, executor) if entry is not None]
    if not read:
        raise InputError(f"none of {len(seen)} images can be read, for example {seen[0].images[0]}")
    sizes = np.array([size for size, _, _ in read], dtype=np.int64)
    spacings = np.array([spacing for _, spacing, _ in read])
    if modality is None:
        modality = "ct" if phases == 1 and np.mean([hounsfield for _, _, hounsfield in read]) > 0.5 else "other"
    intensities = None
    if modality == "ct":
        look = partial(_lesion_values, regions=regions, phases=phases)
        intensities = _intensities([entry for entry in _map(look, seen, executor) if entry is not None])
    sized = any(has_size(case.images[0]) is not False for case in seen)
    return Fingerprint(len(cases), len(read), modality, sizes, spacings, sized, intensities)


def thick_axis(spacing: Sequence[float]) -> int | None:
    """The axis along which voxels are much longer than along another; None where there is none."""
    longest = max(range(len(spacing)), key=lambda axis: spacing[axis])
    return longest if spacing[longest] > _THICK * min(spacing) else None


def _spread(n: int, most: int) -> list[int]:
    """At most so many positions, evenly over n."""
    positions: list[int] = np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int)).tolist()
    return positions


def _map(function: Any, cases: Sequence[TrainingCase], executor: Executor | None) -> Iterator[Any]:
    with outcomes_in_order(function, ((case.id, (case,)) for case in cases), executor) as outcomes:
        yield from (outcome for _, outcome in outcomes)


def _geometry(case: TrainingCase) -> tuple[tuple[int, ...], tuple[float, ...], bool] | None:
    """Size and spacing in RAS order, and whether the values look like Hounsfield units; None if unreadable."""
    try:
        image = read_channels(case.images[0])[0]
    except SegfairError:
        return None
    shape = (*image.shape, 1, 1)[:3]
    steps = np.asarray(image.affine)[:3, :3]
    lengths = np.linalg.norm(steps, axis=0)
    # Which stored axis runs mostly along each axis of the patient.
    order: list[int] = []
    for axis in range(3):
        towards = np.abs(steps[axis]) / np.maximum(lengths, 1e-12)
        order.append(max((stored for stored in range(3) if stored not in order), key=lambda stored: towards[stored]))
    values = image.array
    hounsfield = (
        bool(np.isfinite(values).any())
        and float(np.min(values, where=np.isfinite(values), initial=np.inf)) < _AIR
        and bool((values[:1] == values[:1].round()).all())
    )
    return tuple(int(shape[stored]) for stored in order), tuple(float(lengths[stored]) for stored in order), hounsfield


def _lesion_values(case: TrainingCase, *, regions: Regions, phases: int) -> NDArray[np.float32] | None:
    """(phases, n) some of the values under the label; None where there is none to be had."""
    try:
        images = [channel for path in case.images for channel in read_channels(path)][:phases]
        # A label may be stored in another orientation than its image.
        label = align(read_mask(case.label, white_is_one=case.white_is_one), images[0], tolerance=GRID_TOLERANCE)
    except SegfairError:
        return None
    if label is None or any(image.shape != label.shape for image in images):
        return None
    values = np.stack([image.array[regions.counts(label.array)] for image in images])
    values = values[:, np.isfinite(values).all(axis=0)]
    return values[:, _spread(values.shape[1], _SAMPLED_VOXELS)] if values.size else None


def _intensities(values: Sequence[NDArray[np.float32]]) -> Intensities | None:
    if not values:
        return None
    pooled = np.concatenate(values, axis=1).astype(np.float64)
    low, high = np.percentile(pooled, [0.5, 99.5], axis=1)
    spread = np.maximum(pooled.std(axis=1), 1e-6)
    return Intensities(*(tuple(entry.tolist()) for entry in (low, high, pooled.mean(axis=1), spread)))
