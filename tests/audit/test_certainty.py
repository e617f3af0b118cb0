"""Intervals and chance levels of the cohort's scores, and that each interval holds its score."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.audit.certainty import CohortScores, challenge_of, point_scores
from segfair.audit.design import Units
from segfair.audit.panel import Panel
from segfair.audit.significance import mean_limits


@pytest.mark.parametrize("seed", range(12))
def test_every_score_lies_in_its_interval_also_as_the_report_prints_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_cases = (12, 40, 90, 160)[seed % 4]
    dsc = rng.beta(4, 1.3, n_cases).round((6, 1)[seed % 2])
    if seed >= 10:
        dsc[:] = 0.7
    made = {name: rng.choice(list("abcdefg")[:k], n_cases).tolist() for name, k in (("x", 2), ("y", 5), ("z", 7))}
    config = dataclasses.replace(DEFAULT, min_cases=2, permutations=199, bootstrap=199)
    result = audit(config, dsc=dsc, normhd=(1 - dsc) / 3, **made)
    shown = [(name, score.value, score.ci, 4) for name, score in result.scores.items()]
    shown += [(f"D_v {entry.name}", entry.disparity.value, entry.disparity_ci, 3) for entry in result.attributes.facts]
    shown += [(f"{entry.name} {entry.attribute}", entry.value, entry.ci, 3) for entry in result.scores.variants]
    checked = 0
    for name, value, interval, digits in shown:
        if value is None or interval is None:
            continue
        assert interval[0] - 1e-12 <= value <= interval[1] + 1e-12, name
        words = [f"{number:.{digits}f}" for number in (interval[0], value, interval[1])]
        assert words == sorted(words, key=float), name
        checked += 1
    assert checked >= 5 + 3 + 9


@pytest.mark.parametrize("clip", [True, False])
def test_no_mean_of_the_cohort_leaves_what_it_can_be(clip: bool) -> None:
    """Twelve nearly equal Dice and one of 0; a NormHD that is not clipped has no largest value, and PS no smallest."""
    protocol = dataclasses.replace(DEFAULT.protocol, normhd=dataclasses.replace(DEFAULT.protocol.normhd, clip=clip))
    dsc = np.array([0.9 + 0.001 * place for place in range(12)] + [0.0])
    normhd = np.array([0.02] * 8 + [0.98] * 5) if clip else np.array([0.02] * 12 + [4.0])
    result = audit(dataclasses.replace(DEFAULT, protocol=protocol), dsc=dsc, normhd=normhd, sex=["f", "m"] * 6 + ["f"])
    for name, low, high in (
        ("DSC", 0.0, 1.0),
        ("NormHD", 0.0, 1.0 if clip else np.inf),
        ("PS", 0.0 if clip else -np.inf, 1.0),
    ):
        score = result.scores[name]
        assert score.ci is not None
        assert low <= score.ci[0] < score.value < score.ci[1] <= high, name
    for level in result.attributes.facts[0].levels:
        assert level.ci["normhd"][0] >= 0.0
        assert level.ci["normhd"][1] <= (1.0 if clip else np.inf)
    config = dataclasses.replace(DEFAULT, protocol=protocol)
    assert mean_limits("dsc", np.array([]), config) == (0.0, 1.0)
    assert mean_limits("DSC", dsc, config) == mean_limits("nsd_2mm", dsc, config) == (0.0, 1.0)
    assert mean_limits("NormHD", dsc, config) == (0.0, 1.0 if clip else np.inf)
    assert mean_limits("PS", dsc, config) == (0.0 if clip else -np.inf, 1.0)
    assert mean_limits("hd95_mm", dsc, config) == (-np.inf, np.inf)
    assert mean_limits("dsc", np.array([40.0, 90.0]), config) == (0.0, 90.0), "a table in per cent"


def four_cases(*, normhd: list[float], penalised: int | None = None) -> tuple[Panel, AttributeTable]:
    """Two women with a DSC of 0.9 and 0.7, two men with 0.5 and 0.3."""
    ids, dsc = ("a", "b", "c", "d"), np.array([0.9, 0.7, 0.5, 0.3])
    sex = Attribute("sex", ("f", "m"), np.array([0, 0, 1, 1], dtype=np.int16), "sex", "as given")
    attributes = AttributeTable(ids, (sex,), {})
    config = dataclasses.replace(DEFAULT, min_cases=1)
    scores = {"dsc": dsc, "normhd": np.array(normhd)}
    return Panel(ids, scores, np.arange(4) == penalised, attributes, Units(), config), attributes


def test_the_five_scores_of_four_cases_by_hand() -> None:
    panel, attributes = four_cases(normhd=[0.1, 0.1, 0.3, 0.3])
    challenge = challenge_of(panel, attributes)
    assert challenge is not None
    # Means 0.6 and 0.2; gaps 0.8 - 0.4 and 0.3 - 0.1, so D is 0.3.
    found = {name: score.value for name, score in point_scores(panel, attributes, challenge).items()}
    assert found == pytest.approx({"DSC": 0.6, "NormHD": 0.2, "PS": 0.7, "FS": 0.7, "TS": 0.7})
    assert all(score.without_penalised is None for score in point_scores(panel, attributes, challenge).values())


def test_what_penalised_cases_cost_is_the_score_of_the_others() -> None:
    panel, attributes = four_cases(normhd=[0.1, 0.1, 0.3, 0.3], penalised=3)
    scores = point_scores(panel, attributes, challenge_of(panel, attributes))
    # Without the last: men 0.5, women 0.8, NormHD 0.3 and 0.1: D is (0.3 + 0.2) / 2.
    assert scores["DSC"].without_penalised == pytest.approx(0.7)
    assert scores["FS"].without_penalised == pytest.approx(1 - 0.25)


def test_there_are_no_scores_where_a_case_has_no_value_and_a_reason_where_nothing_can_be_compared() -> None:
    panel, attributes = four_cases(normhd=[0.1, 0.1, 0.3, np.nan])
    assert challenge_of(panel, attributes) is None
    assert point_scores(panel, attributes, None) == {}
    means = CohortScores.of(panel, attributes).means()
    assert {name: score.value for name, score in means.items()} == pytest.approx({"DSC": 0.6, "NormHD": 0.5 / 3})
    panel, attributes = four_cases(normhd=[0.1] * 4)
    few = dataclasses.replace(panel, config=dataclasses.replace(DEFAULT, min_cases=3))
    score = point_scores(few, attributes, challenge_of(few, attributes))["FS"]
    assert (score.value, score.reason) == (None, "no attribute has two levels of at least 3 cases")
    nothing = AttributeTable(panel.case_ids, (), {})
    score = point_scores(panel, nothing, challenge_of(panel, nothing))["FS"]
    assert (score.value, score.reason) == (None, "no attribute could be made from the metadata")


def test_the_other_scores_of_groups_are_those_of_the_level_means() -> None:
    panel, attributes = four_cases(normhd=[0.1, 0.1, 0.3, 0.3])
    found = {(entry.name, entry.variant): entry.value for entry in CohortScores.of(panel, attributes).variants()}
    # Level means of DSC are 0.8 and 0.4 around 0.6.
    assert found == pytest.approx(
        {
            ("worst group", "minimum"): 0.4,
            ("gap", "maximum - minimum"): 0.4,
            ("SD", "population"): 0.2,
            ("SER", "max / min error"): 0.6 / 0.2,
            ("ES-Dice", "population SD"): 0.6 / 1.2,
            ("ES-Dice", "sample SD"): 0.6 / (1 + 0.08**0.5),
            ("ES-Dice", "sum"): 0.6 / 1.4,
        }
    )
