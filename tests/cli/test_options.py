"""Options: shared settings become options in place and come back nested; what help lists, and in which order."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field

import pytest
import typer

from segfair.cli.app import LISTED, app, load_command
from segfair.cli.commands import Command
from segfair.cli.options import spread

COMMANDS = {name: load_command(name) for name in LISTED}


@dataclass(frozen=True, slots=True)
class Inner:
    deep: int = 2
    deeper: str = "x"


@dataclass(frozen=True, slots=True)
class Outer:
    first: int = 1
    inner: Inner = field(default_factory=Inner)
    last: bool = False


def test_nested_settings_become_options_in_place() -> None:
    def command(before: int, options: Outer, after: int = 3) -> None: ...

    parameters = inspect.signature(spread(command)).parameters
    assert list(parameters) == ["before", "first", "deep", "deeper", "last", "after"]
    assert parameters["deep"].default == 2
    assert parameters["deeper"].annotation is str


def test_options_come_back_nested() -> None:
    found = []

    def command(before: int, options: Outer) -> None:
        found.append((before, options))

    spread(command)(before=0, first=5, deep=6, deeper="y", last=True)
    assert found == [(0, Outer(5, Inner(6, "y"), True))]


@pytest.mark.parametrize(
    ("command", "panels"),
    [
        (
            "audit",
            [
                "How they are scored", "Which groups", "How it runs", "Which cases", "What counts as real",
                "What is handed over",
            ],
        ),
        (
                "mitigate",
                [
                    "What is trained", "Data", "Which cases", "How they are scored", "Which groups", "How it runs",
                ],
            ),
    ],
)  # fmt: skip
def test_help_keeps_the_order_of_its_panels(command: str, panels: list[str]) -> None:
    listed = [getattr(option, "rich_help_panel", None) for option in COMMANDS[command].params if is_option(option)]
    assert list(dict.fromkeys(listed)) == panels


def is_option(parameter) -> bool:
    return parameter.opts[0].startswith("--")


@pytest.mark.parametrize("command", app.registered_commands, ids=lambda command: command.callback.__name__)
def test_no_command_has_more_than_fifteen_parameters_of_its_own(command) -> None:
    assert len(inspect.signature(inspect.unwrap(command.callback)).parameters) <= 15


def test_every_option_says_what_it_is() -> None:
    silent = [
        (name, parameter.name)
        for name, command in COMMANDS.items()
        for parameter in command.params
        if not parameter.help
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("typed", "joined"),
    [
        (["--spacing", "0.2", "0.3"], "0.2 0.3"),
        (["--spacing=0.2", "0.3"], "0.2 0.3"),
        (["--spacing", "1", "1", "2"], "1 1 2"),
        (["--spacing", "0.2,0.3"], "0.2,0.3"),
        (["--spacing", "0.2 0.3"], "0.2 0.3"),
    ],
)
def test_spacing_takes_its_numbers_as_they_are_typed(typed: list[str], joined: str) -> None:
    tried = typer.Typer()
    heard = []

    @tried.command(cls=Command)
    def command(name: str, spacing: str = "") -> None:
        heard.append((name, spacing))

    typer.main.get_command(tried).main([*typed, "--", "masks"], standalone_mode=False)
    assert heard == [("masks", joined)]
