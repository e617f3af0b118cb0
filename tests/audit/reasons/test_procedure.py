"""What gaps of whole audits are made of: planted reasons, each found where it was planted, and sums that are the gap."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import segfair as sf
from segfair.audit.procedure import run_audit
from segfair.audit.reasons.cases import take_cases_apart
from segfair.audit.reasons.procedure import n_readings, with_reasons
from segfair.audit.result import AuditConfig
from segfair.cases import Case
from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import write_mask
from segfair.intake.cohorts import load_cohort
from segfair.protocol.rules import SurfaceRule, load_protocol
from segfair.scoring.score_cache import Rules

# Slabs between two sides of the image, which are no boundary: their two faces lie just one pixel off.
PROTOCOL = load_protocol("default").replace(surface=SurfaceRule("none"))
QUICK: dict[str, Any] = {"protocol": PROTOCOL, "permutations": 99, "bootstrap": 100, "reasons": True, "derive": False}
N = 40


def slab(thick: int, error: int = 0) -> np.ndarray:
    mask = np.zeros((40, 4), np.uint8)
    mask[10 - error : 10 + thick + error] = 1
    return mask


def studied(labels: list, predictions: list, groups: list[str], **options: Any) -> Any:
    ids = [f"P{number:02d}" for number in range(len(labels))]
    table = pd.DataFrame({"id": ids, "site": groups})
    made = (dict(zip(ids, masks, strict=True)) for masks in (predictions, labels))
    return sf.audit(*made, table, **{**QUICK, **options})


def values(gap: Any) -> dict[str, float]:
    return {part.name: part.value for part in gap.parts}


def test_of_equal_boundary_errors_a_gap_is_that_of_size_alone() -> None:
    thick = [4, 12] * (N // 2)
    errors = [1, 1, -1, -1] * (N // 4)
    found = studied(
        [slab(size) for size in thick],
        [slab(size, error) for size, error in zip(thick, errors, strict=True)],
        ["small", "large"] * (N // 2),
    ).subgroups
    reasons = found.reasons
    assert (reasons.unit, reasons.errors[0].length, reasons.errors[0].n_cases) == ("px", 1.0, N)
    gap = next(gap for gap in reasons.gaps if gap.items.items == {("site", "small")})
    # 16 pixels of label, 8 more or 8 fewer; 48, and as many.
    expected = (8 / 104 + 8 / 88) / 2 - (8 / 40 + 8 / 24) / 2
    assert gap.value == pytest.approx(expected)
    assert values(gap)["size_and_shape"] == pytest.approx(expected)
    assert values(gap).get("boundary", 0.0) == pytest.approx(0.0, abs=1e-12)
    assert (
        gap.sentence
        == f"Of the −{-expected:.3f} of site = small, −{-expected:.3f} is made by the size and shape of lesions alone."
    )
    assert gap.after == 0


def test_each_reason_is_found_where_it_was_planted_and_all_add_up() -> None:
    far = np.zeros((40, 4), np.uint8)
    far[34:37] = 1
    rng = np.random.default_rng(3)
    sites = ["missed", "invented", "absent", "rest"] * 15
    labels, predictions = [], []
    for site in sites:
        error = int(rng.integers(0, 2))
        labels.append(slab(8) | far if site in ("missed", "rest") else slab(8))
        own = {"missed": slab(8, error), "invented": slab(8, error) | far, "absent": None, "rest": slab(8, error) | far}
        predictions.append(own[site])
    found = studied(labels, predictions, sites, missing_prediction="worst").subgroups
    gaps = {gap.items.name: gap for gap in found.reasons.gaps}
    for finding in found.findings:
        gap = gaps[finding.items.name]
        assert gap.value == finding.estimate.value
        assert sum(values(gap).values()) == pytest.approx(gap.value, abs=1e-12)
        assert gap.after == finding.place - 1
    first = next(gap for gap in gaps.values() if gap.after == 0)
    assert first.items.name == "site = absent"
    assert min(values(first), key=lambda name: values(first)[name]) == "no_prediction"
    by_case = {case.case: case.parts for case in found.reasons.cases}
    assert by_case["P02"] == {"no_prediction": 1.0}
    # 32 pixels found, 12 missed or invented: 2 (32) / (44 + 32), boundary errors aside.
    exact = [
        parts for case, parts in by_case.items() if sites[int(case[1:])] == "missed" and parts.get("boundary", 0.0) <= 0
    ]
    assert exact
    assert exact[0]["missed"] == pytest.approx(1 - 64 / 76)
    assert "missed" not in by_case["P01"] or by_case["P01"]["missed"] == 0
    assert by_case["P01"]["false_positives"] > 0.1
    whole = {part.name: part.value for part in found.reasons.deficit}
    assert sum(whole.values()) == pytest.approx(1 - found.outcomes["dsc"].mean)


def written(folder: Path, masks: dict[str, np.ndarray]) -> Path:
    for case, mask in masks.items():
        write_mask(folder / f"{case}.nii.gz", mask[..., None], affine=np.diag([2.0, 1.0, 1.0, 1.0]))
    return folder


@pytest.fixture(scope="module")
def rated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Thirty slabs; of ten the second rater says what the prediction says, of ten what the first does, of ten nothing."""
    root = tmp_path_factory.mktemp("rated")
    ids = [f"P{number:02d}" for number in range(30)]
    labels = {case: slab(8) for case in ids}
    predictions = {case: slab(8, 1 + number % 2) for number, case in enumerate(ids)}
    second = {case: predictions[case] for case in ids[:10]} | {case: labels[case] for case in ids[10:20]}
    table = pd.DataFrame(
        {"id": ids, "site": ["A", "B", "C"] * 10, "third": ["agrees"] * 10 + ["as the first"] * 10 + ["none"] * 10}
    )
    places = {name: written(root / name, masks) for name, masks in (("labels", labels), ("preds", predictions), ("second", second))}  # fmt: skip
    return {**places, "table": table, "ids": ids}


def test_half_of_what_a_second_rater_changes_is_disagreement(rated: dict[str, Any]) -> None:
    places = (rated["preds"], rated["labels"], rated["table"])
    alone = sf.audit(*places, **QUICK).subgroups.reasons
    both = sf.audit(*places, labels2=rated["second"], **QUICK).subgroups.reasons
    assert (alone.n_raters, both.n_raters, both.n_compared, both.unit) == (0, 1, 20, "mm")
    before, after = ({case.case: case.parts for case in found.cases} for found in (alone, both))
    for number, case in enumerate(rated["ids"]):
        deficit = sum(before[case].values())
        # Against the second rater of the first ten nothing is wrong.
        expected = deficit / 2 if number < 10 else 0.0
        assert after[case].get("disagreement", 0.0) == pytest.approx(expected)
        assert after[case]["boundary"] == pytest.approx(before[case]["boundary"] - expected)
        assert after[case]["size_and_shape"] == before[case]["size_and_shape"]


def test_of_a_consensus_all_raters_count_alike(rated: dict[str, Any]) -> None:
    found = sf.audit(
        rated["preds"], rated["labels"], rated["table"], labels2=rated["second"], reference="majority", **QUICK
    ).subgroups.reasons
    assert (found.n_raters, found.n_compared) == (2, 30)
    parts = {case.case: case.parts for case in found.cases}
    # Both marked what the first rater did: the majority of two. The mean of the raters is half as far off.
    deficit = sum(parts["P00"].values())
    assert parts["P00"]["disagreement"] == pytest.approx(deficit / 2)
    assert parts["P25"].get("disagreement", 0.0) == 0.0


def test_workers_and_strata_give_the_same_sums(rated: dict[str, Any]) -> None:
    places = (rated["preds"], rated["labels"], rated["table"])
    one, two = (sf.audit(*places, workers=workers, **QUICK).subgroups.reasons for workers in (1, 2))
    assert one == two
    within = sf.audit(*places, stratify="site", **QUICK).subgroups
    for gap, finding in zip(within.reasons.gaps, within.findings, strict=True):
        assert gap.kind == "difference within strata"
        assert sum(values(gap).values()) == pytest.approx(finding.estimate.value, abs=1e-12)


def test_regions_are_taken_apart_each_and_then_averaged() -> None:
    two = [np.where(np.arange(40)[:, None] < 14, 1, 2) * slab(8) for _ in range(N)]
    nothing_of_two = [np.where(mask == 1, 1, 0) for mask in two]
    found = studied(two, nothing_of_two, ["A", "B"] * (N // 2), label={"one": 1, "two": 2}).subgroups.reasons
    assert {part.name: part.value for part in found.deficit} == {"missed": 0.5}
    assert [(error.region, error.n_cases) for error in found.errors] == [("one", N), ("two", 0)]


def test_another_outcome_and_scores_without_masks_are_refused() -> None:
    with pytest.raises(ConfigError, match="takes gaps in dsc apart, and the primary outcome is iou"):
        studied([slab(4)] * N, [slab(4)] * N, ["A", "B"] * (N // 2), outcome="iou")
    scores = pd.DataFrame({"dsc": [0.5, 0.6] * 20, "site": ["A", "B"] * 20})
    with pytest.raises(ConfigError, match="reasons: takes masks"):
        sf.audit(scores, reasons=True)


def test_masks_that_changed_meanwhile_are_told(tmp_path: Path) -> None:
    files = [written(tmp_path / name, {"a": slab(8)}) / "a.nii.gz" for name in ("labels", "preds")]
    with pytest.raises(InputError, match=r"case a: its masks have a DSC of 1.000000, and had 0.500000 when"):
        take_cases_apart([Case("a", *files)], Rules(PROTOCOL), {"a": 0.5})


def test_as_many_cases_are_said_to_be_done_as_a_bar_was_told(tmp_path: Path) -> None:
    for folder in ("preds", "labels"):
        (tmp_path / folder).mkdir()
    for number in range(N):
        write_mask(tmp_path / "labels" / f"P{number:02d}.nii.gz", slab(8), affine=np.eye(4))
        write_mask(tmp_path / "preds" / f"P{number:02d}.nii.gz", slab(8, number % 3), affine=np.eye(4))
    (tmp_path / "preds" / "P03.nii.gz").write_bytes(b"no mask")
    table = pd.DataFrame({"id": [f"P{number:02d}" for number in range(N)], "site": ["A", "B"] * (N // 2)})
    table.to_csv(tmp_path / "table.csv", index=False)
    config = dataclasses.replace(AuditConfig(), protocol=PROTOCOL, permutations=99, bootstrap=100)
    cohort = load_cohort(tmp_path / "preds", tmp_path / "labels", tmp_path / "table.csv")
    result = run_audit(cohort, config)
    done: list[str] = []
    with_reasons(result, cohort, on_done=done.append)
    assert len(result.cases.counts.penalised) == 1
    assert len(done) == n_readings(result) == 2 * (N - 1)
