"""Mitigation -> page data and `comparison.html`: scores, and the comparison page's sections for each strategy.

Computes nothing; what is said is decided in `segfair.mitigation.experiment.summary` and `segfair.report.audit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from segfair.audit.words import clean, format_number, metric_digits, metric_name, plural, shorten
from segfair.compare.verdict import outcome_digits
from segfair.mitigation.experiment.gains import EVIDENCE_RULE
from segfair.mitigation.experiment.pages.diagnosis_page import why_section
from segfair.mitigation.experiment.pages.evidence_page import evidence_section
from segfair.mitigation.experiment.pages.weight_figures import weight_lines
from segfair.mitigation.experiment.summary import RULE, MitigationSummary, ModelSummary
from segfair.mitigation.training.catalogue import STRATEGIES
from segfair.report.audit.maps import heat_map_section
from segfair.report.comparison.changes import change_section, change_table
from segfair.report.comparison.files import write_comparison
from segfair.report.comparison.page import gain_section, harm_section, slope_figure, verdict_section
from segfair.report.files import render_page
from segfair.report.parts import Data, cell, definition, figure, number_column, table

__all__ = ["mitigation_data", "write_mitigation_page"]

_TITLES = {
    "verdict": "Verdict",
    "evidence": "Evidence",
    "scores": "Scores",
    "why": "Why a gap remains",
    "changes": "What each strategy changed",
    "weights": "Case weights",
    "maps": "Heat maps",
    "notices": "Notices",
    "method": "Method",
}
_MARKS = {"better": "▲", "worse": "▼", "open": "◆"}
_SCORES = ("DSC", "NormHD", "PS", "FS", "TS")
_SCORED = {
    "pooled": "All cases, out of fold: each by the networks of the fold that did not train on it",
    "test": "Test cases: never seen while training",
    "validation": "Validation cases: they drove the weights, or chose the epoch, so they flatter",
}
_LISTED = 60
"""Subgroups of a strategy that the page lists; its own comparison page holds all."""


def write_mitigation_page(summary: MitigationSummary, out: Path, *, command: str = "") -> Path:
    """Writes `comparison.html`, and for each compared model `MODEL/comparison/`; the page appears once complete.

    Returns:
        The path of the page.
    """
    for model in summary.models:
        if model.against is not None:
            write_comparison(model.against, out / model.name / "comparison", command=command)
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    text = render_page(mitigation_data(summary, written=written), template="mitigation.html.j2")
    path = out / "comparison.html"
    unfinished = path.with_name(".comparison.html.tmp")
    unfinished.write_text(text, "utf-8", newline="\n")
    unfinished.replace(path)
    return path


def mitigation_data(summary: MitigationSummary, *, written: str) -> Data:
    """Everything that the page of a mitigation prints.

    Args:
        summary: What was found; at least one model.
        written: When the page is written, as it shall stand there.
    """
    first, pooled = summary.models[0].audit, _is_pooled(summary.models)
    sections = {
        "verdict": _verdict(summary),
        "evidence": evidence_section(summary.models),
        "scores": [
            _score_table(summary.models, part, caption)
            for part, caption in _SCORED.items()
            if all(part in model.scores for model in summary.models)
        ],
        "why": why_section(summary.models),
        "changes": [_change(model, index) for index, model in enumerate(summary.models) if model.against is not None],
        "weights": [_weights(model, index) for index, model in enumerate(summary.models) if model.weights],
        "maps": _maps(summary.models),
        "notices": [clean(notice, length=600) for notice in summary.notices],
        "method": _method(summary),
        "budget": _budget(summary),
        # The frame that all pages share hands the payload of its one table to the script.
        "subgroups": {"payload": "{}"},
    }
    return {
        "title": "Mitigation: models compared by subgroup",
        "written": written,
        "version": first.about.versions.get("segfair", ""),
        "outcome": metric_name("dsc"),
        "n_models": plural(len(summary.models), "model"),
        "cases": f"{first.cases.counts.n_scored:,} {'cases, out of fold' if pooled else 'test cases'}",
        "scope": "all cases, out of fold," if pooled else "the test cases",
        "protocol": clean(first.about.config.protocol.name, length=60),
        "sections": sections,
        "titles": _TITLES,
        "contents": [{"id": key, "title": title} for key, title in _TITLES.items() if sections[key]],
    }


def _is_pooled(models: Sequence[ModelSummary]) -> bool:
    """Whether the run had folds, so that all cases are audited, out of fold."""
    return any("pooled" in model.scores for model in models)


def _verdict(summary: MitigationSummary) -> list[Data]:
    backbones = list(dict.fromkeys(model.backbone for model in summary.models))
    return [
        {
            "kind": entry.kind,
            "tone": entry.tone,
            "mark": _MARKS[entry.tone],
            "sentence": clean(entry.sentence, length=2000),
            "follows": clean(entry.follows, length=2000) if entry.follows else "",
            "backbone": clean(backbone, length=40) if len(backbones) > 1 else "",
        }
        for backbone, entry in zip(backbones, summary.conclusions, strict=True)
    ]


def _score_table(models: Sequence[ModelSummary], part: str, caption: str) -> Data:
    return table(
        caption,
        ["Model", *map(number_column, (*_SCORES, "Worst subgroup")), "Who"],
        [
            [
                clean(model.name, length=40),
                *(format_number(model.scores[part][name]) for name in _SCORES),
                *_worst_cells(model.scores[part]["worst_subgroup"]),
            ]
            for model in models
        ],
        note="Worst subgroup: lowest mean Dice among subgroups of at least 5 cases.",
    )


def _worst_cells(worst: Mapping[str, Any] | None) -> list[Data]:
    if worst is None:
        return [cell("–"), cell("none is large enough")]
    return [cell(format_number(worst["dsc"]), sub=f"n = {worst['n']:,}"), cell(items=tuple(worst["items"].items()))]


def _change(model: ModelSummary, index: int) -> Data:
    comparison = model.against
    assert comparison is not None
    rows = comparison.subgroups[comparison.outcome]
    kept = [row for row in rows if not row.redundant]
    note = (
        f"{plural(len(rows) - len(kept[:_LISTED]), 'subgroup')} that changed as one with an item less, or beyond the "
        "room of this page, are left out."
    )
    found = model.evidence
    n_seeds = found.mean.mean.n_seeds if found is not None else 1
    # The audits, and so what is compared here, are those of one seed; the evidence is of all.
    which = f", first of {n_seeds} seeds" if n_seeds > 1 else ""
    return {
        "title": f"{model.name} against {comparison.before.name}{which}",
        "verdict": verdict_section(comparison),
        "harmed": harm_section(comparison),
        "gained": gain_section(comparison),
        "scores": change_section(comparison),
        "slopes": slope_figure(comparison, key=f"slopes{index}"),
        "table": change_table(
            "Subgroups, most harmed first; 95% intervals of the paired changes",
            kept[:_LISTED],
            comparison,
            outcome_digits(comparison),
            note=note if len(rows) > len(kept[:_LISTED]) else "",
        ),
        "href": f"{model.name}/comparison/comparison.html",
    }


def _weights(model: ModelSummary, index: int) -> Data:
    digits = metric_digits([entry.largest for entry in model.weights])
    last = model.weights[-1]
    top = max(model.weights, key=lambda entry: entry.largest)
    words = (
        f"Largest weight {format_number(top.largest, digits)} "
        f"{f'after epoch {top.epoch}' if top.epoch else 'in the first epoch'}"
        f"{f' by {clean(top.subgroup, length=60)}' if top.subgroup else ''}, "
        f"{format_number(last.largest, digits)} at the end; mean {format_number(last.mean, digits)}."
    )
    return {
        "name": clean(model.name, length=40),
        "figure": figure(
            weight_lines(model.weights, digits=digits),
            key=f"weights{index}",
            label=f"Case weights of {clean(model.name, length=40)} over epochs. {words} The table holds every value.",
            caption=words,
            data=table(
                f"Case weights of {clean(model.name, length=40)}",
                ["After epoch", number_column("Mean"), number_column("Largest"), "Set by"],
                [
                    [
                        str(entry.epoch),
                        format_number(entry.mean, digits),
                        format_number(entry.largest, digits),
                        shorten(clean(entry.subgroup), 120) if entry.subgroup else "no subgroup",
                    ]
                    for entry in model.weights
                ],
            ),
        ),
    }


def _maps(models: Sequence[ModelSummary]) -> Data | None:
    """The maps of all models beside each other, pair by pair, in the colours of the first."""
    base = models[0].audit
    drawn = [
        (model, heat_map_section(model.audit, like=base, key=f"maps{index}-")) for index, model in enumerate(models)
    ]
    sections = [(model, section) for model, section in drawn if section is not None]
    if not sections:
        return None
    titles = [entry["title"] for entry in sections[0][1]["figures"]]
    name = clean(models[0].name, length=40)
    return {
        "note": (
            f"Hatched cells have fewer than {base.about.config.min_cases} cases, too few to be judged. All maps have "
            f"the colours of {name}: white is its mean, and differences beyond its largest are drawn as the largest."
        ),
        "pairs": [
            {
                "title": title,
                "figures": [
                    {"name": clean(model.name, length=40), **section["figures"][place]} for model, section in sections
                ],
            }
            for place, title in enumerate(titles)
        ],
    }


def _method(summary: MitigationSummary) -> Data:
    compared = next((model.against for model in summary.models if model.against is not None), None)
    known = {name: STRATEGIES[name] for name in dict.fromkeys(model.strategy for model in summary.models)}
    return {
        "rule": EVIDENCE_RULE if any(model.evidence is not None for model in summary.models) else RULE,
        "strategies": [
            definition(name, clean(f"{entry.rule}{f' ({entry.paper})' if entry.paper else ''}", length=400))
            for name, entry in known.items()
        ],
        "tests": clean(compared.method, length=600) if compared is not None else "",
        "versions": [
            definition(clean(name), clean(version))
            for name, version in {**summary.models[0].audit.about.versions, **_training_versions()}.items()
        ],
    }


def _budget(summary: MitigationSummary) -> Data:
    models = summary.models
    epochs = "; ".join(f"{clean(model.name, length=40)} epoch {model.best_epoch} of {model.epochs}" for model in models)
    equal = (
        "Equal budget: all models of a backbone had the same cases, initial weights, seed and number of steps, and "
        "differ in their strategy alone. "
        if len(models) > 1
        else ""
    )
    told = (
        "Every case is scored by the networks of the fold that did not train on it."
        if _is_pooled(models)
        else f"Reported is the network that was kept ({epochs}). One training a model: another seed may give another "
        "order."
    )
    return {
        "sentence": f"{equal}{told}",
        "pairs": [definition(clean(name), clean(value, length=200)) for name, value in summary.budget.items()],
    }


def _training_versions() -> dict[str, str]:
    """Package -> version, of what an audit does not use."""
    return {name: metadata.version(name) for name in ("torch", "monai")}
