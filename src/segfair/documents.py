"""Files of text, JSON and TOML -> texts and trees of plain values: the one border where they come in.

Knows no layout. What is told is what a person can mend: no words of a parser's, none of Python's.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from segfair.errors import InputError, SegfairError, cut_text, in_words

__all__ = [
    "MOST_DEEP",
    "check_tree",
    "has_keys",
    "named_type",
    "parse_json",
    "parse_toml",
    "read_json",
    "read_text",
    "read_toml",
]

MOST_DEEP = 64
"""So many lists and tables within each other no file of segfair's has, by far; Python's own limit lies near 1,000."""
_TOO_DEEP = f"lists and tables are nested more than {MOST_DEEP} deep"
_MOST_BYTES = 2**31
_MOST_TOML_BYTES = 2**24
_LARGE_NUMBER = re.compile(r"\d{19}|[eE]\+?\d{3}")
_CONTAINERS = frozenset((dict, list))
_KINDS = {
    "object": "an object",
    "array": "a list",
    "string": "a text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "null": "null",
}
_TYPES = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing (null)"}


def read_text(path: Path, *, refusal: type[SegfairError] = InputError, what: str = "", most: int = _MOST_BYTES) -> str:
    """The text of a regular file in UTF-8, with or without its mark.

    A pipe or a device is refused before it is opened: it might never end.

    Args:
        path: The file.
        refusal: The error to raise.
        what: What the file is called in messages, such as `--record study.toml`; empty: by its path.
        most: Bytes beyond which it is refused unread.

    Raises:
        SegfairError: (`refusal`) Missing, a folder, no regular file, too large, not readable, or not UTF-8.
    """
    what = what or cut_text(str(path), 300)
    try:
        if not path.exists():
            raise refusal(f"{what}: no such file")
        if path.is_dir():
            raise refusal(f"{what}: is a folder; name a file")
        if not path.is_file():
            raise refusal(f"{what}: is no regular file but a pipe or a device; copy it into a file first")
        if (size := path.stat().st_size) > most:
            raise refusal(f"{what}: has {size:,} bytes, and at most {most:,} are read")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise refusal(f"{what}: cannot be read ({in_words(error)})") from error
    except UnicodeDecodeError as error:
        raise refusal(f"{what}: is not UTF-8 text (byte {error.start:,}); save it as UTF-8") from error


def read_json(path: Path, *, refusal: type[SegfairError] = InputError, what: str = "", not_finite: bool = False) -> Any:
    """The tree of a JSON file.

    Args:
        path: The file.
        refusal: The error to raise.
        what: See `read_text`.
        not_finite: Whether NaN and Infinity are numbers, as tools on NumPy write them; JSON does not know them.

    Raises:
        SegfairError: (`refusal`) What `read_text` refuses, what is no JSON, a key that stands twice, lists and objects
            more than `MOST_DEEP` deep, a number that no double or whole number of 64 bits can hold.
    """
    what = what or cut_text(str(path), 300)
    return parse_json(read_text(path, refusal=refusal, what=what), what, refusal=refusal, not_finite=not_finite)


def has_keys(path: Path, *keys: str) -> bool:
    """Whether a file is a JSON object with all of these keys; False where it is missing or no JSON."""
    try:
        tree = read_json(path)
    except InputError:
        return False
    return isinstance(tree, dict) and all(key in tree for key in keys)


def parse_json(text: str, what: str, *, refusal: type[SegfairError] = InputError, not_finite: bool = False) -> Any:
    """The tree of a JSON text; see `read_json`."""
    numbers = _CAREFUL if _LARGE_NUMBER.search(text) else {}
    constants = {} if not_finite else {"parse_constant": _refuse_constant}
    settings: dict[str, Any] = {"object_pairs_hook": _without_twins, **numbers, **constants}
    try:
        tree = json.loads(text, **settings)
        _refuse_depth(tree)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        told = f" ({place}: {error.msg[:1].lower()}{error.msg[1:]})" if text.strip() else " but empty"
        raise refusal(f"{what}: not JSON{told}") from error
    except RecursionError as error:
        raise refusal(f"{what}: {_TOO_DEEP}") from error
    except _UnfitError as error:
        raise refusal(f"{what}: {error}") from error
    return tree


def read_toml(path: Path, *, refusal: type[SegfairError] = InputError, what: str = "") -> dict[str, Any]:
    """The tree of a TOML file.

    Raises:
        SegfairError: (`refusal`) What `read_text` refuses, what is no TOML, lists and tables more than `MOST_DEEP`
            deep, a whole number of more than 64 bits.
    """
    what = what or cut_text(str(path), 300)
    return parse_toml(read_text(path, refusal=refusal, what=what, most=_MOST_TOML_BYTES), what, refusal=refusal)


def parse_toml(text: str, what: str, *, refusal: type[SegfairError] = InputError) -> dict[str, Any]:
    """The tree of a TOML text; see `read_toml`."""
    try:
        tree = tomllib.loads(text)
        _refuse_depth(tree)
    except tomllib.TOMLDecodeError as error:
        complaint = str(error)
        raise refusal(f"{what}: not TOML ({complaint[:1].lower()}{complaint[1:]})") from error
    except RecursionError as error:
        raise refusal(f"{what}: {_TOO_DEEP}") from error
    except _UnfitError as error:
        raise refusal(f"{what}: {error}") from error
    except ValueError as error:  # Python reads no number of more than 4,300 digits
        raise refusal(f"{what}: holds a number of thousands of digits, too large to be meant") from error
    return tree


def named_type(value: Any) -> str:
    """What a plain value is called: `a list`, `a number`."""
    return _TYPES.get(type(value), "a number")


class _UnfitError(ValueError):
    """What a parser took and no file of segfair's has; the message is a complaint."""


def _refuse_constant(name: str) -> NoReturn:
    raise _UnfitError(f"holds {name}, which JSON does not know; write null")


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise _UnfitError(f"{cut_text(twin)} stands twice in one object")
    return tree


def _whole(digits: str) -> int:
    n_digits = len(digits.removeprefix("-"))
    if n_digits > 19 or abs(int(digits)) >= 2**63:
        raise _UnfitError(f"holds a number of {n_digits:,} digits, too large to be meant")
    return int(digits)


def _fraction(digits: str) -> float:
    if math.isinf(value := float(digits)):
        raise _UnfitError(f"holds {cut_text(digits, 30)}, too large a number")
    return value


# Numbers go through Python only where one of them might be too large: a million rows hold twenty millions.
_CAREFUL = {"parse_int": _whole, "parse_float": _fraction}


def _refuse_depth(tree: Any) -> None:
    level = [tree]
    for _ in range(MOST_DEEP):
        nodes = (node.values() if type(node) is dict else node for node in level if type(node) in _CONTAINERS)
        level = [child for node in nodes for child in node if type(child) in _CONTAINERS]
        if not level:
            return
    raise _UnfitError(_TOO_DEEP)


def check_tree(tree: Any, schema: Mapping[str, Any], what: str, *, refusal: type[SegfairError] = InputError) -> None:
    """Whether a tree is as a JSON Schema says.

    Args:
        tree: Plain values.
        schema: Of draft 2020-12.
        what: The file, for messages.
        refusal: The error to raise.

    Raises:
        SegfairError: (`refusal`) It is not: the place that is wrong first, what is expected there, and what was found.
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    # What a program hands over, and no file did, may hold tuples.
    kinds = Draft202012Validator.TYPE_CHECKER.redefine("array", lambda _, value: isinstance(value, list | tuple))
    validator = extend(Draft202012Validator, type_checker=kinds)  # type: ignore[no-untyped-call]
    error = best_match(validator(schema).iter_errors(tree))
    if error is not None:
        place = ".".join(map(str, error.absolute_path))
        raise refusal(f"{what}: {f'{place}: ' if place else ''}{_expected(error)}")


def _expected(error: Any) -> str:
    """What a schema expects where it is not met, and what was found there."""
    rule, limit, found = error.validator, error.validator_value, cut_text(repr(error.instance), 80)
    if rule == "required":
        missing = next(name for name in limit if name not in error.instance)
        return f"{missing} is missing"
    if rule == "additionalProperties":
        return f"unknown key in {found}"
    words = {
        "type": lambda: " or ".join(_KINDS[name] for name in ([limit] if isinstance(limit, str) else limit)),
        "enum": lambda: " or ".join("null" if name is None else str(name) for name in limit),
        "const": lambda: repr(limit),
        "minimum": lambda: f"at least {limit}",
        "exclusiveMinimum": lambda: f"more than {limit}",
        "maximum": lambda: f"at most {limit}",
        "exclusiveMaximum": lambda: f"less than {limit}",
        "minItems": lambda: _length(error.schema),
        "maxItems": lambda: _length(error.schema),
        "anyOf": lambda: " or ".join(map(_option, limit)),
        "pattern": lambda: f"a text such as {limit}",
    }
    return f"{words.get(rule, lambda: 'something else')()} expected, got {found}"


def _option(schema: Mapping[str, Any]) -> str:
    """What one of several kinds of value is called; those that have a name in a schema are objects."""
    names = schema.get("enum") or schema.get("type", "object")
    return " or ".join(_KINDS.get(str(name), str(name)) for name in ([names] if isinstance(names, str) else names))


def _length(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minItems"), schema.get("maxItems")
    number = {1: "one", 2: "two", 3: "three"}.get(least or 0, str(least)) if least == most else f"at least {least}"
    kinds = {entry.get("type") for entry in schema.get("prefixItems", [])}
    return f"{number} {'numbers' if kinds <= {'number', 'integer'} and kinds else 'values'}"
