"""Which groups of cases lie wholly inside a level of some other attribute, so that a gap of theirs may be its.

Counts cases only. Levels of missing values, and levels that hold nearly everybody, say nothing and are passed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import Attribute, AttributeTable

__all__ = ["Nested", "levels_around", "nested_levels"]

Item = tuple[str, str]
_NEARLY_ALL = 0.9
_BY_CHANCE = 0.01
"""Expected number of levels that would lie inside another by chance alone, up to which one is told."""
_MOST_AROUND = 3


@dataclass(frozen=True, slots=True)
class Nested:
    """A level of which all cases are of one level of another attribute.

    Attributes:
        inner, outer: The levels, as (attribute, level).
        n_inner, n_outer: Their cases.
        is_every: Whether each level of the inner attribute lies inside one of the outer, as ages lie in age groups.
    """

    inner: Item
    outer: Item
    n_inner: int
    n_outer: int
    is_every: bool


def nested_levels(table: AttributeTable, *, min_cases: int) -> tuple[Nested, ...]:
    """Levels of at least `min_cases` cases that lie inside a level of another attribute, the largest first.

    Of attributes that are the same level by level the first stands for all, and of two levels with the same cases one
    is told. Those of an attribute that is finer than the other throughout come last.
    """
    entries = _without_twins(table.attributes)
    n_cases = len(table.case_ids)
    n_levels = sum(int((_sizes(entry) >= min_cases).sum()) for entry in entries)
    found: dict[frozenset[Item], Nested] = {}
    for inner, outer in itertools.permutations(entries, 2):
        counts = _crossed(inner, outer)
        inside = _inside(counts, inner)
        sizes, around = _sizes(inner), _sizes(outer)
        for level in np.flatnonzero(inside & (sizes >= min_cases)):
            place = int(counts[level].argmax())
            names = (inner.levels[level], outer.levels[place])
            if inner.missing == names[0] or outer.missing == names[1]:
                continue
            if not _is_telling(int(sizes[level]), int(around[place]), n_cases, n_tried=n_levels**2):
                continue
            entry = Nested(
                (inner.name, names[0]),
                (outer.name, names[1]),
                int(sizes[level]),
                int(around[place]),
                bool(inside.all()),
            )
            found.setdefault(frozenset((entry.inner, entry.outer)), entry)
    return tuple(sorted(found.values(), key=lambda entry: (entry.is_every, -entry.n_inner)))


def levels_around(members: NDArray[np.bool_], items: frozenset[Item], table: AttributeTable) -> frozenset[Item]:
    """Levels that a group does not name and all of its cases have: at most three, of the fewest cases.

    Args:
        members: (n_cases,) who is in the group.
        items: What it is named by. A level with the cases of one of these is another name of it.
        table: Attributes of these cases.
    """
    named = {name for name, _ in items}
    own = [entry.codes == entry.levels.index(level) for name, level in items for entry in [table[name]]]
    n_members, n_levels = int(members.sum()), sum(int((_sizes(entry) > 0).sum()) for entry in table.attributes)
    around = []
    for entry in table.attributes:
        codes = np.unique(entry.codes[members])
        if entry.name in named or len(codes) != 1 or codes[0] < 0 or entry.levels[codes[0]] == entry.missing:
            continue
        inside = entry.codes == codes[0]
        if any((inside == who).all() for who in own):
            continue
        if _is_telling(n_members, int(inside.sum()), len(members), n_tried=n_levels):
            around.append((int(inside.sum()), (entry.name, entry.levels[codes[0]])))
    return frozenset(item for _, item in sorted(around)[:_MOST_AROUND])


def _is_telling(n_inner: int, n_outer: int, n_cases: int, *, n_tried: int) -> bool:
    """Whether so many cases hardly lie inside a level of that size by chance, and it is not nearly everybody's."""
    share = n_outer / n_cases
    return bool(share <= _NEARLY_ALL and n_tried * share**n_inner <= _BY_CHANCE)


def _without_twins(attributes: Sequence[Attribute]) -> list[Attribute]:
    """The attributes, each that is level by level the same as an earlier one left out."""
    kept: list[Attribute] = []
    for entry in attributes:
        crossed = [(_crossed(entry, other), other) for other in kept]
        if not any(_inside(counts, entry).all() and _inside(counts.T, other).all() for counts, other in crossed):
            kept.append(entry)
    return kept


def _sizes(attribute: Attribute) -> NDArray[np.intp]:
    """(n_levels,) cases of each level."""
    return np.bincount(attribute.codes[attribute.codes >= 0], minlength=len(attribute.levels))


def _crossed(one: Attribute, other: Attribute) -> NDArray[np.intp]:
    """(n_levels of one, n_levels of the other) cases that have both."""
    shape = len(one.levels), len(other.levels)
    both = (one.codes >= 0) & (other.codes >= 0)
    cells = one.codes[both].astype(np.intp) * shape[1] + other.codes[both]
    return np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)


def _inside(counts: NDArray[np.intp], attribute: Attribute) -> NDArray[np.bool_]:
    """(n_levels,) whether all cases of a level, or none, are in one column of the crossed counts."""
    return np.asarray(counts.max(axis=1, initial=0) == _sizes(attribute))
