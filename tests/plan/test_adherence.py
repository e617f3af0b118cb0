"""Was the audit the one that was planned? From the plan through the command line and Python to the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import segfair
from segfair.audit.result import AuditResult
from segfair.handover.disclosure import share
from segfair.handover.pseudonyms import pseudonymise
from segfair.report.audit.scores import plan_section

TEXT = """
title = "Release 1"
[plan]
primary = ["site"]
margin = {dsc = 0.1}
gate = ["coverage >= 0.5"]
where = 'age > 20'
permutations = 99
bootstrap = 100
[plan.sample_size]
sd = 0.15
cases = 60
"""


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(TEXT, "utf-8")
    return path


def audited(call_cli, cohort: Path, out: Path, *options: object) -> tuple[dict, AuditResult]:
    inputs = [cohort / part for part in ("preds", "labels", "metadata.csv")]
    done = call_cli("audit", *inputs, *options, "--out", out, "--workers", 1, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), AuditResult.load(out / "audit.json")


def test_an_audit_as_planned_says_so(call_cli, phantom_cohort: Path, study: Path, tmp_path: Path) -> None:
    hashed = json.loads(call_cli("plan", study, "--json").stdout)["sha256"]
    said, result = audited(call_cli, phantom_cohort, tmp_path / "out", "--plan", study)
    plan = result.about.plan
    assert plan is not None
    n_scored = result.cases.counts.n_scored
    expected = () if n_scored == 60 else ("number of cases",)
    assert tuple(entry.setting for entry in plan.differences) == expected
    assert plan.digest == hashed == said["plan"]["sha256"]
    assert result.about.config.primary == ("site",)
    assert result.about.config.permutations == 99
    assert [gate.gate for gate in result.verdict.gates] == ["coverage >= 0.5"]
    # The rest of the file is the record of the study, and the plan is no part of that.
    assert result.about.record == {"title": "Release 1"}


def test_what_differs_is_named_with_both_values(call_cli, phantom_cohort: Path, study: Path, tmp_path: Path) -> None:
    options = ("--plan", study, "--seed", 3, "--margin", "dsc=0.2", "--gate", "DSC >= 0.01", "--where", "age > 30")
    said, result = audited(call_cli, phantom_cohort, tmp_path / "out", *options, "--metrics", "dsc,normhd,hd95_mm")
    plan = result.about.plan
    assert plan is not None
    found = {entry.setting: (entry.planned, entry.done) for entry in plan.differences}
    assert found["seed"] == ("0", "3")
    assert found["margin"] == ("dsc = 0.1", "dsc = 0.2")
    assert found["gate"] == ("coverage >= 0.5", "coverage >= 0.5, DSC >= 0.01")
    assert found["where"] == ("age > 20", "age > 30")
    assert found["protocol, metrics"][1] == "dsc, normhd, hd95_mm"
    assert found["number of cases"] == ("60", str(result.cases.counts.n_scored))
    assert not said["plan"]["as_planned"]
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "Not as planned" in page and "What differs from the plan" in page
    assert f"differs in {len(plan.differences)} settings" in (tmp_path / "out" / "summary.html").read_text("utf-8")


def test_python_audits_as_planned_too(call_cli, phantom_cohort: Path, study: Path, tmp_path: Path) -> None:
    _, told = audited(call_cli, phantom_cohort, tmp_path / "out", "--plan", study)
    inputs = [phantom_cohort / part for part in ("preds", "labels", "metadata.csv")]
    result = segfair.audit(*inputs, plan=study)
    assert result.about.plan == told.about.plan
    assert result.verdict.gates == told.verdict.gates
    changed = segfair.audit(*inputs, plan=study, seed=5).about.plan
    assert changed is not None and "seed" in [entry.setting for entry in changed.differences]


def test_what_leaves_the_house_quotes_no_path_and_no_id(
    call_cli, phantom_cohort: Path, study: Path, tmp_path: Path
) -> None:
    """A plan may name a case or a path; its hash stays."""
    study.write_text(TEXT.replace("'age > 20'", "'patient_id != \"PH0003\"'"), "utf-8")
    _, result = audited(call_cli, phantom_cohort, tmp_path / "out", "--plan", study)
    full = result.about.plan
    assert full is not None and "PH0003" in str(full.planned)
    for handed_on in (share(result), pseudonymise(result, b"k" * 32)):
        plan = handed_on.about.plan
        assert plan is not None and plan.digest == full.digest
        assert "PH0003" not in str(plan)
        section = plan_section(handed_on)
        assert section is not None and section["digest"] == full.digest


def test_without_a_plan_nothing_is_said(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    said, result = audited(call_cli, phantom_cohort, tmp_path / "out", "--permutations", 99, "--bootstrap", 100)
    assert result.about.plan is None
    assert "plan" not in said
    assert plan_section(result) is None
