"""Ranking -> leaderboard, pages of teams, tables and exports, each complete before it appears.

Computes nothing. With private labels everything that may be published lies in `public/` and names no case.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from segfair.audit.describe import case_rows
from segfair.errors import ConfigError
from segfair.files.manifest import MANIFEST, build_manifest, hash_inputs, is_ours, written_files
from segfair.files.placing import (
    Results,
    file_names,
    placed_together,
    refuse_foreign,
    refuse_unwritable,
    write_json,
    write_text,
)
from segfair.files.tables import write_csv
from segfair.rank.result import Ranking, Standing, TeamAudits
from segfair.rank.saved import RANK_FILE, case_tree
from segfair.remote import shown
from segfair.report.files import render_page, write_report
from segfair.report.parts import as_read
from segfair.report.ranking.leaderboard import leaderboard_data, without_folders
from segfair.report.ranking.tables import BASELINE_NAME
from segfair.report.ranking.team import TeamLinks, team_data

__all__ = ["EXPORTS", "refuse_place", "write_ranking"]

Export = Literal["codabench", "grand-challenge"]

EXPORTS: Mapping[Export, str] = {"codabench": "scores.json", "grand-challenge": "metrics.json"}
"""Platform -> the file that it reads after scoring one submission."""

PUBLIC = "public"
_FILES = ("leaderboard.csv", RANK_FILE, "challengeR.csv", MANIFEST)
"""What lies beside the leaderboard; with private labels the first alone may be handed on."""
_SCORES = ("TS", "PS", "FS", "DSC", "NormHD")


def write_ranking(
    ranking: Ranking,
    directory: str | PathLike[str],
    *,
    private_labels: bool = False,
    export: Export | None = None,
    command: str = "",
    title: str = "",
    audits: TeamAudits | None = None,
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
        audits: An audit of each team, written to `teams/TEAM/`; None: none are.

    Returns:
        The path of the leaderboard.

    Raises:
        ConfigError: The folder cannot be written, or holds other files than those of a ranking.
    """
    directory = Path(directory)
    written = datetime.now(UTC)
    _refuse_foreign(directory)
    place = f"{PUBLIC}/" if private_labels else ""
    teams = [entry.team for entry in ranking.standings]
    inputs = functools.cache(functools.partial(_hashes, ranking))
    kept = Results(
        (RANK_FILE, f"{place}leaderboard.csv", "challengeR.csv"),
        "mend that, and run it again; what was scored lies in the cache",
        functools.partial(_write_manifest, ranking, inputs, command, written),
    )
    earlier = functools.partial(written_files, directory)
    with placed_together(directory, first=MANIFEST, results=kept, earlier=earlier) as unfinished:
        job = _Job(
            ranking,
            unfinished,
            unfinished / place,
            dict(zip(teams, file_names(teams, otherwise="team"), strict=True)),
            audits or TeamAudits(),
            private_labels,
            written,
            command,
            directory,
            title,
        )
        _write_board(job)
        for entry in ranking.standings:
            _write_team(entry, job, export)
        _write_audits(job, inputs())
    return directory / place / "leaderboard.html"


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What is written, and where: `folder` is the organiser's, `public` may be handed on; they are one unless private.

    `slugs` names the files of each team, `home` the folder under its final name.
    """

    ranking: Ranking
    folder: Path
    public: Path
    slugs: Mapping[str, str]
    audits: TeamAudits
    private: bool
    written: datetime
    command: str
    home: Path
    title: str

    @property
    def moment(self) -> str:
        return as_read(self.written)


def refuse_place(directory: Path) -> None:
    """Refuses a folder that a ranking could not be written to, before anything is scored.

    Raises:
        ConfigError: See `write_ranking`.
    """
    _refuse_foreign(directory)
    refuse_unwritable(directory)


def _refuse_foreign(directory: Path) -> None:
    if (directory / "audit.json").exists():
        raise ConfigError(f"--out {directory}: holds an audit; choose another folder for the ranking")
    names = ("leaderboard.html", "leaderboard.csv", RANK_FILE, "challengeR.csv", MANIFEST, "teams", PUBLIC)
    refuse_foreign(directory, (*names, *EXPORTS), ours=is_ours(directory))


def _write_board(job: _Job) -> None:
    """The leaderboard and what is of all teams."""
    ranking = job.ranking
    (job.public / "teams").mkdir(parents=True)
    write_json(job.folder / RANK_FILE, {**ranking.to_dict(), **case_tree(ranking)})
    write_csv(leaderboard_rows(ranking), job.public / "leaderboard.csv")
    write_csv(challenger_rows(ranking), job.folder / "challengeR.csv")
    page = leaderboard_data(
        ranking,
        pages={team: f"teams/{slug}.html" for team, slug in job.slugs.items()},
        private=job.private,
        written=job.moment,
        command=job.command,
        title=job.title,
        files=_FILES[:1] if job.private else _FILES,
    )
    write_text(job.public / "leaderboard.html", render_page(page, template="rank.html.j2"))


def _write_team(entry: Standing, job: _Job, export: Export | None) -> None:
    """A team's page, the table of its cases, and what a platform reads."""
    ranking, slug = job.ranking, job.slugs[entry.team]
    rows = case_rows(ranking.scores.tables[entry.team], ranking.attributes)
    links = TeamLinks(
        back="../leaderboard.html",
        table="" if job.private else f"{slug}.csv",
        audit=f"{slug}/report.html" if entry.team in job.audits.results and not job.private else "",
        ranking="" if job.private else str(job.home),
        no_audit="" if job.private else job.audits.failed.get(entry.team, ""),
    )
    page = team_data(entry, ranking, rows=rows, links=links, private=job.private, written=job.moment)
    write_text(job.public / "teams" / f"{slug}.html", render_page(page, template="team.html.j2"))
    if not job.private:
        reasons = [text and without_folders(text, ranking) for text in rows.column("penalised")]
        records = [record | {"penalised": text} for record, text in zip(rows.records(), reasons, strict=True)]
        write_csv(records, job.public / "teams" / f"{slug}.csv", columns=rows.columns)
    if export is not None:
        target = job.public / export / slug / EXPORTS[export]
        target.parent.mkdir(parents=True)
        write_json(target, exported(entry, ranking, export, private=job.private))


def _write_audits(job: _Job, inputs: Mapping[str, Any]) -> None:
    """The audit of each team, beside its page or, with private labels, where only the organiser looks."""
    for team, result in job.audits.results.items():
        write_report(
            result,
            job.folder / "teams" / job.slugs[team],
            command=job.command,
            inputs=_own_inputs(inputs, team),
        )


def _own_inputs(inputs: Mapping[str, Any], team: str) -> dict[str, Any]:
    """The hashes of what one team was scored from, out of those of all."""
    own = dict(inputs)
    teams = own.pop("teams", None)
    if teams is None:
        return own
    prefix = f"{team}/"
    files = {
        name.removeprefix(prefix): digest for name, digest in (teams["files"] or {}).items() if name.startswith(prefix)
    }
    return {"predictions": {"path": f"{teams['path']}/{team}", "files": files}, **own}


def _hashes(ranking: Ranking) -> dict[str, Any]:
    scores = ranking.scores
    inputs = {role: shown(str(path)) for role, path in scores.cohort.inputs.items()}
    return hash_inputs(inputs, {*scores.cohort.ids, *scores.excluded})


def _write_manifest(
    ranking: Ranking,
    inputs: Callable[[], Mapping[str, Any]],
    command: str,
    written: datetime,
    folder: Path,
    names: Iterable[str],
) -> None:
    protocol = ranking.config.protocol
    manifest = build_manifest(
        outputs={name: folder / name for name in names},
        inputs=inputs(),
        command=command,
        protocol=protocol.name,
        protocol_digest=protocol.digest,
        versions=ranking.versions,
        written=written.isoformat(timespec="seconds"),
    )
    write_json(folder / MANIFEST, manifest)


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
