"""The summary in a real browser: opened from disk, checked by axe, and printed on at most two pages."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader
from tests.audit.made_up_audits import changed
from tests.report_fixtures import HOSTILE, make_result

import segfair
from segfair.audit.result import AuditConfig
from segfair.gallery.worst_cases import image_files, with_gallery
from segfair.protocol.rules import load_protocol
from segfair.report.files import write_report

shared = pytest.importorskip("tests.browser.test_report_page", reason="selenium is not installed")
AXE, show, pytestmark = shared.AXE, shared.show, shared.pytestmark

KINDS = ["phantom", "deutsch", "hostile", "scores"]
RECORD = {"model": "nnU-Net", "cohort": "phantom", "approver": "N. N.", "role": "radiologist"}


@pytest.fixture(scope="module")
def pages(phantom_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Kind of summary -> its address; the phantom has sixty cases and three pictures."""
    top, folder = tmp_path_factory.mktemp("summary"), phantom_cohort
    cohort = segfair.load_cohort(folder / "preds", folder / "labels", folder / "metadata.csv")
    config = AuditConfig(load_protocol("default"), permutations=199, bootstrap=100, primary=("age_group", "site"))
    audited = with_gallery(segfair.run_audit(cohort, config), cohort, images=image_files(folder / "images", cohort))
    audited = changed(audited, about={"record": RECORD}, verdict={"gates": make_result(n_cases=20).verdict.gates})
    made = {
        "phantom": (audited, "en"),
        "deutsch": (audited, "de"),
        "hostile": (make_result(levels=HOSTILE), "en"),
        "scores": (changed(make_result(n_cases=60), about={"record": {}}), "en"),
    }
    for kind, (result, language) in made.items():
        write_report(result, top / kind, language=language)  # type: ignore[arg-type]
    return {kind: (top / kind / "summary.html").as_uri() for kind in made}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [390, 1440])
def test_it_opens_without_a_complaint_and_keeps_to_its_width(
    browser: Any, pages: dict[str, str], kind: str, width: int
) -> None:
    show(browser, pages[kind], width)
    shared.assert_it_stands_alone(browser, width)


def test_three_pictures_are_drawn_as_large_as_one_can_see(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["phantom"], 1440)
    sizes = browser.execute_script(
        "return Array.from(document.querySelectorAll('figure svg'), node => node.getBoundingClientRect().width)"
    )
    assert len(sizes) == 3
    assert min(sizes) > 100


@pytest.mark.parametrize("kind", KINDS)
def test_it_prints_on_at_most_two_pages(browser: Any, pages: dict[str, str], kind: str) -> None:
    show(browser, pages[kind])
    printed = browser.execute_cdp_cmd(
        "Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True, "displayHeaderFooter": False}
    )
    read = PdfReader(io.BytesIO(base64.b64decode(printed["data"])))
    assert 1 <= len(read.pages) <= 2
    text = " ".join(page.extract_text() for page in read.pages)
    assert ("Unterschrift" if kind == "deutsch" else "Signature") in text


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [390, 1440])
def test_axe_finds_no_violation(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    shared.test_axe_finds_no_violation(browser, pages, kind, width)
