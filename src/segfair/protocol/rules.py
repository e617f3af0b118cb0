"""The named scoring rules: which label, which HD95, which unit, what an empty mask means, which attributes.

A protocol is data, not code: a TOML file read into frozen dataclasses. This module never scores anything.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from segfair.errors import ConfigError

__all__ = [
    "PROTOCOL_NAMES",
    "AttributeRule",
    "EmptyRule",
    "FairnessRule",
    "GridRule",
    "LabelRule",
    "NormHDRule",
    "Protocol",
    "SurfaceRule",
    "load_protocol",
    "protocol_text",
]

PROTOCOL_NAMES = ("default", "mama-mia")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Which voxels count: `overlap` is "any" or a tuple of label values; `surface` says on which voxels."""

    overlap: Literal["any"] | tuple[int, ...] = (1,)
    surface: Literal["overlap", "any"] = "overlap"


@dataclass(frozen=True, slots=True)
class SurfaceRule:
    """Whether the outside of the image is background, or no neighbour at all."""

    image_border: Literal["background", "none"] = "background"


@dataclass(frozen=True, slots=True)
class NormHDRule:
    """NormHD = HD95 / `scale` with HD95 in `unit` (pixels are the voxels of 2-D masks); in [0, 1] where `clip`."""

    unit: Literal["mm", "voxels", "px"] = "mm"
    scale: float = 150.0
    clip: bool = True


@dataclass(frozen=True, slots=True)
class EmptyRule:
    """Scores of empty masks; a missed or invented lesion (one mask empty) always has DSC 0 and NormHD 1."""

    both_dsc: float = 1.0
    one_distance: Literal["diagonal", "undefined"] = "diagonal"


@dataclass(frozen=True, slots=True)
class GridRule:
    """When two masks lie on the same grid.

    `tolerance` bounds how far apart two affines put any corner of the volume, as a share of the shortest voxel edge.
    """

    match: Literal["affine", "shape"] = "affine"
    tolerance: float = 0.01


@dataclass(frozen=True, slots=True)
class FairnessRule:
    """Which levels set FS, and the weight of FS in TS."""

    levels: Literal["all", "min-cases"] = "min-cases"
    weight: float = 0.5


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """How one attribute is made from a metadata column.

    Attributes:
        columns: Column names to look for; the first that exists is used.
        edges: Bin edges of a number, bins open on the left and closed on the right; outside is missing.
        labels: Level names of the bins, one fewer than edges; readable ranges where empty.
        contains: (text, level) pairs; the first whose text the lower-cased value contains decides.
        levels: The levels that exist; other values are missing. Empty: whatever occurs.
        missing: "drop" (the case leaves this attribute only) or the name of the level missing values get.
    """

    columns: tuple[str, ...]
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    contains: tuple[tuple[str, str], ...] = ()
    levels: tuple[str, ...] = ()
    missing: str = "missing"


@dataclass(frozen=True, slots=True)
class Protocol:
    """One set of scoring rules.

    Attributes:
        name: What the report calls it.
        metrics: Names of the per-case metrics, in column order.
        label: Which voxels count.
        regions: Region name -> label values; where not empty each region is scored as `METRIC_REGION`
            and the plain metric is the mean over regions.
        ignore_label: Voxels of this label value count nowhere; None if there is none.
        surface, normhd, empty, grid, fairness: See the rules.
        attributes: Attribute name -> rule; where `listed_only`, no other column becomes an attribute.
        listed_only: Whether only the listed attributes are used.
        gates: Gates that an audit under this protocol has to pass, as texts; they change no score.
        chosen: Keys about labels ("label.overlap", "label.surface", "label.ignore", "regions") that a file sets itself;
            empty for the named protocols. What a file sets comes before what a data set says.
    """

    name: str
    metrics: tuple[str, ...]
    label: LabelRule = field(default_factory=LabelRule)
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignore_label: int | None = None
    surface: SurfaceRule = field(default_factory=SurfaceRule)
    normhd: NormHDRule = field(default_factory=NormHDRule)
    empty: EmptyRule = field(default_factory=EmptyRule)
    grid: GridRule = field(default_factory=GridRule)
    fairness: FairnessRule = field(default_factory=FairnessRule)
    attributes: Mapping[str, AttributeRule] = field(default_factory=dict)
    listed_only: bool = False
    gates: tuple[str, ...] = ()
    chosen: frozenset[str] = field(default=frozenset(), compare=False)

    def replace(self, **changes: Any) -> Protocol:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """The protocol in the TOML file's layout: plain dicts, lists, strings and numbers."""
        listed = {}
        for name, rule in self.attributes.items():
            # Only what is set: an empty list of edges would read as a decision.
            listed[name] = {
                key: [list(pair) for pair in value] if key == "contains" else _plain(value)
                for key, value in dataclasses.asdict(rule).items()
                if value not in ((), "")
            }
        tree: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "metrics": list(self.metrics),
            "label": {
                "overlap": format_label_values(self.label.overlap),
                "surface": self.label.surface,
            },
            "regions": {name: format_label_values(values) for name, values in self.regions.items()},
            "surface": dataclasses.asdict(self.surface),
            "normhd": dataclasses.asdict(self.normhd),
            "empty": dataclasses.asdict(self.empty),
            "grid": dataclasses.asdict(self.grid),
            "fairness": dataclasses.asdict(self.fairness),
            "attributes": {"use": "listed" if self.listed_only else "usable", "listed": listed},
        }
        if self.ignore_label is not None:
            tree["label"]["ignore"] = self.ignore_label
        if self.gates:
            tree["gates"] = {"require": list(self.gates)}
        return tree

    @property
    def digest(self) -> str:
        """SHA-256 of the rules; two audits with the same digest were scored alike. Gates score nothing."""
        rules = {key: value for key, value in self.to_dict().items() if key != "gates"}
        return hashlib.sha256(json.dumps(rules, sort_keys=True).encode()).hexdigest()

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any], *, source: str = "protocol") -> Protocol:
        """Builds a protocol from the TOML file's layout, starting from `default` for keys left out.

        Raises:
            ConfigError: An unknown key, a value of the wrong kind, or an unknown format number.
        """
        merged = _merge(_default_tree(), tree, source)
        return _parse(merged, source).replace(chosen=_chosen(tree))


def load_protocol(name_or_path: str | Path) -> Protocol:
    """Reads a protocol by name (`default`, `mama-mia`) or from a TOML file.

    Raises:
        ConfigError: No such protocol, or a file that is not a protocol.
    """
    text = protocol_text(name_or_path)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"protocol {name_or_path}: not valid TOML ({error})") from error
    protocol = Protocol.from_dict(tree, source=str(name_or_path))
    return protocol.replace(chosen=frozenset()) if str(name_or_path) in PROTOCOL_NAMES else protocol


def protocol_text(name_or_path: str | Path) -> str:
    """The TOML text of a protocol, comments included.

    Raises:
        ConfigError: No protocol of that name and no such file.
    """
    if str(name_or_path) in PROTOCOL_NAMES:
        return (resources.files("segfair.protocol") / f"{name_or_path}.toml").read_text("utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        names = ", ".join(PROTOCOL_NAMES)
        raise ConfigError(f"protocol {name_or_path}: neither one of {names} nor an existing TOML file")
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"protocol {path}: cannot be read ({error})") from error


def parse_label_values(text: str | int) -> Literal["any"] | tuple[int, ...]:
    """`"any"` -> "any"; `"1"` or `"1,2"` -> the values.

    Raises:
        ConfigError: Anything else.
    """
    if str(text).strip() == "any":
        return "any"
    try:
        values = tuple(int(part) for part in str(text).split(","))
    except ValueError:
        raise ConfigError(f"label {text!r}: expected any, a number such as 1, or several such as 1,2") from None
    if 0 in values:
        raise ConfigError(f"label {text!r}: 0 is the background and cannot be scored")
    return values


def format_label_values(values: Literal["any"] | tuple[int, ...]) -> str:
    """The inverse of `parse_label_values`."""
    return "any" if values == "any" else ",".join(str(value) for value in values)


def _chosen(tree: Mapping[str, Any]) -> frozenset[str]:
    """The keys about labels that a file sets itself; an empty table of regions sets none."""
    label = tree.get("label", {})
    found = {f"label.{key}" for key in label} if isinstance(label, Mapping) else set()
    return frozenset(found | ({"regions"} if tree.get("regions") else set()))


def _default_tree() -> dict[str, Any]:
    return tomllib.loads(protocol_text("default"))


def _merge(base: Mapping[str, Any], change: Mapping[str, Any], source: str) -> dict[str, Any]:
    """`change` over `base`, tables merged key by key; free tables (regions, attributes) are replaced."""
    merged = dict(base)
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key not in ("regions", "listed"):
            merged[key] = _merge(merged[key], value, source)
        else:
            merged[key] = value
    return merged


def _parse(tree: Mapping[str, Any], source: str) -> Protocol:
    known = {
        "format",
        "name",
        "metrics",
        "label",
        "regions",
        "surface",
        "normhd",
        "empty",
        "grid",
        "fairness",
    }
    _refuse_unknown(tree, known | {"attributes", "gates"}, source)
    if tree.get("format") != FORMAT:
        raise ConfigError(f"{source}: format is {tree.get('format')!r}, this version reads format {FORMAT}")
    if not isinstance(tree.get("name"), str):
        raise ConfigError(f"{source}: name must be text")
    label = dict(tree["label"])
    _refuse_unknown(label, {"overlap", "surface", "ignore"}, f"{source}, [label]")
    attributes = dict(tree["attributes"])
    _refuse_unknown(attributes, {"use", "listed"}, f"{source}, [attributes]")
    gates = tree.get("gates", {})
    if not isinstance(gates, Mapping):
        raise ConfigError(f'{source}, [gates]: expected a table such as require = ["FS >= 0.85"], got {gates!r}')
    _refuse_unknown(gates, {"require"}, f"{source}, [gates]")
    regions = {}
    for name, text in tree["regions"].items():
        values = parse_label_values(text)
        if values == "any":
            raise ConfigError(f'{source}, [regions] {name}: name the label values, for example {name} = "1,2"')
        regions[name] = values
    ignore = label.get("ignore")
    if ignore is not None and not isinstance(ignore, int):
        raise ConfigError(f"{source}, [label] ignore: expected a whole number, got {ignore!r}")
    return Protocol(
        name=tree["name"],
        metrics=_texts(tree["metrics"], f"{source}, metrics"),
        label=LabelRule(
            parse_label_values(label["overlap"]),
            _choice(label["surface"], ("overlap", "any"), f"{source}, [label] surface"),
        ),
        regions=regions,
        ignore_label=ignore,
        surface=_rule(SurfaceRule, tree["surface"], f"{source}, [surface]", image_border=("background", "none")),
        normhd=_rule(NormHDRule, tree["normhd"], f"{source}, [normhd]", unit=("mm", "voxels", "px")),
        empty=_rule(EmptyRule, tree["empty"], f"{source}, [empty]", one_distance=("diagonal", "undefined")),
        grid=_rule(GridRule, tree["grid"], f"{source}, [grid]", match=("affine", "shape")),
        fairness=_rule(FairnessRule, tree["fairness"], f"{source}, [fairness]", levels=("all", "min-cases")),
        attributes={name: _attribute_rule(name, rule, source) for name, rule in attributes.get("listed", {}).items()},
        listed_only=_choice(attributes["use"], ("usable", "listed"), f"{source}, [attributes] use") == "listed",
        gates=_texts(gates.get("require", ()), f"{source}, [gates] require"),
    )


def _attribute_rule(name: str, tree: Any, source: str) -> AttributeRule:
    where = f"{source}, [attributes.listed.{name}]"
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where}: expected a table, got {tree!r}")
    _refuse_unknown(tree, {entry.name for entry in dataclasses.fields(AttributeRule)}, where)
    edges = tuple(float(edge) for edge in tree.get("edges", ()))
    labels = _texts(tree.get("labels", ()), f"{where} labels")
    if any(low >= high for low, high in itertools.pairwise(edges)):
        raise ConfigError(f"{where} edges: must rise, got {list(edges)}")
    if labels and len(labels) != len(edges) - 1:
        raise ConfigError(f"{where} labels: {len(edges)} edges make {len(edges) - 1} bins, got {len(labels)} labels")
    return AttributeRule(
        columns=_texts(tree.get("columns", (name,)), f"{where} columns"),
        edges=edges,
        labels=labels,
        contains=tuple((str(text), str(level)) for text, level in tree.get("contains", ())),
        levels=_texts(tree.get("levels", ()), f"{where} levels"),
        missing=str(tree.get("missing", "missing")),
    )


def _rule(kind: type[Any], tree: Any, where: str, **choices: tuple[str, ...]) -> Any:
    if not isinstance(tree, Mapping):
        raise ConfigError(f"{where}: expected a table, got {tree!r}")
    fields = {entry.name: entry for entry in dataclasses.fields(kind)}
    _refuse_unknown(tree, set(fields), where)
    values: dict[str, Any] = {}
    for name, value in tree.items():
        default = fields[name].default
        if name in choices:
            values[name] = _choice(value, choices[name], f"{where} {name}")
        elif isinstance(default, bool):
            if not isinstance(value, bool):
                raise ConfigError(f"{where} {name}: expected true or false, got {value!r}")
            values[name] = value
        else:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"{where} {name}: expected a number, got {value!r}")
            values[name] = float(value)
    return kind(**values)


def _choice(value: Any, choices: tuple[str, ...], where: str) -> Any:
    if value not in choices:
        raise ConfigError(f"{where}: expected {' or '.join(choices)}, got {value!r}")
    return value


def _texts(values: Any, where: str) -> tuple[str, ...]:
    if isinstance(values, str) or not all(isinstance(value, str) for value in values):
        raise ConfigError(f"{where}: expected a list of texts, got {values!r}")
    return tuple(values)


def _refuse_unknown(tree: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(tree) - known)
    if unknown:
        raise ConfigError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(known))}")


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
