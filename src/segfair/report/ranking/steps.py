"""What a team may do next, and which groups of patients it serves worse: data of a team's page. Strings only."""

from __future__ import annotations

import functools
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from segfair.audit.words import (
    clean,
    format_interval,
    format_number,
    format_p,
    harmful,
    metric_digits,
    metric_name,
    plural,
)
from segfair.rank.result import Ranking, Standing
from segfair.report.figures import forest_plot
from segfair.report.parts import Data, cell, figure, items_of, number_column, step, table
from segfair.report.ranking.tables import team_name
from segfair.subgroups.lattice import Better, Divergence, SubgroupTable

__all__ = ["TeamLinks", "level_section", "next_steps"]

_DRAWN = 16
"""Levels that are drawn; the table has all."""


@dataclass(frozen=True, slots=True)
class TeamLinks:
    """Addresses beside a team's page; empty: there is none.

    Attributes:
        back: The leaderboard.
        table: The table of its cases.
        audit: Its audit.
        ranking: The folder of the ranking, as a command names it.
        no_audit: Why it has no audit although audits were asked for.
    """

    back: str = ""
    table: str = ""
    audit: str = ""
    ranking: str = ""
    no_audit: str = ""


def next_steps(standing: Standing, ranking: Ranking, links: TeamLinks) -> list[Data]:
    """Sentences, each with a link or a command where there is one."""
    return list(_steps(standing, ranking, links))


def _steps(standing: Standing, ranking: Ranking, links: TeamLinks) -> Iterator[Data]:
    if standing.n_penalised:
        yield step(
            f"Mend or hand in the {plural(standing.n_penalised, 'prediction')} that could not be used: each counts "
            "with the worst score."
        )
    if standing.team in ranking.pairs.teams and (alike := ranking.pairs.not_told_apart(standing.team)):
        names = ", ".join(map(team_name, alike[:3])) + (f" and {len(alike) - 3} more" if len(alike) > 3 else "")
        yield step(
            f"Read nothing into the places between this team and {names}: they are not told apart beyond chance."
        )
    if links.audit:
        yield step("See which subgroups this team serves worse, with pictures:", href=links.audit, name="its audit")
    elif links.no_audit:
        yield step(f"There is no audit of this team: {clean(links.no_audit, length=300)}.")
    elif links.ranking:
        yield step("For an audit of every team, with subgroups of several attributes, rank again with", code="--audits")
    rival = _rival(standing, ranking)
    if links.ranking and rival is not None:
        sides = " ".join(shlex.quote(f"{links.ranking}:{team}") for team in (rival.team, standing.team))
        yield step(
            f"Compare it with {team_name(rival.team)}, case by case and group by group:",
            code=clean(f"segfair compare {sides}", length=1000),
        )


def _rival(standing: Standing, ranking: Ranking) -> Standing | None:
    """The team right before this one; for the first, the second; None: it is alone."""
    place = ranking.standings.index(standing)
    others = ranking.standings[:place][-1:] or ranking.standings[1:2]
    return others[0] if others else None


def level_section(standing: Standing, ranking: Ranking) -> Data | None:
    """Every level of every attribute against everybody else; None where there is none."""
    found = ranking.levels.get(standing.team)
    rows = list(found or ())
    if found is None or not rows:
        return None
    outcome = metric_name(found.outcome)
    digits = metric_digits([row.mean for row in rows])
    drawn = [row for row in rows if row.significant is not None and row.estimate][:_DRAWN]
    draw = functools.partial(forest_plot, drawn, outcome=found.outcome, better=found.better, digits=digits)
    worse = [row for row in rows if row.significant and harmful(row.difference, found.better)]
    shown = _level_table(rows, found, ranking, digits)
    return {
        "lead": _lead(worse, outcome, digits),
        "items": items_of(worse[0].subgroup) if worse else [],
        "figure": figure(
            draw(),
            narrow=draw(narrow=True),
            key="levels",
            label=f"Forest plot of {outcome} of {plural(len(drawn), 'group')} against everybody else. The table "
            "beneath holds every value.",
            caption=f"Difference in mean {outcome} to everybody else, with intervals that hold for all groups together "
            "(95 %). Filled: different beyond chance.",
            data=shown,
        )
        if drawn
        else None,
        "table": shown,
    }


def _level_table(rows: list[Divergence], found: SubgroupTable, ranking: Ranking, digits: int) -> Data:
    """Every group of patients, a row each."""
    return table(
        f"{metric_name(found.outcome)} of every group of patients",
        ["Group", *map(number_column, ("n", "Mean", "Everybody else", "Difference", "Adjusted p"))],
        [
            [
                cell(items=tuple(row.subgroup.items)),
                f"{row.n:,}",
                format_number(row.mean, digits),
                format_number(row.rest_mean, digits),
                cell(
                    format_number(row.difference if row.estimate else None, digits, signed=True),
                    sub=format_interval(row.estimate.ci, digits, signed=True)
                    if row.estimate and row.estimate.ci
                    else "",
                    tone=_tone(row, found.better),
                ),
                format_p(row.p_adjusted) if row.significant is not None else cell("too few cases", tone="small"),
            ]
            for row in rows
        ],
        note="Small lines: 95 % intervals that hold for all groups together. A group of fewer than "
        f"{plural(ranking.config.min_cases, 'case')} is not tested.",
    )


def _lead(worse: list[Divergence], outcome: str, digits: int) -> str:
    if not worse:
        return (
            "No group of patients is shown to be served worse than everybody else; that is no proof that none is: "
            "the intervals say how large a gap may be."
        )
    row = worse[0]
    more = f"; {plural(len(worse) - 1, 'more group')} as well" if len(worse) > 1 else ""
    return (
        f"is served worse: mean {outcome} {format_number(row.mean, digits)} over {plural(row.n, 'case')}, "
        f"{format_number(row.rest_mean, digits)} for everybody else (adjusted p {format_p(row.p_adjusted)}){more}."
    )


def _tone(row: Divergence, better: Better) -> str:
    if not row.significant:
        return ""
    return "worse" if harmful(row.difference, better) else "better"
