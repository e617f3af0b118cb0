"""Trees of plain values, as in TOML and JSON -> values of declared types, and what to say where one does not fit.

One strict converter for the files that people write; it knows none of them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import GenericAlias, NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import cattrs
from cattrs.gen import make_dict_structure_fn, override

from segfair.errors import ConfigError, cut_text

__all__ = ["Kind", "structure", "tree_converter"]

_Value = TypeVar("_Value")
_WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    Path: "a path",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """What a value has to be beside its type, for `Annotated`: the words that follow "expected", and the test."""

    words: str
    fits: Callable[[Any], bool] = lambda _: True


def tree_converter(*, closed: bool = True) -> cattrs.Converter:
    """A converter that takes nothing for something else: no text for a number, no truth for a 1, no unknown key.

    A field of a dataclass whose metadata say `{"in_file": False}` is not read.

    Args:
        closed: Whether a key that no field has is refused; else it is left alone.
    """
    converter = cattrs.Converter(unstruct_collection_overrides={tuple: list})
    for kind in _WORDS:
        converter.register_structure_hook(kind, _plain_value)
    converter.register_unstructure_hook(Path, str)
    makers: Mapping[Callable[[Any], bool], Callable[..., Any]] = {
        dataclasses.is_dataclass: functools.partial(_table, closed=closed),
        # Of a list of plain values the whole is shown, of a list of tables cattrs says which one.
        lambda kind: get_origin(kind) is tuple and not _is_table(get_args(kind)[0]): _list,
        lambda kind: get_origin(kind) is tuple and _is_table(get_args(kind)[0]): _tables,
        lambda kind: get_origin(kind) is Annotated: _annotated,
    }
    for fits, make in makers.items():
        converter.register_structure_hook_factory(fits, functools.partial(make, converter))
    return converter


def structure(converter: cattrs.Converter, tree: Mapping[str, Any], kind: type[_Value], *, source: str) -> _Value:
    """A tree as a dataclass.

    Args:
        converter: What `tree_converter` made.
        tree: Plain values.
        kind: The dataclass.
        source: What the tree is from, for messages; empty: nothing that has a name.

    Raises:
        ConfigError: A value that does not fit its type, or a key that is unknown: where, what was expected and found.
    """
    try:
        return converter.structure(tree, kind)
    except cattrs.BaseValidationError as error:
        raise ConfigError(_complaint(error, tree, source)) from error


def _complaint(error: BaseException, tree: Mapping[str, Any], source: str) -> str:
    """What is wrong first, and where: `mine.toml, [label] surface: expected overlap or any, got 3`."""
    path: list[Any] = []
    value: Any = tree
    kind: Any = None
    while isinstance(error, cattrs.BaseValidationError):
        # Unknown keys first: what else is wrong may come of one that is misspelt.
        error = min(error.exceptions, key=lambda part: not isinstance(part, cattrs.ForbiddenExtraKeysError))
        for note in getattr(error, "__notes__", ()):
            path.append(note.name if isinstance(note, cattrs.AttributeValidationNote) else note.index)
            kind = note.type
            value = value[path[-1]] if isinstance(value, list | tuple) else value.get(path[-1])
    is_table = isinstance(error, cattrs.ForbiddenExtraKeysError) or _is_table(kind)
    tables, key = (path, []) if is_table else (path[:-1], path[-1:])
    place = " ".join([*([f"[{'.'.join(map(str, tables))}]"] if tables else []), *key])
    where = ", ".join(part for part in (source, place) if part)
    if isinstance(error, cattrs.ForbiddenExtraKeysError):
        known = sorted(entry.name for entry in dataclasses.fields(error.cl) if _is_read(entry))
        return f"{where}: unknown key {', '.join(sorted(error.extra_fields))}; known are {', '.join(known)}"
    if isinstance(error, ConfigError):
        return f"{where}: {error}"
    found = "and there is none" if isinstance(error, KeyError) else f"got {cut_text(repr(value))}"
    return f"{where}: expected {_words(kind)}, {found}"


def _words(kind: Any) -> str:
    """What a value of a type is called."""
    parts = get_args(kind)
    if get_origin(kind) is Annotated:
        return str(parts[1].words)
    if NoneType in parts:
        return _words(parts[0])
    if get_origin(kind) is Literal:
        return " or ".join(parts)
    if get_origin(kind) is tuple:
        return f"a list of {_words(parts[0]).removeprefix('a ')}s"
    return _WORDS.get(kind, "a table")


def _is_table(kind: Any) -> bool:
    base = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return dataclasses.is_dataclass(base) or get_origin(kind) is Mapping


def _plain_value(value: Any, kind: Any) -> Any:
    _require(value, {float: (int, float), Path: (str, Path)}.get(kind, kind))
    if (isinstance(value, bool) and kind is not bool) or (kind is float and not math.isfinite(value)):
        raise TypeError(value)
    return kind(value)


def _table(converter: cattrs.Converter, kind: Any, *, closed: bool) -> Callable[[Any, Any], Any]:
    hints = get_type_hints(kind, include_extras=True)
    unread: dict[str, Any] = {}
    for entry in dataclasses.fields(kind):
        # cattrs would resolve them as well, but without what `Annotated` says.
        entry.type = hints[entry.name]
        if not _is_read(entry):
            unread[entry.name] = override(omit=True)
    read = make_dict_structure_fn(kind, converter, _cattrs_forbid_extra_keys=closed, **unread)
    return lambda value, _: read(_require(value, Mapping), kind)


def _list(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    parts = get_args(kind)

    def read(value: Any, _: Any) -> Any:
        given = _require(value, (list, tuple))
        kinds = parts[:1] * len(given) if parts[1:] == (...,) else parts
        return tuple(converter.structure(*pair) for pair in zip(given, kinds, strict=True))

    return read


def _tables(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    entries: Any = GenericAlias(list, get_args(kind)[:1])
    read = converter.get_structure_hook(entries)
    return lambda value, _: tuple(read(_require(value, (list, tuple)), entries))


def _annotated(converter: cattrs.Converter, kind: Any) -> Callable[[Any, Any], Any]:
    base, rule = get_args(kind)

    def read(value: Any, _: Any) -> Any:
        found = converter.structure(value, base)
        if not rule.fits(found):
            raise ValueError(value)
        return found

    return read


def _require(value: Any, taken: Any) -> Any:
    if not isinstance(value, taken):
        raise TypeError(value)
    return value


def _is_read(entry: dataclasses.Field[Any]) -> bool:
    return bool(entry.metadata.get("in_file", True))
