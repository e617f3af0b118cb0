"""The dossier in a real browser: opened from disk, at its width, and checked by axe."""

from __future__ import annotations

from typing import Any

import pytest
from tests.report_fixtures import HOSTILE, make_result

from segfair.handover.dossier import dossier
from segfair.handover.dossier_files import write_dossier

shared = pytest.importorskip("tests.browser.test_report_page", reason="selenium is not installed")
AXE, show, pytestmark = shared.AXE, shared.show, shared.pytestmark


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Kind of page -> its address."""
    found = {}
    for kind, made in {"plain": {"primary": ("site",)}, "hostile": {"levels": HOSTILE}}.items():
        result = make_result(**made)  # type: ignore[arg-type]
        found[kind] = write_dossier(dossier(result), result, tmp_path_factory.mktemp(kind), digest="ab" * 32).as_uri()
    return found


@pytest.mark.parametrize("kind", ["plain", "hostile"])
@pytest.mark.parametrize("width", [400, 1280])
def test_it_opens_complete_and_keeps_to_its_width(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    show(browser, pages[kind], width)
    assert browser.get_log("browser") == []
    assert browser.find_element("tag name", "h1").text == "Dossier of an audit by subgroup"
    assert len(browser.find_elements("css selector", "table.dossier tbody tr")) == 167
    shared.assert_it_stands_alone(browser, width)
    assert shared.scrolled(browser) == []


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize(("kind", "width"), [("plain", 1280), ("plain", 400)])
def test_axe_finds_no_violation(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    shared.test_axe_finds_no_violation(browser, pages, kind, width)
