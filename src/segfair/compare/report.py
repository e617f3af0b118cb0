"""Comparison -> comparison.html and comparison.json. Computes nothing."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from segfair.compare.facts import Comparison
from segfair.errors import ConfigError
from segfair.page.comparison import comparison_data
from segfair.report import render_page

__all__ = ["FILES", "write_comparison"]

FILES = ("comparison.json", "comparison.html")


def write_comparison(
    comparison: Comparison, directory: Path, *, command: str = "", digests: Mapping[str, str] | None = None
) -> Path:
    """Writes both files; each appears only once both are complete.

    Args:
        comparison: What was found.
        directory: Where to; made if it does not exist. Other files in it stay as they are.
        command: The command line that led here; empty: called from Python.
        digests: What -> SHA-256, such as those of the two audit.json.

    Returns:
        The path of comparison.html.

    Raises:
        ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"--out {directory}: is a file; name a folder")
    foreign = [name for name in FILES if (directory / name).exists()]
    if foreign and not _is_ours(directory / FILES[0]):
        raise ConfigError(
            f"--out {directory}: holds {', '.join(foreign)} that segfair compare did not write; choose another folder"
        )
    existed = directory.exists()
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = render_page(
        comparison_data(comparison, written=written, command=command, digests=digests),
        template="comparison.html.j2",
    )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".segfair-", dir=directory))
        try:
            comparison.save(unfinished / "comparison.json")
            (unfinished / "comparison.html").write_text(page, "utf-8", newline="\n")
            for name in FILES:
                (unfinished / name).replace(directory / name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        if not existed:
            # Only an empty folder goes: nothing half-written stays behind.
            with contextlib.suppress(OSError):
                directory.rmdir()
        raise ConfigError(f"--out {directory}: cannot be written ({error}); choose another folder") from error
    return directory / "comparison.html"


def _is_ours(path: Path) -> bool:
    try:
        tree = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return False
    return isinstance(tree, dict) and "format" in tree and "audits" in tree
