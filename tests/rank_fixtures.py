"""Thirty submissions on disk, and made-up scores of a few teams, for the tests of rankings and their pages."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import nibabel
import numpy as np

from segfair.audit.result import AuditConfig
from segfair.cases import Case, Cohort
from segfair.protocol.rules import load_protocol
from segfair.rank.teams import TeamScores
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


def write_challenge(root: Path) -> Path:
    """labels/, metadata.csv and teams/ with thirty teams of 40 cases."""
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
        victim = root / "teams" / "corrupt" / f"{case}.nii"
        if damage == "truncated":
            victim.write_bytes(victim.read_bytes()[:400])
        elif damage == "off grid":
            save(victim, np.ones((5, 5, 5), np.uint8))
        else:
            save(victim, np.full(SHAPE, np.nan, np.float32))
    for case in CASES:
        save(root / "teams" / "empty" / f"{case}.nii", np.zeros(SHAPE, np.uint8))
    assert len(list((root / "teams").iterdir())) == 30
    return root


def arguments(challenge: Path) -> list[Path]:
    return [challenge / "teams", challenge / "labels", challenge / "metadata.csv"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def board(out: Path) -> dict[str, dict[str, str]]:
    return {row["team"]: row for row in rows(out / "leaderboard.csv")}


def read(path: Path) -> np.ndarray:
    return np.asarray(nibabel.load(path).dataobj)


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
