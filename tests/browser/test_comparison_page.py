"""The comparison page in a real browser: opened from disk, filtered, printed, and checked by axe."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from tests.audit.made_up_audits import changed
from tests.report_fixtures import HOSTILE, make_result
from tests.score_fixtures import with_scores

from segfair.compare.procedure import run_comparison
from segfair.report.comparison.files import write_comparison
from segfair.report.comparison.runs import write_runs

shared = pytest.importorskip("tests.browser.test_report_page", reason="selenium is not installed")
AXE, ROWS, show, pytestmark = shared.AXE, shared.ROWS, shared.show, shared.pytestmark


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Kind of page -> its address."""
    found = {}
    for kind, made in {
        "plain": {"outcomes": ("dsc", "normhd"), "primary": ("site",)},
        "hostile": {"levels": HOSTILE},
    }.items():
        base = make_result(**made)  # type: ignore[arg-type]
        base = changed(base, about={"config": dataclasses.replace(base.about.config, permutations=199, bootstrap=200)})
        attribute = base.cases.scores.attributes[0]
        level = np.array(base.cases.scores.column(attribute)) == base.attributes.bins[attribute].levels[0]
        dice = np.array(base.cases.scores.column("dsc"), dtype=float)
        after = dice + np.random.default_rng(0).normal(0, 0.05, len(dice)) - 0.15 * level
        comparison = run_comparison(base, with_scores(base, {"dsc": after}), names=("old model", "new model"))
        folder = tmp_path_factory.mktemp("comparison") / kind
        found[kind] = write_comparison(comparison, folder).as_uri()
    named = dataclasses.replace(comparison, after=dataclasses.replace(comparison.after, name="third model"))
    found["runs"] = write_runs([comparison, named], tmp_path_factory.mktemp("comparison") / "runs").as_uri()
    return found


@pytest.mark.parametrize("kind", ["plain", "hostile"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_opens_complete_and_keeps_to_its_width(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    show(browser, pages[kind], width)
    assert browser.get_log("browser") == []
    assert browser.find_element("tag name", "h1").text == "Segmentation audits compared by subgroup"
    shared.unfold(browser)
    assert len(browser.find_elements("css selector", ROWS)) > 10
    shared.assert_it_stands_alone(browser, width)


@pytest.mark.parametrize("kind", ["plain", "runs"])
@pytest.mark.parametrize("width", [390, 1200])
def test_no_table_has_to_be_scrolled(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    show(browser, pages[kind], width)
    assert shared.scrolled(browser) == []


def test_the_harmed_can_be_filtered(browser: Any, pages: dict[str, str]) -> None:
    shared.show_subgroups(browser, pages["plain"])
    before = len(browser.find_elements("css selector", ROWS))
    browser.execute_script(
        "const choice = document.querySelector('#subgroup-controls [name=state]'); choice.value = 'harmed';"
        "choice.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    rows = browser.execute_script(f"return Array.from(document.querySelectorAll('{ROWS}'), row => row.innerText)")
    assert 0 < len(rows) < before
    assert all("harmed" in row for row in rows)


def test_the_script_draws_what_the_page_already_said(browser: Any, pages: dict[str, str]) -> None:
    shared.test_the_script_draws_what_the_page_already_said(browser, pages)


def test_the_answer_is_open_and_what_backs_it_folded(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["plain"])
    folded = browser.execute_script(
        "return Array.from(document.querySelectorAll('section:has(> details.fold)'), part => part.id)"
    )
    assert folded[:3] == ["gaps", "subgroups", "metrics"]
    assert browser.find_element("id", "verdict").text.count("What follows.") == 1
    assert browser.execute_script("return document.querySelectorAll('*').length") < 1500


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize(
    ("kind", "width"), [("plain", 390), ("plain", 768), ("hostile", 1440), ("runs", 390), ("runs", 1440)]
)
def test_axe_finds_no_violation(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    shared.test_axe_finds_no_violation(browser, pages, kind, width)


@pytest.mark.parametrize("kind", ["plain", "hostile"])
def test_it_prints_without_cut_tables(browser: Any, pages: dict[str, str], kind: str) -> None:
    shared.test_it_prints_without_cut_tables(browser, pages, kind)


def test_the_table_of_runs_leads_to_each_comparison(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["runs"])
    assert browser.get_log("browser") == []
    browser.find_element("css selector", '#pages a[href="third-model/comparison.html"]').click()
    assert browser.find_element("tag name", "h1").text == "Segmentation audits compared by subgroup"
