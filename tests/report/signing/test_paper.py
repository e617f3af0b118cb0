"""A page as PDF: tagged, with its title, fetching nothing; what is missing is named."""

from __future__ import annotations

import io
import logging

import pytest
from pypdf import PdfReader

from segfair.errors import ConfigError
from segfair.report.signing import paper

PAGE = '<html lang="de"><head><title>Netz 7</title></head><body><h1>Netz 7</h1>{}</body></html>'


def test_the_pdf_is_tagged_and_bears_title_and_language() -> None:
    read = PdfReader(io.BytesIO(paper.to_pdf(PAGE.format("<p>Text</p>"))))
    assert read.metadata is not None
    assert read.metadata.title == "Netz 7"
    assert read.trailer["/Root"]["/Lang"] == "de"
    assert "/StructTreeRoot" in read.trailer["/Root"]


@pytest.mark.parametrize("address", ["http://example.org/a.png", "file:///etc/hostname"])
def test_nothing_is_fetched(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, logger="weasyprint"):
        found = paper.to_pdf(PAGE.format(f'<img src="{address}">'))
    assert address in caplog.text
    assert "/Image" not in str(PdfReader(io.BytesIO(found)).pages[0].get("/Resources", {}))


def test_a_missing_pango_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: object, **named: object) -> object:
        if name == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match=r"on Debian: apt install libpango-1\.0-0"):
        paper.require_paper()
