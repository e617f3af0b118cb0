"""Inference on arrays: permutation tests, intervals, chance levels, shrinkage, adjustment, power, margins.

Arrays in, arrays out: no tables, files, settings or names of attributes. Outcomes are finite; leave cases without
one out beforehand. What cannot be computed is NaN, and the docstring says when.
"""

from segfair.stats.adjustment import Adjustment, adjusted_max_t, log_volume, spline_basis
from segfair.stats.bootstrap import (
    SubgroupIntervals,
    interval,
    mean_interval,
    rate_interval,
    subgroup_intervals,
)
from segfair.stats.bounds import simultaneous_means
from segfair.stats.disparity import (
    ChanceLevel,
    LevelMeans,
    Levels,
    Statistic,
    attribute_disparity,
    bootstrap_level_means,
    chance_level,
    disparity_interval,
    equity_scaled,
    error_ratio,
    fairness_score,
    gap,
    highest,
    level_sd,
    lowest,
    observed_level_means,
    performance_score,
    permuted_level_means,
    stack_levels,
    total_score,
)
from segfair.stats.equivalence import Standing, margin_standing
from segfair.stats.inversion import change_interval, inverted_interval, score_interval
from segfair.stats.paired import PairedTest, paired_max_t, paired_outcomes, swapped_level_means
from segfair.stats.permutation import Alternative, MaxT, Method, false_discovery, max_t
from segfair.stats.power import detectable_gap, n_needed, null_critical
from segfair.stats.shrinkage import Shrinkage, shrink

__all__ = [
    "Adjustment",
    "Alternative",
    "ChanceLevel",
    "LevelMeans",
    "Levels",
    "MaxT",
    "Method",
    "PairedTest",
    "Shrinkage",
    "Standing",
    "Statistic",
    "SubgroupIntervals",
    "adjusted_max_t",
    "attribute_disparity",
    "bootstrap_level_means",
    "chance_level",
    "change_interval",
    "detectable_gap",
    "disparity_interval",
    "equity_scaled",
    "error_ratio",
    "fairness_score",
    "false_discovery",
    "gap",
    "highest",
    "interval",
    "inverted_interval",
    "level_sd",
    "log_volume",
    "lowest",
    "margin_standing",
    "max_t",
    "mean_interval",
    "n_needed",
    "null_critical",
    "observed_level_means",
    "paired_max_t",
    "paired_outcomes",
    "performance_score",
    "permuted_level_means",
    "rate_interval",
    "score_interval",
    "shrink",
    "simultaneous_means",
    "spline_basis",
    "stack_levels",
    "subgroup_intervals",
    "swapped_level_means",
    "total_score",
]
