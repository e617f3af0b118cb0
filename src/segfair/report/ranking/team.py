"""Ranking -> page data of one team: its place, how sure it is, and, unless labels are private, case by case."""

from __future__ import annotations

from typing import Any

from segfair.audit.mask_facts import COPIED
from segfair.audit.result import CaseScores
from segfair.audit.words import clean, format_interval, format_number, metric_digits, metric_name, plural
from segfair.gallery.teams import worst_first
from segfair.rank.result import Ranking, Standing, percent
from segfair.report.gallery import gallery_data
from segfair.report.glossary import glossary
from segfair.report.parts import NAME_LENGTH, Data, cell, number_column, table
from segfair.report.ranking.leaderboard import without_folders
from segfair.report.ranking.steps import TeamLinks, level_section, next_steps
from segfair.report.ranking.tables import (
    DIGITS,
    FAIRNESS,
    RESAMPLING,
    moved,
    number,
    rank_range,
    score_name,
    shown_scores,
)
from segfair.scoring.scores import LABEL_SIZES

__all__ = ["TeamLinks", "team_data"]

_WORST_CASES = 20
_SHOWN_METRICS = 6
_PREFERRED = ("dsc", "normhd", "hd95_mm", "hd95_vox", "hd95_px", "nsd_1mm", "nsd_1px", "nsd_1vox", "iou", *LABEL_SIZES)
_OF_THE_PREDICTION = "the prediction is empty under this protocol"
_TITLES = {
    "place": "Place",
    "next": "What to do next",
    "scores": "Scores",
    "levels": "Groups of patients",
    "attributes": "Attributes",
    "rules": "Under other rules",
    "cases": "Cases",
    "remarks": "Remarks",
}


def team_data(
    standing: Standing,
    ranking: Ranking,
    *,
    rows: CaseScores,
    links: TeamLinks,
    private: bool,
    written: str,
) -> Data:
    """Everything the template of one team's page prints.

    Args:
        standing: The team.
        ranking: The ranking it is of.
        rows: Its cases, with scores and attributes.
        links: What lies beside the page.
        private: Whether labels are private: neither cases nor attributes then.
        written: When the page is written, as it shall stand there.
    """
    sections: dict[str, Any] = {
        "place": _place(standing, ranking),
        "next": next_steps(standing, ranking, links),
        "scores": _scores(standing, ranking),
        "levels": None if private else level_section(standing, ranking),
        "attributes": None if private else _attributes(standing),
        "rules": _rules(standing, ranking),
        "cases": None if private else _cases(standing, ranking, rows, table_href=links.table),
        "remarks": _remarks(standing, ranking, private=private),
    }
    return {
        "title": clean(standing.team, length=NAME_LENGTH),
        "written": written,
        "version": ranking.versions.get("segfair", ""),
        "meta": (
            f"{plural(ranking.n_cases, 'case')} · ranked by {score_name(ranking.by)} · protocol "
            f"{clean(ranking.config.protocol.name, length=NAME_LENGTH)} · written {written}"
        ),
        "back": links.back,
        "titles": _TITLES,
        "contents": [{"id": key, "title": _TITLES[key]} for key, section in sections.items() if section],
        "folded": {
            "attributes": f"{len(standing.disparities)} attributes",
            "rules": f"{len(standing.ranks) + 2} rules",
        },
        "files": [name for name in (links.table, links.audit) if name],
        "glossary": glossary("dsc", "normhd", "ps", "fs", "ts", "dv", "chance", "interval", "adjusted-p", "penalised"),
        "sections": sections,
    }


def _place(standing: Standing, ranking: Ranking) -> Data:
    low, high = standing.rank_interval
    n_teams = len(ranking.standings)
    score = standing.scores.get(ranking.by)
    return {
        "sentence": f"Rank {standing.rank} of {n_teams}; "
        + (
            f"the rank is {low} in at least 95 % of resampled cohorts."
            if low == high
            else f"between {low} and {high} in 95 % of resampled cohorts."
        ),
        "facts": [
            {"name": "Rank", "value": f"{standing.rank} of {n_teams}", "note": f"95 % interval {low} to {high}"},
            {
                "name": score_name(ranking.by)[:1].upper() + score_name(ranking.by)[1:],
                "value": number(standing.value, ranking.by),
                "note": f"95 % interval {format_interval(score.ci, DIGITS)}"
                if score and score.ci
                else "over all cases",
            },
            {"name": "Probability of being first", "value": percent(standing.first), "note": "cases resampled"},
            {
                "name": "Unusable predictions",
                "value": f"{standing.n_penalised:,}",
                "note": f"{standing.n_missing:,} absent, {standing.n_penalised - standing.n_missing:,} not usable; "
                "each counts with the worst score"
                if standing.n_penalised
                else "every case was scored",
            },
        ],
    }


def _scores(standing: Standing, ranking: Ranking) -> Data:
    rows = []
    best = ranking.standings[0]
    for name in shown_scores(ranking):
        score, first = standing.scores.get(name), best.scores.get(name)
        if score is None or score.value is None:
            continue
        chance = f"{format_number(score.chance.mean, 3)} (p {score.chance.p_value:.3f})" if score.chance else "–"
        rows.append(
            [
                score_name(name) if name not in ("DSC", "NormHD") else f"mean {name}",
                number(score.value, name),
                format_interval(score.ci, DIGITS),
                chance,
                number(first.value if first else None, name),
                number(ranking.baseline.scores.get(name), name),
            ]
        )
    return {
        "table": table(
            "Scores with 95 % intervals",
            [
                "Score",
                number_column("Value"),
                number_column("95 % interval"),
                number_column("Chance level"),
                number_column("First place"),
                number_column("Empty masks"),
            ],
            rows,
            note="Chance level: the mean of FS when metadata are shuffled, and the share of shuffled cohorts that "
            f"score as badly. {FAIRNESS}"
            if any(row[3] != "–" for row in rows)
            else "",
        ),
    }


def _rules(standing: Standing, ranking: Ranking) -> Data | None:
    if len(ranking.standings) < 2:
        return None
    rows = [
        ["As declared", str(standing.rank), number(standing.value, ranking.by)],
        *(
            [
                name[:1].upper() + name[1:],
                moved(standing.rank, rank),
                number(standing.values[name], ranking.by),
            ]
            for name, rank in standing.ranks.items()
        ),
        ["One patient left out", rank_range(standing.without_one), "–"],
    ]
    heading = score_name(ranking.by)
    return {
        "table": table(
            "Rank and score under other rules",
            ["Rule", number_column("Rank"), number_column(heading[:1].upper() + heading[1:])],
            rows,
            note=RESAMPLING,
        )
    }


def _attributes(standing: Standing) -> Data | None:
    if not standing.disparities:
        return None

    def level(extreme: Any, metric: str) -> Any:
        if extreme is None:
            return "–"
        return cell(
            f"{clean(extreme.level, length=NAME_LENGTH)}: {format_number(extreme.mean, 3)}",
            sub=f"n = {extreme.n:,}",
        )

    return {
        "table": table(
            "Disparity between the levels of each attribute",
            [
                "Attribute",
                number_column("D_v"),
                "Lowest DSC",
                "Highest DSC",
                "Highest NormHD",
                "Lowest NormHD",
            ],
            [
                [
                    clean(entry.attribute, length=NAME_LENGTH),
                    format_number(entry.value, DIGITS),
                    level(entry.dsc_low, "dsc"),
                    level(entry.dsc_high, "dsc"),
                    level(entry.normhd_high, "normhd"),
                    level(entry.normhd_low, "normhd"),
                ]
                for entry in sorted(standing.disparities, key=lambda entry: -(entry.value or 0.0))
            ],
            note="D_v is half the sum of the gaps in mean DSC and mean NormHD.",
        )
    }


def _cases(standing: Standing, ranking: Ranking, rows: CaseScores, *, table_href: str) -> Data:
    scores = ranking.scores.tables[standing.team]
    lead = ranking.lead
    names = [name for name in dict.fromkeys((lead, *_PREFERRED)) if name in scores.names][:_SHOWN_METRICS]
    digits = {name: metric_digits(scores.column(name)) for name in names}
    worst = worst_first(scores, lead)[:_WORST_CASES]
    levels = {name: rows.column(name) for name in rows.attributes}
    penalised = [
        [clean(case, length=NAME_LENGTH), without_folders(reason, ranking)] for case, reason in scores.penalised.items()
    ]
    gallery = ranking.galleries.get(standing.team)
    return {
        "gallery": gallery_data(gallery, rows, names, outcome=lead) if gallery is not None else None,
        "penalised": table("Predictions that count with the worst score", ["Case", "Why"], penalised)
        if penalised
        else None,
        "table": table(
            f"The {plural(len(worst), 'case')} with the worst {metric_name(lead)}",
            ["Case", *(number_column(metric_name(name)) for name in names), "Attributes"],
            [
                [
                    clean(score.case, length=NAME_LENGTH),
                    *(format_number(score.values[name], digits[name]) for name in names),
                    cell(items=[(name, found[index]) for name, found in levels.items() if found[index]]),
                ]
                for index, score in worst
            ],
        ),
        "href": table_href,
    }


def _remarks(standing: Standing, ranking: Ranking, *, private: bool) -> Data | None:
    texts = []
    if standing.problem:
        why = "" if private else f": {without_folders(standing.problem, ranking)}"
        texts.append(f"No prediction could be used{why}.")
    if standing.copied:
        texts.append(f"{COPIED[:1].upper()}{COPIED[1:]}.")
    texts += [
        f"{without_folders(text, ranking)} ({plural(count, 'case')})"
        for text, count in standing.alerts.items()
        # What else is noticed in masks tells of private labels: how many are empty, their values, their grids.
        if not private or text.startswith(_OF_THE_PREDICTION)
    ]
    return {"texts": texts} if texts else None
