"""In which unit lengths are told: millimetres where the labels say how large a voxel is, else pixels or voxels.

A picture (PNG) or a bare array does not say it, and one pixel is not one millimetre. So the protocol of such a cohort
is put into pixels (2-D) or voxels (3-D) before anything is scored: the names, units and definitions of its metrics say
so from there on. Reads headers, and the voxels of one label.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

from segfair.audit.result import AuditConfig
from segfair.cases import Cohort
from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import has_size, read_mask

__all__ = ["resolve_units"]

_IN_UNITS: Mapping[Literal["px", "voxels", "mm²"], Mapping[str, str]] = {
    "px": {
        "hd95_mm": "hd95_px",
        "hd95_vox": "hd95_px",
        "assd_mm": "assd_px",
        "nsd_1mm": "nsd_1px",
        "nsd_2mm": "nsd_2px",
        "volume": "area_px",
        "area_mm2": "area_px",
        "lesion_hd95_mm": "lesion_hd95_px",
        "lesion_assd_mm": "lesion_assd_px",
    },
    "voxels": {
        "hd95_mm": "hd95_vox",
        "assd_mm": "assd_vox",
        "nsd_1mm": "nsd_1vox",
        "nsd_2mm": "nsd_2vox",
        "volume": "size_vox",
        "area_mm2": "size_vox",
        "lesion_hd95_mm": "lesion_hd95_vox",
        "lesion_assd_mm": "lesion_assd_vox",
    },
    "mm²": {"volume": "area_mm2"},
}
"""Unit -> metric -> the metric that takes its place."""


def resolve_units(config: AuditConfig, cohort: Cohort, *, asked: Collection[str] = ()) -> AuditConfig:
    """The settings with a protocol whose metrics can be told of these labels.

    Where no label has a voxel size (and none is given), HD95, ASSD and NSD are those in pixels (2-D) or voxels (3-D),
    the label's size is its number of pixels or voxels, and NormHD is that HD95 over the protocol's scale. Where
    `spacing_mm` gives pictures a size, or the files of 2-D labels say it, the label's size is an area in mm². All other
    labels leave the settings as they are.

    Args:
        config: The settings; `spacing_mm` is the size of labels whose file has none.
        cohort: The cases, with the paths of their labels.
        asked: Metrics that must be there besides the outcomes.

    Raises:
        ConfigError: An outcome in mm where there are none, or an impossible `spacing_mm`.
        InputError: Some labels have a size and others have none.
    """
    spacing = config.spacing_mm
    if spacing is not None and (len(spacing) not in (2, 3) or not all(0 < side < math.inf for side in spacing)):
        raise ConfigError(f"--spacing {_listed(spacing)}: expected two or three positive numbers in mm, one an axis")
    labels = {case.id: case.label for case in cohort if case.label is not None}
    said = {case: has_size(path) for case, path in labels.items()}
    without = [case for case, size in said.items() if size is False]
    known = [case for case, size in said.items() if size]
    wanted = dict.fromkeys((*config.outcomes, *config.margin, *asked))
    if not without:
        # One slice without a thickness has an area; a single slice of three axes has a volume.
        asks_volume = any(_is_of(name, "volume") for name in wanted)
        return config if asks_volume or not _is_flat(list(labels.values())) else _renamed(config, _IN_UNITS["mm²"])
    if spacing is not None:
        return _renamed(config, _IN_UNITS["mm²"]) if len(spacing) == 2 and not known else config
    if known:
        raise InputError(
            f"the files of {len(known)} labels say how large a voxel is, such as {labels[known[0]]}, and those of "
            f"{len(without)} do not, such as {labels[without[0]]}; give the size of these with --spacing X Y [Z], "
            "or audit them on their own"
        )
    unit: Literal["px", "voxels"] = "px" if _is_flat([labels[case] for case in without]) else "voxels"
    names = _IN_UNITS[unit]
    for name in wanted:
        in_mm = next((metric for metric in names if metric != "hd95_vox" and _is_of(name, metric)), None)
        if in_mm is not None:
            raise ConfigError(
                f"{name}: takes millimetres, and no label says how large a {'pixel' if unit == 'px' else 'voxel'} is "
                f"(such as {labels[without[0]]}); give the size with --spacing X Y{'' if unit == 'px' else ' Z'}, or "
                f"ask for {names[in_mm]}{name.removeprefix(in_mm)}"
            )
    # In 2-D a voxel is a pixel: who asks for voxels by name may have them so.
    kept = {old: new for old, new in names.items() if not any(_is_of(name, old) for name in wanted)}
    normhd = dataclasses.replace(config.protocol.normhd, unit=unit)
    return _renamed(dataclasses.replace(config, protocol=config.protocol.replace(normhd=normhd)), kept)


def _renamed(config: AuditConfig, names: Mapping[str, str]) -> AuditConfig:
    metrics = dict.fromkeys(names.get(name, name) for name in config.protocol.metrics)
    return dataclasses.replace(config, protocol=config.protocol.replace(metrics=tuple(metrics)))


def _is_of(name: str, metric: str) -> bool:
    """Whether a column is a metric, or that metric of a region."""
    return name == metric or name.startswith(f"{metric}_")


def _is_flat(labels: Sequence[Path]) -> bool:
    """Whether labels are pictures, told by the first that can be read."""
    for path in labels:
        if path.name.lower().endswith(".png"):
            return True
        try:
            return read_mask(path).ndim == 2
        except InputError:
            continue
    return False


def _listed(spacing: Sequence[float]) -> str:
    return " ".join(f"{side:g}" for side in spacing)
