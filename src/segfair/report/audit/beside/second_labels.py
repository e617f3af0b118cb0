"""The same predictions against a second set of labels: which gaps depend on the ruler."""

from __future__ import annotations

from segfair.audit.result import AuditResult
from segfair.audit.result.second_labels import RulerGroup
from segfair.audit.words import clean, format_interval, format_number, format_p, metric_digits, metric_name, plural
from segfair.report.parts import Data, cell, number_column, table

__all__ = ["ruler_section"]

_SHOWN = 40
"""Groups that are printed; audit.json has them all."""


def ruler_section(result: AuditResult) -> Data | None:
    """Both gaps, their difference, and how far the labels agree, group by group."""
    facts = result.subgroups.second_labels
    if facts is None:
        return None
    name = metric_name(facts.outcome)
    digits = metric_digits([facts.mean_first, facts.mean_second])
    about = [
        f"{plural(facts.n_paired, 'case')} scored under both sets of labels; mean {name} is "
        f"{format_number(facts.mean_first, digits)} under the first and {format_number(facts.mean_second, digits)} "
        "under the second."
    ]
    left = [
        f"{plural(n, 'case')} under the {which} only"
        for n, which in ((facts.only_first, "first"), (facts.only_second, "second"))
        if n
    ]
    if left:
        about.append(f"Left out: {' and '.join(left)}.")
    if facts.agreement is not None:
        text = f"Mean DSC of the two labels of a case: {format_number(facts.agreement)}"
        about.append(f"{text} ({format_interval(facts.agreement_ci)})." if facts.agreement_ci else f"{text}.")
    rest = len(facts.groups) - _SHOWN
    return {
        "labels": clean(facts.labels, length=1000) if facts.labels else "",
        "sentence": clean(facts.sentence, length=900),
        "about": about,
        "table": table(
            f"Gaps in {name} under both sets of labels",
            [
                "Group",
                number_column("n"),
                number_column("Gap, first labels"),
                number_column("Gap, second labels"),
                number_column("Difference"),
                number_column("Adjusted p"),
                number_column("Agreement of the labels"),
            ],
            [_row(group, digits) for group in facts.groups[:_SHOWN]],
            note=f"and {rest:,} more, in audit.json" if rest > 0 else "",
        ),
    }


def _row(group: RulerGroup, digits: int) -> list[Data | str]:
    tested = group.p_adjusted is not None
    gaps = [
        cell(format_number(gap, digits, signed=True), sub=f"mean {format_number(mean, digits)}")
        for gap, mean in ((group.gap_first, group.mean_first), (group.gap_second, group.mean_second))
    ]
    difference = format_number(group.difference, digits, signed=True)
    agreement_ci = format_interval(group.agreement_ci) if group.agreement_ci else ""
    return [
        cell(items=sorted(group.items.items)),
        f"{group.n:,}",
        *gaps,
        cell(difference, sub=format_interval(group.ci, digits) if group.ci else ""),
        cell(format_p(group.p_adjusted) if tested else "–", sub="" if tested else "too few cases"),
        cell(format_number(group.agreement), sub=agreement_ci),
    ]
