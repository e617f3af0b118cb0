"""The JSON Schema of `comparison.json`, from the types that it is written from; reads no file and validates nothing.

python -m segfair.compare.schema docs/reference/comparison.schema.json
"""

from __future__ import annotations

import sys
from pathlib import Path

from segfair.audit.result.schema import SchemaWriter, Tree, write_schema
from segfair.compare.result import FORMAT, Comparison

__all__ = ["comparison_schema"]


def comparison_schema() -> Tree:
    """The schema of `comparison.json`, which is written and never read back: nothing may be missing from it."""
    writer = SchemaWriter({}, closed=True)
    properties = writer.fields(Comparison)
    audits = {name: properties.pop(name) for name in ("before", "after")}
    extra = {
        "format": {"const": FORMAT, "description": "A change that breaks readers comes with another number."},
        "audits": {
            "type": "object",
            "description": "The two audits; differences are after minus before.",
            "properties": audits,
            "required": list(audits),
            "additionalProperties": False,
        },
    }
    tree = writer.object(Comparison, extra | properties, [*extra, *properties])
    return writer.document("comparison.json", FORMAT, tree)


if __name__ == "__main__":
    write_schema(comparison_schema(), Path(sys.argv[1]))
