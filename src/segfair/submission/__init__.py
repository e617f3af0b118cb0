"""What a submission has to look like, and whether it does: names, grids, values, sizes. Sees no label."""

from segfair.submission.checks import Check, Problem, check_submission
from segfair.submission.expectation import (
    Expectation,
    ExpectedCase,
    expect_like,
    read_expectation,
    write_expectation,
)

__all__ = [
    "Check",
    "Expectation",
    "ExpectedCase",
    "Problem",
    "check_submission",
    "expect_like",
    "read_expectation",
    "write_expectation",
]
