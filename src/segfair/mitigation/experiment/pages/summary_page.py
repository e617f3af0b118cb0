"""Mitigation -> page data and `comparison.html`: scores, and the comparison page's sections for each strategy.

Computes nothing; what is said is decided in `segfair.mitigation.experiment.summary` and `segfair.report.audit`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from segfair.audit.words import clean, format_number, metric_digits, metric_name, plural, shorten
from segfair.compare.verdict import outcome_digits
from segfair.files.placing import write_text
from segfair.mitigation.experiment.gains import EVIDENCE_RULE
from segfair.mitigation.experiment.pages.curve_figures import Curve, learning_curves
from segfair.mitigation.experiment.pages.diagnosis_page import why_section
from segfair.mitigation.experiment.pages.evidence_page import evidence_section
from segfair.mitigation.experiment.pages.steps_page import model_list, next_steps
from segfair.mitigation.experiment.pages.weight_figures import weight_lines
from segfair.mitigation.experiment.summary import RULE, EpochScores, MitigationSummary, ModelSummary
from segfair.mitigation.training.catalogue import BASELINE, STRATEGIES
from segfair.report.audit.maps import heat_map_section
from segfair.report.comparison.changes import change_section, change_table
from segfair.report.comparison.files import write_comparison
from segfair.report.comparison.page import gain_section, harm_section, slope_figure, verdict_section
from segfair.report.files import render_page
from segfair.report.glossary import glossary
from segfair.report.parts import Data, as_read, cell, definition, figure, number_column, table, titled

__all__ = ["mitigation_data", "write_mitigation_page"]

_TITLES = {
    "verdict": "Verdict",
    "next": "What to do next",
    "models": "What was compared",
    "evidence": "Evidence",
    "scores": "Scores",
    "curves": "Learning curves",
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
_COLOURED = 0.9
"""Share of the plain model's cells that the colours of the maps tell apart."""
_LISTED = 60
"""Subgroups of a strategy that the page lists; its own comparison page holds all."""


def write_mitigation_page(summary: MitigationSummary, out: Path, *, command: str = "", title: str = "") -> Path:
    """Writes `comparison.html`, and for each compared model `MODEL/comparison/`; the page appears once complete.

    Args:
        summary: What was found.
        out: The folder of the run.
        command: The command line that led here.
        title: What the mitigation is called; empty: it has no name.

    Returns:
        The path of the page.
    """
    for model in summary.models:
        if model.against is not None:
            pages = [out / name / "audit" / "report.html" for name in (model.against.before.name, model.name)]
            folder = out / model.name / "comparison"
            write_comparison(model.against, folder, command=command, title=title, reports=(pages[0], pages[1]))
    written = as_read(datetime.now(UTC))
    page = mitigation_data(summary, written=written, title=title, files=_files(summary, out))
    text = render_page(page, template="mitigation.html.j2")
    path = out / "comparison.html"
    write_text(path, text)
    return path


def _files(summary: MitigationSummary, out: Path) -> list[str]:
    """What lies beside the page and under it, as addresses."""
    of_models = [
        f"{model.name}/{name}"
        for model in summary.models
        for name in ("audit/report.html", "comparison/comparison.html", "history.csv")
    ]
    return [name for name in ("comparison.json", "config.toml", *of_models) if (out / name).is_file()]


def mitigation_data(summary: MitigationSummary, *, written: str, title: str = "", files: Sequence[str] = ()) -> Data:
    """Everything that the page of a mitigation prints.

    Args:
        summary: What was found; at least one model.
        written: When the page is written, as it shall stand there.
        title: What the mitigation is called; empty: it has no name.
        files: Addresses of what lies beside the page.
    """
    first, pooled = summary.models[0].audit, _is_pooled(summary.models)
    maps = _maps(summary.models)
    sections: dict[str, Any] = {
        "verdict": _verdict(summary),
        "next": next_steps(summary, files),
        "models": model_list(summary.models, files),
        "evidence": evidence_section(summary.models),
        "scores": [
            _score_table(summary.models, part, caption)
            for part, caption in _SCORED.items()
            if all(part in model.scores for model in summary.models)
        ],
        "curves": _curves(summary.models),
        "why": why_section(summary.models),
        "changes": [_change(model, index) for index, model in enumerate(summary.models) if model.against is not None],
        "weights": [_weights(model, index) for index, model in enumerate(summary.models) if model.weights],
        "maps": maps,
        "notices": [clean(notice, length=600) for notice in summary.notices],
        "method": _method(summary),
        "budget": _budget(summary),
    }
    return {
        "title": titled(clean(title, length=120), "Mitigation: models compared by subgroup"),
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
        "folded": {
            "changes": plural(sum(model.against is not None for model in summary.models), "strategy", "strategies"),
            "weights": plural(sum(bool(model.weights) for model in summary.models), "model"),
            "maps": f"{plural(len(maps['pairs']) if maps else 0, 'pair')} of attributes",
            "method": "rules, budget, versions",
        },
        "files": [name for name in files if "/" not in name],
        "glossary": glossary("dsc", "normhd", "ps", "fs", "ts", "chance", "interval", "adjusted-p", "subgroup"),
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
            "plain": _plain(summary, backbone) if backbone == backbones[0] else "",
        }
        for backbone, entry in zip(backbones, summary.conclusions, strict=True)
    ]


def _plain(summary: MitigationSummary, backbone: str) -> str:
    """What the plain model is, where it is first spoken of; empty without one."""
    model = next((entry for entry in summary.models if (entry.backbone, entry.strategy) == (backbone, BASELINE)), None)
    if model is None:
        return ""
    return (
        f"{clean(model.name, length=40)} (empirical risk minimisation) is {STRATEGIES[BASELINE].rule}: "
        "what the others are held against."
    )


def _score_table(models: Sequence[ModelSummary], part: str, caption: str) -> Data:
    return table(
        caption,
        ["Model", *map(number_column, (*_SCORES, "Worst subgroup")), "Who"],
        [
            [
                clean(model.name, length=40),
                *(_score_cell(model, part, name) for name in _SCORES),
                *_worst_cells(model.scores[part]["worst_subgroup"]),
            ]
            for model in models
        ],
        note="Worst subgroup: lowest mean Dice among subgroups of at least 5 cases. FS is no percentage of fairness: "
        "small groups differ by chance alone, and beneath it stands what a model that serves all alike would get.",
    )


def _score_cell(model: ModelSummary, part: str, name: str) -> Data:
    """A score; beneath FS its chance level, where the audited cases are those of the table."""
    chance = model.audit.scores[name].chance if name == "FS" and part != "validation" else None
    sub = f"chance {format_number(chance.mean)}" if chance is not None else ""
    return cell(format_number(model.scores[part][name]), sub=sub)


def _curves(models: Sequence[ModelSummary]) -> Data | None:
    """The learning curves of all models, a figure a number; None where no history is known."""
    known = [model for model in models if model.history]
    if not known:
        return None
    names: dict[str, Callable[[EpochScores], float | None]] = {
        "Validation cases: mean Dice": lambda entry: entry.dsc,
        "Validation cases: Dice of the worst subgroup": lambda entry: entry.worst_dsc,
        "Training loss": lambda entry: entry.loss,
    }
    figures = []
    for index, (name, value) in enumerate(names.items()):
        curves = [_curve(model, value) for model in known]
        if any(curve.points for curve in curves):
            figures.append(_curve_figure([curve for curve in curves if curve.points], name, key=f"curve{index}"))
    return {
        "figures": figures,
        "note": "Rings: the epoch whose network is reported."
        + (" Of the first fold and seed; the others are alike." if _is_pooled(models) else ""),
    }


def _curve(model: ModelSummary, value: Callable[[EpochScores], float | None]) -> Curve:
    points = [(entry.epoch, number) for entry in model.history if (number := value(entry)) is not None]
    return Curve(clean(model.name, length=40), tuple(points), model.best_epoch)


def _curve_figure(curves: Sequence[Curve], name: str, *, key: str) -> Data:
    ends = "; ".join(f"{curve.name} {format_number(curve.points[-1][1])} at the end" for curve in curves)
    values = {curve.name: dict(curve.points) for curve in curves}
    epochs = sorted({epoch for found in values.values() for epoch in found})
    return figure(
        learning_curves(curves, title=name),
        key=key,
        label=f"{name} over the epochs: {ends}. The table beneath holds every value.",
        caption="",
        data=table(
            name,
            ["Epoch", *(number_column(curve.name) for curve in curves)],
            [[str(epoch), *(format_number(found.get(epoch)) for found in values.values())] for epoch in epochs],
        ),
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
            "Subgroups, most harmed first: paired changes",
            kept[:_LISTED],
            comparison,
            outcome_digits(comparison),
            note=note if len(rows) > len(kept[:_LISTED]) else "",
        ),
        "href": f"{model.name}/comparison/comparison.html",
        "count": f"{len(comparison.harmed):,} harmed, {len(comparison.gained):,} gained",
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
        (model, heat_map_section(model.audit, like=base, key=f"maps{index}-", coloured=_COLOURED))
        for index, model in enumerate(models)
    ]
    sections = [(model, section) for model, section in drawn if section is not None]
    if not sections:
        return None
    titles = [entry["title"] for entry in sections[0][1]["figures"]]
    name = clean(models[0].name, length=40)
    return {
        "note": (
            f"Hatched cells have fewer than {base.about.config.min_cases} cases, too few to be judged. All maps have "
            f"the colours of {name}: white is its mean, and nine in ten of its cells lie within the scale; what lies "
            "beyond has the colour of its end, so that one cell does not flatten all others."
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
    return {
        "rule": EVIDENCE_RULE if any(model.evidence is not None for model in summary.models) else RULE,
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
