"""Comparison -> comparison.html and comparison.json. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path

from segfair.compare.result import Comparison
from segfair.documents import read_json
from segfair.errors import InputError
from segfair.files.placing import placed_together, refuse_foreign
from segfair.report.comparison.page import comparison_data
from segfair.report.files import render_page

__all__ = ["FILES", "write_comparison"]

FILES = ("comparison.json", "comparison.html")


def write_comparison(
    comparison: Comparison,
    directory: str | PathLike[str],
    *,
    command: str = "",
    digests: Mapping[str, str] | None = None,
    title: str = "",
) -> Path:
    """Writes both files; each appears only once both are complete.

    Args:
        comparison: What was found.
        directory: Where to; made if it does not exist. Other files in it stay as they are.
        command: The command line that led here; empty: called from Python.
        digests: What -> SHA-256, such as those of the two audit.json.
        title: What the comparison is called, in its heading and at the foot of the print.

    Returns:
        The path of comparison.html.

    Raises:
        ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
    """
    directory = Path(directory)
    refuse_foreign(directory, FILES, ours=_is_ours(directory / FILES[0]), writer="segfair compare")
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = render_page(
        comparison_data(comparison, written=written, command=command, digests=digests, title=title),
        template="comparison.html.j2",
    )
    with placed_together(directory, first=FILES[0]) as unfinished:
        comparison.save(unfinished / "comparison.json")
        (unfinished / "comparison.html").write_text(page, "utf-8", newline="\n")
    return directory / "comparison.html"


def _is_ours(path: Path) -> bool:
    try:
        tree = read_json(path)
    except InputError:
        return False
    return isinstance(tree, dict) and "format" in tree and "audits" in tree
