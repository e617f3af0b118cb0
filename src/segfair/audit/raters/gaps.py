"""The gaps of the model beside those of the raters, group by group. Reads no mask; arithmetic on scores alone.

A group in which raters agree less is one where labels are harder to draw, or drawn with less care: a model's gap there
says as much about the labels as about the model. A gap that stands under every rater's labels is the model's.

References:
    Zhang et al. Disentangling Human Error from the Ground Truth in Segmentation of Medical Images. NeurIPS 2020.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.audit.panel import Panel
from segfair.audit.raters.labels import RatedLabels
from segfair.audit.result import AuditResult
from segfair.audit.result.second_labels import CaseAgreement, RaterGap, RaterGroup, RaterPair, Raters, Ruler
from segfair.audit.second_labels import shown_groups
from segfair.audit.words import plural
from segfair.scoring.scores import ScoreTable
from segfair.subgroups.lattice import Membership, Subgroup, divergences

__all__ = ["compare_raters"]

Values = Mapping[str, float]
"""Case -> value, cases without one left out."""
Pair = tuple[str, str]


def compare_raters(
    result: AuditResult,
    rated: RatedLabels,
    scores: Mapping[str, ScoreTable],
    pairs: Mapping[Pair, ScoreTable],
    *,
    reference: str,
) -> Raters:
    """What several raters say about the gaps of an audit.

    Args:
        result: The audit against the reference; its settings hold.
        rated: Who labelled what.
        scores: Ruler -> scores of the same predictions against it, without the reference.
        pairs: Two raters -> the DSC of the second one's labels against the first one's.
        reference: The ruler of the audit itself.
    """
    panel, outcome = Panel.of_result(result), result.subgroups.primary_outcome
    places, known = panel.defined(outcome)
    measured = {reference: {panel.case_ids[row]: float(value) for row, value in zip(places, known, strict=True)}}
    measured |= {name: _scores_of(table, outcome) for name, table in scores.items()}
    agreed = {pair: _scores_of(table, "dsc", penalised=False) for pair, table in pairs.items()}
    per_case = {case: _mean([values[case] for values in agreed.values() if case in values]) for case in panel.case_ids}
    agreement = {case: value for case, value in per_case.items() if value is not None}
    membership = shown_groups(panel)
    of_raters = _gaps(panel, membership, agreement, result, "agreement")
    of_model = {name: _gaps(panel, membership, values, result, name) for name, values in measured.items()}
    groups = [
        RaterGroup(group, of_raters.get(group), {name: gaps[group] for name, gaps in of_model.items() if group in gaps})
        for group in membership.subgroups
    ]
    groups.sort(key=_least_agreed)
    return Raters(
        outcome,
        reference,
        tuple(rated.raters),
        _mean(list(agreement.values())),
        _interval(panel, agreement, result),
        _sentence(groups, len(rated.raters), reference, _mean(list(agreement.values()))),
        tuple(RaterPair(*pair, len(values), _mean(list(values.values()))) for pair, values in agreed.items()),
        tuple(Ruler(name, *_tally(panel, values)) for name, values in measured.items()),
        tuple(groups),
        tuple(
            CaseAgreement(case, rated.n_raters.get(case, 0), per_case[case], rated.tied.get(case, 0))
            for case in panel.case_ids
        ),
        rated.left_out,
    )


def _least_agreed(group: RaterGroup) -> tuple[bool, bool, float]:
    """Those that are tested first, and among them those in which raters agree least."""
    found = group.agreement
    return (found is None, found is None or found.significant is None, 0.0 if found is None else found.gap)


def _scores_of(table: ScoreTable, metric: str, *, penalised: bool = True) -> dict[str, float]:
    """Case -> value; a label that could not be read is no disagreement."""
    return {
        score.case: value
        for score in table.scores
        if (value := score.values.get(metric)) is not None and (penalised or score.penalised is None)
    }


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _tally(panel: Panel, values: Values) -> tuple[int, float | None]:
    held = [values[case] for case in panel.case_ids if case in values]
    return len(held), _mean(held)


def _rows(panel: Panel, values: Values) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.intp] | None]:
    """Rows with a value, the values, and whose these cases are."""
    where = np.array([row for row, case in enumerate(panel.case_ids) if case in values], dtype=np.intp)
    subjects = panel.units.subjects
    held = np.array([values[panel.case_ids[row]] for row in where], dtype=np.float64)
    return where, held, None if subjects is None else subjects[where]


def _gaps(
    panel: Panel, membership: Membership, values: Values, result: AuditResult, purpose: str
) -> dict[Subgroup, RaterGap]:
    """How far each group lies from all cases, by the audit's own tests; groups without a value are left out."""
    where, held, subjects = _rows(panel, values)
    inside = membership.select(where)
    if len(held) < 2 or not len(inside):
        return {}
    config = result.about.config
    test = stats.max_t(
        inside.matrix,
        held,
        rng=_rng(result, f"{purpose}/permutation"),
        min_cases=config.min_cases,
        permutations=config.permutations,
        subjects=subjects,
    )
    significant = test.significant(config.level)
    bounds = stats.subgroup_intervals(
        inside.matrix,
        held,
        rng=_rng(result, f"{purpose}/bootstrap"),
        draws=config.bootstrap,
        subjects=subjects,
        min_cases=config.min_cases,
    ).divergence
    gaps = divergences(inside, held)
    return {
        group: RaterGap(
            int(members.sum()),
            float(held[members].mean()),
            float(gaps[row]),
            stats.defined_interval(bounds[row]),
            stats.defined(test.p_value[row]),
            stats.defined(test.p_adjusted[row]),
            bool(significant[row]) if test.tested[row] else None,
        )
        for row, (group, members) in enumerate(zip(inside.subgroups, inside.matrix, strict=True))
        if members.any()
    }


def _interval(panel: Panel, values: Values, result: AuditResult) -> tuple[float, float] | None:
    """That of the mean agreement."""
    _, held, subjects = _rows(panel, values)
    if len(held) < 2:
        return None
    rng = _rng(result, "agreement/mean")
    low, high = stats.mean_interval(held, rng=rng, draws=result.about.config.bootstrap, subjects=subjects)
    return max(0.0, float(low)), min(1.0, float(high))


def _sentence(groups: Sequence[RaterGroup], n_raters: int, reference: str, agreement: float | None) -> str:
    """Where raters differ, and which of the model's gaps do not depend on who drew the labels."""
    told = [
        f"{n_raters} raters; no case has labels of two that could be compared."
        if agreement is None
        else f"{n_raters} raters agree with a mean DSC of {agreement:.3f}."
    ]
    tested = [group for group in groups if group.agreement is not None and group.agreement.significant is not None]
    less = [group for group in tested if group.agreement and group.agreement.significant and group.agreement.gap < 0]
    if less and less[0].agreement:
        told.append(
            f"They agree less in {len(less)} of {plural(len(tested), 'group')}, least in {less[0].items.name} "
            f"(n = {less[0].agreement.n}, {less[0].agreement.gap:+.3f})."
        )
    elif tested:
        told.append(f"In none of {plural(len(tested), 'group')} are they shown to agree less.")
    found = [group for group in groups if (gap := group.model.get(reference)) is not None and gap.significant]
    kept = [
        group
        for group in found
        if all(gap.significant and gap.gap * group.model[reference].gap > 0 for gap in group.model.values())
    ]
    if found:
        told.append(
            f"Of {plural(len(found), 'gap')} of the model shown under {_named(reference)}, {len(kept)} "
            f"{'is' if len(kept) == 1 else 'are'} shown whoever drew the labels."
        )
    else:
        told.append(f"No gap of the model is shown under {_named(reference)}.")
    return " ".join(told)


def _named(ruler: str) -> str:
    return {"majority": "the majority", "staple": "STAPLE"}.get(ruler, "the first rater's labels")


def _rng(result: AuditResult, purpose: str) -> np.random.Generator:
    return result.about.config.resampling.stream(f"raters/{purpose}")
