"""The JSON Schemas of what comparisons write, from the types that it is written from; reads no file, validates nothing.

python -m segfair.compare.schema comparison docs/reference/comparison.schema.json
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from segfair.audit.result.schema import SchemaWriter, Tree, write_schema
from segfair.compare.cohorts.result import COHORTS_FORMAT, SERIES_FORMAT, CohortComparison, Series
from segfair.compare.result import FORMAT, Comparison

__all__ = ["cohorts_schema", "comparison_schema", "monitor_schema"]


def comparison_schema() -> Tree:
    """The schema of `comparison.json`."""
    return _schema("comparison.json", Comparison, FORMAT)


def cohorts_schema() -> Tree:
    """The schema of `cohorts.json`."""
    return _schema("cohorts.json", CohortComparison, COHORTS_FORMAT, kind="cohorts")


def monitor_schema() -> Tree:
    """The schema of `monitor.json`."""
    return _schema("monitor.json", Series, SERIES_FORMAT, kind="series")


def _schema(file: str, of: type, number: int, *, kind: str = "") -> Tree:
    """Of a file that is written and never read back: nothing may be missing from it."""
    writer = SchemaWriter({}, closed=True)
    properties = writer.fields(of)
    extra: dict[str, Any] = {
        "format": {"const": number, "description": "A change that breaks readers comes with another number."}
    }
    if kind:
        extra["kind"] = {"const": kind}
    if {"before", "after"} <= properties.keys():
        audits = {name: properties.pop(name) for name in ("before", "after")}
        extra["audits"] = {
            "type": "object",
            "description": "The two audits; differences are after minus before.",
            "properties": audits,
            "required": list(audits),
            "additionalProperties": False,
        }
    tree = writer.object(of, extra | properties, [*extra, *properties])
    return writer.document(file, number, tree)


SCHEMAS = {"comparison": comparison_schema, "cohorts": cohorts_schema, "monitor": monitor_schema}

if __name__ == "__main__":
    write_schema(SCHEMAS[sys.argv[1]](), Path(sys.argv[2]))
