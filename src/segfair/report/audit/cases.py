"""Worst cases: pictures in rows of one kind, missing predictions by name, and the table of all cases."""

from __future__ import annotations

from segfair.audit.result import AuditResult
from segfair.audit.words import clean, format_number, metric_digits, metric_name, plural
from segfair.report.gallery import gallery_section, picture_keys
from segfair.report.parts import NAME_LENGTH, Data, cell
from segfair.report.rows import MOST_CASES, SHOWN_ITEMS, CaseRow, CaseTable
from segfair.scoring.scores import LABEL_SIZES

__all__ = ["case_section", "case_table"]

_WORST_CASES = 20
"""Rows that are there without a script."""
_MAX_NAMES = 60


def case_section(result: AuditResult, cases: CaseTable | None) -> Data | None:
    """The worst cases: outlines, empty predictions and missing ones apart; and all cases to look a name up in.

    Args:
        result: The audit.
        cases: Its `case_table`.
    """
    if cases is None:
        return None
    shown, unit = cases.rows[:_WORST_CASES], result.about.config.unit
    decimals = [digits for _, digits in cases.columns]
    worst = metric_name(result.subgroups.primary_outcome)
    gallery = gallery_section(result, [name for name, _ in _metrics(result)])
    return {
        "gallery": gallery,
        "rows_of_pictures": [] if gallery is None else _pictures_apart(result, gallery),
        "missing": _missing(result),
        "n_cases": plural(cases.n_cases, unit),
        "columns": [unit.capitalize(), *(title for title, _ in cases.columns), "Attributes"],
        "rows": [
            [
                cell(clean(row.case, length=NAME_LENGTH), sub=row.penalty),
                *map(cell, map(format_number, row.values, decimals)),
                cell(items=sorted(row.items)[:SHOWN_ITEMS]),
            ]
            for row in shown
        ],
        "static_note": f"The {plural(len(shown), unit)} with the worst {worst}; {result.rows_file} holds all."
        if len(shown) < cases.n_cases
        else "",
    }


def case_table(result: AuditResult) -> CaseTable | None:
    """Every case with a value of the primary outcome, worst first; None where the audit tells no cases."""
    scores, outcome = result.cases.scores, result.subgroups.primary_outcome
    order = scores.worst_first(outcome, result.subgroups.outcomes[outcome].better) if scores.rows else []
    if not order:
        return None
    metrics = _metrics(result)
    place = {name: index for index, name in enumerate(scores.columns)}
    keys = {} if result.cases.gallery is None else picture_keys(result.cases.gallery)
    rows = [scores.rows[index] for index in order[:MOST_CASES]]
    return CaseTable(
        len(order),
        tuple((metric_name(name), digits) for name, digits in metrics),
        [
            CaseRow(
                str(row[place["case"]]),
                tuple((name, str(row[place[name]])) for name in scores.attributes if row[place[name]]),
                tuple(row[place[name]] for name, _ in metrics),
                f"penalised: {clean(row[place['penalised']], length=120)}" if row[place["penalised"]] else "",
                keys.get(str(row[place["case"]]), ""),
            )
            for row in rows
        ],
        result.about.config.unit,
    )


def _metrics(result: AuditResult) -> list[tuple[str, int]]:
    """The metrics that a case is shown with, and their decimals."""
    scores, outcome = result.cases.scores, result.subgroups.primary_outcome
    distances = ("hd95_mm", "hd95_vox", "hd95_px")
    wanted = dict.fromkeys((outcome, *result.about.config.outcomes, "dsc", "normhd", *distances, *LABEL_SIZES))
    names = [name for name in wanted if name in scores.metrics][:6]
    return [(name, metric_digits(scores.column(name))) for name in names]


def _pictures_apart(result: AuditResult, gallery: Data) -> list[Data]:
    """The cards of all cases, outlines before empty predictions; a kind without a case is left out."""
    cards = gallery["groups"][0]["cards"]
    n_empty = sum(result.cases.scores.nothing_predicted)
    outlined, nothing = ([card for card in cards if card["nothing"] == is_empty] for is_empty in (False, True))
    found = []
    if outlined:
        found.append({"title": "Worst outlines", "note": "", "cards": outlined})
    if nothing:
        largest = plural(len(nothing), "largest miss", "largest misses")
        shown = f"; the {largest} below" if n_empty > len(nothing) else ""
        found.append(
            {
                "title": "Nothing predicted",
                "note": f"{plural(n_empty, 'case')} with a prediction that is empty although the label is not{shown}.",
                "cards": nothing,
            }
        )
    return found


def _missing(result: AuditResult) -> Data | None:
    """Cases whose prediction is missing or cannot be used, by name."""
    names = list(result.cases.counts.penalised)
    if not names:
        return None
    rest = len(names) - _MAX_NAMES
    n_missing = len(set(result.cases.counts.missing_predictions) & set(names))
    return {
        "count": f"{plural(len(names), 'prediction')} with the worst score and nothing to be drawn"
        + (f", {n_missing:,} of them missing" if n_missing else ""),
        "names": [clean(name, length=NAME_LENGTH) for name in names[:_MAX_NAMES]],
        "more": f"and {rest:,} more, in audit.json" if rest > 0 else "",
    }
