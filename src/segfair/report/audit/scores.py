"""Alerts, scores, gates, and what the user says about the study."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from segfair.audit.definitions import tools_sentence
from segfair.audit.result import AuditResult, Score, ToolFacts
from segfair.audit.result.record import KNOWN_KEYS
from segfair.audit.words import clean, format_interval, format_number, format_p, metric_digits, metric_name, plural
from segfair.report.audit.room import attributes_drawn, attributes_note
from segfair.report.audit.summary import UNKNOWN_CHANCE, chance_words
from segfair.report.figures import score_strip
from segfair.report.parts import NAME_LENGTH, Data, cell, definition, figure, number_column, table

__all__ = ["alert_section", "gate_section", "plan_section", "record_section", "score_section"]

_STATES = {"pass": ("●", "better"), "fail": ("▲", "worse"), "undecided": ("◆", "open")}
_SCORE_NAMES = {
    "DSC": "Mean Dice similarity coefficient; higher is better",
    "NormHD": "Mean normalised 95th-percentile Hausdorff distance; lower is better",
    "PS": "Performance score, (DSC + 1 − NormHD) / 2",
    "FS": "Fairness score, mean over attributes of 1 − D_v",
    "TS": "Total score, weighted mean of PS and FS",
}
_ALERTS = {
    "penalised": "Unusable predictions",
    "taught": "Learned bins",
    "excluded": "Cases left out",
    "search": "What was not searched",
    "empty": "Empty labels",
    "cases": "Noticed in the masks",
    "swapped": "Folders in the wrong order",
    "direction": "Which values are better",
    "labels": "Which voxels count",
    "column": "Columns left out",
    "spelling": "Levels that may be one",
    "nested": "Levels inside levels",
    "copied": "Equal to their labels",
    "size": "Size of a voxel",
    "levels": "Ids in names of levels",
    "small": "Small groups",
    "attribute": "Missing attribute",
    "definition": "The definition matters",
}
_RECORD_NAMES = {key: key.replace("_", " ").capitalize() for key in KNOWN_KEYS}
_LISTED = 30
"""Cases or alerts of one kind that are listed; the files hold all."""


def record_section(result: AuditResult) -> list[Data]:
    """What the user says about the study, nested keys joined by dots."""
    return [definition(_RECORD_NAMES.get(name, name), value) for name, value in _flat(result.about.record)]


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(tree, dict):
        return [
            pair
            for key, value in tree.items()
            for pair in _flat(value, f"{prefix}.{clean(key, length=60)}" if prefix else clean(key, length=60))
        ]
    if isinstance(tree, list | tuple):
        return [(prefix, ", ".join(clean(value, length=200) for value in tree))]
    return [(prefix, clean(tree, length=600))]


def plan_section(result: AuditResult) -> Data | None:
    """What was fixed beforehand, and what differs; None: nothing was."""
    plan = result.about.plan
    if plan is None:
        return None
    return {
        "digest": plan.digest,
        "held": not plan.differences,
        "differences": table(
            "What differs from the plan",
            ["Setting", "Planned", "Done"],
            [
                [
                    cell(clean(entry.setting, length=80)),
                    cell(clean(entry.planned, length=200)),
                    cell(clean(entry.done, length=200)),
                ]
                for entry in plan.differences
            ],
        )
        if plan.differences
        else None,
    }


def gate_section(result: AuditResult) -> list[Data]:
    """Gates and how they went."""
    return [
        {
            "gate": clean(gate.gate, length=120),
            "state": gate.state,
            "mark": _STATES[gate.state][0],
            "tone": _STATES[gate.state][1],
            "reason": clean(gate.reason, length=400),
        }
        for gate in result.verdict.gates
    ]


def alert_section(result: AuditResult) -> Data:
    """What the reader must know before believing a number."""
    kinds: dict[str, list[str]] = {}
    for alert in result.verdict.alerts:
        kinds.setdefault(alert.kind, []).append(clean(alert.text, length=900))
    groups = [
        {
            "title": _ALERTS.get(kind, clean(kind, length=40).capitalize()),
            "texts": texts[:_LISTED],
            "more": f"and {len(texts) - _LISTED:,} more, in audit.json" if len(texts) > _LISTED else "",
        }
        for kind, texts in kinds.items()
    ]
    effect = [
        (name, score)
        for name, score in result.scores.items()
        if score.value is not None and score.without_penalised is not None
    ]
    return {
        "groups": groups,
        "effect": table(
            "Effect of the penalised cases on the scores",
            ["Score", number_column("All cases"), number_column("Without them"), number_column("Difference")],
            [
                [
                    name,
                    format_number(score.value, 4),
                    format_number(score.without_penalised, 4),
                    format_number((score.value or 0.0) - (score.without_penalised or 0.0), 4, signed=True),
                ]
                for name, score in effect
            ],
        )
        if effect
        else None,
        "lists": [
            found
            for found in (
                _case_list("Penalised cases", result.cases.counts.penalised),
                _case_list("Cases in no mean", result.cases.counts.unusable),
            )
            if found
        ],
    }


def _case_list(caption: str, reasons: Mapping[str, str]) -> Data | None:
    if not reasons:
        return None
    rest = len(reasons) - _LISTED
    rows: list[list[Data | str]] = [
        [cell(name := clean(case, length=NAME_LENGTH), case=name), clean(reason, length=300)]
        for case, reason in list(reasons.items())[:_LISTED]
    ]
    more = f"and {rest:,} more, in audit.json" if rest > 0 else ""
    return {
        "title": caption,
        "count": f"{len(reasons):,}",
        "table": table(f"{caption} ({len(reasons):,})", ["Case", "Reason"], rows, note=more),
    }


def score_section(result: AuditResult) -> Data:
    """Scores with interval and chance level, further scores, and other definitions."""
    scores = result.scores
    chances = [
        f"{name} {format_number(score.value)}; {words}."
        for name, score in scores.items()
        if (words := chance_words(score, result))
    ]
    all_levels = scores["FS"].all_levels if "FS" in scores else None
    if all_levels is not None and result.about.config.protocol.fairness.levels == "min-cases":
        chances.append(
            f"FS counts levels of at least {plural(result.about.config.min_cases, 'case')}; "
            f"over all levels, however small, it is {format_number(all_levels)}."
        )
    rows: list[list[Data | str]] = [
        [
            cell(name, sub=_SCORE_NAMES.get(name, "")),
            cell(format_number(score.value, 4), sub=_value_note(name, score)),
            format_interval(score.ci, 4),
        ]
        for name, score in scores.items()
    ]
    data = table(
        "Scores of the cohort",
        ["Score", number_column("Value"), number_column("95% interval")],
        rows,
    )
    return {
        "table": data if scores else None,
        "figure": _score_figure(result),
        "sentences": chances,
        "variants": _variants(result),
        "others": plural(len(result.scores.variants) + len(result.scores.definitions), "row"),
        "definitions": _definitions(result),
        "tools": _tools(result),
    }


def _value_note(name: str, score: Score) -> str:
    """What a value must not be read without: where chance alone would put it, or why there is none."""
    if score.chance is None:
        missing = UNKNOWN_CHANCE if name == "FS" and score.value is not None else ""
        return clean(score.reason, length=200) if score.reason else missing
    chance = score.chance
    return (
        f"chance level {format_number(chance.mean)} ({format_interval(chance.interval)}), p {format_p(chance.p_value)}"
    )


def _score_figure(result: AuditResult) -> Data | None:
    shown = {name: score for name, score in result.scores.items() if score.value is not None}
    if not shown:
        return None
    values = ", ".join(f"{name} {format_number(score.value)}" for name, score in shown.items())
    caption = "Dot: value; line: 95% interval."
    if any(score.chance for score in shown.values()):
        caption += " Dotted band: where the score would lie if the attributes told nothing about the outcome."
    return figure(
        score_strip(shown),
        key="scores",
        label=f"Scores on an axis from 0 to 1: {values}. The table holds every value.",
        caption=caption,
    )


def _variants(result: AuditResult) -> Data | None:
    if not result.scores.variants:
        return None
    drawn = attributes_drawn(result)
    return table(
        "Other scores of differences between groups, on DSC",
        [
            "Attribute",
            "Score",
            number_column("Value"),
            number_column("95% interval"),
            number_column("Chance level"),
        ],
        [
            [
                clean(entry.attribute, length=60),
                cell(
                    f"{clean(entry.name)} ({clean(entry.variant)})",
                    sub=f"{clean(entry.formula)}; {clean(entry.reference)}",
                ),
                cell(format_number(entry.value), sub=clean(entry.reason, length=160) if entry.reason else ""),
                format_interval(entry.ci),
                cell(
                    format_number(entry.chance.mean) if entry.chance else "–",
                    sub=f"{format_interval(entry.chance.interval)}; p {format_p(entry.chance.p_value)}"
                    if entry.chance
                    else "",
                ),
            ]
            for entry in sorted(result.scores.variants, key=lambda entry: entry.attribute)
            if entry.attribute in drawn
        ],
        note=attributes_note(result),
    )


def _definitions(result: AuditResult) -> Data | None:
    if not result.scores.definitions:
        return None
    fs = result.scores.get("FS")
    return table(
        "The scores under other definitions of NormHD",
        ["HD95 / scale in", *map(number_column, ("NormHD", "PS", "FS", "TS")), "What changes"],
        [
            [
                cell(clean(entry.name), sub="used in this report" if entry.used else ""),
                format_number(entry.normhd, 4),
                format_number(entry.ps, 4),
                cell(format_number(entry.fs, 4), sub=_value_note("FS", fs) if entry.used and fs else ""),
                format_number(entry.ts, 4),
                "; ".join(clean(change, length=200) for change in entry.changes[:6])
                or ("" if entry.used else "not told here" if result.about.shared else "no order of levels"),
            ]
            for entry in result.scores.definitions
        ],
    )


def _tools(result: AuditResult) -> Data | None:
    """What other tools say, a table a measure; None: it was not asked."""
    found = result.scores.tools
    if not found:
        return None
    return {
        "sentence": tools_sentence(found),
        "count": plural(sum(bool(entry.tool) for entry in found), "definition"),
        "tables": [_tool_table(metric, list(rows)) for metric, rows in groupby(found, key=lambda entry: entry.metric)],
    }


def _tool_table(metric: str, rows: list[ToolFacts]) -> Data:
    digits = metric_digits(entry.mean for entry in rows)
    with_fs = any(entry.fs is not None for entry in rows)
    columns: list[str | Data] = ["As defined in", number_column("Mean"), "Worst level"]
    columns += [number_column("FS")] if with_fs else []
    return table(
        metric_name(metric),
        [*columns, "Verdict by it", "What else changes", "Definition"],
        [
            [
                cell(entry.tool or "segfair", sub=f"version {entry.version}" if entry.tool else "used in this report"),
                cell(
                    "infinite" if entry.n_infinite else format_number(entry.mean, digits),
                    sub=_tool_cases(entry, digits),
                ),
                cell(
                    "" if entry.worst else "–",
                    items=tuple(entry.worst.items) if entry.worst else (),
                    sub=f"{format_number(entry.worst_mean, digits)}, n = {entry.worst_n:,}" if entry.worst else "",
                ),
                *([format_number(entry.fs, 4)] if with_fs else []),
                cell(
                    entry.verdict,
                    sub="; ".join(clean(group.name, length=160) for group in entry.groups[:1]),
                    tone="worse" if entry.turns else "",
                ),
                "; ".join(clean(change, length=200) for change in entry.changes[:6])
                or ("nothing" if entry.tool else ""),
                cell(entry.rule, sub=entry.empty),
            ]
            for entry in rows
        ],
    )


def _tool_cases(entry: ToolFacts, digits: int) -> str:
    """Of how many cases a mean is, and what became of the others."""
    told = [plural(entry.n_cases, "case")]
    if entry.n_infinite:
        told = [f"{format_number(entry.mean, digits)} without {plural(entry.n_infinite, 'infinite case')}"]
    if entry.n_left_out:
        told.append(f"{entry.n_left_out:,} left out")
    return ", ".join(told)
