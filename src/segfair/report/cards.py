"""What a notebook shows of an audit, a comparison or a ranking: verdict, findings, a figure. Facts -> one HTML text.

A card styles its own elements only and has no script; the whole page is one call away.
"""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.result import AttributeFacts, AuditResult, LevelFacts
from segfair.audit.words import (
    clean,
    format_interval,
    format_number,
    metric_digits,
    metric_name,
    plural,
)
from segfair.compare.result import Comparison
from segfair.compare.verdict import outcome_digits as change_digits
from segfair.rank.result import Ranking, percent
from segfair.report.audit.summary import ROW_COLUMNS, outcome_digits, row_cells, verdict_section
from segfair.report.comparison.changes import change_table
from segfair.report.comparison.page import slope_figure
from segfair.report.comparison.page import verdict_section as comparison_verdict
from segfair.report.figures import forest_plot, level_dots
from segfair.report.files import render
from segfair.report.parts import Data, cell, figure, number_column, table
from segfair.report.ranking.leaderboard import verdict_section as ranking_verdict
from segfair.report.ranking.tables import number, rank_range, team_name
from segfair.subgroups.lattice import Divergence

__all__ = ["audit_card", "comparison_card", "ranking_card"]

_LISTED = 5
_DRAWN = 8
_TEAMS = 20


def audit_card(result: AuditResult) -> str:
    """Verdict, the findings (or the worst off where there are none), and a forest plot."""
    outcome = result.subgroups.primary_outcome
    rows, facts = result.subgroups[outcome], result.subgroups.outcomes[outcome]
    digits = outcome_digits(rows)
    found = (result.subgroups.find(finding.items) for finding in result.subgroups.findings)
    findings = [row for row in found if row is not None]
    drawn = rows.worst(_DRAWN) or rows.rows[:_DRAWN]
    listed: Sequence[Divergence] = findings[:_LISTED] or drawn[:_LISTED]
    caption = plural(len(findings), "finding") if findings else "Nothing stands apart beyond chance; the worst off"
    cells = [row_cells(row, rows, facts, digits) for row in listed]
    return _card(
        verdict_section(result),
        about=f"{plural(result.cases.counts.n_scored, 'case')}, {len(result.cases.counts.penalised)} penalised, "
        f"{len(result.cases.counts.unusable)} excluded; {plural(len(result.verdict.alerts), 'alert')}",
        scores=[(name, score.value, score.ci) for name, score in result.scores.items() if score.value is not None],
        table=table(caption, ROW_COLUMNS, cells) if cells else None,
        figure=figure(
            forest_plot(drawn, outcome=outcome, better=rows.better, digits=digits),
            key="card",
            label=f"Forest plot of {plural(len(drawn), 'subgroup')}: difference in {metric_name(outcome)}.",
            caption="Circle: difference to everybody else, filled where it is beyond chance; line: 95% interval of all "
            "subgroups together.",
        )
        if drawn
        else None,
    )


def comparison_card(comparison: Comparison) -> str:
    """Verdict, who was harmed and who gained (or who changed most where nobody did), and the slope plot."""
    digits = change_digits(comparison)
    rows = comparison.subgroups[comparison.outcome]
    moved = [*comparison.harmed[:_LISTED], *comparison.gained[:_LISTED]]
    caption = f"{len(comparison.harmed)} harmed, {len(comparison.gained)} gained"
    listed = moved or rows[:_LISTED]
    drawn = slope_figure(comparison, key="card")
    changes = {
        metric_name(name): entry
        for name, entry in {**comparison.metrics, **comparison.scores}.items()
        if name == comparison.outcome or name in comparison.scores
    }
    return _card(
        comparison_verdict(comparison),
        about=f"{plural(comparison.n_paired, 'case')} in both of {clean(comparison.before.name, length=40)} and "
        f"{clean(comparison.after.name, length=40)}",
        scores=[(f"{name} changed by", entry.difference, entry.ci) for name, entry in changes.items()],
        table=change_table(caption, listed, comparison, digits) if listed else None,
        figure=None if drawn is None else {**drawn, "narrow": "", "data": None},
    )


def ranking_card(ranking: Ranking) -> str:
    """Who won or why nobody did, the board, and each team's score with its interval."""
    teams = ranking.standings[:_TEAMS]
    digits = metric_digits([entry.value for entry in teams])
    scores = {entry.team: entry.scores.get(ranking.by) for entry in teams}
    intervals = {team: score.ci for team, score in scores.items() if score is not None and score.ci is not None}
    ends = [end for team in intervals for end in intervals[team]] + [entry.value for entry in teams]
    room = 0.05 * (max(ends) - min(ends)) or 0.05
    levels = tuple(
        LevelFacts(
            entry.team, ranking.n_cases, False, {ranking.by: entry.value}, {},
            ci={ranking.by: intervals[entry.team]} if entry.team in intervals else {},
        )
        for entry in teams
    )  # fmt: skip
    numbers = ("Rank", ranking.by, "95% interval", "Rank, 95% interval", "First in")
    columns: tuple[str | Data, ...] = ("Team", *map(number_column, numbers))
    cells = [
        [
            cell(team_name(entry.team)),
            cell(entry.rank),
            cell(number(entry.value, ranking.by)),
            cell(format_interval(intervals[entry.team], digits) if entry.team in intervals else "–"),
            cell(rank_range(entry.rank_interval)),
            cell(percent(entry.first)),
        ]
        for entry in teams
    ]
    return _card(
        ranking_verdict(ranking, private=False),
        about=f"{plural(len(ranking.standings), 'team')}, {plural(ranking.n_cases, 'case')}; "
        f"{plural(len(ranking.alerts), 'alert')}",
        scores=[("Empty masks would get", ranking.baseline.value, None)],
        table=table(f"By {ranking.by}", columns, cells),
        figure=figure(
            level_dots(
                AttributeFacts("team", None, levels),
                metric=ranking.by,
                overall=None,
                limits=(min(ends) - room, max(ends) + room),
                digits=digits,
            ),
            key="card",
            label=f"{ranking.by} of each team with its 95% interval, as in the table.",
            caption="",
        ),
    )


def _card(
    verdict: Data,
    *,
    about: str,
    scores: Sequence[tuple[str, float | None, tuple[float, float] | None]],
    table: Data | None,
    figure: Data | None,
) -> str:
    facts = [
        {"name": name, "value": format_number(value), "ci": format_interval(ci) if ci else ""}
        for name, value, ci in scores
    ]
    return render("card.html.j2", verdict=verdict, about=about, scores=facts, table=table, figure=figure)
