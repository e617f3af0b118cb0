"""The subgroup section: which columns and rows it has, what is folded away, and who is drawn."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from tests.report.hand_made import lattice, row, small, texts

from segfair.report.audit import lattice as module
from segfair.report.audit.lattice import subgroup_section
from segfair.subgroups.lattice import Divergence
from segfair.subgroups.search import Search


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[Divergence]]:
    """The rows of each forest plot, which is not drawn here."""
    found: list[list[Divergence]] = []
    monkeypatch.setattr(module, "forest", lambda rows, *_, key: found.append(list(rows)) or {"key": key})
    return found


def section(*rows: Divergence, **facts: Any) -> dict[str, Any]:
    return subgroup_section(small(**{"subgroups": {"dsc": lattice(*rows)}, "search": None, **facts}))


WOMEN = row({"sex": "f"}, 4, 0.6, significant=True, p_adjusted=0.01)
OLD_WOMEN = row({"age": "old", "sex": "f"}, 3, 0.59, redundant=True)


def test_a_column_is_there_where_some_row_has_a_value() -> None:
    plain = section(row({"sex": "f"}, 4, 0.6))
    assert [column["title"] for column in plain["columns"]] == [
        "Subgroup", "n", "Mean", "Others", "Difference", "Standing",
    ]  # fmt: skip
    tested = section(WOMEN, row({"sex": "m"}, 4, 0.8, divergence_shrunk=0.05))
    assert [column["title"] for column in tested["columns"]][-3:] == ["Difference", "Adjusted p", "Standing"]


def test_redundant_subgroups_are_counted_kept_in_the_data_and_not_among_the_first_rows() -> None:
    found = section(WOMEN, OLD_WOMEN)
    assert len(found["rows"]) == 1
    assert len(json.loads(found["payload"])["outcomes"][0]["rows"]) == 2
    assert found["count"] == (
        "2 subgroups of at least 10% of the cases; 1 of them differ little from one with an item less and are folded away"
    )
    assert (found["static_note"], found["omitted"], found["others"]) == ("", "", [])


def test_the_count_says_what_was_searched() -> None:
    searched = Search(2, 0.25, 0, (), 2, 1, 0, None, 100)
    assert section(WOMEN, search=searched)["count"] == "1 subgroup of up to 2 attributes and at least 25% of the cases"
    single = dataclasses.replace(searched, max_items=1, min_support=0.6)
    assert section(WOMEN, search=single)["count"] == (
        "1 subgroup of a single level and at least 60% of the cases, or a single level of at least 2 cases"
    )


def test_the_plot_shows_the_ends_of_what_can_be_judged(drawn: list[list[Divergence]]) -> None:
    """Twenty of two cases, of one case the one that is worst of all: 14 from the worst, 3 from the best."""
    judged = [row({"a": f"{index:02d}"}, 2, 0.3 + index / 100) for index in range(20)]
    tiny = row({"b": "x"}, 1, 0.1)
    section(tiny, *judged, OLD_WOMEN)
    section(*judged[:17])
    section(tiny)
    assert drawn == [[*judged[:14], *judged[-3:]], judged[:17], [tiny]]
    assert section()["forest"] is None


def test_the_first_rows_stand_in_the_page_itself() -> None:
    found = section(*(row({"a": f"{index:03d}"}, 2, 0.5) for index in range(103)))
    assert len(found["rows"]) == 50
    assert found["static_note"] == "The first 50 of 103 subgroups; subgroups.csv holds all."


def test_outcomes_beside_the_primary_one_are_exploratory_and_show_the_worst_that_can_be_judged() -> None:
    made = small()
    other = dataclasses.replace(
        made.subgroups.outcomes["dsc"], primary=False, n_tested=0, critical=None, notes=("Few.",)
    )
    tables = {
        "dsc": lattice(WOMEN),
        "iou": dataclasses.replace(
            lattice(row({"a": "x"}, 1, 0.1), OLD_WOMEN, *(row({"b": f"{n}"}, 2, 0.5) for n in range(9))), outcome="iou"
        ),
    }
    outcomes = {"dsc": made.subgroups.outcomes["dsc"], "iou": other}
    (found,) = section(subgroups=tables, outcomes=outcomes)["others"]
    assert found["caption"] == "IoU (exploratory): most harmful subgroups"
    assert [cells[0] for cells in texts(found)] == [f"b = {n}" for n in range(8)]
    assert texts(found)[0][1:] == ["2", "0.500", "0.767", "−0.267", "not tested (not corrected for multiple testing)"]
    assert found["note"] == "Few."
    names = [
        entry["title"] for entry in json.loads(section(subgroups=tables, outcomes=outcomes)["payload"])["outcomes"]
    ]
    assert names == ["DSC", "IoU (exploratory)"]
