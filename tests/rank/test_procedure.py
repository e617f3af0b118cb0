"""Thirty submissions from masks to leaderboard, the same from tables, and when there is a winner."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.mama_mia_oracle import oracle_scores

import segfair.rank.procedure
from segfair.audit.result import Alert, AuditConfig
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError, PairingError
from segfair.gallery.teams import with_galleries
from segfair.protocol.rules import load_protocol
from segfair.rank.procedure import rank_scored, run_ranking
from segfair.rank.team_tables import load_team_scores
from segfair.rank.teams import TeamScores, load_teams
from segfair.report.ranking.files import file_names, write_ranking
from segfair.report.ranking.tables import ranks_table
from segfair.scoring.scores import CaseScore, ScoreTable, protocol_metrics

SHAPE = (14, 12, 10)
CASES = [f"QX{number:03}Z" for number in range(40)]
BROKEN_LABEL = "QX039Z"
N_INTACT = 26
HOSTILE = '=<img src=x onerror="alert(1)">'
FAILED = {"QX004Z": "truncated", "QX011Z": "off grid", "QX020Z": "nan"}
CONFIG = AuditConfig(load_protocol("mama-mia"), bootstrap=300, permutations=99)


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(array, np.eye(4)), path)


def labels_of(rng: np.random.Generator) -> dict[str, np.ndarray]:
    found = {}
    for case in CASES:
        label = np.zeros(SHAPE, np.uint8)
        start, size = rng.integers(1, 4, 3), rng.integers(4, 7, 3)
        label[tuple(slice(a, a + b) for a, b in zip(start, size, strict=True))] = 1
        found[case] = label
    return found


@pytest.fixture(scope="module")
def challenge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """labels/, metadata.csv and teams/ with thirty teams of 40 cases."""
    root = tmp_path_factory.mktemp("challenge")
    rng = np.random.default_rng(11)
    labels = labels_of(rng)
    for case, label in labels.items():
        save(root / "labels" / f"{case}.nii", label)
    (root / "labels" / f"{BROKEN_LABEL}.nii").write_bytes(b"not a mask")
    rows = ["patient_id,age,menopause,breast_density"]
    for number, case in enumerate(CASES):
        age = rng.integers(35, 80)
        density = "a" if number == 2 else rng.choice(["b", "c", ""])
        rows.append(f"{case},{age},{rng.choice(['pre', 'postmenopausal', ''])},{density}")
    (root / "metadata.csv").write_text("\n".join(rows) + "\n")

    names = [HOSTILE, *(f"team{number:02}" for number in range(1, N_INTACT))]
    for number, name in enumerate(names):
        for case, label in labels.items():
            prediction = np.roll(label, rng.integers(0, 2, 3), axis=(0, 1, 2))
            prediction[rng.random(SHAPE) < 0.002 * number] = rng.integers(1, 3)
            save(root / "teams" / name / f"{case}.nii", prediction)
    shutil.copytree(root / "teams" / "team01", root / "teams" / "late")
    for case in CASES[5:8]:
        (root / "teams" / "late" / f"{case}.nii").unlink()
    for name in ("corrupt", "corrupt-copy"):
        shutil.copytree(root / "teams" / "team02", root / "teams" / name)
    for case, damage in FAILED.items():
        (root / "teams" / "corrupt-copy" / f"{case}.nii").unlink()
        spoil(root / "teams" / "corrupt" / f"{case}.nii", damage)
    for case in CASES:
        save(root / "teams" / "empty" / f"{case}.nii", np.zeros(SHAPE, np.uint8))
    assert len(list((root / "teams").iterdir())) == 30
    return root


def spoil(victim: Path, damage: str) -> None:
    if damage == "truncated":
        victim.write_bytes(victim.read_bytes()[:400])
    elif damage == "off grid":
        save(victim, np.ones((5, 5, 5), np.uint8))
    else:
        save(victim, np.full(SHAPE, np.nan, np.float32))


def arguments(challenge: Path) -> list[Path]:
    return [challenge / "teams", challenge / "labels", challenge / "metadata.csv"]


@pytest.fixture(scope="module")
def ranked(run_cli, challenge: Path, tmp_path_factory: pytest.TempPathFactory):
    """What the command wrote and said."""
    out = tmp_path_factory.mktemp("ranked") / "out"
    options = ["--protocol", "mama-mia", "--bootstrap", 300, "--permutations", 99, "--export", "codabench"]
    return out, run_cli("rank", *arguments(challenge), "--out", out, *options)


@pytest.fixture(scope="module")
def ranking(challenge: Path):
    cohort, teams = load_teams(*arguments(challenge))
    return run_ranking(cohort, teams, CONFIG)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def board(out: Path) -> dict[str, dict[str, str]]:
    return {row["team"]: row for row in rows(out / "leaderboard.csv")}


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
    slugs = file_names(board(out))
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


def read(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


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


def test_the_table_for_challenger_is_complete(ranked) -> None:
    found = rows(ranked[0] / "challengeR.csv")
    assert list(found[0]) == ["task", "case", "algorithm", "value"]
    assert len(found) == 2 * 39 * 30
    assert len({(row["task"], row["case"], row["algorithm"]) for row in found}) == len(found)
    mean = np.mean([float(row["value"]) for row in found if row["algorithm"] == "team01"])
    assert mean == pytest.approx(float(board(ranked[0])["team01"]["PS"])), "the two tasks average to PS"


def test_codabench_reads_flat_numbers(ranked) -> None:
    out = ranked[0]
    tree = json.loads((out / "codabench" / "team01" / "scores.json").read_text("utf-8"))
    assert all(isinstance(value, int | float) for value in tree.values())
    assert tree["TS"] == float(board(out)["team01"]["TS"])


def test_names_of_teams_are_text(ranked) -> None:
    out = ranked[0]
    for path in [out / "leaderboard.html", *(out / "teams").glob("*.html")]:
        text = path.read_text("utf-8")
        assert "<img" not in text
        assert "Content-Security-Policy" in text
    assert "'" + HOSTILE in board(out), "a formula is defused"


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


def test_teams_see_their_worst_cases(ranked, ranking, challenge: Path, tmp_path: Path) -> None:
    page = (ranked[0] / "teams" / "corrupt.html").read_text("utf-8")
    assert page.count('class="card"') == 6
    gallery = page[page.index('class="gallery"') :].partition("<table")[0]
    assert not any(case in gallery for case in FAILED), "there is nothing to draw of an unusable file"
    _, teams = load_teams(*arguments(challenge))
    drawn = with_galleries(ranking, teams)
    assert set(drawn.galleries) == {team.name for team in teams}
    table = ranking.scores.tables["team07"]
    worst = sorted(table.scores, key=lambda score: (score.values["dsc"], score.case))[:6]
    assert drawn.galleries["team07"].groups[0].cases == tuple(score.case for score in worst)
    public = write_ranking(drawn, tmp_path, private_labels=True).parent
    assert not any("<svg" in path.read_text("utf-8") for path in public.rglob("*.html")), "nor is it in public"


@pytest.mark.parametrize("export", ["codabench", "grand-challenge"])
def test_private_labels_publish_no_case_and_no_attribute(ranking, tmp_path: Path, export) -> None:
    page = write_ranking(ranking, tmp_path, private_labels=True, export=export, command="segfair rank secret-folder")
    assert page == tmp_path / "public" / "leaderboard.html"
    published = [path for path in (tmp_path / "public").rglob("*") if path.is_file()]
    assert len(published) == 2 + 30 + 30
    for path in published:
        text = path.read_text("utf-8")
        assert not re.search(r"QX\d\d\dZ", text), path
        assert "breast_density" not in text
        assert "menopause" not in text
        assert "secret-folder" not in text
        assert not re.search(r"QX\d\d\dZ", path.name)
    assert "QX000Z" in (tmp_path / "challengeR.csv").read_text("utf-8"), "the organiser has it all"


def test_private_pages_of_teams_do_not_tell_what_the_labels_are_like(ranking, tmp_path: Path) -> None:
    mask_alerts = {
        "the label is empty under this protocol: it holds the values 7, and only 1 counts": 12,
        "scored voxel by voxel although the grids differ: label is 3x3x3 of 1 mm": 13,
        "the prediction is empty under this protocol: it holds the values 2, and only 1 counts": 14,
    }
    noticed = dataclasses.replace(
        ranking, standings=tuple(dataclasses.replace(entry, alerts=mask_alerts) for entry in ranking.standings)
    )
    write_ranking(noticed, tmp_path / "private", private_labels=True)
    for page in (tmp_path / "private" / "public" / "teams").glob("*.html"):
        text = page.read_text("utf-8")
        assert "label is empty" not in text and "(12 cases)" not in text, page.name
        assert "grids differ" not in text and "(13 cases)" not in text, page.name
        assert "the prediction is empty" in text and "(14 cases)" in text, "that is the team's own"
    write_ranking(noticed, tmp_path / "open")
    assert "(12 cases)" in (tmp_path / "open" / "teams" / "team01.html").read_text("utf-8")


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


def test_grand_challenge_reads_cases_and_aggregates(ranking, tmp_path: Path) -> None:
    write_ranking(ranking, tmp_path, export="grand-challenge")
    tree = json.loads((tmp_path / "grand-challenge" / "team01" / "metrics.json").read_text("utf-8"))
    assert set(tree) == {"case", "aggregates"}
    assert np.mean(list(tree["case"]["dsc"].values())) == pytest.approx(tree["aggregates"]["DSC"])


def test_private_files_replace_public_ones(ranking, tmp_path: Path) -> None:
    from segfair.files.manifest import verify

    write_ranking(ranking, tmp_path, export="grand-challenge")
    assert verify(tmp_path) == []
    write_ranking(ranking, tmp_path, private_labels=True)
    assert verify(tmp_path) == []
    (tmp_path / "notes.txt").write_text("mine")
    write_ranking(ranking, tmp_path, private_labels=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"public", "rank.json", "challengeR.csv", "manifest.json", "notes.txt"}


def test_folders_of_others_are_left_alone(ranking, tmp_path: Path) -> None:
    (tmp_path / "leaderboard.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"leaderboard\.csv that segfair did not write"):
        write_ranking(ranking, tmp_path)
    assert (tmp_path / "leaderboard.csv").read_text() == "mine"
    audit = tmp_path / "audit"
    audit.mkdir()
    (audit / "audit.json").write_text("{}")
    with pytest.raises(ConfigError, match="holds an audit"):
        write_ranking(ranking, audit)


def test_the_same_from_tables(run_cli, ranked, challenge: Path, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    for path in (ranked[0] / "teams").glob("*.csv"):
        shutil.copy(path, tables)
    done = run_cli(
        "rank-scores", tables, challenge / "metadata.csv", "--protocol", "mama-mia", "--out", tmp_path / "out",
        "--bootstrap", 300, "--permutations", 99,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    names = file_names(board(ranked[0]))
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


def made_up(teams: dict[str, np.ndarray], normhd: dict[str, np.ndarray] | None = None, groups: str = "") -> TeamScores:
    """Scores without masks; NormHD 0.1 unless said; one attribute whose levels `groups` spells."""
    protocol = load_protocol("mama-mia")
    metrics = protocol_metrics(protocol)
    n_cases = len(next(iter(teams.values())))
    groups = groups or "bc" * n_cases
    ids = [f"P{number:03}" for number in range(n_cases)]

    def table(dsc: np.ndarray, distance: np.ndarray) -> ScoreTable:
        scores = [
            CaseScore(
                case,
                {"dsc": float(a), "hd95_vox": float(b * 150), "normhd": float(b), "volume": 9.0, "lesion_missed": 0.0},
                {"label_voxels": 9, "prediction_voxels": 9},
            )
            for case, a, b in zip(ids, dsc, distance, strict=True)
        ]
        return ScoreTable(metrics, tuple(scores))

    nothing = CaseScore("", {"dsc": 0.0, "hd95_vox": None, "normhd": 1.0, "volume": 9.0, "lesion_missed": 1.0})
    distances = {team: np.full(n_cases, 0.1) for team in teams} | (normhd or {})
    return TeamScores(
        Cohort(
            tuple(Case(case, metadata={"breast_density": group}) for case, group in zip(ids, groups, strict=False)),
            columns=("breast_density",),
        ),
        {team: table(dsc, distances[team]) for team, dsc in teams.items()},
        ScoreTable(metrics, tuple([nothing] * n_cases)),
        {},
    )


def noise(seed: int, n_cases: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.05, n_cases)


def test_a_team_that_is_better_everywhere_wins() -> None:
    base = 0.7 + noise(0)
    ranking = rank_scored(made_up({"good": base + 0.1, "poor": base}), CONFIG)
    assert ranking.verdict.winner == "good"
    assert ranking.standings[0].first == 1.0
    assert "good wins" in ranking.verdict.sentence
    assert ranking.verdict.reasons == ()


def test_chance_alone_declares_no_winner() -> None:
    ranking = rank_scored(made_up({"one": 0.7 + noise(1), "two": 0.7 + noise(2)}), CONFIG)
    assert ranking.verdict.winner is None
    assert "chance" in {reason.kind for reason in ranking.verdict.reasons}


def test_equal_teams_share_the_place_and_are_named() -> None:
    base = 0.7 + noise(3)
    ranking = rank_scored(made_up({"a": base, "b": base, "c": base - 0.2}), CONFIG)
    assert [entry.rank for entry in ranking.standings] == [1, 1, 3]
    assert ranking.verdict.reasons[0].kind == "tie"
    assert [alert.text for alert in ranking.alerts if alert.kind == "equal"] == [
        "a, b have the same scores in every case."
    ]


def test_one_patient_and_the_definition_decide_and_are_said_first() -> None:
    """The only case of a density class is far off for one team: clipped or without it, that team is first."""
    base = 0.7 + noise(4)
    groups = "a" + "bc" * 29 + "b"
    far = np.full(60, 0.1)
    far[0] = 2.5
    ranking = rank_scored(made_up({"steady": base, "better": base + 0.1}, {"better": far}, groups), CONFIG)
    assert ranking.leaders == ("steady",)
    assert ranking.verdict.winner is None
    kinds = [reason.kind for reason in ranking.verdict.reasons]
    patient = next(reason for reason in ranking.verdict.reasons if reason.kind == "patient")
    assert "without case P000 (the only one with breast_density = a) better is first" in patient.text
    assert "P000" not in patient.private
    assert "breast_density" not in patient.private
    assert kinds.index("levels") < kinds.index("patient"), "the rule for small groups is named as well"
    first = ranking.left_out[0]
    assert (first.cases, first.first, first.rare) == (("P000",), ("better",), (("breast_density", "a", 1),))
    assert ranking.n_changing_first == 1


def test_a_patient_without_whom_there_is_no_score_decides_nothing() -> None:
    """Ten cases of one density class are as few as count: without any one of them nothing is left to compare."""
    base = 0.7 + noise(0)
    groups = "b" * 50 + "c" * 10
    even, uneven = base + 0.1, base + np.where(np.arange(60) < 50, 0.0, -0.3)
    scores = made_up({"even": even, "uneven": uneven}, groups=groups)
    protocol = dataclasses.replace(
        CONFIG.protocol, fairness=dataclasses.replace(CONFIG.protocol.fairness, levels="min-cases")
    )
    config = dataclasses.replace(CONFIG, protocol=protocol, min_cases=10)
    ranking = rank_scored(scores, config, by="FS")
    assert [(entry.team, entry.rank, entry.without_one) for entry in ranking.standings] == [
        ("even", 1, (1, 1)),
        ("uneven", 2, (2, 2)),
    ]
    assert (ranking.left_out, ranking.n_patients) == ((), 50)
    assert "patient" not in {reason.kind for reason in ranking.verdict.reasons}
    (text,) = [alert.text for alert in ranking.alerts if alert.kind == "undefined"]
    assert text.startswith("10 patients could not be left out in turn")
    assert "there is no FS" in text


def test_clipping_that_turns_the_order_is_said() -> None:
    base = np.full(60, 0.7)
    far = np.full(60, 0.0)
    far[::10] = 3.0  # clipped: mean 0.1; not clipped: 0.3
    ranking = rank_scored(
        made_up({"smooth": base, "wild": base}, {"smooth": np.full(60, 0.2), "wild": far}), CONFIG, by="PS"
    )
    assert ranking.leaders == ("smooth",)
    assert ranking.verdict.reasons[0].kind == "definition"
    assert ranking.verdict.reasons[0].text == "with NormHD in voxels, clipped wild is first, not smooth"
    assert ranking.standings[1].ranks == {"NormHD in voxels, clipped": 1}


def test_scores_stand_beside_ranks_under_other_rules(tmp_path: Path) -> None:
    base = np.full(60, 0.7)
    far = np.where(np.arange(60) % 10 == 0, 3.0, 0.0)
    scores = made_up({"smooth": base, "wild": base}, {"smooth": np.full(60, 0.2), "wild": far})
    ranking = rank_scored(scores, CONFIG, by="PS")
    rule = "NormHD in voxels, clipped"
    # PS = (DSC + 1 - NormHD) / 2: NormHD of "wild" is 0.3 as it is, 0.1 clipped.
    assert {entry.team: entry.value for entry in ranking.standings} == pytest.approx({"smooth": 0.75, "wild": 0.7})
    assert [entry.values for entry in ranking.standings] == [{rule: pytest.approx(0.75)}, {rule: pytest.approx(0.8)}]
    write_ranking(ranking, tmp_path)
    table = ranks_table(ranking)
    assert table is not None
    declared, clipped = ([(row[place]["text"], row[place]["sub"]) for row in table["rows"]] for place in (1, 2))
    assert declared == [("1", "0.7500"), ("2", "0.7000")]
    assert clipped == [("2 ↓1", "0.7500"), ("1 ↑1", "0.8000")]
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row[f"PS: {rule}"]) for row in rows[:2]] == pytest.approx([0.75, 0.8])
    teams = json.loads((tmp_path / "rank.json").read_text("utf-8"))["teams"]
    assert [team["values"][rule] for team in teams] == pytest.approx([0.75, 0.8])
    page = (tmp_path / "teams" / "wild.html").read_text("utf-8")
    assert "0.8000" in page
    assert "no patient and no level is ever dropped" in page


def test_the_score_of_a_metric_keeps_its_direction_under_another_rule() -> None:
    far = np.where(np.arange(60) % 10 == 0, 3.0, 0.0)
    scores = made_up({"a": np.full(60, 0.7), "b": np.full(60, 0.7)}, {"a": np.full(60, 0.2), "b": far})
    ranking = rank_scored(scores, CONFIG, by="normhd")
    assert [(entry.team, entry.value) for entry in ranking.standings] == [
        ("a", pytest.approx(0.2)),
        ("b", pytest.approx(0.3)),
    ]
    assert ranking.standings[1].values == {"NormHD in voxels, clipped": pytest.approx(0.1)}


def test_no_alert_is_shown_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    said, also = Alert("small", "said"), Alert("empty", "also said")
    monkeypatch.setattr(segfair.rank.procedure, "_alerts", lambda *_: (said, also, said))
    ranking = rank_scored(made_up({"x": np.full(60, 0.7), "y": np.full(60, 0.6)}), CONFIG, by="dsc")
    assert ranking.alerts == (said, also)


def test_nobody_wins_below_empty_masks() -> None:
    """Poor and unfair: doing nothing has the better total score."""
    groups = "bc" * 30
    dsc = np.tile([0.0, 0.3], 30)
    far = np.tile([1.0, 0.7], 30)
    ranking = rank_scored(made_up({"x": dsc, "y": dsc * 0.5}, {"x": far, "y": np.ones(60)}, groups), CONFIG)
    assert ranking.standings[0].value < ranking.baseline.value == 0.5
    assert ranking.baseline.n_worse == 2
    assert ranking.verdict.winner is None
    assert ranking.verdict.reasons[0].kind == "baseline"


def test_a_single_team_has_nothing_to_win() -> None:
    ranking = rank_scored(made_up({"only": 0.7 + noise(5)}), CONFIG)
    assert ranking.verdict.winner is None
    assert "only team" in ranking.verdict.sentence
    assert ranking.standings[0].first == 1.0


def test_learned_bins_and_unknown_scores_are_refused() -> None:
    scores = made_up({"only": 0.7 + noise(6)})
    with pytest.raises(ConfigError, match="learned bins"):
        rank_scored(scores, AuditConfig(CONFIG.protocol, bins={"breast_density": "tree"}))
    with pytest.raises(ConfigError, match="no higher or lower value of it is better"):
        rank_scored(scores, CONFIG, by="volume")


def test_a_team_without_any_usable_file_is_ranked_and_named(challenge: Path, tmp_path: Path) -> None:
    teams = tmp_path / "teams"
    (teams / "nested" / "inside").mkdir(parents=True)
    shutil.copy(challenge / "teams" / "team01" / "QX000Z.nii", teams / "nested" / "inside")
    shutil.copytree(challenge / "teams" / "team01", teams / "usable")
    (teams / "foreign").mkdir()
    shutil.copy(challenge / "teams" / "team01" / "QX000Z.nii", teams / "foreign" / "other.nii")
    cohort, found = load_teams(teams, challenge / "labels", challenge / "metadata.csv")
    assert [bool(team.problem) for team in found] == [True, True, False]
    ranking = run_ranking(cohort, found, CONFIG)
    assert [entry.n_missing for entry in ranking.standings if entry.team != "usable"] == [39, 39]
    problems = [alert.text for alert in ranking.alerts if alert.kind == "problem"]
    assert len(problems) == 2
    page = write_ranking(ranking, tmp_path / "out", private_labels=True)
    assert "QX000Z" not in page.read_text("utf-8"), "what a folder holds is not published"
    assert "nested: no prediction could be used." in page.read_text("utf-8")


def test_wrong_folders_are_refused(challenge: Path, tmp_path: Path) -> None:
    labels, metadata = challenge / "labels", challenge / "metadata.csv"
    with pytest.raises(InputError, match="does not exist"):
        load_teams(tmp_path / "gone", labels, metadata)
    with pytest.raises(InputError, match="put each team's masks into a folder of its own"):
        load_teams(challenge / "teams" / "team01", labels, metadata)
    few = tmp_path / "few" / "team"
    few.mkdir(parents=True)
    shutil.copy(challenge / "teams" / "team01" / "QX000Z.nii", few)
    with pytest.raises(PairingError, match="39 of 40 labels"):
        load_teams(tmp_path / "few", labels, metadata)
    chosen = tmp_path / "cases.txt"
    chosen.write_text("QX000Z\n")
    cohort, teams = load_teams(tmp_path / "few", labels, metadata, cases=str(chosen))
    assert (cohort.ids, len(teams)) == (("QX000Z",), 1)


def test_strict_stops_at_the_first_unusable_file(challenge: Path) -> None:
    cohort, teams = load_teams(*arguments(challenge))
    with pytest.raises(InputError, match="team corrupt, case QX004Z"):
        run_ranking(cohort, teams, AuditConfig(CONFIG.protocol, strict=True))


@pytest.mark.parametrize("command", ["rank", "rank-scores"])
def test_help_has_an_example(run_cli, command: str) -> None:
    done = run_cli(command, "--help")
    assert done.returncode == 0
    assert f"Example: segfair {command}" in " ".join(done.stdout.split())


def test_file_names_differ_for_every_team() -> None:
    found = file_names(["a b", "a/b", "A-B", "..", "日本", "x" * 200])
    assert len({name.casefold() for name in found.values()}) == 6
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,63}", name) for name in found.values())


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
