"""What a ranking holds, and what of it stands in `rank.json`."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from tests.rank_fixtures import CONFIG, made_up, noise

from segfair.rank.procedure import rank_scored
from segfair.rank.result import Pairs, Ranking
from segfair.rank.schema import rank_schema
from segfair.report.ranking.files import write_ranking

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def three() -> Ranking:
    """Good is 0.1 better than poor in every case; near is good but for a little noise."""
    base = 0.7 + noise(0)
    return rank_scored(made_up({"poor": base, "good": base + 0.1, "near": base + 0.1 + 0.1 * noise(1)}), CONFIG)


def test_rank_json_keeps_to_its_schema(ranked, three: Ranking, tmp_path: Path) -> None:
    schema = json.loads((ROOT / "docs" / "reference" / "rank.schema.json").read_text("utf-8"))
    assert schema == rank_schema(), "written by `make schemas`"
    validator = jsonschema.Draft202012Validator(schema)
    write_ranking(three, tmp_path)
    for folder in (ranked[0], tmp_path):
        tree = json.loads((folder / "rank.json").read_text("utf-8"))
        validator.validate(tree)
        assert set(tree) == set(schema["properties"]), "every key is described"
    tree["agreement"]["tau"] = "much"
    assert not validator.is_valid(tree), "the schema can fail"


def test_teams_that_differ_in_every_case_are_told_apart(three: Ranking) -> None:
    pairs = three.pairs
    assert set(pairs.teams[:2]) == {"good", "near"} and pairs.teams[2] == "poor"
    assert pairs.better_than("good") == ("poor",)
    assert pairs.not_told_apart("good") == ("near",)
    assert pairs.better_than("poor") == pairs.not_told_apart("poor") == ()
    beats = np.array(pairs.beats)
    np.testing.assert_allclose(beats + beats.T, 1.0)
    assert beats[0, 2] == 1.0


def test_pairs_are_read_in_both_directions() -> None:
    pairs = Pairs(("a", "b", "c"), (), ((False, False, True), (False, False, False), (False, False, False)))
    assert pairs.not_told_apart("b") == ("a", "c")
    assert pairs.not_told_apart("c") == ("b",)


def test_an_order_that_no_cohort_changes_has_a_tau_of_one() -> None:
    base = 0.7 + noise(0)
    found = rank_scored(made_up({"a": base, "b": base + 0.1, "c": base - 0.1}), CONFIG)
    assert (found.agreement.tau, found.agreement.tau_interval) == (1.0, (1.0, 1.0))
    alone = rank_scored(made_up({"only": base}), CONFIG)
    assert alone.agreement.tau is None and alone.agreement.tau_interval is None


def test_the_podium_counts_cases_and_shares_places() -> None:
    """Of four cases a leads two, b one, and the last is shared; c is third in all of them."""
    dsc = {"a": [0.9, 0.9, 0.2, 0.5] * 4, "b": [0.5, 0.5, 0.9, 0.5] * 4, "c": [0.1] * 16}
    found = rank_scored(made_up({team: np.array(values) for team, values in dsc.items()}), CONFIG)
    podium = {entry.team: entry.podium for entry in found.standings}
    assert podium == {"a": (12, 4, 0), "b": (8, 8, 0), "c": (0, 0, 16)}
    quartiles = {entry.team: entry.quartiles for entry in found.standings}
    assert quartiles["c"] == (0.1,) * 5
    assert quartiles["a"] == pytest.approx((0.2, 0.425, 0.7, 0.9, 0.9))


def test_lower_is_better_where_it_is(three: Ranking) -> None:
    far = {"near": np.full(60, 0.1), "far": np.full(60, 0.5)}
    found = rank_scored(made_up(dict.fromkeys(far, 0.7 + noise(0)), far), CONFIG, by="normhd")
    assert found.lead == "normhd" and three.lead == "dsc"
    assert {entry.team: entry.podium[0] for entry in found.standings} == {"near": 60, "far": 0}
    assert found.pairs.better_than("near") == ("far",)
