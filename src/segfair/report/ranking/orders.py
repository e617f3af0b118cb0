"""Other orders of the same teams as pages print them: by other schemes, without an attribute, within groups."""

from __future__ import annotations

from segfair.audit.words import clean, format_number, item_name, metric_name, plural
from segfair.rank.result import Ranking, Variant, WithinLevel, percent
from segfair.rank.schemes import Scheme
from segfair.report.parts import Cell, Data, cell, number_column, table
from segfair.report.ranking.tables import moved, rank_range, team_name

__all__ = ["group_section", "scheme_table"]

_LISTED = 3
_NAMES = {
    "mean rank": "Mean rank over metrics",
    "case ranks": "Mean rank over cases",
    "significance points": "Significance points",
}
_MEANINGS = (
    "Mean rank over metrics: teams are ranked by the mean of each metric, and their ranks are averaged. Mean rank over "
    "cases: they are ranked in every case by every metric. Significance points: how many other teams a team is better "
    "than by a one-sided Wilcoxon signed-rank test at 0.05 (Holm within a metric), summed over metrics. Beneath each "
    "rank its 95 % interval over resampled cohorts and the value that it follows from."
)


def scheme_table(ranking: Ranking) -> Data | None:
    """The rank of every team under every scheme; None for a single team, or of an earlier version."""
    if not ranking.schemes:
        return None
    metrics = ", ".join(metric_name(name) for name in ranking.schemes[0].metrics)
    return table(
        f"Ranks by {metrics} in other ways",
        ["Team", number_column("Declared"), *(number_column(_NAMES[scheme.name]) for scheme in ranking.schemes)],
        [
            [
                team_name(entry.team),
                str(entry.rank),
                *(_scheme_cell(scheme, entry.team, entry.rank) for scheme in ranking.schemes),
            ]
            for entry in ranking.standings
        ],
        note=f"{_agreement(ranking)} {_MEANINGS}",
    )


def _scheme_cell(scheme: Scheme, team: str, declared: int) -> Cell:
    value = scheme.values[team]
    shown = f"{value:.0f} points" if scheme.name == "significance points" else f"mean {format_number(value, 2)}"
    return cell(moved(declared, scheme.ranks[team]), sub=f"{rank_range(scheme.rank_intervals[team])}; {shown}")


def _agreement(ranking: Ranking) -> str:
    """Which schemes put somebody else first."""
    other = [scheme for scheme in ranking.schemes if scheme.leaders != ranking.leaders]
    if not other:
        return "Each of them has the same team first."
    told = (f"by {_NAMES[scheme.name].lower()} {_names(scheme.leaders)}" for scheme in other)
    return f"Somebody else is first {'; '.join(told)}."


def group_section(ranking: Ranking, *, private: bool) -> Data | None:
    """Which attribute decides the order, and the order within each group; None with private labels or one team."""
    if private or not ranking.within:
        return None
    reversing = [entry for entry in ranking.within if entry.better_than_leader]
    return {
        "lead": _deciding(ranking),
        "attributes": _attribute_table(ranking),
        "groups": table(
            f"The order within groups, by mean {metric_name(ranking.lead)}",
            ["Group", number_column("n"), "First there", "Better there than who leads", number_column("Kendall's tau")],
            [_group_row(entry) for entry in ranking.within],
            note=(
                f"In {plural(len(reversing), 'group')} some team is better than who leads over all cases, beyond "
                "chance over all of these groups."
                if reversing
                else "In no group is another team better than who leads over all cases, beyond chance."
            )
            + f" Groups of at least {ranking.config.min_cases} cases; the order over all cases is that by the same "
            "metric, and a tau of 1 is the same order.",
        ),
    }


def _deciding(ranking: Ranking) -> str:
    """The attribute that most ranks depend on, in words."""
    if not ranking.without_attribute:
        return "The score that teams are ranked by rests on no choice of attributes."
    first = ranking.without_attribute[0]
    if not first.n_moved:
        return "No attribute decides the order: without any one of them in FS every team keeps its rank."
    name, n_teams = clean(first.name, length=60), plural(len(ranking.standings), "team")
    leads = "" if first.first == ranking.leaders else f", and {_names(first.first)} would be first"
    return (
        f"{name} decides most: without it in FS {first.n_moved} of {n_teams} would have another rank, by up to "
        f"{plural(first.largest_move, 'place')}{leads}."
    )


def _attribute_table(ranking: Ranking) -> Data | None:
    if not ranking.without_attribute:
        return None
    return table(
        "The order with one attribute left out of FS",
        ["Left out", "First place", number_column("Teams that move"), number_column("Largest move")],
        [_variant_row(entry, ranking) for entry in ranking.without_attribute],
    )


def _variant_row(variant: Variant, ranking: Ranking) -> list[Cell | str]:
    same = variant.first == ranking.leaders
    return [
        clean(variant.name, length=60),
        "the same" if same else cell(_names(variant.first), tone="worse"),
        str(variant.n_moved),
        str(variant.largest_move),
    ]


def _group_row(entry: WithinLevel) -> list[Cell | str]:
    leaders = entry.leaders
    sure = sum(entry.first[team] for team in leaders)
    return [
        item_name((entry.attribute, entry.level)),
        f"{entry.n:,}",
        cell(_names(leaders), sub=f"in {percent(sure)} of resampled cohorts"),
        cell(_names(entry.better_than_leader), tone="worse") if entry.better_than_leader else "–",
        "–" if entry.tau is None else format_number(entry.tau, 2),
    ]


def _names(teams: tuple[str, ...]) -> str:
    listed = ", ".join(map(team_name, teams[:_LISTED]))
    return f"{listed} and {len(teams) - _LISTED} more" if len(teams) > _LISTED else listed
