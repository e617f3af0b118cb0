"""Parts of a result <-> the layout of `audit.json`: the one converter. Reads and writes no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import cattrs
from cattrs.gen import make_dict_structure_fn

from segfair.audit.result.scores import AttributeFacts, LevelFacts
from segfair.protocol.rules import Protocol
from segfair.subgroups.lattice import Divergence, Item, Subgroup

__all__ = ["CONVERTER"]


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
    _register_divergence(converter)
    _register_level(converter)
    _register_attribute(converter)
    return converter


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


CONVERTER = _build_converter()
