"""A page as its elements, its visible text and its data; and a page drawn of an audit."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from segfair.audit.result import AuditResult
from segfair.report.audit import page_data
from segfair.report.audit.cases import case_section, case_table
from segfair.report.files import render_page

FEW = {"age": ("young", "old"), "site": ("A", "B", "C")}


def cases_of(result: AuditResult) -> Any:
    """The section of cases as a page has it."""
    return case_section(result, case_table(result))


class Page(HTMLParser):
    """Elements, attributes and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text: list[str] = []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.inside = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.inside != "style":
            self.text.append(data)

    @property
    def visible(self) -> str:
        return " ".join(" ".join(self.text).split())

    @property
    def payload(self) -> Any:
        return json.loads(self.scripts[0][1])


def draw(result: AuditResult) -> str:
    return render_page(page_data(result, written="2026-01-01", command="segfair audit", digests={"x": "0"}))
