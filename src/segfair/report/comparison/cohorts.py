"""Two audits of different patients -> cohorts.html and cohorts.json: display-ready strings, and both files."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

from segfair.audit.words import clean, format_interval, format_number, format_p, metric_digits, metric_name, plural
from segfair.compare.cohorts.result import CohortChange, CohortComparison, Difference, MixChange
from segfair.report.comparison.changes import title as column_title
from segfair.report.comparison.files import PageFiles, address_of
from segfair.report.comparison.frame import framed, method_section
from segfair.report.parts import Cell, Data, cell, number_column, table

__all__ = ["COHORTS", "COHORT_FILES", "cohort_data", "write_cohorts"]

COHORT_FILES = ("cohorts.json", "cohorts.html")
COHORTS = PageFiles(
    COHORT_FILES, ("format", "audits", "mix"), "segfair compare", "mend that, and compare again", "cohorts.html.j2"
)
_TITLES = {
    "verdict": "Verdict",
    "overall": "All patients, as they are and with one mix",
    "subgroups": "Subgroups",
    "mix": "What changed in the mix",
    "alerts": "Alerts",
    "method": "Method",
}
_TONES = {
    "worse for some": ("▼", "worse"),
    "worse and better": ("▼", "worse"),
    "better for some": ("▲", "better"),
    "no difference shown": ("◆", "open"),
}
_LISTED = 200
_METHOD = (
    "The audits are of different patients, so that nothing is paired: each cohort is resampled by itself (exponential "
    "weights, patients whole), and the largest deviation of all subgroups, in moderated standard errors, says how far "
    "chance goes. Intervals of subgroups hold together, p values are adjusted over all of them.",
    "With one mix: cases are weighted until every level of every attribute has the same share in both cohorts, the "
    "average of the two (raking). Levels that one cohort has alone are left out there. A subgroup's own difference is "
    "not standardised: it may be due to the mix within it.",
    "The gap is a subgroup's mean minus that of everybody else in its cohort; its change says whether the subgroup "
    "stands otherwise to the others, whatever became of all.",
)


def write_cohorts(
    comparison: CohortComparison,
    directory: str | PathLike[str],
    *,
    command: str = "",
    digests: Mapping[str, str] | None = None,
    title: str = "",
    reports: tuple[Path | None, Path | None] = (None, None),
) -> Path:
    """Writes both files; each appears only once both are complete.

    Args:
        comparison: What was found.
        directory: Where to; made if it does not exist. Other files in it stay as they are.
        command: The command line that led here; empty: called from Python.
        digests: What -> SHA-256, such as those of the two audit.json.
        title: What the comparison is called.
        reports: The two audits' own pages; None: not known.

    Returns:
        The path of cohorts.html.

    Raises:
        ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
    """
    directory = Path(directory)
    return COHORTS.write(
        comparison.save,
        directory,
        lambda written: cohort_data(
            comparison,
            written=written,
            command=command,
            digests=digests,
            title=title,
            reports=(address_of(reports[0], directory), address_of(reports[1], directory)),
        ),
    )


def cohort_data(
    comparison: CohortComparison,
    *,
    written: str,
    command: str = "",
    digests: Mapping[str, str] | None = None,
    title: str = "",
    reports: tuple[str, str] = ("", ""),
) -> Data:
    """Everything that the page prints.

    Args:
        comparison: What was found.
        written: When the page is written, as it shall stand there.
        command: The command line that led to it; empty: none is shown.
        digests: What -> SHA-256, printed with the method.
        title: What the comparison is called; empty: it has no name.
        reports: Addresses of the two audits' own pages; empty: not known.
    """
    mark, tone = _TONES[comparison.verdict.kind]
    sections = {
        "verdict": {
            "mark": mark,
            "tone": tone,
            "kind": comparison.verdict.kind.capitalize(),
            "sentence": clean(comparison.verdict.sentence, length=1200),
        },
        "overall": _overall(comparison),
        "series": None,
        "subgroups": _subgroups(comparison),
        "mix": _mix(comparison),
        "alerts": [clean(notice, length=600) for notice in comparison.notices],
        "method": method_section(_METHOD, comparison, command=command, digests=digests or {}),
    }
    names = (comparison.before.name, comparison.after.name)
    return framed(
        comparison,
        sections,
        titles=_TITLES,
        title=title,
        heading="Two cohorts compared by subgroup",
        meta=(
            f"{comparison.before.n_scored:,} and {comparison.after.n_scored:,} cases of different patients · outcome "
            f"{metric_name(comparison.outcome)} · protocol {clean(comparison.settings.get('protocol', ''), length=60)} "
            f"· written {written}"
        ),
        written=written,
        audits=zip(names, reports, strict=True),
        files=COHORT_FILES[:1],
    )


def _digits(comparison: CohortComparison) -> int:
    return metric_digits([comparison.mean_before, comparison.mean_after])


def _columns(comparison: CohortComparison) -> tuple[str, str]:
    return column_title(comparison.before.name), column_title(comparison.after.name)


def _overall(comparison: CohortComparison) -> Data:
    """Both numbers: the difference as it is, and with one mix of patients."""
    digits, common = _digits(comparison), comparison.standardised
    one, other = _columns(comparison)
    rows: list[list[Cell | str]] = [
        [
            cell("As they are", sub=f"{comparison.before.n_scored:,} and {comparison.after.n_scored:,} cases"),
            format_number(comparison.mean_before, digits),
            format_number(comparison.mean_after, digits),
            *_difference_cells(comparison.crude, digits),
        ]
    ]
    note = "No level of any attribute is in both cohorts, so that nothing can be standardised."
    if common is not None:
        rows.append(
            [
                cell(
                    "With one mix",
                    sub=f"counting as {common.effective_before:.0f} and {common.effective_after:.0f} cases",
                ),
                format_number(common.before, digits),
                format_number(common.after, digits),
                *_difference_cells(common.difference, digits),
            ]
        )
        names = ", ".join(clean(name, length=40) for name in common.attributes)
        note = f"One mix: the same shares of the levels of {names}."
        if common.left_out:
            levels = ", ".join(clean(level, length=60) for level in common.left_out[:8])
            note += (
                f" Left out there, because one cohort has none of them: {levels}; {common.n_before:,} and "
                f"{common.n_after:,} cases remain."
            )
    return table(
        f"Mean {metric_name(comparison.outcome)}",
        [
            "",
            number_column(one),
            number_column(other),
            number_column("Difference"),
            number_column("95 % interval"),
            number_column("p"),
        ],
        rows,
        note=note,
    )


def _difference_cells(difference: Difference | None, digits: int) -> tuple[str, str, str]:
    if difference is None:
        return "–", "–", "–"
    p_value = "–" if difference.p_value is None else format_p(difference.p_value)
    return (
        format_number(difference.value, digits, signed=True),
        format_interval(difference.ci, digits, signed=True) if difference.ci else "–",
        p_value,
    )


def _subgroups(comparison: CohortComparison) -> Data:
    """Every subgroup that is tested, then the others."""
    digits = _digits(comparison)
    one, other = _columns(comparison)
    shown = comparison.subgroups[:_LISTED]
    more = len(comparison.subgroups) - len(shown)
    return table(
        f"Mean {metric_name(comparison.outcome)} of subgroups, those that became worse most first",
        [
            "Subgroup",
            number_column(one),
            number_column(other),
            number_column("Difference"),
            number_column("95 % interval"),
            number_column("p"),
            number_column("Change of the gap"),
            number_column("p of the gap"),
        ],
        [_subgroup_row(entry, comparison, digits) for entry in shown],
        note=f"{plural(comparison.n_tested, 'subgroup')} tested together; the others have fewer than "
        f"{comparison.settings.get('min_cases', 0)} cases in one of the cohorts."
        + (f" {more:,} more stand in cohorts.json." if more > 0 else ""),
    )


def _subgroup_row(entry: CohortChange, comparison: CohortComparison, digits: int) -> list[Cell | str]:
    value, ci, p_value = _difference_cells(entry.difference, digits)
    gap, gap_ci, gap_p = _difference_cells(entry.gap_difference, digits)
    return [
        cell(items=entry.pairs),
        cell(format_number(entry.before, digits), sub=f"n = {entry.n_before:,}"),
        cell(format_number(entry.after, digits), sub=f"n = {entry.n_after:,}"),
        cell(value, tone=comparison.beyond_chance(entry.difference)),
        ci,
        p_value,
        cell(gap, sub=gap_ci if gap_ci != "–" else "", tone=comparison.beyond_chance(entry.gap_difference)),
        gap_p,
    ]


def _mix(comparison: CohortComparison) -> Data:
    """The shares of every level in both cohorts."""
    one, other = _columns(comparison)
    changed = [clean(entry.attribute, length=60) for entry in comparison.mix if entry.p_adjusted <= comparison.level]
    return {
        "lead": f"The patients are others by {', '.join(changed)}."
        if changed
        else "No attribute tells the patients of the two cohorts apart beyond chance.",
        "table": table(
            "Shares of levels",
            [
                "Attribute",
                "Level",
                *map(number_column, (one, other, "Difference", "95 % interval", "p of the attribute")),
            ],
            [row for entry in comparison.mix for row in _mix_rows(entry, comparison.level)],
            note="Intervals are those of single levels (Newcombe); p of the attribute is a permutation test of all of "
            "its levels, adjusted over attributes (Holm).",
        ),
    }


def _mix_rows(entry: MixChange, level: float) -> list[list[Cell | str]]:
    tone = "worse" if entry.p_adjusted <= level else ""
    return [
        [
            clean(entry.attribute, length=60),
            clean(part.level, length=60),
            cell(f"{part.share_before:.1%}", sub=f"n = {part.n_before:,}"),
            cell(f"{part.share_after:.1%}", sub=f"n = {part.n_after:,}"),
            f"{100 * (part.share_after - part.share_before):+.1f} points".replace("-", "−"),
            f"{100 * part.ci[0]:+.1f} to {100 * part.ci[1]:+.1f}".replace("-", "−"),
            cell(format_p(entry.p_adjusted), tone=tone),
        ]
        for part in entry.levels
    ]
