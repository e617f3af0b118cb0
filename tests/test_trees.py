"""Trees of plain values become typed values or are refused with their place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest

from segfair.errors import ConfigError
from segfair.trees import Kind, structure, tree_converter


@dataclass(frozen=True, slots=True)
class Wheel:
    spokes: Annotated[int, Kind("a whole number from 3 on", lambda value: value >= 3)] = 3
    sizes: tuple[float, ...] = ()
    made: Literal["steel", "wood"] = "steel"


@dataclass(frozen=True, slots=True)
class Cart:
    name: str
    front: Wheel = Wheel()
    others: Mapping[str, Wheel] = field(default_factory=dict)
    spare: tuple[Wheel, ...] = ()
    corner: tuple[int, int] | None = None
    drawn: bool = False
    papers: Path | None = None
    owner: str = field(default="nobody", metadata={"in_file": False})


def read(tree: Mapping[str, Any], source: str = "cart.toml") -> Cart:
    return structure(tree_converter(), tree, Cart, source=source)


def test_every_value_gets_the_type_of_its_field() -> None:
    tree = {
        "name": "a",
        "front": {"sizes": [1, 2.5]},
        "others": {"left": {"spokes": 5, "made": "wood"}},
        "spare": [{"made": "wood"}],
        "corner": [1, 2],
        "drawn": True,
        "papers": "a/b",
    }
    cart = read(tree)
    others, spare = {"left": Wheel(5, (), "wood")}, (Wheel(3, (), "wood"),)
    assert cart == Cart("a", Wheel(3, (1.0, 2.5)), others, spare, (1, 2), True, Path("a/b"))
    assert type(cart.front.sizes[0]) is float
    written = tree_converter().unstructure(cart)
    assert (written["papers"], written["corner"], written["front"]["sizes"]) == ("a/b", [1, 2], [1.0, 2.5])


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"name": 3}, "cart.toml, name: expected a text, got 3"),
        ({"front": 3}, "cart.toml, [front]: expected a table, got 3"),
        ({"front": "wood"}, "cart.toml, [front]: expected a table, got 'wood'"),
        ({"front": {"spokes": 2}}, "cart.toml, [front] spokes: expected a whole number from 3 on, got 2"),
        ({"front": {"spokes": True}}, "cart.toml, [front] spokes: expected a whole number from 3 on, got True"),
        ({"front": {"spokes": 3.0}}, "cart.toml, [front] spokes: expected a whole number from 3 on, got 3.0"),
        ({"front": {"sizes": [1, "2"]}}, "cart.toml, [front] sizes: expected a list of numbers, got [1, '2']"),
        ({"front": {"made": "tin"}}, "cart.toml, [front] made: expected steel or wood, got 'tin'"),
        ({"others": []}, "cart.toml, [others]: expected a table, got []"),
        ({"others": {"left": 1}}, "cart.toml, [others.left]: expected a table, got 1"),
        ({"others": {"left": {"made": 1}}}, "cart.toml, [others.left] made: expected steel or wood, got 1"),
        ({"spare": [{}, {"made": 1}]}, "cart.toml, [spare.1] made: expected steel or wood, got 1"),
        ({"spare": [{}, {"mad": 1}]}, "cart.toml, [spare.1]: unknown key mad; known are made, sizes, spokes"),
        ({"spare": [{}, 3]}, "cart.toml, [spare.1]: expected a table, got 3"),
        ({"spare": 3}, "cart.toml, spare: expected a list of tables, got 3"),
        ({"corner": [1, 2, 3]}, "cart.toml, corner: expected a list of whole numbers, got [1, 2, 3]"),
        ({"drawn": 1}, "cart.toml, drawn: expected true or false, got 1"),
        ({"papers": 1}, "cart.toml, papers: expected a path, got 1"),
        ({"owner": "me"}, "unknown key owner; known are corner, drawn, front, name, others, papers, spare"),
        (
            {"front": {"spoke": 4, "made": 3}},
            "cart.toml, [front]: unknown key spoke; known are made, sizes, spokes",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read({"name": "a", **tree})
    assert message in str(raised.value)


def test_without_a_source_the_place_stands_alone() -> None:
    with pytest.raises(ConfigError, match=r"^drawn: expected true or false, got 1$"):
        read({"name": "a", "drawn": 1}, source="")


def test_a_value_that_is_missing_is_said() -> None:
    with pytest.raises(ConfigError, match=r"^cart.toml, name: expected a text, and there is none$"):
        read({})
