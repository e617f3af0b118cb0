"""Prepared cases and the datasets that the training loop draws from; every item carries its case's id.

What a draw changes is said in `augmentation`. Never preprocesses, and never decides which cases are drawn.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from monai.data.meta_obj import get_track_meta, set_track_meta
from numpy.typing import NDArray
from torch.utils.data import Dataset

from segfair.errors import InputError
from segfair.mitigation.data.augmentation import FOREGROUND, Augmentation
from segfair.mitigation.data.outputs import Reference
from segfair.mitigation.data.regions import LESION, Regions
from segfair.mitigation.networks.backbones import Size, times

__all__ = [
    "PreparedCase",
    "PreparedData",
    "TrainingVolumes",
    "WholeVolumes",
    "describe_cuts",
    "from_arrays",
    "lesion_extent",
    "marked",
]

_KEYS = ("image", "label")

Item = dict[str, Any]
"""`image` (C, X, Y, Z) float32, `label` (R, X, Y, Z) uint8 of 0, 1 and `IGNORED`, `id`."""


@dataclass(frozen=True, slots=True, eq=False)
class PreparedCase:
    """One preprocessed case, in memory or on disk.

    Attributes:
        id: Case id.
        shape: Voxels along each axis.
        spacing_mm: Voxel size.
        n_lesion: Voxels of any region of the whole label at this spacing.
        n_cropped: Of these, how many the crop to the non-zero image has cut away.
        extent: Start and stop of the remaining lesion along each axis; empty where there is none.
        path: The cache file; None where the tensors are kept in memory.
        tensors: Image (C, X, Y, Z) float32 and label (R, X, Y, Z) uint8, where kept in memory.
        notices: What was noticed about its files.
        reference: What it is scored against; None: its label here.
    """

    id: str
    shape: Size
    spacing_mm: tuple[float, float, float]
    n_lesion: int
    n_cropped: int = 0
    extent: tuple[tuple[int, int], ...] = ()
    path: Path | None = None
    tensors: tuple[torch.Tensor, torch.Tensor] | None = None
    notices: tuple[str, ...] = ()
    reference: Reference | None = None

    def load(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Image and label; from the cache they are mapped, so that a crop reads no more than it needs.

        Raises:
            InputError: The cache file has gone or is damaged.
        """
        if self.tensors is not None:
            return self.tensors
        assert self.path is not None
        try:
            stored = torch.load(self.path, mmap=True, weights_only=True)
            return stored["image"], stored["label"]
        except Exception as error:
            raise InputError(
                f"case {self.id}: cached volume {self.path} cannot be read ({error}); start again to rebuild it"
            ) from error

    @property
    def volume_mm3(self) -> float:
        """Volume of the lesion."""
        return float(self.n_lesion * np.prod(self.spacing_mm))

    def cut_by(self, size: Size) -> int:
        """Lesion voxels that are lost when the volume is cropped around its centre to `size`, all crops counted."""
        # A planar image is one slice thick.
        sides = (*size, *self.shape[len(size) :])
        kept = [_centre(n, wanted) for n, wanted in zip(self.shape, sides, strict=True)]
        if all(low <= a and b <= high for (low, high), (a, b) in zip(kept, self.extent, strict=False)):
            return self.n_cropped
        _, label = self.load()
        inside = label[(slice(None), *(slice(low, high) for low, high in kept))]
        return self.n_lesion - int(marked(inside).sum())


@dataclass(frozen=True, slots=True, eq=False)
class PreparedData:
    """All prepared cases, and what could not be prepared.

    Attributes:
        cases: Case id -> case.
        skipped: Case id -> why it cannot be trained on.
        spacing_mm: Voxel size of all of them.
        regions: What their labels mark, a channel each.
    """

    cases: Mapping[str, PreparedCase]
    spacing_mm: tuple[float, float, float]
    skipped: Mapping[str, str] = field(default_factory=dict)
    regions: Regions = LESION

    @property
    def notices(self) -> tuple[str, ...]:
        """What was noticed about single cases."""
        return tuple(itertools.chain.from_iterable(case.notices for case in self.cases.values()))

    def training(self, case_ids: Sequence[str], augmentation: Augmentation) -> TrainingVolumes:
        """The dataset of these cases with augmentation."""
        return TrainingVolumes(tuple(self.cases[case] for case in case_ids), augmentation, self.spacing_mm)

    def whole(self, case_ids: Sequence[str]) -> WholeVolumes:
        """The dataset of these cases as whole volumes, uncropped and unchanged: as prediction sees them."""
        return WholeVolumes(tuple(self.cases[case] for case in case_ids), self.spacing_mm, self.regions)

    def volumes_mm3(self, case_ids: Iterable[str]) -> dict[str, float]:
        """Case id -> volume of its lesion."""
        return {case: self.cases[case].volume_mm3 for case in case_ids}

    def cuts(self, case_ids: Iterable[str], augmentation: Augmentation) -> dict[str, float]:
        """Case id -> share of its lesion that training never sees; only cases that lose something.

        Crops around the centre cut what lies outside of them; patches reach everything but what the crop to the
        non-zero image has cut.
        """
        cut = {}
        for name in case_ids:
            case = self.cases[name]
            lost = case.n_cropped if augmentation.samples_per_case else case.cut_by(augmentation.size)
            if lost:
                cut[name] = lost / case.n_lesion
        return cut


class _Opened:
    """Cases in order, each read once and then kept mapped: to open a file takes longer than a step on a small image."""

    def __init__(self, cases: Sequence[PreparedCase]) -> None:
        self.cases = tuple(cases)
        self._tensors: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, position: int) -> tuple[PreparedCase, torch.Tensor, torch.Tensor]:
        if position not in self._tensors:
            self._tensors[position] = self.cases[position].load()
        return self.cases[position], *self._tensors[position]

    def __getstate__(self) -> tuple[PreparedCase, ...]:
        # Another process maps them itself; to send them would copy them.
        return self.cases

    def __setstate__(self, cases: tuple[PreparedCase, ...]) -> None:
        self.cases, self._tensors = cases, {}


class WholeVolumes(Dataset[Item]):
    """Prepared cases as they are, with what they are scored against."""

    def __init__(
        self, cases: tuple[PreparedCase, ...], spacing_mm: tuple[float, float, float], regions: Regions = LESION
    ) -> None:
        self.case_ids = tuple(case.id for case in cases)
        self.spacing_mm = spacing_mm
        self.regions = regions
        self.references = {case.id: case.reference for case in cases if case.reference is not None}
        self._cases = _Opened(cases)

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, draw: int | tuple[int, int]) -> Item:
        """The case at a position; the seed of a draw changes nothing."""
        case, image, label = self._cases[draw if isinstance(draw, int) else draw[0]]
        return {"image": image, "label": label, "id": case.id}


class TrainingVolumes(Dataset[Any]):
    """Prepared cases with augmentation.

    The seed of a draw fixes all its randomness, so that an item depends neither on the loader's worker nor on what
    was drawn before it.
    """

    def __init__(
        self, cases: tuple[PreparedCase, ...], augmentation: Augmentation, spacing_mm: tuple[float, float, float]
    ) -> None:
        self.case_ids = tuple(case.id for case in cases)
        self.spacing_mm = spacing_mm
        self.augmentation = augmentation
        self._cases = _Opened(cases)
        self._transforms = augmentation.transforms()

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, draw: int | tuple[int, int]) -> Item | list[Item]:
        """The augmented case of a draw (position, seed), or with patches the list of its crops."""
        position, seed = (draw, 0) if isinstance(draw, int) else draw
        case, image, label = self._cases[position]
        if self.augmentation.is_planar:
            image, label = image[..., 0], label[..., 0]
        data = {"image": image, "label": label}
        if self.augmentation.samples_per_case is not None:
            data[FOREGROUND] = marked(label)[None]
        self._transforms.set_random_state(seed=seed)
        with warnings.catch_warnings(), _plain_tensors():
            # A case without a lesion has no lesion voxel to crop around; that is decided above, not surprising.
            warnings.filterwarnings("ignore", message="Num foregrounds 0", category=UserWarning)
            made = self._transforms(data)
        if self.augmentation.samples_per_case is None:
            return _item(cast(Mapping[str, Any], made), case.id)
        return [_item(part, case.id) for part in cast(list[Mapping[str, Any]], made)]


def from_arrays(
    case_ids: Sequence[str],
    images: Sequence[NDArray[np.float32]],
    labels: Sequence[NDArray[np.uint8]],
    *,
    spacing_mm: tuple[float, float, float],
) -> PreparedData:
    """Volumes in memory that need no preprocessing, such as the phantom's, as prepared cases.

    Args:
        case_ids: Ids, all different.
        images: (C, X, Y, Z) each, normalised.
        labels: (X, Y, Z) each, lesion where not 0.
        spacing_mm: Voxel size of all of them.
    """
    cases = {}
    for case_id, image, label in zip(case_ids, images, labels, strict=True):
        lesion = torch.from_numpy((np.asarray(label) != 0).astype(np.uint8)[None])
        tensors = (torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32)), lesion)
        cases[case_id] = PreparedCase(
            case_id,
            cast(Size, tuple(label.shape)),
            spacing_mm,
            int(lesion.sum()),
            extent=lesion_extent(lesion),
            tensors=tensors,
        )
    return PreparedData(cases, spacing_mm)


def lesion_extent(label: torch.Tensor) -> tuple[tuple[int, int], ...]:
    """Start and stop along each axis of what is marked in a (R, X, Y, Z) label; empty where nothing is."""
    places = torch.nonzero(marked(label))
    if not len(places):
        return ()
    low, high = places.amin(dim=0).tolist(), places.amax(dim=0).tolist()
    return tuple((int(a), int(b) + 1) for a, b in zip(low, high, strict=True))


def marked(label: torch.Tensor) -> torch.Tensor:
    """(R, X, Y, Z) label -> (X, Y, Z), whether a voxel is of any region."""
    return (label == 1).any(dim=0)


def describe_cuts(cuts: Mapping[str, float], *, n_cases: int, size: Size) -> str | None:
    """One sentence that names the cases whose lesion is cut, most of it first; None where there are none."""
    if not cuts:
        return None
    worst = sorted(cuts.items(), key=lambda pair: (-pair[1], pair[0]))
    named = ", ".join(f"{name} ({share:.0%})" for name, share in worst)
    return (
        f"{len(cuts)} of {n_cases} training cases lose part of their lesion to cropping (to the non-zero part of the "
        f"image, then to {times(size)}): {named}; a larger --spatial-size or --patch keeps what the second cuts off"
    )


@contextmanager
def _plain_tensors() -> Iterator[None]:
    """Within it MONAI records no transforms: nothing is inverted here, and the record takes half of the time."""
    tracked = get_track_meta()
    set_track_meta(False)
    try:
        yield
    finally:
        set_track_meta(tracked)


def _item(made: Mapping[str, Any], case_id: str) -> Item:
    image, label = (made[key].as_tensor() if hasattr(made[key], "as_tensor") else made[key] for key in _KEYS)
    # What turns a label makes floats of it.
    return {"image": image, "label": label.to(torch.uint8), "id": case_id}


def _centre(n: int, wanted: int) -> tuple[int, int]:
    """What MONAI's centre crop keeps of an axis of n voxels."""
    start = max(n // 2 - wanted // 2, 0)
    return start, min(start + wanted, n)
