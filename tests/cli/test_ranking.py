"""`rank` and `rank-scores` on the terminal: audits of the teams, what to type next, and nothing that is private."""

from __future__ import annotations

from pathlib import Path

from tests.rank_fixtures import BROKEN_LABEL, CASES, arguments

QUICK = ("--protocol", "mama-mia", "--bootstrap", 100, "--permutations", 99)


def test_what_to_type_next_is_said_before_the_answer(ranked) -> None:
    out, done = ranked
    *_, audits, compared, sentence, page = done.stdout.splitlines()
    assert sentence.startswith("No winner can be declared") and page == f"leaderboard: {out / 'leaderboard.html'}"
    assert audits == "an audit of each team: the same command with --audits"
    assert compared.startswith("two teams compared: segfair compare ") and f"{out}:team01" in compared
    assert not any(path.is_dir() for path in (out / "teams").iterdir()), "audits are written where they are asked for"


def test_a_teams_audit_verifies_and_goes_with_the_ranking(call_cli, challenge: Path, tmp_path: Path) -> None:
    metadata = arguments(challenge)[-1]
    scores = tmp_path / "scores"
    scores.mkdir()
    for team in ("team01", "late"):
        rows = [f"{case},{0.5 + index / 200:.3f}" for index, case in enumerate(CASES)]
        (scores / f"{team}.csv").write_text("\n".join(["case,dsc", *rows]) + "\n")
    out = tmp_path / "out"
    command = ("rank-scores", scores, metadata, "--by", "dsc", *QUICK, "--out", out)
    done = call_cli(*command, "--audits")
    assert done.returncode == 0, done.stderr
    assert f"audits: {out / 'teams'}" in done.stdout and "--audits" not in done.stdout
    assert 'href="late/report.html"' in (out / "teams" / "late.html").read_text("utf-8")
    for folder in (out, out / "teams" / "late"):
        assert call_cli("verify", folder).returncode == 0
    assert call_cli(*command).returncode == 0
    assert not (out / "teams" / "late").exists(), "what is no longer asked for goes"


def test_private_labels_stay_private_on_the_terminal(call_cli, challenge: Path, tmp_path: Path) -> None:
    done = call_cli("rank", *arguments(challenge), *QUICK, "--private-labels", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert not any(case in said for case in CASES), "no case"
    assert BROKEN_LABEL not in said and "breast_density" not in said and "age_group" not in said, "no attribute"
    assert "left out for every team: 1 of the cases" in done.stdout
