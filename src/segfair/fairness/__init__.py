"""Scores that compare the groups of an attribute: D_v, PS, FS, TS and others, by one implementation. Reads no file."""

from segfair.fairness.challenge import ChallengeScores, Disparity, Extreme, challenge_scores
from segfair.fairness.intervals import (
    ChanceLevel,
    chance_level,
    change_interval,
    disparity_interval,
    inverted_interval,
    score_interval,
)
from segfair.fairness.level_means import (
    EVERY_LEVEL,
    JudgingRule,
    LevelMeans,
    Levels,
    bootstrap_level_means,
    judged,
    observed_level_means,
    permuted_level_means,
    stack_levels,
    swapped_level_means,
    weighted_level_means,
)
from segfair.fairness.scores import (
    Statistic,
    attribute_disparity,
    equity_scaled,
    error_ratio,
    fairness_score,
    gap,
    highest,
    level_sd,
    lowest,
    performance_score,
    total_score,
)

__all__ = [
    "EVERY_LEVEL", "ChallengeScores", "ChanceLevel", "Disparity", "Extreme", "JudgingRule", "LevelMeans", "Levels",
    "Statistic", "attribute_disparity", "bootstrap_level_means", "challenge_scores", "chance_level", "change_interval",
    "disparity_interval", "equity_scaled", "error_ratio", "fairness_score", "gap", "highest", "inverted_interval",
    "judged", "level_sd", "lowest", "observed_level_means", "performance_score", "permuted_level_means",
    "score_interval", "stack_levels", "swapped_level_means", "total_score", "weighted_level_means",
]  # fmt: skip
