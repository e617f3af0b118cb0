"""The page in a real browser: opened from disk, used by mouse and by keyboard, printed, and checked by axe."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from tests.browser.conftest import CHROMIUM, DRIVER
from tests.report_fixtures import HOSTILE, make_result

from segfair.audit.words import format_number
from segfair.report.files import write_report

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="needs Chromium and chromedriver (Debian: chromium, chromium-driver)"
)

ROWS = "#subgroup-table tbody tr"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Kind of page -> its address."""
    folder = tmp_path_factory.mktemp("pages")
    many = {f"attribute_{index}": tuple(f"level {code}" for code in range(4)) for index in range(8)}
    kinds: dict[str, dict[str, Any]] = {
        "plain": {"outcomes": ("dsc", "normhd"), "primary": ("site",)},
        "hostile": {"levels": HOSTILE},
        "large": {"n_cases": 1506, "levels": many, "min_support": 0.005},
    }
    return {kind: write_report(make_result(**made), folder / kind).as_uri() for kind, made in kinds.items()}


def show(browser: Any, address: str, width: int = 1280) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.get_log("browser")
    browser.get(address)


def column(browser: Any, number: int) -> list[str]:
    """Texts of one column, in the order they are drawn."""
    script = f"return Array.from(document.querySelectorAll('{ROWS}'), row => row.cells[{number}].innerText.trim())"
    return list(browser.execute_script(script))


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace("−", "-").replace(",", "")) for text in texts if text != "–"]


def head(browser: Any, title: str) -> Any:
    return browser.find_element("xpath", f"//table[@id='subgroup-table']//th[normalize-space()='{title}']/button")


def status(browser: Any) -> str:
    return str(browser.find_element("id", "subgroup-status").text)


def wait_for(browser: Any, selector: str) -> Any:
    """The first element of a kind, once there is one: folded parts are made a moment after they are opened."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 5).until(lambda driver: driver.find_elements("css selector", selector))[0]


def scrolled(browser: Any) -> list[str]:
    """Tables (and boxes around them) whose columns do not fit, everything unfolded."""
    browser.execute_script("document.querySelectorAll('details').forEach((entry) => { entry.open = true; })")
    return list(
        browser.execute_script(
            """
            return Array.from(document.querySelectorAll('.scroll, .box, .scroll table, .box table, th, td'))
                .filter((node) => node.getClientRects().length && node.scrollWidth > node.clientWidth + 1
                    && !(innerWidth < 641 && node.closest('thead')))
                .map((node) => node.outerHTML.slice(0, 160));
            """
        )
    )


def cut_on_paper(browser: Any) -> list[str]:
    """What would not be whole on a printed page: too wide for it, or within something that clips."""
    return list(
        browser.execute_script(
            """
            const all = Array.from(document.querySelectorAll('table, tr, th, td, figure svg, image, pre, code'))
                .filter((node) => node.getClientRects().length);
            const wide = all.filter((node) => node.getBoundingClientRect().right > innerWidth + 1);
            const clipped = Array.from(document.querySelectorAll('.scroll, .box')).filter((node) =>
                node.scrollWidth > node.clientWidth + 1 || getComputedStyle(node).overflowY !== 'visible');
            return [...wide, ...clipped].map((node) => node.outerHTML.slice(0, 160));
            """
        )
    )


@pytest.mark.parametrize("kind", ["plain", "hostile", "large"])
def test_it_opens_from_disk_without_a_complaint(browser: Any, pages: dict[str, str], kind: str) -> None:
    show(browser, pages[kind])
    assert browser.get_log("browser") == []
    assert browser.find_element("tag name", "h1").text == "Segmentation audit by subgroup"
    assert len(browser.find_elements("css selector", ROWS)) > 30
    requests = browser.execute_script("return performance.getEntriesByType('resource').length")
    assert requests == 0


@pytest.mark.parametrize("kind", ["plain", "hostile", "large"])
@pytest.mark.parametrize("width", [400, 768, 1280])
def test_nothing_hangs_out_of_the_page(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    show(browser, pages[kind], width)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    outside = browser.execute_script(
        """
        const scrolls = (node) => node.closest('.scroll, .box, svg, .skip, details:not([open])');
        return Array.from(document.body.querySelectorAll('*'))
            .filter((node) => !scrolls(node) && node.getClientRects().length)
            .filter((node) => node.getBoundingClientRect().right > innerWidth + 1)
            .map((node) => node.outerHTML.slice(0, 200));
        """
    )
    assert outside == []


@pytest.mark.parametrize("kind", ["plain", "large"])
@pytest.mark.parametrize("width", [400, 1200])
def test_no_table_has_to_be_scrolled(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    show(browser, pages[kind], width)
    assert scrolled(browser) == []


def test_on_a_narrow_screen_each_value_has_its_name(browser: Any, pages: dict[str, str]) -> None:
    for width, shown in ((400, True), (1200, False)):
        show(browser, pages["plain"], width)
        names = browser.execute_script(
            "return Array.from(document.querySelectorAll('td'), (cell) => [cell.dataset.title,"
            "getComputedStyle(cell, '::before').content])"
        )
        assert names
        assert all(title for title, _ in names), "drawn by the script or by the template"
        assert all((said == f'"{title}"') == shown for title, said in names)
    show(browser, pages["plain"], 400)
    head(browser, "n").click()
    sizes = numbers(column(browser, 1))
    assert sizes == sorted(sizes), "sorting stays possible"


def test_sections_stand_in_the_order_they_are_read(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["plain"])
    ids = browser.execute_script("return Array.from(document.querySelectorAll('main section'), (part) => part.id)")
    wanted = ["verdict", "primary", "worst", "alerts", "scores", "attributes", "subgroups", "why", "cases", "power"]
    assert [name for name in ids if name in wanted] == wanted
    assert ids.index("power") < ids.index("method")
    links = browser.execute_script("return Array.from(document.querySelectorAll('nav a'), (a) => a.hash.slice(1))")
    assert links == ids


def test_the_script_draws_what_the_page_already_said(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["plain"])
    html = Path(pages["plain"].removeprefix("file://")).read_text("utf-8")
    written = re.search(r'id="subgroup-table".*?<tbody>(.*?)</tbody>', html, re.S)
    assert written
    browser.execute_script(
        "const table = document.createElement('table'); table.id = 'written';"
        "table.innerHTML = '<tbody>' + arguments[0] + '</tbody>'; document.body.append(table)",
        written[1],
    )
    texts = "return Array.from(document.querySelectorAll(arguments[0]), row => row.textContent.trim())"
    drawn = browser.execute_script(texts, ROWS)
    assert drawn == browser.execute_script(texts, "#written tbody tr")
    assert len(drawn) == 100


def test_sorting_by_mouse(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["large"])
    first = column(browser, 0)
    head(browser, "n").click()
    ascending = numbers(column(browser, 1))
    assert ascending == sorted(ascending)
    cell = head(browser, "n").find_element("xpath", "..")
    assert cell.get_attribute("aria-sort") == "ascending"
    head(browser, "n").click()
    descending = numbers(column(browser, 1))
    assert descending == sorted(descending, reverse=True)
    assert descending[0] > ascending[-1]
    assert cell.get_attribute("aria-sort") == "descending"
    head(browser, "Adjusted p").click()
    assert cell.get_attribute("aria-sort") is None
    values = [0.0005 if text == "<0.001" else float(text) for text in column(browser, 6) if text != "–"]
    assert values == sorted(values)
    browser.find_element("css selector", "#subgroup-controls button").click()
    assert column(browser, 0) == first


def test_sorting_and_filtering_by_keyboard(browser: Any, pages: dict[str, str]) -> None:
    from selenium.webdriver.common.keys import Keys

    show(browser, pages["plain"])

    def press(*keys: str) -> Any:
        for key in keys:
            browser.switch_to.active_element.send_keys(key)
        return browser.switch_to.active_element

    browser.find_element("css selector", "#subgroup-controls [name=attribute]").send_keys("site")
    assert all("site = " in text for text in column(browser, 0))
    focused = press(Keys.TAB, Keys.TAB)
    assert focused.get_attribute("name") == "text"
    press("ispy1")
    assert column(browser, 0)
    assert all("ISPY1" in text for text in column(browser, 0))
    assert status(browser).startswith("Rows 1 to ")
    # Checkbox, reset, the scrolling box, then the first column's head.
    focused = press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB)
    assert focused.text == "Subgroup"
    outline = browser.execute_script("return getComputedStyle(arguments[0]).outlineStyle", focused)
    assert outline == "solid", "focus can be seen"
    press(Keys.TAB, Keys.ENTER)
    sizes = numbers(column(browser, 1))
    assert sizes == sorted(sizes)
    assert browser.switch_to.active_element.text.startswith("n"), "focus stays where it was"
    press(Keys.SPACE)
    assert numbers(column(browser, 1)) == sorted(sizes, reverse=True)


def test_filters_find_what_is_there_and_say_when_nothing_is(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["plain"])
    everything = status(browser)
    choice = browser.find_element("css selector", "#subgroup-controls [name=state]")
    assert not [option for option in choice.text.splitlines() if "{" in option], "no placeholder is left"
    choice.send_keys("significantly worse")
    assert {cell.split("\n")[0] for cell in column(browser, 8)} == {"significantly worse"}
    browser.find_element("css selector", "#subgroup-controls [name=text]").send_keys("no such level")
    assert status(browser) == "No subgroup fits the filter."
    assert column(browser, 0) == []
    browser.find_element("css selector", "#subgroup-controls button").click()
    assert status(browser) == everything
    browser.find_element("css selector", "#subgroup-controls [name=redundant]").click()
    assert status(browser) != everything
    browser.find_element("css selector", "#subgroup-controls [name=outcome]").send_keys("NormHD (exploratory)")
    table = make_result(outcomes=("dsc", "normhd"), primary=("site",)).subgroups["normhd"]
    assert status(browser) == f"Rows 1 to 100 of {len(table)}"
    assert column(browser, 2)[:20] == [format_number(row.mean) for row in table.rows[:20]]


def test_four_thousand_subgroups_are_paged(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["large"])
    assert re.fullmatch(r"Rows 1 to 100 of \d,\d{3}", status(browser))
    assert len(column(browser, 0)) == 100
    next_page = browser.find_element("css selector", "#subgroup-pages [name=next]")
    previous = browser.find_element("css selector", "#subgroup-pages [name=previous]")
    assert not previous.is_enabled()
    first = column(browser, 0)
    next_page.click()
    assert status(browser).startswith("Rows 101 to 200 of ")
    assert not set(first) & set(column(browser, 0))
    previous.click()
    assert column(browser, 0) == first


def test_without_a_script_the_first_hundred_are_there(browser: Any, pages: dict[str, str]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, pages["large"])
        assert len(browser.find_elements("css selector", ROWS)) == 100
        assert not browser.find_element("id", "subgroup-controls").is_displayed()
        assert status(browser).endswith("subgroups.csv holds all.")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_hostile_names_run_nothing(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["hostile"])
    head(browser, "Mean").click()
    assert any("<script>alert(1)</script>" in text for text in column(browser, 0))
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.scripts.length") == 2


@pytest.mark.parametrize("kind", ["plain", "large"])
def test_it_prints_without_cut_tables(browser: Any, pages: dict[str, str], kind: str) -> None:
    show(browser, pages[kind])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        # The printable width of A4 with the page's own margins: 182 mm at 96 dots an inch.
        paper = round(182 / 25.4 * 96)
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": paper, "height": 1000, "deviceScaleFactor": 1, "mobile": False},
        )
        assert cut_on_paper(browser) == []
        assert browser.execute_script("return document.documentElement.scrollWidth") <= paper
        heads = "return getComputedStyle(document.querySelector('#subgroup-table thead')).display"
        assert browser.execute_script(heads) == "table-header-group", "repeated on every page"
        assert not browser.find_element("id", "subgroup-controls").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    assert 5 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 40


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize(("kind", "width"), [("plain", 1280), ("plain", 400), ("hostile", 1280)])
def test_axe_finds_no_violation(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    show(browser, pages[kind], width)
    browser.execute_script("document.querySelectorAll('details').forEach((entry) => { entry.open = true; })")
    browser.execute_script(AXE.read_text("utf-8"))
    found = browser.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document).then((found) => done(found.violations), (error) => done(String(error)))"
    )
    assert isinstance(found, list), found
    assert [(entry["id"], entry["nodes"][0]["html"][:200]) for entry in found] == []
