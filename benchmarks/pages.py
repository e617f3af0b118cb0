"""What a report costs to write and to open: made-up audits of some sizes, and a headless Chromium without a network.

    python benchmarks/pages.py [--repeats 5]

Written are all five files: the page with its figures, audit.json, the tables and the manifest; CPU seconds of one
thread in a process that has its imports behind it. Opened is report.html from the disk, in a window of 1280 x 900:
milliseconds until something is painted, and until the page can be used; medians of several runs. Elements are those of
the page as it opens, its height is that of a window 390 pixels wide, and sheets are A4 of its default print. The table
of subgroups is unfolded and turned to its next rows by the script. Without Chromium and chromedriver those columns are
a dash.
"""

from __future__ import annotations

import argparse
import base64
import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.report_fixtures import make_result

from segfair.audit.result import AuditResult
from segfair.report.files import write_report

SIZES: tuple[dict[str, Any], ...] = (
    {"n_cases": 60, "attributes": 4, "min_support": 0.05},
    {"n_cases": 300, "attributes": 4, "min_support": 0.02},
    {"n_cases": 1506, "attributes": 4, "min_support": 0.005},
    {"n_cases": 1506, "attributes": 8, "min_support": 0.005},
    {"n_cases": 1506, "attributes": 30, "min_support": 0.05, "max_items": 2},
)
OPENED = """
const done = arguments[0];
new PerformanceObserver((list) => {
    const opened = performance.getEntriesByType("navigation")[0];
    done([list.getEntries()[0].startTime, opened.domInteractive, document.querySelectorAll("*").length]);
}).observe({ type: "paint", buffered: true });
"""
TURNED = """
const next = document.querySelector("#subgroup-table + .pages button:last-child");
if (!next || next.disabled || next.closest("[hidden]")) return null;
const start = performance.now();
next.click();
document.body.getBoundingClientRect();
return performance.now() - start;
"""


def audit_of(n_cases: int, attributes: int, **search: Any) -> AuditResult:
    """A random cohort with a planted gap and four levels in each attribute."""
    levels = {f"attribute {index}": tuple(f"level {code}" for code in range(4)) for index in range(attributes)}
    return make_result(n_cases=n_cases, levels=levels, outcomes=("dsc", "normhd"), **search)


def writing(result: AuditResult, folder: Path, repeats: int) -> float:
    """Median CPU seconds of writing a report."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        write_report(result, folder)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; None where there is none."""
    binary, driver = shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")
    if not binary or not driver:
        yield None
        return
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"):
        options.add_argument(argument)
    options.add_argument("--window-size=1280,900")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


def opening(browser: Any, page: Path, repeats: int) -> tuple[str, ...]:
    """Median milliseconds to the first paint, until it can be used, of turning a table; elements, height, sheets."""
    if browser is None:
        return ("-",) * 6
    opened, turned = [], []
    for _ in range(repeats):
        browser.get("about:blank")
        browser.get(page.as_uri())
        opened.append(browser.execute_async_script(OPENED))
        browser.get("about:blank")
        browser.get(f"{page.as_uri()}#subgroups")
        turned.append(browser.execute_script(TURNED))
    paint, usable, nodes = (statistics.median(values) for values in zip(*opened, strict=True))
    known = [value for value in turned if value is not None]
    turn = f"{statistics.median(known):.0f}" if known else "-"
    return f"{paint:.0f}", f"{usable:.0f}", turn, f"{nodes:,.0f}", *extent(browser, page)


def extent(browser: Any, page: Path) -> tuple[str, str]:
    """Pixels from top to bottom on a telephone, and sheets of paper."""
    narrow = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}
    browser.get("about:blank")
    browser.get(page.as_uri())
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", narrow)
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})
    sheets = len(re.findall(rb"/Type\s*/Page\b", base64.b64decode(printed["data"])))
    return f"{height:,}", f"{sheets}"


def main() -> None:
    """Prints the table of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(
        "| cases | attributes | subgroups | write, CPU s | page, kB | audit.json, MB | first paint, ms | usable, ms |"
        " next rows, ms | elements | height at 390 px | sheets |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name, chromium() as browser:
        for number, size in enumerate(SIZES):
            result, folder = audit_of(**size), Path(name) / str(number)
            seconds = writing(result, folder, repeats)
            found = len(result.subgroups["dsc"])
            sizes = [(folder / file).stat().st_size for file in ("report.html", "audit.json")]
            cells = [f"{size['n_cases']:,}", size["attributes"], f"{found:,}", f"{seconds:.2f}"]
            cells += [
                f"{sizes[0] / 1e3:,.0f}",
                f"{sizes[1] / 1e6:.1f}",
                *opening(browser, folder / "report.html", repeats),
            ]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
