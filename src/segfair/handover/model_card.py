"""AuditResult -> model card in Markdown as Hugging Face reads it: metadata, then what was measured, in its headings.

Computes nothing. Text from outside is escaped, so that a name cannot become markup or metadata.

References:
    Mitchell et al. Model Cards for Model Reporting. FAT* 2019.
    Hugging Face Hub, model cards and their metadata (`model-index`); the headings are those of its template.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
_USES = ("intended_use", "out_of_scope", "recommendation")
"""Keys of the record that have a section of their own."""


def model_card(result: AuditResult) -> str:
    """The card as one Markdown text; the same audit gives the same text."""
    version = _text(result.about.versions.get("segfair", ""))
    record = result.about.record
    details = _pairs({key: value for key, value in record.items() if key not in _USES})
    parts = [
        "\n".join(["---", *_yaml(_metadata(result)), "---"]),
        f"# Model Card for {_text(_title(result), 180)}",
        f"Written by segfair {version} from audit.json. It reports what was measured on one cohort; it approves "
        "nothing.",
        "## Model Details",
        details or "No record of the study was given (`--record study.toml`).",
        "## Uses",
        "### Direct Use",
        _stated(record, "intended_use"),
        "### Out-of-Scope Use",
        _stated(record, "out_of_scope"),
        "## Bias, Risks, and Limitations",
        _verdict(result),
        "### Subgroups that are worst off",
        _worst(result),
        "### Caveats",
        _caveats(result),
        "### Recommendations",
        _recommendations(result),
        "## Evaluation",
        "### Testing Data, Factors & Metrics",
        "#### Testing Data",
        _cohort(result),
        "#### Factors",
        f"Attributes: {', '.join(_text(entry.name, 80) for entry in result.attributes.facts) or 'none'}.",
        "#### Metrics",
        _method(result),
        "### Results",
        "#### Scores",
        _scores(result.scores) or "DSC and NormHD are not both known for every case, so PS, FS and TS are not defined.",
        *_gates(result),
        "#### Scores by group",
        *_groups(result),
    ]
    return "\n\n".join(parts) + "\n"


def _metadata(result: AuditResult) -> dict[str, Any]:
    """What the Hub shows beside the card."""
    record = result.about.record
    cohort = clean(_plain(record.get("cohort")) or "cohort of the audit", length=120)
    found: dict[str, Any] = {
        "pipeline_tag": "image-segmentation",
        "tags": ["medical-imaging", "image-segmentation", "subgroup-audit", "segfair"],
    }
    if isinstance(record.get("license"), str):
        found["license"] = clean(record["license"], length=60)
    metrics = list(_measured(result))
    if metrics:
        slug = re.sub(r"[^a-z0-9]+", "-", cohort.lower()).strip("-") or "cohort"
        results = {
            "task": {"type": "image-segmentation", "name": "Medical image segmentation"},
            "dataset": {"type": slug, "name": cohort},
            "metrics": metrics,
        }
        found["model-index"] = [{"name": _title(result), "results": [results]}]
    return found


def _measured(result: AuditResult) -> Iterator[dict[str, Any]]:
    """The scores of the cohort and the mean of the subgroup that a report speaks of first, as the Hub lists them."""
    outcome = result.subgroups.primary_outcome
    means = {name: score.value for name, score in result.scores.items()}
    if metric_name(outcome) not in means:
        means = {metric_name(outcome): result.subgroups.outcomes[outcome].mean, **means}
    for name, value in means.items():
        if value is not None:
            yield {"type": name.lower(), "name": name, "value": value}
    worst = headline(result)
    if worst is not None:
        who = clean(subgroup_name(worst.subgroup.items), length=160)
        yield {
            "type": f"{outcome}_worst_subgroup",
            "name": f"{metric_name(outcome)} of the worst subgroup: {who} (n {worst.n})",
            "value": worst.mean,
        }


def _yaml(value: Any, indent: str = "") -> list[str]:
    """Lines of YAML of plain values; every text is quoted as in JSON, which YAML contains."""
    lines = []
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            lines += [f"{indent}{key}:", *_yaml(entry, f"{indent}  ")]
        elif isinstance(entry, list):
            lines.append(f"{indent}{key}:")
            for one in entry:
                item = _yaml(one, f"{indent}  ") if isinstance(one, Mapping) else [_scalar(one)]
                lines += [f"{indent}- {item[0].strip()}", *item[1:]]
        else:
            lines.append(f"{indent}{key}: {_scalar(entry)}")
    return lines


def _scalar(value: Any) -> str:
    """A text or a number; nothing in it is markup to whoever shows the block as it is."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c").replace(">", "\\u003e")


def _title(result: AuditResult) -> str:
    model = result.about.record.get("model", "unnamed model")
    name = model.get("name", "unnamed model") if isinstance(model, Mapping) else model
    version = model.get("version") if isinstance(model, Mapping) else result.about.record.get("version")
    return clean(name, length=120) + (f" {clean(version, length=60)}" if version is not None else "")


def _stated(record: Mapping[str, Any], key: str) -> str:
    """What the record says of a use, or how it comes to say it."""
    said = _plain(record.get(key))
    return _text(said) if said else f"Not stated (`{key}` in the record of the study)."


def _plain(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else "" if value is None else str(value)


def _recommendations(result: AuditResult) -> str:
    """What the record says; else whom users should know of."""
    said = _plain(result.about.record.get("recommendation"))
    if said:
        return _text(said)
    found = [subgroup_name(entry.items.items) for entry in result.subgroups.findings]
    if not found:
        return (
            "Users should know which groups were audited and how large they were, and that a gap which was not found "
            "may exist."
        )
    return "\n".join(
        ["Users should know that predictions differ beyond chance for:", "", *(f"- {_text(who, 300)}" for who in found)]
    )


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
    return ["#### Gates", _table(["Gate", "State", "Why"], rows)]


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
        parts.append(f"##### {_text(entry.name, 80)}")
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
