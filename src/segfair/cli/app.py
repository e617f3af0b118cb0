"""The command line itself: the one app, and the only place where errors become exit codes. Runs no command.

A module of commands is imported when one of them is called, so that help answers at once.
"""

from __future__ import annotations

import contextlib
import errno
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from segfair import __version__
from segfair.cli.commands import suggesting
from segfair.cli.terminal.outlets import OutletError, close_outlets, open_outlets
from segfair.cli.terminal.voice import say_refusal
from segfair.environment import memory_limit, too_little_memory
from segfair.errors import SegfairError, cut_text, in_words
from segfair.signals import exit_code as signal_code
from segfair.signals import obeyed

__all__ = ["LISTED", "Listed", "app", "load_command", "main"]

EXIT_INPUT, EXIT_INTERNAL, EXIT_INTERRUPTED = 2, 70, 130
# Nobody reads on where a message repeats what was handed in.
_LONGEST = 1500


@dataclass(frozen=True, slots=True)
class Listed:
    """What help says of a command that is not imported yet.

    Attributes:
        module: Its module in `segfair.cli`.
        panel: Where help lists it.
        help: The first words of its own help.
    """

    module: str
    panel: str
    help: str


LISTED = {
    "audit": Listed("auditing", "Audit", "Score masks, find whom they are worse for, and write a report."),
    "audit-scores": Listed("auditing", "Audit", "The same audit from per-case scores that exist already."),
    "expect": Listed("auditing", "Audit", "Estimate DSC without labels, from probabilities; never judged."),
    "report": Listed("auditing", "Audit", "Draw the report again without scoring again."),
    "card": Listed("handing_over", "Audit", "Print a model card (Markdown) from the facts of an audit."),
    "dossier": Listed("handing_over", "Audit", "Hold an audit against what regulators and journals ask for."),
    "verify": Listed(
        "handing_over",
        "Audit",
        "Say whether a report (or what it was made from) has changed.",
    ),
    "compare": Listed("comparing", "Audit", "Say who gained and who was harmed from one audit to another."),
    "monitor": Listed("comparing", "Audit", "Follow subgroups over audits of different patients."),
    "rank": Listed("ranking", "Rank", "Score many teams on the same labels; who is first, and why."),
    "rank-scores": Listed("ranking", "Rank", "The same ranking from per-case scores that exist already."),
    "check": Listed("ranking", "Rank", "Say whether a submission is as expected; takes no labels."),
    "plan": Listed("judging", "Audit", "Fix a study before it is seen, and how many cases it takes."),
    "gate": Listed("judging", "Audit", "Decide gates on an audit that exists."),
    "power": Listed("judging", "Audit", "Say which gaps a cohort could show, before anything is scored."),
    "protocol": Listed("judging", "Audit", "Print a scoring protocol as TOML, to read or to start from."),
    "phantom": Listed(
        "trying_out",
        "Try it out",
        "Write a synthetic cohort with a weak model and a planted bias.",
    ),
    "doctor": Listed("installation", "Try it out", "Say what is installed, and what this machine offers."),
    "mitigate": Listed("mitigating", "Mitigate", "Train networks that serve subgroups better, and compare them."),
    "predict": Listed("mitigating", "Mitigate", "Predict masks in each image's own geometry; needs no metadata."),
    "weights": Listed("mitigating", "Mitigate", "Turn an audit into case weights for a training done elsewhere."),
}
"""Every command, in the order in which help lists them."""


class Commands(TyperGroup):
    """Lists all commands, and loads the one that is called."""

    def __init__(self, **settings: Any) -> None:
        listed = {
            name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel) for name, entry in LISTED.items()
        }
        super().__init__(**{**settings, "commands": listed})

    def get_params(self, ctx: Any) -> list[Any]:
        """All options; the script of completion is for who knows of it, and help is one screen."""
        params: list[Any] = super().get_params(ctx)
        for entry in params:
            if entry.name == "show_completion":
                entry.hidden = True
        return params

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Says what was meant by a mistyped option."""
        with suggesting():
            return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the first word names, with all its options."""
        name, listed, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else listed, rest


app = typer.Typer(
    name="segfair",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="For whom is a segmentation model worse, is that real, and what makes it fairer?",
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """For whom is a segmentation model worse, is that real, and what makes it fairer?"""
    if version:
        typer.echo(f"segfair {__version__}")
        raise typer.Exit


def load_command(name: str) -> Any:
    """A listed command with all its options; imports its module, which registers it."""
    import_module(f"segfair.cli.{LISTED[name].module}")
    info = next(
        entry for entry in app.registered_commands if entry.callback and name == (entry.name or entry.callback.__name__)
    )
    return typer.main.get_command_from_info(
        info, pretty_exceptions_short=app.pretty_exceptions_short, rich_markup_mode=app.rich_markup_mode
    )


def main() -> None:
    """Runs the command line; the exit codes are 0, 1, 2, 3, 70, and those of signals (129, 130, 143).

    Signals are heeded by `segfair.__main__`, before this is imported.
    """
    open_outlets()
    code = _run()
    try:
        close_outlets()
    except OutletError as error:
        code = _refuse(str(error), EXIT_INPUT)
    sys.exit(code)


def _run() -> int:
    """Runs the command, and says why it could not; the exit code."""
    debug = "--debug" in sys.argv
    if {"--help", "--version"}.isdisjoint(sys.argv) and (scarce := too_little_memory()):
        return _refuse(scarce, EXIT_INPUT)
    try:
        app(standalone_mode=True)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else EXIT_INPUT if end.code else 0
        return _interrupted() if signal_code() else code
    except KeyboardInterrupt:
        return _interrupted()
    except SegfairError as error:
        if debug and not isinstance(error, OutletError):
            raise
        return _refuse(str(error), EXIT_INPUT)
    except Exception as error:
        if signal_code():  # a child that the signal ended as well
            return _interrupted()
        if debug:
            raise
        if (wanting := _what_is_wanting(error)) is not None:
            return _refuse(wanting, EXIT_INPUT)
        told = f"internal error: {type(error).__name__}: {error}; run again with --debug to see where"
        told = "; ".join([told, *getattr(error, "__notes__", ())])
        return _refuse(told, EXIT_INTERNAL)
    return 0


def _interrupted() -> int:
    obeyed()
    return _refuse("interrupted", signal_code() or EXIT_INTERRUPTED)


def _refuse(told: str, code: int) -> int:
    """Says why; where not even that can be said, the code has to do."""
    with contextlib.suppress(OutletError, ValueError):
        say_refusal(cut_text(told, _LONGEST), code)
    with contextlib.suppress(OutletError):
        close_outlets()
    return code


def _what_is_wanting(error: Exception) -> str | None:
    """What the machine lacked, where that is what an error says."""
    number = error.errno if isinstance(error, OSError) else None
    # What an extension says that was given no memory and did not look; without a limit it is a fault.
    starved = isinstance(error, SystemError) and "without exception set" in str(error) and memory_limit() is not None
    if isinstance(error, MemoryError) or number == errno.ENOMEM or "failed to map segment" in str(error) or starved:
        return "not enough memory for this; free some, allow more, or use fewer --workers"
    if number == errno.EAGAIN or (isinstance(error, RuntimeError) and "can't start new thread" in str(error)):
        return "no further process or thread may be begun; allow more (ulimit -u, ulimit -v), or use fewer --workers"
    if number in (errno.EMFILE, errno.ENFILE):
        return "too many files are open at once; allow more (ulimit -n), or use fewer --workers"
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        return f"{where}no space left to write to; free some, or choose another --out"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: cannot be used ({in_words(error)})"
    return None
