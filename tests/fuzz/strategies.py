"""What hypothesis makes up: inputs near valid ones, volumes, tables, trees and expressions."""

from __future__ import annotations

import json
import random
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.fuzz.forms import Form
from tests.fuzz.mutation import mutated

__all__ = ["Volume", "changed", "condition", "records", "trees", "volumes"]

_TREES: Mapping[str, tuple[Callable[[str], Any], Callable[[Any], str]]] = {
    ".json": (json.loads, json.dumps),
    ".toml": (tomllib.loads, tomli_w.dumps),
}
_NUMBERS = (
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"99999999999999999999",
    b"\0",
    b"\xff\xff\xff\xff",
    b"\x7f",
    b"[",
    b'"',
    b",",
    b"\n",
)


@st.composite
def changed(draw: st.DrawFn, forms: list[Form]) -> tuple[Form, bytes]:
    """A form, and one of its valid inputs with a few changes: to its tree where it is one, else to its bytes."""
    form = draw(st.sampled_from(forms))
    content = draw(st.sampled_from(form.seeds))
    load, dump = _TREES.get(Path(form.name).suffix, (None, None))
    if load and dump and draw(st.booleans()):
        try:
            tree = mutated(load(content.decode()), random.Random(draw(st.integers(0, 2**32))), draw(st.integers(1, 3)))
            return form, dump(tree).encode("utf-8", "surrogatepass")
        except (ValueError, TypeError, AttributeError):  # no tree, or what TOML has no word for
            pass
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 8)))
        content = content[:start] + draw(st.sampled_from(_NUMBERS) | st.binary(max_size=8)) + content[end:]
    return form, content


@dataclass(frozen=True, slots=True)
class Volume:
    """A label map and where it lies."""

    array: np.ndarray
    affine: np.ndarray


@st.composite
def volumes(draw: st.DrawFn, *, shape: tuple[int, ...] | None = None, spacing: Any = None) -> Volume:
    """Up to 6 x 6 x 6 voxels of one of the types that files have, unequal spacing, axes in any order and direction."""
    side = st.integers(1, 6)
    array = draw(
        arrays.arrays(
            st.sampled_from(("u1", "i2", "i4", "f4")), shape or st.tuples(side, side, side), elements=st.integers(0, 2)
        )
    )
    lengths = spacing or draw(st.tuples(*[st.sampled_from((0.5, 0.75, 1.0, 2.5))] * 3))
    axes = draw(st.permutations(range(3)))
    affine = np.eye(4)
    affine[:3, :3] = 0
    for column, (row, length) in enumerate(zip(axes, lengths, strict=True)):
        affine[row, column] = length * draw(st.sampled_from((-1, 1)))
    affine[:3, 3] = draw(st.tuples(*[st.integers(-200, 200)] * 3))
    return Volume(array, affine)


_CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**6), 10**6)
    | st.floats(-1e6, 1e6)
    | st.text("aé 0.,;'\"=\n", max_size=6)
)


def records() -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of a table under the same two to four names, the first never blank."""
    names = st.lists(
        st.text("abcXYZ é_", min_size=1, max_size=5).filter(str.strip), min_size=1, max_size=3, unique_by=str.strip
    )
    return names.flatmap(
        lambda columns: st.lists(
            st.fixed_dictionaries({"id": st.integers(0, 10**6).map("P{}".format), **{f"{name.strip()}.": _CELLS for name in columns}}),
            min_size=1, max_size=6,
        )
    )  # fmt: skip


def trees(*, nothing: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """Trees of plain values, with or without null (TOML has none)."""
    texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
    plain = (
        st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | texts
    )
    if nothing:
        plain |= st.none()
    inner = st.recursive(
        plain, lambda part: st.lists(part, max_size=3) | st.dictionaries(texts, part, max_size=3), max_leaves=6
    )
    return st.dictionaries(texts, inner, max_size=4)


Row = Mapping[str, Any]


@st.composite
def condition(draw: st.DrawFn, depth: int = 3) -> tuple[str, Callable[[Row], bool]]:
    """A `--where` over the columns age (a number or missing) and site (a text or missing), and what it means."""
    kind = draw(st.sampled_from(("number", "text", "none", "list")) if depth == 0 else st.sampled_from(
        ("number", "text", "none", "list", "not", "and", "or")
    ))  # fmt: skip
    if kind in ("and", "or"):
        (left, first), (right, second) = draw(condition(depth - 1)), draw(condition(depth - 1))
        both = kind == "and"
        return (
            f"({left}) {kind} ({right})",
            lambda row: (first(row) and second(row)) if both else (first(row) or second(row)),
        )
    if kind == "not":
        text, holds = draw(condition(depth - 1))
        return f"not ({text})", lambda row: not holds(row)
    if kind == "none":
        column, is_none = draw(st.sampled_from(("age", "site"))), draw(st.booleans())
        return f"{column} is {'' if is_none else 'not '}None", lambda row: (row[column] is None) == is_none
    if kind == "list":
        wanted, inside = draw(st.lists(st.sampled_from("AB"), min_size=1, max_size=2)), draw(st.booleans())
        text = f"site {'in' if inside else 'not in'} {wanted!r}"
        return text, lambda row: row["site"] is not None and (row["site"] in wanted) == inside
    sign = draw(st.sampled_from(("==", "!=", "<", "<=", ">", ">=")))
    compare = {"==": "__eq__", "!=": "__ne__", "<": "__lt__", "<=": "__le__", ">": "__gt__", ">=": "__ge__"}[sign]
    column, value = (
        ("age", float(draw(st.integers(-3, 3)))) if kind == "number" else ("site", draw(st.sampled_from("AB")))
    )
    text = f"{column} {sign} {value!r}"
    return text, lambda row: row[column] is not None and bool(getattr(row[column], compare)(value))
