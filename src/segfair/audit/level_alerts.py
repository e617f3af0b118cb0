"""Alerts about levels that may be one: spelt alike, cut to the same label, or inside a level of another attribute."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from segfair.attributes.binning import fold
from segfair.attributes.fit import AttributeTable
from segfair.attributes.joins import LevelJoin
from segfair.attributes.nesting import Nested, nested_levels
from segfair.attributes.similar_levels import same_when_cut, similar_levels
from segfair.audit.result import Alert
from segfair.audit.words import clean, item_name, plural
from segfair.cases import Cohort
from segfair.files.cells import of_each

__all__ = ["level_alerts"]

_CUT = 40
"""Characters of a level where tables and sentences cut it."""
_MOST_SHOWN = 5


def level_alerts(attributes: AttributeTable, cohort: Cohort, *, min_cases: int) -> tuple[Alert, ...]:
    """What a reader must know of levels that may be one.

    Args:
        attributes: The attributes of patients.
        cohort: The same cases, whose columns they were made from.
        min_cases: Smallest level of which is said that it lies inside another.
    """
    return (
        *_spelling_alerts(attributes, cohort),
        *_cut_alerts(attributes),
        *_nesting_alerts(nested_levels(attributes, min_cases=min_cases)),
    )


def _spelling_alerts(attributes: AttributeTable, cohort: Cohort) -> Iterable[Alert]:
    for attribute in attributes.attributes:
        if attribute.edges:
            continue
        texts = set(of_each(fold, (value for value in cohort.column(attribute.column) if value is not None)))
        for group in similar_levels(attribute, texts):
            named = " and ".join(
                f"{item_name((attribute.name, level))} (n = {(attribute.codes == attribute.levels.index(level)).sum()})"
                for level in group
            )
            option = shlex.quote(str(LevelJoin(attribute.column, group, group[0])))
            yield Alert("spelling", f"{named} may be one level that is spelt differently; if so: --join {option}")


def _cut_alerts(attributes: AttributeTable) -> Iterable[Alert]:
    for attribute in attributes.attributes:
        for group in same_when_cut(attribute, lambda level: clean(level, length=_CUT)):
            option = shlex.quote(str(LevelJoin(attribute.column, group[:1], "a short name")))
            shorten = "" if attribute.edges else f"; to give one a short name: --join {option}"
            yield Alert(
                "spelling",
                f"{len(group)} levels of {clean(attribute.name)} look the same where they are cut, as "
                f"{clean(group[0], length=_CUT)}{shorten}",
            )


def _nesting_alerts(nested: tuple[Nested, ...]) -> Iterable[Alert]:
    """One alert for each two attributes, a handful at most; the rest is counted."""
    by_pair: dict[tuple[str, str], list[Nested]] = {}
    for entry in nested:
        by_pair.setdefault((entry.inner[0], entry.outer[0]), []).append(entry)
    for entries in list(by_pair.values())[:_MOST_SHOWN]:
        yield Alert("nested", _nesting_sentence(entries))
    if (more := len(by_pair) - _MOST_SHOWN) > 0:
        yield Alert("nested", f"{plural(more, 'further pair')} of attributes have levels inside levels of the other.")


def _nesting_sentence(entries: list[Nested]) -> str:
    first = entries[0]
    text = f"All {first.n_inner:,} cases of {item_name(first.inner)} are of {item_name(first.outer)}"
    more = f", and {plural(len(entries) - 1, 'more level')} of the first lie inside one of the second"
    every = ", as is each level of the first inside one of the second"
    also = "" if len(entries) == 1 else every if first.is_every else more
    return f"{text} (n = {first.n_outer:,}){also}: what is found in the first may be due to the second."
