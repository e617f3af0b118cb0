"""The built site (`make docs`): whole, and without anything of another host."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import segfair
from segfair.cli.app import LISTED

LOADED = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
    "object": "data",
    "use": "href",
}
"""Element -> attribute that a browser fetches by itself; of `link` it depends on `rel`."""
FETCHED_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "dns-prefetch", "preconnect", "manifest"}

SEARCH = "search/search_index.js"
"""Searching needs a server (`python -m http.server -d build/site`); from disk the theme looks for this in vain."""


class Assets(HTMLParser):
    """What a page loads, and where it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.anchors.add(given["id"])
        if tag == "link" and FETCHED_LINKS & set(given.get("rel", "").split()):
            self.loads.append(given.get("href", ""))
        elif tag in LOADED:
            self.loads += [given[name] for name in (LOADED[tag], "srcset") if given.get(name)]
        elif tag == "a" and given.get("href"):
            self.links.append(given["href"])


@pytest.fixture(scope="session")
def site(pytestconfig: pytest.Config) -> Path:
    folder = pytestconfig.getoption("site")
    if folder is None:
        pytest.skip("the site is built, and then looked through, by `make docs`")
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> dict[Path, Assets]:
    found = {}
    for path in sorted(site.rglob("*.html")):
        found[path] = Assets()
        found[path].feed(path.read_text("utf-8"))
    assert len(found) > 30
    return found


def test_no_page_loads_anything_from_another_host(pages: dict[Path, Assets]) -> None:
    for path, page in pages.items():
        foreign = [url for url in page.loads if urlsplit(url).netloc]
        assert not foreign, f"{path}: {foreign}"


def test_no_page_has_what_the_theme_fetches_a_library_for(pages: dict[Path, Assets]) -> None:
    """Its script asks a host for mermaid as soon as there is a diagram of that kind."""
    assert not [path for path in pages if re.search(r'class="[^"]*\bmermaid\b', path.read_text("utf-8"))]


def test_no_style_loads_anything_from_another_host(site: Path) -> None:
    for path in site.rglob("*.css"):
        # Theme sheets carry their icons in data: URLs.
        urls = re.findall(r"(?:url\(|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", path.read_text("utf-8"))
        assert not urls, f"{path}: {urls}"


def test_every_link_within_the_site_leads_somewhere(site: Path, pages: dict[Path, Assets]) -> None:
    """Those of the gallery and of notebooks too, which no strict build looks at."""
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            # A comparison of the gallery links to audits, whose folders lie beside it.
            assert target.exists(), f"{path.relative_to(site)}: {link}"
            if parts.fragment and target in pages and "gallery/" not in str(target.relative_to(site)):
                assert unquote(parts.fragment) in pages[target].anchors, f"{path.relative_to(site)}: {link}"


def test_every_command_and_every_public_name_has_its_place(site: Path, pages: dict[Path, Assets]) -> None:
    assert set(LISTED) <= pages[site / "reference" / "commands.html"].anchors
    named = {anchor.rpartition(".")[2] for anchor in pages[site / "reference" / "python.html"].anchors}
    assert set(segfair.__all__) <= named


def test_the_gallery_shows_each_report(site: Path) -> None:
    page = (site / "gallery" / "index.html").read_text("utf-8")
    text = re.sub("<[^>]+>", "", page)  # without the colours of a command
    for name in ("audit", "no-bias", "ranking", "comparison", "mitigation"):
        assert f'href="{name}/' in page
        assert f"--out {name}" in text


def test_a_page_opens_without_a_network(site: Path, pages: dict[Path, Assets]) -> None:
    """In a browser that can reach nothing: no failed request, no sideways scroll on a telephone."""
    webdriver = pytest.importorskip("selenium.webdriver")
    browsing = pytest.importorskip("tests.browser.conftest")
    if not (browsing.CHROMIUM and browsing.DRIVER):
        pytest.skip("no chromium with chromedriver here")
    options = webdriver.ChromeOptions()
    options.binary_location = browsing.CHROMIUM
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--allow-file-access-from-files",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(browsing.DRIVER))
    try:
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
        )
        for path in pages:
            if "gallery" in path.parts[len(site.parts) :] and path.name != "index.html":
                continue  # tests/browser looks at reports
            if path.name == "404.html":
                continue  # it is for a server, and asks for its parts from the top
            driver.get(path.resolve().as_uri())
            wide = driver.execute_script("return document.documentElement.scrollWidth")
            assert wide <= 390, f"{path.relative_to(site)} is {wide} wide"
            messages = [entry["message"] for entry in driver.get_log("browser") if "ERR_" in entry["message"]]
            failed = [message for message in messages if SEARCH not in message]
            assert not failed, f"{path.relative_to(site)}: {failed}"
    finally:
        driver.quit()
