"""The masks of a cohort, read again -> what the deficit of each case is made of. Compares no groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.audit.reasons.parts import Compared, boundary_error, compare, moved_deficit, take_apart
from segfair.audit.result.subgroups import PARTS, BoundaryError, PartName
from segfair.cases import Case
from segfair.errors import InputError
from segfair.protocol.rules import Protocol
from segfair.scoring.executors import outcomes_in_order
from segfair.scoring.metrics import MaskPair
from segfair.scoring.pairs import drop_ignored, lesion_of, with_sets
from segfair.scoring.reading import read_label, read_prediction, size_is_known
from segfair.scoring.score_cache import Rules
from segfair.scoring.scores import LabelValues

__all__ = ["Deficits", "take_cases_apart"]

Parts = Mapping[PartName, float]
_SAME_SCORE = 1e-6


@dataclass(frozen=True, slots=True)
class Deficits:
    """The deficits of some cases.

    Attributes:
        unit: Of lengths; empty without a case.
        errors: The boundary error of the cohort, of each region.
        parts: Case -> what its deficit is made of.
    """

    unit: str
    errors: tuple[BoundaryError, ...]
    parts: Mapping[str, Parts]


def take_cases_apart(
    cases: Iterable[Case],
    rules: Rules,
    scored: Mapping[str, float],
    *,
    executor: Executor | None = None,
    on_done: Callable[[str], None] | None = None,
) -> Deficits:
    """Reads the masks of each case twice: for the boundary error of the cohort, and for what it makes of each.

    Args:
        cases: Those whose prediction can be used.
        rules: As they were scored.
        scored: Case -> its DSC in the audit.
        executor: Where it is done; None: in this process.
        on_done: Called with each case id, twice.

    Raises:
        InputError: Masks that are no longer those that were scored.
    """
    jobs = [(case.id, (case, rules)) for case in cases]
    unit = ""
    lengths: dict[str, list[float]] = {region: [] for region in _regions(rules.protocol)}
    with outcomes_in_order(_measure, jobs, executor) as measured:
        for case_id, (told, found) in measured:
            unit = told
            for region, length in found.items():
                lengths[region].append(length)
            if on_done is not None:
                on_done(case_id)
    errors = tuple(
        BoundaryError(region, float(np.median(values)) if values else 0.0, len(values))
        for region, values in lengths.items()
    )
    reach = {error.region: error.length for error in errors}
    parts: dict[str, Parts] = {}
    with outcomes_in_order(_take_apart, [(name, (*job, reach)) for name, job in jobs], executor) as taken:
        for case_id, own in taken:
            _check_same(case_id, 1 - sum(own.values()), scored[case_id])
            parts[case_id] = own
            if on_done is not None:
                on_done(case_id)
    return Deficits(unit, errors, parts)


def _check_same(case: str, found: float, scored: float) -> None:
    if abs(found - scored) > _SAME_SCORE:
        raise InputError(
            f"case {case}: its masks have a DSC of {found:.6f}, and had {scored:.6f} when they were scored; leave the "
            "files as they are while an audit runs, and run it again with --no-cache"
        )


def _regions(protocol: Protocol) -> Mapping[str, LabelValues]:
    return protocol.regions or {"": protocol.label.overlap}


def _measure(case: Case, rules: Rules) -> tuple[str, dict[str, float]]:
    """The unit of lengths, and the boundary error of each region in which something was found."""
    unit, regions, _ = _read(case, rules)
    found = {name: boundary_error(compared, rules.protocol.surface) for name, compared in regions.items()}
    return unit, {name: length for name, length in found.items() if length is not None}


def _take_apart(case: Case, rules: Rules, reach: Mapping[str, float]) -> Parts:
    """The parts of a case, with regions the mean of each over the regions."""
    _, regions, counted = _read(case, rules)
    both_empty = rules.protocol.empty.both_dsc
    each = []
    for name, compared in regions.items():
        pair = compared.pair
        alone = moved_deficit(pair.label, compared.found, pair.spacing_mm, reach[name], counted=counted)
        each.append(take_apart(compared, alone, both_empty=both_empty))
    means = {name: sum(parts.get(name, 0.0) for parts in each) / len(each) for name in PARTS}
    return {name: value for name, value in means.items() if value}


def _read(case: Case, rules: Rules) -> tuple[str, dict[str, Compared], NDArray[np.bool_] | None]:
    """The unit of lengths, the masks of each region, and which voxels count (None: all).

    Raises:
        InputError: A mask cannot be used any more.
    """
    protocol = rules.protocol
    label = read_label(case, spacing_mm=rules.spacing_mm)
    prediction = read_prediction(case, label, protocol, rules.threshold, rules.spacing_mm).mask
    counted = None if protocol.ignore_label is None else label.array != protocol.ignore_label
    labels, predictions = drop_ignored(label.array, prediction.array, protocol.ignore_label)
    known = size_is_known(label, rules.spacing_mm)
    regions = {}
    for name, values in _regions(protocol).items():
        pair = MaskPair(
            label=lesion_of(labels, with_sets(values, label.sets)),
            prediction=lesion_of(predictions, with_sets(values, prediction.sets)),
            spacing_mm=label.spacing_mm if known else (1.0,) * label.ndim,
            axes_mm=label.axes_mm if known else None,
        )
        regions[name] = compare(pair)
    return "mm" if known else "px" if label.ndim == 2 else "voxels", regions, counted
