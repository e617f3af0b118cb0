"""A cause: what is wrong, what is typed, and what is due."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["QUICK", "Cause", "Make", "change", "edited_audit", "written"]

Make = Callable[[Path, Path], object]
"""Builds what is wrong in an empty folder (the first) from a good example (the second)."""
QUICK = ("--permutations", "99", "--bootstrap", "100", "--workers", "1", "--no-cache", "--out", "out")
AUDITS: Mapping[str, tuple[str, ...]] = {
    "report": ("report", "audit.json", "--out", "out"),
    "report --share": ("report", "audit.json", "--out", "out", "--share", "shared"),
    "compare": ("compare", "audit.json", "{base}/report", "--out", "out"),
    "compare (after)": ("compare", "{base}/report", "audit.json", "--out", "out"),
    "gate": ("gate", "audit.json", "--gate", "FS >= 0.5"),
    "card": ("card", "audit.json"),
    "weights": ("weights", "audit.json", "--metadata", "{base}/metadata.csv"),
}


@dataclass(frozen=True, slots=True)
class Cause:
    """One way in which something that is handed in does not work.

    Attributes:
        name: What is wrong, in words.
        words: What is typed after `segfair`; `{base}` is the folder of the good example. The call runs in the folder
            that `make` filled.
        says: Texts that the message has to hold.
        make: Builds what is wrong.
        code: The exit code that is due.
        environment: Variables beside those that are there.
        limits: `resource` limits by name.
        streams: Where stdin, stdout or stderr lead, by name; elsewhere they are files that are read afterwards.
        seconds: How long it may take before it counts as hanging.
        fresh: Whether Python is started anew, for what is read as it starts or as libraries are loaded.
        ordinary: Whether permissions hold, also for root.
    """

    name: str
    words: tuple[str, ...]
    says: tuple[str, ...] = ()
    make: Make = lambda case, base: None
    code: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=dict)
    streams: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 40
    fresh: bool = False
    ordinary: bool = False

    @property
    def command(self) -> str:
        """The command that is called."""
        return self.words[0] if self.words else ""


def written(name: str, content: str | bytes) -> Make:
    """A file of that name and content in the case's folder."""

    def make(case: Path, base: Path) -> None:
        path = case / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))

    return make


def change(tree: Any, place: str, value: Any) -> None:
    """Sets what lies at `a.b.0.c`; a value of `...` takes it away."""
    *path, last = [int(step) if step.isdecimal() else step.replace("%", ".") for step in place.split(".")]
    for step in path:
        tree = tree[step]
    if value is ...:
        del tree[last]
    else:
        tree[last] = value


def edited_audit(
    name: str, command: str, edits: Mapping[str, Any], *says: str, text: tuple[str, str] | None = None
) -> Cause:
    """An audit.json that was edited by hand, and handed to a command.

    Args:
        name: What is wrong.
        command: One of `AUDITS`.
        edits: Place -> value, see `change`.
        says: What the message has to hold.
        text: A text of the file and what it becomes, for what JSON's writer would refuse.
    """

    def make(case: Path, base: Path) -> None:
        tree = json.loads((base / "report" / "audit.json").read_text("utf-8"))
        for place, value in edits.items():
            change(tree, place, value)
        out = json.dumps(tree)
        (case / "audit.json").write_text(out.replace(*text) if text else out, "utf-8")

    return Cause(f"audit.json: {name}", AUDITS[command], says or ("audit.json",), make)
