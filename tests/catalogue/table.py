"""The table of `docs/reliability.md`: how many causes there are of each kind, and how they end.

python -m tests.catalogue.table docs/reliability.md
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

from tests.catalogue.causes import KINDS

__all__ = ["replaced", "table"]

_BEGIN, _END = "<!-- catalogue -->\n", "<!-- end of catalogue -->\n"


def table() -> str:
    """The kinds, a row each, in Markdown."""
    lines = [
        "| what is wrong | causes | commands | refused (exit code 2) | done all the same (0) |",
        "|---|---|---|---|---|",
    ]
    total: Counter[int] = Counter()
    for kind, causes in KINDS.items():
        codes = Counter(cause.code for cause in causes)
        total += codes
        commands = len({cause.command for cause in causes})
        lines.append(f"| {kind} | {len(causes)} | {commands} | {codes[2]} | {codes[0]} |")
    lines.append(f"| **all** | {total.total()} | | {total[2]} | {total[0]} |")
    return "\n".join(lines) + "\n"


def replaced(text: str) -> str:
    """The page with the table of now."""
    before, rest = text.split(_BEGIN)
    return f"{before}{_BEGIN}\n{table()}\n{_END}{rest.split(_END)[1]}"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(replaced(page.read_text("utf-8")), "utf-8")
