"""What gaps are made of, by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

QUICK = ("--permutations", "99", "--bootstrap", "100", "--workers", "1")


def test_reasons_are_told_beside_an_audit_that_stays_as_it_was(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    places = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    trees = {}
    for name, more in (("plain", ()), ("with", ("--reasons", "--share", tmp_path / "shared"))):
        done = call_cli("audit", *places, "--out", tmp_path / name, *QUICK, *more)
        assert done.returncode == 0, done.stderr
        trees[name] = json.loads((tmp_path / name / "audit.json").read_text("utf-8"))
    reasons = trees["with"].pop("reasons")
    assert trees["plain"].pop("reasons") is None
    assert trees["with"] == trees["plain"]
    assert [gap["items"] for gap in reasons["gaps"]] == [finding["items"] for finding in trees["plain"]["findings"]]
    assert reasons["gaps"]
    for gap in reasons["gaps"]:
        assert sum(part["value"] for part in gap["parts"]) == pytest.approx(gap["value"], abs=1e-12)
    rows = trees["plain"]["case_scores"]
    dsc = {row[0]: row[rows["columns"].index("dsc")] for row in rows["rows"]}
    assert {case["case"]: sum(case["parts"].values()) for case in reasons["cases"]} == pytest.approx(
        {case: 1 - value for case, value in dsc.items()}
    )
    page = (tmp_path / "with" / "report.html").read_text("utf-8")
    assert 'id="reasons"' in page
    assert reasons["gaps"][0]["sentence"] in page
    assert 'id="reasons"' not in (tmp_path / "plain" / "report.html").read_text("utf-8")
    shared = json.loads((tmp_path / "shared" / "audit.json").read_text("utf-8"))["reasons"]
    assert shared["cases"] == []
    assert {part["name"] for gap in (shared, *shared["gaps"]) for part in gap.get("parts", gap.get("deficit"))} == {
        "size_and_shape",
        "else",
    }


@pytest.mark.parametrize(
    ("command", "more", "told"),
    [
        ("audit", ("--outcome", "iou"), "--reasons: takes gaps in dsc apart, and the primary outcome is iou"),
        ("audit", ("--unit", "lesion"), "--reasons: takes the DSC of cases apart, and here a row is a lesion"),
        ("audit-scores", (), "--reasons: looks at the masks, and scores have none"),
    ],
)
def test_what_cannot_be_taken_apart(call_cli, phantom_cohort: Path, tmp_path: Path, command, more, told) -> None:
    places = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    places = places if command == "audit" else [phantom_cohort / "metadata.csv"] * 2
    done = call_cli(
        command, *places, "--out", tmp_path / "no", "--reasons", *more, *(QUICK if command == "audit" else ())
    )
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "no").exists()
