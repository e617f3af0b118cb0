"""The JSON Schema of `rank.json`, from the types that it is written from; reads no file and validates nothing.

python -m segfair.rank.schema docs/reference/rank.schema.json
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segfair.audit.result import MetricFacts
from segfair.audit.result.schema import SchemaWriter, Tree, write_schema
from segfair.rank.result import FORMAT, Ranking

__all__ = ["rank_schema"]

_ASIDE = ("config", "standings", "scores", "attributes", "galleries", "levels")
"""Fields of a ranking that its file does not hold as they are."""


def rank_schema() -> Tree:
    """The schema of `rank.json`."""
    writer = SchemaWriter({}, closed=True)
    known = writer.fields(Ranking, without=_ASIDE)
    text, texts, number = writer.of(str), writer.of(tuple[str, ...]), writer.of(float)
    reasons = _array(_object({"case": text, "reason": text}))
    anything: Tree = {"type": "object"}
    properties = {
        "format": {"const": FORMAT, "description": "A change that breaks readers comes with another number."},
        "by": known["by"],
        "lower_is_better": known["lower_is_better"],
        "settings": anything | {"description": "What the order and its certainty depend on."},
        "protocol": anything | {"description": "The scoring rules, in the layout of the protocol's TOML file."},
        "inputs": writer.of(Mapping[str, str]),
        "versions": known["versions"],
        "n_cases": {"type": "integer", "minimum": 1},
        "n_patients": known["n_patients"],
        "excluded": reasons,
        "attributes": texts,
        "verdict": known["verdict"],
        "teams": writer.fields(Ranking, without=tuple(name for name in Ranking.__slots__ if name != "standings"))[
            "standings"
        ],
        "penalised": _map(_map(text)),
        "baseline": known["baseline"],
        "variants": known["variants"],
        "left_out": known["left_out"],
        "alerts": known["alerts"],
        "notices": known["notices"],
        "pairs": known["pairs"],
        "agreement": known["agreement"],
        "schemes": known["schemes"],
        "without_attribute": known["without_attribute"],
        "within": known["within"],
        "levels": _map(_array(_level(writer)))
        | {"description": "Team -> every level against everybody else, by DSC or what is ranked by."},
        "audit": anything | {"description": "What an audit.json of any team says alike, in its layout."},
        "cases": _object(
            {
                "columns": texts | {"description": "case, and the attributes."},
                "rows": _array(_array({"type": ["string", "null"]})),
                "subjects": writer.of(tuple[int, ...])
                | {"description": "Code of each case's patient; empty where cases are patients."},
                "label_sha256": writer.of(Mapping[str, str]),
            }
        ),
        "case_scores": _map(
            _object(
                {
                    "metrics": writer.of(tuple[MetricFacts, ...]),
                    "values": _map(_array(number | {"type": ["number", "null"]})),
                    "penalised": reasons,
                    "missing_predictions": texts,
                }
            )
        )
        | {"description": "Team -> its scores, in the order of `cases`; what `segfair compare ranking:TEAM` reads."},
    }
    return writer.document("rank.json", FORMAT, writer.object(Ranking, properties, list(properties)))


def _level(writer: SchemaWriter) -> Tree:
    interval = writer.of(tuple[float, float] | None)
    maybe: Tree = {"type": ["number", "null"]}
    return _object(
        {
            "items": writer.of(Mapping[str, str]),
            "n": {"type": "integer", "minimum": 0},
            "mean": maybe,
            "rest_mean": maybe,
            "difference": maybe,
            "ci": interval,
            "p_adjusted": maybe,
            "significant": {"type": ["boolean", "null"]},
        }
    )


def _object(properties: dict[str, Any]) -> Tree:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _array(items: Tree) -> Tree:
    return {"type": "array", "items": items}


def _map(values: Tree) -> Tree:
    return {"type": "object", "additionalProperties": values}


if __name__ == "__main__":
    write_schema(rank_schema(), Path(sys.argv[1]))
