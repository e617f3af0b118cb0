"""Pictures of the reports, by a browser without a network; none where there is no browser.

    python website/pictures.py FOLDER     the three of the README, from the reports of the gallery
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURES = {
    "report": ("audit/report.html", 960, 705, None),
    "leaderboard": ("ranking/leaderboard.html", 840, 1034, None),
    "gallery": ("audit/report.html", 1100, 900, "#gallery figure"),
}
"""Name -> page, width and height of the window, and what of the page is taken (its top, or elements)."""


def can_take_pictures() -> bool:
    """Whether there is a browser with its driver."""
    return any(map(shutil.which, BROWSERS)) and shutil.which("chromedriver") is not None


@contextmanager
def browser() -> Iterator[Any]:
    """A browser that can reach nothing."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = next(filter(None, map(shutil.which, BROWSERS)))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def take(driver: Any, page: Path, picture: Path, *, width: int, height: int, element: str | None = None) -> None:
    """A picture of the top of a page, or of the first element that matches, in 256 colours."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(page.resolve().as_uri())
    shot = driver.get_screenshot_as_png()
    if element is not None:
        found = driver.find_element("css selector", element)
        driver.execute_script("arguments[0].closest('details')?.setAttribute('open', '')", found)
        shot = found.screenshot_as_png
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(shot)).convert("RGB").quantize(256).save(picture, optimize=True)


def take_pictures(reports: Path, folder: Path) -> None:
    """Those of the README and of the pages, and one of each report of the gallery.

    Args:
        reports: What `gallery.make_reports` made.
        folder: Where to.
    """
    from gallery import shown

    with browser() as driver:
        for name, (page, width, height, element) in PICTURES.items():
            take(driver, reports / page, folder / f"{name}.png", width=width, height=height, element=element)
        for entry in shown():
            page = reports / entry.name / entry.page
            take(driver, page, folder / "gallery" / f"{entry.name}.png", width=1100, height=820)


if __name__ == "__main__":
    import sys
    import tempfile

    from gallery import make_reports

    with tempfile.TemporaryDirectory() as made:
        make_reports(Path(made))
        with browser() as driver:
            for name, (page, width, height, element) in PICTURES.items():
                target = Path(sys.argv[1]) / f"{name}.png"
                take(driver, Path(made) / page, target, width=width, height=height, element=element)
