"""Which attributes a page has room for: all of them, or in a wide table those that say most.

What is not drawn is counted in words; audit.json has it all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from segfair.audit.judging.verdict import headline
from segfair.audit.result import AttributeFacts, AuditResult
from segfair.subgroups.lattice import Divergence, Subgroup

__all__ = ["MOST_ATTRIBUTES", "attributes_drawn", "attributes_note", "attributes_opened", "rows_of_levels"]

FEW_ATTRIBUTES = 2
"""So many attributes are never folded away."""
MOST_ATTRIBUTES = 30
"""Attributes with a figure and a table of their own; more of them make a page of several megabytes."""


def rows_of_levels(result: AuditResult) -> dict[Subgroup, Divergence]:
    """Each level -> the test that says most about it; a level with the same cases as another has that one's."""
    found: dict[Subgroup, Divergence] = {}
    for row in (*result.subgroups[result.subgroups.primary_outcome], *(result.subgroups.primary_levels or ())):
        for alias in row.aliases:
            if len(alias) == 1:
                found.setdefault(alias, row)
        if len(row.subgroup) == 1:
            found[row.subgroup] = row
    return found


def attributes_drawn(result: AuditResult) -> frozenset[str]:
    """Names of the attributes: all, or those fixed beforehand and those of the strongest evidence."""
    facts = result.attributes.facts
    if len(facts) <= MOST_ATTRIBUTES:
        return frozenset(entry.name for entry in facts)
    rows = rows_of_levels(result)

    def evidence(entry: AttributeFacts) -> tuple[bool, float, float, float]:
        levels = (rows.get(Subgroup(frozenset({(entry.name, level.level)}))) for level in entry.levels)
        tested = [row for row in levels if row is not None and row.p_adjusted is not None]
        return (
            not entry.primary,
            _least(row.p_adjusted for row in tested),
            _least(row.p_value for row in tested),
            -max((abs(row.t or 0.0) for row in tested), default=0.0),
        )

    return frozenset(entry.name for entry in sorted(facts, key=evidence)[:MOST_ATTRIBUTES])


def attributes_opened(result: AuditResult) -> frozenset[str]:
    """Names of the attributes that need no unfolding: those fixed beforehand, else those that the verdict is about.

    All, where they are few or where neither names one that is drawn.
    """
    drawn = attributes_drawn(result)
    declared = {entry.name for entry in result.attributes.facts if entry.primary}
    worst = headline(result)
    named = [finding.items for finding in result.subgroups.findings] or ([worst.subgroup] if worst else [])
    opened = declared or {name for subgroup in named for name, _ in subgroup.items}
    return frozenset(opened & drawn) if opened & drawn and len(drawn) > FEW_ATTRIBUTES else drawn


def attributes_note(result: AuditResult) -> str:
    """How many attributes the page leaves out; empty where it has room for all."""
    rest = len(result.attributes.facts) - MOST_ATTRIBUTES
    if rest <= 0:
        return ""
    return (
        f"Of {rest + MOST_ATTRIBUTES:,} attributes those fixed beforehand and those with the strongest evidence of a "
        f"difference; audit.json has the other {rest:,}."
    )


def _least(values: Iterable[float | None]) -> float:
    return min((value for value in values if value is not None), default=math.inf)
