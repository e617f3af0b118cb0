"""Heat maps of two attributes: which pairs are drawn, and what their cells hold."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

from tests.report.hand_made import attribute, lattice, level, row, small, texts, titles, with_facts

from segfair.audit.result import AuditResult, Bins, CaseScores
from segfair.report.audit import maps
from segfair.report.audit.maps import heat_map_section
from segfair.report.drawing import Drawing

CASES = [
    ("young", "f", 0.9), ("young", "f", 0.8), ("young", "m", 0.7), ("old", "f", 0.6),
    ("old", "m", 0.3), ("old", "m", 0.5), ("old", "m", 0.4), ("older", "m", 0.1),
]  # fmt: skip
"""Means: young f 0.85, young m 0.7, old f 0.6, old m 0.4, older m 0.1; two cases are enough."""


def of_cases(**facts: Any) -> AuditResult:
    levels = {"age": ("young", "old", "older"), "sex": ("f", "m")}
    rows = tuple((f"p{index}", dsc, "", age, sex) for index, (age, sex, dsc) in enumerate(CASES))
    return small(
        attributes=tuple(attribute(name, *(level(one, 4, 0.7) for one in names)) for name, names in levels.items()),
        bins={name: Bins(name, "as given", (), names) for name, names in levels.items()},
        case_scores=CaseScores(("case", "dsc", "penalised", "age", "sex"), rows, ("dsc",), ("age", "sex")),
        subgroups={"dsc": lattice()},
        **facts,
    )


def test_a_cell_is_the_mean_of_its_cases_and_the_attribute_with_fewer_levels_goes_across() -> None:
    found = heat_map_section(of_cases(), key="m")
    assert found is not None
    (figure,) = found["figures"]
    assert (figure["key"], figure["title"], found["note"]) == ("m0", "age × sex", "")
    assert titles(figure["data"]) == ["age", "f", "m"]
    assert texts(figure["data"]) == [
        ["young", "0.850 (n = 2)", "0.700 (n = 1)"],
        ["old", "0.600 (n = 1)", "0.400 (n = 3)"],
        ["older", "– (n = 0)", "0.100 (n = 1)"],
    ]
    assert "Worst cell: old and m, 0.400, n 3." in figure["label"], "one case is no cell to name"


def test_maps_side_by_side_have_the_pairs_and_the_colours_of_the_first(monkeypatch) -> None:
    """The largest divergence of a cell that is large enough, 0.85 - 0.5 or 0.5 - 0.4, sets the colours."""
    spans: list[float] = []
    monkeypatch.setattr(
        maps, "heat_map", lambda *_, span, **how: spans.append(span) or Drawing(1, 0, 0, top=0, bottom=0, plot=1)
    )
    first = of_cases()
    facts = {"dsc": dataclasses.replace(first.subgroups.outcomes["dsc"], mean=0.5)}
    first = with_facts(first, outcomes=facts)
    scores = first.cases.scores
    other = with_facts(
        first, case_scores=dataclasses.replace(scores, rows=tuple((*line[:1], 0.5, *line[2:]) for line in scores.rows))
    )
    assert heat_map_section(first) is not None
    assert heat_map_section(other, like=first) is not None
    assert heat_map_section(other) is not None
    assert [round(span, 6) for span in spans] == [0.35, 0.35, 0.1], "0.1 where nothing diverges"


def test_of_many_attributes_those_pairs_come_first_that_the_worst_subgroups_name(monkeypatch) -> None:
    names = "abcde"
    made = of_cases()
    many = with_facts(
        made,
        attributes=tuple(attribute(name, level("x", 4, 0.7), level("y", 4, 0.7)) for name in names),
        bins={name: Bins(name, "as given", (), ("x", "y")) for name in names},
        subgroups={
            "dsc": lattice(
                row({"d": "x"}, 4, 0.4), row({"d": "x", "e": "x"}, 3, 0.5), row({"a": "x", "b": "x", "e": "x"}, 2, 0.5)
            )
        },
    )
    pairs = [(first.name, second.name) for first, second in maps._pairs(many)]
    assert pairs[:4] == [("d", "e"), ("a", "b"), ("a", "e"), ("b", "e")]
    assert len(set(pairs)) == 6
    assert set(pairs) <= set(itertools.combinations(names, 2))
    few = with_facts(many, attributes=many.attributes.facts[:4])
    assert len(maps._pairs(few)) == 6, "all of them"


def test_levels_with_the_most_cases_are_drawn_in_the_attributes_order() -> None:
    levels = [level(name, n, 0.7) for name, n in zip("abcd", (1, 5, 3, 4), strict=True)]
    assert maps._most_populous(attribute("x", *levels), 2) == ("b", "d")
