"""Trees of plain values, each changed a little: a key away, a value of another kind, a list that is too short."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

__all__ = ["mutated"]

_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2, 255, 2**31, 2**63 - 1, -(2**63), 0.5, -0.0, 1e308, -1e308, 1e-320, "", "a", "1", "any",
    "\0", "\ud800", "é" * 70, "../x", "=1+1", [], {}, [[]], [None], [0.5], {"a": None}, {"": ""}, ["a", "a"], [1, 2, 3, 4],
)  # fmt: skip


def mutated(tree: Any, rng: random.Random, n_changes: int = 1) -> Any:
    """A copy of a tree with so many changes at places drawn at random."""
    tree = copy.deepcopy(tree)
    for _ in range(n_changes):
        places = list(_places(tree))
        if not places:
            return rng.choice(_ODD)
        holder, key = rng.choice(places)
        rng.choice(_CHANGES)(holder, key, rng)
    return tree


def _places(tree: Any) -> Any:
    """Every (container, key or index) of a tree."""
    if isinstance(tree, dict | list):
        for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
            yield tree, key
            yield from _places(tree[key])


def _odd(holder: Any, key: Any, rng: random.Random) -> None:
    holder[key] = copy.deepcopy(rng.choice(_ODD))


def _away(holder: Any, key: Any, rng: random.Random) -> None:
    del holder[key]


def _again(holder: Any, key: Any, rng: random.Random) -> None:
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[f"{key}{rng.choice(('', ' ', '2'))}"] = copy.deepcopy(holder[key])


def _exchanged(holder: Any, key: Any, rng: random.Random) -> None:
    other = rng.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
    holder[key], holder[other] = holder[other], holder[key]


def _near(holder: Any, key: Any, rng: random.Random) -> None:
    value = holder[key]
    if isinstance(value, str):
        holder[key] = rng.choice((value + "x", value[:-1], value.upper(), value * 3, f" {value}"))
    elif isinstance(value, bool) or value is None:
        holder[key] = not value
    elif isinstance(value, int | float):
        holder[key] = rng.choice((-value, value + 1, value - 1, value * 10, float(value), str(value), value / 3))
    else:
        _odd(holder, key, rng)


_CHANGES: tuple[Callable[[Any, Any, random.Random], None], ...] = (_odd, _away, _again, _exchanged, _near, _near)
