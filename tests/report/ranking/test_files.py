"""The files of a ranking: complete, exported, replaced, and nothing of others touched."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.rank_fixtures import HOSTILE, board, rows

from segfair.errors import ConfigError
from segfair.report.ranking.files import write_ranking


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
