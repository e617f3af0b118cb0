"""Rows of cases: the worst first, and those of which nothing was predicted."""

from __future__ import annotations

from typing import Any

import pytest

from segfair.audit.result.cases import CaseScores


def rows_of(metrics: tuple[str, ...], rows: dict[str, tuple[Any, ...]], penalised: str = "") -> CaseScores:
    """Cases with these values; `penalised` names one whose prediction is missing."""
    lines = tuple((case, *values, "no prediction" if case == penalised else "") for case, values in rows.items())
    return CaseScores(("case", *metrics, "penalised"), lines, metrics, ())


def names(scores: CaseScores, outcome: str, better: Any) -> list[str]:
    return [str(scores.rows[index][0]) for index in scores.worst_first(outcome, better)]


def test_the_worst_come_first_whichever_way_is_better_and_without_a_value_none() -> None:
    scores = rows_of(("dsc", "normhd"), {"a": (0.5, 0.1), "b": (0.2, 0.3), "c": (None, 0.2)})
    assert names(scores, "dsc", "higher") == ["b", "a"]
    assert names(scores, "normhd", "lower") == ["b", "c", "a"]


def test_of_equal_scores_the_larger_miss_comes_first_then_the_id() -> None:
    # The label alone is missed: 30 and 20; label and prediction: 10 * (2 + 1) = 30; and half of 80 overlaps.
    scores = rows_of(
        ("dsc", "volume", "relative_volume_error"),
        {"d": (0.0, 20.0, -1.0), "a": (0.0, 30.0, -1.0), "b": (0.0, 10.0, 1.0), "c": (0.5, 40.0, 0.0)},
    )
    assert names(scores, "dsc", "higher") == ["a", "b", "d", "c"]
    without = rows_of(("dsc", "volume"), {"a": (0.0, 5.0), "b": (0.0, 7.0)})
    assert names(without, "dsc", "higher") == ["b", "a"]
    bare = rows_of(("dsc",), {"b": (0.0,), "a": (0.0,)})
    assert names(bare, "dsc", "higher") == ["a", "b"]


@pytest.mark.parametrize(
    ("metrics", "empty", "other", "unknown"),
    [
        (("dsc", "relative_volume_error"), (0.0, -1.0), (0.0, -0.5), (1.0, None)),
        (("dsc", "normhd"), (0.0, 1.0), (0.0, 0.4), (0.0, None)),
    ],
)
def test_an_empty_prediction_is_told_from_an_outline_that_misses_and_from_a_missing_file(
    metrics: tuple[str, ...], empty: tuple[Any, ...], other: tuple[Any, ...], unknown: tuple[Any, ...]
) -> None:
    scores = rows_of(metrics, {"empty": empty, "other": other, "unknown": unknown, "missing": empty}, "missing")
    assert scores.nothing_predicted == (True, False, False, False)


def test_without_the_metrics_that_show_it_nothing_is_said_to_be_empty() -> None:
    assert rows_of(("hd95_mm",), {"a": (3.0,)}).nothing_predicted == (False,)
    assert rows_of(("dsc", "normhd"), {}).nothing_predicted == ()
