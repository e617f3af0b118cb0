"""The figures as files: one for each that the page draws, under a name that a file can have."""

from __future__ import annotations

import pytest
from tests.report.hand_made import attribute, level, small

from segfair.report.audit import figure_files as module
from segfair.report.drawing import Drawing
from segfair.report.parts import figure

ATTRIBUTES = ("sex", "../a b/", "日本", "x" * 60)


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch):
    """An audit whose page draws the scores and four attributes."""

    def page_data(result, *, written):
        for key in ("scores", *(f"attribute{index}" for index in range(4)), "attributes"):
            figure(Drawing(1, 0, 0, top=0, bottom=0, plot=1), key=key, label="", caption="")

    monkeypatch.setattr(module, "page_data", page_data)
    return small(attributes=tuple(attribute(name, level("x", 8, 0.7)) for name in ATTRIBUTES))


def test_files_are_called_after_the_figure_and_its_attribute(result) -> None:
    assert list(module.figure_files(result, "svg")) == [
        "figures/scores.svg",
        "figures/attribute0-sex.svg",
        "figures/attribute1-a-b.svg",
        "figures/attribute2.svg",
        f"figures/attribute3-{'x' * 40}.svg",
        "figures/attributes.svg",
    ]


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_files_are_what_they_are_called(result, kind, start: bytes) -> None:
    found = module.figure_files(result, kind)
    assert len(found) == 6
    assert all(name.endswith(f".{kind}") and content.startswith(start) for name, content in found.items())
