"""Intersectional subgroups: the lattice, who belongs to it, how far each diverges. Tests nothing.

The lattice, support, divergence, t and Shapley values are DivExplorer's; `itemsets` enumerates it, and the
tests hold both against each other. It is mined once; afterwards every divergence is one matrix product of the
subgroup-by-case membership matrix with the outcomes. Tests of significance live in `segfair.stats`.

References:
    Pastor, de Alfaro, Baralis. Looking for Trouble: Analyzing Classifier Behavior via Pattern Divergence.
    SIGMOD 2021.
    Poeta et al. Divergence-Aware Training with Automatic Subgroup Mitigation for Breast Tumor Segmentation.
    2025 (FairMedSeg), Eq. 1.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.subgroups.itemsets import Items, frequent_itemsets

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Adjusted",
    "Divergence",
    "Item",
    "Membership",
    "Subgroup",
    "SubgroupTable",
    "combine_items",
    "describe_divergences",
    "divergences",
    "frequent_items",
    "global_item_divergence",
    "item_members",
    "least_count",
    "level_membership",
    "pack_items",
    "redundant",
    "shapley_values",
    "with_levels",
]

Item = tuple[str, str]
"""An (attribute, level) pair."""

_MOST_SUMMED = 6
"""Items up to which Shapley values are summed as they are defined; the terms double with each item."""
_BLOCK_ELEMENTS = 1 << 23
"""Entries of the membership matrix that are floats at a time, 64 MiB."""
Better = Literal["higher", "lower"]
MarginStanding = Literal["within margin", "beyond margin", "open"]


@dataclass(frozen=True, slots=True)
class Subgroup:
    """A set of items; its cases have every item. The empty set is everybody."""

    items: frozenset[Item]

    @property
    def name(self) -> str:
        """Readable name such as `age_group = 41-50, breast_density = d`."""
        return ", ".join(f"{attribute} = {level}" for attribute, level in sorted(self.items)) or "all cases"

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True, eq=False)
class Membership:
    """Which cases belong to which subgroups.

    Attributes:
        subgroups: Subgroups with distinct members. Itemsets with identical members are one subgroup, named by the
            shortest of them (of equally short ones the one whose attributes come first).
        matrix: (n_subgroups, n_cases) bool, row i holds the members of `subgroups[i]`.
        rows: Every itemset of the lattice -> its row, aliases included.
        case_ids: The cases, in column order.
    """

    subgroups: tuple[Subgroup, ...]
    matrix: NDArray[np.bool_]
    rows: Mapping[frozenset[Item], int]
    case_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.subgroups)

    @property
    def sizes(self) -> NDArray[np.intp]:
        """(n_subgroups,) number of members."""
        sizes: NDArray[np.intp] = np.count_nonzero(self.matrix, axis=1)
        return sizes

    def sums(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_subgroups,) sums of (n_cases,) values over the members; the matrix becomes floats a block at a time."""
        # Blocks of whole multiples of 64 rows: the sums are then those of one product, to the last digit.
        step = max(1, _BLOCK_ELEMENTS // (64 * max(1, len(values)))) * 64
        parts = [self.matrix[first : first + step] @ values for first in range(0, len(self), step)]
        return np.concatenate([np.zeros(0), *parts])

    def aliases(self) -> dict[int, tuple[Subgroup, ...]]:
        """Row -> the other itemsets with the same members."""
        found: dict[int, list[Subgroup]] = {}
        for items, row in self.rows.items():
            if items != self.subgroups[row].items:
                found.setdefault(row, []).append(Subgroup(items))
        return {row: tuple(sorted(names, key=lambda name: (len(name), name.name))) for row, names in found.items()}

    def select(self, indices: NDArray[np.intp]) -> Membership:
        """The same subgroups over some of the cases; a subgroup may lose all its members."""
        case_ids = tuple(self.case_ids[index] for index in indices)
        return Membership(self.subgroups, np.ascontiguousarray(self.matrix[:, indices]), self.rows, case_ids)

    def apply(self, table: AttributeTable) -> Membership:
        """The same subgroups over other cases, by the same items; an unknown attribute or level has no members."""
        members = item_members(table)
        nobody = np.zeros(len(table.case_ids), dtype=bool)
        matrix = np.zeros((len(self.subgroups), len(table.case_ids)), dtype=bool)
        for row, subgroup in enumerate(self.subgroups):
            matrix[row] = np.logical_and.reduce([members.get(item, nobody) for item in subgroup.items])
        return Membership(self.subgroups, matrix, self.rows, table.case_ids)


def least_count(min_support: float, n_cases: int) -> int:
    """Fewest cases that are at least a share of some cases; never 0."""
    # 1e-9 keeps a support such as 0.07 of 100 cases at 7 cases in spite of 0.07 * 100 > 7 in floating point.
    return max(1, math.ceil(min_support * n_cases - 1e-9))


def frequent_items(table: AttributeTable, min_count: int) -> list[Item]:
    """The items of at least so many cases, in the order of attributes and levels."""
    return [item for item, who in item_members(table).items() if np.count_nonzero(who) >= min_count]


def pack_items(table: AttributeTable, items: Sequence[Item]) -> Items:
    """Some items, in the order of attributes and levels, ready to be combined."""
    members = item_members(table)
    place = {attribute.name: index for index, attribute in enumerate(table.attributes)}
    matrix = np.array([members[item] for item in items], dtype=bool).reshape(len(items), len(table.case_ids))
    return Items.of(matrix, np.array([place[attribute] for attribute, _ in items], dtype=np.intp))


def combine_items(
    table: AttributeTable, items: Sequence[Item], *, min_count: int, max_items: int | None = None
) -> Membership:
    """The lattice of some items.

    Args:
        table: Categorical attributes of the cases.
        items: In the order of attributes and levels; each is a subgroup, whatever its number of cases.
        min_count: Fewest cases of a combination.
        max_items: Longest combination; None: whatever occurs.

    Returns:
        The lattice, shorter subgroups first, those of one length in the order of their items; without items it has
        none.
    """
    nothing = Membership((), np.zeros((0, len(table.case_ids)), dtype=bool), {}, table.case_ids)
    lengths = frequent_itemsets(pack_items(table, items), min_count=min_count, max_items=max_items)
    return _with_itemsets(
        nothing,
        (
            (frozenset(items[place] for place in places), who)
            for found in lengths
            for places, who in zip(found.items.tolist(), found.members(len(table.case_ids)), strict=True)
        ),
    )


def _with_itemsets(membership: Membership, found: Iterable[tuple[frozenset[Item], NDArray[np.bool_]]]) -> Membership:
    """A membership with further itemsets and their members behind it; those with equal members share a row."""
    subgroups, matrix, rows = list(membership.subgroups), list(membership.matrix), dict(membership.rows)
    row_of_members = {np.packbits(who).tobytes(): row for row, who in enumerate(matrix)}
    for items, who in found:
        row = row_of_members.setdefault(np.packbits(who).tobytes(), len(subgroups))
        if row == len(subgroups):
            subgroups.append(Subgroup(items))
            matrix.append(who)
        rows[items] = row
    stacked = np.array(matrix, dtype=bool).reshape(len(subgroups), len(membership.case_ids))
    return Membership(tuple(subgroups), stacked, rows, membership.case_ids)


def level_membership(table: AttributeTable, attributes: Collection[str]) -> Membership:
    """Every level of some attributes as a subgroup, however few cases it has; no intersections."""
    members = {item: who for item, who in item_members(table).items() if item[0] in attributes}
    return Membership(
        tuple(Subgroup(frozenset({item})) for item in members),
        np.array(list(members.values()), dtype=bool).reshape(len(members), len(table.case_ids)),
        {frozenset({item}): row for row, item in enumerate(members)},
        table.case_ids,
    )


def with_levels(lattice: Membership, table: AttributeTable, *, min_cases: int) -> Membership:
    """A mined lattice and, behind it, the levels of at least `min_cases` cases that are too rare to be mined.

    A small share of a large cohort can be many patients: support says what is worth combining, not who is looked at.

    Args:
        lattice: What was mined from the table.
        table: Categorical attributes of the cases.
        min_cases: Smallest number of members of a level that is added; at least one.

    Returns:
        The rows of the lattice as they were, then the added levels, those with equal members merged. Shapley values,
        pruning and divergences of the mined rows stay as they were; global item divergence, which counts the levels
        of the lattice, is to be taken from the lattice itself.
    """
    levels = ((frozenset({item}), who) for item, who in item_members(table).items())
    rare = ((items, who) for items, who in levels if items not in lattice.rows)
    return _with_itemsets(lattice, ((items, who) for items, who in rare if np.count_nonzero(who) >= max(1, min_cases)))


def item_members(table: AttributeTable) -> dict[Item, NDArray[np.bool_]]:
    """Every level of every attribute -> (n_cases,) its cases, in the order of attributes and levels."""
    return {
        (attribute.name, level): attribute.codes == code
        for attribute in table.attributes
        for code, level in enumerate(attribute.levels)
    }


def divergences(membership: Membership, outcome: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divergence of every subgroup: its mean outcome minus the overall mean (FairMedSeg, Eq. 1).

    Args:
        membership: Subgroups by cases.
        outcome: (n_cases,) finite values.

    Returns:
        (n_subgroups,); 0 for a subgroup without members, of which nothing is known.
    """
    sizes = membership.sizes
    centred = outcome - outcome.mean() if len(outcome) else outcome
    return np.divide(membership.sums(centred), sizes, out=np.zeros(len(sizes)), where=sizes > 0)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is said about a subgroup: the difference between its members and everybody else.

    Attributes:
        kind: Whether members are compared with all others, or with those of their own stratum (n1 n0 / (n1 + n0) of
            each stratum weighting it).
        value: Mean of the members minus mean of the others.
        ci: Its 95 % interval, holding together with those of all subgroups tested: 0 is outside just where the
            subgroup is significant. None where it was not tested.
        p_value: Permutation p alone; `p_adjusted` over the family (max-T).
        n_cases: Members; `n_subjects` the subjects they belong to, None where cases are the units.
        units: What is compared and rearranged.
    """

    kind: Literal["difference", "difference within strata"]
    value: float
    ci: tuple[float, float] | None
    p_value: float | None
    p_adjusted: float | None
    n_cases: int
    n_subjects: int | None = None
    units: Literal["cases", "subjects", "cases within subjects"] = "cases"


@dataclass(frozen=True, slots=True)
class Adjusted:
    """A subgroup's difference to the rest at equal covariates (such as lesion volume).

    Attributes:
        covariates: What was adjusted for.
        difference: Adjusted difference of members and rest; `raw_difference` is the one before adjustment.
        ci: Its 95 % interval.
        p_value, p_adjusted: Freedman-Lane permutation p, alone and over the family (max-T).
        significant: Whether `p_adjusted` is at most the level.
        share_explained: 1 - difference / raw_difference; None unless the raw gap is significant.
    """

    covariates: tuple[str, ...]
    raw_difference: float
    difference: float
    ci: tuple[float, float] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    significant: bool | None = None
    share_explained: float | None = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """One subgroup's standing on one outcome.

    Attributes:
        subgroup: Who.
        aliases: Longer itemsets with the same members.
        n: Members with a defined outcome; `support` is their share of all cases with one.
        mean, rest_mean: Mean outcome of the members, and of everybody else (None if there is nobody else).
        divergence: `mean` minus the overall mean (Eq. 1).
        t: DivExplorer's |t| of the subgroup against everybody (None where both variances are 0).
        redundant: Whether DivExplorer's pruning rule drops it: one item less says nearly the same.
        shapley: Each item's share of the divergence.
        divergence_shrunk: Empirical-Bayes divergence, pulled toward 0 as far as chance explains it; within strata and
            over subjects that of the estimate, times the share of the others.
        estimate: The difference to everybody else, of which p, significance, margin and verdict speak; None where
            nobody is left to compare with.
        ci: Pointwise 95 % interval of the divergence; `ci_simultaneous` holds for all subgroups together.
        p_value, p_adjusted: Those of the estimate.
        significant: Whether `p_adjusted` is at most the level; None where the subgroup is too small to be tested.
        p_bh, p_by: The same p corrected after Benjamini-Hochberg and Benjamini-Yekutieli (false discovery rate).
        margin: Standing against the declared margin; None where none was declared.
        adjusted: The difference at equal covariates.
    """

    subgroup: Subgroup
    aliases: tuple[Subgroup, ...]
    n: int
    support: float
    mean: float
    rest_mean: float | None
    divergence: float
    t: float | None
    redundant: bool
    shapley: Mapping[Item, float] = field(default_factory=dict)
    divergence_shrunk: float | None = None
    ci: tuple[float, float] | None = None
    ci_simultaneous: tuple[float, float] | None = None
    p_value: float | None = None
    p_adjusted: float | None = None
    significant: bool | None = None
    p_bh: float | None = None
    p_by: float | None = None
    margin: MarginStanding | None = None
    adjusted: Adjusted | None = None
    estimate: Estimate | None = None

    @property
    def difference(self) -> float:
        """How far members stand from everybody else, as estimated; 0 where nobody else is left."""
        return self.estimate.value if self.estimate is not None else 0.0


@dataclass(frozen=True, slots=True)
class SubgroupTable:
    """All subgroups of one outcome, most harmful first.

    Attributes:
        outcome: Metric name.
        better: Whether higher or lower values are better; decides what harmful means.
        n_cases: Cases with a defined outcome.
        mean: Their mean; None without cases.
        rows: The subgroups.
    """

    outcome: str
    better: Better
    n_cases: int
    mean: float | None
    rows: tuple[Divergence, ...]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Divergence]:
        return iter(self.rows)

    def worst(self, k: int = 10) -> tuple[Divergence, ...]:
        """The `k` most harmful subgroups that are not redundant."""
        return tuple(itertools.islice((row for row in self.rows if not row.redundant), k))

    def records(self) -> list[dict[str, Any]]:
        """One row a subgroup, most harmful first."""
        return [
            {
                "outcome": self.outcome,
                "subgroup": row.subgroup.name,
                "n": row.n,
                "support": row.support,
                "mean": row.mean,
                "rest_mean": row.rest_mean,
                "divergence": row.divergence,
                "t": row.t,
                "divergence_shrunk": row.divergence_shrunk,
                "ci_low": row.ci[0] if row.ci else None,
                "ci_high": row.ci[1] if row.ci else None,
                "ci_simultaneous_low": row.ci_simultaneous[0] if row.ci_simultaneous else None,
                "ci_simultaneous_high": row.ci_simultaneous[1] if row.ci_simultaneous else None,
                "difference": row.estimate.value if row.estimate else None,
                "difference_low": row.estimate.ci[0] if row.estimate and row.estimate.ci else None,
                "difference_high": row.estimate.ci[1] if row.estimate and row.estimate.ci else None,
                "p_value": row.p_value,
                "p_adjusted": row.p_adjusted,
                "significant": row.significant,
                "p_bh": row.p_bh,
                "p_by": row.p_by,
                "margin": row.margin,
                "adjusted_difference": row.adjusted.difference if row.adjusted else None,
                "adjusted_p": row.adjusted.p_adjusted if row.adjusted else None,
                "redundant": row.redundant,
                "aliases": "; ".join(alias.name for alias in row.aliases),
            }
            for row in self.rows
        ]

    def to_frame(self) -> pd.DataFrame:
        """The same as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.records())


def describe_divergences(
    membership: Membership,
    outcome: NDArray[np.float64],
    *,
    name: str,
    better: Better,
    redundancy: float = 0.05,
) -> SubgroupTable:
    """Describes every subgroup on one outcome.

    Args:
        membership: Subgroups by cases; only cases with a defined outcome.
        outcome: (n_cases,) finite values.
        name: Metric name.
        better: Whether higher or lower values are better.
        redundancy: Share of the outcome's standard deviation; a subgroup is redundant if dropping one of its items
            changes the divergence by no more.

    Returns:
        The table, most harmful first; subgroups without members are left out. No cases: an empty table.
    """
    if not len(outcome):
        return SubgroupTable(name, better, 0, None, ())
    sizes = membership.sizes
    gaps = divergences(membership, outcome)
    mean = float(outcome.mean())
    t_values = _t_against_everybody(membership, outcome, gaps)
    prunable = redundant(membership, gaps, tolerance=redundancy * float(outcome.std()))
    aliases = membership.aliases()
    harm = gaps if better == "higher" else -gaps
    potentials: dict[frozenset[Item], float] = {}
    rows = []
    for row in np.lexsort((np.arange(len(gaps)), harm)):
        n = int(sizes[row])
        if n == 0:
            continue
        n_rest = len(outcome) - n
        rows.append(
            Divergence(
                subgroup=membership.subgroups[row],
                aliases=aliases.get(int(row), ()),
                n=n,
                support=n / len(outcome),
                mean=mean + float(gaps[row]),
                rest_mean=mean - float(gaps[row]) * n / n_rest if n_rest else None,
                divergence=float(gaps[row]),
                t=float(t_values[row]) if np.isfinite(t_values[row]) else None,
                redundant=bool(prunable[row]),
                shapley=shapley_values(membership, gaps, membership.subgroups[row], potentials=potentials),
            )
        )
    return SubgroupTable(name, better, len(outcome), mean, tuple(rows))


def _t_against_everybody(
    membership: Membership, outcome: NDArray[np.float64], gaps: NDArray[np.float64]
) -> NDArray[np.float64]:
    """DivExplorer's |t|: Welch's statistic of the subgroup against the whole that contains it, variances over n."""
    sizes = np.maximum(membership.sizes, 1)
    centred = outcome - outcome.mean()
    # Centred before squaring: DivExplorer's mean of squares minus squared mean loses digits (three equal scores
    # give it a t above 20); elsewhere the two agree.
    variances = np.maximum(membership.sums(centred**2) / sizes - gaps**2, 0.0)
    noise = np.finfo(float).eps * 8 * max(float(np.mean(centred**2)), np.finfo(float).tiny)
    variances[variances < noise] = 0.0
    squared_error = variances / sizes + float(np.mean(centred**2)) / len(outcome)
    with np.errstate(divide="ignore", invalid="ignore"):
        t: NDArray[np.float64] = np.abs(gaps) / np.sqrt(squared_error)
    return t


def redundant(membership: Membership, gaps: NDArray[np.float64], *, tolerance: float) -> NDArray[np.bool_]:
    """DivExplorer's pruning rule: whether dropping one item leaves the divergence within `tolerance`.

    Args:
        membership: The lattice.
        gaps: (n_subgroups,) divergences.
        tolerance: Largest change that counts as nearly the same.

    Returns:
        (n_subgroups,); a single item is redundant if its divergence itself is within `tolerance` of 0.
    """
    pruned = np.zeros(len(membership), dtype=bool)
    for row, subgroup in enumerate(membership.subgroups):
        parents = (_gap(membership, gaps, subgroup.items - {item}) for item in subgroup.items)
        pruned[row] = any(abs(gaps[row] - parent) <= tolerance for parent in parents)
    return pruned


def shapley_values(
    membership: Membership,
    gaps: NDArray[np.float64],
    subgroup: Subgroup,
    *,
    potentials: dict[frozenset[Item], float] | None = None,
) -> dict[Item, float]:
    """Shapley share of each item in a subgroup's divergence; the shares sum to the divergence.

    Args:
        membership: The lattice.
        gaps: (n_subgroups,) divergences.
        subgroup: One of its itemsets.
        potentials: What was found on the way for other subgroups of this lattice and these gaps, and is added to.

    References:
        Pastor et al. 2021, Definition 4.1. Hart, Mas-Colell. Potential, Value, and Consistency. Econometrica 1989,
        Theorem A: the share of an item is the potential of all minus that without it.
    """
    n_items = len(subgroup)
    if n_items > _MOST_SUMMED:
        known = {} if potentials is None else potentials
        whole = _potential(membership, gaps, subgroup.items, known)
        return {
            item: whole - _potential(membership, gaps, subgroup.items - {item}, known)
            for item in sorted(subgroup.items)
        }
    shares = {}
    for item in sorted(subgroup.items):
        others = subgroup.items - {item}
        shares[item] = sum(
            (_gap(membership, gaps, without | {item}) - _gap(membership, gaps, without))
            / (n_items * math.comb(n_items - 1, size))
            for size in range(n_items)
            for without in map(frozenset, itertools.combinations(sorted(others), size))
        )
    return shares


def _potential(
    membership: Membership, gaps: NDArray[np.float64], items: frozenset[Item], known: dict[frozenset[Item], float]
) -> float:
    """Mean of the divergence and the potentials of all itemsets that lack one item; 0 for no items."""
    if not items:
        return 0.0
    if items not in known:
        smaller = sum(_potential(membership, gaps, items - {item}, known) for item in sorted(items))
        known[items] = (_gap(membership, gaps, items) + smaller) / len(items)
    return known[items]


def global_item_divergence(membership: Membership, gaps: NDArray[np.float64]) -> dict[Item, float]:
    """How much each item contributes to divergence over the whole lattice, jointly with other attributes.

    References:
        Pastor et al. 2021, Definition 4.3 (global Shapley value).
    """
    items = [item for itemset in membership.rows if len(itemset) == 1 for item in itemset]
    levels = Counter(attribute for attribute, _ in items)
    n_attributes = len(levels)
    shares = dict.fromkeys(items, 0.0)
    for itemset in membership.rows:
        n_others = len(itemset) - 1
        weight = (
            math.factorial(n_others)
            * math.factorial(n_attributes - n_others - 1)
            / math.factorial(n_attributes)
            / math.prod(levels[attribute] for attribute, _ in itemset)
        )
        gap = _gap(membership, gaps, itemset)
        for item in itemset:
            shares[item] += weight * (gap - _gap(membership, gaps, itemset - {item}))
    return shares


def _gap(membership: Membership, gaps: NDArray[np.float64], items: frozenset[Item]) -> float:
    return float(gaps[membership.rows[items]]) if items else 0.0
