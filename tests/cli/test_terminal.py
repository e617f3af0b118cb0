"""What stands on a terminal of 80 columns, and what does not: read from a pseudo-terminal, as a user sees it."""

from __future__ import annotations

import dataclasses
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pytest

from segfair.cli.app import LISTED, main
from segfair.cli.options import RankOptions, Saying
from segfair.cli.terminal.results import write_ranking
from segfair.cli.terminal.voice import Voice, duration
from segfair.rank.result import Reason, Verdict

WIDTH = 80
QUICK = ("--permutations", 199, "--bootstrap", 100, "--workers", 1)
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\]8;[^\x1b]*\x1b\\")
COLOUR = re.compile(r"\x1b\[(?:\d;)*(?:3[0-7]|9[0-7])m")


def watch(*words: object, **environment: str) -> tuple[int, str]:
    """Exit code and everything that a terminal of 80 columns and 24 lines received."""
    process, channel = pty.fork()
    if process == 0:
        ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
        kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "LINES")}
        environment = {**kept, "TERM": "xterm-256color", **environment}
        os.execve(sys.executable, [sys.executable, "-m", "segfair", *map(str, words)], environment)
    received = b""
    try:
        while part := os.read(channel, 65536):
            received += part
    except OSError:  # Linux says so that the other side has closed
        pass
    os.close(channel)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), received.decode("utf-8")


def plain(text: str) -> str:
    """What a reader sees of it."""
    return ESCAPES.sub("", text).replace("\r", "")


@pytest.fixture(scope="module")
def report(phantom_cohort: Path, call_cli, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("terminal") / "report"
    masks = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    assert call_cli("audit", *masks, "--out", out, *QUICK).returncode == 0
    return out


def test_an_audit_shows_its_verdict_findings_scores_and_files(phantom_cohort: Path, tmp_path: Path) -> None:
    masks = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    code, raw = watch("audit", *masks, "--out", tmp_path / "out", *QUICK, "--gate", "DSC >= 0.99")
    said = plain(raw)
    assert code == 1
    assert re.search(r"\x1b\[1;31mDisparity found:", raw), "bold and red"
    assert re.search(r"\x1b\[1;31mfail", raw)
    assert "Findings (DSC)" in said and "breast_density = d" in said
    assert re.search(r"FS 0\.\d{4} \(chance 0\.\d{3}\)", said), "FS never stands without its chance level"
    assert "\x1b]8;id=" in raw and (tmp_path / "out" / "report.html").as_uri() in raw
    assert re.search(r"took \d+\.\d s", said)
    assert "60/60" in said and "left" in said, "progress"
    # Carriage returns belong to the bar, which is gone at the end.
    assert max(len(line) for line in said.splitlines() if "60/60" not in line and "tmp" not in line) <= WIDTH


def test_no_colour_where_none_is_wanted(report: Path) -> None:
    coloured, without = (watch("gate", report, "--gate", "DSC >= 0.99", **env)[1] for env in ({}, {"NO_COLOR": "1"}))
    assert COLOUR.search(coloured)
    assert not COLOUR.search(without)
    assert plain(coloured).split("took")[0] == plain(without).split("took")[0], "colour says nothing alone"


def test_nothing_but_lines_where_nobody_looks_on(report: Path, run_cli) -> None:
    """Not even where the environment wants colours: scripts parse these lines."""
    done = subprocess.run(
        [sys.executable, "-m", "segfair", "gate", report, "--gate", "DSC >= 0.99"],
        capture_output=True, text=True, check=False, env={**os.environ, "FORCE_COLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.startswith("fail       DSC >= 0.99: DSC is 0.") and "\x1b" not in done.stdout


def test_compare_and_rank_show_tables(report: Path, tmp_path: Path, phantom_cohort: Path) -> None:
    code, raw = watch("compare", report, report, "--names", "old,new", "--out", tmp_path / "comparison")
    assert code == 0 and re.search(r"Score +Before +After +Change", plain(raw))
    teams = tmp_path / "teams"
    teams.mkdir()
    for team in ("first", "a team whose name is longer than the place that there is for it"):
        (teams / f"{team}.csv").write_bytes((report / "cases.csv").read_bytes())
    metadata = phantom_cohort / "metadata.csv"
    code, raw = watch("rank-scores", teams, metadata, "--out", tmp_path / "ranking", *QUICK[:4])
    board = plain(raw).partition("Ranked by TS")[2]
    assert code == 0 and re.search(r"Rank +Team +TS +PS +FS +DSC +Ranks 95 % +First", board)
    assert "Empty masks" in board
    assert max(map(len, board.partition("leaderboard")[0].splitlines())) <= WIDTH


def test_quiet_says_nothing(report: Path, call_cli) -> None:
    done = call_cli("gate", report, "--gate", "DSC >= 0.99", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert watch("gate", report, "--gate", "DSC >= 0.99", "--quiet") == (1, "")


def test_json_is_one_object_and_the_rest_goes_to_stderr(report: Path, call_cli, tmp_path: Path) -> None:
    done = call_cli("report", report, "--out", tmp_path / "again", "--json")
    told, audit = json.loads(done.stdout), json.loads((report / "audit.json").read_text("utf-8"))
    assert (told["command"], told["exit_code"], done.returncode) == ("report", 0, 0)
    assert told["verdict"] == {name: audit["verdict"][name] for name in ("kind", "sentence")}
    assert told["scores"] == {name: score["value"] for name, score in audit["scores"].items()}
    assert told["cases"] == {"n_scored": 60, "n_penalised": 0, "n_excluded": 0}
    assert told["findings"][0]["items"] == audit["findings"][0]["items"]
    assert told["files"]["report"] == str(tmp_path / "again" / "report.html")
    assert "60 masks" in done.stderr


@pytest.mark.parametrize("quiet", [(), ("--quiet",)])
def test_json_of_a_gate_that_fails_and_of_a_refusal(report: Path, call_cli, tmp_path: Path, quiet) -> None:
    done = call_cli("gate", report, "--gate", "DSC >= 0.99", "--json", *quiet)
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"], told["gates"][0]["state"]) == (1, 1, "fail")
    refused = call_cli("gate", tmp_path, "--json", *quiet)
    told = json.loads(refused.stdout)
    assert (refused.returncode, told["exit_code"]) == (2, 2)
    assert told["error"] in refused.stderr and "no audit.json in this folder" in told["error"]


def test_a_folder_is_taken_where_its_audit_is_meant(report: Path, call_cli, tmp_path: Path) -> None:
    for command in (["gate", report, "--gate", "FS >= 0.1"], ["card", report], ["report", report, "--out", tmp_path]):
        by_folder = call_cli(*command)
        by_file = call_cli(*(word / "audit.json" if word == report else word for word in command))
        assert by_folder.returncode == 0, by_folder.stderr
        assert by_folder.stdout == by_file.stdout
    assert call_cli("verify", report / "audit.json").stdout == call_cli("verify", report).stdout
    missed = call_cli("gate", report.parent / "reprt")
    assert missed.returncode == 2 and "did you mean report?" in missed.stderr


@pytest.mark.parametrize("command", ["", *LISTED])
def test_help_is_about_one_screen(command: str, call_cli, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setattr("sys.argv", ["segfair", *command.split(), "--help"])
    with pytest.raises(SystemExit):
        main()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 42
    assert max(map(len, lines)) <= WIDTH


@pytest.mark.parametrize("command", ["audit", "audit-scores", "rank", "rank-scores", "power", "mitigate"])
def test_what_help_does_not_explain_it_lists(command: str, call_cli) -> None:
    short, long = (call_cli(command, flag).stdout for flag in ("--help", "--help-all"))
    assert "More, explained by --help-all" in short
    options = set(re.findall(r"--[a-z][a-z0-9-]+", long))
    assert {"--help-all", "--debug", "--seed"} <= options
    assert options - set(re.findall(r"--[a-z][a-z0-9-]+", short)) <= {"--no-compile", "--no-amp"}
    assert len(long.splitlines()) > len(short.splitlines())


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--versoin"], "--version"),
        (["audit", "a", "b", "c", "--protocl", "x"], "--protocol"),
        (["gate", "a", "--gates", "x"], "--gate"),
        (["power", "a", "--gapp=2"], "--gap"),
    ],
)
def test_a_mistyped_option_gets_a_hint(words: list[str], meant: str, call_cli) -> None:
    done = call_cli(*words)
    assert done.returncode == 2
    assert f"Did you mean '{meant}'?" in done.stderr


def test_bash_completes_commands_options_and_choices() -> None:
    def complete(*words: str) -> list[str]:
        settings = {
            "_SEGFAIR_COMPLETE": "complete_bash",
            "COMP_WORDS": "\n".join(words),
            "COMP_CWORD": str(len(words) - 1),
        }
        code = "import sys; sys.argv = ['segfair']; from segfair.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, **settings}
        )
        return done.stdout.split()

    assert complete("segfair", "comp") == ["compare"]
    assert complete("segfair", "audit", "--prot") == ["--protocol"]
    assert complete("segfair", "audit", "--missing-prediction", "") == ["worst", "drop", "error"]


def test_a_locale_without_a_minus_sign_loses_nothing(report: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "segfair", "report", report, "--out", report.parent / "latin"],
        capture_output=True, check=False, env={**os.environ, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"(difference ?0." in done.stdout


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (4.24, "4.2 s"),
        (59.96, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(seconds: float, said: str) -> None:
    assert duration(seconds) == said


@pytest.mark.parametrize("private", [False, True])
def test_the_answer_of_a_private_ranking_names_no_case(ranking, tmp_path: Path, capsys, private: bool) -> None:
    """It is what gets pasted into a mail."""
    reason = Reason("patient", "patient P007 decides alone", "one patient decides alone")
    verdict = Verdict(None, "No winner can be declared: patient P007 decides alone.", (reason,))
    options = RankOptions(out=tmp_path / "out", private_labels=private)
    write_ranking(dataclasses.replace(ranking, verdict=verdict), options, Voice("rank", Saying()))
    sentence = capsys.readouterr().out.splitlines()[-2]
    assert sentence.startswith("No winner can be declared")
    assert ("P007" in sentence) is not private


def test_what_cannot_be_meant_is_told_before_anything_is_scored(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    given = ["audit", *(phantom_cohort / name for name in ("preds", "labels", "metadata.csv"))]
    (tmp_path / "file").touch()
    for options, told in (
        (["--attributes", "age_grup"], "no such column in the metadata (did you mean age_group?); columns are"),
        (["--bins", "agee=0,50,99"], "bins agee: no such column in the metadata (did you mean age"),
        (["--out", tmp_path / "file"], "is a file; name a folder"),
        (["--figures", "gif"], "'gif' is not one of 'svg', 'png', 'pdf'"),
    ):
        done = call_cli(*given, "--cache", tmp_path / "cache", *options)
        assert done.returncode == 2 and told in " ".join(done.stderr.split()), done.stderr
        assert "Value error" not in done.stderr
        assert not (tmp_path / "cache").exists(), "nothing was scored"
