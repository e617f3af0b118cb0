"""The teams of a ranking beside each other, as a page shows them: scores, raw scores, who beats whom. Strings only."""

from __future__ import annotations

import functools

from segfair.audit.words import clean, column_digits, format_interval, format_number, metric_name, plural
from segfair.rank.result import Ranking, Standing
from segfair.report.parts import Data, figure, number_column, table
from segfair.report.ranking.figures import MOST_DOTS, BoxRow, ScoreRow, pair_map, score_boxes, score_dots
from segfair.report.ranking.tables import number, score_name, team_name

__all__ = ["pair_section", "score_section"]

_DRAWN = 40
"""Teams that are drawn; the board has all."""
_PAIRED = 16
"""Teams of which each is drawn against each other; the table behind it has all."""
_NAME = 26
_NAMED = 12
"""Teams that are named in one cell."""


def score_section(ranking: Ranking, *, private: bool) -> Data:
    """Each team's score with its interval; unless labels are private, the raw scores and how often it is in front."""
    drawn = ranking.standings[:_DRAWN]
    return {
        "rest": _rest(len(ranking.standings), _DRAWN, "the board has all"),
        "dots": _dots(drawn, ranking),
        "boxes": None if private else _boxes(drawn, ranking),
        "podium": None if private or len(ranking.standings) < 2 else _podium(ranking),
    }


def _rest(n_teams: int, drawn: int, where: str) -> str:
    return f"Drawn are the first {drawn} of {n_teams} teams; {where}." if n_teams > drawn else ""


def _dots(drawn: tuple[Standing, ...], ranking: Ranking) -> Data:
    rows = []
    for entry in drawn:
        score = entry.scores.get(ranking.by)
        text = number(entry.value, ranking.by)
        rows.append(ScoreRow(clean(entry.team, length=_NAME), entry.value, score.ci if score else None, text))
    name = score_name(ranking.by)
    name = name[:1].upper() + name[1:]
    draw = functools.partial(score_dots, rows, baseline=ranking.baseline.value, title=name)
    words = "; ".join(
        f"{row.name} {row.text}" + (f" ({format_interval(row.interval, 3)})" if row.interval else "")
        for row in rows[:8]
    )
    return figure(
        draw(),
        narrow=draw(narrow=True),
        key="team-scores",
        label=f"{name} of each team with its 95 % interval: {words}. The leaderboard holds every value.",
        caption=f"{name}, best first. Line: 95 % interval. Dashed: what empty masks would get, where that is near. "
        "Intervals of two teams may overlap although one is clearly better: both are scored on the same cases.",
    )


def _boxes(drawn: tuple[Standing, ...], ranking: Ranking) -> Data | None:
    shown = [entry for entry in drawn if entry.quartiles]
    if not shown:
        return None
    lead = metric_name(ranking.lead)
    digits = column_digits(max(abs(value) for entry in shown for value in entry.quartiles))
    rows = [
        BoxRow(
            clean(entry.team, length=_NAME),
            entry.quartiles,
            _thinned(ranking.scores.tables[entry.team].defined(ranking.lead)[1].tolist()),
            format_number(entry.quartiles[2], digits),
        )
        for entry in shown
    ]
    thinned = any(len(row.values) < ranking.n_cases for row in rows) and ranking.n_cases > MOST_DOTS
    words = "; ".join(f"{row.name} median {row.text}" for row in rows[:8])
    return figure(
        score_boxes(rows, title=f"{lead} of single cases", digits=digits),
        narrow=score_boxes(rows, title=f"{lead} of single cases", digits=digits, narrow=True),
        key="team-boxes",
        label=f"Box plots of {lead} over the cases for each team: {words}. The table beneath holds the quartiles.",
        caption=f"{lead} of single cases, before anything is averaged. Box: middle half; bar and number: median; line: "
        f"all; dot: a case{f' ({MOST_DOTS} of {ranking.n_cases:,}, evenly of all scores)' if thinned else ''}.",
        data=table(
            f"{lead} over the cases",
            ["Team", *map(number_column, ("Least", "First quartile", "Median", "Third quartile", "Greatest"))],
            [
                [team_name(entry.team), *(format_number(value, digits) for value in entry.quartiles)]
                for entry in ranking.standings
                if entry.quartiles
            ],
        ),
    )


def _thinned(values: list[float]) -> tuple[float, ...]:
    """The values, sorted; of many, evenly many from the least to the greatest."""
    ordered = sorted(values)
    if len(ordered) <= MOST_DOTS:
        return tuple(ordered)
    return tuple(ordered[round(place * (len(ordered) - 1) / (MOST_DOTS - 1))] for place in range(MOST_DOTS))


def _podium(ranking: Ranking) -> Data:
    lead = metric_name(ranking.lead)
    return table(
        f"In how many of {plural(ranking.n_cases, 'case')} a team is first, second and third by {lead}",
        ["Team", *map(number_column, ("First", "Second", "Third", "Behind"))],
        [
            [team_name(entry.team), *map(str, entry.podium), str(ranking.n_cases - sum(entry.podium))]
            for entry in ranking.standings
        ],
        note="A place that teams share in a case counts for each of them. A team that is never far behind can lead the "
        "mean and be first in few cases.",
    )


def pair_section(ranking: Ranking) -> Data | None:
    """Which teams are better than which beyond chance; None for a single team."""
    pairs, names = ranking.pairs, ranking.pairs.teams
    if len(names) < 2:
        return None
    drawn = [clean(team, length=_NAME) for team in names[:_PAIRED]]
    n_pairs = len(names) * (len(names) - 1) // 2
    n_clear = sum(map(sum, pairs.better))
    return {
        "lead": f"{n_clear:,} of {plural(n_pairs, 'pair')} of teams {'is' if n_clear == 1 else 'are'} told apart "
        f"beyond chance by {score_name(ranking.by)}."
        + (" Another sample of patients may turn the others round." if 0 < n_clear < n_pairs else "")
        + (" Another sample of patients may turn any of them round." if n_clear == 0 else ""),
        "winner": _winner(ranking),
        "rest": _rest(len(names), _PAIRED, "the table has all"),
        "figure": figure(
            pair_map(drawn, pairs.beats, pairs.better),
            key="pairs",
            label="Map of every team against every other; the table beneath says the same in words.",
            caption="In how many of 100 resampled cohorts the row's team scores better than the column's, columns in "
            "the order of the rows. Blue, ▲: better beyond chance (95 %, all pairs together); orange, ▼: worse; grey: "
            "not told apart.",
            data=table(
                "Who is better than whom beyond chance (95 %, all pairs together)",
                ["Team", "Better than", "Not told apart from"],
                [
                    [team_name(team), _names(pairs.better_than(team)), _names(pairs.not_told_apart(team))]
                    for team in names
                ],
            ),
        ),
    }


def _winner(ranking: Ranking) -> str:
    """Why a winner may stand beside teams from which it is not told apart; empty where there is nothing to explain."""
    winner = ranking.verdict.winner
    if winner is None or not ranking.pairs.not_told_apart(winner):
        return ""
    return (
        f"{team_name(winner)} is the winner because it stays in front in enough resampled cohorts; to be told apart "
        "from a single team takes more, for here all pairs are judged together."
    )


def _names(teams: tuple[str, ...]) -> str:
    if not teams:
        return "–"
    rest = len(teams) - _NAMED
    return ", ".join(map(team_name, teams[:_NAMED])) + (f" and {rest} more" if rest > 0 else "")
