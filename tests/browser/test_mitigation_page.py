"""The page of a mitigation in a real browser: opened from disk, unfolded, printed, and checked by axe."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the extra mitigate")
shared = pytest.importorskip("tests.browser.test_report_page", reason="selenium is not installed")
AXE, show, pytestmark = shared.AXE, shared.show, shared.pytestmark


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A run of three models, one of which is recommended."""
    from tests.mitigation.toy_models import conclude, model

    from segfair.mitigation.experiment.pages.summary_page import write_mitigation_page
    from segfair.mitigation.experiment.summary import EpochScores

    history = tuple(EpochScores(epoch, 1 / epoch, 0.5 + epoch / 30, 0.2 + epoch / 20) for epoch in range(1, 11))
    models = [model("erm", women=0.5), model("balanced", women=0.8), model("divergence-sampling", women=0.6)]
    summary = conclude(*(dataclasses.replace(entry, history=history) for entry in models))
    return write_mitigation_page(summary, tmp_path_factory.mktemp("mitigation")).as_uri()


@pytest.mark.parametrize("width", [390, 768, 1440])
def test_it_opens_without_a_complaint_and_keeps_to_its_width(browser: Any, address: str, width: int) -> None:
    show(browser, address, width)
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.querySelectorAll('*').length") < 1000, "what backs it is folded"
    if width != 768:  # the table of deficits has eleven columns
        assert shared.scrolled(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0


def test_the_recommendation_stands_in_one_place_and_the_curves_are_open(browser: Any, address: str) -> None:
    show(browser, address)
    text = browser.find_element("tag name", "main").text
    assert text.count("Recommended") == 1 and "Recommended: balanced" in text
    assert "erm (empirical risk minimisation) is plain training" in browser.find_element("id", "verdict").text
    assert browser.find_element("css selector", "#next code").text.startswith("segfair mitigate DATA")
    assert len(browser.find_elements("css selector", "#curves figure")) == 3


def test_it_prints_without_cut_tables(browser: Any, address: str) -> None:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        show(browser, address, round(182 / 25.4 * 96))
        assert shared.cut_on_paper(browser) == []
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_no_violation(browser: Any, address: str, width: int) -> None:
    shared.test_axe_finds_no_violation(browser, {"run": address}, "run", width)
