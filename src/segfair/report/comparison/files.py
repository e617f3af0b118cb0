"""Comparison -> comparison.html and comparison.json; how its kind of page is written. Computes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from urllib.parse import quote

from segfair.compare.result import Comparison
from segfair.documents import has_keys
from segfair.files.placing import Results, placed_together, refuse_foreign, refuse_unwritable, write_text
from segfair.report.comparison.page import comparison_data
from segfair.report.files import render_page
from segfair.report.parts import Data, as_read

__all__ = ["COMPARISON", "FILES", "PageFiles", "address_of", "write_comparison"]

FILES = ("comparison.json", "comparison.html")


@dataclass(frozen=True, slots=True)
class PageFiles:
    """A result as JSON, and the page that is drawn from it: two files that lie side by side.

    Attributes:
        names: Of the JSON, and of the page.
        keys: What the JSON holds at its top, by which it is told from other people's.
        writer: The command that writes them, for messages.
        remedy: What to do where the page could not be drawn, for the message.
        template: Of the page.
    """

    names: tuple[str, str]
    keys: tuple[str, ...]
    writer: str
    remedy: str
    template: str

    def refuse_place(self, directory: Path) -> None:
        """Refuses a folder that they could not be written to, before anything is resampled.

        Raises:
            ConfigError: See `write`.
        """
        self._refuse_foreign(directory)
        refuse_unwritable(directory)

    def write(self, save: Callable[[Path], None], directory: Path, page: Callable[[str], Data]) -> Path:
        """Writes both; each appears only once it is complete, and the JSON also where the page fails.

        Args:
            save: Writes the JSON to a path.
            directory: Where to; made if it does not exist. Other files in it stay as they are.
            page: When it is written, as it shall stand there -> everything that the page prints.

        Returns:
            The path of the page.

        Raises:
            ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
        """
        self._refuse_foreign(directory)
        facts, drawn = self.names
        with placed_together(directory, first=facts, results=Results((facts,), self.remedy)) as unfinished:
            save(unfinished / facts)
            data = page(as_read(datetime.now(UTC)))
            write_text(unfinished / drawn, render_page(data, template=self.template))
        return directory / drawn

    def _refuse_foreign(self, directory: Path) -> None:
        ours = has_keys(directory / self.names[0], *self.keys)
        refuse_foreign(directory, self.names, ours=ours, writer=self.writer)


COMPARISON = PageFiles(
    FILES, ("format", "audits"), "segfair compare", "mend that, and compare again", "comparison.html.j2"
)


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
    return COMPARISON.write(
        comparison.save,
        directory,
        lambda written: comparison_data(
            comparison,
            written=written,
            command=command,
            digests=digests,
            title=title,
            reports=(address_of(reports[0], directory), address_of(reports[1], directory)),
            files=FILES[:1],
        ),
    )


def address_of(page: Path | None, directory: Path) -> str:
    """The way from a folder to a page, as a link; empty where there is none, as between two drives."""
    if page is None or not page.is_file():
        return ""
    try:
        way = os.path.relpath(page.resolve(), directory.resolve())
    except ValueError:
        return ""
    return quote(os.fsencode(Path(way).as_posix()))
