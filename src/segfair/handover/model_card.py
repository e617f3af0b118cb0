"""AuditResult -> model card in Markdown: cohort, scores by group, verdict, caveats, rules.

Computes nothing. Text from outside is escaped, so that a name cannot become markup.

References:
    Mitchell et al. Model Cards for Model Reporting. FAT* 2019 (the sections).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from segfair.audit.judging.verdict import headline
from segfair.audit.result import AuditResult, LevelFacts, Score
from segfair.audit.words import (
    clean,
    format_interval,
    format_number,
    format_p,
    harmful,
    metric_digits,
    metric_name,
    plural,
    subgroup_name,
)
from segfair.subgroups.lattice import Divergence

__all__ = ["model_card"]

_WORST = 10


def model_card(result: AuditResult) -> str:
    """The card as one Markdown text; the same audit gives the same text."""
    version = _text(result.about.versions.get("segfair", ""))
    parts = [
        f"# Model card: {_title(result)}",
        f"Written by segfair {version} from audit.json. It reports what was measured on one cohort; it approves "
        "nothing.",
        "## Study",
        _pairs(result.about.record) or "No record of the study was given (`--record study.toml`).",
        "## Verdict",
        _verdict(result),
        *_gates(result),
        "## Cohort",
        _cohort(result),
        "## Scores",
        _scores(result.scores) or "DSC and NormHD are not both known for every case, so PS, FS and TS are not defined.",
        "## Scores by group",
        *_groups(result),
        "## Subgroups that are worst off",
        _worst(result),
        "## Caveats",
        _caveats(result),
        "## How it was measured",
        _method(result),
    ]
    return "\n\n".join(parts) + "\n"


def _title(result: AuditResult) -> str:
    model = result.about.record.get("model", "unnamed model")
    name = model.get("name", "unnamed model") if isinstance(model, Mapping) else model
    version = model.get("version") if isinstance(model, Mapping) else result.about.record.get("version")
    return _text(name, 120) + (f" {_text(version, 60)}" if version is not None else "")


def _verdict(result: AuditResult) -> str:
    kind, sentence = result.verdict.kind, result.verdict.sentence
    # The sentence may open with the word that stands before it.
    head, colon, rest = sentence.partition(": ")
    if colon and head.lower() == kind.lower():
        sentence = rest[:1].upper() + rest[1:]
    return f"**{_text(kind[:1].upper() + kind[1:])}.** {_text(sentence)}"


def _text(value: object, length: int = 900) -> str:
    """Text from outside as one line of Markdown: nothing in it is markup, a cell or a link."""
    return re.sub(r"([\\`*_{}\[\]#|~])", r"\\\1", html.escape(clean(value, length=length), quote=False))


def _pairs(tree: Mapping[str, Any], prefix: str = "") -> str:
    lines = []
    for key, value in tree.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, Mapping):
            lines.append(_pairs(value, name))
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
            lines.append(f"- {_text(name, 120)}: {_text(shown)}")
    return "\n".join(line for line in lines if line)


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _gates(result: AuditResult) -> list[str]:
    if not result.verdict.gates:
        return []
    rows = [
        [_text(entry.gate), entry.state, _text(entry.reason) if entry.reason else ""] for entry in result.verdict.gates
    ]
    return [_table(["Gate", "State", "Why"], rows)]


def _cohort(result: AuditResult) -> str:
    counts = result.cases.counts
    # An audit that was made to be shared lists no cases; its caveats tell how many were penalised or excluded.
    listed = (
        []
        if result.about.shared
        else [
            f"- {len(counts.penalised)} of them with an unusable prediction, counted with the worst score",
            f"- {len(counts.unusable)} could not be audited and are in no mean",
            *([f"- {counts.n_taught} taught the bins and are in no mean"] if counts.n_taught else []),
        ]
    )
    lines = [
        f"- {plural(counts.n_scored, 'case')} in every mean",
        *listed,
        f"- attributes: {', '.join(_text(entry.name, 80) for entry in result.attributes.facts) or 'none'}",
    ]
    return "\n".join(lines)


def _scores(scores: Mapping[str, Score]) -> str:
    if not scores:
        return ""
    rows = []
    for name, score in scores.items():
        chance = score.chance
        rows.append(
            [
                name,
                format_number(score.value, 4) if score.value is not None else _text(score.reason or "undefined", 200),
                format_interval(score.ci, 4),
                f"{format_number(chance.mean)} ({format_interval(chance.interval)}), p {format_p(chance.p_value)}"
                if chance
                else "–",
            ]
        )
    return _table(["Score", "Value", "95% interval", "Chance level"], rows)


def _groups(result: AuditResult) -> list[str]:
    outcome = result.subgroups.primary_outcome
    digits = metric_digits(level.mean.get(outcome) for entry in result.attributes.facts for level in entry.levels)
    parts = []
    for entry in result.attributes.facts:
        failures = any(level.failure_rate is not None for level in entry.levels)
        columns = ["Level", "n", f"Mean {metric_name(outcome)}", "95% interval", *(["Failed"] if failures else [])]
        parts.append(f"### {_text(entry.name, 80)}")
        parts.append(
            _table(columns, [_level(level, outcome, digits, failures=failures) for level in entry.levels])
            if entry.levels
            else "No level is shown."
        )
    return parts or ["No attribute could be made from the metadata."]


def _level(level: LevelFacts, outcome: str, digits: int, *, failures: bool) -> list[str]:
    rate = "–" if level.failure_rate is None else f"{level.failure_rate:.0%}"
    return [
        _text(level.level, 80),
        f"{level.n:,}{' (few)' if level.small else ''}",
        format_number(level.mean.get(outcome), digits),
        format_interval(level.ci[outcome], digits) if outcome in level.ci else "–",
        *([rate] if failures else []),
    ]


def _worst(result: AuditResult) -> str:
    outcome = result.subgroups.primary_outcome
    table = result.subgroups[outcome]
    # What the verdict speaks of is named, however many groups look worse by chance.
    named = [headline(result), *(result.subgroups.find(finding.items) for finding in result.subgroups.findings)]
    first = [row for row in named if row is not None and harmful(row.difference, table.better)]
    unique = {row.subgroup: row for row in (*first, *table.worst(len(table)))}
    rows = list(unique.values())[:_WORST]
    if not rows:
        return "No subgroup is large enough to be described."
    digits = metric_digits(row.mean for row in rows)
    text = _table(
        ["Subgroup", "n", f"Mean {metric_name(outcome)}", "Others", "Difference", "Simultaneous 95% interval", "p"],
        [
            [
                _text(subgroup_name(row.subgroup.items), 300),
                f"{row.n:,}",
                format_number(row.mean, digits),
                format_number(row.rest_mean, digits),
                format_number(row.estimate.value if row.estimate else None, digits, signed=True),
                format_interval(row.estimate.ci if row.estimate else None, digits),
                "not tested" if row.p_adjusted is None else format_p(row.p_adjusted),
            ]
            for row in rows
        ],
    )
    names = "; ".join(_text(subgroup_name(row.subgroup.items), 300) for row in rows if _fixed(row, result))
    return f"{text}\n\nTested among the levels fixed beforehand: {names}." if names else text


def _fixed(row: Divergence, result: AuditResult) -> bool:
    return any(row is level for level in result.subgroups.primary_levels or ())


def _caveats(result: AuditResult) -> str:
    lines = [f"- {_text(alert.text)}" for alert in result.verdict.alerts]
    subgroups = result.subgroups
    lines += [f"- {_text(note)}" for note in subgroups.outcomes[subgroups.primary_outcome].notes]
    lines.append("- A gap that was not found may still exist: see the power section of the report.")
    lines.append("- Groups are those that the metadata name; who is not in the metadata is not in the audit.")
    return "\n".join(lines)


def _method(result: AuditResult) -> str:
    protocol, outcome = result.about.config.protocol, result.subgroups.primary_outcome
    versions = (f"{_text(name, 60)} {_text(found, 60)}" for name, found in result.about.versions.items())
    lines = [
        f"- primary outcome: {metric_name(outcome)}; {_text(result.subgroups.outcomes[outcome].method)}",
        f"- protocol: {_text(protocol.name, 80)}, rules SHA-256 `{protocol.digest}`",
        *(
            f"- {_text(metric_name(entry.name), 80)}: {_text(entry.definition, 300)}"
            + (f" (empty masks: {_text(entry.empty_rule, 200)})" if entry.empty_rule else "")
            for entry in result.cases.metrics
        ),
        f"- versions: {', '.join(versions)}",
    ]
    return "\n".join(lines)
