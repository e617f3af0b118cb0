"""What other tools would make of an audit: by hand, of masks from end to end, and where it is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import segfair
from segfair.audit.choices.groups import Study, form_groups
from segfair.audit.definitions import compare_tools, tool_alerts, tools_sentence
from segfair.audit.result import AuditConfig, AuditResult, ToolFacts, Verdict
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError
from segfair.handover.disclosure import share
from segfair.handover.redaction import rename_levels
from segfair.protocol.rules import load_protocol
from segfair.report.files import write_report
from segfair.scoring.definitions.tools import TOOLS, measures_of_tools
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable
from segfair.subgroups.lattice import Subgroup

SPACING = (1.0, 1.0, 2.0)
FEW = {"permutations": 99, "bootstrap": 100, "min_cases": 3}
B = Subgroup(frozenset({("site", "B")}))
A = Subgroup(frozenset({("site", "A")}))


def study(dsc: list[float], by_medpy: list[float | None], *, other_tools: bool = True) -> Study:
    """Cases of which one half is of site A, the other of B, as this audit and as medpy have their DSC."""
    sites = ["A"] * (len(dsc) // 2) + ["B"] * (len(dsc) // 2)
    cases = tuple(Case(f"c{index}", metadata={"site": site}) for index, site in enumerate(sites))
    scores = tuple(
        CaseScore(case.id, {"dsc": own}, by_tools={"medpy dsc": said})
        for case, own, said in zip(cases, dsc, by_medpy, strict=True)
    )
    config = AuditConfig(load_protocol("default"), min_cases=2, other_tools=other_tools)
    return form_groups(Cohort(cases, columns=("site",)), ScoreTable((METRICS["dsc"],), scores), config, None)


def conclude(study: Study) -> Verdict:
    """Site A is found where its mean is below a half."""
    _, values = study.scores.defined("dsc")
    return Verdict("disparity found", "", (A,)) if values[:2].mean() < 0.5 else Verdict("no difference shown", "")


def of(facts: tuple[ToolFacts, ...], tool: str, measure: str) -> ToolFacts:
    return next(entry for entry in facts if (entry.tool, entry.measure) == (tool, measure))


def test_by_hand() -> None:
    found = compare_tools(study([0.8, 0.6, 0.5, 0.3], [0.2, 0.4, 0.5, 0.7]), conclude)
    own, medpy = of(found, "", "dsc"), of(found, "medpy", "dsc")
    assert (own.mean, own.worst, own.worst_mean, own.worst_n) == (pytest.approx(0.55), B, pytest.approx(0.4), 2)
    assert (own.verdict, own.turns, own.changes, own.n_cases) == ("no difference shown", False, (), 4)
    assert (medpy.mean, medpy.worst, medpy.worst_mean) == (pytest.approx(0.45), A, pytest.approx(0.3))
    assert (medpy.verdict, medpy.groups, medpy.turns) == ("disparity found", (A,), True)
    assert medpy.changes == ("the worst level is not site = B", "site = A and site = B change places")
    assert [entry.measure for entry in found] == ["dsc"] * 7, "there is no HD95 to be held against"
    # A tool that gives no value to any case has no mean, and nobody is the worst.
    monai = of(found, "MONAI", "dsc")
    assert (monai.n_cases, monai.n_left_out, monai.mean, monai.worst) == (0, 4, None, None)


def test_a_sentence_and_an_alert_name_what_turns() -> None:
    found = compare_tools(study([0.8, 0.6, 0.5, 0.3], [0.2, 0.4, 0.5, 0.7]), conclude)
    only = (of(found, "", "dsc"), of(found, "medpy", "dsc"))
    assert tools_sentence(only) == (
        "Of 1 definition in 1 other tool 1 leads to another verdict than the one by this audit's own: DSC as in medpy."
    )
    (alert,) = tool_alerts(only, ("dsc",))
    assert alert.text == (
        "Were DSC defined as in medpy, the verdict by it would be another: disparity found, site = A."
    )
    assert not list(tool_alerts(only, ("hd95_mm",))), "it is judged by another metric"


def test_values_that_are_left_out_or_infinite_are_counted_and_in_no_mean() -> None:
    facts = of(compare_tools(study([0.8, 0.6, 0.5, 0.3], [None, 0.4, math.inf, 0.6]), conclude), "medpy", "dsc")
    assert (facts.n_cases, facts.n_left_out, facts.n_infinite, facts.mean) == (2, 1, 1, pytest.approx(0.5))
    assert facts.worst is None, "no level has two cases left"


def test_means_that_differ_by_rounding_are_in_no_order() -> None:
    found = compare_tools(study([0.5, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5 + 1e-8, 0.5]), conclude)
    assert of(found, "medpy", "dsc").changes == ()


def test_nothing_is_compared_that_was_not_asked() -> None:
    assert compare_tools(study([0.5] * 4, [0.5] * 4, other_tools=False), conclude) == ()


def masks(*, empty: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], pd.DataFrame]:
    """24 boxes, predicted a voxel off; at site B some voxels far away. Perhaps one is missed, and one label empty."""
    labels, predictions = {}, {}
    for number in range(24):
        label, prediction = np.zeros((2, 16, 16, 8), dtype=np.uint8)
        label[2:10, 2 : 8 + number % 3, 2:6] = 1
        prediction[3:10, 2 : 8 + number % 3, 2:6] = 1
        if number % 2:
            prediction[13:15, 13:15, 6:8] = 1
        labels[f"C{number:02}"], predictions[f"C{number:02}"] = label, prediction
    if empty:
        predictions["C01"] = np.zeros_like(predictions["C01"])
        labels["C02"] = np.zeros_like(labels["C02"])
    rows = {"case": list(labels), "site": ["AB"[number % 2] for number in range(24)]}
    return labels, predictions, pd.DataFrame(rows)


@pytest.fixture(scope="module")
def asked() -> AuditResult:
    return segfair.audit(*masks(empty=True), spacing=SPACING, other_tools=True, **FEW)


def test_each_measure_of_each_tool_behind_this_audit(asked: AuditResult) -> None:
    found = asked.scores.tools
    names = [(entry.tool, entry.measure) for entry in found if entry.tool]
    assert names == [(TOOLS[tool].name, measure) for tool, measure in measures_of_tools()]
    assert [entry.metric for entry in found if not entry.tool] == ["dsc", "hd95_mm", "nsd_1mm"]
    for entry in found:
        assert entry.n_cases + entry.n_left_out + entry.n_infinite == 24
    for name, measure in (("dsc", "dsc"), ("hd95_mm", "hd95"), ("nsd_1mm", "nsd")):
        assert of(found, "", measure).mean == pytest.approx(np.mean(asked.cases.scores.column(name)))


def test_empty_masks_are_as_the_tools_have_them(asked: AuditResult) -> None:
    found = asked.scores.tools
    counts = {
        (entry.tool, entry.measure): (entry.n_left_out, entry.n_infinite) for entry in found if entry.measure != "nsd"
    }
    assert counts["MONAI", "dsc"] == (1, 0), "the one without a label"
    assert counts["nnU-Net", "dsc"] == (0, 0)
    for tool in ("MONAI", "panoptica", "MetricsReloaded", "medpy"):
        assert counts[tool, "hd95"] == (2, 0)
    assert counts["surface-distance", "hd95"] == (0, 2)
    assert of(found, "surface-distance", "hd95").fs is not None, "an infinite distance has NormHD 1"


def test_without_an_empty_mask_this_audit_is_metrics_reloaded() -> None:
    """Both take the larger of two percentiles between surface voxels."""
    found = segfair.audit(*masks(empty=False), spacing=SPACING, other_tools=True, **FEW).scores.tools
    for measure in ("dsc", "hd95", "nsd"):
        own, other = of(found, "", measure), of(found, "MetricsReloaded", measure)
        assert other.mean == pytest.approx(own.mean)
        assert other.worst_mean == pytest.approx(own.worst_mean)
        assert other.fs == pytest.approx(own.fs)
        assert (other.worst, other.verdict, other.groups, other.turns) == (own.worst, own.verdict, own.groups, False)


def test_a_pooled_percentile_does_not_see_what_is_far_away() -> None:
    found = segfair.audit(*masks(empty=False), spacing=SPACING, other_tools=True, **FEW).scores.tools
    assert of(found, "medpy", "hd95").mean == of(found, "panoptica", "hd95").mean
    assert of(found, "medpy", "hd95").mean < of(found, "MONAI", "hd95").mean


def test_no_other_number_of_the_audit_is_another(asked: AuditResult) -> None:
    plain = segfair.audit(*masks(empty=True), spacing=SPACING, **FEW)
    assert plain.scores.tools == ()
    assert plain.cases == asked.cases
    assert plain.attributes == asked.attributes
    assert plain.scores.by_name == asked.scores.by_name
    assert plain.subgroups.tables == asked.subgroups.tables
    assert plain.verdict.sentence == asked.verdict.sentence


def test_it_is_saved_drawn_and_read_again(asked: AuditResult, tmp_path: Path) -> None:
    page = write_report(asked, tmp_path / "report").read_text("utf-8")
    assert "Would another tool agree?" in page
    assert tools_sentence(asked.scores.tools).split(":")[0] in page.replace("&#39;", "'")
    assert AuditResult.load(tmp_path / "report").scores.tools == asked.scores.tools
    assert "monai" not in (tmp_path / "report" / "cases.csv").read_text("utf-8")


def test_what_is_handed_on_names_no_level(asked: AuditResult) -> None:
    renamed = rename_levels(asked, {"site": {"A": "level 1", "B": "level 2"}}).scores.tools
    assert {item for entry in renamed if entry.worst for item in entry.worst.items} <= {
        ("site", "level 1"),
        ("site", "level 2"),
    }
    assert "site = A" not in str([entry.changes for entry in renamed])
    assert share(asked).scores.tools == ()


def test_a_prediction_that_is_missing_counts_as_an_empty_one(tmp_path: Path) -> None:
    labels, predictions, table = masks(empty=False)
    whole = segfair.audit(
        labels, {**predictions, "C03": np.zeros((16, 16, 8), np.uint8)}, table, spacing=SPACING, other_tools=True, **FEW
    )
    assert of(whole.scores.tools, "medpy", "hd95").n_left_out == 1


def test_pictures_are_told_in_pixels() -> None:
    labels, predictions, table = masks(empty=False)
    flat = [{name: mask[:, :, 3] for name, mask in found.items()} for found in (labels, predictions)]
    found = segfair.audit(*flat, table, other_tools=True, **FEW).scores.tools
    assert [entry.metric for entry in found if not entry.tool] == ["dsc", "hd95_px", "nsd_1px"]


def test_scores_that_exist_already_have_no_masks() -> None:
    made = study([0.5] * 4, [0.5] * 4)
    with pytest.raises(ConfigError, match="--other-tools: looks at the masks, and scores have none"):
        segfair.run_audit(made.cohort, made.config, scores=made.scores)
    with pytest.raises(TypeError, match="has no setting 'other_tools'"):
        segfair.audit_scores(pd.DataFrame({"case": ["a"], "dsc": [0.5]}), other_tools=True)


def test_lesions_one_by_one_are_no_cases() -> None:
    with pytest.raises(ConfigError, match="unit lesion compares lesions"):
        segfair.audit(*masks(empty=False), spacing=SPACING, lesions="brats", unit="lesion", other_tools=True, **FEW)
