"""A comparison on disk, under its schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
from tests.compare.models import cohort, noisy, scores_of
from tests.score_fixtures import with_scores

from segfair.audit.result import AuditResult
from segfair.compare.procedure import run_comparison
from segfair.compare.schema import comparison_schema

ROOT = Path(__file__).resolve().parents[2]


def test_comparison_json_keeps_to_its_schema(first: AuditResult, dice: np.ndarray, tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs" / "reference" / "comparison.schema.json").read_text("utf-8"))
    assert schema == comparison_schema(), "written by `make schemas`"
    validator = jsonschema.Draft202012Validator(schema)
    after = with_scores(first, scores_of(noisy(dice, 11) - 0.06 * (cohort()["sex"] == "M")))
    for second in (first, after):
        run_comparison(first, second).save(tmp_path / "comparison.json")
        tree = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
        validator.validate(tree)
        assert set(tree) == set(schema["properties"]), "every key is described"
    tree["metrics"]["dsc"]["difference"] = "much"
    assert not validator.is_valid(tree), "the schema can fail"
