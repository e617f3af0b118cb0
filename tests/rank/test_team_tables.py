"""Score tables of teams: the same ranking as from masks, gaps as the worst, any score that decides."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.rank_fixtures import board, rows

from segfair.attributes.joins import parse_join
from segfair.audit.result import AuditConfig
from segfair.errors import ConfigError, InputError, MetadataError
from segfair.files.placing import file_names
from segfair.protocol.rules import load_protocol
from segfair.rank.procedure import rank_scored
from segfair.rank.team_tables import load_team_scores
from segfair.report.ranking.files import write_ranking


def test_the_same_from_tables(call_cli, ranked, challenge: Path, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    for path in (ranked[0] / "teams").glob("*.csv"):
        shutil.copy(path, tables)
    done = call_cli(
        "rank-scores", tables, challenge / "metadata.csv", "--protocol", "mama-mia", "--out", tmp_path / "out",
        "--bootstrap", 300, "--permutations", 99,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    teams = board(ranked[0])
    names = dict(zip(teams, file_names(teams, otherwise="team"), strict=True))
    again = board(tmp_path / "out")
    keys = ("rank", "TS", "PS", "FS", "rank_low", "rank_high", "n_penalised", "rank_without_one_high")
    for team, row in board(ranked[0]).items():
        other = again[team if team == "Empty masks (baseline)" else names[team]]
        assert [other[key] for key in keys] == [row[key] for key in keys], team


def write_table(path: Path, scores: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("case,dsc,normhd\n" + "".join(f"{case},{text}\n" for case, text in scores.items()))


def test_tables_with_gaps_count_as_the_worst(tmp_path: Path) -> None:
    cases = [f"C{number}" for number in range(12)]
    metadata = tmp_path / "metadata.csv"
    metadata.write_text("id,site\n" + "".join(f"{case},{'ab'[n % 2]}\n" for n, case in enumerate(cases)))
    good = dict.fromkeys(cases, "0.9,0.1")
    write_table(tmp_path / "scores" / "full.csv", good)
    write_table(tmp_path / "scores" / "short" / "cases.csv", dict(list(good.items())[:-1]))
    write_table(tmp_path / "scores" / "holes.csv", {**good, "C11": ","})
    scores = load_team_scores(tmp_path / "scores", metadata, protocol=load_protocol("default"))
    ranking = rank_scored(scores, AuditConfig(load_protocol("default"), bootstrap=100, permutations=19, min_cases=2))
    found = {entry.team: entry for entry in ranking.standings}
    assert [found[team].rank for team in ("full", "holes", "short")] == [1, 2, 2]
    assert found["short"].value == pytest.approx(found["holes"].value)
    assert (found["short"].n_penalised, found["holes"].n_penalised, found["full"].n_penalised) == (1, 1, 0)
    assert found["short"].scores["DSC"].value == pytest.approx(0.9 * 11 / 12)
    assert found["short"].scores["NormHD"].value == pytest.approx((0.1 * 11 + 1) / 12)
    assert found["short"].n_missing == 1
    assert any("count as the worst" in notice for notice in ranking.notices)


def test_any_score_can_decide(tmp_path: Path) -> None:
    cases = [f"C{number}" for number in range(10)]
    (tmp_path / "metadata.csv").write_text("id,site\n" + "".join(f"{case},x\n" for case in cases))
    for team, error in (("near", 1.5), ("far", 7.0)):
        path = tmp_path / "scores" / f"{team}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("case,error\n" + "".join(f"{case},{error + n / 10}\n" for n, case in enumerate(cases)))
    protocol = load_protocol("default")
    scores = load_team_scores(
        tmp_path / "scores", tmp_path / "metadata.csv", protocol=protocol, lower_is_better=("error",)
    )
    config = AuditConfig(protocol, bootstrap=100)
    ranking = rank_scored(scores, config)
    assert (ranking.by, ranking.lower_is_better) == ("error", True)
    assert [(entry.team, entry.rank) for entry in ranking.standings] == [("near", 1), ("far", 2)]
    assert ranking.standings[0].value == pytest.approx(1.95)
    write_ranking(ranking, tmp_path / "out")
    long = rows(tmp_path / "out" / "challengeR.csv")
    assert {row["task"] for row in long} == {"minus error"}
    assert max(long, key=lambda row: float(row["value"]))["algorithm"] == "near", "higher is better there"
    with pytest.raises(ConfigError, match="takes a DSC and a NormHD"):
        rank_scored(scores, config, by="TS")
    with pytest.raises(ConfigError, match="not a score of every team"):
        rank_scored(scores, config, by="speed")


def test_a_direction_that_was_assumed_is_an_alert_of_the_ranking(tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    folder.mkdir()
    ids = [f"P{index}" for index in range(24)]
    rows = [f"{case},{'mf'[index % 2]}" for index, case in enumerate(ids)]
    metadata = tmp_path / "meta.csv"
    metadata.write_text("\n".join(["id,sex", *rows]))
    for team, shift in (("one", 0.0), ("two", 0.5)):
        lines = [f"{case},{index + shift}" for index, case in enumerate(ids)]
        (folder / f"{team}.csv").write_text("\n".join(["case,sharpness", *lines]))
    scores = load_team_scores(folder, metadata, protocol=load_protocol("default"))
    assert [kind for kind, _ in scores.cohort.alerts] == ["direction"]
    config = AuditConfig(load_protocol("default"), bootstrap=100, permutations=19)
    ranking = rank_scored(scores, config, by="sharpness")
    assert any("Higher is taken as better for sharpness" in alert.text for alert in ranking.alerts)


def test_levels_are_joined_in_a_ranking_too(tmp_path: Path) -> None:
    cases = [f"C{number}" for number in range(24)]
    (tmp_path / "metadata.csv").write_text(
        "id,view\n" + "".join(f"{case},{('axial', 'sagittal', 'sagital')[n % 3]}\n" for n, case in enumerate(cases))
    )
    (tmp_path / "scores").mkdir()
    for team, dice in (("one", 0.8), ("two", 0.7)):
        lines = "".join(f"{case},{dice + n / 200},{0.1 + n / 500}\n" for n, case in enumerate(cases))
        (tmp_path / "scores" / f"{team}.csv").write_text("case,dsc,normhd\n" + lines)
    protocol = load_protocol("default")
    scores = load_team_scores(tmp_path / "scores", tmp_path / "metadata.csv", protocol=protocol)
    apart = rank_scored(scores, AuditConfig(protocol, bootstrap=100, permutations=19, min_cases=5))
    assert [alert.kind for alert in apart.alerts] == ["spelling"]
    join = (parse_join("view: sagital = sagittal"),)
    joined = rank_scored(scores, AuditConfig(protocol, bootstrap=100, permutations=19, min_cases=5, join=join))
    assert joined.attributes["view"].levels == ("axial", "sagittal")
    assert joined.alerts == ()
    with pytest.raises(MetadataError, match="no case has 'saggital' in view"):
        wrong = (parse_join("view: saggital = sagittal"),)
        rank_scored(scores, AuditConfig(protocol, join=wrong))


@pytest.mark.parametrize("way", ["a table", "a folder", "a table in a folder"])
def test_a_table_that_is_a_link_is_none_of_the_teams(tmp_path: Path, way: str) -> None:
    cases = [f"C{number}" for number in range(12)]
    (tmp_path / "metadata.csv").write_text("id,site\n" + "".join(f"{case},a\n" for case in cases))
    write_table(tmp_path / "scores" / "honest" / "cases.csv", dict.fromkeys(cases, "0.9,0.1"))
    cheat = tmp_path / "scores" / "cheat"
    if way == "a table":
        cheat.with_suffix(".csv").symlink_to("honest/cases.csv")
    elif way == "a folder":
        cheat.symlink_to("honest")
    else:
        cheat.mkdir()
        (cheat / "cases.csv").symlink_to("../honest/cases.csv")
    with pytest.raises(InputError, match="is a link"):
        load_team_scores(tmp_path / "scores", tmp_path / "metadata.csv", protocol=load_protocol("default"))
