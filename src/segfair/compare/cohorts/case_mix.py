"""Whether the patients of two cohorts are others, and what both cohorts' means would be with one mix of patients.

References:
    Newcombe. Interval estimation for the difference between independent proportions. Statistics in Medicine 1998.
    Deming and Stephan 1940 (raking). Holm 1979.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from segfair import stats
from segfair.attributes.fit import Attribute
from segfair.compare.cohorts.pooled import Pooled
from segfair.compare.cohorts.result import Difference, MixChange, MixLevel, Standardised

__all__ = ["mix_changes", "standardise"]

Floats = NDArray[np.float64]


def mix_changes(pooled: Pooled) -> tuple[MixChange, ...]:
    """How the shares of each attribute's levels differ; the attribute with the smallest p value first.

    Cohorts are exchanged patient by patient, so that cases of one patient stay together.
    """
    found = [(attribute, *_compare_shares(pooled, attribute)) for attribute in pooled.attributes.attributes]
    found = [entry for entry in found if entry[1]]
    adjusted = _holm([p_value for _, _, p_value in found])
    changes = [
        MixChange(attribute.name, levels, p_value, p_adjusted)
        for (attribute, levels, p_value), p_adjusted in zip(found, adjusted, strict=True)
    ]
    return tuple(sorted(changes, key=lambda entry: (entry.p_value, entry.attribute)))


def _compare_shares(pooled: Pooled, attribute: Attribute) -> tuple[tuple[MixLevel, ...], float]:
    """Its levels in both cohorts, and the p value; nothing for an attribute that a cohort has no value of."""
    known = attribute.codes >= 0
    codes, cohort = attribute.codes[known].astype(np.intp), pooled.cohort[known]
    sizes = np.bincount(cohort, minlength=2)
    if not sizes.all():
        return (), 1.0
    units = np.arange(len(codes)) if pooled.subjects is None else pooled.subjects[known]
    units = np.unique(units, return_inverse=True)[1]
    of_unit = np.zeros(int(units.max()) + 1, dtype=np.intp)
    of_unit[units] = cohort
    rng = pooled.stream(f"mix/{attribute.name}")
    observed = _chi_squared(codes, cohort)
    permutations = pooled.config.permutations
    reached = sum(_chi_squared(codes, rng.permutation(of_unit)[units]) >= observed - 1e-9 for _ in range(permutations))
    levels = tuple(
        _level(attribute.levels[code], codes == code, cohort, units)
        for code in range(len(attribute.levels))
        if np.any(codes == code)
    )
    return levels, float((1 + reached) / (1 + permutations))


def _chi_squared(codes: NDArray[np.intp], cohort: NDArray[np.intp]) -> float:
    counts = np.zeros((2, int(codes.max()) + 1))
    np.add.at(counts, (cohort, codes), 1)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    return float(np.sum((counts - expected) ** 2 / np.where(expected > 0, expected, 1)))


def _level(level: str, members: NDArray[np.bool_], cohort: NDArray[np.intp], units: NDArray[np.intp]) -> MixLevel:
    inside = [members[cohort == place] for place in (0, 1)]
    one, other = (float(entry.mean()) for entry in inside)
    # As many trials as there are patients: cases of one patient are no independent ones.
    limits = [_score_limits(share, len(np.unique(units[cohort == place]))) for place, share in enumerate((one, other))]
    # Newcombe's hybrid joins the two score intervals.
    down = np.hypot(other - limits[1][0], limits[0][1] - one)
    up = np.hypot(limits[1][1] - other, one - limits[0][0])
    change = other - one
    counts = [int(np.count_nonzero(entry)) for entry in inside]
    return MixLevel(level, counts[0], counts[1], one, other, (float(change - down), float(change + up)))


def _score_limits(share: float, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z = float(ndtri(0.975))
    centre = share + z * z / (2 * n)
    reach = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float((centre - reach) / (1 + z * z / n)), float((centre + reach) / (1 + z * z / n))


def _holm(p_values: list[float]) -> list[float]:
    order = np.argsort(p_values)
    adjusted, largest = [1.0] * len(p_values), 0.0
    for place, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def standardise(pooled: Pooled) -> Standardised | None:
    """Both means with one mix of patients; None where no case of a cohort has levels that the other one has.

    The wanted share of a level is the average of its shares in the two cohorts; weights are raked to all of these.
    """
    names, codes, kept, left_out = _comparable(pooled)
    sides = [kept & pooled.of(place) for place in (0, 1)]
    sizes = [int(np.count_nonzero(side)) for side in sides]
    if not names or min(sizes) < 2:
        return None
    shares = [
        np.mean([np.bincount(code[side], minlength=int(code.max()) + 1) / side.sum() for side in sides], axis=0)
        for code in codes
    ]
    means, resampled, effective = [], [], []
    for place, role in enumerate(("before", "after")):
        where = sides[place]
        mean, drawn, size = stats.standardised_means(
            pooled.values[where],
            [code[where] for code in codes],
            shares,
            rng=pooled.stream(f"standardised/{role}"),
            draws=pooled.config.bootstrap,
            subjects=None if pooled.subjects is None else pooled.subjects[where],
        )
        means.append(mean)
        resampled.append(drawn)
        effective.append(size)
    n_draws = min(map(len, resampled))
    change = resampled[1][:n_draws] - resampled[0][:n_draws]
    low, high = np.quantile(change, [0.025, 0.975])
    return Standardised(
        tuple(names),
        means[0],
        means[1],
        Difference(means[1] - means[0], (float(low), float(high))),
        sizes[0],
        sizes[1],
        effective[0],
        effective[1],
        left_out,
    )


def _comparable(pooled: Pooled) -> tuple[list[str], list[NDArray[np.intp]], NDArray[np.bool_], tuple[str, ...]]:
    """Attributes, codes, cases all of whose levels both cohorts have, and the levels that one has alone.

    Cases leave with their levels, which may take others' last cases: repeated until nothing changes.
    """
    attributes = [entry for entry in pooled.attributes.attributes if (entry.codes >= 0).all()]
    kept = np.ones(len(pooled.values), dtype=bool)
    left_out: dict[str, None] = {}
    changed = True
    while changed:
        changed = False
        for entry in attributes:
            for code, level in enumerate(entry.levels):
                counts = [np.count_nonzero(kept & pooled.of(place) & (entry.codes == code)) for place in (0, 1)]
                if any(counts) and not all(counts):
                    kept &= entry.codes != code
                    left_out[f"{entry.name} = {level}"] = None
                    changed = True
    names = [entry.name for entry in attributes]
    return names, [_renumbered(entry.codes, kept) for entry in attributes], kept, tuple(left_out)


def _renumbered(codes: NDArray[np.int16], kept: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Codes from 0 on without gaps among the cases that are kept; 0 for the others."""
    found = np.zeros(len(codes), dtype=np.intp)
    found[kept] = np.unique(codes[kept], return_inverse=True)[1]
    return found
