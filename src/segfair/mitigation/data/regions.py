"""What a network is taught to find: named regions of label values, and how they become masks and a label map again.

The audit's protocol decides which values count (`segfair.audit.choices.labels`); here they become one target a region,
and predicted masks become values that the same protocol scores. Reads no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import ConfigError
from segfair.protocol.rules import LabelValues, Protocol, format_label_values
from segfair.scoring.pairs import lesion_of

__all__ = ["IGNORED", "LESION", "Region", "Regions"]

_MOST = 16
"""Regions of one network: each doubles the combinations that a voxel can be of."""
IGNORED = 255
"""What a target holds where no voxel counts."""


@dataclass(frozen=True, slots=True)
class Region:
    """Voxels that are one target.

    Attributes:
        name: What it is called; empty for the one lesion of a protocol without regions.
        values: The label values that belong to it, or "any" non-zero one.
        written: The value of its voxels in a predicted label map, where no region behind it takes them.
    """

    name: str
    values: LabelValues
    written: int


@dataclass(frozen=True, slots=True)
class Regions:
    """The regions of a data set in the order in which a prediction writes them, each over those before it.

    Attributes:
        each: The regions; their order is that of the targets and of the network's channels.
        ignore: The label value of voxels that count nowhere; None if there is none.
    """

    each: tuple[Region, ...] = (Region("", (1,), 1),)
    ignore: int | None = None

    def __post_init__(self) -> None:
        if not self.each:
            raise ConfigError("regions: there is none; name at least one label that is trained")
        if len(self.each) > _MOST:
            raise ConfigError(f"regions: {len(self.each)} are more than the {_MOST} that can be trained together")

    @classmethod
    def of_protocol(cls, protocol: Protocol, *, order: Sequence[int] = ()) -> Regions:
        """The regions that a protocol scores.

        Args:
            protocol: The rules, resolved.
            order: nnU-Net's `regions_class_order`, the value that each region is written with, in the order of the
                protocol's regions; empty: larger regions are written first, each with a value of its own.

        Raises:
            ConfigError: An order of another length, or with a value that is not the region's.
        """
        if not protocol.regions:
            return cls.of_values(protocol.label.overlap, ignore=protocol.ignore_label)
        named = list(protocol.regions.items())
        if order:
            _check_order(named, order)
            each = [Region(name, values, int(value)) for (name, values), value in zip(named, order, strict=True)]
        else:
            named.sort(key=lambda entry: -len(entry[1]))
            n_regions_of = Counter(value for _, values in named for value in values)
            # Its own value is the one that is in the fewest regions, among several the first.
            each = [Region(name, values, min(values, key=n_regions_of.__getitem__)) for name, values in named]
        return cls(tuple(each), protocol.ignore_label)

    @classmethod
    def of_values(cls, values: LabelValues, *, ignore: int | None = None) -> Regions:
        """One lesion of these label values."""
        any_value = 2 if ignore == 1 else 1
        return cls((Region("", values, any_value if values == "any" else values[0]),), ignore)

    @classmethod
    def of_label(cls, tree: Any) -> Regions:
        """One lesion as checkpoints of earlier versions name it: "any", or a list of values."""
        return cls.of_values(_label_values(tree))

    def __len__(self) -> int:
        return len(self.each)

    @property
    def n_channels(self) -> int:
        """Output channels of a network: background and lesion (softmax) for one region, else a sigmoid each."""
        # A single sigmoid starts slowly on small lesions and can stay empty.
        return 2 if len(self) == 1 else len(self)

    def encode(self, label: NDArray[Any]) -> NDArray[np.uint8]:
        """(X, Y, Z) label map -> (R, X, Y, Z) targets: 1 inside a region, 0 outside, `IGNORED` where nothing counts."""
        targets = np.stack([lesion_of(label, region.values) for region in self.each]).astype(np.uint8)
        if self.ignore is not None:
            targets[:, label == self.ignore] = IGNORED
        return targets

    def decode(self, masks: NDArray[Any]) -> NDArray[np.integer[Any]]:
        """(R, X, Y, Z) masks -> (X, Y, Z) label map of the smallest type, whose regions are the masks.

        So it is for masks that some label map can hold. Elsewhere (an inner region outside of its outer one) a voxel
        takes the value that is in as many of its regions, and in as few others, as possible; among several the one that
        is written last.
        """
        table = self._values_by_code()
        code: NDArray[np.int64] = np.zeros(masks.shape[1:], dtype=np.int64)
        for place, mask in enumerate(masks):
            code |= mask.astype(bool).astype(np.int64) << place
        label: NDArray[np.integer[Any]] = table[code]
        return label

    def _values_by_code(self) -> NDArray[np.integer[Any]]:
        """(2^R,) the value of each combination of regions, as bits; 0 for none."""
        written = [region.written for region in self.each]
        values = sorted({value for region in self.each for value in _listed(region)} | set(written))
        member = np.array([[value in _listed(region) for region in self.each] for value in values])
        # The larger, the later a value is written; others come first.
        order = [written.index(value) if value in written else -1 for value in values]
        codes = (np.arange(2 ** len(self.each))[:, None] >> np.arange(len(self.each))) & 1 > 0
        apart = (codes[:, None, :] != member[None, :, :]).sum(axis=2)
        best = (apart * (len(self.each) + 2) - np.array(order)).argmin(axis=1)
        kind = np.result_type(*map(np.min_scalar_type, values))
        table: NDArray[np.integer[Any]] = np.array(values, dtype=kind)[best]
        table[0] = 0
        return table

    def counts(self, label: NDArray[Any]) -> NDArray[np.bool_]:
        """Where a label map holds a value of any region that is not ignored."""
        found: NDArray[np.bool_] = np.zeros(label.shape, dtype=bool)
        for region in self.each:
            found |= lesion_of(label, region.values)
        if self.ignore is not None:
            found &= label != self.ignore
        return found

    def describe(self) -> str:
        """The regions in words: `liver = 1, tumour = 2`."""
        return ", ".join(
            f"{region.name} = {format_label_values(region.values)}"
            if region.name
            else format_label_values(region.values)
            for region in self.each
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint; nothing is `None`, for which TOML has no word."""
        each = [
            {
                "name": region.name,
                "values": "any" if region.values == "any" else list(region.values),
                "written": region.written,
            }
            for region in self.each
        ]
        return {"each": each, **({} if self.ignore is None else {"ignore": self.ignore})}

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Regions:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError, ValueError: It is none of its trees.
            ConfigError: No region.
        """
        each = tuple(
            Region(str(entry["name"]), _label_values(entry["values"]), int(entry["written"])) for entry in tree["each"]
        )
        return cls(each, int(tree["ignore"]) if "ignore" in tree else None)


LESION = Regions()
"""One lesion, label value 1."""


def _listed(region: Region) -> tuple[int, ...]:
    """The values of a region; of "any" the one it is written with."""
    return (region.written,) if region.values == "any" else region.values


def _label_values(tree: Any) -> LabelValues:
    """Label values as files keep them: "any", or a list of numbers."""
    return "any" if tree == "any" else tuple(int(value) for value in tree)


def _check_order(named: Sequence[tuple[str, tuple[int, ...]]], order: Sequence[int]) -> None:
    if len(order) != len(named):
        raise ConfigError(
            f"regions_class_order {list(order)}: has {len(order)} values for {len(named)} regions "
            f"({', '.join(name for name, _ in named)}); give one value for each"
        )
    for (name, values), value in zip(named, order, strict=True):
        if value not in values:
            raise ConfigError(
                f"regions_class_order {list(order)}: region {name} is written as {value}, which is none of its values "
                f"({format_label_values(values)}); give one of them"
            )
