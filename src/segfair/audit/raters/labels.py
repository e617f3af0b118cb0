"""Who labelled which case, and the labels that raters have in common, as files that are scored like any other."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError, PairingError
from segfair.files.finding.patterns import is_pattern, split_pattern
from segfair.files.images.masks import Mask, align, describe_difference
from segfair.intake.mask_values import with_pictures
from segfair.intake.rater_labels import RaterLabels, labels_in, with_labels
from segfair.protocol.rules import Protocol
from segfair.scoring.consensus import RULES, Rule, majority, staple
from segfair.scoring.executors import outcomes_in_order
from segfair.scoring.pairs import lesion_of
from segfair.scoring.reading import read_label
from segfair.scoring.scores import counted_values

__all__ = ["RatedLabels", "put_together", "raters_of", "relabelled"]


@dataclass(frozen=True, slots=True)
class RatedLabels:
    """The labels of several raters, and those that they have in common.

    Attributes:
        raters: Rater -> the cohort with that rater's labels, without the cases that it did not label.
        common: Rule -> the cohort with what the raters have in common.
        n_raters: Case -> how many labels could be used.
        tied: Case -> voxels without a majority.
        left_out: Rater -> case -> why its label could not be used.
    """

    raters: Mapping[str, Cohort]
    common: Mapping[Rule, Cohort]
    n_raters: Mapping[str, int] = field(default_factory=dict)
    tied: Mapping[str, int] = field(default_factory=dict)
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def raters_of(cohort: Cohort, folders: Sequence[Path]) -> dict[str, RaterLabels]:
    """Rater -> labels: that of the labels first, then those of a table of paths, then those of folders.

    A rater is called as the folder of its labels, or the column of the table.

    Raises:
        InputError: A folder that cannot be used.
        PairingError: A rater who labelled none of the cases, or the same files twice.
    """
    own = {case.id: case.label for case in cohort if case.label is not None}
    raters = {_called(cohort.inputs.get("labels")): RaterLabels(own)}
    for name, listed in cohort.raters.items():
        raters[name] = RaterLabels({case: path for case, path in listed.items() if case in own})
    for folder in folders:
        raters[_unique(_called(folder), folder, raters)] = labels_in(cohort, folder)
    for name, found in raters.items():
        twin = next((other for other in raters if other != name and found.files == raters[other].files), None)
        if twin is not None:
            raise PairingError(f"raters {name} and {twin}: have the same files; leave one of them out")
    return raters


def _called(place: Path | None) -> str:
    if place is None:
        return "labels"
    folder = split_pattern(place)[0] if is_pattern(place) else place
    return folder.name if not folder.is_file() else "label"


def _unique(name: str, folder: Path, taken: Collection[str]) -> str:
    if name in (*taken, *RULES):
        name = f"{folder.absolute().parent.name}/{name}"
    if name in taken:
        raise ConfigError(f"--labels2 {folder}: a rater is called {name} already; rename the folder")
    return name


def put_together(
    cohort: Cohort,
    given: Mapping[str, RaterLabels],
    protocol: Protocol,
    folder: Path,
    *,
    spacing_mm: tuple[float, ...] | None = None,
    executor: Executor | None = None,
) -> RatedLabels:
    """Makes what the raters have in common, case by case: the majority, and STAPLE.

    Only what counts is put together: of a protocol with regions the label maps, else the lesion as a whole. A voxel
    that one rater leaves to be ignored is ignored. A label that cannot be read, or lies on another grid than the first
    rater's, is left out for its case alone.

    Args:
        cohort: The cases, with the labels of the first rater.
        given: What `raters_of` says.
        protocol: The rules, resolved.
        folder: Where files are written.
        spacing_mm: Voxel size of masks whose files do not say it.
        executor: Where it is done; None: in this process.
    """
    raters = {name: relabelled(cohort, found, protocol) for name, found in given.items()}
    of_case: dict[str, dict[str, Case]] = {case.id: {} for case in cohort}
    for name, rated in raters.items():
        for case in rated:
            of_case[case.id][name] = dataclasses.replace(case, metadata={})
    jobs = ((case, (tuple(found.items()), protocol, folder, spacing_mm)) for case, found in of_case.items())
    tied: dict[str, int] = {}
    n_raters: dict[str, int] = {}
    left_out: dict[str, dict[str, str]] = {}
    with outcomes_in_order(_write_common, jobs, executor) as outcomes:
        for case_id, (n_usable, n_tied, reasons) in outcomes:
            n_raters[case_id], tied[case_id] = n_usable, n_tied
            for name, reason in reasons.items():
                left_out.setdefault(name, {})[case_id] = reason
    nobody = {case_id: "no rater's label can be used" for case_id, number in n_raters.items() if not number}
    common = {
        rule: dataclasses.replace(
            relabelled(
                cohort,
                RaterLabels({name: _place(folder, rule, name) for name in n_raters if name not in nobody}),
                protocol,
            ),
            excluded={**cohort.excluded, **nobody},
        )
        for rule in RULES
    }
    usable = {
        name: dataclasses.replace(rated, cases=tuple(case for case in rated if case.id not in left_out.get(name, {})))
        for name, rated in raters.items()
    }
    return RatedLabels(usable, common, n_raters, tied, left_out)


def relabelled(cohort: Cohort, rater: RaterLabels, protocol: Protocol) -> Cohort:
    """The cases that a rater has labelled, with that label; pictures mean what these files say."""
    return with_pictures(dataclasses.replace(with_labels(cohort, rater), grey_levels=None), protocol)


def _place(folder: Path, rule: Rule, case: str) -> Path:
    """A file whose name an id cannot lead elsewhere."""
    return folder / rule / f"{hashlib.sha256(case.encode()).hexdigest()[:16]}.npz"


def _write_common(
    raters: Sequence[tuple[str, Case]], protocol: Protocol, folder: Path, spacing_mm: tuple[float, ...] | None
) -> tuple[int, int, dict[str, str]]:
    """Writes the labels in common of one case; how many raters count, how many voxels are tied, who does not count."""
    masks: list[Mask] = []
    counted: list[NDArray[Any]] = []
    reasons = {}
    for name, case in raters:
        try:
            mask = read_label(case, spacing_mm=spacing_mm)
            mask = _on_grid_of(masks[0], mask, protocol) if masks else mask
            counted.append(_that_count(mask, protocol))
            masks.append(mask)
        except InputError as error:
            reasons[name] = str(error)
    if not masks:
        return 0, 0, reasons
    ignored = np.zeros(counted[0].shape, bool)
    if protocol.ignore_label is not None:
        ignored = np.any([mask.array == protocol.ignore_label for mask in masks], axis=0)
    chosen, n_tied = majority(counted)
    found: dict[Rule, NDArray[Any]] = {"majority": chosen, "staple": staple(counted)}
    geometry: dict[str, Any] = {"affine": masks[0].affine} if masks[0].has_size else {}
    for rule, common in found.items():
        place = _place(folder, rule, raters[0][1].id)
        place.parent.mkdir(parents=True, exist_ok=True)
        kept = common if protocol.ignore_label is None else np.where(ignored, protocol.ignore_label, common)
        np.savez_compressed(place, mask=kept, **geometry)
    return len(masks), n_tied, reasons


def _on_grid_of(first: Mask, mask: Mask, protocol: Protocol) -> Mask:
    aligned = align(mask, first, tolerance=protocol.grid.tolerance)
    if aligned is None and not (protocol.grid.match == "shape" and mask.shape == first.shape):
        raise InputError(f"another grid than the first rater's: {describe_difference(first, mask)}")
    return mask if aligned is None else aligned


def _that_count(mask: Mask, protocol: Protocol) -> NDArray[Any]:
    """The values that count; without regions one value, that of the lesion.

    Raises:
        InputError: Structures that overlap.
    """
    if mask.sets:
        raise InputError("its structures overlap, which no label map in common can show")
    values = counted_values(protocol)
    lesion = lesion_of(mask.array, values)
    if protocol.regions:
        return np.where(lesion, mask.array, 0)
    return np.where(lesion, 1 if values == "any" else values[0], 0).astype(np.int16)
