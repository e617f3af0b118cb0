"""The figures of the page as files of their own: exactly those that the page draws. Touches no disk."""

from __future__ import annotations

import re
from typing import Literal

from segfair.audit.result import AuditResult
from segfair.report.audit import page_data
from segfair.report.parts import collected_drawings

__all__ = ["FOLDER", "figure_files"]

FOLDER = "figures"


def figure_files(result: AuditResult, kind: Literal["svg", "png", "pdf"]) -> dict[str, bytes]:
    """Every figure of an audit's page.

    Args:
        result: The audit.
        kind: File format.

    Returns:
        Path within the report's folder -> contents. Names are those of the page's parts (`scores`, `attribute0`),
        with the attribute's name where it can stand in a file name.
    """
    from segfair.report.printing import to_file

    with collected_drawings() as drawings:
        page_data(result, written="")
    return {f"{FOLDER}/{_name(key, result)}.{kind}": to_file(drawing, kind=kind) for key, drawing in drawings.items()}


def _name(key: str, result: AuditResult) -> str:
    number = key.removeprefix("attribute")
    if key != number and number.isdecimal():
        attribute = re.sub(r"[^A-Za-z0-9]+", "-", result.attributes.facts[int(number)].name).strip("-")[:40]
        return f"{key}-{attribute}" if attribute else key
    return key
