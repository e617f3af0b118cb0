"""The tables of a comparison: scores, metrics, attributes, and all subgroups.

Functions of one `Comparison`; see `segfair.report.comparison.page`.
"""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.words import (
    Standing,
    clean,
    format_interval,
    format_number,
    format_p,
    metric_digits,
    metric_name,
    plural,
)
from segfair.compare.result import AttributeChange, Change, Comparison, SubgroupChange
from segfair.compare.verdict import outcome_digits
from segfair.report.audit.room import MOST_ATTRIBUTES
from segfair.report.comparison.figures import SlopeLine, slope_plot
from segfair.report.parts import Cell, Data, cell, figure, number_column, table
from segfair.report.rows import PAGE_ROWS, Column, Row, RowTable, encode_tables, row_cells
from segfair.subgroups.lattice import Better

__all__ = [
    "TOGETHER",
    "change_cells",
    "change_section",
    "change_table",
    "digits_of",
    "gap_section",
    "gaps_note",
    "metric_section",
    "names_of",
    "standing_of",
    "table_section",
    "title",
]

_STANDINGS = {"harmed": "worse", "gained": "better", "too few cases": "small"}
_SCORE_NAMES = {
    "PS": "Performance score, (DSC + 1 − NormHD) / 2",
    "FS": "Fairness score, mean over attributes of 1 − D_v",
    "TS": "Total score, weighted mean of PS and FS",
}
TOGETHER = "Small lines beneath changes: 95 % intervals that hold for all subgroups together, as the adjusted p does."
"""Which interval a subgroup's is, wherever it stands."""
_MAX_LEVELS = 30
"""Levels of one attribute that are drawn; its table holds all."""


def names_of(comparison: Comparison) -> tuple[str, str]:
    """What the two audits are called."""
    return comparison.before.name, comparison.after.name


def title(name: str) -> str:
    """The name of an audit as a heading."""
    return clean(name, length=40)


def digits_of(change: Change) -> int:
    """Decimals for one number before and after."""
    return metric_digits((change.before, change.after))


def change_table(
    caption: str, rows: Sequence[SubgroupChange], comparison: Comparison, digits: int, *, note: str = ""
) -> Data:
    """Subgroups before and after, one row each."""
    before, after = names_of(comparison)
    return table(
        caption,
        [
            "Subgroup",
            *map(number_column, ("n", title(before), title(after), "Change")),
            "Standing",
        ],
        [[cell(items=row.pairs), *change_cells(row, digits, comparison.better)] for row in rows],
        note=f"{note} {TOGETHER}".strip(),
    )


def change_cells(row: SubgroupChange, digits: int, better: Better) -> list[Cell]:
    """n, both means, change with the interval that holds for all subgroups together, and standing of one subgroup."""
    found = standing_of(row, better)
    p_value = "" if row.p_adjusted is None else f"adjusted p {format_p(row.p_adjusted)}"
    return [
        cell(f"{row.n:,}"),
        cell(format_number(row.before, digits)),
        cell(format_number(row.after, digits)),
        cell(
            format_number(row.difference, digits, signed=True),
            sub=format_interval(row.ci_simultaneous, digits, signed=True) if row.ci_simultaneous else "",
            tone=_STANDINGS.get(row.standing, "") if row.significant else "",
        ),
        cell(found.main, sub="; ".join(filter(None, (p_value, found.qualification(digits))))),
    ]


def standing_of(row: SubgroupChange, better: Better) -> Standing:
    """What may be concluded; "no change shown" never without the loss that remains possible."""
    if row.standing == "too few cases":
        return Standing(row.standing, "too few cases to be tested")
    if row.standing != "no change shown" or row.ci_simultaneous is None:
        return Standing(row.standing)
    loss = -row.ci_simultaneous[0] if better == "higher" else row.ci_simultaneous[1]
    return Standing(row.standing, "losses up to {} cannot be excluded", loss) if loss > 0 else Standing(row.standing)


def change_section(comparison: Comparison) -> Data | None:
    """PS, FS and TS before and after."""
    if not comparison.scores:
        return None
    before, after = names_of(comparison)
    return {
        "table": table(
            "Scores of the cohort",
            ["Score", *map(number_column, (title(before), title(after), "Change", "95% interval", "p"))],
            [
                [cell(name, sub=_SCORE_NAMES.get(name, "")), *_number_cells(change, 4)]
                for name, change in comparison.scores.items()
            ],
            note="FS is no percentage of fairness: small groups differ by chance alone; see its chance level in the "
            "audits.",
        ),
        "sentences": _fairness_sentences(comparison),
    }


def _fairness_sentences(comparison: Comparison) -> list[str]:
    """What a higher FS does not say."""
    change = comparison.scores.get("FS")
    if change is None or change.difference is None:
        return ["No attribute has two levels that are large enough, so FS and TS are not defined here."]
    if change.difference > 0 and comparison.harmed and not comparison.gained:
        return ["FS rose, yet nobody is shown to have gained and somebody was harmed: see who was harmed."]
    if change.difference > 0 and comparison.harmed:
        return ["FS rose, and somebody was harmed: see who was harmed."]
    return []


def _number_cells(change: Change, digits: int) -> list[Cell]:
    clear = change.ci is not None and (change.ci[0] > 0 or change.ci[1] < 0)
    gain = (change.difference or 0.0) * (1 if change.better == "higher" else -1)
    tone = ("better" if gain > 0 else "worse") if clear and change.better in ("higher", "lower") else ""
    return [
        cell(format_number(change.before, digits)),
        cell(format_number(change.after, digits)),
        cell(format_number(change.difference, digits, signed=True), tone=tone),
        cell(format_interval(change.ci, digits, signed=True) if change.ci else "–"),
        cell(format_p(change.p_value)),
    ]


def metric_section(comparison: Comparison) -> Data:
    """Every metric before and after."""
    before, after = names_of(comparison)
    directions = {"higher": "higher is better", "lower": "lower is better", "signed": "best at zero"}
    columns = (title(before), title(after), "Change", "95% interval", "p", "adjusted p", "Cases")
    return {
        "table": table(
            "Mean of every metric over the paired cases",
            ["Metric", *map(number_column, columns)],
            [
                [
                    cell(metric_name(name), sub=directions.get(change.better, "no direction")),
                    *_number_cells(change, digits_of(change)),
                    cell(format_p(change.p_adjusted)),
                    cell(f"{change.n:,}"),
                ]
                for name, change in comparison.metrics.items()
            ],
            note="Intervals hold for each metric alone; the adjusted p holds for all of them together.",
        )
    }


def gap_section(comparison: Comparison, *, key: str = "gap") -> list[Data]:
    """Per attribute: its levels before and after, and whether the gap between them closed."""
    digits = outcome_digits(comparison)
    columns = [title(name) for name in names_of(comparison)]
    drawn = _gaps_drawn(comparison)
    values = [
        value
        for entry in comparison.attributes
        for level in entry.levels[:_MAX_LEVELS]
        for value in (level.before, level.after)
    ]
    sections = []
    for index, entry in enumerate(comparison.attributes):
        if not entry.levels or entry.name not in drawn:
            continue
        shown = entry.levels[:_MAX_LEVELS]
        name = clean(entry.name, length=60)
        lines = [
            SlopeLine(clean(level.items[entry.name]), level.n, (level.before, level.after), level.standing)
            for level in shown
        ]
        words = "; ".join(
            f"{line.name} {format_number(line.values[0], digits)} to {format_number(line.values[1], digits)}"
            for line in lines[:8]
        )
        before, after = names_of(comparison)
        sections.append(
            {
                "name": name,
                "levelling": entry.levelling_down,
                "sentence": _gap_sentence(entry, digits),
                "figure": figure(
                    slope_plot(
                        lines,
                        columns=columns,
                        better=comparison.better,
                        digits=digits,
                        limits=(min(values), max(values)),
                        width=3.9,
                    ),
                    key=f"{key}{index}",
                    label=f"Slope plot of the levels of {name}: {words}. The table holds every value.",
                    caption="",
                ),
                "table": table(
                    f"Levels of {name}",
                    ["Level", *map(number_column, ("n", title(before), title(after), "Change")), "Standing"],
                    [
                        [
                            cell(clean(level.items[entry.name], length=80)),
                            *change_cells(level, digits, comparison.better),
                        ]
                        for level in entry.levels
                    ],
                    note=TOGETHER,
                ),
            }
        )
    return sections


def _gaps_drawn(comparison: Comparison) -> frozenset[str]:
    """Names of the attributes that the page has room for: all, or those of the strongest evidence of a change."""

    def evidence(entry: AttributeChange) -> tuple[bool, float, float]:
        tested = [level.p_adjusted for level in entry.levels if level.p_adjusted is not None]
        return not entry.levelling_down, min(tested, default=1.0), -abs(entry.difference or 0.0)

    return frozenset(entry.name for entry in sorted(comparison.attributes, key=evidence)[:MOST_ATTRIBUTES])


def gaps_note(comparison: Comparison) -> str:
    """How many attributes the page leaves out; empty where it has room for all."""
    rest = len(comparison.attributes) - MOST_ATTRIBUTES
    if rest <= 0:
        return ""
    return (
        f"Of {len(comparison.attributes):,} attributes those with the strongest evidence of a change; comparison.json "
        f"has the other {rest:,}."
    )


def _gap_sentence(entry: AttributeChange, digits: int) -> str:
    if entry.difference is None:
        return "Fewer than two levels are large enough to speak of a gap."
    text = (
        f"Gap between the best and the worst served level: {format_number(entry.before, digits)} before, "
        f"{format_number(entry.after, digits)} after "
        f"({format_number(entry.difference, digits, signed=True)}"
        f"{f', 95% interval {format_interval(entry.ci, digits, signed=True)}' if entry.ci else ''}). "
        f"Served worst: {clean(entry.worst_before, length=60)} before, {clean(entry.worst_after, length=60)} after."
    )
    if not entry.levelling_down:
        return text
    lost = ", ".join(clean(level, length=60) for level in entry.lost)
    return f"{text} Levelling down: the gap narrowed because {lost} lost."


def table_section(comparison: Comparison) -> Data:
    """All subgroups, for the script to sort and filter; the shape of the report's own subgroup section."""
    outcome = comparison.outcome
    rows = comparison.subgroups[outcome]
    digits = outcome_digits(comparison)
    before, after = map(title, names_of(comparison))
    columns = [
        Column("n", "count"),
        Column(before, "number"),
        Column(after, "number"),
        Column("Change", "signed"),
        Column("Simultaneous 95% interval", "interval"),
        Column("Shrunken", "signed"),
        Column("Adjusted p", "p"),
    ]
    tables = [_rows_of(comparison, name) for name in comparison.subgroups]
    payload, n_omitted = encode_tables(tables, columns)
    shown = [row for row in tables[0].rows if not row.redundant][:PAGE_ROWS]
    n_redundant = sum(row.redundant for row in rows)
    n_kept = len(rows) - n_redundant
    count = f"{plural(len(rows), 'subgroup')}, every level of every attribute among them"
    if n_redundant:
        count += f"; {n_redundant:,} of them changed nearly as one with an item less and are folded away"
    return {
        "exploratory": bool(comparison.primary),
        "uncorrected": "",
        "method": clean(comparison.method, length=600),
        "notes": ["Intervals and adjusted p hold for all subgroups together."],
        "count": count,
        "forest": None,
        "columns": [
            {"title": "Subgroup", "kind": "name"},
            *({"title": column.title, "kind": column.kind} for column in columns),
            {"title": "Standing", "kind": "standing"},
        ],
        "rows": [row_cells(row, columns, digits) for row in shown],
        "static_note": f"The first {len(shown)} of {plural(n_kept, 'subgroup')}; comparison.json holds all."
        if n_kept > len(shown)
        else "",
        "omitted": f"{plural(n_omitted, 'subgroup')} beyond the room of this page are in comparison.json only."
        if n_omitted
        else "",
        "payload": payload,
        "others": [],
    }


def _rows_of(comparison: Comparison, outcome: str) -> RowTable:
    better = comparison.better if outcome == comparison.outcome else _direction(comparison, outcome)
    return RowTable(
        metric_name(outcome) + ("" if outcome == comparison.outcome else " (exploratory)"),
        outcome_digits(comparison, outcome),
        [
            Row(
                row.pairs,
                row.redundant,
                standing_of(row, better),
                (
                    row.n,
                    row.before,
                    row.after,
                    row.difference,
                    row.ci_simultaneous,
                    row.difference_shrunk,
                    row.p_adjusted,
                ),
                is_finding=bool(row.significant),
            )
            for row in comparison.subgroups[outcome]
        ],
    )


def _direction(comparison: Comparison, outcome: str) -> Better:
    change = comparison.metrics.get(outcome)
    return "lower" if change is not None and change.better == "lower" else "higher"
