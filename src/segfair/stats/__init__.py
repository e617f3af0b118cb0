"""Inference on arrays: permutation tests, intervals, seeds, chance levels, shrinkage, adjustment, power, margins.

Arrays in, arrays out: no tables, files, settings or names of attributes. Outcomes are finite; leave cases without
one out beforehand. What cannot be computed is NaN, and the docstring says when.
"""

from segfair.stats.adjustment import Adjustment, adjusted_max_t, log_volume, spline_basis
from segfair.stats.cells import crossed
from segfair.stats.contrast import count_subjects
from segfair.stats.findings import Named, explain, worst_off
from segfair.stats.intervals.additive import additive_differences
from segfair.stats.intervals.bootstrap import (
    SubgroupIntervals,
    defined,
    defined_interval,
    interval,
    mean_interval,
    rate_interval,
    subgroup_intervals,
)
from segfair.stats.intervals.bounds import Standing, margin_standing, simultaneous_means
from segfair.stats.intervals.over_seeds import MeanOverSeeds, mean_over_seeds
from segfair.stats.paired import PairedTest, paired_max_t, paired_outcomes
from segfair.stats.permutation import Alternative, MaxT, Method, false_discovery, max_t
from segfair.stats.power import (
    cases_for_width,
    chance_to_exclude,
    detectable_gap,
    interval_width,
    n_needed,
    null_critical,
)
from segfair.stats.shrinkage import Shrinkage, shrink
from segfair.stats.two_samples import Sample, TwoSampleTest, standardised_means, two_sample_test

__all__ = [
    "Adjustment",
    "Alternative",
    "MaxT",
    "MeanOverSeeds",
    "Method",
    "Named",
    "PairedTest",
    "Sample",
    "Shrinkage",
    "Standing",
    "SubgroupIntervals",
    "TwoSampleTest",
    "additive_differences",
    "adjusted_max_t",
    "cases_for_width",
    "chance_to_exclude",
    "count_subjects",
    "crossed",
    "defined",
    "defined_interval",
    "detectable_gap",
    "explain",
    "false_discovery",
    "interval",
    "interval_width",
    "log_volume",
    "margin_standing",
    "max_t",
    "mean_interval",
    "mean_over_seeds",
    "n_needed",
    "null_critical",
    "paired_max_t",
    "paired_outcomes",
    "rate_interval",
    "shrink",
    "simultaneous_means",
    "spline_basis",
    "standardised_means",
    "subgroup_intervals",
    "two_sample_test",
    "worst_off",
]
