"""Cases and cohorts: order, ids, and columns with None where a case has nothing."""

from __future__ import annotations

import dataclasses

import pytest

from segfair.cases import Case, Cohort


def test_a_cohort_keeps_its_order_and_says_none_where_a_case_has_no_value() -> None:
    cohort = Cohort((Case("b", metadata={"age": 50, "sex": "f"}), Case("a", metadata={"age": None}), Case("c")))
    assert len(cohort) == 3
    assert cohort.ids == tuple(case.id for case in cohort) == ("b", "a", "c")
    assert cohort.column("age") == [50, None, None]
    assert cohort.column("nobody asked") == [None] * 3


def test_nobody_changes_a_case_under_somebody_else() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Case("a").id = "b"  # type: ignore[misc]
    first, second = Case("a"), Case("b")
    assert first.metadata is not second.metadata
    assert len(Cohort(())) == 0
