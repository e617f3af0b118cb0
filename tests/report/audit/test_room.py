"""Which attributes a page draws: all while there is room, then those fixed beforehand and of the strongest evidence."""

from __future__ import annotations

from tests.report.hand_made import attribute, lattice, level, row, small

from segfair.report.audit.room import (
    MOST_ATTRIBUTES,
    attributes_drawn,
    attributes_note,
    attributes_opened,
    rows_of_levels,
)
from segfair.subgroups.lattice import Subgroup

NAMES = [f"a{index:02d}" for index in range(33)]


def test_the_tests_of_a_level_are_those_that_say_most_about_it() -> None:
    pair = Subgroup(frozenset({("sex", "f"), ("site", "A")}))
    mined = row({"sex": "f"}, 4, 0.6, p_adjusted=0.2)
    own = row({"sex": "f"}, 4, 0.6, p_adjusted=0.03)
    beyond = row({"age": "old", "sex": "m"}, 3, 0.5)
    same = row({"age": "old"}, 3, 0.5, aliases=(Subgroup(frozenset({("site", "B")})), pair))
    found = rows_of_levels(small(subgroups={"dsc": lattice(mined, same, beyond)}, primary_subgroups=lattice(own)))
    assert {next(iter(subgroup.items)): entry for subgroup, entry in found.items()} == {
        ("sex", "f"): own,
        ("age", "old"): same,
        ("site", "B"): same,
    }


def test_thirty_attributes_have_room() -> None:
    result = small(attributes=tuple(attribute(name, level("x", 8, 0.7)) for name in NAMES[:MOST_ATTRIBUTES]))
    assert attributes_drawn(result) == set(NAMES[:MOST_ATTRIBUTES])
    assert attributes_note(result) == ""


def test_of_more_those_stay_that_were_fixed_beforehand_or_tell_most() -> None:
    """33 attributes; p is smaller the later one stands, but for a00, which was fixed, and a01, never tested."""
    rows = [row({name: "x"}, 4, 0.6, p_value=0.01, p_adjusted=1 / (2 + index)) for index, name in enumerate(NAMES)]
    attributes = tuple(attribute(name, level("x", 4, 0.6), primary=name == "a00") for name in NAMES)
    result = small(attributes=attributes, subgroups={"dsc": lattice(*rows[2:])})
    assert set(NAMES) - attributes_drawn(result) == {"a01", "a02", "a03"}
    assert attributes_note(result) == (
        "Of 33 attributes those fixed beforehand and those with the strongest evidence of a difference; audit.json has "
        "the other 3."
    )


def test_open_are_those_fixed_beforehand_else_those_the_verdict_is_about_else_all() -> None:
    names = NAMES[:4]
    harmed = row({"a01": "x", "a02": "x"}, 4, 0.4, p_value=0.001, p_adjusted=0.002, significant=True)
    tables = {"dsc": lattice(harmed, row({"a03": "x"}, 4, 0.6))}
    plain = [attribute(name, level("x", 4, 0.6)) for name in names]
    assert attributes_opened(small(attributes=tuple(plain), subgroups=tables)) == {"a01", "a02"}
    declared = (attribute("a00", level("x", 4, 0.6), primary=True), *plain[1:])
    assert attributes_opened(small(attributes=declared, subgroups=tables)) == {"a00"}
    assert attributes_opened(small(attributes=tuple(plain), subgroups={"dsc": lattice()})) == set(names)
    two = tuple(plain[1:3])
    assert attributes_opened(small(attributes=two, subgroups=tables)) == {"a01", "a02"}, "so few are never folded"
