"""What stands on a terminal: a verdict in its colour, tables, files that can be clicked. Knows no result.

Colour never says anything alone; texts from outside are never read as markup.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

__all__ = ["Shown", "files", "show", "state", "states", "table", "verdict"]

Shown = Iterable[RenderableType]
_FIRST_WORDS = 80
_GOOD, _BAD, _OPEN, _PLAIN = "green", "red", "yellow", "cyan"
_COLOURS = {
    "disparity found": _BAD,
    "no gap beyond the declared margin": _GOOD,
    "open": _OPEN,
    "too few cases": _OPEN,
    "harm found": _BAD,
    "levelling down": _BAD,
    "gains and harm found": _OPEN,
    "gain found": _GOOD,
    "winner": _GOOD,
    "no winner": _OPEN,
}
"""Kind of a verdict -> its colour; any other shows no difference, which is neither good nor bad."""
_STATES = {"pass": _GOOD, "fail": _BAD, "undecided": _OPEN, "ok": _GOOD, "wrong": _BAD, "missing": _OPEN}


def show(parts: Shown, *, took: str) -> None:
    """Prints the parts one below the other, and how long it took."""
    console = Console(highlight=False)
    for part in parts:
        console.print(part)
    console.print(Text(f"took {took}", style="dim"))


def verdict(kind: str, sentence: str) -> Panel:
    """The answer in a frame of its colour: its first words in bold, and its kind above where they do not say it."""
    colour = _COLOURS.get(kind, _PLAIN)
    text = Text(sentence)
    text.stylize(f"bold {colour}", 0, sentence.find(":", 0, _FIRST_WORDS) + 1)
    title = None if sentence.casefold().startswith(kind) else Text(kind.capitalize(), style=f"bold {colour}")
    return Panel(text, border_style=colour, box=box.ROUNDED, title=title, title_align="left")


def state(word: str) -> Text:
    """How a gate or a check went."""
    return Text(word, style=f"bold {_STATES[word]}")


def states(lines: Sequence[tuple[str, str, str]]) -> Shown:
    """State, name and value of each."""
    rows = Table.grid(padding=(0, 2))
    for word, name, value in lines:
        rows.add_row(state(word), Text(name), Text(value, overflow="fold"))
    yield rows


def table(title: str, *headings: str, flexible: Collection[int] = (0,)) -> Table:
    """A table of numbers, but for its flexible columns: they hold text, and take what the others leave."""
    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    made.padding = (0, 1, 0, 0)
    for place, heading in enumerate(headings):
        if place in flexible:
            made.add_column(heading, overflow="fold", header_style="bold")
        else:
            made.add_column(heading, justify="right", no_wrap=True, header_style="bold")
    return made


def files(places: Mapping[str, Path]) -> RenderableType:
    """Where everything lies; a click opens it where the terminal can."""
    table = Table.grid(padding=(0, 2))
    for name, path in places.items():
        address = path.resolve().as_uri()
        table.add_row(name, Text(str(path), style=f"underline link {address}", overflow="fold"))
    return Padding(table, (1, 0, 0, 0))
