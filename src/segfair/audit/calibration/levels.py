"""Scores of probability maps -> calibration of all cases and of every level. Means and intervals; tests nothing.

What is tested are the outcomes `ece`, `brier` and `overconfidence`, as every other outcome is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes.fit import AttributeTable
from segfair.audit.result import AuditConfig
from segfair.audit.result.scores import Calibration, CalibrationGroup, ReliabilityBin
from segfair.scoring.calibration.cases import MARGIN_MM, MARGIN_VOXELS
from segfair.scoring.calibration.measures import N_BINS
from segfair.scoring.scores import ScoreTable
from segfair.subgroups.lattice import Subgroup, level_membership

__all__ = ["calibration_facts", "reliability"]

Interval = tuple[float, float]


def calibration_facts(
    scores: ScoreTable, attributes: AttributeTable, config: AuditConfig, subjects: NDArray[np.intp] | None
) -> Calibration | None:
    """The calibration of all cases and of every level; None where no probabilities were scored.

    Args:
        scores: The scores, of the cases of the attributes in the same order.
        attributes: The attributes of the audit.
        config: Its settings.
        subjects: (n_cases,) whose cases they are; None: each of its own.
    """
    if not {"ece", "overconfidence"} <= set(scores.names) or not any(score.calibration for score in scores.scores):
        return None
    names = [attribute.name for attribute in attributes.attributes]
    membership = level_membership(attributes, names)
    members = np.vstack([np.ones((1, len(scores)), dtype=bool), membership.matrix])
    everybody = Subgroup(frozenset())
    intervals = _intervals(scores, members, config, subjects)
    groups = [
        _group(items, scores, np.flatnonzero(inside), ci)
        for items, inside, ci in zip((everybody, *membership.subgroups), members, intervals, strict=True)
    ]
    return Calibration(
        N_BINS,
        MARGIN_MM,
        MARGIN_VOXELS,
        groups[0],
        tuple(groups[1:]),
        {score.case: score.no_probabilities for score in scores.scores if score.no_probabilities},
    )


def reliability(cases: Sequence[Sequence[tuple[float, float, float]]]) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram of some cases, each counting alike however large its lesion is; without empty bins.

    Args:
        cases: Of each case, bin by bin, the voxels, the sum of their probabilities, and how many are lesion.
    """
    held = [np.array(case) for case in cases if case]
    if not held:
        return ()
    shares = np.mean([case / case[:, 0].sum() for case in held], axis=0)
    edges = np.arange(N_BINS + 1) / N_BINS
    return tuple(
        ReliabilityBin(float(edges[k]), float(edges[k + 1]), float(n), float(probability / n), float(lesion / n))
        for k, (n, probability, lesion) in enumerate(shares)
        if n > 0
    )


def _group(items: Subgroup, scores: ScoreTable, where: NDArray[np.intp], ci: Interval | None) -> CalibrationGroup:
    cases = [scores.scores[row] for row in where]

    def mean(name: str) -> float | None:
        held = [value for case in cases if (value := case.values[name]) is not None]
        return float(np.mean(held)) if held else None

    expected, over = mean("expected_dsc"), mean("overconfidence")
    return CalibrationGroup(
        items,
        n=sum(case.values["expected_dsc"] is not None for case in cases),
        ece=mean("ece"),
        ece_chance=mean("ece_chance"),
        brier=mean("brier"),
        expected_dsc=expected,
        real_dsc=None if expected is None or over is None else expected - over,
        overconfidence=over,
        ci=ci,
        bins=reliability([case.calibration for case in cases]),
    )


def _intervals(
    scores: ScoreTable, members: NDArray[np.bool_], config: AuditConfig, subjects: NDArray[np.intp] | None
) -> list[Interval | None]:
    """That of the mean over-confidence of each group."""
    where, values = scores.defined("overconfidence")
    if len(values) < 2:
        return [None] * len(members)
    found = stats.subgroup_intervals(
        members[:, where],
        values,
        rng=config.resampling.stream("calibration/overconfidence"),
        draws=config.bootstrap,
        subjects=None if subjects is None else subjects[where],
        min_cases=config.min_cases,
        limits=(-1.0, 1.0),
    )
    return [stats.defined_interval(bounds) for bounds in found.mean]
