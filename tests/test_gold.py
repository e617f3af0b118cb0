"""Files of earlier versions open, and say what they said (`tests/gold`)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from segfair.audit.result import AuditResult
from segfair.audit.result.schema import check_audit
from segfair.documents import read_json
from segfair.files.manifest import verify

GOLD = Path(__file__).parent / "gold"
VERSIONS = sorted(path.name for path in GOLD.iterdir() if path.is_dir())
Call = Callable[..., Any]


def tree(version: str, name: str) -> Any:
    return json.loads((GOLD / version / name).read_text("utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """Copies what a version left, so that nothing is written beside it."""

    def copied(version: str) -> Path:
        shutil.copytree(GOLD / version, tmp_path / version)
        return tmp_path / version

    return copied


def test_each_format_that_was_ever_written_is_here() -> None:
    assert {tree(version, "first/audit.json")["format"] for version in VERSIONS} == {1, 2}
    assert "1a" in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
def test_an_audit_says_what_it_said(version: str) -> None:
    before = tree(version, "first/audit.json")
    result = AuditResult.load(GOLD / version / "first" / "audit.json")
    assert result.cases.counts.n_scored == before["cases"]["n_scored"] == 16
    for name, score in before["scores"].items():
        assert result.scores[name].value == score["value"], name
    for name, rows in before["subgroups"].items():
        assert [(dict(row.subgroup.items), row.n, row.mean) for row in result.subgroups[name]] == [
            (row["items"], row["n"], row["mean"]) for row in rows
        ]
    assert result.verdict.sentence == before["verdict"]["sentence"]
    assert [list(row) for row in result.cases.scores.rows] == before["case_scores"]["rows"]


@pytest.mark.parametrize("version", VERSIONS)
def test_written_again_it_is_of_the_newest_format_and_valid(version: str, tmp_path: Path) -> None:
    result = AuditResult.load(GOLD / version / "first" / "audit.json")
    result.save(tmp_path / "audit.json")
    again = read_json(tmp_path / "audit.json")
    assert again["format"] == 2
    check_audit(again)
    assert AuditResult.load(tmp_path / "audit.json") == result


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_drawn_carded_gated_and_held_against_checklists(
    version: str, folder: Callable[[str], Path], tmp_path: Path, call_cli: Call
) -> None:
    audit = folder(version) / "first" / "audit.json"
    value = tree(version, "first/audit.json")["scores"]["DSC"]["value"]
    for words, code in (
        (("report", audit, "--out", tmp_path / "page"), 0),
        (("card", audit), 0),
        (("dossier", audit, "--out", tmp_path / "dossier"), 0),
        (("gate", audit, "--gate", f"DSC >= {value - 0.5}"), 0),
        (("gate", audit, "--gate", "DSC >= 0.999"), 1),
    ):
        done = call_cli(*words)
        assert done.returncode == code, (words, done.stdout, done.stderr)
    page = (tmp_path / "page" / "report.html").read_text("utf-8")
    assert f"{value:.4f}"[:5] in page


@pytest.mark.parametrize("before", VERSIONS)
@pytest.mark.parametrize("after", VERSIONS)
def test_two_audits_are_compared_whatever_wrote_them(
    before: str, after: str, folder: Callable[[str], Path], tmp_path: Path, call_cli: Call
) -> None:
    one = folder(before) / "first"
    other = (folder(after) if after != before else tmp_path / before) / "second"
    done = call_cli("compare", one / "audit.json", other / "audit.json", "--out", tmp_path / "compared")
    if "1a" in (before, after) and before != after:
        # The rules themselves had changed.
        assert done.returncode == 2 and "grid.tolerance is" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "compared" / "comparison.json").read_text("utf-8"))
    earlier = tree(before, "comparison.json")
    assert found["format"] == earlier["format"] == 1
    for score in ("PS", "FS", "TS"):
        for key in ("before", "after", "difference"):
            assert found["scores"][score][key] == earlier["scores"][score][key], (score, key)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_manifest_is_held_against_its_files(version: str, folder: Callable[[str], Path]) -> None:
    report = folder(version) / "first"
    said = verify(report)
    assert [line for line in said if not line.endswith(": missing")] == []
    assert "output report.html: missing" in said, "pages are not kept here"
    (report / "cases.csv").write_text("changed")
    assert "output cases.csv: changed" in verify(report)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_ranking_is_read_or_says_what_it_lacks(
    version: str, folder: Callable[[str], Path], tmp_path: Path, call_cli: Call
) -> None:
    """Since 30 November 2026 a ranking holds every team's scores, and two teams of it are compared."""
    ranking = folder(version)
    done = call_cli("compare", f"{ranking / 'rank.json'}:A", f"{ranking / 'rank.json'}:B", "--out", tmp_path / "teams")
    if "case_scores" in tree(version, "rank.json"):
        assert done.returncode == 0, done.stderr
    else:
        assert done.returncode == 2 and "internal error" not in done.stderr, done.stderr


@pytest.mark.parametrize("version", ["1a", "2"])
@pytest.mark.parametrize("backbone", ["unet", "segresnet", "swinunetr"])
def test_the_weights_of_a_checkpoint_fit_the_network_that_it_describes(
    version: str, backbone: str, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra mitigate")
    from segfair.mitigation.prediction.volumes import load_model

    held = tree(version, "checkpoints.json")[backbone]
    weights = {name: torch.zeros(shape) for name, shape in held["network"].items()}
    saved = {"format": 1, "epoch": 1, "network": weights, "description": held["description"], "scores": {}}
    torch.save(saved, tmp_path / "checkpoint_best.pt")
    model = load_model(tmp_path / "checkpoint_best.pt")
    assert model.window == tuple(held["description"]["window"])
    assert [region.values for region in model.preprocessing.regions.each] == [(1,)]
    assert {name: list(entry.shape) for name, entry in model.network.state_dict().items()} == held["network"]
