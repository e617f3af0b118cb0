"""What every page's script does for tables, folded parts, figures and terms, on a small page made by hand."""

from __future__ import annotations

import csv
import html
import io
import time
from pathlib import Path
from typing import Any

import pytest
from markupsafe import Markup

from segfair.report.drawing import Box, Drawing, Text
from segfair.report.files import _environment, content_policy, page_script, template_folder
from segfair.report.glossary import glossary
from segfair.report.parts import cell, figure, number_column, table
from segfair.report.signing.language import language_of

shared = pytest.importorskip("tests.browser.test_report_page", reason="selenium is not installed")
show, pytestmark = shared.show, shared.pytestmark

MAIN = """
{% extends "report.html.j2" %}
{% import "macros.html.j2" as m %}
{% block meta %}made by hand{% endblock %}
{% block main %}
<section id="open"><h2>Open</h2><p>FS is read against chance; FS again.</p>
{{ m.table(page.teams) }}{{ m.table(page.shares) }}{{ m.figure(page.figure) }}</section>
<section id="closed">
{%- call m.fold("Closed", "8 rows", "closed-fold") %}
<p id="inside">Inside. {{ m.table(page.cities) }}{{ m.figure(page.figure | combine_key) }}</p>
{%- call m.fold("Deeper", "1") %}<p id="deeper">Deeper.</p>{% endcall %}
{% endcall %}
</section>
<p><a id="link" href="#deeper">to the deepest</a></p>
{% endblock %}
"""
FORMULAS = ["=1+1", "+1 day", "-1", "@home", '"quoted", with a comma', "plain"]
SHARES = ["7 %", "under 1 %", "100 %", "over 99 %", "0 %", "99 %"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the page lies."""
    drawing = Drawing(3, 0.5, 0.1, 0.1, 0.1, 1)
    drawing.add(Box(0, 0, 2, 1, "#a13c00", "lines", "#ffffff"), Text(0.1, 0.5, "a text"))
    numbers = ["1,200", "−3", "<0.001", "–", "12", "7"]
    teams = table(
        "Teams by name",
        ["Team", number_column("DSC"), "Note"],
        [
            [cell(name, sub="second line" if name == "plain" else ""), cell(number), "same"]
            for name, number in zip(FORMULAS, numbers, strict=True)
        ],
    )
    shares = table("Shares", ["Team", number_column("First")], [["t", share] for share in SHARES])
    cities = table("Cities", ["City", number_column("n")], [[name, str(n)] for n, name in enumerate("hgfedcba")])
    page = {
        "title": "Made by hand",
        "version": "0",
        "contents": [{"id": "open", "title": "Open"}, {"id": "closed", "title": "Closed"}],
        "glossary": glossary("fs", "dsc"),
        "teams": teams,
        "cities": cities,
        "shares": shares,
        "figure": figure(drawing, key="box", label="A box", caption="A box.", data=cities),
    }
    environment = _environment(template_folder(), language_of("en"))
    environment.filters["combine_key"] = lambda found: {**found, "key": "box-again", "data": None}
    script = page_script(template_folder())
    page_text = environment.from_string(MAIN).render(
        page=page,
        script=Markup(script),
        style=Markup((template_folder() / "style.css").read_text("utf-8")),
        payload=Markup("{}"),
        policy=content_policy(script),
    )
    path = tmp_path_factory.mktemp("script") / "page.html"
    path.write_text(page_text, "utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Any:
    browser.get("about:blank")
    show(browser, address)
    return browser


def column(page: Any, number: int, name: str = "teams-by-name") -> list[str]:
    rows = f"document.querySelectorAll('table[data-table=\"{name}\"] tbody tr')"
    return list(page.execute_script(f"return Array.from({rows}, (row) => row.cells[{number}].textContent.trim())"))


def press(page: Any, text: str, within: str = "#open") -> None:
    page.find_element("css selector", within).find_element("xpath", f".//button[normalize-space()='{text}']").click()


def pasted(page: Any) -> str:
    from selenium.webdriver.common.keys import Keys

    page.execute_script(
        "const field = document.createElement('textarea'); field.id = 'paste'; document.body.append(field)"
    )
    field = page.find_element("id", "paste")
    field.send_keys(Keys.CONTROL, "v")
    return str(field.get_property("value"))


def test_a_table_is_sorted_by_any_head_and_keeps_what_has_no_value_last(page: Any) -> None:
    press(page, "DSC")
    assert column(page, 1) == ["−3", "<0.001", "7", "12", "1,200", "–"]
    press(page, "DSC")
    assert column(page, 1) == ["1,200", "12", "7", "<0.001", "−3", "–"]
    press(page, "Note")
    assert column(page, 0) == [*FORMULAS[:5], "plainsecond line"], "equal values stay in their order"
    heads = page.find_elements("css selector", "table[data-table=teams-by-name] th[aria-sort]")
    assert [head.text.strip(" ▲") for head in heads] == ["Note"]


def test_shares_are_sorted_as_they_are_meant(page: Any) -> None:
    press(page, "First")
    assert column(page, 1, "shares") == ["0 %", "under 1 %", "7 %", "99 %", "over 99 %", "100 %"]


def test_what_a_table_was_asked_stands_in_the_address_and_is_asked_again(page: Any, address: str) -> None:
    field = page.find_element("css selector", "#open input[type=search]")
    field.send_keys("1")
    press(page, "DSC")
    press(page, "DSC")
    asked = page.current_url
    assert asked == f"{address}#&teams-by-name.text=1&teams-by-name.sort=1d"
    seen = column(page, 0)
    assert seen == ["=1+1", '"quoted", with a comma', "-1", "+1 day"]
    page.get("about:blank")
    show(page, asked)
    assert column(page, 0) == seen
    assert page.find_element("css selector", "#open input[type=search]").get_property("value") == "1"
    page.find_element("id", "link").click()
    assert page.current_url == f"{address}#deeper&teams-by-name.text=1&teams-by-name.sort=1d", "links keep it"


def test_an_address_opens_the_part_whose_table_it_asks(page: Any, address: str) -> None:
    page.get("about:blank")
    show(page, f"{address}#&cities.text=b")
    assert column(page, 0, "cities")[:1] == ["b"]


def test_a_copied_table_is_csv_in_which_nothing_is_a_formula(page: Any) -> None:
    press(page, "Copy as CSV")
    rows = list(csv.reader(io.StringIO(pasted(page))))
    assert rows == [
        ["Team", "Team, details", "DSC", "Note"],
        ["'=1+1", "", "1200", "same"],
        ["'+1 day", "", "-3", "same"],
        ["-1", "", "<0.001", "same"],
        ["'@home", "", "", "same"],
        ['"quoted", with a comma', "", "12", "same"],
        ["plain", "second line", "7", "same"],
    ]


def test_what_is_filtered_and_sorted_is_what_is_copied(page: Any) -> None:
    page.find_element("css selector", "#open input[type=search]").send_keys("PLAIN")
    press(page, "Copy as CSV")
    assert [row[0] for row in csv.reader(io.StringIO(pasted(page)))] == ["Team", "plain"]


def test_a_folded_part_is_made_when_it_is_opened(page: Any) -> None:
    assert page.find_elements("id", "inside") == []
    summary = page.find_element("css selector", "#closed-fold > summary")
    assert summary.text == "Closed 8 rows"
    summary.click()
    shared.wait_for(page, "#inside")
    assert column(page, 0, "cities") == list("hgfedcba")
    press(page, "City", "#closed")
    assert column(page, 0, "cities") == sorted("hgfedcba"), "and is ready for use"


@pytest.mark.parametrize("how", ["link", "address", "contents"])
def test_it_is_opened_by_a_link_into_it_and_by_the_address(page: Any, address: str, how: str) -> None:
    if how == "address":
        page.get("about:blank")
        show(page, f"{address}#deeper")
    elif how == "link":
        page.find_element("id", "link").click()
    else:
        page.find_element("link text", "Closed").click()
    target = page.find_element("id", "inside" if how == "contents" else "deeper")
    assert target.is_displayed()


def test_without_a_script_folded_parts_are_there(browser: Any, address: str) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        show(browser, address)
        browser.find_element("css selector", "#closed-fold > summary").click()
        assert browser.find_element("id", "inside").is_displayed()
        assert not browser.find_element("id", "print-all").is_displayed()
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_everything_is_opened_for_print_on_request_and_closed_again(page: Any) -> None:
    page.execute_script(
        "window.print = () => { window.shut = document.querySelectorAll('details:not([open])').length }"
    )
    assert page.find_elements("css selector", "details:not([open])")
    page.find_element("id", "print-all").click()
    assert page.execute_script("return window.shut") == 0
    page.execute_script("dispatchEvent(new Event('afterprint'))")
    assert not page.find_elements("css selector", "details[open]")


def test_in_a_frame_of_a_notebook_links_open_and_tables_sort(browser: Any, address: str, tmp_path: Path) -> None:
    inner = html.escape(Path(address.removeprefix("file://")).read_text("utf-8"))
    outer = tmp_path / "notebook.html"
    outer.write_text(f'<iframe srcdoc="{inner}" width="1000" height="800"></iframe>', "utf-8")
    show(browser, outer.as_uri())
    browser.switch_to.frame(browser.find_element("tag name", "iframe"))
    try:
        press(browser, "DSC")
        assert column(browser, 1)[0] == "−3"
        browser.find_element("id", "link").click()
        assert browser.find_element("id", "deeper").is_displayed()
    finally:
        browser.switch_to.default_content()
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("kind", ["SVG", "PNG"])
def test_a_figure_is_saved_as_a_file_of_its_own(page: Any, tmp_path: Path, kind: str) -> None:
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    press(page, f"Save {kind}")
    path = tmp_path / f"box.{kind.lower()}"
    deadline = time.monotonic() + 10
    while not path.is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert page.get_log("browser") == []
    if kind == "SVG":
        text = path.read_text("utf-8")
        assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
        assert ">a text</text>" in text
        assert "class=" not in text
        assert 'font-family="' in text
        return
    from PIL import Image

    with Image.open(path) as picture:
        width, height = picture.size
        assert width / height == pytest.approx(3 / 1.2, rel=0.01)
        assert picture.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        red, green, blue = picture.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert red > green > blue or red > green >= blue, "the box is drawn in its colour"


def test_a_term_explains_itself_on_focus_and_on_hover_and_once_a_section(page: Any) -> None:
    links = page.find_elements("css selector", "#open p a.term")
    assert [link.text for link in links] == ["FS"]
    page.execute_script("arguments[0].focus()", links[0])
    tip = page.find_element("css selector", "[role=tooltip]")
    assert tip.text.startswith("Fairness score, the mean over attributes")
    assert links[0].get_attribute("aria-describedby") == tip.get_attribute("id")
    from selenium.webdriver.common.keys import Keys

    links[0].send_keys(Keys.ESCAPE)
    assert page.find_elements("css selector", "[role=tooltip]") == []
    page.execute_script(
        "document.querySelector('#open th:nth-child(2) button').dispatchEvent(new Event('mouseover', {bubbles: true}))"
    )
    assert page.find_element("css selector", "[role=tooltip]").text.startswith("Dice similarity coefficient")
    links[0].click()
    assert page.current_url.endswith("#term-fs")
