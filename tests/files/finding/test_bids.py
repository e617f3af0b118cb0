"""The tables of BIDS: participants, and the sessions of each."""

from __future__ import annotations

from pathlib import Path

from segfair.files.finding.bids import participants_of, with_sessions

CASES = ["sub-01_ses-1_mask", "sub-01_ses-2_mask", "sub-02_ses-1_mask", "sub-03_mask"]


def participants(root: Path) -> Path:
    path = root / "participants.tsv"
    path.write_text("participant_id\tsex\tage\nsub-01\tF\t50\nsub-02\tM\t60\n")
    return path


def test_without_sessions_there_is_nothing_to_join(tmp_path: Path) -> None:
    assert with_sessions(participants(tmp_path), CASES) is None


def test_a_session_says_more_of_its_cases(tmp_path: Path) -> None:
    path = participants(tmp_path)
    (tmp_path / "sub-01").mkdir()
    (tmp_path / "sub-01" / "sub-01_sessions.tsv").write_text(
        "session_id\tscanner\tage\nses-1\tA\tn/a\nses-2\tB\t52\n", "utf-8"
    )
    table = with_sessions(path, CASES)
    assert table is not None
    assert table.column("case") == CASES[:3], "a case of which nothing is known has no row"
    assert table.column("sex") == ["F", "F", "M"]
    assert table.column("scanner") == ["A", "B", None]
    assert table.column("participant_id") == ["sub-01", "sub-01", "sub-02"]


def test_one_table_of_all_sessions(tmp_path: Path) -> None:
    path = participants(tmp_path)
    (tmp_path / "sessions.tsv").write_text("participant_id\tsession_id\tage\nsub-01\tses-01\t51\nsub-2\t1\t61\n")
    table = with_sessions(path, CASES)
    assert table is not None
    assert table.column("age") == [51, 50, 61], "the session's own age, else the participant's"


def test_participants_lie_above_derivatives(tmp_path: Path) -> None:
    deep = tmp_path / "derivatives" / "unet"
    deep.mkdir(parents=True)
    assert participants_of(deep) is None
    path = participants(tmp_path)
    assert participants_of(deep) == participants_of(tmp_path) == path
