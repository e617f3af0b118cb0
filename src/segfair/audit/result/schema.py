"""The JSON Schema of a file, from the types that the file is written from, and whether a tree is as it says.

    python -m segfair.audit.result.schema docs/reference/audit.schema.json

Descriptions are the docstrings', and bounds follow from the names: `n_...` counts, `p_...` is a probability. A key
whose field has a default may be absent: a file of an earlier version has not got it.
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import json
import re
import sys
import types
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from segfair.audit.result import codec
from segfair.audit.result.about import AuditConfig
from segfair.audit.result.attributes import AttributeFacts, LevelFacts
from segfair.audit.result.cases import CaseCounts
from segfair.audit.result.result import AuditResult
from segfair.audit.result.subgroups import Subgroups
from segfair.documents import check_tree
from segfair.errors import InputError, cut_text
from segfair.fairness.challenge import Disparity, Extreme
from segfair.files.placing import write_text
from segfair.protocol.rules import Protocol
from segfair.subgroups.lattice import Divergence, Subgroup

__all__ = ["SchemaWriter", "Tree", "audit_schema", "check_audit", "write_schema"]

Tree = dict[str, Any]

_PLAIN: dict[Any, Tree] = {
    Any: {},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    type(None): {"type": "null"},
}
# Names tell units and roles, so they tell bounds as well.
_BOUNDS: tuple[tuple[str, Tree], ...] = (
    (r"p_\w+", {"minimum": 0, "maximum": 1}),
    (r"support|min_support|failure_rate", {"minimum": 0, "maximum": 1}),
    (r"n|n_(?!estimated)\w+|min_cases|permutations|bootstrap|seed|axis|index|channel", {"minimum": 0}),
    (r"max_items|max_subgroups|min_count|budget|step", {"minimum": 1}),
)
_ITEM_BOUNDS: dict[str, Tree] = {
    "label_sha256": {"pattern": "^[0-9a-f]{64}$"},
    "spacing_mm": {"exclusiveMinimum": 0},
}


class SchemaWriter:
    """Walks types and gathers their schemas, each dataclass once, as `$defs`.

    Attributes:
        defs: Name of a dataclass -> its schema.
        closed: Whether every key is required and no other is allowed: for files that are written and never read back.
    """

    def __init__(self, layouts: Mapping[type, Callable[[SchemaWriter], Tree]], *, closed: bool = False) -> None:
        """`layouts` says for some types how the file differs from them."""
        self.defs: dict[str, Tree] = {}
        self.closed = closed
        self._layouts = layouts

    def of(self, kind: Any) -> Tree:
        """The schema of a type hint.

        Raises:
            TypeError: A type that no file holds.
        """
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        if kind in self._layouts or dataclasses.is_dataclass(kind):
            return self._reference(kind)
        origin, parts = get_origin(kind), get_args(kind)
        if origin is Literal:
            return {"enum": list(parts)}
        if origin in (Union, types.UnionType):
            return self._union(parts)
        if origin is tuple:
            return self._array(parts)
        if inspect.isclass(origin) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(parts[1])}
        raise TypeError(f"{kind} has no JSON Schema")

    def fields(self, kind: type, *, without: tuple[str, ...] = ()) -> dict[str, Tree]:
        """Field -> schema with bounds and description, in the order of the fields."""
        hints, told = get_type_hints(kind), _told(kind)
        found = {}
        for entry in dataclasses.fields(kind):
            if entry.name in without:
                continue
            tree = self.of(hints[entry.name]) | _bounds(entry.name)
            for holder in (tree.get("items"), tree.get("additionalProperties")):
                if isinstance(holder, dict):
                    holder |= _ITEM_BOUNDS.get(entry.name, {})
            found[entry.name] = tree | ({"description": told[entry.name]} if entry.name in told else {})
        return found

    def needed(self, kind: type, *, without: tuple[str, ...] = ()) -> list[str]:
        """The fields that a file has to have."""
        fixed = (dataclasses.MISSING, dataclasses.MISSING)
        return [
            entry.name
            for entry in dataclasses.fields(kind)
            if entry.name not in without and (self.closed or (entry.default, entry.default_factory) == fixed)
        ]

    def object(self, kind: type, properties: dict[str, Tree], required: list[str]) -> Tree:
        """The schema of an object with these keys, described as `kind` is."""
        first = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0].replace("\n", " ").replace("None", "null")
        tree = {"type": "object", "description": first, "properties": properties, "required": required}
        return tree | ({"additionalProperties": False} if self.closed else {})

    def document(self, name: str, number: int, tree: Tree) -> Tree:
        """The whole schema of a file, `audit.json` say, of a format, whose outermost object is `tree`."""
        head = {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$id": f"urn:segfair:{name}:format:{number}",
            "title": f"segfair {name}, format {number}",
            **tree,
        }
        told = f"{tree['description']} No NaN or infinity; an undefined value is null."
        return {**head, "description": told, "$defs": dict(sorted(self.defs.items()))}

    def _reference(self, kind: type) -> Tree:
        name = kind.__name__
        if name not in self.defs:
            self.defs[name] = {}
            layout = self._layouts.get(kind)
            self.defs[name] = layout(self) if layout else self.object(kind, self.fields(kind), self.needed(kind))
        return {"$ref": f"#/$defs/{name}"}

    def _union(self, parts: tuple[Any, ...]) -> Tree:
        trees = [self.of(part) for part in parts]
        if {"type": "null"} in trees and len(trees) == 2:
            (tree,) = (tree for tree in trees if tree != {"type": "null"})
            if "enum" in tree:
                return {"enum": [*tree["enum"], None]}
            if isinstance(tree.get("type"), str):
                return tree | {"type": [tree["type"], "null"]}
        return {"anyOf": trees}

    def _array(self, parts: tuple[Any, ...]) -> Tree:
        if parts[-1] is Ellipsis:
            return {"type": "array", "items": self.of(parts[0])}
        each = [self.of(part) for part in parts]
        return {"type": "array", "prefixItems": each, "minItems": len(each), "maxItems": len(each)}


def audit_schema() -> Tree:
    """The schema of `audit.json`."""
    writer = SchemaWriter(_LAYOUTS)
    return writer.document("audit.json", codec.FORMAT, _result(writer))


def check_audit(tree: Mapping[str, Any]) -> None:
    """Whether a tree is an audit as a whole: as the schema says, and its parts of one piece.

    Args:
        tree: Of the present format. Rows of cases, of which there may be millions, are looked at column by column.

    Raises:
        InputError: It is not: the place, what is expected there, and what was found.
        ConfigError: Its protocol is none.
    """
    scores = tree.get("case_scores")
    rows = scores.get("rows") if isinstance(scores, Mapping) else None
    # A schema would be asked of every cell.
    bare = tree if rows is None else {**tree, "case_scores": {**tree["case_scores"], "rows": []}}
    check_tree(bare, audit_schema(), "audit.json")
    Protocol.from_dict(tree["protocol"], source="audit.json, protocol")
    # The first one only: what follows may not be there to be looked at.
    complaint = next(itertools.chain(_unfit_rows(tree["case_scores"]), _unfit_parts(tree)), None)
    if complaint:
        raise InputError(f"audit.json: {complaint}")


def _unfit_rows(scores: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the rows of cases, in sentences."""
    columns, rows = scores["columns"], scores["rows"]
    if columns[:1] != ["case"]:
        yield "case_scores.columns: case expected as the first"
    if (twin := _twin(columns)) is not None:
        yield f"case_scores.columns: {twin} stands twice"
    for kind in ("metrics", "attributes"):
        yield from (
            f"case_scores.{kind}: {name} is none of the columns" for name in scores[kind] if name not in columns
        )
    if not isinstance(rows, list):
        yield f"case_scores.rows: a list expected, got {cut_text(repr(rows))}"
    for number, row in enumerate(rows):
        if not isinstance(row, list | tuple) or len(row) != len(columns):
            yield f"case_scores.rows.{number}: a list of {len(columns)} cells expected, got {cut_text(repr(row))}"
    for name, cells in zip(columns, zip(*rows, strict=True), strict=False):
        yield from _unfit_cells(name, cells, numbers=name in scores["metrics"])
    if (twin := _twin([row[0] for row in rows])) is not None:
        yield f"case_scores.rows: case {twin} stands twice"
    if len(scores.get("subjects", ())) not in (0, len(rows)):
        yield f"case_scores.subjects: {len(rows)} numbers expected, one a row, got {len(scores['subjects'])}"


def _unfit_cells(column: str, cells: Iterable[Any], *, numbers: bool) -> Iterator[str]:
    kinds, expected = ((int, float), "a number") if numbers else ((int, float, str), "a number or a text")
    for cell in cells:
        if cell is not None and type(cell) not in kinds:
            yield f"case_scores.rows, column {column}: {expected} or null expected, got {cut_text(repr(cell))}"


def _twin(names: Sequence[str]) -> str | None:
    return None if len(set(names)) == len(names) else Counter(names).most_common(1)[0][0]


def _unfit_parts(tree: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong between the parts of an audit, in sentences."""
    n_scored, n_rows = tree["cases"]["n_scored"], len(tree["case_scores"]["rows"])
    if n_rows not in (0, n_scored):
        yield f"cases.n_scored: {n_scored}, and case_scores has {n_rows} rows"
    outcomes, asked = tree["outcomes"], tree["config"]["outcomes"]
    if not asked:
        yield "config.outcomes: at least one name expected, got []"
    for place, names in (("config.outcomes", asked), ("subgroups", tree["subgroups"])):
        known = ", ".join(sorted(outcomes)) or "there are none"
        yield from (f"{place}: {name} is none of the outcomes ({known})" for name in names if name not in outcomes)
    yield from (f"subgroups: {name} is missing" for name in outcomes if name not in tree["subgroups"])
    if not any(facts["primary"] for facts in outcomes.values()):
        yield "outcomes: one of them must be primary"
    for number, attribute in enumerate(tree["attributes"]):
        if not attribute["levels"]:
            yield f"attributes.{number}.levels: at least one expected, got []"


def write_schema(schema: Tree, path: Path) -> None:
    """Writes a schema as it lies in the documentation."""
    write_text(path, json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


def _told(kind: type) -> dict[str, str]:
    """Field -> what the docstring's `Attributes:` says of it; of several named together, of each the same."""
    told: dict[str, str] = {}
    names: list[str] = []
    _, _, listed = inspect.cleandoc(kind.__doc__ or "").partition("\nAttributes:\n")
    for line in listed.splitlines():
        begun = re.fullmatch(r"    (\w+(?:, \w+)*): (.*)", line)
        if begun:
            names = begun[1].split(", ")
            told |= dict.fromkeys(names, begun[2])
        else:
            told |= {name: f"{told[name]} {line.strip()}" for name in names}
    # What the types call None is null in a file.
    return {name: re.sub(r"\bNone\b", "null", text) for name, text in told.items()}


def _bounds(name: str) -> Tree:
    return next((dict(bounds) for pattern, bounds in _BOUNDS if re.fullmatch(pattern, name)), {})


def _result(writer: SchemaWriter) -> Tree:
    aside = ("tables",)  # what a table holds beside its rows stands under `outcomes`
    kinds = get_type_hints(AuditResult)
    fields = {part: writer.fields(kind, without=aside) for part, kind in kinds.items()}
    rows = {"type": "array", "items": writer.of(Divergence)}
    told = _told(Subgroups)["tables"]
    fields["subgroups"]["tables"] = {"type": "object", "additionalProperties": rows, "description": told}
    properties, required = {}, []
    for key, (part, names) in codec.PLACES.items():
        found = {name: fields[part][name] for name in names}
        needed = [name for name in names if name in writer.needed(kinds[part])]
        properties[key] = found[names[0]] if len(names) == 1 else writer.object(kinds[part], found, needed)
        required += [key] if needed else []
    extra = {
        "format": {"const": codec.FORMAT, "description": "A change that breaks readers comes with another number."},
        "protocol": writer.of(Protocol),
    }
    return writer.object(AuditResult, extra | properties, [*extra, *required])


def _config(writer: SchemaWriter) -> Tree:
    aside = ("protocol",)  # stands beside the settings
    return writer.object(
        AuditConfig, writer.fields(AuditConfig, without=aside), writer.needed(AuditConfig, without=aside)
    )


def _protocol(writer: SchemaWriter) -> Tree:
    tree = writer.object(
        Protocol,
        {"format": {"const": 1}, "name": writer.of(str), "metrics": writer.of(tuple[str, ...])},
        ["format", "name", "metrics"],
    )
    return tree | {"description": "The scoring rules, in the layout of the protocol's TOML file."}


def _case_counts(writer: SchemaWriter) -> Tree:
    properties = writer.fields(CaseCounts)
    row = _record(case=writer.of(str), reason=writer.of(str))
    for name in ("penalised", "excluded"):
        properties[name] = {"type": "array", "items": row, "description": properties[name]["description"]}
    return writer.object(CaseCounts, properties, writer.needed(CaseCounts))


def _level(writer: SchemaWriter) -> Tree:
    aside = ("mean",)  # each metric stands under its own name
    properties, required = writer.fields(LevelFacts, without=aside), writer.needed(LevelFacts, without=aside)
    tree = writer.object(LevelFacts, properties, required) | {"additionalProperties": writer.of(float | None)}
    return tree | {"description": "One level. The mean of each metric stands under the metric's name."}


def _attribute(writer: SchemaWriter) -> Tree:
    properties = writer.fields(AttributeFacts, without=("disparity",))
    disparity = writer.fields(Disparity)
    extreme = writer.of(Extreme | None)
    ends = _record(low=extreme, high=extreme)
    set_by = {**_record(dsc=ends, normhd=ends), "type": ["object", "null"], "description": "The levels that set D_v."}
    properties |= {"disparity": disparity["value"], "set_by": set_by}
    properties |= {name: disparity[name] for name in ("gap_dsc", "gap_normhd", "n_levels", "n_small")}
    return writer.object(AttributeFacts, properties, [*writer.needed(AttributeFacts), "set_by"])


def _divergence(writer: SchemaWriter) -> Tree:
    properties = writer.fields(Divergence, without=("subgroup",))
    items = writer.of(Subgroup) | {"description": "Attribute -> level; the cases have all of them."}
    share = _record(attribute=writer.of(str), level=writer.of(str), share=writer.of(float))
    properties["shapley"] = {"type": "array", "items": share, "description": properties["shapley"]["description"]}
    required = ["items", "shapley", *writer.needed(Divergence, without=("subgroup", "shapley"))]
    return writer.object(Divergence, {"items": items, **properties}, required)


def _record(**properties: Tree) -> Tree:
    return {"type": "object", "properties": properties, "required": list(properties)}


_LAYOUTS: dict[type, Callable[[SchemaWriter], Tree]] = {
    AttributeFacts: _attribute,
    AuditConfig: _config,
    CaseCounts: _case_counts,
    Divergence: _divergence,
    LevelFacts: _level,
    Protocol: _protocol,
    Subgroup: lambda writer: writer.of(Mapping[str, str]) | {"description": "Attribute -> level."},
}

if __name__ == "__main__":
    write_schema(audit_schema(), Path(sys.argv[1]))
