"""Every page of the hostile study in a real browser: opened, unfolded, printed to the eye; nothing of it is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.security.conftest import written  # noqa: F401 (a fixture)
from tests.security.hostile import MARK

shared = pytest.importorskip("tests.browser.test_report_page", reason="selenium is not installed")
show, unfold, pytestmark = shared.show, shared.unfold, shared.pytestmark


@pytest.mark.parametrize("kind", ["markup", "formulas"])
def test_nothing_of_a_hostile_name_is_run(browser: Any, written: Callable[[str], Path], kind: str) -> None:  # noqa: F811
    folder = written(kind)
    read = 0
    for path in sorted(folder.rglob("*.html")):
        # Some names stand in the path: pages of teams.
        show(browser, path.as_uri())
        if path.name != "summary.html":
            unfold(browser)
        assert browser.get_log("browser") == [], path
        state = browser.execute_script(
            "return [document.scripts.length, performance.getEntriesByType('resource').length,"
            " document.querySelectorAll('iframe, object, embed, base, [onload], [onerror], [onmouseover]').length,"
            " Array.from(document.images).filter(image => !image.src.startsWith('data:')).length,"
            " document.body.textContent.includes(arguments[0])]",
            MARK,
        )
        assert state[0] <= 2 and state[1:4] == [0, 0, 0], (path, state)
        read += state[4]
    assert kind != "markup" or read > 5, "the attacks are there to be read"
