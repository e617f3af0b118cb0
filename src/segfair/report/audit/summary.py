"""Page one: verdict, who is worst off, primary attributes, alerts, scores."""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.design import LESION_VOLUME
from segfair.audit.judging.verdict import compared, headline
from segfair.audit.result import AuditConfig, AuditResult, Finding, OutcomeFacts, Score, Stability
from segfair.audit.words import (
    clean,
    evidence,
    format_interval,
    format_number,
    format_p,
    harmful,
    metric_digits,
    metric_name,
    plural,
    standing,
    subgroup_name,
)
from segfair.report.figures import forest_plot
from segfair.report.parts import Data, cell, figure, items_of, number_column, table
from segfair.subgroups.lattice import Better, Divergence, Estimate, SubgroupTable

__all__ = [
    "ROW_COLUMNS",
    "UNKNOWN_CHANCE",
    "chance_words",
    "forest",
    "headline_facts",
    "judged",
    "outcome_digits",
    "primary_section",
    "row_cells",
    "standing_cell",
    "uncorrected_note",
    "verdict_section",
    "worst_section",
]

_VERDICTS = {
    "disparity found": ("▲", "worse"),
    "no gap beyond the declared margin": ("●", "better"),
    "no difference shown": ("◆", "open"),
    "open": ("◆", "open"),
    "too few cases": ("◆", "open"),
}


UNKNOWN_CHANCE = "chance level not known, and no answer without it"
"""What stands beside an FS of which nobody knows what it would be without a disparity."""
ROW_COLUMNS: tuple[str | Data, ...] = (
    "Subgroup",
    *map(number_column, ("n", "Mean", "Others", "Difference")),
    "Standing",
)
"""The columns that `row_cells` fills."""


def outcome_digits(table_: SubgroupTable) -> int:
    """Decimals for one outcome's means and divergences."""
    return metric_digits(row.mean for row in table_)


def judged(row: Divergence, config: AuditConfig, n_cases: int) -> bool:
    """Whether members and rest are numerous enough to be judged."""
    return min(row.n, n_cases - row.n) >= config.min_cases


def uncorrected_note(facts: OutcomeFacts) -> str:
    """The warning of a table whose rows were not tested; empty where they were."""
    if facts.critical is not None or facts.n_tested:
        return ""
    return "Not corrected for multiple testing: among many subgroups some diverge this far by chance alone."


def verdict_section(result: AuditResult) -> Data:
    """The answer in words."""
    mark, tone = _VERDICTS.get(result.verdict.kind, ("■", "open"))
    kind = clean(result.verdict.kind)
    sentence = clean(result.verdict.sentence, length=700)
    # The sentence may open with the word that stands above it.
    head, colon, rest = sentence.partition(": ")
    if colon and head.lower() == kind.lower():
        sentence = rest[:1].upper() + rest[1:]
    return {"kind": kind[:1].upper() + kind[1:], "mark": mark, "tone": tone, "sentence": sentence}


def headline_facts(result: AuditResult) -> list[Data]:
    """The handful of numbers that carry the verdict."""
    counts = result.cases.counts
    outcome = result.subgroups.primary_outcome
    rows, facts = result.subgroups[outcome], result.subgroups.outcomes[outcome]
    digits = outcome_digits(rows)
    tally = [
        f"{n:,} {word}"
        for n, word in (
            (len(counts.penalised), "penalised"),
            (len(counts.unusable), "excluded"),
            (counts.n_taught, "taught the bins"),
        )
        if n
    ]
    found = [
        _fact(
            f"{result.about.config.unit.capitalize()}s scored",
            f"{counts.n_scored:,}",
            ", ".join(tally) or "none penalised, none excluded",
        )
    ]
    dsc = result.scores.get("DSC")
    if outcome == "dsc" and dsc is not None and dsc.value is not None:
        found.append(_fact("Mean DSC", format_number(dsc.value), _ci_words(dsc)))
    else:
        found.append(
            _fact(
                f"Mean {metric_name(outcome)}",
                format_number(facts.mean, digits),
                f"over all {result.about.config.unit}s",
            )
        )
    fs = result.scores.get("FS")
    if fs is not None and fs.value is not None:
        found.append(_fact("Fairness score FS", format_number(fs.value), chance_words(fs, result) or UNKNOWN_CHANCE))
    worst = headline(result)
    if worst is not None:
        gap = format_number(worst.difference, digits, signed=True)
        name = subgroup_name(worst.subgroup.items, length=24)
        found.append(_fact("Worst off", gap, f"{name} against everybody else; n = {worst.n:,}"))
    n_significant = sum(bool(row.significant) for row in rows)
    if uncorrected_note(facts):
        found.append(_fact("Subgroups", f"{len(rows):,}", "not corrected for multiple testing"))
    else:
        found.append(
            _fact(
                "Subgroups tested",
                f"{facts.n_tested:,}",
                f"{n_significant:,} beyond chance at the {result.about.config.level:g} level, all tests counted"
                + _finding_count(result)
                + _primary_count(result),
            )
        )
    return found


def _finding_count(result: AuditResult) -> str:
    """How few findings stand behind the significant subgroups."""
    findings = result.subgroups.findings
    return f"; behind them {plural(len(findings), 'finding')}" if findings else ""


def _primary_count(result: AuditResult) -> str:
    """How many levels fixed beforehand are beyond chance: a family of tests of their own."""
    tested = [row for row in result.subgroups.primary_levels or () if row.significant is not None]
    if not tested:
        return ""
    return f"; {sum(bool(row.significant) for row in tested):,} of {plural(len(tested), 'level')} fixed beforehand"


def _fact(name: str, value: str, note: str) -> Data:
    return {"name": name, "value": value, "note": note}


def _ci_words(score: Score) -> str:
    return f"95% interval {format_interval(score.ci)}" if score.ci else ""


def chance_words(score: Score, result: AuditResult) -> str:
    """What a model without the attribute's effect would have scored; empty where that was not computed."""
    if score.chance is None:
        return ""
    who = (
        f"a model whose only disparity is that of {clean(result.about.config.stratify, length=30)}"
        if result.about.config.stratify
        else "a model with no disparity"
    )
    chance = score.chance
    return f"{who} would score {format_number(chance.mean)} ({format_interval(chance.interval)}) on this cohort"


def worst_section(result: AuditResult) -> Data | None:
    """The findings, each in a sentence with its evidence; without any, the subgroup that is likeliest to be worse."""
    found, outcome = result.subgroups, result.subgroups.primary_outcome
    rows, facts = found[outcome], found.outcomes[outcome]
    digits = outcome_digits(rows)
    if found.findings:
        n_explained = sum(len(finding.explains) for finding in found.findings)
        told = [_finding(result, finding, digits) for finding in found.findings]
        return {
            "intro": f"{plural(len(told), 'finding')} for {plural(n_explained, 'significant subgroup')}: what remains "
            "once its cases are set apart is not beyond chance.",
            "findings": [entry for entry in told if entry is not None],
        }
    worst = headline(result)
    if worst is None:
        return None
    share = "" if found.worst_off is None else f" {_stability_sentence(found.worst_off.stability)}"
    return {
        "intro": uncorrected_note(facts) or "No subgroup stands apart beyond chance. Most speaks for this one:",
        "findings": [
            {
                "items": items_of(worst.subgroup),
                "sentence": _sentence(worst, worst.estimate, rows, result, digits),
                "evidence": f"{_standing_sentence(worst, rows, facts, digits)}{share}",
                "volume": _volume_sentence(worst, result, digits),
            }
        ],
    }


def _finding(result: AuditResult, finding: Finding, digits: int) -> Data | None:
    found = result.subgroups
    row, rows = found.find(finding.items), found[found.primary_outcome]
    if row is None:
        return None
    others = len(finding.explains) - 1
    parts = [
        f"It explains {plural(others, 'further significant subgroup')}." if others > 0 else "",
        f"All its cases are of {subgroup_name(finding.nested_in.items)}, so that the gap may be due to that."
        if finding.nested_in.items
        else "",
        f"{finding.inside[:1].upper()}{finding.inside[1:]}.",
        _stability_sentence(finding.stability),
        "Fixed beforehand, and tested in a family of its own." if finding.declared else "",
    ]
    how = "worse" if harmful(finding.estimate.value, rows.better) else "better"
    standing_ = f"Significantly {how}" + (f", {row.margin}" if row.margin not in (None, "open") else "")
    return {
        "items": items_of(row.subgroup),
        "sentence": _sentence(row, finding.estimate, rows, result, digits),
        "evidence": " ".join([f"{standing_}.", *filter(None, parts)]),
        "volume": _volume_sentence(row, result, digits),
    }


def _stability_sentence(stability: Stability) -> str:
    """How surely the named subgroup is the one."""
    count = len(stability.set_95)
    among = f"; it takes {plural(count, 'subgroup')} to hold the one that is named in 95% of them" if count > 1 else ""
    return f"Named in {stability.share:.0%} of resampled cohorts{among}."


def _sentence(row: Divergence, estimate: Estimate | None, rows: SubgroupTable, result: AuditResult, digits: int) -> str:
    """Who, how many, both means, and the difference with its interval and p."""
    name, config = metric_name(rows.outcome), result.about.config
    size = f"{row.n:,} of {plural(rows.n_cases, config.unit)}"
    if estimate is not None and estimate.n_subjects is not None and estimate.n_subjects != row.n:
        size += f", {plural(estimate.n_subjects, 'subject')}"
    text = f"{size}: mean {name} {format_number(row.mean, digits)}"
    if row.rest_mean is None or estimate is None:
        return f"{text}."
    parts = evidence(simultaneous=estimate.ci, pointwise=None, p_adjusted=estimate.p_adjusted, digits=digits)
    difference = f"{compared(estimate, config)}{format_number(estimate.value, digits, signed=True)}"
    shown = f" ({', '.join(parts)})" if parts else ""
    against = format_number(row.rest_mean, digits)
    return f"{text} against {against} for everybody else; difference {difference}{shown}."


def _standing_sentence(row: Divergence, rows: SubgroupTable, facts: OutcomeFacts, digits: int) -> str:
    found = standing(row, rows.better, tested=not uncorrected_note(facts))
    sentence = f"{found.main[:1].upper()}{found.main[1:]}"
    return f"{sentence}; {found.qualification(digits)}." if found.template else f"{sentence}."


def _volume_sentence(row: Divergence, result: AuditResult, digits: int) -> str:
    adjusted = row.adjusted
    if adjusted is None:
        return ""
    names = " and ".join(
        result.cases.scores.lesion_size if name == LESION_VOLUME else clean(name, length=40).replace("_", " ")
        for name in adjusted.covariates
    )
    text = (
        f"At equal {names} the difference to everybody else is "
        f"{format_number(adjusted.difference, digits, signed=True)}"
        f"{f' (95% interval {format_interval(adjusted.ci, digits, signed=True)})' if adjusted.ci else ''}, "
        f"unadjusted {format_number(adjusted.raw_difference, digits, signed=True)}"
    )
    if adjusted.p_adjusted is not None:
        text += f", adjusted p {format_p(adjusted.p_adjusted)}"
    if adjusted.share_explained is not None:
        text += (
            f"; {adjusted.share_explained:.0%} of the gap goes with {names}"
            if adjusted.share_explained >= 0
            else f"; the gap is no smaller at equal {names}"
        )
    return f"{text}. Such a covariate can be a mediator of the gap as well as a confounder, so both values count."


def row_cells(row: Divergence, rows: SubgroupTable, facts: OutcomeFacts, digits: int) -> list[Data]:
    """One subgroup: items, n, mean, mean of the others, difference with simultaneous interval, standing."""
    interval = row.estimate.ci if row.estimate else None
    tone = "worse" if harmful(row.difference, rows.better) else "better"
    return [
        cell(items=sorted(row.subgroup.items)),
        cell(f"{row.n:,}"),
        cell(format_number(row.mean, digits)),
        cell(format_number(row.rest_mean, digits)),
        cell(
            format_number(row.estimate.value if row.estimate else None, digits, signed=True),
            sub=format_interval(interval, digits, signed=True) if interval else "",
            tone=tone if row.significant else "",
        ),
        standing_cell(row, rows.better, facts, digits),
    ]


def standing_cell(row: Divergence, better: Better, facts: OutcomeFacts, digits: int) -> Data:
    """What may be concluded about a subgroup, with its adjusted p and the gap that remains possible."""
    found = standing(row, better, tested=not uncorrected_note(facts))
    p_value = "" if row.p_adjusted is None else f"adjusted p {format_p(row.p_adjusted)}"
    return cell(found.main, sub="; ".join(filter(None, (p_value, found.qualification(digits)))))


def forest(
    shown: Sequence[Divergence], rows: SubgroupTable, facts: OutcomeFacts, result: AuditResult, *, key: str
) -> Data:
    """A forest plot of some rows with its text alternative and its table."""
    digits = outcome_digits(rows)
    drawing, narrow = (
        forest_plot(
            shown,
            outcome=rows.outcome,
            better=rows.better,
            digits=digits,
            narrow=shape,
        )
        for shape in (False, True)
    )
    marks = "Circle: difference to everybody else, filled where it is beyond chance."
    if any(row.estimate and row.estimate.ci for row in shown):
        marks += " Line: 95% interval that holds for all subgroups at once."
    first = shown[0]
    label = (
        f"Forest plot of {len(shown)} subgroups. First: "
        f"{subgroup_name(first.subgroup.items, length=40)}, n {first.n}, difference "
        f"{format_number(first.difference, digits, signed=True)}. The table below holds every value."
    )
    return figure(
        drawing,
        key=key,
        label=label,
        caption=marks,
        narrow=narrow,
        data=table(
            f"Difference in {metric_name(rows.outcome)} to everybody else (figure as a table)",
            ROW_COLUMNS,
            [row_cells(row, rows, facts, digits) for row in shown],
        ),
    )


def primary_section(result: AuditResult) -> Data | None:
    """The attributes fixed beforehand, tested as a family of their own."""
    rows = result.subgroups.primary_levels
    if rows is None or not len(rows):
        return None
    facts = result.subgroups.outcomes[result.subgroups.primary_outcome]
    names = ", ".join(clean(name, length=40) for name in result.about.config.primary)
    return {
        "names": names,
        "figure": forest(rows.rows[:24], rows, facts, result, key="primary"),
    }
