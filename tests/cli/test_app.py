"""The command line as a whole: its version, its help, and how errors become exit codes."""

from __future__ import annotations

import errno
from importlib import import_module

import pytest

from segfair.cli.app import LISTED, app, load_command
from segfair.errors import ConfigError


def test_version(run_cli) -> None:
    assert run_cli("--version").stdout.startswith("segfair 0.")


@pytest.mark.parametrize("name", LISTED)
def test_a_command_is_listed_as_it_describes_itself(name: str) -> None:
    command = load_command(name)
    assert command.name == name
    assert command.help.splitlines()[0] == LISTED[name].help


def test_no_command_is_left_out() -> None:
    for name in LISTED:
        load_command(name)
    assert len(app.registered_commands) == len(LISTED)


def test_a_slip_of_the_pen_gets_a_hint(call_cli) -> None:
    done = call_cli("adit")
    assert done.returncode == 2
    assert "No such command 'adit'. Did you mean 'audit'?" in done.stderr


@pytest.mark.parametrize("command", LISTED)
def test_every_command_has_help_with_an_example(call_cli, command: str) -> None:
    done = call_cli(command, "--help")
    assert done.returncode == 0
    assert f"Example: segfair {command}" in " ".join(done.stdout.split())


def test_help_lists_every_command_in_a_panel(call_cli) -> None:
    said = call_cli("--help").stdout
    assert all(f" {name} " in said for name in LISTED)
    panels = [said.index(f" {panel} ") for panel in ("Audit", "Rank", "Try it out", "Mitigate")]
    assert panels == sorted(panels)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ConfigError("--x: no"), 2, "segfair: --x: no"),
        (KeyboardInterrupt(), 130, ""),  # typer catches it before `main` can say a word
        (RuntimeError("can't start new thread"), 2, "segfair: no further process or thread may be begun; allow more"),
        (BlockingIOError(errno.EAGAIN, "x"), 2, "segfair: no further process or thread may be begun; allow more"),
        (ZeroDivisionError("by 0"), 70, "segfair: internal error: ZeroDivisionError: by 0; run again with --debug"),
    ],
)
def test_errors_become_exit_codes(call_cli, monkeypatch: pytest.MonkeyPatch, error, code: int, said: str) -> None:
    def fail(_: str) -> None:
        raise error

    monkeypatch.setattr("segfair.protocol.rules.load_protocol", fail)
    done = call_cli("protocol", "default")
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("limit", "code"), [(2_000_000_000, 2), (None, 70)])
def test_an_extension_that_got_no_memory_is_told_from_a_fault(
    call_cli, monkeypatch, limit: int | None, code: int
) -> None:
    def fail(_: str) -> None:
        raise SystemError("error return without exception set")

    monkeypatch.setattr("segfair.protocol.rules.load_protocol", fail)
    monkeypatch.setattr(import_module("segfair.cli.app"), "memory_limit", lambda: limit)
    done = call_cli("protocol", "default")
    assert done.returncode == code
    assert ("not enough memory" in done.stderr) == (code == 2), done.stderr


def test_debug_shows_where_it_happened(run_cli) -> None:
    done = run_cli("protocol", "mama", "--debug")
    assert "Traceback" in done.stderr
