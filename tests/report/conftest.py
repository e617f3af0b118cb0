"""One made-up audit and its page, for tests that only read them."""

from __future__ import annotations

import pytest
from tests.report.pages import Page, draw
from tests.report_fixtures import make_result

from segfair.audit.result import AuditResult


@pytest.fixture(scope="session")
def result() -> AuditResult:
    return make_result()


@pytest.fixture(scope="session")
def html(result: AuditResult) -> str:
    return draw(result)


@pytest.fixture(scope="session")
def page(html: str) -> Page:
    return Page(html)
