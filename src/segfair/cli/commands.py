"""What every command has in common: how it is parsed, what help shows first, what is suggested after a slip.

Knows no command and no option by name but those of sizes.
"""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperOption

from segfair.cli.options import is_number

__all__ = ["Command", "brief", "suggesting"]

_KIND = "Value error, "
"""With which the library beneath typer begins what it says of a value."""
_SIZES = ("--spacing", "--spatial-size", "--patch")


class Command(TyperCommand):
    """A command whose options of sizes take two or three numbers, which click cannot say."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hands the numbers on as one value."""
        rest, joined = list(args), []
        while rest and rest[0] != "--":
            name, equals, first = rest.pop(0).partition("=")
            if name not in _SIZES:
                joined.append(f"{name}{equals}{first}")
                continue
            lengths = [first] if equals else []
            while rest and len(lengths) < 3 and is_number(rest[0]):
                lengths.append(rest.pop(0))
            if not lengths and rest and not rest[0].startswith("-"):
                lengths.append(rest.pop(0))  # no number: the command says so
            joined.append(f"{name}={' '.join(lengths)}")
        self.refuse_empty(ctx, [*joined, *rest])
        with suggesting():
            left = super().parse_args(ctx, [*joined, *rest])
        for option in self.params:
            value = ctx.params.get(option.name)
            if value != option.default and (complaint := _unfit(value)):
                raise typer.BadParameter(complaint, ctx=ctx, param_hint=f"'{option.opts[0]}'")
        return left

    @staticmethod
    def refuse_empty(ctx: Any, words: Sequence[str]) -> None:
        """Refuses an empty word, as an unset variable of a script leaves it: a path of no letters is this folder."""
        for before, word in zip(("", *words), words, strict=False):
            name, equals, value = word.partition("=")
            if word and (value or not equals or not name.startswith("--")):
                continue
            option = name or (before if before.startswith("--") else "")
            complaint = (
                "is empty; leave the option out." if option else "an argument is empty; name a file or a folder."
            )
            raise typer.BadParameter(complaint, ctx=ctx, param_hint=f"'{option}'" if option else None)


def _unfit(value: object) -> str:
    """Why no option can mean a value, whichever it is; empty: one may."""
    # A range does not keep it out: nothing is smaller than it, nor larger.
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is no number that can be meant."
    return "is empty; leave the option out." if isinstance(value, str) and not value.strip(" ,") else ""


class BriefCommand(Command):
    """A command with more options than a screen holds: `--help` explains the main ones, `--help-all` every one."""

    explained: ClassVar[frozenset[str]] = frozenset()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """The main options in one panel, without their types; the others by name and group."""
        shown = copy.copy(self)
        shown.params, shown.add_help_option = list(map(copy.copy, self.get_params(ctx))), False
        others: dict[str, list[str]] = {}
        for option in shown.params:
            if not isinstance(option, TyperOption):
                continue
            if option.name not in (*self.explained, "json", "quiet", "help_all", "help"):
                option.hidden = True
                others.setdefault(option.rich_help_panel or "Further", []).append(option.opts[0])
            option.rich_help_panel = None
            option.metavar = ""
            option.min = option.max = None
        super(BriefCommand, shown).format_help(ctx, formatter)
        _list_others(others)

    def explain_all(self, ctx: Any) -> None:
        """The help of every option, in its panels."""
        super().format_help(ctx, ctx.make_formatter())


def brief(*main: str) -> type[BriefCommand]:
    """The kind of a command whose help explains these options first, named as parameters."""
    return type("Brief", (BriefCommand,), {"explained": frozenset(main)})


def _list_others(groups: Mapping[str, Sequence[str]]) -> None:
    """Options by name, a row a group."""
    from rich.console import Console
    from rich.panel import Panel
    from rich.table import Table

    table = Table.grid(padding=(0, 1))
    for group, names in groups.items():
        table.add_row(group, " ".join(names), style="dim")
    title = "More, explained by --help-all"
    Console(highlight=False).print(Panel(table, title=title, title_align="left", border_style="dim"))


@contextmanager
def suggesting() -> Iterator[None]:
    """Says what was meant by an option that does not exist, as typer does for a command, and less of a value."""
    try:
        yield
    except Exception as error:  # NoSuchOption, of whichever click typer brings
        near: Sequence[str] = getattr(error, "possibilities", None) or ()
        if near:
            wrong = str(getattr(error, "option_name", ""))
            meant = difflib.get_close_matches(wrong, near, n=2, cutoff=0.7) or near[:1]
            error.message = f"{error.message}. Did you mean {' or '.join(map(repr, meant))}?"  # type: ignore[attr-defined]
            error.possibilities = None  # type: ignore[attr-defined]
        elif (told := str(getattr(error, "message", ""))).startswith(_KIND):
            error.message = told.removeprefix(_KIND)  # type: ignore[attr-defined]
        raise
