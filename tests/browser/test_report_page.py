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
from segfair.report.rows import PAGE_ROWS

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
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get(address)


def unfold(browser: Any) -> None:
    """Opens every folded part, lists of members excepted: there is one in each row."""
    browser.execute_async_script(
        """
        const done = arguments[0];
        (function step() {
            const closed = document.querySelectorAll('details:not([open]):not(.members)');
            closed.forEach((fold) => { fold.open = true; });
            setTimeout(closed.length ? step : done, 30);
        })();
        """
    )


def assert_it_stands_alone(browser: Any, width: int) -> None:
    """A page complains of nothing, loads nothing, and is no wider than the window."""
    assert browser.get_log("browser") == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def show_subgroups(browser: Any, address: str, width: int = 1280) -> None:
    show(browser, f"{address}#subgroups", width)


def column(browser: Any, number: int) -> list[str]:
    """Texts of one column, in the order they are drawn."""
    script = f"return Array.from(document.querySelectorAll('{ROWS}'), row => row.cells[{number}].innerText.trim())"
    return list(browser.execute_script(script))


def numbers(texts: list[str]) -> list[float]:
    return [float(text.replace("−", "-").replace(",", "")) for text in texts if text != "–"]


def head(browser: Any, title: str) -> Any:
    return browser.find_element("xpath", f"//table[@id='subgroup-table']//th[normalize-space()='{title}']/button")


def status(browser: Any) -> str:
    return str(browser.find_element("css selector", ".tools:has(+ #subgroup-table) [role=status]").text)


def wait_for(browser: Any, selector: str) -> Any:
    """The first element of a kind, once there is one: folded parts are made a moment after they are opened."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 5).until(lambda driver: driver.find_elements("css selector", selector))[0]


def scrolled(browser: Any) -> list[str]:
    """Tables (and boxes around them) whose columns do not fit, everything unfolded."""
    unfold(browser)
    return list(
        browser.execute_script(
            """
            return Array.from(document.querySelectorAll('.scroll, .scroll table, th, td'))
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
            const clipped = Array.from(document.querySelectorAll('.scroll')).filter((node) =>
                node.scrollWidth > node.clientWidth + 1 || getComputedStyle(node).overflowY !== 'visible');
            return [...wide, ...clipped].map((node) => node.outerHTML.slice(0, 160));
            """
        )
    )


@pytest.mark.parametrize("kind", ["plain", "hostile", "large"])
def test_it_opens_from_disk_without_a_complaint(browser: Any, pages: dict[str, str], kind: str) -> None:
    show(browser, pages[kind])
    assert browser.get_log("browser") == []
    assert browser.find_element("tag name", "h1").text == "nnU-Net 2.1: segmentation audit by subgroup"
    assert browser.find_elements("css selector", ROWS) == [], "made when they are opened"
    unfold(browser)
    assert browser.get_log("browser") == []
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
        const scrolls = (node) => node.closest('.scroll, svg, .skip, details:not([open])');
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
        unfold(browser)
        names = browser.execute_script(
            "return Array.from(document.querySelectorAll('td'), (cell) => [cell.dataset.title,"
            "getComputedStyle(cell, '::before').content])"
        )
        assert names
        assert all(title for title, _ in names), "drawn by the script or by the template"
        assert all((said == f'"{title}"') == shown for title, said in names)
    show_subgroups(browser, pages["plain"], 400)
    assert not head(browser, "n").is_displayed()
    order = browser.find_element("css selector", ".tools:has(+ #subgroup-table) select")
    order.send_keys("n, falling")
    sizes = numbers(column(browser, 1))
    assert sizes == sorted(sizes, reverse=True), "sorting stays possible"
    assert sizes[0] > sizes[-1]


def test_sections_stand_in_the_order_they_are_read(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["plain"])
    ids = browser.execute_script("return Array.from(document.querySelectorAll('main section'), (part) => part.id)")
    wanted = ["verdict", "primary", "worst", "alerts", "scores", "attributes", "cases", "subgroups", "why", "power"]
    assert [name for name in ids if name in wanted] == wanted
    assert ids.index("power") < ids.index("method")
    links = browser.execute_script("return Array.from(document.querySelectorAll('nav ol a'), (a) => a.hash.slice(1))")
    assert links == ids


def test_the_script_draws_what_the_page_already_said(browser: Any, pages: dict[str, str]) -> None:
    show_subgroups(browser, pages["plain"])
    html = Path(pages["plain"].removeprefix("file://")).read_text("utf-8")
    written = re.search(r'id="subgroup-table".*?<tbody>(.*?)</tbody>', html, re.S)
    assert written
    browser.execute_script(
        "const table = document.createElement('table'); table.id = 'written';"
        "table.innerHTML = '<tbody>' + arguments[0] + '</tbody>'; document.body.append(table)",
        written[1],
    )
    texts = (
        "document.querySelectorAll('.members').forEach((list) => list.remove());"
        "return Array.from(document.querySelectorAll(arguments[0]), row => row.textContent.trim())"
    )
    drawn = browser.execute_script(texts, ROWS)
    assert drawn == browser.execute_script(texts, "#written tbody tr")
    assert len(drawn) == PAGE_ROWS


def test_sorting_by_mouse(browser: Any, pages: dict[str, str]) -> None:
    show_subgroups(browser, pages["large"])
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
    assert browser.current_url.endswith("#subgroups"), "nothing is asked any more"


def test_sorting_and_filtering_by_keyboard(browser: Any, pages: dict[str, str]) -> None:
    from selenium.webdriver.common.keys import Keys

    show_subgroups(browser, pages["plain"])

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
    # Checkbox, reset, what scrolls where the table is too wide, the copy, then the first column's head.
    focused = press(Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB, Keys.TAB)
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
    show_subgroups(browser, pages["plain"])
    everything = status(browser)
    choice = browser.find_element("css selector", "#subgroup-controls [name=state]")
    assert not [option for option in choice.text.splitlines() if "{" in option], "no placeholder is left"
    choice.send_keys("significantly worse")
    assert {cell.split("\n")[0] for cell in column(browser, 8)} == {"significantly worse"}
    browser.find_element("css selector", "#subgroup-controls [name=text]").send_keys("no such level")
    assert status(browser) == "No row fits the filter."
    assert column(browser, 0) == []
    browser.find_element("css selector", "#subgroup-controls button").click()
    assert status(browser) == everything
    browser.find_element("css selector", "#subgroup-controls [name=redundant]").click()
    assert status(browser) != everything
    browser.find_element("css selector", "#subgroup-controls [name=outcome]").send_keys("NormHD (exploratory)")
    table = make_result(outcomes=("dsc", "normhd"), primary=("site",)).subgroups["normhd"]
    assert status(browser) == f"Rows 1 to {PAGE_ROWS} of {len(table)}"
    assert column(browser, 2)[:20] == [format_number(row.mean) for row in table.rows[:20]]


def test_four_thousand_subgroups_are_paged(browser: Any, pages: dict[str, str]) -> None:
    show_subgroups(browser, pages["large"])
    assert re.fullmatch(r"Rows 1 to 50 of \d,\d{3}", status(browser))
    assert len(column(browser, 0)) == PAGE_ROWS
    turn = browser.find_element("css selector", "#subgroup-table + .pages")
    previous, next_page = turn.find_elements("tag name", "button")
    assert not previous.is_enabled()
    first = column(browser, 0)
    next_page.click()
    assert status(browser).startswith("Rows 51 to 100 of ")
    assert not set(first) & set(column(browser, 0))
    previous.click()
    assert column(browser, 0) == first


def test_without_a_script_the_first_page_is_there(browser: Any, pages: dict[str, str]) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        show(browser, pages["large"])
        browser.find_element("css selector", "#subgroups summary").click()
        assert len(browser.find_elements("css selector", ROWS)) == PAGE_ROWS
        assert not browser.find_element("id", "subgroup-controls").is_displayed()
        assert browser.find_element("id", "subgroup-status").text.endswith("subgroups.csv holds all.")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_hostile_names_run_nothing(browser: Any, pages: dict[str, str]) -> None:
    show_subgroups(browser, pages["hostile"])
    head(browser, "Mean").click()
    assert any("<script>alert(1)</script>" in text for text in column(browser, 0))
    assert browser.get_log("browser") == []
    assert browser.execute_script("return document.scripts.length") == 2


def pages_printed(browser: Any) -> int:
    """How many sheets the page takes as it is."""
    pdf = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert pdf.startswith(b"%PDF")
    return len(re.findall(rb"/Type\s*/Page\b", pdf))


@pytest.mark.parametrize("kind", ["plain", "large"])
def test_it_prints_without_cut_tables(browser: Any, pages: dict[str, str], kind: str) -> None:
    show(browser, pages[kind])
    unfold(browser)
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
    assert 6 <= pages_printed(browser) <= 60


@pytest.mark.parametrize("kind", ["plain", "large"])
def test_what_is_folded_is_left_out_of_the_print_and_named(browser: Any, pages: dict[str, str], kind: str) -> None:
    show(browser, pages[kind])
    assert pages_printed(browser) <= 6
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        line = browser.find_element("css selector", "#subgroups > .fold > summary")
        assert line.is_displayed()
        said = browser.execute_script("return getComputedStyle(arguments[0], '::after').content", line)
        assert "folded, not printed" in said
        assert not browser.find_element("id", "print-all").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.parametrize("kind", ["plain", "large"])
def test_the_page_is_small_until_it_is_opened(browser: Any, pages: dict[str, str], kind: str) -> None:
    show(browser, pages[kind])
    assert browser.execute_script("return document.getElementsByTagName('*').length") <= 4000


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_scrolls_within_the_page(browser: Any, pages: dict[str, str], width: int) -> None:
    show(browser, pages["plain"], width)
    unfold(browser)
    traps = browser.execute_script(
        """
        return Array.from(document.querySelectorAll('main *')).filter((node) => node.scrollHeight > node.clientHeight + 1
            && ['auto', 'scroll'].includes(getComputedStyle(node).overflowY)
            && getComputedStyle(node).maxHeight !== 'none').map((node) => node.outerHTML.slice(0, 160));
        """
    )
    assert traps == []


def test_members_of_a_subgroup_lead_to_their_rows_and_the_search_finds_them(
    browser: Any, pages: dict[str, str]
) -> None:
    show_subgroups(browser, pages["plain"])
    first = browser.find_element("css selector", ROWS)
    size = int(first.find_elements("tag name", "td")[0].text)
    first.find_element("css selector", ".members summary").click()
    links = wait_for(browser, ".members p").find_elements("tag name", "a")
    assert len(links) == size
    case = links[0].text
    links[0].click()
    row = browser.switch_to.active_element
    assert row.tag_name == "tr"
    assert row.text.startswith(case)
    assert browser.find_element("css selector", "#all-cases").get_attribute("open") is not None
    search = browser.find_element("css selector", "#case-search input")
    search.send_keys(case)
    found = browser.execute_script(
        "return Array.from(document.querySelectorAll('#case-table tbody tr'), (row) => row.cells[0].innerText)"
    )
    assert found
    assert all(case in text for text in found)


def test_the_search_opens_the_table_of_cases(browser: Any, pages: dict[str, str]) -> None:
    show(browser, pages["large"])
    browser.find_element("css selector", "#case-search input").send_keys("case007")
    rows = browser.find_elements("css selector", "#case-table tbody tr")
    assert [row.find_element("tag name", "th").text.split("\n")[0] for row in rows] == ["case007"]
    assert browser.find_element("css selector", "#case-search input").get_property("value") == "case007"
    assert "cases.text=case007" in browser.current_url


def violations(browser: Any, address: str, width: int, scheme: str = "light") -> list[tuple[str, str]]:
    """What axe finds with everything unfolded, targets of less than 24 pixels among it: rule and element."""
    light = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", light)
    try:
        show(browser, address, width)
        unfold(browser)
        browser.execute_script(AXE.read_text("utf-8"))
        found = browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run(document, { rules: { 'target-size': { enabled: true } } })"
            ".then((found) => done(found.violations), (error) => done(String(error)))"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert isinstance(found, list), found
    return [(entry["id"], entry["nodes"][0]["html"][:200]) for entry in found]


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize(("kind", "width"), [("plain", 390), ("plain", 768), ("plain", 1440), ("hostile", 1440)])
def test_axe_finds_no_violation(browser: Any, pages: dict[str, str], kind: str, width: int) -> None:
    for scheme in ("light", "dark"):
        assert violations(browser, pages[kind], width, scheme) == []
