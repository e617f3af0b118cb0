"""An audit -> what its gaps are made of. Reads masks only through `scoring`; a gap is compared as its finding was.

The deficit of a case, 1 - DSC, is taken apart into what can be mended on its own: missed lesions, false positives, and
the boundary. Of the boundary one part belongs to the lesion: the same error costs a small or a thin lesion more DSC
than a large one, whoever segments it. A gap is linear in the deficits, so its parts add up to it.

References:
    Reinke et al. Understanding metric-related pitfalls in image analysis validation. Nature Methods 2024 (Dice and
    the size of structures).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Set
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes.joins import join_levels
from segfair.audit.design import build_design
from segfair.audit.panel import Panel
from segfair.audit.raters.labels import relabelled
from segfair.audit.reasons.cases import Deficits, take_cases_apart
from segfair.audit.reasons.words import gap_sentence
from segfair.audit.result import AuditConfig, AuditResult, Finding
from segfair.audit.result.subgroups import PARTS, CaseParts, GapParts, Part, PartName, Reasons
from segfair.cases import Cohort
from segfair.errors import ConfigError
from segfair.intake.mask_values import with_pictures
from segfair.intake.rater_labels import RaterLabels
from segfair.scoring.cohort import score_cohort
from segfair.scoring.score_cache import Rules, ScoreCache
from segfair.scoring.scores import ScoreTable

__all__ = ["OUTCOME", "compare_parts", "n_readings", "require_dsc", "with_reasons"]

OUTCOME = "dsc"
Floats = NDArray[np.float64]


def require_dsc(config: AuditConfig) -> None:
    """Says early that gaps of another metric, or of single lesions, cannot be taken apart.

    Raises:
        ConfigError: The primary outcome is not the DSC of cases.
    """
    if config.unit != "case":
        raise ConfigError(
            f"--reasons: takes the DSC of cases apart, and here a row is a {config.unit}; leave one of --unit and "
            "--reasons out"
        )
    if config.outcomes[0] != OUTCOME:
        raise ConfigError(
            f"--reasons: takes gaps in {OUTCOME} apart, and the primary outcome is {config.outcomes[0]}; name "
            f"{OUTCOME} first in --outcome, or leave --reasons out"
        )


def n_readings(result: AuditResult) -> int:
    """How often `with_reasons` says that a case is done: both times of each whose prediction can be used."""
    return 2 * (len(result.cases.scores.rows) - len(result.cases.counts.penalised))


def with_reasons(
    result: AuditResult,
    cohort: Cohort,
    raters: Mapping[str, RaterLabels] | None = None,
    *,
    measured_with: str = "",
    executor: Executor | None = None,
    cache: ScoreCache | None = None,
    on_done: Callable[[str], None] | None = None,
) -> AuditResult:
    """Takes the gaps of an audit of masks apart.

    Args:
        result: The audit.
        cohort: Its cases, with the labels that it measured with.
        raters: Rater -> labels, where there are several.
        measured_with: Which of the raters drew the cohort's labels; empty: none of them alone.
        executor: Where masks are looked at; None: in this process.
        cache: Where scores of earlier runs lie; None: nowhere.
        on_done: Called with each case whose prediction can be used, twice.

    Returns:
        The audit with what its gaps are made of.

    Raises:
        ConfigError: The primary outcome is not the DSC.
        InputError: Masks that are no longer those that were scored.
    """
    config = result.about.config
    require_dsc(config)
    panel = Panel.of_result(result)
    where, values = panel.defined(OUTCOME)
    panel = panel.select(where)
    dsc = dict(zip(panel.case_ids, values.tolist(), strict=True))
    cohort = with_pictures(cohort, config.protocol)
    of_id = {case.id: case for case in cohort}
    bare = [
        dataclasses.replace(of_id[case], metadata={})
        for case, unusable in zip(panel.case_ids, panel.penalised, strict=True)
        if not unusable
    ]
    rules = Rules(config.protocol, config.threshold, config.spacing_mm)
    deficits = take_cases_apart(bare, rules, dsc, executor=executor, on_done=on_done)
    shifts: dict[str, float] = {}
    others = {name: labels for name, labels in (raters or {}).items() if name != measured_with}
    if others:
        first = len(others) < len(raters or {})
        shifts = _disagreement(
            {case.id for case in bare}, cohort, others, rules, dsc, with_first=first, executor=executor, cache=cache
        )
    strata = _strata(panel, cohort, config)
    reasons = compare_parts(result, panel, deficits, shifts, n_raters=len(others), strata=strata)
    return dataclasses.replace(result, subgroups=dataclasses.replace(result.subgroups, reasons=reasons))


def _disagreement(
    usable: Set[str],
    cohort: Cohort,
    others: Mapping[str, RaterLabels],
    rules: Rules,
    dsc: Mapping[str, float],
    *,
    with_first: bool,
    executor: Executor | None,
    cache: ScoreCache | None,
) -> dict[str, float]:
    """Case -> its mean DSC over the raters, minus that against the labels of the audit; cases without another are not.

    With the labels themselves as one of two raters that is half of the difference between the two.
    """
    held: dict[str, list[float]] = {}
    for labels in others.values():
        labelled = relabelled(cohort, labels, rules.protocol)
        table = score_cohort(
            dataclasses.replace(labelled, cases=tuple(case for case in labelled if case.id in usable)),
            rules.protocol.replace(metrics=(OUTCOME,)),
            threshold=rules.threshold,
            spacing_mm=rules.spacing_mm,
            executor=executor,
            cache=cache,
        )
        for score in table.scores:
            value = score.values[OUTCOME]
            if score.penalised is None and value is not None:
                held.setdefault(score.case, [dsc[score.case]] if with_first else []).append(value)
    return {case: float(np.mean(values)) - dsc[case] for case, values in held.items()}


def _strata(panel: Panel, cohort: Cohort, config: AuditConfig) -> NDArray[np.intp] | None:
    """What cases were compared within, which a finished audit does not hold."""
    if config.stratify is None:
        return None
    of_id = {case.id: case for case in join_levels(cohort, config.join)}
    rows = dataclasses.replace(cohort, cases=tuple(of_id[case] for case in panel.case_ids))
    attributes = panel.attributes.attributes
    everybody = np.arange(len(panel))
    # Without an outcome nothing is adjusted for, and no score is looked at.
    return build_design(rows, ScoreTable((), ()), everybody, config=config, attributes=attributes).units.strata


def compare_parts(
    result: AuditResult,
    panel: Panel,
    deficits: Deficits,
    shifts: Mapping[str, float],
    *,
    n_raters: int = 0,
    strata: NDArray[np.intp] | None = None,
) -> Reasons:
    """What the gap of each finding is made of.

    Args:
        result: The audit; its settings and findings hold.
        panel: Its cases with a DSC.
        deficits: What each case's deficit is made of; a case that is not there has no usable prediction.
        shifts: Case -> how much more DSC it would have against the average rater, which is taken out of its boundary.
        n_raters: Further raters.
        strata: (n_cases,) codes of what cases were compared within.
    """
    config = result.about.config
    dsc = panel.scores[OUTCOME]
    cases = [
        _completed(deficits.parts.get(case), shifts.get(case, 0.0), float(value))
        for case, value in zip(panel.case_ids, dsc, strict=True)
    ]
    matrix = np.array([[parts.get(name, 0.0) for parts in cases] for name in PARTS], dtype=np.float64)
    gaps = []
    for finding in sorted(result.subgroups.findings, key=lambda finding: finding.place):
        members = panel.members(finding.items.items)
        gaps.append(_gap(finding, members, -matrix, panel, strata))
        strata = stats.crossed(np.zeros(len(panel), dtype=np.intp) if strata is None else strata, members)
    order = {finding.items: number for number, finding in enumerate(result.subgroups.findings)}
    return Reasons(
        outcome=OUTCOME,
        unit=deficits.unit,
        errors=deficits.errors,
        n_cases=len(panel),
        n_raters=n_raters,
        n_compared=len(shifts),
        deficit=tuple(
            Part(name, float(row.mean()), _mean_interval(row, name, panel, config))
            for name, row in zip(PARTS, matrix, strict=True)
            if row.any()
        ),
        gaps=tuple(sorted(gaps, key=lambda gap: order[gap.items])),
        cases=tuple(
            CaseParts(case, dict[str, float](parts.items())) for case, parts in zip(panel.case_ids, cases, strict=True)
        ),
    )


def _completed(parts: Mapping[PartName, float] | None, shift: float, dsc: float) -> dict[PartName, float]:
    """The parts of a case with those that masks do not tell."""
    if parts is None:
        return {"no_prediction": 1 - dsc} if dsc < 1 else {}
    if not shift:
        return dict(parts)
    return {**parts, "boundary": parts.get("boundary", 0.0) - shift, "disagreement": shift}


def _mean_interval(row: Floats, name: PartName, panel: Panel, config: AuditConfig) -> tuple[float, float] | None:
    rng = panel.stream(f"reasons/deficit/{name}")
    return stats.defined_interval(
        stats.mean_interval(row, rng=rng, draws=config.bootstrap, subjects=panel.units.subjects)
    )


def _gap(
    finding: Finding, members: NDArray[np.bool_], parts: Floats, panel: Panel, strata: NDArray[np.intp] | None
) -> GapParts:
    """The gap of one finding; `parts` are those of DSC rather than of deficits."""
    config = panel.config
    used = np.flatnonzero(parts.any(axis=1))
    values, bounds = stats.additive_differences(
        members,
        parts[used],
        rng=panel.stream(f"reasons/{finding.items.name}"),
        draws=config.bootstrap,
        strata=strata,
        subjects=panel.units.subjects,
        min_cases=config.min_cases,
    )
    found = tuple(
        Part(PARTS[row], float(value), stats.defined_interval(pair))
        for row, value, pair in zip(used, values, bounds, strict=True)
    )
    told = gap_sentence(finding.items, finding.estimate.value, found)
    estimate = finding.estimate
    return GapParts(finding.items, estimate.n_cases, estimate.value, estimate.kind, finding.place - 1, found, told)
