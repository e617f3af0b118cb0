"""Findings: the few subgroups behind all that is beyond chance, each with those that it explains."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes.fit import AttributeTable
from segfair.attributes.nesting import levels_around
from segfair.audit.result import AuditConfig, Explained, Finding, Stability, WorstOff
from segfair.audit.significance import FamilyOfTests, estimate_of
from segfair.audit.words import subgroup_name
from segfair.subgroups.lattice import Better, Membership, Subgroup

__all__ = ["explain_subgroups", "name_worst"]

_MOST_LISTED = 50
"""Subgroups of a set that holds the worst; a longer list says that nothing is known, which its first fifty say too."""


def explain_subgroups(
    families: Sequence[FamilyOfTests], attributes: AttributeTable, config: AuditConfig, *, better: Better
) -> tuple[Finding, ...]:
    """Finds what explains the significant subgroups: levels fixed beforehand first, then all others within them.

    Args:
        families: Of one outcome, over the same cases; the declared one, where there is one, before the lattice.
        attributes: Of these cases.
        config: Level, numbers of resamples, smallest group.
        better: Direction of the outcome.

    Returns:
        Most harmful first; empty where nothing is beyond chance.
    """
    found: list[tuple[Finding, NDArray[np.bool_]]] = []
    harm = _harm(better)
    strata = families[0].design.units.strata if families else None
    for family in families:
        if family.test is None:
            continue
        named = stats.explain(
            family.membership.matrix,
            family.outcome,
            lengths=_lengths(family),
            harm=harm,
            rng=config.resampling.stream(f"{family.name}/findings"),
            draws=min(500, config.bootstrap),
            min_cases=config.min_cases,
            permutations=config.permutations,
            strata=strata,
            subjects=family.design.units.subjects,
            level=config.level,
            # Within levels that were found already the lattice is another test.
            first=None if found else family.test,
        )
        found = _with_rest(found, family, named, config)
        for step in named:
            members = family.membership.matrix[step.row]
            estimate = estimate_of(step.row, _within(family, strata), step.test, config)
            if estimate is None:
                continue
            subgroup = family.membership.subgroups[step.row]
            finding = Finding(
                items=subgroup,
                estimate=estimate,
                explains=tuple(Explained(family.membership.subgroups[row]) for row in step.explains),
                inside="",
                stability=_stability(step.row, step.lead, family.membership),
                declared=family.declared,
                nested_in=Subgroup(levels_around(members, subgroup.items, attributes)),
                place=len(found) + 1,
            )
            found.append((finding, members))
            codes = np.zeros(len(members), dtype=np.intp) if strata is None else strata
            strata = stats.crossed(codes, members)
    told = [dataclasses.replace(finding, inside=_inside(finding, who, found, harm)) for finding, who in found]
    return tuple(sorted(told, key=lambda finding: -harm * finding.estimate.value))


def _with_rest(
    found: list[tuple[Finding, NDArray[np.bool_]]],
    family: FamilyOfTests,
    named: Sequence[stats.Named],
    config: AuditConfig,
) -> list[tuple[Finding, NDArray[np.bool_]]]:
    """What was found before, with the significant subgroups of a further family that nothing named in it explains.

    They are so for the sake of what was found before, within which they no longer are: each of the finding whose
    members it follows most.
    """
    if not found or family.test is None:
        return found
    subgroups, matrix = family.membership.subgroups, family.membership.matrix
    told = {entry.items for finding, _ in found for entry in finding.explains}
    told |= {subgroups[row] for step in named for row in step.explains}
    shown = np.flatnonzero(family.test.significant(config.level))
    rest = np.array([row for row in shown if subgroups[row] not in told], dtype=np.intp)
    apart = np.array([who - who.mean() for _, who in found])
    owner = np.argmax(np.abs(matrix[rest] @ apart.T) / np.linalg.norm(apart, axis=1), axis=1)

    def with_rest(finding: Finding, index: int) -> Finding:
        more = tuple(Explained(subgroups[row]) for row in rest[owner == index])
        return dataclasses.replace(finding, explains=(*finding.explains, *more))

    return [(with_rest(finding, index), who) for index, (finding, who) in enumerate(found)]


def name_worst(family: FamilyOfTests, config: AuditConfig, *, better: Better) -> WorstOff | None:
    """The subgroup of which most speaks that it is worse; None where none that was tested is."""
    if family.test is None:
        return None
    harm = _harm(better)
    found = stats.worst_off(
        family.membership.matrix,
        family.outcome,
        family.test,
        lengths=_lengths(family),
        harm=harm,
        rng=config.resampling.stream(f"{family.name}/worst"),
        draws=min(500, config.bootstrap),
        min_cases=config.min_cases,
        strata=family.design.units.strata,
        subjects=family.design.units.subjects,
    )
    if found is None:
        return None
    row, lead = found
    return WorstOff(family.membership.subgroups[row], _stability(row, lead, family.membership))


def _lengths(family: FamilyOfTests) -> NDArray[np.intp]:
    """(n_subgroups,) items of each subgroup."""
    return np.array([len(subgroup) for subgroup in family.membership.subgroups], dtype=np.intp)


def _harm(better: Better) -> int:
    """Sign of a difference that is to the members' disadvantage."""
    return -1 if better == "higher" else 1


def _within(family: FamilyOfTests, strata: NDArray[np.intp] | None) -> FamilyOfTests:
    units = dataclasses.replace(family.design.units, strata=strata)
    return dataclasses.replace(family, design=dataclasses.replace(family.design, units=units))


def _stability(row: int, lead: NDArray[np.float64], membership: Membership) -> Stability:
    order = np.argsort(-lead, kind="stable")
    count = int(np.searchsorted(np.cumsum(lead[order]), 0.95 - 1e-9)) + 1
    shown = order[: min(count, _MOST_LISTED)]
    return Stability(float(lead[row]), tuple(Explained(membership.subgroups[index]) for index in shown))


def _inside(
    finding: Finding, members: NDArray[np.bool_], found: list[tuple[Finding, NDArray[np.bool_]]], harm: int
) -> str:
    """Whether a part of a finding stands apart from the rest of it, in words."""
    for other, who in found:
        if other is not finding and who.sum() < members.sum() and not (who & ~members).any():
            how = "worse" if harm * other.estimate.value > 0 else "better"
            return f"{subgroup_name(other.items.items)} inside it is significantly {how} still"
    return "no part of it is significantly worse still"
