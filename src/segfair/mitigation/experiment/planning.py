"""The plan that fits a recipe to a data set: spacing, size, batch, depth, steps, each with its reason.

What the user has set is never planned. Reads no image: it is told the fingerprint.

References:
    Isensee et al. nnU-Net. Nature Methods 2021 (planned from a fingerprint: spacing, patch, depth).
    Poeta et al. 2025 (FairMedSeg), section 4 (the recipe "paper").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from segfair.errors import ConfigError
from segfair.mitigation.data.augmentation import Strength
from segfair.mitigation.data.fingerprint import Fingerprint, thick_axis
from segfair.mitigation.experiment.settings import MitigationSettings
from segfair.mitigation.networks.backbones import NetworkConfig, Size, fitting_size, times
from segfair.mitigation.networks.checkpoints import load_checkpoint
from segfair.mitigation.networks.memory import available_memory, estimate_memory
from segfair.mitigation.prediction.volumes import check_description
from segfair.mitigation.training.catalogue import SELECTIONS, Selection

__all__ = ["describe_selection", "plan_training", "started_from"]

_STRONG_FROM = 50
"""Epochs from which on strong augmentation pays; on real ultrasound at 14 epochs it cost .010 of Dice."""
_SLIGHTLY = 1.2
"""Images so much larger than a processor has time for are left as fine as they are."""
_WHOLE = 2.0
"""Whole images are trained where the largest has at most so many times the voxels of the median one."""


@dataclass(frozen=True, slots=True)
class _Means:
    """What a machine can do in a sensible time, by the axes that a network sees.

    Attributes:
        voxels: Of an image or a patch.
        width: Channels of the first level.
        widest: Channels of the deepest level.
        batch: Images of a step.
        draws: Images drawn in a whole training.
        most_epochs: However few cases there are.
    """

    voxels: int
    width: int
    widest: int
    batch: int
    draws: int
    most_epochs: int


_MEANS: Mapping[tuple[str, int], _Means] = {
    ("cpu", 2): _Means(80**2, 16, 128, 16, 21_000, 200),
    ("cpu", 3): _Means(48**3, 16, 128, 2, 8_000, 100),
    ("cuda", 2): _Means(512**2, 32, 512, 16, 250_000, 1000),
    ("cuda", 3): _Means(128**3, 32, 320, 2, 250_000, 1000),
}


def plan_training(
    settings: MitigationSettings, fingerprint: Fingerprint, *, n_training: int, phases: int = 1
) -> tuple[MitigationSettings, tuple[str, ...]]:
    """Fills in what the user has left open.

    Args:
        settings: With data.
        fingerprint: Of these data.
        n_training: Cases of one training.
        phases: Channels of a case.

    Returns:
        The settings with nothing open that a training needs, and one sentence for each value that was planned.

    Raises:
        ConfigError: Two numbers where images are volumes.
    """
    plan = _Plan(_of_dims(settings, fingerprint.dims), fingerprint, n_training, phases)
    plan.choose("spacing_mm", plan.spacing)
    plan.choose("normalise", plan.normalisation)
    if settings.recipe_name == "paper":
        plan.choose("spatial_size", plan.paper_size)
        plan.choose("epochs", lambda: (100, "the paper's"))
        plan.choose("batch_size", lambda: (1 if not settings.samples_per_case else 4, "whole images are large"))
    else:
        size_is_open = settings.spatial_size is None
        plan.choose("spatial_size", plan.size)
        plan.choose("network", plan.widths)
        if size_is_open:
            plan.fit_size()
            plan.fit_memory()
        plan.choose("batch_size", plan.batch)
        plan.choose("epochs", plan.epochs)
    plan.choose("augmentation", plan.strength)
    plan.choose("flip_axes", plan.flip_axes)
    return plan.settings, tuple(plan.reasons)


def _of_dims(settings: MitigationSettings, dims: int) -> MitigationSettings:
    """Sizes and spacings with one number an axis that a network sees; of pictures a third one means nothing."""
    changes: dict[str, Any] = {}
    for name, option in (("spacing_mm", "--spacing"), ("spatial_size", "--spatial-size or --patch")):
        given = getattr(settings, name)
        if given is not None and len(given) < dims:
            raise ConfigError(f"{option} {' '.join(map(str, given))}: the images are volumes; three numbers are needed")
        if given is not None:
            changes[name] = given[:dims]
    return replace(settings, **changes)


class _Plan:
    """Settings that are being completed, and why each value is what it is."""

    def __init__(self, settings: MitigationSettings, fingerprint: Fingerprint, n_training: int, phases: int) -> None:
        self.settings = settings
        self.phases = phases
        self.fingerprint = fingerprint
        self.n_training = n_training
        self.dims = fingerprint.dims
        self.means = _MEANS["cuda" if settings.device.startswith("cuda") else "cpu", self.dims]
        self.reasons: list[str] = []

    def choose(self, name: str, find: Callable[[], tuple[Any, str]]) -> None:
        """Finds a value that is still open; widths are completed, not replaced."""
        given = getattr(self.settings, name)
        if given is not None and name != "network":
            return
        value, reason = find()
        self.settings = replace(self.settings, **{name: value})
        if reason:
            shown = times(value) if isinstance(value, tuple) and name != "flip_axes" else value
            shown = ", ".join(value) if name == "flip_axes" else shown
            self.reasons.append(f"planned {name.replace('_', ' ')}: {shown if shown != '' else 'none'} ({reason})")

    # Images

    def spacing(self) -> tuple[tuple[float, ...], str]:
        """The median one; along thick slices finer, as nnU-Net has it; coarser where the machine is small."""
        if self.settings.recipe_name == "paper" and self.fingerprint.has_size:
            return (1.0,) * self.dims, "the paper's"
        spacing = list(self.fingerprint.median_spacing)
        reason = "median of the images"
        thick = thick_axis(spacing) if self.dims == 3 else None
        if thick is not None:
            finer = float(np.percentile(self.fingerprint.spacings[:, thick], 10))
            spacing[thick] = max(finer, min(spacing))
            reason += "; of thick slices the tenth percentile"
        median = np.median(self.fingerprint.sizes_at(spacing), axis=0)
        # A size that the user has set is what there is time for.
        room = math.prod(self.settings.spatial_size) if self.settings.spatial_size else self.means.voxels
        excess = float(np.prod(median)) / room
        # On a GPU images are cut into patches instead: nothing is lost but the view of the whole.
        if not self.settings.device.startswith("cuda") and excess > _SLIGHTLY and not self.settings.samples_per_case:
            axes = [axis for axis in range(self.dims) if axis != thick]
            factor = excess ** (1 / len(axes))
            spacing = [side * factor if axis in axes else side for axis, side in enumerate(spacing)]
            reason += f", {factor:.2g} times coarser for a processor"
        return tuple(float(f"{side:.3g}") for side in spacing), reason

    def normalisation(self) -> tuple[str, str]:
        """CT by the data set, everything else image by image."""
        if self.fingerprint.modality == "ct" and self.fingerprint.intensities is not None:
            return "ct", "CT: clipped to the .5th and 99.5th percentile under the labels, standardised by the data set"
        return "case", "each image by its own mean and deviation, over all its phases together"

    def paper_size(self) -> tuple[Size, str]:
        """320 x 320 x 128."""
        return (320, 320, 128)[: self.dims], "the paper's"

    def size(self) -> tuple[Size, str]:
        """Whole images where they fit, else patches of the median size, smaller where the machine is small."""
        sizes = self.fingerprint.sizes_at(cast("tuple[float, ...]", self.settings.spacing_mm))
        median, largest = np.median(sizes, axis=0), sizes.max(axis=0)
        room = self.means.voxels * _WHOLE
        whole = np.prod(largest) <= _WHOLE * np.prod(median) and np.prod(largest) <= room
        if whole and self.settings.samples_per_case is None:
            return tuple(largest.tolist()), "whole images: the largest along each axis"
        if self.settings.samples_per_case is None:
            self.settings = replace(self.settings, samples_per_case=1)
        side = np.minimum(median, largest).astype(float)
        while np.prod(side) > self.means.voxels:
            side[np.argmax(side)] *= 0.9
        patch = tuple(max(1, int(entry)) for entry in side)
        return patch, "patches, around a lesion in half of the draws: images are too large, or differ too much in size"

    # Networks

    def widths(self) -> tuple[dict[str, Any], str]:
        """Depth by the size: halved until a side has 4 to 8 voxels; width by the machine."""
        size = cast(Size, self.settings.spatial_size)
        tables: dict[str, Any] = {}
        for backbone in self.settings.networks:
            given = dict(self.settings.network.get(backbone, {}))
            tables[backbone] = _joined(self._planned_widths(backbone, size), given)
        others = {name: table for name, table in self.settings.network.items() if name not in tables}
        filled = {name: table for name, table in {**others, **tables}.items() if table}
        levels = ", ".join(
            f"{name}: {' - '.join(map(str, table['channels']))}"
            for name, table in filled.items()
            if "channels" in table
        )
        self.reasons += [f"planned channels: {levels} (halved until a side has 4 to 8 voxels)"] if levels else []
        return filled, ""

    def _planned_widths(self, backbone: str, size: Size) -> dict[str, Any]:
        if backbone not in ("unet", "resenc"):
            small = self.means.width < _MEANS["cuda", 3].width
            return dict(NetworkConfig.small(backbone).to_dict()["options"]) if small and ":" not in backbone else {}
        if backbone == "resenc":
            # On a processor all levels are half as fine: a third of the time for the same accuracy.
            stem = 1 if self.settings.device.startswith("cuda") else 2
            strides = self._strides(tuple(side // stem for side in size))
            return {"channels": self._channels(len(strides)), "strides": strides, "stem": stem}
        depth = min(5, int(math.log2(max(min(size), 16) / 4)))
        return {"channels": self._channels(depth), "residual_units": 1 if self.means.width < 32 else 2}

    def _channels(self, depth: int) -> tuple[int, ...]:
        """Doubled at each level below the first, as far as there is room."""
        return tuple(min(self.means.width * 2**level, self.means.widest) for level in range(depth + 1))

    def _strides(self, size: Size) -> tuple[tuple[int, ...], ...]:
        """Each axis is halved until it has 4 to 8 voxels; thick slices begin once the others are as coarse."""
        spacing = list(cast("tuple[float, ...]", self.settings.spacing_mm))
        sides = [float(side) for side in size]
        strides: list[tuple[int, ...]] = []
        while len(strides) < 5:
            finest = min(spacing)
            steps = tuple(2 if sides[axis] >= 8 and spacing[axis] < 2 * finest else 1 for axis in range(self.dims))
            if 2 not in steps:
                break
            strides.append(steps)
            sides = [side / step for side, step in zip(sides, steps, strict=True)]
            spacing = [side * step for side, step in zip(spacing, steps, strict=True)]
        while len(strides) < 2:
            strides.append((2,) * self.dims)
        return tuple(strides)

    def fit_size(self) -> None:
        """The size rounded up to what every backbone takes."""
        size = cast(Size, self.settings.spatial_size)
        self._round_up()
        fitted = cast(Size, self.settings.spatial_size)
        if fitted != size:
            self.reasons.append(f"planned spatial size: {times(fitted)} (rounded up to what the network halves)")

    def config(self, backbone: str) -> NetworkConfig:
        """The network as it stands so far."""
        return replace(self.settings.network_config(backbone), dims=self.dims, in_channels=self.phases)

    # Steps

    def fit_memory(self) -> None:
        """A size that one step of one image, or of its patches, can be taken with."""
        shrunk = False
        while not self._holds(1) and max(cast(Size, self.settings.spatial_size)) > 32:
            size = list(cast(Size, self.settings.spatial_size))
            size[size.index(max(size))] = int(max(size) * 0.8)
            self.settings = replace(
                self.settings, spatial_size=tuple(size), samples_per_case=self.settings.samples_per_case or 1
            )
            self._round_up()
            shrunk = True
        if shrunk:
            size_now = times(cast(Size, self.settings.spatial_size))
            self.reasons.append(f"planned spatial size: {size_now} (patches that the memory holds)")

    def _round_up(self) -> None:
        fitted = cast(Size, self.settings.spatial_size)
        for backbone in self.settings.networks:
            fitted = fitting_size(self.config(backbone), fitted)
        self.settings = replace(self.settings, spatial_size=fitted)

    def _holds(self, batch: int) -> bool:
        """Whether the machine has memory for a step of so many images."""
        limit = available_memory(self.settings.device)
        if limit is None:
            return True
        kind = "cuda" if self.settings.device.startswith("cuda") else "cpu"
        size, n_items = cast(Size, self.settings.spatial_size), batch * (self.settings.samples_per_case or 1)
        return all(
            estimate_memory(self.config(name), size, batch_size=n_items, amp=bool(self.settings.amp), device=kind)
            <= 0.8 * limit
            for name in self.settings.networks
        )

    def batch(self) -> tuple[int, str]:
        """As the machine has time, and memory, for; at least ten steps an epoch."""
        batch = max(1, min(self.means.batch, self.n_training // 10))
        reason = "at least ten steps an epoch" if batch < self.means.batch else "as in nnU-Net's order of magnitude"
        while batch > 1 and not self._holds(batch):
            batch //= 2
            reason = "as many as the memory holds"
        return batch, reason

    def epochs(self) -> tuple[int, str]:
        """As many as draw a fixed number of images."""
        wanted = round(self.means.draws / max(1, self.n_training))
        epochs = int(min(max(10, wanted), self.means.most_epochs))
        return epochs, f"{epochs * self.n_training:,} images drawn from {self.n_training:,} cases"

    def strength(self) -> tuple[Strength, str]:
        """Strong where each case is seen often enough to pay for it."""
        recipe = self.settings.recipe_entry
        if recipe.augmentation is not None:
            return recipe.augmentation, "the recipe's"
        strong = cast(int, self.settings.epochs) >= _STRONG_FROM
        return ("strong" if strong else "light"), f"strong from {_STRONG_FROM} epochs on"

    def flip_axes(self) -> tuple[tuple[str, ...], str]:
        """All axes of a volume; left and right of a picture, whose top and bottom differ."""
        if self.dims == 2:
            return ("x",), "top and bottom of a picture differ"
        return ("x", "y", "z"), "volumes are flipped along every axis"


def _joined(planned: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What is given before what is planned; strides that were planned for another number of levels are left out."""
    table = {**planned, **given}
    if "strides" not in given and "strides" in table and len(table["strides"]) != len(table["channels"]) - 1:
        table["strides"] = ()
    return table


def started_from(settings: MitigationSettings) -> MitigationSettings:
    """What is open is that of the checkpoint that trainings start from: its network, size and spacing.

    Raises:
        InputError: It cannot be read.
    """
    if settings.init is None:
        return settings
    before = check_description(load_checkpoint(settings.init), settings.init, required=False)
    network, preprocessing = before.get("backbone", {}), before.get("preprocessing", {})
    changes: dict[str, Any] = {}
    if settings.network == {} and network.get("name") in settings.networks:
        changes["network"] = {network["name"]: dict(network["options"])}
    for name, value in (
        ("spatial_size", before.get("window")),
        ("spacing_mm", preprocessing.get("spacing_mm")),
        ("normalise", preprocessing.get("normalise")),
    ):
        if getattr(settings, name) is None and value:
            changes[name] = tuple(value) if isinstance(value, list) else value
    return replace(settings, **changes)


def describe_selection(select: Selection) -> str:
    """Which weights are kept, and at what price."""
    return f"kept weights: {select}, {SELECTIONS[select]}"
