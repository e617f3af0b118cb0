"""One comparison that levels down and its page, for tests that only read them."""

from __future__ import annotations

import pytest
from tests.report.comparison.pages import compared, draw

from segfair.compare.result import Comparison


@pytest.fixture(scope="session")
def levelled() -> Comparison:
    return compared(men=-0.06)


@pytest.fixture(scope="session")
def html(levelled: Comparison) -> str:
    return draw(levelled)
