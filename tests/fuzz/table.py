"""The table of fuzzing in `docs/reliability.md`; a reader that did not run this time keeps its row."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import segfair

__all__ = ["Row", "replaced"]

_BEGIN, _END = "<!-- fuzz -->\n", "<!-- end of fuzz -->\n"
_HEAD = (
    "| reader | inputs tried | read | refused | crashes, hangs, memory beyond 1 GB | minutes, start included | when | version |\n"
    "|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True, slots=True)
class Row:
    """What one reader was put through."""

    reader: str
    tried: int
    read: int
    refused: int
    failures: int
    minutes: float
    date: str
    version: str

    @classmethod
    def of(cls, reader: str, counts: Mapping[str, int], failures: int, seconds: float) -> Row:
        """A row of today."""
        read, refused = counts.get("read", 0), counts.get("refused", 0)
        tried = read + refused + counts.get("failed", 0)
        today = datetime.datetime.now(tz=datetime.UTC).date().isoformat()
        return cls(reader, tried, read, refused, failures, seconds / 60, today, segfair.__version__)

    def __str__(self) -> str:
        return (
            f"{self.reader}: {self.tried:,} inputs tried in {self.minutes:.0f} minutes, {self.read:,} read, "
            f"{self.refused:,} refused, {self.failures} crashes"
        )

    @property
    def line(self) -> str:
        """In Markdown."""
        cells = (
            self.reader, f"{self.tried:,}", f"{self.read:,}", f"{self.refused:,}", str(self.failures),
            f"{self.minutes:.0f}", self.date, self.version,
        )  # fmt: skip
        return f"| {' | '.join(cells)} |\n"


def replaced(page: str, rows: Iterable[Row]) -> str:
    """The page with these rows in its table."""
    before, rest = page.split(_BEGIN)
    old, after = rest.split(_END)
    kept = [line for line in old.splitlines() if line and f"{line}\n" not in _HEAD]
    lines = {line.split(" | ")[0].removeprefix("| "): f"{line}\n" for line in kept}
    lines |= {row.reader: row.line for row in rows}
    return f"{before}{_BEGIN}\n{_HEAD}{''.join(lines.values())}\n{_END}{after}"
