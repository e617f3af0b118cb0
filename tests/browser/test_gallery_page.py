"""A report with pictures of its worst cases and a second set of labels, in a real browser and on paper."""

from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest
from tests.audit.made_up_audits import changed

import segfair
from segfair.audit.result import AuditConfig, AuditResult
from segfair.audit.second_labels import measure_again
from segfair.gallery.worst_cases import build_gallery, image_files
from segfair.protocol.rules import load_protocol
from segfair.report.files import write_report

shared = pytest.importorskip("tests.browser.test_report_page", reason="selenium is not installed")
AXE, show, pytestmark = shared.AXE, shared.show, shared.pytestmark

KINDS = ["images", "masks"]
PAPER_DOTS = round(182 / 25.4 * 96)
"""Printable width of A4 within the page's own margins."""


@pytest.fixture(scope="module")
def audited(phantom_cohort: Path) -> AuditResult:
    """An audit of the embedded cohort under two sets of labels, with its pictures."""
    folder = phantom_cohort
    cohort = segfair.load_cohort(folder / "preds", folder / "labels", folder / "metadata.csv")
    config = AuditConfig(
        load_protocol("default"),
        permutations=199,
        bootstrap=100,
        derive=True,
        primary=("site",),
        margin={"dsc": 0.05},
        min_cases=5,
    )
    # Any second set of masks will do; the predictions make every agreement the case's own DSC.
    result = measure_again(segfair.run_audit(cohort, config), cohort, folder / "preds")
    gallery = build_gallery(result, cohort, images=image_files(folder / "images", cohort))
    return changed(result, cases={"gallery": gallery})


@pytest.fixture(scope="module")
def pages(audited: AuditResult, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Kind of page -> its address."""
    top = tmp_path_factory.mktemp("gallery")
    assert audited.cases.gallery is not None
    bare = {
        case: dataclasses.replace(
            entry, slices=tuple(dataclasses.replace(picture, image="") for picture in entry.slices)
        )
        for case, entry in audited.cases.gallery.cases.items()
    }
    masks = changed(audited, cases={"gallery": dataclasses.replace(audited.cases.gallery, cases=bare, channel=None)})
    return {
        "images": write_report(audited, top / "images").as_uri(),
        "masks": write_report(masks, top / "masks").as_uri(),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [400, 1200])
def test_pictures_load_from_the_page_alone_and_keep_to_its_width(
    browser: Any, pages: dict[str, str], kind: str, width: int
) -> None:
    show(browser, pages[kind], width)
    shared.assert_it_stands_alone(browser, width)
    n_cards = len(browser.find_elements("css selector", ".gallery .card"))
    assert n_cards >= 3
    pictures = browser.find_elements("css selector", ".gallery .cut svg")
    assert len(pictures) == 3 * n_cards, "three orthogonal slices of each"
    assert len(browser.find_elements("css selector", ".gallery image")) == (len(pictures) if kind == "images" else 0)
    outside = browser.execute_script(
        "return Array.from(document.querySelectorAll('.gallery .cut')).filter((node) => {"
        "const box = node.getBoundingClientRect(); return box.right > innerWidth + 1 || box.width < 40; }).length"
    )
    assert outside == 0
    # A background is stretched over its voxels, and both outlines lie on it.
    drawn = browser.execute_script(
        "return Array.from(document.querySelectorAll('.gallery .cut svg'), (svg) => {"
        "const box = svg.getBoundingClientRect();"
        "return Array.from(svg.querySelectorAll('.label-line, .prediction-line, image')).every((mark) => {"
        "const own = mark.getBoundingClientRect();"
        "return own.left >= box.left - 2 && own.right <= box.right + 2 && own.bottom <= box.bottom + 2; }); })"
    )
    assert all(drawn)


def test_every_picture_has_a_text_alternative_of_its_own(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["images"])
    names = browser.execute_script(
        "return Array.from(document.querySelectorAll('.gallery .cut svg'), (svg) => [svg.getAttribute('role'),"
        "svg.getAttribute('aria-label'), svg.closest('.card').querySelector('h4').textContent.trim()])"
    )
    assert {role for role, _, _ in names} == {"img"}
    assert len({label for _, label, _ in names}) == len(names)
    for _, label, case in names:
        assert case in label
        assert re.search("axial|coronal|sagittal", label, re.IGNORECASE)


def test_links_to_pictures_lead_to_their_card(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["images"])
    shared.unfold(browser)
    links = browser.find_elements("css selector", "#cases p a[href^='#worst-case-']")
    assert links
    for link in links:
        target = browser.find_element("id", link.get_attribute("href").rpartition("#")[2])
        assert target.find_element("tag name", "h4").text == link.text
        # And back: the name above the pictures leads to the case's row, and that to the pictures.
        target.find_element("css selector", "h4 a").click()
        row = browser.switch_to.active_element
        assert row.text.startswith(f"{link.text} picture")
        row.find_element("link text", "picture").click()
        assert browser.switch_to.active_element == target


def test_a_slice_is_enlarged_and_closed_by_keyboard(browser: Any, pages: dict[str, str]) -> None:
    from selenium.webdriver.common.keys import Keys

    for width in (390, 1200):
        show(browser, pages["images"], width)
        small = browser.find_element("css selector", ".cut svg").size["width"]
        browser.find_element("css selector", ".cut .zoom").send_keys(Keys.ENTER)
        dialog = browser.find_element("css selector", "dialog[open]")
        large = dialog.find_element("tag name", "svg")
        assert large.size["width"] > 1.9 * small
        assert dialog.size["height"] <= 900
        assert dialog.size["width"] <= width
        assert "slice" in dialog.get_attribute("aria-label")
        browser.switch_to.active_element.send_keys(Keys.ESCAPE)
        assert not browser.find_elements("css selector", "dialog[open]")
        assert browser.switch_to.active_element.get_attribute("class") == "zoom", "focus goes back"


def test_sixty_cases_with_images_are_at_most_six_sheets(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["images"])
    assert shared.pages_printed(browser) <= 6


def test_on_a_telephone_the_page_is_short(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["images"], 390)
    assert browser.execute_script("return document.documentElement.scrollHeight") <= 11_077


def test_the_second_labels_have_a_section_with_both_gaps(
    browser: Any, pages: dict[str, str], audited: AuditResult
) -> None:
    show(browser, f"{pages['images']}#rulers", 1200)
    section = browser.find_element("id", "rulers")
    assert audited.subgroups.second_labels is not None
    assert audited.subgroups.second_labels.sentence in section.text.replace("\n", " ")
    rows = section.find_elements("css selector", "tbody tr")
    assert len(rows) == min(40, len(audited.subgroups.second_labels.groups))
    heads = [head.text.replace("\n", " ") for head in section.find_elements("css selector", "thead th")]
    assert heads[:5] == ["Group", "n", "Gap, first labels", "Gap, second labels", "Difference"]
    # The predictions as labels: every case has a DSC of 1, and no group a gap.
    assert {row.find_elements("tag name", "td")[2].text.split("\n")[0] for row in rows} == {"0.000"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [400, 1200])
def test_no_table_has_to_be_scrolled(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    show(browser, pages[kind], width)
    assert shared.scrolled(browser) == []


def test_the_pdf_holds_every_picture_and_cuts_no_table(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["images"])
    n_pictures = len(browser.find_elements("css selector", ".gallery image"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        show(browser, pages["images"], PAPER_DOTS)
        assert shared.cut_on_paper(browser) == []
        split = "return Array.from(document.querySelectorAll('.card'), (c) => getComputedStyle(c).breakInside)"
        assert set(browser.execute_script(split)) == {"avoid"}
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    boxes = {tuple(map(float, box.split())) for box in re.findall(rb"/MediaBox\s*\[([^\]]+)\]", pdf)}
    assert all(abs(right - 595) < 2 and abs(top - 842) < 2 for _, _, right, top in boxes), "A4 upright"
    drawn = len(re.findall(rb"/Subtype\s*/Image", pdf))
    assert drawn >= n_pictures > 0


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize(("kind", "width"), [("images", 1200), ("images", 400), ("masks", 1200)])
def test_axe_finds_no_violation(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    shared.test_axe_finds_no_violation(browser, pages, kind, width)
