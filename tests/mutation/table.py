"""The table of `docs/reliability.md`: how many faults the tests notice, and why not the others."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.mutation.mutants import ROOMS

__all__ = ["reasons", "replaced", "table"]

_BEGIN, _END = "<!-- mutants -->\n", "<!-- end of mutants -->\n"
_CONTEXT = 24

Key = tuple[str, str, str]


def reasons() -> dict[Key, str]:
    """Why no test notices a fault, for those looked at one by one (`survivors.toml`)."""
    read = tomllib.loads(Path(__file__).with_name("survivors.toml").read_text("utf-8"))
    return {(one["module"], one["before"], one["after"]): one["why"] for one in read["survivor"]}


def replaced(page: str, found: Sequence[Mapping[str, Any]], seed: int) -> str:
    """The page with the table of now."""
    before, rest = page.split(_BEGIN)
    said = (
        f"{len(found)} faults (seed {seed}), segfair {version('segfair')}, {date.today().isoformat()}.\n\n"
        f"{table(found, reasons())}\n"
    )
    return f"{before}{_BEGIN}\n{said}{_END}{rest.split(_END)[1]}"


def table(found: Sequence[Mapping[str, Any]], why: Mapping[Key, str]) -> str:
    """The rooms, a row each, then what was not noticed, a row each, in Markdown."""
    lines = ["| room | faults | noticed | not noticed | noticed, of a hundred |", "|---|---|---|---|---|"]
    lines += [_row(f"`{room}`", [one for one in found if one["module"].startswith(f"{room}/")]) for room in ROOMS]
    lines += [_row("**all**", found), ""]
    left = [one for one in found if one["ended"] == "passed"]
    if left:
        lines += ["| not noticed | the fault | why |", "|---|---|---|"]
    for one in left:
        reason = why.get((one["module"], one["before"], one["after"]), "**not yet looked at**")
        lines.append(f"| `{one['module']}` | {_shown(one['before'], one['after'])} | {reason} |")
    return "\n".join(lines).rstrip("\n") + "\n"


def _row(name: str, found: Sequence[Mapping[str, Any]]) -> str:
    noticed = sum(one["ended"] != "passed" for one in found)
    share = f"{100 * noticed / len(found):.1f}" if found else "-"
    return f"| {name} | {len(found)} | {noticed} | {len(found) - noticed} | {share} |"


def _shown(before: str, after: str) -> str:
    """Where the two differ, whole words, with a little of what stands around."""
    same = _shared(before, after)
    tail = _shared(before[same:][::-1], after[same:][::-1])
    begin = before.rfind(" ", 0, max(0, same - _CONTEXT)) + 1
    end = before.find(" ", len(before) - tail + _CONTEXT)
    kept = len(before) - end if end > 0 else 0
    parts = (text[begin : len(text) - kept].strip().replace("|", "\\|") for text in (before, after))
    return " → ".join(f"`{part}`" for part in parts)


def _shared(one: str, other: str) -> int:
    """The length of the beginning that both have."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
