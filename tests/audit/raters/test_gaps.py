"""The model's gaps beside those of raters: means by hand, and a gap that is the labels' told from one that is not."""

from __future__ import annotations

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit

from segfair.audit.raters.gaps import compare_raters
from segfair.audit.raters.labels import RatedLabels
from segfair.audit.result import AuditResult
from segfair.cases import Cohort
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable

N = 120
EMPTY = Cohort(())


def table(ids: list[str], values: np.ndarray, **penalised: str) -> ScoreTable:
    scores = tuple(
        CaseScore(case, {"dsc": float(value)}, penalised=penalised.get(case))
        for case, value in zip(ids, values, strict=True)
    )
    return ScoreTable((METRICS["dsc"],), scores)


@pytest.fixture(scope="module")
def made() -> tuple[AuditResult, list[str], dict[str, np.ndarray]]:
    """Raters agree less on women, of whom the model is worse by the first rater alone; site B is worse by all."""
    rng = np.random.default_rng(0)
    women, site_b = np.array([True, False] * (N // 2)), np.arange(N) % 3 == 0
    base = rng.normal(0.8, 0.03, N) - 0.1 * site_b
    values = {
        "anna": base - 0.1 * women,
        "bert": base + rng.normal(0, 0.01, N),
        "majority": base + rng.normal(0, 0.01, N),
        "staple": base + rng.normal(0, 0.01, N),
        "agreement": 0.9 - 0.1 * women + rng.normal(0, 0.02, N),
    }
    result = audit(
        DEFAULT, dsc=values["anna"], sex=["f" if woman else "m" for woman in women],
        site=["B" if inside else "A" for inside in site_b],
    )  # fmt: skip
    return result, [str(case) for case in result.cases.scores.column("case")], values


def compare(made, **changes):
    result, ids, values = made
    rated = RatedLabels({"anna": EMPTY, "bert": EMPTY}, {}, dict.fromkeys(ids, 2), {ids[0]: 3})
    scores = {name: table(ids, values[name]) for name in ("majority", "staple", "bert")}
    agreement = changes.pop("agreement", table(ids, values["agreement"]))
    return compare_raters(result, rated, scores, {("anna", "bert"): agreement}, reference="anna")


def group(found, name: str, level: str):
    return next(row for row in found.groups if row.items.items == {(name, level)})


def test_each_gap_is_a_mean_minus_that_of_all(made) -> None:
    result, _, values = made
    found, women = compare(made), np.array(result.cases.scores.column("sex")) == "f"
    row = group(found, "sex", "f")
    for ruler in ("anna", "bert", "majority", "staple"):
        expected = values[ruler][women].mean() - values[ruler].mean()
        assert row.model[ruler].gap == pytest.approx(expected)
        assert row.model[ruler].n == 60
        assert row.model[ruler].ci[0] <= expected <= row.model[ruler].ci[1]
    assert row.agreement.gap == pytest.approx(values["agreement"][women].mean() - values["agreement"].mean())
    assert found.agreement == pytest.approx(values["agreement"].mean())
    assert found.agreement_ci[0] < found.agreement < found.agreement_ci[1]
    assert [(ruler.name, ruler.n) for ruler in found.rulers] == [(n, N) for n in ("anna", "majority", "staple", "bert")]
    assert found.rulers[3].mean == pytest.approx(values["bert"].mean())


def test_the_reference_has_the_audits_own_gaps(made) -> None:
    result, *_ = made
    found = compare(made)
    rows = {row.subgroup: row.divergence for row in result.subgroups["dsc"].rows}
    shared = [row for row in found.groups if row.items in rows]
    assert len(shared) >= 4
    for row in shared:
        assert row.model["anna"].gap == pytest.approx(rows[row.items])


def test_where_raters_agree_less_is_told_and_so_is_what_does_not_depend_on_them(made) -> None:
    found = compare(made)
    women, site = group(found, "sex", "f"), group(found, "site", "B")
    assert women.agreement.significant
    assert women.model["anna"].significant
    assert not women.model["bert"].significant
    assert not site.agreement.significant
    assert all(gap.significant and gap.gap < 0 for gap in site.model.values())
    assert "2 raters agree with a mean DSC of" in found.sentence
    assert "They agree less in" in found.sentence
    assert found.groups[0].agreement.gap == min(
        row.agreement.gap for row in found.groups if row.agreement.significant is not None
    )
    kept = sum(
        all(gap.significant and gap.gap * row.model["anna"].gap > 0 for gap in row.model.values())
        for row in found.groups
    )
    assert f"{kept} are shown whoever drew the labels" in found.sentence


def test_cases_and_pairs_keep_what_is_known_of_them(made) -> None:
    _, ids, values = made
    unread = {ids[2]: "the file cannot be used"}
    found = compare(made, agreement=table(ids[1:], values["agreement"][1:], **unread))
    assert [case.dsc for case in found.cases[:3]] == [None, pytest.approx(values["agreement"][1]), None]
    assert (found.cases[0].tied, found.cases[1].tied) == (3, 0)
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.n) == ("anna", "bert", N - 2)
    assert pair.dsc == pytest.approx(np.delete(values["agreement"], [0, 2]).mean())


def test_raters_without_a_case_in_common_have_no_agreement(made) -> None:
    found = compare(made, agreement=table([], np.array([])))
    assert (found.agreement, found.agreement_ci) == (None, None)
    assert all(row.agreement is None for row in found.groups)
    assert "no case has labels of two" in found.sentence
