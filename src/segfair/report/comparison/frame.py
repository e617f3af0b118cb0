"""What both pages of audits of different patients have around their sections: cohorts.html.j2's part for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from segfair.audit.words import clean
from segfair.compare.cohorts.result import CohortComparison, Series
from segfair.report.comparison.changes import title as column_title
from segfair.report.glossary import glossary
from segfair.report.parts import Data, definition, titled

__all__ = ["framed", "method_section"]


def framed(
    found: CohortComparison | Series,
    sections: Mapping[str, Data | list[str] | None],
    *,
    titles: Mapping[str, str],
    title: str,
    heading: str,
    meta: str,
    written: str,
    audits: Iterable[tuple[str, str]],
    files: Sequence[str],
) -> Data:
    """Everything that the page prints.

    Args:
        found: What was found.
        sections: By key; those without contents are not listed.
        titles: Of the sections.
        title: What it is called; empty: it has no name.
        heading: What the page is.
        meta: The line beneath it.
        written: When the page is written, as it shall stand there.
        audits: What each is called, and the address of its own page; empty: not known.
        files: Names of the files beside the page.
    """
    return {
        "title": titled(clean(title, length=120) if title else "", heading),
        "written": written,
        "version": found.versions.get("segfair", ""),
        "names": [{"text": column_title(name), "href": href} for name, href in audits],
        "meta": meta,
        "titles": titles,
        "contents": [{"id": key, "title": titles[key]} for key, section in sections.items() if section],
        "folded": {"method": "how, settings"},
        "files": list(files),
        "glossary": glossary("dsc", "normhd", "interval", "subgroup"),
        "sections": sections,
    }


def method_section(
    texts: Iterable[str], found: CohortComparison | Series, *, command: str, digests: Mapping[str, str]
) -> Data:
    """How it was found: in words, by which settings, from which files."""
    return {
        "texts": list(texts),
        "settings": [definition(name, value, code=True) for name, value in found.settings.items() if value is not None],
        "digests": [definition(clean(name, length=200), value, code=True) for name, value in digests.items()],
        "command": clean(command, length=2000) if command else "",
    }
