"""An audit of lesions: each one a row with its patient's attributes, its size and its depth; patients are the units."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import segfair
from segfair.audit.choices.lesions import lesions_as_cases, require_lesions
from segfair.audit.result import AuditConfig, AuditResult
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, SegfairError
from segfair.handover.disclosure import share
from segfair.handover.pseudonyms import pseudonymise
from segfair.protocol.rules import load_protocol
from segfair.report.files import write_report
from segfair.scoring.pairs import score_pair
from segfair.scoring.scores import ScoreTable, protocol_metrics

FEW = {"permutations": 99, "bootstrap": 100, "min_cases": 5}
SPACING = (1.0, 1.0, 2.0)


def cohort() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], pd.DataFrame]:
    """24 labels with a small and a large lesion each, and one without; at site B every small one is missed."""
    labels, predictions = {}, {}
    for number in range(25):
        label = np.zeros((16, 16, 8), dtype=np.uint8)
        if number < 24:
            label[2:4, 2:4, 3:5] = 1
            label[8:13, 7 + number % 3 : 12 + number % 3, 2:6] = 1
        prediction = label.copy()
        prediction[8, :, 2 + number % 2] = 0
        if number % 2:
            prediction[2:4, 2:4, 3:5] = 0
        labels[f"C{number:02}"], predictions[f"C{number:02}"] = label, prediction
    rows = {"case": list(labels), "site": ["AB"[number % 2] for number in range(25)]}
    rows["patient_id"] = [f"P{number // 2:02}" if number < 4 else f"Q{number}" for number in range(25)]
    return labels, predictions, pd.DataFrame(rows)


@pytest.fixture(scope="module")
def audited() -> AuditResult:
    labels, predictions, table = cohort()
    found = segfair.audit(predictions, labels, table, spacing=SPACING, lesions="panoptica", unit="lesion", **FEW)
    assert isinstance(found, AuditResult)
    return found


def test_each_lesion_is_a_row(audited: AuditResult) -> None:
    rows = audited.cases.scores
    assert len(rows.rows) == 48
    assert rows.column("case")[:3] == ["C00#1", "C00#2", "C01#1"]
    assert set(rows.column("volume")) == {16.0, 200.0}
    assert rows.column("lesion_missed")[:4] == [0.0, 0.0, 1.0, 0.0]
    assert rows.column("dsc")[2] == 0.0
    assert rows.column("lesion_depth_mm")[:2] == [3.0, 5.5]
    assert set(rows.attributes) >= {"site", "lesion_volume", "lesion_depth"}
    assert "patient_id" not in rows.attributes
    assert {"≤ 0.016 ml", "> 0.016 ml"} == {level.level for level in _levels(audited, "lesion_volume")}
    assert audited.case_ids == tuple(f"C{number:02}" for number in range(24))
    assert any("48 lesions of 25 cases; 1 case without a lesion" in text for text in audited.about.notices)
    assert "of-a-lesion/panoptica/iou-from-0.5/connectivity-26" in audited.cases.metrics[0].definition


def _levels(result: AuditResult, name: str) -> tuple[object, ...]:
    return next(entry.levels for entry in result.attributes.facts if entry.name == name)


def test_patients_are_the_units(audited: AuditResult) -> None:
    subjects = audited.cases.scores.subjects
    assert len(set(subjects)) == 22, "two patients have two cases each"
    assert audited.about.config.subject_column == "patient_id"
    assert {row.estimate.n_subjects for row in audited.subgroups["dsc"] if row.estimate} <= set(range(23))


def test_a_gap_in_small_lesions_of_one_site_is_found(audited: AuditResult) -> None:
    assert audited.verdict.kind == "disparity found"
    told = {name for finding in audited.subgroups.findings for name, _ in finding.items.items}
    assert told & {"lesion_volume", "site", "lesion_depth"}


def test_without_patients_each_case_is_one() -> None:
    labels, predictions, table = cohort()
    found = segfair.audit(
        predictions,
        labels,
        table.drop(columns="patient_id"),
        spacing=SPACING,
        lesions="voronoi",
        unit="lesion",
        outcome=["lesion_missed", "hd95_mm"],
        **FEW,
    )
    assert len(set(found.cases.scores.subjects)) == 24
    assert tuple(found.subgroups) == ("lesion_missed", "hd95_mm")


def test_lesions_of_an_unknown_patient_stay_together() -> None:
    protocol = load_protocol("default").with_lesions("panoptica")
    config = require_lesions(AuditConfig(protocol, unit="lesion", subject_column="patient"))
    labels, predictions, _ = cohort()
    scores = tuple(
        score_pair(labels[name], predictions[name], spacing_mm=SPACING, protocol=protocol, case=name)
        for name in ("C00", "C01", "C24")
    )
    patients = {"C00": "P", "C01": None, "C24": "P"}
    cases = tuple(Case(name, metadata={"patient": patient}) for name, patient in patients.items())
    rows, table, _ = lesions_as_cases(
        Cohort(cases, columns=("patient",)), ScoreTable(protocol_metrics(protocol), scores), config
    )
    assert rows.column("patient") == ["P", "P", "C01", "C01"]
    assert table.cases == ("C00#1", "C00#2", "C01#1", "C01#2")


def test_files_say_lesions(audited: AuditResult, tmp_path: Path) -> None:
    write_report(audited, tmp_path / "report")
    names = {path.name for path in (tmp_path / "report").iterdir()}
    assert "lesions.csv" in names
    assert "cases.csv" not in names
    with (tmp_path / "report" / "lesions.csv").open(newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == 48
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "Audit of lesions: each row is a lesion" in page
    assert "48 lesions" in page
    assert "Lesions were audited one by one" in (tmp_path / "report" / "summary.html").read_text("utf-8")
    again = AuditResult.load(tmp_path / "report")
    assert again.about.config.unit == "lesion"


def test_a_group_of_lesions_may_be_one_patient(audited: AuditResult) -> None:
    with pytest.raises(ConfigError, match="--share: this audit counts lesions"):
        share(audited)
    with pytest.raises(ConfigError, match="--pseudonymise: this audit counts lesions"):
        pseudonymise(audited, b"0" * 32)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"unit": "lesion"}, "no rule by which lesions are found"),
        ({"unit": "tumour"}, '"case" or "lesion" is meant'),
        ({"lesions": "brat"}, "no such rule .did you mean brats"),
        ({"lesions": "brats", "unit": "lesion"}, "has a lesion that counts by the rule brats"),
        ({"outcome": "lesion_dsc"}, "no rule by which they are found"),
        ({"lesions": "brats", "outcome": "lesion_pq"}, "which only the rule panoptica has"),
        ({"lesions": "voronoi", "unit": "lesion", "outcome": "normhd"}, "not among the scored metrics"),
    ],
)
def test_what_cannot_be_meant(settings: dict[str, str], told: str) -> None:
    labels, predictions, table = cohort()
    few = {name: mask * 0 if settings.get("lesions") == "brats" else mask for name, mask in labels.items()}
    with pytest.raises(SegfairError, match=told):
        segfair.audit(predictions, few, table, spacing=SPACING, **settings, **FEW)


@pytest.mark.parametrize("rule", ["brats", "panoptica", "voronoi"])
def test_an_outcome_can_be_any_metric_of_the_rule(rule: str) -> None:
    labels, predictions, table = cohort()
    protocol = load_protocol("default").with_lesions(rule)
    lesions = dataclasses.replace(protocol.lesions, **({"min_size": 0.0} if rule == "brats" else {}))
    found = segfair.audit(
        predictions,
        labels,
        table,
        spacing=SPACING,
        protocol=protocol.replace(lesions=lesions),
        outcome=list(lesions.metrics),
        **FEW,
    )
    assert tuple(found.subgroups) == lesions.metrics
    undefined = {metric.name: metric.n_undefined for metric in found.cases.metrics}
    assert undefined["lesion_sensitivity"] == 1, "a label without a lesion has none"
    assert undefined["false_lesions"] == 0
