"""What the scores would be under other definitions, and whether that changes an order or the verdict.

HD95 / 150 can mean voxels or millimetres, clipped to [0, 1] or not; the order of models has turned on the choice. And
DSC, HD95 and NSD are not the same in every tool. Both are told of the values that scoring left behind; no mask is read.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.result import Alert, Definition, ToolFacts, Verdict
from segfair.audit.words import item_name, metric_name, plural, subgroup_name
from segfair.fairness import ChallengeScores, Disparity, JudgingRule, challenge_scores
from segfair.protocol.rules import Protocol
from segfair.scoring.definitions.tools import TOOLS, Measure, measures_of_tools
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable
from segfair.subgroups.lattice import Item, Subgroup

if TYPE_CHECKING:
    # A ranking, which compares definitions of NormHD alone, spares loading what forms groups.
    from segfair.audit.choices.groups import Study

__all__ = ["compare_definitions", "compare_tools", "normhd_variants", "tool_alerts", "tools_sentence"]

Floats = NDArray[np.float64]
_SUFFIXES = {"mm": "mm", "voxels": "vox", "px": "px"}
_DRAWS = 200
"""Resamples of a verdict that is only compared with another."""
_TIED = 1e-6
"""Means that differ by less, as a share of the larger, are in no order: MONAI counts in single precision."""
_COLUMNS = {"mm": "hd95_mm", "voxels": "hd95_vox", "px": "hd95_px"}


def compare_definitions(
    scores: ScoreTable, attributes: AttributeTable, *, protocol: Protocol, min_cases: int
) -> tuple[Definition, ...]:
    """The scores under each definition of NormHD that the columns allow, the used one first.

    Returns:
        One entry a definition; `changes` names every attribute whose worst or best level for NormHD differs from
        the one under the used definition. Empty where there is no DSC, NormHD or HD95.
    """
    if not {"dsc", "normhd"} <= set(scores.names):
        return ()
    _, dsc = scores.defined("dsc")
    _, normhd = scores.defined("normhd")
    variants = normhd_variants(scores, protocol=protocol)
    rule = protocol.normhd
    used_name = f"{rule.unit}, {'clipped' if rule.clip else 'not clipped'}"
    if len(dsc) != len(scores.cases) or len(normhd) != len(dsc) or not variants:
        return ()

    def under(values: NDArray[np.float64]) -> ChallengeScores:
        return challenge_scores(
            dsc,
            values,
            attributes,
            rule=JudgingRule.of(protocol.fairness.levels, min_cases=min_cases),
            weight=protocol.fairness.weight,
        )

    used = under(normhd)
    definitions = [Definition(used_name, used.normhd, used.ps, used.fs, used.ts, (), True)]
    for name, values in variants.items():
        if name != used_name:
            other = under(values)
            changes = tuple(itertools.chain.from_iterable(map(_changes, used.disparities, other.disparities)))
            definitions.append(Definition(name, other.normhd, other.ps, other.fs, other.ts, changes, False))
    return tuple(definitions)


def normhd_variants(scores: ScoreTable, *, protocol: Protocol) -> dict[str, NDArray[np.float64]]:
    """NormHD of every case under each definition that the HD95 columns allow.

    Where NormHD is 1 by rule (a missed or invented lesion, an unusable prediction) it stays 1 under all of them.

    Returns:
        "mm, clipped", "mm, not clipped", and the same in voxels and px -> (n_cases,).
    """
    normhd = scores.column("normhd")
    variants = {}
    for unit, column in _COLUMNS.items():
        if column not in scores.names:
            continue
        raw = np.array(
            [
                (1.0 if norm is None else norm)
                if _ruled(case) or distance is None
                else distance / protocol.normhd.scale
                for case, norm, distance in zip(scores.scores, normhd, scores.column(column), strict=True)
            ]
        )
        variants[f"{unit}, clipped"] = np.clip(raw, 0.0, 1.0)
        variants[f"{unit}, not clipped"] = raw
    return variants


def _ruled(case: CaseScore) -> bool:
    """Whether a rule set the distance, not a measurement."""
    empty = [case.facts.get(name) == 0 for name in ("label_voxels", "prediction_voxels")]
    return case.penalised is not None or empty[0] != empty[1]


def _changes(used: Disparity, other: Disparity) -> list[str]:
    changes = []
    for which, before, after in (
        ("highest", used.normhd_high, other.normhd_high),
        ("lowest", used.normhd_low, other.normhd_low),
    ):
        if before and after and before.level != after.level:
            changes.append(
                f"{used.attribute}: the level with the {which} NormHD is {after.level} (n = {after.n}), "
                f"not {before.level} (n = {before.n})"
            )
    return changes


def compare_tools(study: Study, conclude: Callable[[Study], Verdict]) -> tuple[ToolFacts, ...]:
    """DSC, HD95 and NSD as other tools define them: means, worst levels, FS, and the verdict by each.

    Args:
        study: The audited cases; where their scores tell nothing of other tools, there is nothing to compare.
        conclude: The verdict of a study for its primary outcome.

    Returns:
        By measure, this audit first and then each tool that has the measure; a measure that the protocol lacks, or
        has of regions alone, is left out.
    """
    if not study.config.other_tools:
        return ()
    protocol = study.config.protocol
    suffix = _SUFFIXES[protocol.normhd.unit]
    columns: dict[Measure, str] = {"dsc": "dsc", "hd95": f"hd95_{suffix}", "nsd": f"nsd_1{suffix}"}
    there = {measure: name for measure, name in columns.items() if name in study.scores.names}
    compared = _Compared(study, there, conclude, {})
    return tuple(itertools.chain.from_iterable(map(compared.rows, there)))


def tool_alerts(tools: Sequence[ToolFacts], outcomes: Sequence[str]) -> Iterator[Alert]:
    """The verdicts that would be others, of the metrics that are judged."""
    for entry in tools:
        if entry.turns and entry.metric in outcomes:
            named = f", {subgroup_name(entry.groups[0].items)}" if entry.groups else ""
            text = f"Were {metric_name(entry.metric)} defined as in {entry.tool}, the verdict by it would be another"
            yield Alert("definition", f"{text}: {entry.verdict}{named}.")


def tools_sentence(tools: Sequence[ToolFacts]) -> str:
    """Whether other tools would agree, in a sentence."""
    others = [entry for entry in tools if entry.tool]
    turning = [entry for entry in others if entry.turns]
    asked = f"Of {plural(len(others), 'definition')} in {plural(len({entry.tool for entry in others}), 'other tool')}"
    if not turning:
        return f"{asked} none leads to another verdict than the one by this audit's own."
    named = (
        f"{metric_name(metric)} as in {' and '.join(entry.tool for entry in of)}"
        for metric, of in itertools.groupby(turning, key=lambda entry: entry.metric)
    )
    leads = "leads" if len(turning) == 1 else "lead"
    return f"{asked} {len(turning)} {leads} to another verdict than the one by this audit's own: {'; '.join(named)}."


@dataclass(frozen=True)
class _Compared:
    """The measures of one study by each tool.

    Attributes:
        study: The audited cases.
        columns: Measure -> the column of this audit.
        conclude: The verdict of a study.
        concluded: Verdicts by metric and values, for many tools say the same.
    """

    study: Study
    columns: Mapping[Measure, str]
    conclude: Callable[[Study], Verdict]
    concluded: dict[tuple[str, bytes], Verdict]

    def rows(self, measure: Measure) -> Iterator[ToolFacts]:
        """This audit, then each tool."""
        used = self._facts("", measure, self.own[measure])
        yield used
        order = self._level_means(self.own[measure])
        for tool, of in measures_of_tools():
            if of == measure:
                values = self._said(tool, measure)
                facts = self._facts(tool, measure, values)
                turned = _turned(order, self._level_means(values))
                yield _against(used, facts, turned)

    @cached_property
    def own(self) -> dict[Measure, Floats]:
        """Measure -> (n_cases,) the values of this audit; nan where there is none."""
        scores = self.study.scores
        return {
            measure: np.array([math.nan if value is None else value for value in scores.column(name)])
            for measure, name in self.columns.items()
        }

    def _said(self, tool: str, measure: Measure) -> Floats:
        """(n_cases,) what a tool says; nan where it gives no value."""
        said = (score.by_tools.get(f"{tool} {measure}") for score in self.study.scores.scores)
        return np.array([math.nan if value is None else value for value in said], dtype=np.float64)

    def _facts(self, tool: str, measure: Measure, values: Floats) -> ToolFacts:
        name = self.columns[measure]
        finite = np.isfinite(values)
        means = self._level_means(values)
        lowest = METRICS[name].better == "higher"
        worst = (min if lowest else max)(means, key=lambda item: means[item][0]) if means else None
        verdict = self._verdict(name, values)
        entry, metric = TOOLS.get(tool), next(found for found in self.study.scores.metrics if found.name == name)
        return ToolFacts(
            tool=entry.name if entry else "",
            version=entry.version if entry else "",
            measure=measure,
            metric=name,
            rule=entry.rules[measure] if entry else metric.definition,
            empty=entry.empty[measure] if entry else metric.empty_rule,
            n_cases=int(finite.sum()),
            n_left_out=int(np.isnan(values).sum()),
            n_infinite=int(np.isinf(values).sum()),
            mean=float(values[finite].mean()) if finite.any() else None,
            worst=Subgroup(frozenset({worst})) if worst else None,
            worst_mean=means[worst][0] if worst else None,
            worst_n=means[worst][1] if worst else 0,
            fs=self._fairness(tool) if measure == "hd95" else None,
            verdict=verdict.kind,
            groups=verdict.groups,
        )

    def _level_means(self, values: Floats) -> dict[Item, tuple[float, int]]:
        """Mean and number of cases of each level of at least `min_cases`, of the attributes fixed beforehand if any."""
        config, finite = self.study.config, np.isfinite(values)
        found: dict[Item, tuple[float, int]] = {}
        for attribute in self.study.attributes.attributes:
            if config.primary and attribute.name not in config.primary:
                continue
            for code, level in enumerate(attribute.levels):
                members = values[(attribute.codes == code) & finite]
                if len(members) >= config.min_cases:
                    found[attribute.name, level] = float(members.mean()), len(members)
        return found

    def _verdict(self, name: str, values: Floats) -> Verdict:
        """The verdict with these values in place of a metric's."""
        key = name, np.round(values, 9).tobytes()
        if key not in self.concluded:
            study = self.study
            scores = tuple(
                dataclasses.replace(score, values={**score.values, name: value if math.isfinite(value) else None})
                for score, value in zip(study.scores.scores, values.tolist(), strict=True)
            )
            brief = dataclasses.replace(
                study.config, outcomes=(name,), bootstrap=min(_DRAWS, study.config.bootstrap), adjust=()
            )
            table = dataclasses.replace(study.scores, scores=scores)
            self.concluded[key] = self.conclude(dataclasses.replace(study, scores=table, config=brief))
        return self.concluded[key]

    def _fairness(self, tool: str) -> float | None:
        """FS of DSC and NormHD, both as a tool (empty: this audit) has them, of the cases with both."""
        rule, study = self.study.config.protocol.normhd, self.study
        if "dsc" not in self.columns:
            return None
        if tool:
            dsc, hd95 = self._said(tool, "dsc"), self._said(tool, "hd95")
            normhd = np.where(np.isinf(hd95), 1.0, hd95 / rule.scale)
            normhd = np.minimum(normhd, 1.0) if rule.clip else normhd
        elif "normhd" in study.scores.names:
            dsc = self.own["dsc"]
            normhd = np.array([math.nan if value is None else value for value in study.scores.column("normhd")])
        else:
            return None
        both = np.flatnonzero(np.isfinite(dsc) & np.isfinite(normhd))
        return challenge_scores(
            dsc[both],
            normhd[both],
            study.patients.select(both),
            rule=study.config.judging,
            weight=study.config.protocol.fairness.weight,
        ).fs


def _against(used: ToolFacts, other: ToolFacts, turned: list[str]) -> ToolFacts:
    """A tool's facts with what is another by them."""
    changes = []
    if other.worst != used.worst and used.worst is not None:
        changes.append(f"the worst level is not {subgroup_name(used.worst.items)}")
    turns = other.verdict != used.verdict or other.groups[:1] != used.groups[:1]
    return dataclasses.replace(other, turns=turns, changes=(*changes, *turned))


def _turned(used: Mapping[Item, tuple[float, int]], other: Mapping[Item, tuple[float, int]]) -> list[str]:
    """The attributes of which two levels change places, with the first two that do."""
    found = []
    for _, levels in itertools.groupby((item for item in used if item in other), key=lambda item: item[0]):
        for first, second in itertools.combinations(levels, 2):
            if _order(used[first][0], used[second][0]) * _order(other[first][0], other[second][0]) < 0:
                found.append(f"{item_name(first)} and {item_name(second)} change places")
                break
    return found


def _order(first: float, second: float) -> int:
    """Which of two means is larger, as -1, 0 or 1; 0 where they differ by rounding alone."""
    apart = first - second
    return 0 if abs(apart) <= _TIED * max(abs(first), abs(second)) else int(math.copysign(1, apart))
