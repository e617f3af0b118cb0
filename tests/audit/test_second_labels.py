"""Two sets of labels: gaps that belong to the ruler are told from gaps that belong to the model."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit

from segfair.audit.result import AuditResult
from segfair.audit.second_labels import compare_rulers
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, PairingError
from segfair.intake.rater_labels import labels_in, with_labels
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable


def table(ids: list[str], values: np.ndarray, **penalised: str) -> ScoreTable:
    scores = tuple(
        CaseScore(case, {"dsc": None if np.isnan(value) else float(value)}, penalised=penalised.get(case))
        for case, value in zip(ids, values, strict=True)
    )
    return ScoreTable((METRICS["dsc"],), scores)


@pytest.fixture(scope="module")
def made() -> tuple[AuditResult, np.ndarray, np.ndarray]:
    """200 cases; the model is 0.12 worse for women by the first labels only, and raters agree less on women."""
    rng = np.random.default_rng(0)
    sex = np.array(["f", "m"] * 100)
    truth = rng.normal(0.8, 0.05, 200)
    first = np.clip(truth - 0.12 * (sex == "f"), 0, 1)
    second = np.clip(truth + rng.normal(0, 0.01, 200), 0, 1)
    agreement = np.clip(0.9 - 0.2 * (sex == "f") + rng.normal(0, 0.02, 200), 0, 1)
    result = audit(DEFAULT, dsc=first, sex=sex.tolist(), site=rng.choice(["A", "B"], 200).tolist())
    return result, second, agreement


def ids(result: AuditResult) -> list[str]:
    return [str(case) for case in result.cases.scores.column("case")]


def test_a_gap_of_the_ruler_is_found_and_counted_by_hand(made) -> None:
    result, second, agreement = made
    rulers = compare_rulers(result, table(ids(result), second), table(ids(result), agreement))
    first = np.array(result.cases.scores.column("dsc"))
    women = np.array(result.cases.scores.column("sex")) == "f"
    row = next(group for group in rulers.groups if group.items.items == {("sex", "f")})
    assert row.n == 100
    assert row.gap_first == pytest.approx(first[women].mean() - first.mean())
    assert row.gap_second == pytest.approx(second[women].mean() - second.mean())
    assert row.difference == pytest.approx(row.gap_second - row.gap_first)
    assert row.ci[0] < row.difference < row.ci[1]
    assert row.ci[0] > 0, "the interval is that of pairs, and excludes no difference"
    assert row.significant
    assert row.agreement == pytest.approx(agreement[women].mean())
    assert row.agreement_gap == pytest.approx(agreement[women].mean() - agreement.mean())
    assert rulers.agreement == pytest.approx(agreement.mean())
    assert (rulers.n_paired, rulers.only_first, rulers.only_second) == (200, 0, 0)
    assert "depend on which labels" in rulers.sentence
    assert not any(group.significant for group in rulers.groups if dict(group.items.items).keys() == {"site"})


def test_the_same_labels_twice_change_nothing(made) -> None:
    result, _, _ = made
    first = np.array(result.cases.scores.column("dsc"))
    rulers = compare_rulers(result, table(ids(result), first), table(ids(result), np.ones(200)))
    assert all(group.difference == 0 for group in rulers.groups)
    assert not any(group.significant for group in rulers.groups)
    assert rulers.agreement == 1.0
    assert "no proof that none does" in rulers.sentence


def test_only_cases_with_both_scores_count(made) -> None:
    result, second, agreement = made
    known = second.copy()
    known[:10] = np.nan
    scores = table([*ids(result)[:150], "stranger"], np.append(known[:150], 0.5))
    unread = {ids(result)[20]: "the file cannot be used"}
    agreement = agreement.copy()
    agreement[20] = 0.0
    rulers = compare_rulers(result, scores, table(ids(result), agreement, **unread))
    assert (rulers.n_paired, rulers.only_first, rulers.only_second) == (140, 60, 1)
    kept = np.r_[10:20, 21:150]
    assert rulers.agreement == pytest.approx(agreement[kept].mean()), "an unreadable label is no disagreement"
    assert rulers.mean_second == pytest.approx(second[10:150].mean())


def test_groups_that_are_too_small_are_shown_and_not_judged() -> None:
    rng = np.random.default_rng(1)
    dsc = rng.beta(6, 2, 60)
    result = audit(DEFAULT, dsc=dsc, site=["A"] * 55 + ["B"] * 5)
    rulers = compare_rulers(result, table(ids(result), dsc * 0.9), table([], np.array([])))
    row = next(group for group in rulers.groups if group.items.items == {("site", "B")})
    assert (row.significant, row.p_value, row.agreement) == (None, None, None)
    assert rulers.agreement is None
    assert "Insufficient evidence" in rulers.sentence


def test_scores_that_cannot_be_paired_are_refused(made) -> None:
    result, second, agreement = made
    with pytest.raises(PairingError, match="0 cases have a dsc under both"):
        compare_rulers(result, table(["x"], np.array([0.5])), table(ids(result), agreement))
    other = ScoreTable((METRICS["iou"],), ())
    with pytest.raises(ConfigError, match="dsc is not scored there"):
        compare_rulers(result, other, table(ids(result), second))


def test_labels_are_matched_by_name(tmp_path: Path) -> None:
    cohort = Cohort((Case("a", Path("x/a.nii.gz"), Path("p/a.nii.gz")), Case("b", Path("x/b.nii.gz"))))
    (tmp_path / "z.nii.gz").write_bytes(b"")
    with pytest.raises(PairingError, match="none of its 1 masks belongs to a case"):
        labels_in(cohort, tmp_path)
    (tmp_path / "a.nii.gz").write_bytes(b"")
    (found,) = with_labels(cohort, labels_in(cohort, tmp_path))
    assert found == dataclasses.replace(cohort.cases[0], label=tmp_path / "a.nii.gz")


def test_the_command_line_measures_twice_and_prints_it(call_cli, phantom_cohort: Path, tmp_path: Path) -> None:
    second = Path(shutil.copytree(phantom_cohort / "labels", tmp_path / "second"))
    for path in sorted(second.iterdir())[:5]:
        path.unlink()
    paths = [phantom_cohort / name for name in ("preds", "labels", "metadata.csv")]
    quick = ("--permutations", "199", "--bootstrap", "100", "--workers", "1")
    done = call_cli("audit", *paths, "--out", tmp_path / "out", "--labels2", second, *quick)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))["two_rulers"]
    assert (facts["n_paired"], facts["only_first"], facts["agreement"]) == (55, 5, 1.0)
    assert {group["difference"] for group in facts["groups"]} == {0.0}
    loaded = AuditResult.load(tmp_path / "out" / "audit.json")
    assert loaded.subgroups.second_labels is not None
    assert len(loaded.subgroups.second_labels.groups) == len(facts["groups"])
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert 'id="rulers"' in page
    assert "Two sets of labels" in page
    assert call_cli("audit", *paths, "--out", tmp_path / "no", "--labels2", tmp_path / "gone").returncode == 2
    assert not (tmp_path / "no").exists()
