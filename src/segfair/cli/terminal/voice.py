"""Where a command's words go: to a terminal, into lines, into one JSON object, or nowhere. Knows no result."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from segfair import __version__
from segfair.errors import cut_text
from segfair.remote import shown

if TYPE_CHECKING:
    from rich.console import RenderableType

    from segfair.cli.options import Saying

__all__ = ["Answer", "Voice", "duration"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command found, in the three ways in which it can be told.

    Attributes:
        facts: For programs: plain values.
        lines: For whoever reads lines; scripts parse them.
        draw: For a terminal: makes what is shown there, with rich; None: the lines.
    """

    facts: Mapping[str, Any]
    lines: tuple[str, ...] = ()
    draw: Callable[[], Iterable[RenderableType]] | None = None


class Voice:
    """What one command says.

    Args:
        command: Its name.
        saying: Whether it is quiet, and whether it speaks JSON.
    """

    def __init__(self, command: str, saying: Saying) -> None:
        self._command = command
        self._began = time.perf_counter()
        self.quiet = saying.quiet
        self.as_json = saying.json

    @property
    def on_terminal(self) -> bool:
        """Whether somebody looks on: only then there are tables and colours, whatever the environment asks for."""
        return not (self.quiet or self.as_json) and sys.stdout.isatty()

    @property
    def seconds(self) -> float:
        """How long the command has run."""
        return time.perf_counter() - self._began

    def note(self, *lines: str, warning: bool = False) -> None:
        """Lines on the way to the answer: on stdout, or on stderr where stdout is for one JSON object.

        Args:
            lines: What to say.
            warning: Whether a reader had better not miss it; yellow on a terminal, other lines are dim there.
        """
        if self.quiet:
            return
        for line in lines:
            if self.on_terminal:
                line = typer.style(line, **({"fg": "yellow"} if warning else {"dim": True})) if _coloured() else line
            typer.echo(line, err=self.as_json)

    def answer(self, answer: Answer, *, exit_code: int = 0) -> None:
        """The last words of a command that did what it was asked."""
        if self.as_json:
            head = {"command": self._command, "segfair": __version__, "exit_code": exit_code}
            say_json({**head, "seconds": round(self.seconds, 3), **answer.facts})
        elif self.on_terminal and answer.draw is not None:
            from segfair.cli.terminal.screen import show

            show(answer.draw(), took=duration(self.seconds))
        elif not self.quiet:
            for line in answer.lines:
                typer.echo(line)


def say_json(facts: Mapping[str, Any]) -> None:
    """One JSON object, on one line, in ASCII: any program reads it, in any locale."""
    typer.echo(json.dumps(facts, allow_nan=False))


def say_refusal(message: str, exit_code: int) -> None:
    """Why nothing was done: on stderr; with `--json` as an object on stdout, too."""
    # A path of thousands of letters tells no more than its beginning.
    message = re.sub(r"\S{300,}", lambda found: cut_text(found[0], 120), message)
    typer.echo(f"segfair: {shown(message)}", err=True)
    if "--json" in sys.argv:
        say_json({"segfair": __version__, "exit_code": exit_code, "error": shown(message)})


def _coloured() -> bool:
    """Whether the terminal takes colours and its user wants them (no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in ("dumb", "unknown")


def duration(seconds: float) -> str:
    """`4.2 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
