"""The named scoring rules: which label, which HD95, which unit, what an empty mask means, which attributes.

A protocol is data, not code: a TOML file read into frozen dataclasses. This module never scores anything.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import cattrs
from cattrs.gen import make_dict_unstructure_fn

from segfair.documents import parse_toml, read_text
from segfair.errors import ConfigError, close_names, quoted
from segfair.trees import Kind, structure, tree_converter

__all__ = [
    "PROTOCOL_NAMES",
    "AttributeRule",
    "EmptyRule",
    "FairnessRule",
    "GridRule",
    "LabelRule",
    "LesionRule",
    "NormHDRule",
    "Protocol",
    "SurfaceRule",
    "lesion_rule",
    "load_protocol",
    "protocol_text",
]

PROTOCOL_NAMES = ("default", "mama-mia")
LESION_RULES = ("brats", "panoptica", "voronoi")
FORMAT = 1
LabelValues = Literal["any"] | tuple[int, ...]
Share = Annotated[float, Kind("a number from 0 to 1", lambda value: 0 <= value <= 1)]
Length = Annotated[float, Kind("a number above 0", lambda value: value > 0)]
Penalty = Literal["diagonal"] | float


@dataclass(frozen=True, slots=True)
class LabelRule:
    """Which voxels count: `overlap` is "any" or a tuple of label values; `surface` says on which voxels."""

    overlap: LabelValues = (1,)
    surface: Literal["overlap", "any"] = "overlap"


@dataclass(frozen=True, slots=True)
class SurfaceRule:
    """Whether the outside of the image is background, or no neighbour at all."""

    image_border: Literal["background", "none"] = "background"


@dataclass(frozen=True, slots=True)
class NormHDRule:
    """NormHD = HD95 / `scale` with HD95 in `unit` (pixels are the voxels of 2-D masks); in [0, 1] where `clip`."""

    unit: Literal["mm", "voxels", "px"] = "mm"
    scale: Length = 150.0
    clip: bool = True


@dataclass(frozen=True, slots=True)
class EmptyRule:
    """Scores of empty masks; a missed or invented lesion (one mask empty) always has DSC 0 and NormHD 1."""

    both_dsc: Share = 1.0
    one_distance: Literal["diagonal", "undefined"] = "diagonal"


@dataclass(frozen=True, slots=True)
class GridRule:
    """When two masks lie on the same grid.

    `tolerance` bounds how far apart two affines put any corner of the volume, as a share of the shortest voxel edge.
    """

    match: Literal["affine", "shape"] = "affine"
    tolerance: Annotated[float, Kind("a number from 0 on", lambda value: value >= 0)] = 0.01


@dataclass(frozen=True, slots=True)
class FairnessRule:
    """Which levels set FS, and the weight of FS in TS."""

    levels: Literal["all", "min-cases"] = "min-cases"
    weight: Share = 0.5


@dataclass(frozen=True, slots=True)
class LesionRule:
    """By which rule lesions are found and matched, see `segfair.scoring.lesions`.

    Attributes:
        rule: "brats", "panoptica" or "voronoi"; "none": lesions are not told apart.
        connectivity: Which voxels of a mask are of one lesion: those that share a face (6), an edge as well (18) or a
            corner as well (26); in 2-D 6 stands for the 4 neighbours that share an edge, 18 and 26 for all 8.
        dilation: By how many voxels a label is widened (brats): parts that then touch are one lesion, and what is
            predicted there finds it.
        min_size: Lesions of a label of at most this size count nowhere (brats); in mm³, in 2-D mm², and in voxels
            where their size is not known.
        penalty: HD95 of a lesion that is missed or invented, in the unit of the metric; "diagonal": the image's.
        overlap: Intersection over union from which on a predicted lesion is that of the label (panoptica). Below a
            half a lesion could have two.
    """

    rule: Literal["none", "brats", "panoptica", "voronoi"] = "none"
    connectivity: Annotated[int, Kind("6, 18 or 26", lambda value: value in (6, 18, 26))] = 26
    dilation: Annotated[int, Kind("a whole number from 0 on", lambda value: value >= 0)] = 0
    min_size: Annotated[float, Kind("a number from 0 on", lambda value: value >= 0)] = 0.0
    penalty: Penalty = "diagonal"
    overlap: Annotated[float, Kind("a number from 0.5 to 1", lambda value: 0.5 <= value <= 1)] = 0.5

    @property
    def metrics(self) -> tuple[str, ...]:
        """What is scored by it; none without a rule."""
        if self.rule == "none":
            return ()
        plain = ("lesion_sensitivity", "false_lesions", "lesion_f1", "lesion_dsc", "lesion_hd95_mm")
        of_matched = ("lesion_assd_mm", "lesion_sq", "lesion_pq", "lesion_pq_dsc")
        return (*plain, *of_matched) if self.rule == "panoptica" else plain

    @property
    def definition(self) -> str:
        """What a number that was found by it bears in the id of its definition."""
        said = {
            "brats": f"dilation-{self.dilation}/over-{self.min_size:g}-mm3",
            "panoptica": f"iou-from-{self.overlap:g}",
            "voronoi": "regions-of-nearest-label-lesion",
        }
        return f"{self.rule}/{said[self.rule]}/connectivity-{self.connectivity}" if self.rule in said else self.rule


@dataclass(frozen=True, slots=True)
class AttributeRule:
    """How one attribute is made from a metadata column.

    Attributes:
        columns: Column names to look for; the first that exists is used. In a file, empty: the attribute's own name.
        edges: Bin edges of a number, bins open on the left and closed on the right; outside is missing.
        labels: Level names of the bins, one fewer than edges; readable ranges where empty.
        contains: (text, level) pairs; the first whose text the lower-cased value contains decides.
        levels: The levels that exist; other values are missing. Empty: whatever occurs.
        missing: "drop" (the case leaves this attribute only) or the name of the level missing values get.
    """

    columns: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()
    contains: Annotated[tuple[tuple[str, str], ...], Kind('a list of pairs such as ["post", "postmenopausal"]')] = ()
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
        surface, normhd, empty, grid, fairness, lesions: See the rules.
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
    lesions: LesionRule = field(default_factory=LesionRule)
    chosen: frozenset[str] = field(default=frozenset(), compare=False)

    def replace(self, **changes: Any) -> Protocol:
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def with_lesions(self, rule: str) -> Protocol:
        """A copy that tells lesions apart by a rule and scores them; a protocol with this rule stays as it is.

        Raises:
            ConfigError: No such rule.
        """
        lesions = lesion_rule(rule)
        if self.lesions.rule == rule:
            return self
        others = tuple(name for name in self.metrics if name not in self.lesions.metrics)
        return self.replace(lesions=lesions, metrics=(*others, *lesions.metrics))

    def to_dict(self) -> dict[str, Any]:
        """The protocol in the TOML file's layout: plain dicts, lists, strings and numbers."""
        tree: dict[str, Any] = _converter.unstructure(
            _File(
                **{name: getattr(self, name) for name in _AS_THEY_ARE},
                format=FORMAT,
                label=_Label(self.label.overlap, self.label.surface, self.ignore_label),
                attributes=_Attributes("listed" if self.listed_only else "usable", self.attributes),
                gates=_Gates(self.gates),
            )
        )
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
        merged = _merge(parse_toml(protocol_text("default"), "default"), _with_preset(tree, source))
        if merged["format"] != FORMAT:
            raise ConfigError(f"{source}: format is {merged['format']!r}, this version reads format {FORMAT}")
        file = structure(_converter, merged, _File, source=source)
        if len(set(file.metrics)) < len(file.metrics):
            twice = next(name for name in file.metrics if file.metrics.count(name) > 1)
            raise ConfigError(f"{source}, metrics: {twice} stands twice")
        for name, values in file.regions.items():
            if values == "any":
                raise ConfigError(f'{source}, [regions] {name}: name the label values, for example {name} = "1,2"')
        if "metrics" not in tree:
            file = dataclasses.replace(file, metrics=(*file.metrics, *file.lesions.metrics))
        return cls(
            **{name: getattr(file, name) for name in _AS_THEY_ARE},
            label=LabelRule(file.label.overlap, file.label.surface),
            ignore_label=file.label.ignore,
            attributes={
                name: _checked(name, rule, f"{source}, [attributes.listed.{name}]")
                for name, rule in file.attributes.listed.items()
            },
            listed_only=file.attributes.use == "listed",
            gates=file.gates.require,
            chosen=_chosen(tree),
        )


def load_protocol(name_or_path: str | Path) -> Protocol:
    """Reads a protocol by name (`default`, `mama-mia`) or from a TOML file.

    Raises:
        ConfigError: No such protocol, or a file that is not a protocol.
    """
    tree = parse_toml(protocol_text(name_or_path), f"protocol {name_or_path}", refusal=ConfigError)
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
    if not path.exists():
        names, meant = ", ".join(PROTOCOL_NAMES), close_names(str(name_or_path), PROTOCOL_NAMES)
        raise ConfigError(f"protocol {name_or_path}: neither one of {names} nor an existing TOML file{meant}")
    return read_text(path, refusal=ConfigError, what=f"protocol {path}")


def parse_label_values(text: str | int) -> LabelValues:
    """`"any"` -> "any"; `"1"` or `"1,2"` -> the values.

    Raises:
        ConfigError: Anything else.
    """
    if str(text).strip() == "any":
        return "any"
    try:
        values = tuple(int(part) for part in str(text).split(","))
    except ValueError:
        raise ConfigError(
            f"label {quoted(str(text))}: expected any, a number such as 1, or several such as 1,2"
        ) from None
    if 0 in values:
        raise ConfigError(f"label {quoted(str(text))}: 0 is the background and cannot be scored")
    return values


def _penalty(value: object) -> Penalty:
    if value == "diagonal":
        return "diagonal"
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ConfigError(f'expected "diagonal" or a number above 0, got {value!r}')
    return float(value)


def format_label_values(values: LabelValues) -> str:
    """The inverse of `parse_label_values`."""
    return "any" if values == "any" else ",".join(str(value) for value in values)


def lesion_rule(name: str) -> LesionRule:
    """A rule by its name, as its authors set it.

    Raises:
        ConfigError: No such rule.

    References:
        brats: Saluja et al. BraTS 2023 lesion-wise metrics (github.com/rachitsaluja/BraTS-2023-Metrics), with the
        dilation and sizes of the glioma task. panoptica: Kofler et al. Panoptica: instance-wise evaluation of 3D
        semantic and instance segmentation maps. arXiv:2312.02608. voronoi: Jaus et al. Every component counts:
        rethinking the measure of success for medical semantic segmentation in multi-instance segmentation tasks.
        AAAI 2025 (CC-Metrics).
    """
    if name not in LESION_RULES:
        raise ConfigError(
            f"lesions {name}: no such rule{close_names(name, LESION_RULES)}; there are {', '.join(LESION_RULES)}"
        )
    if name == "brats":
        return LesionRule("brats", dilation=3, min_size=50.0, penalty=374.0)
    return LesionRule("panoptica" if name == "panoptica" else "voronoi")


# What one rule alone looks at.
_OF_ONE_RULE = {"dilation": "brats", "min_size": "brats", "overlap": "panoptica"}


def _with_preset(tree: Mapping[str, Any], source: str) -> Mapping[str, Any]:
    """The tree with what a named rule of lesions sets, where the tree does not set it itself."""
    given = tree.get("lesions")
    if not isinstance(given, Mapping) or given.get("rule") not in LESION_RULES:
        return tree
    name = given["rule"]
    for key, rule in _OF_ONE_RULE.items():
        if key in given and rule != name:
            raise ConfigError(f"{source}, [lesions] {key}: belongs to the rule {rule}, and the rule is {name}")
    preset = dataclasses.asdict(lesion_rule(name))
    return {
        **tree,
        "lesions": {key: value for key, value in preset.items() if key not in _OF_ONE_RULE or _OF_ONE_RULE[key] == name}
        | dict(given),
    }


def _chosen(tree: Mapping[str, Any]) -> frozenset[str]:
    """The keys about labels that a file sets itself; an empty table of regions sets none."""
    label = tree.get("label", {})
    found = {f"label.{key}" for key in label} if isinstance(label, Mapping) else set()
    return frozenset(found | ({"regions"} if tree.get("regions") else set()))


def _merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`change` over `base`, tables merged key by key; free tables (regions, attributes) are replaced."""
    merged = dict(base)
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(merged.get(key), Mapping) and key not in ("regions", "listed"):
            merged[key] = _merge(merged[key], value)
        else:
            merged[key] = value
    return merged


def _checked(name: str, rule: AttributeRule, where: str) -> AttributeRule:
    """A listed attribute whose bins make sense; its column is the one of its name, where no other is given."""
    edges, labels = rule.edges, rule.labels
    if any(low >= high for low, high in itertools.pairwise(edges)):
        raise ConfigError(f"{where} edges: must rise, got {list(edges)}")
    if labels and len(labels) != len(edges) - 1:
        raise ConfigError(f"{where} labels: {len(edges)} edges make {len(edges) - 1} bins, got {len(labels)} labels")
    return dataclasses.replace(rule, columns=rule.columns or (name,))


# The layout of a protocol's file, where it is not that of `Protocol`.


@dataclass(frozen=True, slots=True)
class _Label:
    overlap: LabelValues
    surface: Literal["overlap", "any"]
    ignore: int | None = None


@dataclass(frozen=True, slots=True)
class _Attributes:
    use: Literal["usable", "listed"]
    listed: Mapping[str, AttributeRule] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Gates:
    require: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _File:
    format: int
    name: str
    metrics: tuple[str, ...]
    label: _Label
    regions: Mapping[str, LabelValues]
    surface: SurfaceRule
    normhd: NormHDRule
    empty: EmptyRule
    grid: GridRule
    fairness: FairnessRule
    attributes: _Attributes
    gates: Annotated[_Gates, Kind('a table such as require = ["FS >= 0.85"]')] = _Gates()
    lesions: LesionRule = LesionRule()


_AS_THEY_ARE = ("name", "metrics", "regions", "surface", "normhd", "empty", "grid", "fairness", "lesions")


def _build_converter() -> cattrs.Converter:
    converter = tree_converter()
    converter.register_structure_hook(LabelValues, lambda value, _: parse_label_values(value))
    converter.register_unstructure_hook(LabelValues, format_label_values)
    converter.register_structure_hook(Penalty, lambda value, _: _penalty(value))
    converter.register_unstructure_hook(Penalty, lambda value: value)
    # Only what is set: an empty list of edges would read as a decision.
    plain = make_dict_unstructure_fn(AttributeRule, converter)
    converter.register_unstructure_hook(
        AttributeRule, lambda rule: {key: value for key, value in plain(rule).items() if value not in ([], "")}
    )
    of_lesions = make_dict_unstructure_fn(LesionRule, converter)
    # All that the rule looks at, for what is left out is what its authors set.
    converter.register_unstructure_hook(
        LesionRule,
        lambda rule: {
            key: value for key, value in of_lesions(rule).items() if _OF_ONE_RULE.get(key, rule.rule) == rule.rule
        },
    )
    for kind in (_Label, _File):
        written = make_dict_unstructure_fn(kind, converter, _cattrs_omit_if_default=True)
        converter.register_unstructure_hook(kind, written)
    return converter


_converter = _build_converter()
