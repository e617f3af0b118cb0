"""The pieces of a section: every key is there, text from outside is made safe, drawings are collected where asked."""

from __future__ import annotations

from segfair.report.drawing import Drawing
from segfair.report.parts import (
    cell,
    collected_drawings,
    definition,
    figure,
    items_of,
    number_column,
    table,
)
from segfair.subgroups.lattice import Subgroup


def blank(width: float) -> Drawing:
    return Drawing(width, 0, 0, top=0, bottom=0, plot=1)


def test_items_stand_in_one_order_cleaned_and_cut() -> None:
    items = [("sex", "f"), ("age", "a\u202eb"), ("site", "x" * 100)]
    expected = [
        {"attribute": "age", "level": "a⟨U+202E⟩b"},
        {"attribute": "sex", "level": "f"},
        {"attribute": "site", "level": "x" * 79 + "…"},
    ]
    assert items_of(items) == expected
    assert items_of(Subgroup(frozenset(items))) == expected
    assert items_of(()) == []


def test_texts_become_cells_and_columns_say_whether_they_are_numbers() -> None:
    made = table("All", ["Case", number_column("DSC")], [["p1", cell("0.5", sub="low", tone="worse")]], note="of 1")
    assert made == {
        "caption": "All",
        "columns": [{"title": "Case", "number": False}, {"title": "DSC", "number": True}],
        "rows": [
            [
                {"text": "p1", "sub": "", "tone": "", "items": [], "case": ""},
                {"text": "0.5", "sub": "low", "tone": "worse", "items": [], "case": ""},
            ]
        ],
        "note": "of 1",
    }


def test_values_of_any_type_become_text() -> None:
    assert cell(3)["text"] == "3"
    assert definition("Seed", 0) == {"name": "Seed", "value": "0", "code": False}
    assert definition("Seed", 0, code=True)["code"]


def test_drawings_are_collected_within_the_block_only() -> None:
    drawing, other = blank(1.0), blank(1.0)
    figure(other, key="before", label="", caption="")
    with collected_drawings() as outer:
        figure(drawing, key="a", label="", caption="")
        with collected_drawings() as inner:
            figure(other, key="b", label="", caption="")
        figure(other, key="c", label="", caption="")
    figure(other, key="after", label="", caption="")
    assert list(outer) == ["a", "c"]
    assert outer["a"] is drawing
    assert inner == {"b": other}


def test_a_figure_for_narrow_screens_has_ids_of_its_own() -> None:
    one = figure(blank(1.0), key="plot", label="What it shows", caption="Dots.")
    assert one["narrow"] == ""
    assert one["data"] is None
    assert 'aria-label="What it shows"' in one["svg"]
    both = figure(blank(1.0), key="plot", label="What it shows", caption="Dots.", narrow=blank(0.5))
    assert both["svg"] == one["svg"]
    assert both["narrow"].startswith("<svg")
    assert 'aria-label="What it shows"' in both["narrow"]
