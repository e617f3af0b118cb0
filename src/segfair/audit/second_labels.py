"""The same predictions against two sets of labels: which gaps belong to the model, and which to the ruler.

Reads masks only through `scoring`. A gap that shrinks under another rater's
labels says as much about the labels as about the model; so does a group in which the raters agree less.

References:
    Zhang et al. Disentangling Human Error from the Ground Truth in Segmentation of Medical Images. NeurIPS 2020.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.audit.choices.units import resolve_units
from segfair.audit.panel import Panel
from segfair.audit.result import AuditResult
from segfair.audit.result.second_labels import RulerGroup, TwoRulers
from segfair.cases import Cohort
from segfair.errors import ConfigError, PairingError
from segfair.intake.mask_values import with_pictures
from segfair.intake.rater_labels import RaterLabels, against_labels, labels_in, with_labels
from segfair.remote import shown
from segfair.scoring.cohort import score_cohort
from segfair.scoring.score_cache import ScoreCache
from segfair.scoring.scores import ScoreTable
from segfair.subgroups.lattice import Membership, Subgroup, divergences, level_membership
from segfair.subgroups.search import search_subgroups

__all__ = ["compare_rulers", "measure_again", "shown_groups"]

Interval = tuple[float, float]
Floats = NDArray[np.float64]


def measure_again(
    result: AuditResult,
    cohort: Cohort,
    labels: Path,
    *,
    rater: RaterLabels | None = None,
    executor: Executor | None = None,
    cache: ScoreCache | None = None,
) -> AuditResult:
    """Scores the predictions of an audit against a second set of labels, and the two sets against each other.

    Args:
        result: The audit against the first labels.
        cohort: Its cases.
        labels: Folder of the second labels, named as the first.
        rater: The second labels, where somebody has looked already; None: those of the folder.
        executor: Where cases are scored; None: in this process.
        cache: Where scores of earlier runs lie, and those of this one are kept; None: nowhere.

    Returns:
        The audit with what the second labels say.

    Raises:
        InputError: The folder cannot be used, or some of its masks have a voxel size and others none.
        PairingError: No mask in it belongs to a case, or fewer than two cases have a score under both.
        ConfigError: Its masks have no voxel size, and the first labels do.
    """
    second = with_labels(cohort, rater or labels_in(cohort, labels))
    raters = against_labels(cohort, second)
    config = result.about.config
    if resolve_units(config, second).protocol != config.protocol:
        raise ConfigError(
            f"--labels2 {labels}: its files do not say how large a voxel is, and those of the first labels do; give "
            "the size with --spacing X Y [Z]"
        )
    protocol, spacing = config.protocol, config.spacing_mm
    # Each set of files says for itself what its grey levels mean.
    second, raters = (
        with_pictures(dataclasses.replace(cohort, grey_levels=None), protocol) for cohort in (second, raters)
    )
    where: dict[str, Any] = {"executor": executor, "cache": cache}
    scores = score_cohort(second, protocol, threshold=config.threshold, spacing_mm=spacing, **where)
    agreement = score_cohort(raters, protocol.replace(metrics=("dsc",)), spacing_mm=spacing, **where)
    return dataclasses.replace(
        result,
        about=dataclasses.replace(result.about, inputs={**result.about.inputs, "labels2": shown(str(labels))}),
        subgroups=dataclasses.replace(
            result.subgroups, second_labels=compare_rulers(result, scores, agreement, labels=shown(str(labels)))
        ),
    )


def compare_rulers(result: AuditResult, second: ScoreTable, agreement: ScoreTable, *, labels: str = "") -> TwoRulers:
    """Compares the gaps of one audit with those of the same predictions against other labels.

    Args:
        result: The audit against the first labels; its settings hold.
        second: Scores of the same predictions against the second labels.
        agreement: Scores of the second labels against the first.
        labels: Path of the second labels, for the record.

    Raises:
        ConfigError: The primary outcome was not scored against the second labels.
        PairingError: Fewer than two cases have a score under both.
    """
    outcome, config = result.subgroups.primary_outcome, result.about.config
    if outcome not in second.names:
        raise ConfigError(f"--labels2: {outcome} is not scored there ({', '.join(second.names)})")
    panel = Panel.of_result(result)
    other = {case: value for case, value in zip(second.cases, second.column(outcome), strict=True) if value is not None}
    known, _ = panel.defined(outcome)
    paired = panel.select(np.array([row for row in known if panel.case_ids[row] in other], dtype=np.intp))
    cases = paired.case_ids
    if len(paired) < 2:
        raise PairingError(f"--labels2: {len(paired)} cases have a {outcome} under both sets of labels; it takes two")
    values = np.array([paired.scores[outcome], [other[case] for case in cases]], dtype=np.float64)
    # A second label that cannot be read is no disagreement.
    rated = {score.case: score.values["dsc"] for score in agreement.scores if score.penalised is None}
    agreed = np.array([np.nan if rated.get(case) is None else rated[case] for case in cases], dtype=np.float64)
    subjects = paired.units.subjects
    membership = shown_groups(paired)
    groups = _compare(membership, values, agreed, result, subjects)
    has_agreement = np.isfinite(agreed)
    mean_agreed = float(agreed[has_agreement].mean()) if has_agreement.any() else None
    interval = None
    if has_agreement.sum() > 1:
        low, high = stats.mean_interval(
            agreed[has_agreement],
            rng=_rng(result, "agreement"),
            draws=config.bootstrap,
            subjects=None if subjects is None else subjects[has_agreement],
        )
        interval = (max(0.0, float(low)), min(1.0, float(high)))
    return TwoRulers(
        outcome=outcome,
        labels=labels,
        n_paired=len(cases),
        only_first=len(known) - len(cases),
        only_second=len(other) - len(cases),
        mean_first=float(values[0].mean()),
        mean_second=float(values[1].mean()),
        agreement=mean_agreed,
        agreement_ci=interval,
        sentence=_sentence(groups, outcome, result.subgroups.outcomes[outcome].better),
        groups=groups,
    )


def shown_groups(panel: Panel) -> Membership:
    """Levels and mined subgroups of the paired cases."""
    mined, _ = search_subgroups(panel.attributes, panel.config.bounds)
    levels = level_membership(panel.attributes, [entry.name for entry in panel.attributes.attributes])
    rows: dict[Subgroup, NDArray[np.bool_]] = dict(zip(mined.subgroups, mined.matrix, strict=True))
    # Levels that are too rare to be mined, or an alias of another group, are shown all the same.
    rows |= {
        subgroup: members for subgroup, members in zip(levels.subgroups, levels.matrix, strict=True) if members.any()
    }
    matrix = np.array(list(rows.values()), dtype=bool).reshape(len(rows), len(panel))
    return Membership(tuple(rows), matrix, {group.items: index for index, group in enumerate(rows)}, panel.case_ids)


def _compare(
    membership: Membership,
    values: Floats,
    agreed: Floats,
    result: AuditResult,
    subjects: NDArray[np.intp] | None,
) -> tuple[RulerGroup, ...]:
    if not len(membership):
        return ()
    config, change = result.about.config, values[1] - values[0]
    gaps = [divergences(membership, row) for row in values]
    # The difference of two divergences is the divergence of the difference, so the audit's own tests apply to it.
    test = stats.max_t(
        membership.matrix,
        change,
        rng=_rng(result, "permutation"),
        min_cases=config.min_cases,
        permutations=config.permutations,
        subjects=subjects,
    )
    intervals = _intervals(membership, change, result, subjects, "bootstrap").divergence
    significant = test.significant(config.level)
    agreement = _agreement(membership, agreed, result, subjects)
    groups = [
        RulerGroup(
            items=subgroup,
            n=int(members.sum()),
            mean_first=float(values[0][members].mean()),
            mean_second=float(values[1][members].mean()),
            gap_first=float(gaps[0][row]),
            gap_second=float(gaps[1][row]),
            difference=float(gaps[1][row] - gaps[0][row]),
            ci=stats.defined_interval(intervals[row]),
            p_value=stats.defined(test.p_value[row]),
            p_adjusted=stats.defined(test.p_adjusted[row]),
            significant=bool(significant[row]) if test.tested[row] else None,
            agreement=agreement[row][0],
            agreement_gap=agreement[row][1],
            agreement_ci=agreement[row][2],
        )
        for row, (subgroup, members) in enumerate(zip(membership.subgroups, membership.matrix, strict=True))
    ]
    return tuple(
        sorted(groups, key=lambda group: (group.significant is None, not group.significant, -abs(group.difference)))
    )


def _agreement(
    membership: Membership, agreed: Floats, result: AuditResult, subjects: NDArray[np.intp] | None
) -> list[tuple[float | None, float | None, Interval | None]]:
    """Each group's agreement between the two sets of labels, its gap to that of all cases, and its interval."""
    where = np.flatnonzero(np.isfinite(agreed))
    raters, rated = membership.select(where), agreed[where]
    bounds = np.full((len(membership), 2), np.nan)
    if len(where) > 1:
        of_where = None if subjects is None else subjects[where]
        bounds = np.clip(_intervals(raters, rated, result, of_where, "raters").mean, 0.0, 1.0)
    return [
        (float(rated.mean() + gap), float(gap), stats.defined_interval(pair)) if members.any() else (None, None, None)
        for gap, pair, members in zip(divergences(raters, rated), bounds, raters.matrix, strict=True)
    ]


def _intervals(
    membership: Membership, outcome: Floats, result: AuditResult, subjects: NDArray[np.intp] | None, purpose: str
) -> stats.SubgroupIntervals:
    return stats.subgroup_intervals(
        membership.matrix,
        outcome,
        rng=_rng(result, purpose),
        draws=result.about.config.bootstrap,
        subjects=subjects,
        min_cases=result.about.config.min_cases,
    )


def _sentence(groups: Sequence[RulerGroup], outcome: str, better: str) -> str:
    tested = [group for group in groups if group.significant is not None]
    if not tested:
        return "Insufficient evidence: no group is large enough to compare its gap under the two sets of labels."
    changed = [group for group in tested if group.significant]
    if not changed:
        return (
            f"No gap in {outcome.upper()} is shown to depend on which labels it is measured against "
            f"({len(tested)} groups tested); that is no proof that none does."
        )
    first = changed[0]
    behind = "behind" if (first.gap_first < 0) == (better == "higher") else "ahead"
    return (
        f"{len(changed)} of {len(tested)} gaps in {outcome.upper()} depend on which labels they are measured against, "
        f"most of all {first.items.name} (n = {first.n}): {behind} by {abs(first.gap_first):.3f} under the first "
        f"labels, {first.gap_second:+.3f} from the mean under the second."
    )


def _rng(result: AuditResult, purpose: str) -> np.random.Generator:
    return result.about.config.resampling.stream(f"rulers/{purpose}")
