"""Comparison -> comparison.html and comparison.json. Computes nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from urllib.parse import quote

from segfair.compare.result import Comparison
from segfair.documents import has_keys
from segfair.files.placing import Results, placed_together, refuse_foreign, refuse_unwritable, write_text
from segfair.report.comparison.page import comparison_data
from segfair.report.files import render_page
from segfair.report.parts import as_read

__all__ = ["FILES", "address_of", "refuse_place", "write_comparison"]

FILES = ("comparison.json", "comparison.html")


def refuse_place(directory: Path) -> None:
    """Refuses a folder that a comparison could not be written to, before anything is resampled.

    Raises:
        ConfigError: See `write_comparison`.
    """
    _refuse_foreign(directory)
    refuse_unwritable(directory)


def _refuse_foreign(directory: Path) -> None:
    refuse_foreign(directory, FILES, ours=has_keys(directory / FILES[0], "format", "audits"), writer="segfair compare")


def write_comparison(
    comparison: Comparison,
    directory: str | PathLike[str],
    *,
    command: str = "",
    digests: Mapping[str, str] | None = None,
    title: str = "",
    reports: tuple[Path | None, Path | None] = (None, None),
) -> Path:
    """Writes both files; each appears only once both are complete.

    Args:
        comparison: What was found.
        directory: Where to; made if it does not exist. Other files in it stay as they are.
        command: The command line that led here; empty: called from Python.
        digests: What -> SHA-256, such as those of the two audit.json.
        title: What the comparison is called, in its heading and at the foot of the print.
        reports: The two audits' own pages, to which this one links; None: not known.

    Returns:
        The path of comparison.html.

    Raises:
        ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
    """
    directory = Path(directory)
    _refuse_foreign(directory)
    written = as_read(datetime.now(UTC))
    kept = Results(FILES[:1], "mend that, and compare again")
    with placed_together(directory, first=FILES[0], results=kept) as unfinished:
        comparison.save(unfinished / "comparison.json")
        page = render_page(
            comparison_data(
                comparison,
                written=written,
                command=command,
                digests=digests,
                title=title,
                reports=(address_of(reports[0], directory), address_of(reports[1], directory)),
                files=FILES[:1],
            ),
            template="comparison.html.j2",
        )
        write_text(unfinished / "comparison.html", page)
    return directory / "comparison.html"


def address_of(page: Path | None, directory: Path) -> str:
    """The way from a folder to a page, as a link; empty where there is none, as between two drives."""
    if page is None or not page.is_file():
        return ""
    try:
        way = os.path.relpath(page.resolve(), directory.resolve())
    except ValueError:
        return ""
    return quote(os.fsencode(Path(way).as_posix()))
