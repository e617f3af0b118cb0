"""The worst cases of every team: by the metric that ranks, without those that have nothing to be drawn."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.rank_fixtures import made_up, save

from segfair.audit.result import AuditConfig
from segfair.cases import Cohort
from segfair.gallery.teams import with_galleries, worst_first
from segfair.gallery.worst_cases import N_OVERALL
from segfair.protocol.rules import load_protocol
from segfair.rank.procedure import rank_scored
from segfair.rank.result import Ranking
from segfair.rank.teams import Team
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable

DSC = np.array([0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5, 0.1, 0.95])
"""Worst first: P008, P001, P003, P005, P007, P006, P004 ..."""


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    scores = made_up({"good": DSC + 0.01, "other": DSC})
    return rank_scored(scores, AuditConfig(load_protocol("mama-mia"), bootstrap=100, permutations=19, min_cases=2))


@pytest.fixture
def played(ranking: Ranking, tmp_path: Path) -> tuple[Ranking, list[Team]]:
    """The ranking with labels on disk, and two teams: one handed in every mask, the other none."""
    box = np.zeros((6, 6, 4), np.uint8)
    box[1:4, 1:5, 1:3] = 1
    for case in ranking.scores.cohort:
        save(tmp_path / "labels" / f"{case.id}.nii", box)
        save(tmp_path / "good" / f"{case.id}.nii", np.roll(box, 1, axis=0))
    cases = tuple(
        dataclasses.replace(case, label=tmp_path / "labels" / f"{case.id}.nii") for case in ranking.scores.cohort
    )
    scores = dataclasses.replace(ranking.scores, cohort=Cohort(cases, columns=ranking.scores.cohort.columns))
    teams = [Team("good", {case.id: tmp_path / "good" / f"{case.id}.nii" for case in cases}), Team("other", {})]
    return dataclasses.replace(ranking, scores=scores), teams


def drawn(played: tuple[Ranking, list[Team]]) -> tuple[str, ...]:
    (group,) = with_galleries(*played).galleries["good"].groups
    return group.cases


def test_the_worst_are_drawn_first_and_no_more_than_the_gallery_holds(played: Any) -> None:
    assert N_OVERALL == 6
    assert drawn(played) == ("P008", "P001", "P003", "P005", "P007", "P006")


def test_a_team_with_nothing_to_draw_has_no_gallery(played: Any) -> None:
    assert set(with_galleries(*played).galleries) == {"good"}


def test_penalised_and_absent_predictions_are_passed_over(played: Any) -> None:
    ranking, (team, _) = played
    table = ranking.scores.tables["good"]
    scores = tuple(
        dataclasses.replace(score, penalised="off grid") if score.case == "P001" else score for score in table.scores
    )
    tables = {"good": dataclasses.replace(table, scores=scores)}
    ranking = dataclasses.replace(ranking, scores=dataclasses.replace(ranking.scores, tables=tables))
    held = {case: path for case, path in team.predictions.items() if case != "P003"}
    assert drawn((ranking, [dataclasses.replace(team, predictions=held)])) == (
        "P008", "P005", "P007", "P006", "P004", "P002",
    )  # fmt: skip


@pytest.mark.parametrize(("name", "order"), [("dsc", "bcda"), ("hd95_mm", "cdba")])
def test_cases_without_a_value_come_last_and_equal_ones_by_id(name: str, order: str) -> None:
    """b, c, d have Dice 0.1, 0.2, 0.2 and distances 1, 9, 9; a has neither."""
    values = {"d": (0.2, 9.0), "a": (None, None), "c": (0.2, 9.0), "b": (0.1, 1.0)}
    scores = tuple(CaseScore(case, {"dsc": dsc, "hd95_mm": distance}) for case, (dsc, distance) in values.items())
    table = ScoreTable((METRICS["dsc"], METRICS["hd95_mm"]), scores)
    found = worst_first(table, name)
    assert "".join(score.case for _, score in found) == order
    assert [table.scores[place] for place, _ in found] == [score for _, score in found]


@pytest.mark.parametrize(("by", "metric"), [("TS", "dsc"), ("PS", "dsc"), ("FS", "dsc"), ("normhd", "normhd")])
def test_a_case_is_bad_by_the_metric_that_ranks(ranking: Ranking, by: str, metric: str) -> None:
    assert dataclasses.replace(ranking, by=by).lead == metric
