"""What scores are: one case's, a cohort's, and what each column means under a protocol. Computes none of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.errors import ConfigError
from segfair.protocol.rules import LESION_RULES, Protocol, format_label_values
from segfair.scoring.lesions.measures import Lesion
from segfair.scoring.metrics import METRICS, Metric

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LABEL_SIZES",
    "CaseScore",
    "LabelValues",
    "ScoreTable",
    "check_lesion_metric",
    "counted_values",
    "label_size_column",
    "protocol_metrics",
]

# Pixels are the voxels of a 2-D mask: both count edges, whatever their length.
DISTANCE_UNIT = {
    **dict.fromkeys(("hd95_mm", "assd_mm", "nsd_1mm", "nsd_2mm"), "mm"),
    **dict.fromkeys(("hd95_vox", "assd_vox", "nsd_1vox", "nsd_2vox"), "voxels"),
    **dict.fromkeys(("hd95_px", "assd_px", "nsd_1px", "nsd_2px"), "voxels"),
}
TOLERANCE = {f"nsd_{tolerance}{unit}": float(tolerance) for unit in ("mm", "px", "vox") for tolerance in (1, 2)}
"""NSD metric -> its tolerance, in the metric's unit of length."""
LESION_UNIT = {
    f"{name}_{unit}": "mm" if unit == "mm" else "voxels"
    for name in ("lesion_hd95", "lesion_assd")
    for unit in ("mm", "vox", "px")
}
"""Distance of lesions -> its unit."""
OF_MATCHED = ("lesion_assd_mm", "lesion_assd_vox", "lesion_assd_px", "lesion_sq", "lesion_pq", "lesion_pq_dsc")
OF_LESIONS = ("lesion_sensitivity", "false_lesions", "lesion_f1", "lesion_dsc", *LESION_UNIT, *OF_MATCHED)
"""Metrics of lesions; those of matched ones are of panoptica's rule alone."""
LABEL_SIZES = ("volume", "area_mm2", "area_px", "size_vox")
"""What the size of a label is called in mm³, mm², pixels and voxels; a table of scores has one of them."""
# With regions these describe the whole lesion; a mean over nested regions would mean nothing.
OF_ALL_REGIONS = (*LABEL_SIZES, "lesion_missed")
# The most label values of a mask that are kept.
MOST_VALUES = 32

LabelValues = Literal["any"] | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CaseScore:
    """The scores of one case.

    Attributes:
        case: Case id; empty for arrays scored in memory without one.
        values: Metric -> value under the protocol; None where it has none.
        facts: What the masks are: `label_voxels`, `prediction_voxels` (left out where the prediction could not be
            used), `voxel_volume_mm3`, `spacing_x_mm` and so on in array order (edges of a voxel), `spacing_min_mm`,
            `spacing_max_mm`, `anisotropy` (their ratio), all of these left out where the size of a voxel is not
            known, and `n_lesions` (components of the label connected by faces, edges or corners). Voxels are those
            that count; with regions those of any region. Of a probability map `prediction_min`, `prediction_max` and
            `prediction_whole` (1 where it holds whole numbers only).
        alerts: What a reader has to know before believing the values.
        penalised: Why the case has the worst score; None where its prediction was scored.
        label_sha256: Digest of the label's voxels that count; empty where none was taken.
        values_found: The non-zero values that occur in the label and in the prediction, rising, the first
            `MOST_VALUES` of each; empty where there is none, or no usable prediction.
        lesions: What came of each lesion of the label that counts, by the protocol's rule; empty without a rule.
            With regions those of all regions together.
        equals_label: Whether the prediction has just the voxels of a label that is not empty, in every region.
        calibration: Of a probability map, bin by bin: voxels around the lesion, the sum of their probabilities, and how
            many are lesion; empty without a map, or without a lesion.
        no_probabilities: Why the case has no values of its probabilities though others have; empty otherwise, and where
            its prediction could not be used either.
        by_tools: What other tools would say, by "TOOL MEASURE" (`segfair.scoring.definitions.tools`), where that was
            asked; None where a tool gives no value, and inf where it says infinity, which is what is to be told of it.
    """

    case: str
    values: Mapping[str, float | None]
    facts: Mapping[str, float] = field(default_factory=dict)
    alerts: tuple[str, ...] = ()
    penalised: str | None = None
    label_sha256: str = ""
    values_found: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    equals_label: bool = False
    lesions: tuple[Lesion, ...] = ()
    calibration: tuple[tuple[float, float, float], ...] = ()
    no_probabilities: str = ""
    by_tools: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScoreTable:
    """Per-case scores of a cohort.

    Attributes:
        metrics: What each column means, in column order.
        scores: The scored cases in cohort order, penalised ones included.
        excluded: Case -> why it could not be scored (its label is unusable).
    """

    metrics: tuple[Metric, ...]
    scores: tuple[CaseScore, ...]
    excluded: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names."""
        return tuple(metric.name for metric in self.metrics)

    @property
    def cases(self) -> tuple[str, ...]:
        """Ids of the scored cases in order."""
        return tuple(score.case for score in self.scores)

    @property
    def penalised(self) -> dict[str, str]:
        """Case -> why it has the worst score."""
        return {score.case: score.penalised for score in self.scores if score.penalised is not None}

    def column(self, name: str) -> list[float | None]:
        """One metric in case order; None where undefined."""
        return [score.values[name] for score in self.scores]

    def defined(self, name: str) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Positions of the cases with a value, and the values; neither nan nor inf."""
        found = [(index, value) for index, value in enumerate(self.column(name)) if value is not None]
        return (
            np.array([index for index, _ in found], dtype=np.intp),
            np.array([value for _, value in found], dtype=np.float64),
        )

    def better(self, name: str) -> Literal["higher", "lower"]:
        """Which values of a metric are better; "higher" where it has no direction."""
        direction = next(metric.better for metric in self.metrics if metric.name == name)
        return "lower" if direction == "lower" else "higher"

    def n_undefined(self, name: str) -> int:
        """Number of scored cases without a value."""
        return sum(value is None for value in self.column(name))

    def to_frame(self) -> pd.DataFrame:
        """One row a case: `case`, the metrics as nullable `Float64`, and why it was `penalised` (else empty)."""
        import pandas as pd

        columns: dict[str, Any] = {"case": pd.array(list(self.cases), dtype="string")}
        columns |= {name: pd.array(self.column(name), dtype="Float64") for name in self.names}
        columns["penalised"] = pd.array([score.penalised or "" for score in self.scores], dtype="string")
        return pd.DataFrame(columns)


def protocol_metrics(protocol: Protocol) -> tuple[Metric, ...]:
    """The columns of a protocol, each with the definition and the empty rule that hold under it.

    With regions the plain metrics come first, then each region's as `METRIC_REGION`.

    Raises:
        ConfigError: A metric that does not exist.
    """
    unknown = [name for name in protocol.metrics if name not in METRICS]
    if unknown:
        raise ConfigError(f"protocol {protocol.name}, metrics: no metric {unknown[0]}; known are {', '.join(METRICS)}")
    _check_lesions(protocol)
    if not protocol.regions:
        return tuple(_under(METRICS[name], protocol, protocol.label.overlap) for name in protocol.metrics)
    union = counted_values(protocol)
    regions = ",".join(protocol.regions)
    plain = []
    for name in protocol.metrics:
        metric = _under(METRICS[name], protocol, union)
        if name not in OF_ALL_REGIONS:
            metric = dataclasses.replace(
                metric,
                definition=f"mean-over-regions[{regions}]/{_under(METRICS[name], protocol, None).definition}",
                empty_rule=f"each region: {metric.empty_rule}; mean over the regions with a value",
            )
        plain.append(metric)
    return (
        *plain,
        *(
            dataclasses.replace(_under(METRICS[name], protocol, values), name=f"{name}_{region}")
            for region, values in protocol.regions.items()
            for name in protocol.metrics
        ),
    )


def _check_lesions(protocol: Protocol) -> None:
    if len({LESION_UNIT[name] for name in protocol.metrics if name in LESION_UNIT}) > 1:
        raise ConfigError(
            f"protocol {protocol.name}, metrics: distances of lesions are all in mm or all in voxels; "
            "leave out one unit"
        )
    for name in protocol.metrics:
        check_lesion_metric(name, protocol)


def check_lesion_metric(name: str, protocol: Protocol) -> None:
    """Refuses a metric of lesions that the protocol's rule, or one without a rule, does not have.

    Raises:
        ConfigError: Such a metric; it says which rule has it.
    """
    rule = protocol.lesions.rule
    if name in OF_LESIONS and rule == "none":
        raise ConfigError(
            f"{name}: is a metric of lesions, and protocol {protocol.name} has no rule by which they are found; "
            f"name one with --lesions {', '.join(LESION_RULES[:-1])} or {LESION_RULES[-1]}"
        )
    if name in OF_MATCHED and rule != "panoptica":
        raise ConfigError(
            f"{name}: is a mean over matched lesions, which only the rule panoptica has, and the rule is {rule}"
        )


def label_size_column(names: Collection[str]) -> str | None:
    """The metric that is the size of the label, whatever its unit; None where there is none."""
    return next((name for name in LABEL_SIZES if name in names), None)


def counted_values(protocol: Protocol) -> LabelValues:
    """The label values that count at all."""
    if not protocol.regions:
        return protocol.label.overlap
    return tuple(sorted({value for values in protocol.regions.values() for value in values}))


_LESION_DISTANCES = {
    "brats": "max-of-directed-p95/face-6",
    "voronoi": "max-of-directed-p95/face-6",
    "panoptica": "both-directions-pooled/face-6",
    "none": "",
}


def _empty_lesions(metric: Metric, protocol: Protocol) -> str:
    """What a mean over lesions is worth where there is none."""
    distance = metric.name in LESION_UNIT
    worst = "0"
    if distance:
        worst = "the image's diagonal" if protocol.lesions.penalty == "diagonal" else f"{protocol.lesions.penalty:g}"
    if protocol.lesions.rule == "panoptica":
        return f"no lesion, none predicted: undefined; none matched: {worst}"
    both = "0" if distance else f"{protocol.empty.both_dsc:g}"
    missed = {"brats": "each missed and each false lesion", "voronoi": "each missed lesion"}
    return f"no lesion, none predicted: {both}; {missed[protocol.lesions.rule]}: {worst}"


def _under(metric: Metric, protocol: Protocol, values: LabelValues | None) -> Metric:
    """A metric as it is defined under a protocol; `values` are the label values scored, None where they vary."""
    definition = metric.definition
    empty_rule = metric.empty_rule.replace("nan", "undefined").replace("inf", "undefined")
    label = "" if values is None else f"/label-{format_label_values(values)}"
    one = "the image's diagonal" if protocol.empty.one_distance == "diagonal" else "undefined"
    if metric.name in DISTANCE_UNIT or metric.name == "normhd":
        if metric.name == "normhd":
            rule = protocol.normhd
            hd95 = METRICS[{"mm": "hd95_mm", "voxels": "hd95_vox", "px": "hd95_px"}[rule.unit]].definition
            clipped = "clipped" if rule.clip else "not-clipped"
            definition = f"normhd/over-{rule.scale:g}/{clipped}/{hd95}"
            empty_rule = "neither has a surface: 0; one has none: 1"
        elif metric.name not in TOLERANCE:
            empty_rule = f"neither has a surface: 0; one has none: {one}"
        definition += f"/border-{'background' if protocol.surface.image_border == 'background' else 'no-neighbour'}"
        if protocol.label.surface == "any" and not protocol.regions:
            label = "/every-label-border"
    if metric.name in OF_LESIONS:
        definition += f"/{protocol.lesions.definition}"
        if metric.name in LESION_UNIT:
            definition += f"/{_LESION_DISTANCES[protocol.lesions.rule]}/worst-{protocol.lesions.penalty}"
        if metric.empty_rule == METRICS["lesion_dsc"].empty_rule:
            empty_rule = _empty_lesions(metric, protocol)
    if metric.name in ("dsc", "iou", *TOLERANCE):
        empty_rule = f"both empty: {protocol.empty.both_dsc:g}; one empty: 0"
    return dataclasses.replace(metric, definition=definition + label, empty_rule=empty_rule)
