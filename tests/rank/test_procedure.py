"""Thirty submissions from masks to leaderboard, the same from tables, and when there is a winner."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.mama_mia_oracle import oracle_scores
from tests.rank_fixtures import (
    BROKEN_LABEL,
    CASES,
    CONFIG,
    FAILED,
    HOSTILE,
    board,
    made_up,
    noise,
    read,
    rows,
)

from segfair.audit.result import Alert, AuditConfig
from segfair.errors import ConfigError
from segfair.files.placing import file_names
from segfair.rank import procedure
from segfair.rank.procedure import rank_scored


def test_thirty_teams_and_the_baseline_are_ranked(ranked) -> None:
    out, done = ranked
    assert done.returncode == 0, done.stderr
    found = rows(out / "leaderboard.csv")
    assert len(found) == 31
    assert found[-1]["team"] == "Empty masks (baseline)"
    assert not found[-1]["rank"]
    assert [int(row["rank"]) for row in found[:-1]] == sorted(int(row["rank"]) for row in found[:-1])
    assert len(list((out / "teams").glob("*.html"))) == 30
    html = (out / "leaderboard.html").read_text("utf-8")
    assert len(re.findall(r'<td class="number place"', html)) == 31


def test_intact_teams_have_the_scores_of_the_literal_oracle(ranked, challenge: Path) -> None:
    out, _ = ranked
    slugs = dict(zip(board(out), file_names(board(out), otherwise="team"), strict=True))
    scored = [case for case in CASES if case != BROKEN_LABEL]
    labels = {case: read(challenge / "labels" / f"{case}.nii") for case in scored}
    metadata = {row["patient_id"]: row for row in rows(challenge / "metadata.csv")}
    for team in (HOSTILE, "team01", "team13", "team25"):
        cell = "'" + team if team == HOSTILE else team
        table = {row["case"]: row for row in rows(out / "teams" / f"{slugs[cell]}.csv")}
        assert list(table) == scored
        dsc, normhd = [], []
        for case in scored:
            expected = oracle_scores(labels[case], read(challenge / "teams" / team / f"{case}.nii"))
            assert float(table[case]["dsc"]) == pytest.approx(expected["dsc"], abs=1e-12), (team, case)
            assert float(table[case]["normhd"]) == pytest.approx(expected["normhd"], abs=1e-12), (team, case)
            dsc.append(expected["dsc"])
            normhd.append(expected["normhd"])
        row = board(out)[cell]
        ps, fs = challenge_by_hand(dsc, normhd, [metadata[case] for case in scored])
        assert float(row["PS"]) == pytest.approx(ps, abs=1e-12)
        assert float(row["FS"]) == pytest.approx(fs, abs=1e-12)
        assert float(row["TS"]) == pytest.approx(0.5 * ps + 0.5 * fs, abs=1e-12)


def challenge_by_hand(dsc: list[float], normhd: list[float], metadata: list[dict[str, str]]) -> tuple[float, float]:
    """PS and FS with the attributes of the MAMA-MIA challenge, group by group."""

    def age(row: dict[str, str]) -> str:
        edges = [0, 40, 50, 60, 70, 100]
        return str(sum(float(row["age"]) > edge for edge in edges))

    def menopause(row: dict[str, str]) -> str:
        return "unknown" if not row["menopause"] else "post" if "post" in row["menopause"] else "pre"

    disparities = []
    for level_of in (age, menopause, lambda row: row["breast_density"]):
        groups: dict[str, list[int]] = {}
        for index, row in enumerate(metadata):
            groups.setdefault(level_of(row), []).append(index)
        groups.pop("", None)
        gaps = []
        for values in (dsc, normhd):
            means = [sum(values[index] for index in group) / len(group) for group in groups.values()]
            gaps.append(max(means) - min(means))
        disparities.append(0.5 * sum(gaps))
    ps = 0.5 * (sum(dsc) / len(dsc) + 1 - sum(normhd) / len(normhd))
    return ps, sum(1 - value for value in disparities) / len(disparities)


def test_unusable_predictions_score_as_absent_ones(ranked) -> None:
    out, _ = ranked
    found = board(out)
    corrupt, copy = found["corrupt"], found["corrupt-copy"]
    different = {key for key in corrupt if corrupt[key] != copy[key]}
    assert different == {"team", "n_missing", "p_beats_next"}
    assert (corrupt["n_penalised"], corrupt["n_missing"]) == ("3", "0")
    assert (copy["n_penalised"], copy["n_missing"]) == ("3", "3")
    assert float(corrupt["TS"]) < float(found["team02"]["TS"]), "failures cost"
    assert (found["late"]["n_penalised"], found["late"]["n_missing"]) == ("3", "3")
    page = (out / "teams" / "corrupt.html").read_text("utf-8")
    assert all(case in page for case in FAILED)


def test_empty_masks_get_half_a_total_score(ranked) -> None:
    found = board(ranked[0])
    for team in ("empty", "Empty masks (baseline)"):
        assert {key: float(found[team][key]) for key in ("DSC", "NormHD", "PS", "FS", "TS")} == {
            "DSC": 0.0,
            "NormHD": 1.0,
            "PS": 0.0,
            "FS": 1.0,
            "TS": 0.5,
        }


def test_a_broken_label_leaves_every_team_and_is_named_once(ranked, challenge: Path) -> None:
    out, done = ranked
    tree = json.loads((out / "rank.json").read_text("utf-8"))
    assert [entry["case"] for entry in tree["excluded"]] == [BROKEN_LABEL]
    assert tree["n_cases"] == 39
    assert done.stdout.count(f"case {BROKEN_LABEL}") == 1
    for path in (out / "teams").iterdir():
        assert BROKEN_LABEL not in path.read_text("utf-8"), path
    assert {row["case"] for row in rows(out / "challengeR.csv")} == set(CASES) - {BROKEN_LABEL}
    html = (out / "leaderboard.html").read_text("utf-8")
    assert f"<bdi>{BROKEN_LABEL}</bdi>" in html
    assert str(challenge) not in html.partition('<code class="command">')[0], "folders are not the reader's business"


def test_rank_intervals_hold_the_rank(ranked) -> None:
    teams = rows(ranked[0] / "leaderboard.csv")[:-1]
    for row in teams:
        low, rank, high = (int(row[key]) for key in ("rank_low", "rank", "rank_high"))
        assert 1 <= low <= rank <= high <= 30
        assert int(row["rank_without_one_low"]) <= rank <= int(row["rank_without_one_high"])
    assert sum(float(row["p_first"]) for row in teams) == pytest.approx(1)


def test_processes_give_the_same_ranking(ranked, ranking) -> None:
    tree = json.loads((ranked[0] / "rank.json").read_text("utf-8"))
    mine = json.loads(json.dumps(ranking.to_dict()))
    for key in ("teams", "baseline", "variants", "left_out", "verdict", "excluded", "penalised"):
        assert tree[key] == mine[key], key


def test_scores_are_those_of_an_audit(ranking, challenge: Path) -> None:
    from segfair.audit.procedure import run_audit
    from segfair.intake.cohorts import load_cohort

    cohort = load_cohort(challenge / "teams" / "team03", challenge / "labels", challenge / "metadata.csv")
    audited = run_audit(cohort, CONFIG)
    standing = next(entry for entry in ranking.standings if entry.team == "team03")
    for name, score in standing.scores.items():
        assert (score.value, score.ci, score.chance) == (
            audited.scores[name].value,
            audited.scores[name].ci,
            audited.scores[name].chance,
        ), name


def test_private_labels_say_that_images_are_not_used(call_cli, challenge: Path, tmp_path: Path) -> None:
    teams = tmp_path / "teams"
    for name in ("team01", "team02"):
        shutil.copytree(challenge / "teams" / name, teams / name)
    done = call_cli(
        "rank", teams, challenge / "labels", challenge / "metadata.csv", "--out", tmp_path / "out", "--private-labels",
        "--images", challenge / "labels", "--bootstrap", 100, "--permutations", 19, "--workers", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"--images {challenge / 'labels'}: not used" in done.stdout
    assert "images" not in json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))["inputs"]


def test_no_alert_is_shown_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    said, also = Alert("small", "said"), Alert("empty", "also said")
    monkeypatch.setattr(procedure, "_alerts", lambda *_: (said, also, said))
    ranking = rank_scored(made_up({"x": np.full(60, 0.7), "y": np.full(60, 0.6)}), CONFIG, by="dsc")
    assert ranking.alerts == (said, also)


def test_learned_bins_and_unknown_scores_are_refused() -> None:
    scores = made_up({"only": 0.7 + noise(6)})
    with pytest.raises(ConfigError, match="learned bins"):
        rank_scored(scores, AuditConfig(CONFIG.protocol, bins={"breast_density": "tree"}))
    with pytest.raises(ConfigError, match="no higher or lower value of it is better"):
        rank_scored(scores, CONFIG, by="volume")


@pytest.mark.parametrize("command", ["rank", "rank-scores"])
def test_help_has_an_example(call_cli, command: str) -> None:
    done = call_cli(command, "--help")
    assert done.returncode == 0
    assert f"Example: segfair {command}" in " ".join(done.stdout.split())


def test_a_score_that_no_team_will_have_is_told_before_anything_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(*_: object, **__: object) -> None:
        raise AssertionError("scored")

    monkeypatch.setattr(procedure, "score_teams", score)
    cohort = made_up({"a": np.full(60, 0.7)}).cohort
    with pytest.raises(ConfigError, match="--by colour: not a score of every team; there are TS, PS, FS and dsc"):
        procedure.run_ranking(cohort, [], CONFIG, by="colour")
    with pytest.raises(ConfigError, match="learned bins differ"):
        procedure.run_ranking(cohort, [], dataclasses.replace(CONFIG, bins={"site": "tree"}))
    for by in ("ts", "DSC", "normhd", None):
        with pytest.raises(AssertionError, match="scored"):
            procedure.run_ranking(cohort, [], CONFIG, by=by)
