"""Ranking -> page data of the leaderboard: display-ready strings; the template loops and prints.

With private labels nothing here names a case, an attribute or a level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from segfair.audit.result import Alert
from segfair.audit.words import clean, format_interval, format_number, metric_name, plural
from segfair.rank.result import WINNER_PROBABILITY, LeftOut, Ranking, Standing, Variant, percent
from segfair.rank.verdict import patient_name
from segfair.report.glossary import glossary
from segfair.report.parts import Cell, Data, cell, definition, number_column, table, titled
from segfair.report.ranking.orders import group_section, scheme_table
from segfair.report.ranking.tables import (
    DIGITS,
    NAME_LENGTH,
    RESAMPLING,
    board,
    number,
    ranks_table,
    score_name,
    team_name,
)
from segfair.report.ranking.teams import pair_section, score_section

__all__ = ["leaderboard_data", "public_alerts", "verdict_section", "without_folders"]

_PATIENTS = 10
"""Patients that are listed; rank.json holds all."""
_PRIVATE_ALERTS = ("small", "spelling", "nested", "attribute", "empty")
_ALERTS = {
    "undefined": "Patients that could not be left out",
    "baseline": "Worse than nothing",
    "problem": "Nothing usable",
    "copied": "Copies of the labels?",
    "size": "Size of a voxel",
    "penalised": "Unusable predictions",
    "excluded": "Cases left out",
    "empty": "Empty labels",
    "equal": "Equal submissions",
    "spelling": "Levels that may be one",
    "nested": "Levels inside levels",
    "small": "Small groups",
    "attribute": "Missing attribute",
}
_TITLES = {
    "verdict": "Verdict",
    "board": "Leaderboard",
    "scores": "Scores of the teams",
    "pairs": "Who is better than whom",
    "order": "What decides the order",
    "rules": "Ranks and scores under other rules",
    "schemes": "Other ways to rank",
    "groups": "Which attribute decides, and the order within groups",
    "alerts": "Alerts",
    "method": "Method",
}


def leaderboard_data(
    ranking: Ranking,
    *,
    pages: Mapping[str, str],
    private: bool,
    written: str,
    command: str = "",
    title: str = "",
    files: Sequence[str] = (),
) -> Data:
    """Everything the leaderboard's template prints.

    Args:
        ranking: The ranking.
        pages: Team -> address of its page, relative to the leaderboard.
        private: Whether labels are private.
        written: When the page is written, as it shall stand there.
        command: The command line that led to it; empty or private: none is shown.
        title: What the ranking is called; empty: it has no name.
        files: Names of the files beside the page.
    """
    sections = {
        "verdict": verdict_section(ranking, private=private),
        "board": board(ranking, pages),
        "scores": score_section(ranking, private=private),
        "pairs": pair_section(ranking),
        "order": _order(ranking, private=private),
        "rules": ranks_table(ranking),
        "schemes": scheme_table(ranking),
        "groups": group_section(ranking, private=private),
        "alerts": _alerts(ranking, private=private),
        "method": _method(ranking, command="" if private else command),
    }
    return {
        "title": titled(
            clean(title, length=120) if title else "", f"Ranking of {plural(len(ranking.standings), 'team')}"
        ),
        "written": written,
        "version": ranking.versions.get("segfair", ""),
        "meta": (
            f"{plural(ranking.n_cases, 'case')} · ranked by {score_name(ranking.by)} · protocol "
            f"{clean(ranking.config.protocol.name, length=NAME_LENGTH)} · written {written}"
        ),
        "titles": _TITLES,
        "contents": [{"id": key, "title": _TITLES[key]} for key, section in sections.items() if section],
        "folded": {
            "rules": f"{len(ranking.variants) + 3} rules",
            "schemes": plural(len(ranking.schemes), "way"),
            "groups": plural(len(ranking.within), "group"),
            "method": "how, settings, versions",
        },
        "files": list(files),
        "glossary": glossary("dsc", "normhd", "ps", "fs", "ts", "dv", "chance", "interval"),
        "sections": sections,
    }


def without_folders(text: str, ranking: Ranking) -> str:
    """A reason without the folders that its file names begin with."""
    for path in ranking.scores.cohort.inputs.values():
        for folder in (path, path.resolve()):
            text = text.replace(f"{folder}/", "")
    return clean(text, length=400)


def verdict_section(ranking: Ranking, *, private: bool) -> Data:
    """Who won, or why nobody did, with the numbers that carry it."""
    verdict, best = ranking.verdict, ranking.standings[0]
    if verdict.winner is not None:
        mark, tone, kind = "●", "better", f"Winner: {team_name(verdict.winner)}"
    elif verdict.reasons:
        mark, tone, kind = "◆", "open", "No winner can be declared"
    else:
        mark, tone, kind = "◆", "open", "One team"
    sentence = verdict.private_sentence if private else verdict.sentence
    _, colon, rest = sentence.partition(": ")
    if colon and verdict.winner is None and verdict.reasons:
        sentence = rest[:1].upper() + rest[1:]
    facts = [
        _fact("First place", ", ".join(map(team_name, ranking.leaders[:2])), _leader_note(ranking)),
        _fact(f"Best {score_name(ranking.by)}", number(best.value, ranking.by), _interval_note(best, ranking.by)),
        _fact(
            "Empty masks would get",
            number(ranking.baseline.value, ranking.by),
            f"{plural(ranking.baseline.n_worse, 'team')} below, {ranking.baseline.n_better} above",
        ),
        _fact(
            "Cases",
            f"{ranking.n_cases:,}",
            f"the same for every team; {plural(len(ranking.scores.excluded), 'case')} left out"
            if ranking.scores.excluded
            else "the same for every team",
        ),
    ]
    return {
        "mark": mark,
        "tone": tone,
        "kind": kind,
        "sentence": clean(sentence, length=900),
        "facts": facts,
        "reasons": [
            clean(_sentence(reason.private if private else reason.text), length=900) for reason in verdict.reasons[1:]
        ],
    }


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _leader_note(ranking: Ranking) -> str:
    if len(ranking.leaders) > 1:
        return f"{len(ranking.leaders)} teams share it"
    return f"first in {percent(ranking.standings[0].first)} of resampled cohorts"


def _interval_note(standing: Standing, by: str) -> str:
    score = standing.scores.get(by)
    return f"95 % interval {format_interval(score.ci, DIGITS)}" if score and score.ci else "over all cases"


def _fact(name: str, value: str, note: str) -> Data:
    return {"name": name, "value": value, "note": note}


def _order(ranking: Ranking, *, private: bool) -> Data | None:
    """What can change an order of teams, and how much it does here."""
    if len(ranking.standings) < 2:
        return None
    rows: list[list[Cell | str]] = [_variant_row(variant, ranking) for variant in ranking.variants]
    changing = ranking.n_changing_first
    if ranking.n_patients:
        n_moved = max((entry.n_moved for entry in ranking.left_out), default=0)
        move = max((entry.largest_move for entry in ranking.left_out), default=0)
        rows.append(
            [
                cell("One patient left out", sub=f"each of {ranking.n_patients:,} in turn"),
                cell(
                    f"changes without {_any_of(changing)}",
                    tone="worse",
                )
                if changing
                else "the same",
                f"up to {n_moved}" if n_moved else "0",
                f"up to {move}" if move else "0",
            ]
        )
    widest = max(entry.rank_interval[1] - entry.rank_interval[0] for entry in ranking.standings)
    sure = len(ranking.leaders) == 1 and ranking.standings[0].first >= WINNER_PROBABILITY
    likely = sorted(ranking.standings, key=lambda entry: -entry.first)[:3]
    shares = ", ".join(f"{team_name(entry.team)} {percent(entry.first)}" for entry in likely if entry.first > 0)
    rows.append(
        [
            cell("Cases resampled", sub=f"{ranking.config.bootstrap:,} cohorts"),
            cell(shares, tone="" if sure else "worse"),
            "–",
            cell(str(widest), sub="widest 95 % interval"),
        ]
    )
    return {
        "lead": clean(_largest_lever(ranking, private=private), length=400),
        "agreement": _agreement(ranking),
        "table": table(
            "The same order under other rules, without any one patient, and in resampled cohorts",
            ["What is changed", "First place", number_column("Teams that move"), number_column("Largest move")],
            rows,
            note="" if ranking.variants else _no_variants(ranking),
        ),
        "patients": None if private else _patients(ranking),
    }


def _largest_lever(ranking: Ranking, *, private: bool) -> str:
    """The rule or patient that most ranks depend on."""
    levers = [(entry.n_moved, entry.largest_move, f"With {entry.name}") for entry in ranking.variants]
    levers += [
        (entry.n_moved, entry.largest_move, f"Without {'one patient' if private else patient_name(entry)}")
        for entry in ranking.left_out
    ]
    n_moved, move, what = max(levers, key=lambda lever: lever[:2], default=(0, 0, ""))
    if not n_moved:
        return "No other rule and no patient changes any rank."
    return (
        f"{what}, {n_moved} of {plural(len(ranking.standings), 'team')} would have another rank, by up to "
        f"{plural(move, 'place')}; no other rule or patient changes more."
    )


def _any_of(n_patients: int) -> str:
    return f"{'any one of ' if n_patients > 1 else ''}{plural(n_patients, 'patient')}"


def _agreement(ranking: Ranking) -> str:
    """How much alike the orders of resampled cohorts are, in words."""
    found = ranking.agreement
    if found.tau is None or found.tau_interval is None:
        return ""
    return (
        f"The orders of {ranking.config.bootstrap:,} resampled cohorts agree with the declared one by a Kendall's tau "
        f"of {format_number(found.tau, 2)} on average ({format_interval(found.tau_interval, 2)} in 95 % of them): 1 is "
        "the same order, 0 no relation, and each pair of teams that changes places costs "
        f"{format_number(2 / _n_pairs(ranking), 2)}."
    )


def _n_pairs(ranking: Ranking) -> int:
    return len(ranking.standings) * (len(ranking.standings) - 1) // 2


def _no_variants(ranking: Ranking) -> str:
    if ranking.by in ("TS", "FS", "PS"):
        return "No other definition of NormHD can be computed from these scores, and no other rule for levels differs."
    return f"A mean of {metric_name(ranking.by)} knows no other definition of NormHD and no groups."


def _variant_row(variant: Variant, ranking: Ranking) -> list[Cell | str]:
    same = variant.first == ranking.leaders
    return [
        variant.name[:1].upper() + variant.name[1:],
        "the same" if same else cell(", ".join(map(team_name, variant.first[:3])), tone="worse"),
        str(variant.n_moved),
        str(variant.largest_move),
    ]


def _patients(ranking: Ranking) -> Data | None:
    if not ranking.left_out:
        return None
    return table(
        f"The patients whose absence changes most ({len(ranking.left_out):,} of {ranking.n_patients:,} change a rank)",
        ["Case", "Small groups", "First without it", number_column("Teams that move"), number_column("Largest move")],
        [_patient_row(entry, ranking) for entry in ranking.left_out[:_PATIENTS]],
    )


def _patient_row(entry: LeftOut, ranking: Ranking) -> list[Cell | str]:
    same = entry.first == ranking.leaders
    groups = ", ".join(f"{attribute} = {level} (n = {n})" for attribute, level, n in entry.rare)
    return [
        clean(", ".join(entry.cases), length=NAME_LENGTH),
        clean(groups, length=200) if groups else "–",
        "the same" if same else cell(", ".join(map(team_name, entry.first[:3])), tone="worse"),
        str(entry.n_moved),
        str(entry.largest_move),
    ]


def public_alerts(ranking: Ranking) -> list[Alert]:
    """The alerts that name no case, attribute or level."""
    return [
        # A problem names files, and files are named after cases.
        Alert(alert.kind, f"{alert.text.partition(':')[0]}: no prediction could be used.")
        if alert.kind == "problem"
        else alert
        for alert in ranking.alerts
        if alert.kind not in _PRIVATE_ALERTS
    ]


def _alerts(ranking: Ranking, *, private: bool) -> Data:
    groups: dict[str, list[str]] = {}
    for alert in public_alerts(ranking) if private else ranking.alerts:
        groups.setdefault(_ALERTS.get(alert.kind, alert.kind), []).append(without_folders(alert.text, ranking))
    excluded = None
    if ranking.scores.excluded and not private:
        excluded = table(
            "Cases in no team's score",
            ["Case", "Why"],
            [
                [clean(case, length=NAME_LENGTH), without_folders(reason, ranking)]
                for case, reason in ranking.scores.excluded.items()
            ],
        )
    return {"groups": [{"title": title, "texts": texts} for title, texts in groups.items()], "excluded": excluded}


def _method(ranking: Ranking, *, command: str) -> Data:
    config = ranking.config
    what = {
        "TS": f"TS = {1 - config.protocol.fairness.weight:g} × PS + {config.protocol.fairness.weight:g} × FS, with "
        "PS = (mean DSC + 1 − mean NormHD) / 2 and FS the mean over attributes of 1 − D_v.",
        "PS": "PS = (mean DSC + 1 − mean NormHD) / 2.",
        "FS": "FS is the mean over attributes of 1 − D_v.",
    }.get(ranking.by, f"Teams are ranked by their mean {metric_name(ranking.by)} over all cases.")
    units = f"patients ({clean(config.subject_column)})" if config.subject_column else "cases"
    return {
        "texts": [
            what,
            "Every team is scored on the same cases. A prediction that is absent, unreadable, on another grid or no "
            "mask counts with the worst score; a label that cannot be used removes its case for all teams.",
            f"Rank intervals (95 %) and the probability of being first come from {config.bootstrap:,} cohorts in which "
            f"{units} have random exponential weights, the same for all teams. A shared first place is split. "
            f"{RESAMPLING}",
            "A team is better than another beyond chance where their difference is further from zero than the largest "
            "deviation, in standard errors, that any pair of teams shows in 95 % of those cohorts (step-down max-T), "
            "so that it holds for all pairs together.",
            f"A winner is declared only if it is better than empty masks, alone in first place, first under every "
            f"other rule and without any one patient, and first in at least {percent(WINNER_PROBABILITY)} of the "
            "resampled cohorts.",
        ],
        "settings": [
            definition("Bootstrap", f"{config.bootstrap:,} cohorts"),
            definition("Smallest group", plural(config.min_cases, "case")),
            definition("Seed", config.seed),
            definition("Protocol", clean(config.protocol.name, length=NAME_LENGTH)),
            definition("Rules (SHA-256)", config.protocol.digest, code=True),
        ],
        "versions": [definition(clean(name), clean(version)) for name, version in ranking.versions.items()],
        "command": clean(command, length=2000) if command else "",
    }
