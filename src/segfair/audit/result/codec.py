"""The layout of `audit.json` (`"format": 2`): the one converter between an `AuditResult` and plain values.

The parts of a result lie flat in the file, as `PLACES` says. Says where else the file differs from the types, and
nothing more; knows no meaning of any value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from segfair.audit.result.attributes import AttributeFacts, LevelFacts
from segfair.audit.result.cases import CaseScores
from segfair.audit.result.scores import Scores
from segfair.audit.result.subgroups import Subgroups
from segfair.documents import named_type, read_json
from segfair.errors import InputError, close_names
from segfair.protocol.rules import Protocol
from segfair.subgroups.lattice import Divergence, Item, Subgroup

__all__ = ["FORMAT", "PLACES", "audit_file", "from_tree", "read_tree", "to_tree"]

FORMAT = 2
"""Since 2 a row bears the estimate of its test; in 1 the raw divergence stood beside the test of another quantity."""
_PLACES = """
config=about.config inputs=about.inputs versions=about.versions cases=cases.counts case_scores=cases.scores
metrics=cases.metrics bins=attributes.bins left_out=attributes.left_out notices=about.notices alerts=verdict.alerts
scores=scores.by_name definitions=scores.definitions tools=scores.tools attributes=attributes.facts
outcomes=subgroups.outcomes subgroups=subgroups.tables verdict=verdict.kind,sentence,groups,causes
fairness=scores.variants primary_subgroups=subgroups.primary_levels power=subgroups.power gates=verdict.gates
joined=about.joined columns=attributes.columns record=about.record plan=about.plan binning=attributes.binning
pseudonym_key=about.pseudonym_key shared=about.shared two_rulers=subgroups.second_labels gallery=cases.gallery
search=subgroups.search findings=subgroups.findings worst_off=subgroups.worst_off raters=subgroups.raters
reasons=subgroups.reasons probabilities=scores.calibration
"""
PLACES: dict[str, tuple[str, tuple[str, ...]]] = {
    key: (part, tuple(names.split(","))) for key, part, names in (re.split("[=.]", place) for place in _PLACES.split())
}
"""Key of the file, in its order -> part of the result and field; several fields are an object under the key."""
_TABLE_KEYS = ("better", "n_cases", "mean")
_Result = TypeVar("_Result")


def to_tree(result: Any) -> dict[str, Any]:
    """A result as plain dicts, lists, texts, finite numbers and None."""
    parts = _converter.unstructure(result)
    tree = {
        key: parts[part][names[0]] if len(names) == 1 else {name: parts[part][name] for name in names}
        for key, (part, names) in PLACES.items()
    }
    protocol = tree["config"].pop("protocol")
    cases = tree["cases"]
    return {
        "format": FORMAT,
        **tree,
        "protocol": protocol,
        "cases": {
            **cases,
            "penalised": _as_rows(cases["penalised"]),
            "excluded": _as_rows(cases["excluded"]),
        },
        "subgroups": {name: table["rows"] for name, table in tree["subgroups"].items()},
    }


def from_tree(tree: Mapping[str, Any], kind: type[_Result]) -> _Result:
    """The inverse of `to_tree`.

    Raises:
        InputError: Not an audit, or of another format number.
    """
    from segfair.audit.result.schema import check_audit

    if type(tree.get("format")) is not int or tree["format"] not in (1, FORMAT):
        raise InputError(f"audit.json: format is {tree.get('format')!r}, this version reads 1 and {FORMAT}")
    try:
        if tree["format"] == 1:
            tree = _from_format_1(tree)
        check_audit(tree)
        cases = tree["cases"]
        flat = {
            **tree,
            "config": {**tree["config"], "protocol": tree["protocol"]},
            "cases": {
                **cases,
                "penalised": {row["case"]: row["reason"] for row in cases["penalised"]},
                "excluded": {row["case"]: row["reason"] for row in cases["excluded"]},
            },
            "subgroups": {
                name: {"outcome": name, "rows": rows} | {key: tree["outcomes"][name][key] for key in _TABLE_KEYS}
                for name, rows in tree["subgroups"].items()
            },
        }
        parts: dict[str, dict[str, Any]] = {part: {} for part, _ in PLACES.values()}
        for key, (part, names) in PLACES.items():
            if key in flat:  # a file of an earlier version has not got them all
                held = {names[0]: flat[key]} if len(names) == 1 else flat[key]
                parts[part] |= {name: held[name] for name in names if name in held}
        return _converter.structure(parts, kind)
    except (cattrs.BaseValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError("audit.json: not a complete audit; write it again with segfair audit") from error


def _from_format_1(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree of format 1 as one of format 2: the differences that its tests spoke of, as far as it holds them.

    Findings and stability were not looked for then, and are not made up.
    """

    def row_of(row: Mapping[str, Any]) -> dict[str, Any]:
        rest, both = 1 - row["support"], row["ci_simultaneous"]
        estimate = None
        if rest > 0 and row["rest_mean"] is not None:
            value = row["mean"] - row["rest_mean"]
            if both and not is_plain:
                value = sum(both) / 2 / rest
            estimate = {
                "kind": "difference within strata" if tree["config"]["stratify"] else "difference",
                "value": value,
                "ci": [limit / rest for limit in both] if both else None,
                **{key: row[key] for key in ("p_value", "p_adjusted")},
                "n_cases": row["n"],
            }
        margin = "open" if row["margin"] == "insufficient evidence" else row["margin"]
        return {**row, "estimate": estimate, "margin": margin}

    is_plain = not (tree["config"]["stratify"] or tree["config"]["subject_column"])
    subgroups = {name: list(map(row_of, rows)) for name, rows in tree["subgroups"].items()}
    declared = tree.get("primary_subgroups")
    primary = {**declared, "rows": list(map(row_of, declared["rows"]))} if declared else None
    return {**tree, "subgroups": subgroups, "primary_subgroups": primary, "format": FORMAT}


def audit_file(path: Path) -> Path:
    """The `audit.json` of an audit that is named by its file or by its folder.

    Raises:
        InputError: There is none.
    """
    file = path / "audit.json" if path.is_dir() else path
    if file.is_file():
        return file
    if path.is_dir():
        wrong = "no audit.json in this folder"
    else:
        beside = path.parent.iterdir() if path.parent.is_dir() else ()
        wrong = f"no such file{close_names(path.name, (entry.name for entry in beside))}"
    raise InputError(f"{path}: {wrong}; name what segfair audit wrote: its folder, or audit.json in it")


def read_tree(path: Path) -> dict[str, Any]:
    """The tree of an `audit.json`, whatever its format number.

    Raises:
        InputError: The file is missing or not JSON.
    """
    tree = read_json(path)
    if not isinstance(tree, dict):
        raise InputError(f"{path}: not an audit.json, but {named_type(tree)}")
    return tree


def _as_rows(reasons: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"case": case, "reason": reason} for case, reason in reasons.items()]


def _build_converter() -> cattrs.Converter:
    """Dataclasses <-> the layout of `audit.json`; the hooks are where the two differ."""
    converter = cattrs.Converter(forbid_extra_keys=False)
    converter.register_unstructure_hook(Subgroup, lambda group: dict(sorted(group.items)))
    converter.register_structure_hook(Subgroup, lambda tree, _: Subgroup(frozenset(tree.items())))
    converter.register_unstructure_hook(Protocol, lambda protocol: protocol.to_dict())
    converter.register_structure_hook(Protocol, lambda tree, _: Protocol.from_dict(tree, source="audit.json"))
    edges = tuple[float, ...] | Literal["tree"]
    converter.register_structure_hook(edges, lambda value, _: value if value == "tree" else tuple(map(float, value)))
    converter.register_structure_hook(Any, lambda value, _: value)
    _register_cases(converter)
    _register_divergence(converter)
    _register_level(converter)
    _register_attribute(converter)
    for part in (Scores, Subgroups):  # mappings to their readers, dataclasses to the file; last, they use the others
        converter.register_structure_hook(part, make_dict_structure_fn(part, converter))
        converter.register_unstructure_hook(part, make_dict_unstructure_fn(part, converter))
    return converter


def _register_cases(converter: cattrs.Converter) -> None:
    """Cells of the rows are plain as they are; there may be millions."""
    plain = make_dict_unstructure_fn(
        CaseScores, converter, rows=override(unstruct_hook=lambda rows: list(map(list, rows)))
    )
    converter.register_unstructure_hook(CaseScores, plain)


def _register_divergence(converter: cattrs.Converter) -> None:
    """Shapley shares are a list, for JSON has no keys of two names."""

    def divergence_out(row: Divergence) -> dict[str, Any]:
        plain = (name for name in Divergence.__slots__ if name != "shapley")
        tree = {name: converter.unstructure(getattr(row, name)) for name in plain}
        shares = [{"attribute": item[0], "level": item[1], "share": share} for item, share in row.shapley.items()]
        return {"items": tree.pop("subgroup"), **tree, "shapley": shares}

    plain_divergence = make_dict_structure_fn(Divergence, converter)

    def divergence_in(tree: Mapping[str, Any], kind: type[Divergence]) -> Divergence:
        shares: dict[Item, float] = {(share["attribute"], share["level"]): share["share"] for share in tree["shapley"]}
        row: Divergence = plain_divergence({**tree, "subgroup": tree["items"], "shapley": {}}, kind)
        row.shapley.update(shares)  # type: ignore[attr-defined]
        return row

    converter.register_unstructure_hook(Divergence, divergence_out)
    converter.register_structure_hook(Divergence, divergence_in)


def _register_level(converter: cattrs.Converter) -> None:
    """The means stand beside the level's name and size, each under its metric."""

    def level_out(level: LevelFacts) -> dict[str, Any]:
        tree = {name: converter.unstructure(getattr(level, name)) for name in LevelFacts.__slots__}
        means = tree.pop("mean")
        return {"level": tree.pop("level"), "n": tree.pop("n"), **means, **tree}

    plain_level = make_dict_structure_fn(LevelFacts, converter)

    def level_in(tree: Mapping[str, Any], kind: type[LevelFacts]) -> LevelFacts:
        means = {name: tree[name] for name in tree["median"]}
        level: LevelFacts = plain_level({**tree, "mean": means}, kind)
        return level

    converter.register_unstructure_hook(LevelFacts, level_out)
    converter.register_structure_hook(LevelFacts, level_in)


def _register_attribute(converter: cattrs.Converter) -> None:
    """D_v and what sets it stand beside the attribute's name."""

    def attribute_out(entry: AttributeFacts) -> dict[str, Any]:
        tree = {name: converter.unstructure(getattr(entry, name)) for name in AttributeFacts.__slots__}
        disparity = tree.pop("disparity")
        if disparity is None:
            return {"name": tree.pop("name"), "disparity": None, "set_by": None, **tree}
        return {
            "name": tree.pop("name"),
            "disparity": disparity["value"],
            "gap_dsc": disparity["gap_dsc"],
            "gap_normhd": disparity["gap_normhd"],
            "set_by": {
                metric: {"low": disparity[f"{metric}_low"], "high": disparity[f"{metric}_high"]}
                for metric in ("dsc", "normhd")
            },
            "n_levels": disparity["n_levels"],
            "n_small": disparity["n_small"],
            **tree,
        }

    plain_attribute = make_dict_structure_fn(AttributeFacts, converter)

    def attribute_in(tree: Mapping[str, Any], kind: type[AttributeFacts]) -> AttributeFacts:
        disparity = None
        if tree["set_by"] is not None:
            disparity = {"attribute": tree["name"], "value": tree["disparity"]}
            disparity |= {key: tree[key] for key in ("gap_dsc", "gap_normhd", "n_levels", "n_small")}
            for metric, ends in tree["set_by"].items():
                disparity |= {f"{metric}_{end}": extreme for end, extreme in ends.items()}
        entry: AttributeFacts = plain_attribute({**tree, "disparity": disparity}, kind)
        return entry

    converter.register_unstructure_hook(AttributeFacts, attribute_out)
    converter.register_structure_hook(AttributeFacts, attribute_in)


_converter = _build_converter()
