"""The result of an audit on disk, read back, and shown in a notebook."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit, planted

import segfair
from segfair.audit.result import AuditResult


def test_audit_json_survives_the_disk(tmp_path: Path) -> None:
    made = planted(np.random.default_rng(3), 90, 0.1)
    config = dataclasses.replace(DEFAULT, primary=("sex",), margin={"dsc": 0.05}, outcomes=("dsc", "normhd"))
    result = audit(config, **made)
    result.save(tmp_path / "audit.json")
    loaded = AuditResult.load(tmp_path / "audit.json")
    assert loaded == result
    assert loaded.to_dict() == result.to_dict()
    tree = json.loads((tmp_path / "audit.json").read_text("utf-8"))
    assert tree["format"] == 2
    row = tree["subgroups"]["dsc"][0]
    assert {"items", "n", "support", "mean", "rest_mean", "divergence", "t", "divergence_shrunk", "ci", "p_value",
            "p_adjusted", "significant", "adjusted"} <= set(row)  # fmt: skip
    assert set(tree["scores"]) == {"DSC", "NormHD", "PS", "FS", "TS"}
    assert {"mean", "interval", "p_value"} == set(tree["scores"]["FS"]["chance"])


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "cases": 3}', "nonsense", "\x00"]
)
def test_what_is_no_audit_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(text)
    with pytest.raises(segfair.SegfairError, match=r"audit\.json"):
        AuditResult.load(path)


def test_an_audit_is_six_lines_when_its_name_is_typed() -> None:
    made = planted(np.random.default_rng(8), 60, 0.1)
    result = audit(**made)
    lines = repr(result).splitlines()
    assert len(lines) == 6
    assert max(map(len, lines)) <= 240
    assert lines[0].startswith("AuditResult: 60 cases")
    assert lines[1] in (result.verdict.sentence, f"{result.verdict.sentence[:239]}…")
    worst = result.subgroups["dsc"].worst(3)
    assert all(f"n {row.n}, " in line for row, line in zip(worst, lines[3:], strict=True))


def test_a_path_may_be_a_text_or_the_folder_of_a_report(tmp_path: Path) -> None:
    result = audit(**planted(np.random.default_rng(8), 60, 0.1))
    result.save(str(tmp_path / "audit.json"))
    assert AuditResult.load(str(tmp_path)) == AuditResult.load(tmp_path / "audit.json") == result


@pytest.mark.parametrize(
    ("name", "reason"),
    [("", "no audit.json in this folder"), ("audit.jsn", r"no such file \(did you mean audit\.json\.bak\?\)")],
)
def test_an_audit_that_is_not_there_is_told_with_what_is(name: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "audit.json.bak").write_text("{}")
    with pytest.raises(segfair.SegfairError, match=rf"{reason}; name what segfair audit wrote: its folder"):
        AuditResult.load(tmp_path / name)


def test_format_1_opens_with_the_estimates_that_its_rows_hold() -> None:
    """Format 1 had the divergence and its simultaneous interval, which are the difference times the share of the rest."""
    made = planted(np.random.default_rng(3), 90, 0.1)
    result = audit(dataclasses.replace(DEFAULT, primary=("sex",), margin={"dsc": 0.05}), **made)
    tree = json.loads(json.dumps(result.to_dict()))
    tree["format"] = 1
    del tree["findings"], tree["worst_off"], tree["verdict"]["groups"], tree["verdict"]["causes"]
    for row in (*tree["subgroups"]["dsc"], *tree["primary_subgroups"]["rows"]):
        del row["estimate"]
        row["margin"] = "insufficient evidence" if row["margin"] == "open" else row["margin"]
    older = AuditResult.from_dict(tree)
    assert older.subgroups.findings == ()
    for mine, theirs in zip(result.subgroups["dsc"], older.subgroups["dsc"], strict=True):
        assert mine.margin == theirs.margin
        assert theirs.estimate is not None
        assert mine.estimate is not None
        assert theirs.estimate.value == pytest.approx(mine.estimate.value)
        assert (theirs.estimate.p_adjusted, theirs.estimate.n_cases) == (mine.p_adjusted, mine.n)
    assert older.to_dict()["format"] == 2


def test_an_audit_of_a_version_that_named_no_groups_and_causes_opens() -> None:
    tree = json.loads(json.dumps(audit(DEFAULT, **planted(np.random.default_rng(3), 60, 0.1)).to_dict()))
    del tree["findings"], tree["worst_off"], tree["verdict"]["groups"], tree["verdict"]["causes"]
    older = AuditResult.from_dict(tree)
    assert (older.verdict.groups, older.verdict.causes, older.verdict.kind) == ((), (), tree["verdict"]["kind"])


@pytest.mark.parametrize(
    ("metrics", "name"),
    [(("dsc", "volume"), "lesion volume"), (("dsc", "area_px"), "lesion area"), (("area_mm2",), "lesion area")],
)
def test_the_size_of_a_lesion_in_a_picture_is_an_area(metrics: tuple[str, ...], name: str) -> None:
    scores = audit(**planted(np.random.default_rng(3), 40, 0.1)).cases.scores
    assert dataclasses.replace(scores, metrics=metrics).lesion_size == name
