"""The tables of a ranking as pages print them: the leaderboard, and the ranks under other rules. Strings only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segfair.audit.words import clean, format_interval, format_number, metric_name, plural
from segfair.rank.result import Ranking, Standing, percent
from segfair.report.parts import Cell, Data, cell, number_column, table

__all__ = [
    "BASELINE_NAME",
    "DIGITS",
    "FAIRNESS",
    "NAME_LENGTH",
    "RESAMPLING",
    "baseline_values",
    "board",
    "moved",
    "number",
    "rank_range",
    "ranks_table",
    "score_name",
    "shown_scores",
    "team_name",
]

BASELINE_NAME = "Empty masks (baseline)"
DIGITS = 4
"""Decimals of scores between 0 and 1: leaders are often a thousandth apart."""

RESAMPLING = (
    "Every resampled cohort holds all patients; only how much each counts is drawn anew (Bayesian bootstrap), so that "
    "no patient and no level is ever dropped. What a single patient does shows where each is left out in turn."
)
"""What rank intervals show, and what they cannot."""
FAIRNESS = (
    "FS is no percentage of fairness: small groups differ by chance alone, so that a team which serves everybody alike "
    "gets its chance level, and only an FS below that speaks of unequal service."
)
"""How FS is to be read."""
NAME_LENGTH = 60
"""Longest team or case on a page; rank.json has the whole."""


def board(ranking: Ranking, pages: Mapping[str, str]) -> Data:
    """The leaderboard: one row a team, empty masks where they belong."""
    names = shown_scores(ranking)
    n_teams = len(ranking.standings)
    shared = {rank for rank in (entry.rank for entry in ranking.standings) if _count(ranking, rank) > 1}
    rows = [
        {
            "rank": f"{entry.rank}=" if entry.rank in shared else str(entry.rank),
            "team": team_name(entry.team),
            "href": pages.get(entry.team, ""),
            "scores": [_score_cell(entry, name, ranking) for name in names],
            "reach": _reach(entry, n_teams),
            "interval": rank_range(entry.rank_interval),
            "first": percent(entry.first),
            "next": "–" if entry.beats_next is None else percent(entry.beats_next),
            "unusable": str(entry.n_penalised),
            "baseline": False,
        }
        for entry in ranking.standings
    ]
    values = baseline_values(ranking)
    rows.insert(
        ranking.baseline.n_better,
        {
            "rank": "–",
            "team": BASELINE_NAME,
            "href": "",
            "scores": [cell(number(values.get(name.lower()), name)) for name in names],
            "reach": None,
            "interval": "–",
            "first": "–",
            "next": "–",
            "unusable": "–",
            "baseline": True,
        },
    )
    return {
        "caption": f"{plural(n_teams, 'team')}, ranked by {score_name(ranking.by)}"
        + (" (lower is better)" if ranking.lower_is_better else ""),
        "scores": [metric_name(name.lower()) if name in ("DSC", "NormHD") else _heading(name) for name in names],
        "rows": rows,
        "note": "First: probability of being first. Better than next: share of cohorts in which the team scores "
        "better than the one below. Unusable: cases that count with the worst score. A rank such as 2= is shared. "
        f"Empty masks are no team and have no rank. {f'{FAIRNESS} ' if 'FS' in names else ''}{RESAMPLING}",
    }


def baseline_values(ranking: Ranking) -> dict[str, float | None]:
    """What empty masks would get: score, in small letters -> value."""
    values = {name.lower(): value for name, value in ranking.baseline.scores.items()}
    return {**values, ranking.by.lower(): ranking.baseline.value}


def _heading(name: str) -> str:
    return name if name in ("TS", "PS", "FS") else metric_name(name)


def _count(ranking: Ranking, rank: int) -> int:
    return sum(entry.rank == rank for entry in ranking.standings)


def shown_scores(ranking: Ranking) -> list[str]:
    """The scores that every team has, that which decides first."""
    wanted = dict.fromkeys((ranking.by, "TS", "PS", "FS", "DSC", "NormHD"))
    taken = "DSC" if ranking.by == "dsc" else "NormHD" if ranking.by == "normhd" else ""
    return [
        name
        for name in wanted
        if name != taken
        and any(name in entry.scores and entry.scores[name].value is not None for entry in ranking.standings)
    ]


def number(value: float | None, name: str) -> str:
    """A score with the decimals that its size asks for."""
    large = value is not None and abs(value) > 2
    return format_number(value, 2 if large else DIGITS)


def _score_cell(entry: Standing, name: str, ranking: Ranking) -> Cell:
    score = entry.scores.get(name)
    if score is None:
        return cell("–")
    value = entry.value if name == ranking.by else score.value
    sub = ""
    if name == ranking.by and score.ci is not None:
        sub = format_interval(score.ci, 3)
    elif name == "FS" and score.chance is not None:
        sub = f"chance {format_number(score.chance.mean, 3)}"
    return cell(number(value, name), sub=sub)


def _reach(entry: Standing, n_teams: int) -> Data:
    """Where the bar of a rank interval begins and ends, in per cent of its track."""
    step = 100 / n_teams
    low, high = entry.rank_interval
    return {
        "left": f"{(low - 1) * step:.2f}",
        "width": f"{(high - low + 1) * step:.2f}",
        "spot": f"{(entry.rank - 0.5) * step:.2f}",
    }


def rank_range(interval: Sequence[int]) -> str:
    """`1`, or `1 to 3`."""
    low, high = interval
    return str(low) if low == high else f"{low} to {high}"


def ranks_table(ranking: Ranking) -> Data | None:
    """The rank of every team under every rule, its score beneath; None for a single team."""
    if len(ranking.standings) < 2:
        return None
    names = [variant.name for variant in ranking.variants]
    return table(
        f"Ranks and {score_name(ranking.by)} as declared and under other rules",
        [
            "Team",
            number_column("Declared"),
            *(number_column(name[:1].upper() + name[1:]) for name in names),
            number_column("One patient left out"),
            number_column("Cases resampled"),
        ],
        [
            [
                team_name(entry.team),
                cell(entry.rank, sub=number(entry.value, ranking.by)),
                *(
                    cell(moved(entry.rank, entry.ranks[name]), sub=number(entry.values[name], ranking.by))
                    for name in names
                ),
                rank_range(entry.without_one),
                rank_range(entry.rank_interval),
            ]
            for entry in ranking.standings
        ],
        note="Beneath each rank the score that it follows from."
        + (
            " ↑ and ↓: places gained and lost against the declared order."
            if any(entry.ranks[name] != entry.rank for entry in ranking.standings for name in names)
            else ""
        ),
    )


def moved(declared: int, rank: int) -> str:
    """A rank, and by how many places it differs from the declared one."""
    if rank == declared:
        return str(rank)
    return f"{rank} {'↑' if rank < declared else '↓'}{abs(rank - declared)}"


def score_name(name: str) -> str:
    """How a reader knows a score."""
    return name if name in ("TS", "PS", "FS") else f"mean {metric_name(name)}"


def team_name(name: str) -> str:
    """A team's name as it stands in a line."""
    return clean(name, length=NAME_LENGTH)
