"""`--cache`, `--no-cache` and `--workers`: what is said, what is shared, and that no report depends on any of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from segfair.files.images.masks import read_mask, write_mask

QUICK = ("--attributes", "age_group,menopause", "--permutations", 99, "--bootstrap", 100)


@pytest.fixture
def cohort(phantom_cohort: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(phantom_cohort, tmp_path / "cohort"))


def audit(call_cli, cohort: Path, out: Path, *options: object) -> str:
    done = call_cli(
        "audit", cohort / "preds", cohort / "labels", cohort / "metadata.csv", "--out", out, *QUICK, *options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def change(path: Path) -> None:
    mask = read_mask(path)
    write_mask(path, np.roll(mask.array, 1, axis=0), affine=mask.affine)


def test_a_second_run_scores_what_changed_and_says_so(call_cli, cohort: Path, tmp_path: Path) -> None:
    out, kept = tmp_path / "report", tmp_path / ".segfair-cache"
    assert f"scored 60 of 60 cases, 0 from the cache {kept}\n" in audit(call_cli, cohort, out)
    for path in sorted((cohort / "preds").iterdir())[:10]:
        change(path)
    assert f"scored 10 of 60 cases, 50 from the cache {kept}\n" in audit(call_cli, cohort, out)
    cached = (out / "audit.json").read_bytes()
    said = audit(call_cli, cohort, out, "--no-cache")
    assert "cache" not in said
    assert (out / "audit.json").read_bytes() == cached


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded")
def test_the_report_does_not_depend_on_the_number_of_workers(call_cli, cohort: Path, tmp_path: Path) -> None:
    found = set()
    for workers in (1, 2, 5):
        audit(call_cli, cohort, tmp_path / "report", "--no-cache", "--workers", workers)
        found.add((tmp_path / "report" / "audit.json").read_bytes())
    assert len(found) == 1
    assert not (tmp_path / ".segfair-cache").exists()


def test_an_audit_and_a_ranking_share_what_they_score(call_cli, cohort: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    audit(call_cli, cohort, tmp_path / "report", "--cache", kept)
    for team in ("aurora", "borealis"):
        shutil.copytree(cohort / "preds", tmp_path / "teams" / team)
    for path in sorted((tmp_path / "teams" / "borealis").iterdir())[:7]:
        change(path)
    ranking = (
        *("rank", tmp_path / "teams", cohort / "labels", cohort / "metadata.csv", "--out", tmp_path / "ranking"),
        *(*QUICK, "--private-labels"),
    )
    first, second = (call_cli(*ranking, "--cache", kept).stdout for _ in range(2))
    assert f"scored 7 of 120 predictions, 113 from the cache {kept}\n" in first
    assert f"scored 0 of 120 predictions, 120 from the cache {kept}\n" in second
    cached = (tmp_path / "ranking" / "rank.json").read_bytes()
    call_cli(*ranking, "--no-cache")
    assert (tmp_path / "ranking" / "rank.json").read_bytes() == cached


def test_second_labels_are_kept_as_well(call_cli, cohort: Path, tmp_path: Path) -> None:
    second = shutil.copytree(cohort / "labels", tmp_path / "second")
    for path in sorted(second.iterdir())[:5]:
        change(path)
    out = tmp_path / "report"
    # Of 60 predictions against each set of labels, 55 pairs are the same files; so are none of the 60 pairs of labels.
    assert "scored 125 of 180 pairs of masks, 55 from" in audit(call_cli, cohort, out, "--labels2", second)
    first = (out / "audit.json").read_bytes()
    assert "scored 0 of 180 pairs of masks, 180 from" in audit(call_cli, cohort, out, "--labels2", second)
    assert (out / "audit.json").read_bytes() == first


def test_a_cache_that_cannot_be_written_is_a_notice(call_cli, cohort: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    said = audit(call_cli, cohort, tmp_path / "report", "--cache", tmp_path / "file")
    assert "new scores are not kept, for it cannot be written" in said


def test_contradicting_options_stop_with_a_sentence(call_cli, cohort: Path, tmp_path: Path) -> None:
    done = call_cli(
        *("audit", cohort / "preds", cohort / "labels", cohort / "metadata.csv"), "--cache", "x", "--no-cache"
    )
    assert done.returncode == 2
    assert "--cache x: contradicts --no-cache; leave out one of them" in done.stderr
