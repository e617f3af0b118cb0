"""What was audited is named on every page, and the summary comes in a language and as PDF, as a user asks for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.score_fixtures import write_tables

QUICK = ("--permutations", 99, "--bootstrap", 100)
NAMES = ("--model", "nnU-Net 2.1", "--cohort", "MAMA-MIA")


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_tables(tmp_path_factory.mktemp("tables"), n=90, gap=0.3)


@pytest.fixture(scope="module")
def audited(call_cli, tables: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("named") / "out"
    done = call_cli("audit-scores", *tables, *QUICK, *NAMES, "--language", "de", "--pdf", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "nnU-Net 2.1 · MAMA-MIA: 90 cases scored" in done.stdout
    assert f"summary: {out / 'summary.html'}" in done.stdout
    return out


def page(folder: Path, name: str = "report.html") -> str:
    return (folder / name).read_text("utf-8")


def test_a_name_stands_in_title_heading_and_printed_foot(audited: Path) -> None:
    html = page(audited)
    name = "nnU-Net 2.1 · MAMA-MIA: segmentation audit by subgroup"
    assert f"<title>{name}</title>" in html
    assert f"<h1>{name}</h1>" in html
    assert r'@bottom-left { content: "nnU\2d Net\20 2\2e 1\20 \b7 \20 MAMA\2d MIA\3a ' in html
    record = json.loads(page(audited, "audit.json"))["record"]
    assert record == {"model": "nnU-Net 2.1", "cohort": "MAMA-MIA"}


def test_the_summary_is_in_the_language_that_was_asked_for(audited: Path) -> None:
    html = page(audited, "summary.html")
    assert '<html lang="de">' in html
    assert "Ein Unterschied wurde gefunden" in html
    assert (audited / "summary.pdf").read_bytes().startswith(b"%PDF")


def test_a_report_that_is_drawn_again_keeps_the_names_or_takes_others(call_cli, audited: Path, tmp_path: Path) -> None:
    assert call_cli("report", audited, "--out", tmp_path / "kept").returncode == 0
    assert "<h1>nnU-Net 2.1 · MAMA-MIA: " in page(tmp_path / "kept")
    assert "A difference was found" in page(tmp_path / "kept", "summary.html")
    assert not (tmp_path / "kept" / "summary.pdf").exists()
    done = call_cli("report", audited, "--title", "Site audit", "--model", "other", "--out", tmp_path / "other")
    assert done.returncode == 0
    assert "<h1>Site audit: segmentation audit by subgroup</h1>" in page(tmp_path / "other")
    record = json.loads(page(tmp_path / "other", "audit.json"))["record"]
    assert record == {"title": "Site audit", "model": "other", "cohort": "MAMA-MIA"}


def test_a_record_in_this_folder_is_read_and_said_to_be(
    call_cli, tables: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study.toml").write_text('model = "net"\ncohort = "old"\nrole = "radiologist"\n')
    (tmp_path / "other.toml").write_text('model = "asked for"\n')
    monkeypatch.chdir(tmp_path)
    done = call_cli("audit-scores", *tables, *QUICK, "--cohort", "new", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "about the study: study.toml of this folder" in done.stdout
    assert "net · new: 90 cases scored" in done.stdout
    assert "radiologist" in page(Path("out"), "summary.html")
    done = call_cli("audit-scores", *tables, *QUICK, "--record", "other.toml", "--out", "out")
    assert "of this folder" not in done.stdout
    assert "asked for: 90 cases scored" in done.stdout


def test_without_a_name_pages_are_called_what_they_are(
    call_cli, tables: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = call_cli("audit-scores", *tables, *QUICK, "--json", "--out", "out")
    answer = json.loads(done.stdout)
    assert answer["name"] == ""
    assert answer["files"]["summary"] == "out/summary.html"
    assert "<h1>Segmentation audit by subgroup</h1>" in page(Path("out"))
    assert not Path("out", "model-card.md").exists()


def test_a_comparison_and_a_ranking_can_be_called_something(
    call_cli, audited: Path, tables: tuple[Path, Path], tmp_path: Path
) -> None:
    done = call_cli("compare", audited, audited, "--title", "Old & new", "--out", tmp_path / "compared")
    assert done.returncode == 0, done.stderr
    assert "<h1>Old &amp; new: segmentation audits compared by subgroup</h1>" in page(
        tmp_path / "compared", "comparison.html"
    )
    (tmp_path / "teams").mkdir()
    for team in "ab":
        (tmp_path / "teams" / f"{team}.csv").write_bytes(tables[0].read_bytes())
    done = call_cli(
        "rank-scores",
        tmp_path / "teams",
        tables[1],
        "--by",
        "dsc",
        *QUICK,
        "--title",
        "Spring",
        "--out",
        tmp_path / "r",
    )
    assert done.returncode == 0, done.stderr
    assert "<h1>Spring: ranking of 2 teams</h1>" in page(tmp_path / "r", "leaderboard.html")


def test_what_a_pdf_takes_is_told_before_anything_is_read(
    call_cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    done = call_cli("audit-scores", tmp_path / "gone.csv", tmp_path / "gone.csv", "--pdf", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "pip install 'segfair[pdf]'" in done.stderr
    assert "gone.csv" not in done.stderr
