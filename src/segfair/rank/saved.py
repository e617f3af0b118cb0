"""A team of a ranking as an audit that can be compared: in memory, in `rank.json`, and back. Scores and tests nothing.

What is saved once for all teams (cases, levels, settings) is put together again with a team's own scores. Whatever can
be a side of a comparison is read here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    audit_file,
)
from segfair.audit.result.record import audited_name
from segfair.documents import read_json
from segfair.errors import InputError, SegfairError, close_names, cut_text, some
from segfair.remote import shown
from segfair.subgroups.lattice import SubgroupTable

if TYPE_CHECKING:
    from segfair.rank.result import Ranking

__all__ = ["RANK_FILE", "Audited", "case_tree", "load_audited", "team_audit"]

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
    better = table.better(ranking.lead)
    nobody = SubgroupTable(ranking.lead, better, len(table), None, ())
    return AuditResult(
        About(config, {role: shown(str(path)) for role, path in cohort.inputs.items()}, ranking.versions, ()),
        Cases(
            case_counts(table, ranking.scores.excluded),
            case_rows(table, ranking.attributes, units.subjects),
            metric_facts(table),
        ),
        Attributes((), bins_of(ranking.attributes), ranking.attributes.left_out),
        Scores({}, ()),
        Subgroups({ranking.lead: nobody}, {ranking.lead: OutcomeFacts(better, len(table), None, primary=True)}),
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


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Audited:
    """One side of a comparison.

    Attributes:
        result: The audit; of a team its scores without tests.
        file: What it was read from.
        name: The team, or the audit's folder.
    """

    result: AuditResult
    file: Path
    name: str

    @property
    def title(self) -> str:
        """What was audited, as its title, or model and cohort, say; empty where nobody said it."""
        return audited_name(self.result.about.record)

    @property
    def page(self) -> Path | None:
        """The page of the audit, or the leaderboard; None where it is not beside the file."""
        pages = (self.file.with_name(name) for name in ("report.html", "leaderboard.html"))
        return next((page for page in pages if page.is_file()), None)


def load_audited(path: Path) -> Audited:
    """An audit by its folder or file, or a team of a ranking: `ranking:TEAM`, `ranking/rank.json:TEAM`.

    Raises:
        InputError: No such audit or team, or a ranking of an earlier version, which kept no scores.
    """
    place = _place_of(path)
    if place is not None:
        return Audited(_load_team(*place), *place)
    file = audit_file(path)
    return Audited(AuditResult.load(file), file, file.resolve().parent.name)


def _load_team(file: Path, team: str) -> AuditResult:
    tree = read_json(file)
    if not isinstance(tree, dict) or not isinstance(tree.get("case_scores"), dict):
        raise InputError(f"{file}: holds no scores of cases to compare; write it again with segfair rank")
    known = list(tree["case_scores"])
    if team not in known:
        raise InputError(f"{file}: {_no_team(team, known)}")
    try:
        audit = _joined(tree, team)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{file}: not a complete ranking; write it again with segfair rank") from error
    try:
        return AuditResult.from_dict(audit)
    except SegfairError as error:  # it knows the audit only, and not where that came from
        raise InputError(f"{file}: team {cut_text(team)}: {str(error).removeprefix('audit.json: ')}") from error


def _place_of(path: Path) -> tuple[Path, str] | None:
    """The `rank.json` and the team that a path names; a colon may be part of either name."""
    text = str(path)
    for place in (index for index, letter in enumerate(text) if letter == ":" and not path.exists()):
        before, team = Path(text[:place]), text[place + 1 :]
        if before.is_file() and before.name == RANK_FILE:
            return before, team
        if before.is_dir():
            if not (before / RANK_FILE).is_file():
                beside = (before.parent / RANK_FILE).is_file()
                hint = f"; of a ranking with private labels it lies in {before.parent}" if beside else ""
                raise InputError(f"{path}: no {RANK_FILE} in {before}, which holds the scores of a ranking{hint}")
            return before / RANK_FILE, team
    return None


def _joined(tree: Mapping[str, Any], team: str) -> dict[str, Any]:
    """The `audit.json` of a team, from what all share and its own."""
    cases, own = tree["cases"], tree["case_scores"][team]
    metrics, levels = list(own["values"]), cases["columns"][1:]
    reasons = {row["case"]: row["reason"] for row in own["penalised"]}
    values = zip(*own["values"].values(), strict=True)
    rows = [
        [row[0], *scores, reasons.get(row[0], ""), *row[1:]] for row, scores in zip(cases["rows"], values, strict=True)
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
