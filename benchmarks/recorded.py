"""Prints what `benchmarks/fairness.py` found over several seeds, from the file that it wrote; trains nothing.

    python benchmarks/recorded.py [benchmarks/results/fairness.json]

Reads two entries of that file: `about`, a sentence (which seeds, which setting), and `summary`, a list of rows of the
same flat columns, such as strategy, mean DSC, worst subgroup and their changes with intervals.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).resolve().parent / "results" / "fairness.json"


def show(value: Any) -> str:
    """A cell: numbers with three decimals, intervals as `low to high`."""
    if isinstance(value, bool) or value is None:
        return {None: "-"}.get(value, str(value))
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return " to ".join(map(show, value))
    return str(value)


def lay_out(rows: list[dict[str, Any]]) -> str:
    """Rows as aligned text."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    cells = [columns, *([show(row.get(name)) for name in columns] for row in rows)]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def main() -> None:
    """Prints the record, or why there is none."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("record", nargs="?", type=Path, default=RECORD)
    path = parser.parse_args().record
    if not path.is_file():
        print(
            "One seed is an anecdote; benchmarks/fairness.py compares the strategies over several (not recorded here)."
        )
        return
    record = json.loads(path.read_text("utf-8"))
    rows = record.get("summary") if isinstance(record, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows) or not rows:
        print(f"{path}: has no list of rows called summary; run benchmarks/fairness.py again")
        return
    print(f"\nOver several seeds: {record.get('about', path.name)}\n{lay_out(rows)}")


if __name__ == "__main__":
    main()
