"""Ranking -> leaderboard, pages of teams, tables and exports, each complete before it appears.

Computes nothing. With private labels everything that may be published lies in `public/` and names no case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from segfair.audit.describe import case_rows
from segfair.errors import ConfigError
from segfair.files.manifest import MANIFEST, build_manifest, hash_inputs, is_ours, written_files
from segfair.files.placing import placed_together, refuse_foreign
from segfair.files.tables import write_csv
from segfair.rank.result import Ranking, Standing
from segfair.remote import shown
from segfair.report.files import render_page
from segfair.report.ranking.leaderboard import leaderboard_data, without_folders
from segfair.report.ranking.tables import BASELINE_NAME
from segfair.report.ranking.team import team_data

__all__ = ["EXPORTS", "write_ranking"]

Export = Literal["codabench", "grand-challenge"]

EXPORTS: Mapping[Export, str] = {"codabench": "scores.json", "grand-challenge": "metrics.json"}
"""Platform -> the file that it reads after scoring one submission."""

PUBLIC = "public"
_SCORES = ("TS", "PS", "FS", "DSC", "NormHD")


def write_ranking(
    ranking: Ranking,
    directory: str | PathLike[str],
    *,
    private_labels: bool = False,
    export: Export | None = None,
    command: str = "",
    title: str = "",
) -> Path:
    """Writes `leaderboard.html`, `leaderboard.csv`, `rank.json`, `challengeR.csv`, `manifest.json` and `teams/`.

    A folder that holds an earlier ranking is used: its files are replaced or removed, all others stay as they are.

    Args:
        ranking: The ranking.
        directory: Where to; made if it does not exist.
        private_labels: Whether nobody but the organiser may know the labels: leaderboard, pages of teams and exports
            then lie in the sub-folder `public` and name no case, attribute or level; what does lies beside it.
        export: A platform for which each team's scores are written as well, one file a team.
        command: The command line that led here, for the record; empty: called from Python.
        title: What the ranking is called, in the heading of the leaderboard and at the foot of its print.

    Returns:
        The path of the leaderboard.

    Raises:
        ConfigError: The folder cannot be written, or holds other files than those of a ranking.
    """
    directory = Path(directory)
    written = datetime.now(UTC)
    _refuse_foreign(directory)
    place = f"{PUBLIC}/" if private_labels else ""
    with placed_together(directory, first=MANIFEST, earlier=written_files(directory)) as unfinished:
        _write_all(
            ranking,
            unfinished,
            place=place,
            private=private_labels,
            export=export,
            command=command,
            written=written,
            title=title,
        )
        names = sorted(path.relative_to(unfinished).as_posix() for path in unfinished.rglob("*") if path.is_file())
        _write_manifest(ranking, unfinished, names, command=command, written=written)
    return directory / place / "leaderboard.html"


def _refuse_foreign(directory: Path) -> None:
    if (directory / "audit.json").exists():
        raise ConfigError(f"--out {directory}: holds an audit; choose another folder for the ranking")
    names = ("leaderboard.html", "leaderboard.csv", "rank.json", "challengeR.csv", MANIFEST, "teams", PUBLIC)
    refuse_foreign(directory, (*names, *EXPORTS), ours=is_ours(directory))


def _write_all(
    ranking: Ranking,
    folder: Path,
    *,
    place: str,
    private: bool,
    export: Export | None,
    command: str,
    written: datetime,
    title: str,
) -> None:
    public = folder / place
    (public / "teams").mkdir(parents=True)
    moment = written.strftime("%Y-%m-%d %H:%M UTC")
    slugs = file_names([entry.team for entry in ranking.standings])
    pages = {team: f"teams/{slug}.html" for team, slug in slugs.items()}
    board = leaderboard_data(ranking, pages=pages, private=private, written=moment, command=command, title=title)
    _write_text(public / "leaderboard.html", render_page(board, template="rank.html.j2"))
    write_csv(leaderboard_rows(ranking), public / "leaderboard.csv")
    _write_json(folder / "rank.json", ranking.to_dict())
    write_csv(challenger_rows(ranking), folder / "challengeR.csv")
    for entry in ranking.standings:
        slug = slugs[entry.team]
        rows = case_rows(ranking.scores.tables[entry.team], ranking.attributes)
        page = team_data(
            entry,
            ranking,
            rows=rows,
            back="../leaderboard.html",
            table_href="" if private else f"{slug}.csv",
            private=private,
            written=moment,
        )
        _write_text(public / pages[entry.team], render_page(page, template="team.html.j2"))
        if not private:
            reasons = [text and without_folders(text, ranking) for text in rows.column("penalised")]
            records = [record | {"penalised": text} for record, text in zip(rows.records(), reasons, strict=True)]
            write_csv(records, public / "teams" / f"{slug}.csv", columns=rows.columns)
        if export is not None:
            target = public / export / slug / EXPORTS[export]
            target.parent.mkdir(parents=True)
            _write_json(target, exported(entry, ranking, export, private=private))


def _write_manifest(ranking: Ranking, folder: Path, names: Iterable[str], *, command: str, written: datetime) -> None:
    scores = ranking.scores
    protocol = ranking.config.protocol
    inputs = {role: shown(str(path)) for role, path in scores.cohort.inputs.items()}
    manifest = build_manifest(
        outputs={name: folder / name for name in names},
        inputs=hash_inputs(inputs, {*scores.cohort.ids, *scores.excluded}),
        command=command,
        protocol=protocol.name,
        protocol_digest=protocol.digest,
        versions=ranking.versions,
        written=written.isoformat(timespec="seconds"),
    )
    _write_json(folder / MANIFEST, manifest)


def file_names(teams: Iterable[str]) -> dict[str, str]:
    """Team -> a name for its files: letters, digits, dot, dash and underscore, different for every team."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for number, team in enumerate(teams, start=1):
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", team).strip(".-")[:60] or f"team-{number}"
        name, again = plain, 2
        while name.casefold() in taken:
            name, again = f"{plain}-{again}", again + 1
        taken.add(name.casefold())
        found[team] = name
    return found


def leaderboard_rows(ranking: Ranking) -> list[dict[str, object]]:
    """One row a team, best first, and empty masks as the last one; unrounded."""
    rows = []
    for entry in ranking.standings:
        interval = entry.scores[ranking.by].ci if ranking.by in entry.scores else None
        fairness = entry.scores.get("FS")
        rows.append(
            {
                "rank": entry.rank,
                "team": entry.team,
                ranking.by: entry.value,
                f"{ranking.by}_low": interval[0] if interval else None,
                f"{ranking.by}_high": interval[1] if interval else None,
                **{name: entry.scores[name].value for name in _others(ranking) if name in entry.scores},
                "FS_chance": fairness.chance.mean if fairness and fairness.chance else None,
                "rank_low": entry.rank_interval[0],
                "rank_high": entry.rank_interval[1],
                "p_first": entry.first,
                "p_beats_next": entry.beats_next,
                **{f"rank: {name}": rank for name, rank in entry.ranks.items()},
                **{f"{ranking.by}: {name}": value for name, value in entry.values.items()},
                "rank_without_one_low": entry.without_one[0],
                "rank_without_one_high": entry.without_one[1],
                "n_penalised": entry.n_penalised,
                "n_missing": entry.n_missing,
            }
        )
    nothing = dict.fromkeys(rows[0])
    values = {name: value for name, value in ranking.baseline.scores.items() if name in nothing}
    return [*rows, {**nothing, **values, "team": BASELINE_NAME, ranking.by: ranking.baseline.value}]


def _others(ranking: Ranking) -> list[str]:
    return [name for name in _SCORES if name != ranking.by and name in ranking.standings[0].scores]


def challenger_rows(ranking: Ranking) -> list[dict[str, object]]:
    """Long format of the R package challengeR: one row a task, case and algorithm.

    A call of `as.challenge` has one direction for all tasks, so that higher values are better in all of them: NormHD
    becomes 1 - NormHD, any other metric of which lower values are better its negative.

    References:
        Wiesenfarth et al., challengeR (github.com/wiesenfa/challengeR), "Data requirements".
    """
    rows: list[dict[str, object]] = []
    for entry in ranking.standings:
        for score in ranking.scores.tables[entry.team].scores:
            values = score.values
            if ranking.by in ("TS", "PS", "FS"):
                tasks = {"DSC": values["dsc"], "1 - NormHD": _flipped(values["normhd"], around=1.0)}
            elif ranking.lower_is_better:
                tasks = {f"minus {ranking.by}": _flipped(values[ranking.by], around=0.0)}
            else:
                tasks = {ranking.by: values[ranking.by]}
            rows += [
                {"task": task, "case": score.case, "algorithm": entry.team, "value": value}
                for task, value in tasks.items()
            ]
    return sorted(rows, key=lambda row: (str(row["task"]), str(row["case"])))


def _flipped(value: float | None, *, around: float) -> float | None:
    return None if value is None else around - value


def exported(entry: Standing, ranking: Ranking, export: Export, *, private: bool) -> dict[str, Any]:
    """What a platform reads after scoring one submission.

    Codabench's `scores.json` has a flat object of numbers, the keys being those of the leaderboard's columns;
    grand-challenge's `metrics.json` one of `aggregates`, and one of scores by `case`, which private labels leave out.

    References:
        Codabench documentation, "Leaderboard functionality". grand-challenge.org documentation, "Evaluation".
    """
    aggregates: dict[str, float] = {ranking.by: entry.value}
    aggregates |= {
        name: value
        for name in _others(ranking)
        if name in entry.scores and (value := entry.scores[name].value) is not None
    }
    aggregates |= {"n_cases": ranking.n_cases, "n_penalised": entry.n_penalised}
    if export == "codabench":
        return aggregates
    table = ranking.scores.tables[entry.team]
    cases = {name: dict(zip(table.cases, table.column(name), strict=True)) for name in table.names}
    return {"aggregates": aggregates} if private else {"case": cases, "aggregates": aggregates}


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


def _write_json(path: Path, tree: Mapping[str, Any]) -> None:
    _write_text(path, json.dumps(tree, allow_nan=False, ensure_ascii=False, indent=1) + "\n")
