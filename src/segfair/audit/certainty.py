"""How sure the cohort's scores are: intervals, chance levels, and the other group-fairness scores in use.

A score that takes a maximum and a minimum over groups is biased by sample size: an FS without its chance level says
little. The arrays come from `stats`; this module knows what they mean.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair import fairness, stats
from segfair.attributes.fit import Attribute, AttributeTable
from segfair.audit.panel import Panel
from segfair.audit.result import AttributeFacts, AuditConfig, Chance, FairnessScore, Score
from segfair.audit.significance import mean_limits

__all__ = ["CohortScores", "GroupScores", "challenge_of", "point_scores"]

Interval = tuple[float, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Variant:
    """One fairness score as somebody published it.

    `best` is what it would be without any disparity, a constant or the cohort's mean; `worst` its other limit.
    """

    name: str
    variant: str
    formula: str
    reference: str
    worse: Literal["lower", "higher"]
    best: float | Callable[[fairness.LevelMeans], Floats]
    worst: float | None
    compute: Callable[[fairness.LevelMeans], Floats]


def _overall(means: fairness.LevelMeans) -> Floats:
    return means.overall[:, :1]


_ES = "Tian et al., FairSeg (ICLR 2024)"
_PUYOL = "Puyol-Anton et al. (MICCAI 2021)"
_DRO = "Sagawa et al., GroupDRO (ICLR 2020)"
_MAMA = "MAMA-MIA challenge (2025)"
_VARIANTS = (
    _Variant("worst group", "minimum", "min_g D_g", _DRO, "lower", _overall, 0.0, fairness.lowest),
    _Variant("gap", "maximum - minimum", "max_g D_g - min_g D_g", _MAMA, "higher", 0.0, 1.0, fairness.gap),
    _Variant("SD", "population", "std_g D_g, over G", _PUYOL, "higher", 0.0, 0.5, fairness.level_sd),
    _Variant(
        "SER", "max / min error", "max(1 - D_g) / min(1 - D_g)", _PUYOL, "higher", 1.0, None,
        fairness.error_ratio,
    ),
    _Variant(
        "ES-Dice", "population SD", "D / (1 + std_g D_g), over G", _ES, "lower", _overall, 0.0,
        lambda means: fairness.equity_scaled(means, variant="sd-population"),
    ),
    _Variant(
        "ES-Dice", "sample SD", "D / (1 + std_g D_g), over G - 1", _ES, "lower", _overall, 0.0,
        lambda means: fairness.equity_scaled(means, variant="sd-sample"),
    ),
    _Variant(
        "ES-Dice", "sum", "D / (1 + sum_g |D - D_g|)", _ES, "lower", _overall, 0.0,
        lambda means: fairness.equity_scaled(means, variant="sum"),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class GroupScores:
    """Level means of the attributes that can be judged: as observed, under shuffled metadata, and resampled.

    Attributes:
        attributes: Attribute names, in the order of the last axis of every score.
        observed, shuffled, resampled: Level means of DSC (and NormHD, where scored).
        has_normhd: Whether the second outcome is NormHD, so that D_v and FS exist.
    """

    attributes: tuple[str, ...]
    observed: fairness.LevelMeans
    shuffled: fairness.LevelMeans
    resampled: fairness.LevelMeans
    has_normhd: bool

    def interval(
        self,
        compute: fairness.Statistic,
        *,
        worse: Literal["lower", "higher"],
        best: float | fairness.Statistic,
        worst: float | None,
    ) -> Floats:
        """(2,) or (n_attributes, 2) interval of a score; NaN where it has none."""
        return fairness.score_interval(
            compute,
            observed=self.observed,
            resampled=self.resampled,
            shuffled=self.shuffled,
            worse=worse,
            best=best,
            worst=worst,
        )


def challenge_of(
    panel: Panel, attributes: AttributeTable, *, rule: fairness.JudgingRule | None = None
) -> fairness.ChallengeScores | None:
    """The challenge's scores; None where DSC or NormHD is not there for every case.

    Args:
        panel: The cases.
        attributes: Those that count, of the same cases.
        rule: Which of their levels count; None: as the settings say.
    """
    if not panel.is_complete("dsc", "normhd"):
        return None
    return fairness.challenge_scores(
        panel.scores["dsc"],
        panel.scores["normhd"],
        attributes,
        rule=rule or panel.config.judging,
        weight=panel.config.protocol.fairness.weight,
    )


def point_scores(
    panel: Panel, attributes: AttributeTable, challenge: fairness.ChallengeScores | None
) -> dict[str, Score]:
    """The five scores, each with its value without the penalised cases and, for FS, over all levels."""
    if challenge is None:
        return {}
    without, kept = None, np.flatnonzero(~panel.penalised)
    if panel.penalised.any() and len(kept):
        without = challenge_of(panel.select(kept), attributes.select(kept))
    every = challenge_of(panel, attributes, rule=fairness.EVERY_LEVEL)
    return {
        name: Score(
            value,
            without_penalised=getattr(without, name.lower()) if without else None,
            all_levels=every.fs if every and name == "FS" else None,
            reason="" if value is not None else _no_fairness_reason(attributes, panel.config),
        )
        for name in ("DSC", "NormHD", "PS", "FS", "TS")
        for value in [getattr(challenge, name.lower())]
    }


def _no_fairness_reason(attributes: AttributeTable, config: AuditConfig) -> str:
    if not attributes.attributes:
        return "no attribute could be made from the metadata"
    return f"no attribute has two levels of at least {config.min_cases} cases"


def _resample(panel: Panel, outcomes: Sequence[str], attributes: Sequence[Attribute]) -> GroupScores | None:
    """Level means observed, shuffled and resampled; None where there is no attribute to judge."""
    if not attributes or not len(panel):
        return None
    codes = np.array([attribute.codes for attribute in attributes])
    levels = fairness.stack_levels(codes, min_cases=panel.config.judging.min_cases)
    values = np.array([panel.scores[name] for name in outcomes])
    sizes, units = panel.config.resampling, panel.units
    return GroupScores(
        tuple(attribute.name for attribute in attributes),
        fairness.observed_level_means(levels, values),
        fairness.permuted_level_means(
            levels,
            values,
            rng=sizes.stream("scores/permutation"),
            permutations=sizes.permutations,
            strata=units.strata,
            subjects=units.subjects,
        ),
        fairness.bootstrap_level_means(
            levels, values, rng=sizes.stream("scores/bootstrap"), draws=sizes.draws, subjects=units.subjects
        ),
        len(outcomes) == 2,
    )


@dataclass(frozen=True, slots=True, eq=False)
class CohortScores:
    """The five scores with their certainty, drawn from one set of resamples.

    Attributes:
        panel: The cases.
        groups: Level means of DSC and NormHD, or of DSC alone where that is all there is; None where no attribute can
            be judged.
    """

    panel: Panel
    groups: GroupScores | None

    @classmethod
    def of(cls, panel: Panel, attributes: AttributeTable) -> CohortScores:
        """Resamples the level means of some attributes of the same cases."""
        groups = None
        if panel.is_complete("dsc", "normhd"):
            counted = fairness.judged(attributes.attributes, panel.config.judging)
            groups = _resample(panel, ("dsc", "normhd"), counted)
        elif panel.is_complete("dsc"):
            groups = _resample(panel, ("dsc",), attributes.attributes)
        return cls(panel, groups)

    def scores(self, scores: Mapping[str, Score]) -> dict[str, Score]:
        """Adds interval and chance level to DSC, NormHD, PS, FS and TS."""
        dsc, normhd = (self.panel.scores[name] for name in ("dsc", "normhd"))
        certain = dict(scores)
        for name, values in {"DSC": dsc, "NormHD": normhd, "PS": 0.5 * (dsc + 1 - normhd)}.items():
            certain[name] = dataclasses.replace(certain[name], ci=_mean_interval(self.panel, name, values))
        groups = self.groups
        if groups is None or scores["FS"].value is None:
            return certain
        weight = self.panel.config.protocol.fairness.weight
        chance = _chance(fairness.fairness_score(groups.shuffled), float(scores["FS"].value), "lower")
        fs_ci = groups.interval(fairness.fairness_score, worse="lower", best=1.0, worst=0.0)
        certain["FS"] = dataclasses.replace(certain["FS"], ci=stats.defined_interval(fs_ci), chance=chance)

        def fair_total(means: fairness.LevelMeans) -> Floats:
            return np.asarray((1 - weight) * fairness.performance_score(means) + weight)

        total = functools.partial(fairness.total_score, weight=weight)
        ts_ci = groups.interval(total, worse="lower", best=fair_total, worst=0.0)
        certain["TS"] = dataclasses.replace(certain["TS"], ci=stats.defined_interval(ts_ci))
        return certain

    def means(self) -> dict[str, Score]:
        """DSC and NormHD where that is all there is: their means over the cases with a value."""
        found = {}
        for metric, name in (("dsc", "DSC"), ("normhd", "NormHD")):
            if metric not in self.panel.scores:
                continue
            where, values = self.panel.defined(metric)
            if len(values):
                found[name] = Score(float(values.mean()), ci=_mean_interval(self.panel.select(where), name, values))
        return found

    def attributes(self, facts: Sequence[AttributeFacts]) -> tuple[AttributeFacts, ...]:
        """Adds interval and chance level to the D_v of each attribute that can be judged."""
        groups = self.groups
        if groups is None or not groups.has_normhd:
            return tuple(facts)
        observed, shuffled = map(fairness.attribute_disparity, (groups.observed, groups.shuffled))
        intervals = groups.interval(fairness.attribute_disparity, worse="higher", best=0.0, worst=1.0)
        certain = []
        for entry in facts:
            if entry.name not in groups.attributes:
                certain.append(entry)
                continue
            column = groups.attributes.index(entry.name)
            value = float(observed[0, column])
            chance = _chance(shuffled[:, column], value, "higher")
            interval = stats.defined_interval(intervals[column])
            certain.append(dataclasses.replace(entry, disparity_ci=interval, disparity_chance=chance))
        return tuple(certain)

    def variants(self) -> tuple[FairnessScore, ...]:
        """The other fairness scores of each attribute, on DSC; undefined ones with the reason."""
        groups = self.groups
        if groups is None:
            return ()
        found = []
        for variant in _VARIANTS:
            observed, shuffled = variant.compute(groups.observed), variant.compute(groups.shuffled)
            intervals = groups.interval(variant.compute, worse=variant.worse, best=variant.best, worst=variant.worst)
            for column, attribute in enumerate(groups.attributes):
                value = float(observed[0, column])
                entry = FairnessScore(
                    variant.name, variant.variant, attribute, variant.formula, variant.reference, None
                )
                if not np.isfinite(value):
                    found.append(dataclasses.replace(entry, reason=_undefined_reason(variant)))
                    continue
                null = shuffled[:, column]
                chance = _chance(null, value, variant.worse) if np.isfinite(null).all() else None
                found.append(
                    dataclasses.replace(entry, value=value, ci=stats.defined_interval(intervals[column]), chance=chance)
                )
        return tuple(found)


def _mean_interval(panel: Panel, name: str, values: Floats) -> Interval | None:
    if len(values) < 2:
        return None
    low, high = stats.mean_interval(
        values,
        rng=panel.stream(f"scores/{name}"),
        draws=panel.config.bootstrap,
        subjects=panel.units.subjects,
        limits=mean_limits(name, values, panel.config),
    )
    return float(low), float(high)


def _chance(null: Floats, observed: float, worse: Literal["lower", "higher"]) -> Chance:
    level = fairness.chance_level(null, observed, worse=worse)
    return Chance(float(level.mean), (float(level.interval[0]), float(level.interval[1])), float(level.p_value))


def _undefined_reason(variant: _Variant) -> str:
    if variant.name == "SER":
        return "a group has no error at all, so the ratio has no denominator"
    return "fewer than two groups have enough cases"
