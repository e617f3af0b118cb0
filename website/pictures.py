"""Pictures of the reports, by a browser without a network; none where there is no browser.

python website/pictures.py FOLDER     the three of the README, from the reports of the gallery
"""

from __future__ import annotations

import io
import shutil
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURES = {
    "report": ("audit/report.html", 960, 705, None),
    "leaderboard": ("ranking/leaderboard.html", 840, 1034, None),
    "gallery": ("audit/report.html", 1240, 900, ".card:has(.cut)"),
}
"""Name -> page, width and height of the window, and what of the page is taken: its top, or two elements."""


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


_AROUND = """
for (const fold of document.querySelectorAll("details")) fold.open = true;
const boxes = [...document.querySelectorAll(arguments[0])].slice(0, 2).map(found => found.getBoundingClientRect());
const [x, y] = [Math.min(...boxes.map(box => box.left)), Math.min(...boxes.map(box => box.top))];
const [right, bottom] = [Math.max(...boxes.map(box => box.right)), Math.max(...boxes.map(box => box.bottom))];
return {x: x + scrollX - 12, y: y + scrollY - 6, width: right - x + 24, height: bottom - y + 18, scale: 1};
"""
"""The box around the first two elements that match, with everything unfolded."""


def take(driver: Any, page: Path, picture: Path, *, width: int, height: int, element: str | None = None) -> None:
    """A picture of the top of a page, or of the first two elements that match, in 256 colours."""
    if not page.is_file():
        raise FileNotFoundError(f"{page}: there is no such page to take a picture of")
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    driver.get(page.resolve().as_uri())
    clip = (
        driver.execute_script(_AROUND, element)
        if element
        else {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}
    )
    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot", {"clip": clip, "captureBeyondViewport": element is not None}
    )
    picture.parent.mkdir(parents=True, exist_ok=True)
    Image.open(io.BytesIO(b64decode(shot["data"]))).convert("RGB").quantize(256).save(picture, optimize=True)


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

    from gallery import SHOWN, make_reports

    with tempfile.TemporaryDirectory() as made:
        taken = {page.partition("/")[0] for page, *_ in PICTURES.values()}
        make_reports(Path(made), [entry for entry in SHOWN if entry.name in taken])
        with browser() as driver:
            for name, (page, width, height, element) in PICTURES.items():
                target = Path(sys.argv[1]) / f"{name}.png"
                take(driver, Path(made) / page, target, width=width, height=height, element=element)
