"""Page one: verdict, who is worst off, primary attributes, alerts, scores."""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.result import AuditConfig, AuditResult, OutcomeFacts, Score
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
from segfair.subgroups.lattice import Better, Divergence, SubgroupTable

__all__ = [
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
    "insufficient evidence": ("◆", "open"),
}


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
    found = [_fact("Cases scored", f"{counts.n_scored:,}", ", ".join(tally) or "none penalised, none excluded")]
    dsc = result.scores.get("DSC")
    if outcome == "dsc" and dsc is not None and dsc.value is not None:
        found.append(_fact("Mean DSC", format_number(dsc.value), _ci_words(dsc)))
    else:
        found.append(_fact(f"Mean {metric_name(outcome)}", format_number(facts.mean, digits), "over all cases"))
    fs = result.scores.get("FS")
    if fs is not None and fs.value is not None:
        found.append(_fact("Fairness score FS", format_number(fs.value), chance_words(fs, result) or _ci_words(fs)))
    worst = _pick_worst(result.subgroups.strongest_evidence(), result)
    if worst is not None:
        gap = format_number(worst.divergence, digits, signed=True)
        found.append(
            _fact("Largest deficit", gap, f"{subgroup_name(worst.subgroup.items, length=24)}; n = {worst.n:,}")
        )
    n_significant = sum(bool(row.significant) for row in rows)
    if uncorrected_note(facts):
        found.append(_fact("Subgroups", f"{len(rows):,}", "not corrected for multiple testing"))
    else:
        found.append(
            _fact(
                "Subgroups tested",
                f"{facts.n_tested:,}",
                f"{n_significant:,} beyond chance at the {result.about.config.level:g} level, all tests counted"
                + _primary_count(result),
            )
        )
    return found


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


def _pick_worst(rows: SubgroupTable, result: AuditResult) -> Divergence | None:
    """The most harmful significant subgroup; else the most harmful that is large enough; else any."""
    behind = [row for row in rows if harmful(row.divergence, rows.better)]
    for fits in (
        [row for row in behind if row.significant and not row.redundant],
        [row for row in behind if row.significant],
        [row for row in behind if judged(row, result.about.config, rows.n_cases) and not row.redundant],
        [row for row in behind if not row.redundant],
    ):
        if fits:
            return fits[0]
    return None


def worst_section(result: AuditResult) -> Data | None:
    """The worst subgroup as one sentence, and the runners-up."""
    outcome = result.subgroups.primary_outcome
    rows, facts = result.subgroups.strongest_evidence(), result.subgroups.outcomes[outcome]
    worst = _pick_worst(rows, result)
    if worst is None:
        return None
    digits = outcome_digits(rows)
    others = [row for row in rows.worst(len(rows)) if harmful(row.divergence, rows.better)]
    large = [row for row in others if judged(row, result.about.config, rows.n_cases)] or others
    shown = [worst, *(row for row in large if row is not worst)][:5]
    primary = result.subgroups.primary_levels or ()
    fixed = [row for row in shown if any(row is level for level in primary)]
    return {
        "items": items_of(worst.subgroup),
        "sentence": _worst_sentence(worst, rows, digits),
        "evidence": _worst_evidence(worst, rows, facts, digits)
        + (" Tested among the levels fixed beforehand." if any(worst is row for row in primary) else ""),
        "volume": _volume_sentence(worst, digits),
        "table": table(
            f"The subgroups with the largest deficits in {metric_name(outcome)}",
            [
                "Subgroup",
                number_column("n"),
                number_column("Mean"),
                number_column("Rest"),
                number_column("Divergence"),
                "Standing",
            ],
            [row_cells(row, rows, facts, digits) for row in shown],
            note="Levels fixed beforehand stand with the test of their own family." if fixed else "",
        ),
    }


def _worst_sentence(row: Divergence, rows: SubgroupTable, digits: int) -> str:
    name = metric_name(rows.outcome)
    against = (
        f", against {format_number(row.rest_mean, digits)} for everybody else" if row.rest_mean is not None else ""
    )
    return (
        f"{row.n:,} of {plural(rows.n_cases, 'case')}: mean {name} {format_number(row.mean, digits)}{against}; "
        f"{format_number(row.divergence, digits, signed=True)} from the mean of all cases."
    )


def _worst_evidence(row: Divergence, rows: SubgroupTable, facts: OutcomeFacts, digits: int) -> str:
    if uncorrected_note(facts):
        return uncorrected_note(facts)
    parts = evidence(simultaneous=row.ci_simultaneous, pointwise=row.ci, p_adjusted=row.p_adjusted, digits=digits)
    if row.divergence_shrunk is not None:
        parts.append(f"shrunken estimate {format_number(row.divergence_shrunk, digits, signed=True)}")
    found = standing(row, rows.better, tested=True)
    sentence = f"{found.main[:1].upper()}{found.main[1:]}"
    if found.template:
        sentence += f"; {found.qualification(digits)}"
    return f"{sentence} ({', '.join(parts)})." if parts else f"{sentence}."


def _volume_sentence(row: Divergence, digits: int) -> str:
    adjusted = row.adjusted
    if adjusted is None:
        return ""
    names = " and ".join(clean(name, length=40).replace("_", " ") for name in adjusted.covariates)
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
    """One subgroup: items, n, mean, mean of the rest, divergence with interval, standing."""
    interval = row.ci_simultaneous or row.ci
    tone = "worse" if harmful(row.divergence, rows.better) else "better"
    return [
        cell(items=sorted(row.subgroup.items)),
        cell(f"{row.n:,}"),
        cell(format_number(row.mean, digits)),
        cell(format_number(row.rest_mean, digits)),
        cell(
            format_number(row.divergence, digits, signed=True),
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
    marks = "Circle: divergence, filled where it is beyond chance."
    if any(row.divergence_shrunk is not None for row in shown):
        marks += " Small diamond: the same pulled toward 0 as far as chance explains it."
    if any(row.ci_simultaneous for row in shown):
        marks += " Thick line: 95% interval of this subgroup alone; thin line: holding for all subgroups at once."
    first = shown[0]
    label = (
        f"Forest plot of {len(shown)} subgroups. Largest deficit first: "
        f"{subgroup_name(first.subgroup.items, length=40)}, n {first.n}, divergence "
        f"{format_number(first.divergence, digits, signed=True)}. The table below holds every value."
    )
    return figure(
        drawing,
        key=key,
        label=label,
        caption=marks,
        narrow=narrow,
        data=table(
            f"Divergence in {metric_name(rows.outcome)} (figure as a table)",
            [
                "Subgroup",
                number_column("n"),
                number_column("Mean"),
                number_column("Rest"),
                number_column("Divergence"),
                "Standing",
            ],
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
