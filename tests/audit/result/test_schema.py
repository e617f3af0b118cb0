"""The schema in the documentation is what the types give, and files keep to it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.report_fixtures import make_result

from segfair.audit.result.schema import SchemaWriter, audit_schema

COMMITTED = Path(__file__).parents[3] / "docs" / "reference" / "audit.schema.json"


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads(COMMITTED.read_text("utf-8"))


def described(tree: Any, schema: dict[str, Any], whole: dict[str, Any], place: str = "audit.json") -> None:
    """Every key of a file is one that the schema describes."""
    if "anyOf" in schema and tree is not None:
        schema = next((part for part in schema["anyOf"] if "$ref" in part), schema)
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    if isinstance(tree, dict) and "properties" in schema:
        for key, value in tree.items():
            known = schema["properties"].get(key) or schema.get("additionalProperties")
            assert known or "format" in schema["properties"], f"{place}.{key}: not described"
            described(value, known or {}, whole, f"{place}.{key}")
    elif isinstance(tree, dict):
        for key, value in tree.items():
            described(value, schema.get("additionalProperties", {}), whole, f"{place}.{key}")
    elif isinstance(tree, list):
        for value in tree:
            described(value, schema.get("items", {}), whole, place)


def test_the_committed_file_is_what_the_types_give(schema: dict[str, Any]) -> None:
    assert schema == audit_schema(), "write it anew with `make schemas`"
    jsonschema.Draft202012Validator.check_schema(schema)


def test_audits_keep_to_it_and_every_key_is_described(schema: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for result in (
        make_result(margin=0.1, primary=("site",), outcomes=("dsc", "normhd")),
        make_result(inference=False),
    ):
        tree = json.loads(json.dumps(result.to_dict()))
        validator.validate(tree)
        described(tree, schema, schema)
        assert set(tree) == set(schema["properties"])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("subgroups", "dsc", 0, "p_value"), 1.5),
        (("cases", "n_scored"), -1),
        (("config", "missing_prediction"), "guess"),
        (("attributes", 0, "levels", 0, "dsc"), "high"),
        (("scores", "FS", "ci"), [0.1]),
        (("protocol", "format"), 2),
    ],
)
def test_it_can_fail(schema: dict[str, Any], path: tuple[str | int, ...], value: object) -> None:
    tree = json.loads(json.dumps(make_result().to_dict()))
    place = tree
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not jsonschema.Draft202012Validator(schema).is_valid(tree)


def test_a_type_that_no_file_holds_is_refused() -> None:
    with pytest.raises(TypeError, match="no JSON Schema"):
        SchemaWriter({}).of(Path)
