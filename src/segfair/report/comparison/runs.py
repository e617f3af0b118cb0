"""Several audits against the first of them: one table of runs, and a comparison of each. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from segfair.audit.words import clean, format_interval, format_number, metric_name, plural
from segfair.compare.result import Change, Comparison
from segfair.compare.verdict import outcome_digits
from segfair.files.placing import file_names, write_json
from segfair.report.comparison.changes import title as column_title
from segfair.report.comparison.files import PageFiles, address_of, write_comparison
from segfair.report.glossary import glossary
from segfair.report.parts import Cell, Data, cell, number_column, table, titled

__all__ = ["RUNS", "RUN_FILES", "runs_data", "write_runs"]

RUN_FILES = ("runs.json", "runs.html")
RUNS = PageFiles(RUN_FILES, ("baseline", "runs"), "segfair compare", "mend that, and compare again", "runs.html.j2")
FORMAT = 1
_HARMLESS = ("nothing changed", "gain found", "no change shown")


def write_runs(
    comparisons: Sequence[Comparison],
    directory: str | PathLike[str],
    *,
    command: str = "",
    digests: Sequence[Mapping[str, str]] = (),
    reports: Sequence[Path | None] = (),
    title: str = "",
) -> Path:
    """Writes `runs.html`, `runs.json`, and for each run after the first `RUN/comparison.html` and `comparison.json`.

    Args:
        comparisons: Each run against the first one; at least one.
        directory: Where to; made if it does not exist. Other files in it stay as they are.
        command: The command line that led here; empty: called from Python.
        digests: For each comparison what -> SHA-256.
        reports: The page of each audit, the first one's first; None: not known.
        title: What the comparison is called, in its heading and at the foot of the print.

    Returns:
        The path of runs.html.

    Raises:
        ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
    """
    directory = Path(directory)
    pages = list(reports) or [None] * (len(comparisons) + 1)
    RUNS.refuse_place(directory)
    folders = file_names([entry.after.name for entry in comparisons], otherwise="run", taken=RUN_FILES)
    for index, (comparison, folder) in enumerate(zip(comparisons, folders, strict=True)):
        write_comparison(
            comparison,
            directory / folder,
            command=command,
            digests=digests[index] if digests else None,
            reports=(pages[0], pages[index + 1]),
            title=title,
        )
    return RUNS.write(
        lambda path: write_json(path, runs_tree(comparisons, folders)),
        directory,
        lambda written: runs_data(
            comparisons,
            folders=folders,
            reports=[address_of(report, directory) for report in pages],
            written=written,
            command=command,
            title=title,
        ),
    )


def runs_tree(comparisons: Sequence[Comparison], folders: Sequence[str]) -> dict[str, Any]:
    """The contents of `runs.json`; each run's `comparison.json` has the rest."""
    first = comparisons[0]
    return {
        "format": FORMAT,
        "baseline": first.before.name,
        "outcome": first.outcome,
        "runs": [
            {
                "name": entry.after.name,
                "verdict": entry.verdict.kind,
                "n_paired": entry.n_paired,
                "scores": {
                    name: {"before": change.before, "after": change.after, "ci": change.ci}
                    for name, change in _shown(entry).items()
                },
                "n_harmed": len(entry.harmed),
                "n_gained": len(entry.gained),
                "comparison": f"{folder}/comparison.json",
            }
            for entry, folder in zip(comparisons, folders, strict=True)
        ],
    }


def runs_data(
    comparisons: Sequence[Comparison],
    *,
    folders: Sequence[str],
    reports: Sequence[str],
    written: str,
    command: str = "",
    title: str = "",
) -> Data:
    """Everything that the page of several runs prints.

    Args:
        comparisons: Each run against the first one.
        folders: Where each of them lies, relative to the page.
        reports: Address of each audit's page, the first one's first; empty: not known.
        written: When the page is written, as it shall stand there.
        command: The command line that led to it.
        title: What the comparison is called; empty: it has no name.
    """
    first = comparisons[0]
    sections = {
        "verdict": _verdict(comparisons),
        "runs": _table(comparisons),
        "pages": _pages(comparisons, folders, reports),
    }
    titles = {"verdict": "Verdict", "runs": "Runs", "pages": "Pages"}
    return {
        "title": titled(title, f"{plural(len(comparisons) + 1, 'audit')} compared by subgroup"),
        "written": written,
        "version": first.versions.get("segfair", ""),
        "meta": (
            f"{column_title(first.before.name)} is what the others are held against · primary outcome "
            f"{metric_name(first.outcome)} · protocol {clean(first.settings.get('protocol', ''), length=60)} · "
            f"written {written}"
        ),
        "titles": titles,
        "contents": [{"id": key, "title": titles[key]} for key in sections],
        "command": clean(command, length=2000) if command else "",
        "files": list(RUN_FILES[:1]),
        "glossary": glossary("dsc", "normhd", "ps", "fs", "ts", "interval", "subgroup"),
        "sections": sections,
    }


def _verdict(comparisons: Sequence[Comparison]) -> Data:
    """Which runs harm nobody, and which of them has the best mean."""
    first = comparisons[0]
    sign = 1 if first.better == "higher" else -1
    harmless = [entry for entry in comparisons if entry.verdict.kind in _HARMLESS]
    name = column_title(first.before.name)
    if not harmless:
        sentence = f"Keep the model of {name}."
        return {"mark": "▼", "tone": "worse", "kind": "Every run harms somebody", "sentence": sentence}
    best = max(harmless, key=lambda entry: sign * (entry.metrics[entry.outcome].difference or 0.0))
    change = best.metrics[best.outcome]
    gain = sign * (change.difference or 0.0)
    listed = ", ".join(column_title(entry.after.name) for entry in harmless)
    sentence = f"Nobody is shown to be harmed by {listed}."
    if gain <= 0:
        return {"mark": "◆", "tone": "open", "kind": f"No run is better than {name}", "sentence": sentence}
    digits = outcome_digits(best)
    told = f"{format_number(change.before, digits)} to {format_number(change.after, digits)}"
    sentence += f" Of these {column_title(best.after.name)} has the best mean {metric_name(best.outcome)}: {told}."
    sentence += " The best of several is flattered by chance: its interval does not know of the others."
    return {
        "mark": "▲",
        "tone": "better",
        "kind": f"Best without harm: {column_title(best.after.name)}",
        "sentence": sentence,
    }


def _table(comparisons: Sequence[Comparison]) -> Data:
    first = comparisons[0]
    names = list(_shown(first))
    baseline: list[Cell | str] = [cell(column_title(first.before.name), sub="held against")]
    baseline += [cell(format_number(_shown(first)[name].before, 4)) for name in names]
    return table(
        f"Runs against {column_title(first.before.name)}, over the cases that both have",
        [
            "Run",
            *(number_column(metric_name(name)) for name in names),
            *map(number_column, ("Harmed", "Gained", "Cases")),
            "Most harmed",
        ],
        [[*baseline, "–", "–", f"{first.before.n_scored:,}", "–"], *map(_row, comparisons)],
        note="Small lines: change and its 95 % interval, of each score alone. Harmed, gained: subgroups shown to have "
        "changed, of those with enough cases. FS is no percentage of fairness: small groups differ by chance alone; "
        "see its chance level in the audits.",
    )


def _row(entry: Comparison) -> list[Cell | str]:
    scores = [
        cell(
            format_number(change.after, 4),
            sub=f"{format_number(change.difference, 4, signed=True)}"
            + (f" ({format_interval(change.ci, 3, signed=True)})" if change.ci else ""),
        )
        for change in _shown(entry).values()
    ]
    harmed = entry.harmed
    most: Cell | str = cell(items=harmed[0].pairs) if harmed else "–"
    counts = (f"{len(harmed):,}", f"{len(entry.gained):,}", f"{entry.n_paired:,}")
    return [cell(column_title(entry.after.name), sub=entry.verdict.kind), *scores, *counts, most]


def _shown(entry: Comparison) -> dict[str, Change]:
    """The outcome, FS and TS; PS is between the lines of these."""
    scores = {name: change for name, change in entry.scores.items() if name != "PS"}
    return {entry.outcome: entry.metrics[entry.outcome], **scores}


def _pages(comparisons: Sequence[Comparison], folders: Sequence[str], reports: Sequence[str]) -> list[Data]:
    names = [comparisons[0].before.name, *(entry.after.name for entry in comparisons)]
    against = ["", *(f"{folder}/comparison.html" for folder in folders)]
    return [
        {"name": column_title(name), "report": report, "comparison": comparison}
        for name, report, comparison in zip(names, reports, against, strict=True)
    ]
