"""The order of teams under other rules and without each patient."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tests.rank_fixtures import CONFIG, made_up, noise

from segfair.errors import ConfigError
from segfair.rank.procedure import rank_scored
from segfair.report.ranking.files import write_ranking
from segfair.report.ranking.tables import ranks_table


def test_one_patient_and_the_definition_decide_and_are_said_first() -> None:
    """The only case of a density class is far off for one team: clipped or without it, that team is first."""
    base = 0.7 + noise(4)
    groups = "a" + "bc" * 29 + "b"
    far = np.full(60, 0.1)
    far[0] = 2.5
    ranking = rank_scored(made_up({"steady": base, "better": base + 0.1}, {"better": far}, groups), CONFIG)
    assert ranking.leaders == ("steady",)
    assert ranking.verdict.winner is None
    kinds = [reason.kind for reason in ranking.verdict.reasons]
    patient = next(reason for reason in ranking.verdict.reasons if reason.kind == "patient")
    assert "leave out case P000 (the only one with breast_density = a), and better is first" in patient.text
    assert "P000" not in patient.private
    assert "breast_density" not in patient.private
    assert kinds.index("levels") < kinds.index("patient"), "the rule for small groups is named as well"
    first = ranking.left_out[0]
    assert (first.cases, first.first, first.rare) == (("P000",), ("better",), (("breast_density", "a", 1),))
    assert ranking.n_changing_first == 1


def test_a_patient_without_whom_there_is_no_score_decides_nothing() -> None:
    """Ten cases of one density class are as few as count: without any one of them nothing is left to compare."""
    base = 0.7 + noise(0)
    groups = "b" * 50 + "c" * 10
    even, uneven = base + 0.1, base + np.where(np.arange(60) < 50, 0.0, -0.3)
    scores = made_up({"even": even, "uneven": uneven}, groups=groups)
    protocol = dataclasses.replace(
        CONFIG.protocol, fairness=dataclasses.replace(CONFIG.protocol.fairness, levels="min-cases")
    )
    config = dataclasses.replace(CONFIG, protocol=protocol, min_cases=10)
    ranking = rank_scored(scores, config, by="FS")
    assert [(entry.team, entry.rank, entry.without_one) for entry in ranking.standings] == [
        ("even", 1, (1, 1)),
        ("uneven", 2, (2, 2)),
    ]
    assert (ranking.left_out, ranking.n_patients) == ((), 50)
    assert "patient" not in {reason.kind for reason in ranking.verdict.reasons}
    (text,) = [alert.text for alert in ranking.alerts if alert.kind == "undefined"]
    assert text.startswith("10 patients could not be left out in turn")
    assert "there is no FS" in text


def test_clipping_that_turns_the_order_is_said() -> None:
    base = np.full(60, 0.7)
    far = np.full(60, 0.0)
    far[::10] = 3.0  # clipped: mean 0.1; not clipped: 0.3
    ranking = rank_scored(
        made_up({"smooth": base, "wild": base}, {"smooth": np.full(60, 0.2), "wild": far}), CONFIG, by="PS"
    )
    assert ranking.leaders == ("smooth",)
    assert ranking.verdict.reasons[0].kind == "definition"
    assert ranking.verdict.reasons[0].text == "with NormHD in voxels, clipped wild is first, not smooth"
    assert ranking.standings[1].ranks == {"NormHD in voxels, clipped": 1}


def test_scores_stand_beside_ranks_under_other_rules(tmp_path: Path) -> None:
    base = np.full(60, 0.7)
    far = np.where(np.arange(60) % 10 == 0, 3.0, 0.0)
    scores = made_up({"smooth": base, "wild": base}, {"smooth": np.full(60, 0.2), "wild": far})
    ranking = rank_scored(scores, CONFIG, by="PS")
    rule = "NormHD in voxels, clipped"
    # PS = (DSC + 1 - NormHD) / 2: NormHD of "wild" is 0.3 as it is, 0.1 clipped.
    assert {entry.team: entry.value for entry in ranking.standings} == pytest.approx({"smooth": 0.75, "wild": 0.7})
    assert [entry.values for entry in ranking.standings] == [{rule: pytest.approx(0.75)}, {rule: pytest.approx(0.8)}]
    write_ranking(ranking, tmp_path)
    table = ranks_table(ranking)
    assert table is not None
    declared, clipped = ([(row[place]["text"], row[place]["sub"]) for row in table["rows"]] for place in (1, 2))
    assert declared == [("1", "0.7500"), ("2", "0.7000")]
    assert clipped == [("2 ↓1", "0.7500"), ("1 ↑1", "0.8000")]
    with (tmp_path / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row[f"PS: {rule}"]) for row in rows[:2]] == pytest.approx([0.75, 0.8])
    teams = json.loads((tmp_path / "rank.json").read_text("utf-8"))["teams"]
    assert [team["values"][rule] for team in teams] == pytest.approx([0.75, 0.8])
    page = (tmp_path / "teams" / "wild.html").read_text("utf-8")
    assert "0.8000" in page
    assert "no patient and no level is ever dropped" in page


def test_the_score_of_a_metric_keeps_its_direction_under_another_rule() -> None:
    far = np.where(np.arange(60) % 10 == 0, 3.0, 0.0)
    scores = made_up({"a": np.full(60, 0.7), "b": np.full(60, 0.7)}, {"a": np.full(60, 0.2), "b": far})
    ranking = rank_scored(scores, CONFIG, by="normhd")
    assert [(entry.team, entry.value) for entry in ranking.standings] == [
        ("a", pytest.approx(0.2)),
        ("b", pytest.approx(0.3)),
    ]
    assert ranking.standings[1].values == {"NormHD in voxels, clipped": pytest.approx(0.1)}


def test_the_attribute_that_decides_is_found() -> None:
    """Only one team is worse in class b: with the class left out of FS it would be first, and age moves nobody."""
    base = 0.6 + noise(3)
    harmed = base + 0.1 - np.where(np.arange(60) % 2 == 0, 0.16, 0.0)
    scores = made_up({"even": base, "harmed": harmed}, groups="bc" * 30)
    columns = (*scores.cohort.columns, "menopause")
    cases = tuple(
        dataclasses.replace(case, metadata={**case.metadata, "menopause": "pre" if row % 4 < 2 else "post"})
        for row, case in enumerate(scores.cohort.cases)
    )
    scores = dataclasses.replace(scores, cohort=dataclasses.replace(scores.cohort, cases=cases, columns=columns))
    ranking = rank_scored(scores, CONFIG)
    assert ranking.leaders == ("even",)
    first = ranking.without_attribute[0]
    assert (first.name, first.kind, first.first, first.n_moved) == ("breast_density", "attribute", ("harmed",), 2)
    assert [entry.n_moved for entry in ranking.without_attribute[1:]] == [0]
    assert rank_scored(scores, CONFIG, by="dsc").without_attribute == ()


def test_other_metrics_to_rank_over_have_to_be_there() -> None:
    scores = made_up({"one": 0.6 + noise(1), "other": 0.6 + noise(2)}, groups="bc" * 30)
    assert rank_scored(scores, CONFIG, over=["dsc"]).schemes[0].metrics == ("dsc",)
    with pytest.raises(ConfigError, match="nsd_2mm"):
        rank_scored(scores, CONFIG, over=["nsd_2mm"])
