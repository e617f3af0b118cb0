"""Case weights from subgroup divergences: small pure functions on arrays. Numpy only; no network, no file.

A weight is made in steps, each a function here: the strength of each subgroup (`strengths`), its memory over
epochs (`remember`), one value for each case from the subgroups it belongs to (`assign`), and, unless the literal
equations are asked for, an exponential tilt (`tilt`), a cap and a mean of 1 (`mean_one`). `draw_cases` turns
weights into the cases of an epoch. Each case's value keeps the subgroup that set it.

References:
    Poeta et al. Divergence-Aware Training with Automatic Subgroup Mitigation for Breast Tumor Segmentation. 2025
    (FairMedSeg), Eqs. 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.subgroups.lattice import Membership, Subgroup, shapley_values, with_levels
from segfair.subgroups.search import Search, SearchBounds, search_subgroups

__all__ = [
    "Assigned",
    "CaseWeights",
    "Lattice",
    "assign",
    "bounded",
    "cell_power",
    "draw_cases",
    "joint_codes",
    "mean_one",
    "mine_validation",
    "necessity",
    "reach_temperature",
    "remember",
    "spread_temperature",
    "strengths",
    "tilt",
]

Kind = Literal["absolute", "deficit"]
Aggregate = Literal["max", "mean", "shapley"]
Memory = Literal["none", "ema", "sum"]

_MOST_ITEMSETS = 100_000
"""Nothing is tested here, so that many subgroups cost time and memory only: more of them than an audit searches."""


def mine_validation(table: AttributeTable, *, min_support: float) -> tuple[Membership, Search]:
    """The subgroups of the validation cases whose divergences are fed back, and which of them were looked for.

    Args:
        table: Their attributes.
        min_support: Smallest share of cases of a subgroup.

    Returns:
        All of them; in a wide table as many as can be held, every level among them.
    """
    bounds = SearchBounds(min_support=min_support, min_cases=1, max_items=None, budget=_MOST_ITEMSETS)
    lattice, search = search_subgroups(table, bounds)
    return with_levels(lattice, table, min_cases=1) if search.n_alone else lattice, search


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """Every itemset mined on one set of cases, and who belongs to it among other cases.

    `Membership` merges itemsets that have the same members, which holds for the cases it was mined on only; the
    training cases of two such itemsets may differ, so each itemset has a row of its own here.

    Attributes:
        mined: Where divergences are measured (the validation cases).
        itemsets: The lattice's itemsets, the shortest first.
        rows: (n_itemsets,) row of `mined` that holds the itemset's divergence.
        members: (n_itemsets, n_cases) bool, who is weighted.
        case_ids: The weighted cases, in column order.
    """

    mined: Membership
    itemsets: tuple[Subgroup, ...]
    rows: NDArray[np.intp]
    members: NDArray[np.bool_]
    case_ids: tuple[str, ...]

    @classmethod
    def over(cls, mined: Membership, table: AttributeTable) -> Lattice:
        """The lattice of `mined` over the cases of `table`, matched by items; an unknown level belongs nowhere."""
        # sorted() is stable: itemsets of one length keep the order in which the lattice names them.
        ordered = sorted(mined.rows, key=len)
        itemsets = tuple(Subgroup(items) for items in ordered)
        rows = np.array([mined.rows[items] for items in ordered], dtype=np.intp)
        everyone = Membership(itemsets, np.zeros((len(itemsets), 0), dtype=bool), {}, ())
        return cls(mined, itemsets, rows, everyone.apply(table).matrix, table.case_ids)


@dataclass(frozen=True, slots=True, eq=False)
class Assigned:
    """One value for each case and the row of the subgroup that set it.

    Attributes:
        values: (n_cases,) non-negative; 0 for a case in no subgroup.
        setter: (n_cases,) row of the subgroup of the largest part, the first of equals; -1 for a case in none.
    """

    values: NDArray[np.float64]
    setter: NDArray[np.intp]

    @property
    def outside(self) -> NDArray[np.bool_]:
        """(n_cases,) whether the case is in no subgroup."""
        return self.setter < 0


@dataclass(frozen=True, slots=True, eq=False)
class CaseWeights(Mapping[str, float]):
    """{case id: weight}, and which subgroup set each.

    Attributes:
        case_ids: The cases in order.
        array: (n_cases,) their weights.
        setters: The subgroup that set each weight; None where none did.
    """

    case_ids: tuple[str, ...]
    array: NDArray[np.float64]
    setters: tuple[Subgroup | None, ...]
    _position: Mapping[str, int]

    @classmethod
    def of(
        cls, case_ids: Sequence[str], values: NDArray[np.float64], setters: Sequence[Subgroup | None] | None = None
    ) -> CaseWeights:
        """Weights of cases in order; without setters no subgroup set any."""
        ids = tuple(case_ids)
        named = tuple(setters) if setters is not None else (None,) * len(ids)
        return cls(ids, np.asarray(values, dtype=np.float64), named, {name: i for i, name in enumerate(ids)})

    def __getitem__(self, case_id: str) -> float:
        return float(self.array[self._position[case_id]])

    def __iter__(self) -> Iterator[str]:
        return iter(self.case_ids)

    def __len__(self) -> int:
        return len(self.case_ids)

    def setter(self, case_id: str) -> Subgroup | None:
        """The subgroup that set the case's weight; None where none did."""
        return self.setters[self._position[case_id]]


def bounded(
    gaps: NDArray[np.float64], sizes: NDArray[np.intp], n_cases: int, *, noise: float, deviations: float
) -> NDArray[np.float64]:
    """What is left of each divergence `deviations` standard errors nearer to 0.

    Where few subgroups are harmed and most are not, this keeps more of a clear divergence than shrinking all of them
    by one factor, and less of an unclear one.

    Args:
        gaps: (n_subgroups,) divergences.
        sizes: (n_subgroups,) members.
        n_cases: Cases on which divergences were measured.
        noise: Variance of the outcome of a case within its joint cell.
        deviations: Standard errors to take off.

    Returns:
        (n_subgroups,) divergences, 0 where the noise explains them.
    """
    error = np.sqrt(noise * np.maximum(1 / np.maximum(sizes, 1) - 1 / max(1, n_cases), 0.0))
    left: NDArray[np.float64] = np.sign(gaps) * np.maximum(np.abs(gaps) - deviations * error, 0.0)
    return left


def strengths(gaps: NDArray[np.float64], *, kind: Kind) -> NDArray[np.float64]:
    """How much each subgroup asks for.

    Args:
        gaps: (n_subgroups,) divergences of an outcome of which higher is better.
        kind: "absolute" is Eq. 2's |divergence|, which also favours well-served subgroups; "deficit" is
            max(0, -divergence).

    Returns:
        (n_subgroups,) non-negative.
    """
    return np.abs(gaps) if kind == "absolute" else np.maximum(0.0, -gaps)


def remember(
    previous: NDArray[np.float64] | None, current: NDArray[np.float64], *, memory: Memory, rate: float = 0.4
) -> NDArray[np.float64]:
    """Carries strengths over epochs.

    Args:
        previous: (n,) result of the epoch before; None in the first.
        current: (n,) strengths of this epoch.
        memory: "none" forgets; "ema" is (1 - rate) * previous + rate * current, started at the first value;
            "sum" is rate * previous + current, started at 0.
        rate: Share of the new value ("ema"), or what is kept of the old one ("sum").

    Returns:
        (n,) strengths to use.
    """
    if memory == "none":
        return current
    if memory == "ema":
        return current if previous is None else (1 - rate) * previous + rate * current
    return current if previous is None else rate * previous + current


def assign(
    members: NDArray[np.bool_],
    strength: NDArray[np.float64],
    *,
    how: Aggregate = "max",
    importance: NDArray[np.float64] | None = None,
) -> Assigned:
    """One value for each case from the subgroups it belongs to.

    Args:
        members: (n_subgroups, n_cases) who belongs to what.
        strength: (n_subgroups,) non-negative.
        how: "max" is Eq. 2; "mean" the mean over the case's subgroups; "shapley" the mean weighted by `importance`.
        importance: (n_subgroups,) non-negative, see `necessity`; needed for "shapley".

    Returns:
        Values and who set them; 0 and -1 for a case in no subgroup.

    References:
        FairMedSeg, Eq. 2, and its Limitations for richer aggregations than the maximum.
    """
    n_subgroups, n_cases = members.shape
    if not n_subgroups:
        return Assigned(np.zeros(n_cases), np.full(n_cases, -1, dtype=np.intp))
    if how == "max":
        return _largest(members, strength)
    if how == "shapley":
        if importance is None:
            raise ValueError("assign: how='shapley' needs the importance of each subgroup")
        shares = members * importance[:, None]
    else:
        shares = members.astype(np.float64)
    parts = shares * strength[:, None]
    inside = members.any(axis=0)
    # Among equal parts the first member row, never a subgroup the case is not in (whose part is 0 too).
    setter = np.where(inside, np.argmax(np.where(members, parts, -1.0), axis=0), -1).astype(np.intp)
    total = shares.sum(axis=0)
    return Assigned(np.divide(parts.sum(axis=0), total, out=np.zeros(n_cases), where=total > 0), setter)


def _largest(members: NDArray[np.bool_], strength: NDArray[np.float64]) -> Assigned:
    """The strongest subgroup of each case: subgroups from the strongest on, until every case has one."""
    values, setter = np.zeros(members.shape[1]), np.full(members.shape[1], -1, dtype=np.intp)
    left = np.ones(members.shape[1], dtype=bool)
    for row in np.argsort(-strength, kind="stable"):
        new = members[row] & left
        values[new], setter[new] = strength[row], row
        left &= ~new
        if not left.any():
            break
    return Assigned(values, setter)


def necessity(mined: Membership, gaps: NDArray[np.float64], itemsets: Sequence[Subgroup]) -> NDArray[np.float64]:
    """How far every item of a subgroup is needed for its divergence, from the items' Shapley shares.

    1 where all items carry the same share (so for every single item), 0 where one item adds nothing or works
    against the others: such a subgroup repeats one with an item less and should not count twice.

    Args:
        mined: The lattice on which divergences are measured.
        gaps: (n_subgroups,) its divergences.
        itemsets: The subgroups asked about.

    Returns:
        (len(itemsets),) values in [0, 1].

    References:
        Pastor et al. 2021, Definition 4.1 (the Shapley shares).
    """
    needed = np.ones(len(itemsets))
    for index, subgroup in enumerate(itemsets):
        if len(subgroup) > 1:
            shares = np.array(list(shapley_values(mined, gaps, subgroup).values()))
            total = float(np.abs(shares).sum())
            towards = shares * np.sign(shares.sum())
            needed[index] = max(0.0, len(shares) * float(towards.min()) / total) if total > 0 else 0.0
    return needed


def tilt(values: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """exp(temperature * value), scaled so that the largest is 1 (no overflow; `mean_one` sets the scale)."""
    return np.exp(temperature * (values - values.max())) if len(values) else values.copy()


def reach_temperature(values: NDArray[np.float64], *, ratio: float, largest: float) -> float:
    """The temperature at which the most harmed case weighs `ratio` times a case without a deficit.

    Args:
        values: (n_cases,) non-negative strengths of the cases, shrunken so that noise is near 0.
        ratio: Wanted weight of the most harmed case over an unharmed one, above 1.
        largest: Upper bound: strengths below log(ratio) / largest do not reach the ratio, and strengths near 0 get
            weights near 1.

    Returns:
        The temperature; `largest` where no case has a deficit.
    """
    top = float(values.max()) if len(values) else 0.0
    return min(largest, math.log(ratio) / top) if top > 0 else largest


def spread_temperature(signal: float, *, ratio: float, largest: float) -> float:
    """The temperature at which a deficit of two standard deviations of the true divergences weighs `ratio` times none.

    Args:
        signal: Variance of the true divergences, without noise (`stats.Shrinkage.signal`).
        ratio: Wanted weight, above 1.
        largest: Upper bound.

    Returns:
        The temperature; `largest` where nothing is beyond noise.
    """
    return min(largest, math.log(ratio) / (2 * math.sqrt(signal))) if signal > 0 else largest


def cell_power(cells: NDArray[np.intp], *, noise: float, gap: float) -> NDArray[np.float64]:
    """How likely a gap of each case's cell would be noticed, from the number of cases in it alone.

    Args:
        cells: (n_cases,) code of each case's cell.
        noise: Variance of the outcome of a case within its cell.
        gap: What its mean differs from that of all cases.

    Returns:
        (n_cases,) power of a two-sided test at 5 %; 1 without noise, and for a cell that holds all cases.
    """
    sizes = np.bincount(cells)[cells] if len(cells) else np.zeros(0)
    variance = noise * (1 / np.maximum(sizes, 1) - 1 / max(1, len(cells)))
    apart = np.divide(gap, np.sqrt(variance), out=np.zeros(len(cells)), where=variance > 0)
    critical = float(scipy.stats.norm.ppf(0.975))
    power = scipy.stats.norm.cdf(apart - critical) + scipy.stats.norm.cdf(-apart - critical)
    return np.where(variance > 0, power, 1.0)


def mean_one(
    weights: NDArray[np.float64], *, outside: NDArray[np.bool_] | None = None, cap: float | None = None
) -> NDArray[np.float64]:
    """Scales weights to a mean of exactly 1 with none above `cap`.

    Cases in no subgroup weigh exactly 1, the others have mean 1 among themselves. What the cap takes from the
    heaviest goes to the others in proportion, or evenly to those of weight 0 if there are no others. All weights
    0: all 1.

    Args:
        weights: (n_cases,) non-negative, finite.
        outside: (n_cases,) cases in no subgroup; None for none.
        cap: Largest weight, at least 1; None for no bound.

    Returns:
        (n_cases,) weights.

    Raises:
        ValueError: A cap below 1, which no weights of mean 1 can keep.
    """
    if cap is not None and cap < 1:
        raise ValueError(f"mean_one: cap is {cap:g}; weights of mean 1 need a cap of at least 1")
    scaled = np.ones(len(weights))
    inside = np.ones(len(weights), dtype=bool) if outside is None else ~outside
    kept = weights[inside]
    if kept.size and kept.max() > 0:
        scaled[inside] = _capped(kept, math.inf if cap is None else cap)
    return scaled


def _capped(weights: NDArray[np.float64], cap: float) -> NDArray[np.float64]:
    n = len(weights)
    order = np.argsort(-weights, kind="stable")
    falling = weights[order]
    # Sum of all but the k heaviest; with k of them at the cap the others share what is left of n.
    rest = np.append(np.cumsum(falling[::-1])[::-1], 0.0)
    for k in range(n):
        if rest[k] <= 0:
            break
        # Shares first, scale second: a scale of its own would overflow for tiny weights.
        left = n - k * cap if k else n
        if left * (falling[k] / rest[k]) <= cap:
            capped = np.full(n, cap)
            capped[order[k:]] = left * (falling[k:] / rest[k])
            return capped
    n_capped = int(np.count_nonzero(weights))
    return np.where(weights > 0, cap, (n - n_capped * cap) / max(1, n - n_capped))


def draw_cases(probabilities: NDArray[np.float64] | None, n_cases: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """The cases of one epoch by systematic resampling, in random order.

    Each case is drawn floor(n p) or ceil(n p) times, so weights take effect with the least possible noise.

    Args:
        probabilities: (n_cases,) non-negative, any scale; None draws each case exactly once.
        n_cases: Number of cases, and of draws.
        rng: Source of randomness.

    Returns:
        (n_cases,) positions.
    """
    order = rng.permutation(n_cases)
    if probabilities is None:
        return order.astype(np.intp)
    # Through a random order, so that which neighbours share a draw differs from epoch to epoch.
    edges = np.cumsum(probabilities[order])
    points = (np.arange(n_cases) + rng.random()) * (edges[-1] / n_cases)
    drawn = order[np.minimum(np.searchsorted(edges, points, side="right"), n_cases - 1)]
    return rng.permutation(drawn).astype(np.intp)


def joint_codes(table: AttributeTable) -> NDArray[np.intp]:
    """(n_cases,) the joint cell of each case: a number, from 0, for each combination of levels that occurs.

    Outside of an attribute (code -1) counts as one more level of it. Without attributes all cases share cell 0.
    """
    if not table.attributes:
        return np.zeros(len(table.case_ids), dtype=np.intp)
    codes = np.stack([attribute.codes for attribute in table.attributes], axis=1)
    _, cells = np.unique(codes, axis=0, return_inverse=True)
    return cells.reshape(-1).astype(np.intp)
