"""A team of a ranking as an audit that can be compared: in memory, in `rank.json`, and back. Scores and tests nothing.

What is saved once for all teams (cases, levels, settings) is put together again with a team's own scores.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from segfair.audit.describe import bins_of, case_counts, case_rows, metric_facts
from segfair.audit.design import build_design
from segfair.audit.result import (
    About,
    Attributes,
    AuditResult,
    Cases,
    OutcomeFacts,
    Scores,
    Subgroups,
    Verdict,
)
from segfair.errors import InputError, close_names, some
from segfair.rank.result import Ranking
from segfair.remote import shown

__all__ = ["RANK_FILE", "TeamPath", "case_tree", "load_team_audit", "team_audit", "team_path"]

RANK_FILE = "rank.json"
_OF_THE_RANKING = ("protocol", "inputs", "versions")
"""What `rank.json` says at its top, in the layout of `audit.json`."""
_OF_A_TEAM = ("cases", "metrics", "case_scores")


def team_audit(ranking: Ranking, team: str) -> AuditResult:
    """A team's scores as an audit without tests: enough for `run_comparison`.

    Raises:
        InputError: No such team.
    """
    if team not in ranking.scores.tables:
        raise InputError(_no_team(team, ranking.scores.names))
    table, cohort = ranking.scores.tables[team], ranking.scores.cohort
    config = dataclasses.replace(ranking.config, outcomes=(ranking.lead,))
    units = build_design(cohort, table, np.arange(len(table)), config=config).units
    better = next("lower" if entry.better == "lower" else "higher" for entry in table.metrics if entry.name == ranking.lead)
    return AuditResult(
        About(config, {role: shown(str(path)) for role, path in cohort.inputs.items()}, ranking.versions, ()),
        Cases(
            case_counts(table, ranking.scores.excluded),
            case_rows(table, ranking.attributes, units.subjects),
            metric_facts(table),
        ),
        Attributes((), bins_of(ranking.attributes), ranking.attributes.left_out),
        Scores({}, ()),
        Subgroups({}, {ranking.lead: OutcomeFacts(better, len(table), None, primary=True)}),
        Verdict("not tested", ""),
    )


def case_tree(ranking: Ranking) -> dict[str, Any]:
    """The keys of `rank.json` that hold cases and scores: what all teams share once, and each team's own."""
    trees = {team: team_audit(ranking, team).to_dict() for team in ranking.scores.names}
    if not trees:
        return {"audit": {}, "cases": {}, "case_scores": {}}
    shared = next(iter(trees.values()))
    rows = shared["case_scores"]
    columns = ["case", *rows["attributes"]]
    where = [rows["columns"].index(name) for name in columns]
    return {
        "audit": {key: value for key, value in shared.items() if key not in (*_OF_THE_RANKING, *_OF_A_TEAM)},
        "cases": {
            "columns": columns,
            "rows": [[row[place] for place in where] for row in rows["rows"]],
            "subjects": rows["subjects"],
            "label_sha256": shared["cases"]["label_sha256"],
        },
        "case_scores": {team: _own(tree) for team, tree in trees.items()},
    }


def _own(tree: Mapping[str, Any]) -> dict[str, Any]:
    """What is of one team alone: its metrics, their values in the order of the cases, what could not be used."""
    rows = tree["case_scores"]
    places = {name: rows["columns"].index(name) for name in rows["metrics"]}
    return {
        "metrics": tree["metrics"],
        "values": {name: [row[place] for row in rows["rows"]] for name, place in places.items()},
        "penalised": tree["cases"]["penalised"],
        "missing_predictions": tree["cases"]["missing_predictions"],
    }


@dataclasses.dataclass(frozen=True, slots=True)
class TeamPath:
    """A team of a saved ranking.

    Attributes:
        file: The ranking's `rank.json`.
        team: Its name.
    """

    file: Path
    team: str


def team_path(path: Path) -> TeamPath | None:
    """`ranking:TEAM` or `ranking/rank.json:TEAM` as a team of that ranking; None where it names something else."""
    before, colon, team = str(path).rpartition(":")
    while colon and not path.exists():
        place = Path(before)
        file = place / RANK_FILE if place.is_dir() else place
        if file.is_file() and file.name == RANK_FILE:
            return TeamPath(file, team)
        before, colon, more = before.rpartition(":")
        team = f"{more}:{team}"
    return None


def load_team_audit(place: TeamPath) -> AuditResult:
    """A team of a saved ranking as an audit without tests.

    Raises:
        InputError: No such team, not a ranking, or one of an earlier version, which kept no scores.
    """
    try:
        tree = json.loads(place.file.read_text("utf-8"))
        known = list(tree["case_scores"])
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise InputError(
            f"{place.file}: holds no scores of cases ({error!r}), which a comparison takes; write it again with segfair rank"
        ) from error
    if place.team not in known:
        raise InputError(f"{place.file}: {_no_team(place.team, known)}")
    return AuditResult.from_dict(_joined(tree, place.team))


def _joined(tree: Mapping[str, Any], team: str) -> dict[str, Any]:
    """The `audit.json` of a team, from what all share and its own."""
    cases, own = tree["cases"], tree["case_scores"][team]
    metrics, levels = list(own["values"]), cases["columns"][1:]
    reasons = {row["case"]: row["reason"] for row in own["penalised"]}
    values = zip(*own["values"].values(), strict=True)
    rows = [
        [row[0], *scores, reasons.get(row[0], ""), *row[1:]]
        for row, scores in zip(cases["rows"], values, strict=True)
    ]
    return {
        **tree["audit"],
        **{key: tree[key] for key in _OF_THE_RANKING},
        "metrics": own["metrics"],
        "cases": {
            "n_scored": len(rows),
            "penalised": own["penalised"],
            "missing_predictions": own["missing_predictions"],
            "excluded": tree["excluded"],
            "label_sha256": cases["label_sha256"],
        },
        "case_scores": {
            "columns": ["case", *metrics, "penalised", *levels],
            "rows": rows,
            "metrics": metrics,
            "attributes": levels,
            "subjects": cases["subjects"],
        },
    }


def _no_team(team: str, known: Iterable[str]) -> str:
    names = list(known)
    return f"no team {team!r}{close_names(team, names)}; there are {some(names, 10)}"
