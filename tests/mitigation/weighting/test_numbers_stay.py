"""The case weights of a made-up cohort, epoch after epoch under each rule, stay what they were."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.mitigation.toy_training import make_table
from tests.numbers_that_stay import assert_numbers_stay

from segfair.mitigation.weighting import weights as parts
from segfair.mitigation.weighting.balance import balanced_weights
from segfair.mitigation.weighting.reweighter import (
    ADAPTIVE,
    CONFIDENT,
    LITERAL,
    TILTED,
    CaseSampler,
    DivergenceReweighter,
    WeightRule,
)
from segfair.mitigation.weighting.running import RunningScores
from segfair.mitigation.weighting.tuning import AlphaTuner

GOLD = Path(__file__).with_name("gold")


def cohort(n_cases: int, seed: int, prefix: str) -> Any:
    rng = np.random.default_rng(seed)
    sites, sexes = rng.choice(["1", "2", "3"], n_cases, p=[0.6, 0.3, 0.1]), rng.choice(["f", "m"], n_cases)
    ids = [f"{prefix}{index}" for index in range(n_cases)]
    return make_table(
        ids, {"site": sites.tolist(), "sex": sexes.tolist(), "age": rng.choice(list("abcd"), n_cases).tolist()}
    )


VALIDATION, TRAINING = cohort(60, 1, "v"), cohort(40, 2, "t")
RULES = {
    "tilted": TILTED,
    "confident": CONFIDENT,
    "adaptive": ADAPTIVE,
    "literal": LITERAL,
    "mean": dataclasses.replace(TILTED, aggregate="mean", cap=1.5),
    "shapley": dataclasses.replace(TILTED, aggregate="shapley", temperature=None),
    "sum": WeightRule(kind="absolute", certainty="bound", deviations=0.5, memory="sum", temperature="auto", cap=3.0),
}


@pytest.mark.parametrize("name", list(RULES))
def test_of_weights_over_epochs(name: str) -> None:
    rng = np.random.default_rng(3)
    reweighter = DivergenceReweighter(VALIDATION, TRAINING, rule=RULES[name], min_support=0.05)
    site = next(attribute.codes for attribute in VALIDATION.attributes if attribute.name == "site")
    found: dict[str, Any] = {}
    for epoch in range(4):
        dice = rng.beta(6, 1.5, 60) - 0.25 * (site == epoch % 3)
        given = reweighter.update_array(dice)
        setters = [setter.name if setter else None for setter in given.setters]
        found[f"epoch {epoch}"] = {"weights": given.array, "setters": setters, "said": list(reweighter.remarks())}
    assert_numbers_stay(GOLD / f"weights_{name}.json", found)


def test_of_draws_balance_running_scores_and_tuning() -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.random(40)
    sampler = CaseSampler(lambda: probabilities, 40, seed=8)
    found: dict[str, Any] = {
        "draws": parts.draw_cases(probabilities / probabilities.sum(), 40, np.random.default_rng(6)),
        "plain draws": parts.draw_cases(None, 40, np.random.default_rng(6)),
        "epochs": [list(sampler), list(sampler)],
        "joint": parts.joint_codes(TRAINING),
        "capped": parts.mean_one(rng.lognormal(0, 1, 30), cap=2.0),
        "power": parts.cell_power(rng.integers(0, 6, 40), noise=0.04, gap=0.1),
        "cells": balanced_weights(TRAINING, exponent=0.5, over="cells"),
        "attributes": balanced_weights(TRAINING, exponent=1.0, over="attributes"),
    }
    running, tuner = RunningScores(TRAINING.case_ids, rate=0.3), AlphaTuner()
    for epoch in range(6):
        drawn = rng.integers(0, 40, 25).tolist()
        scores = np.where(rng.random(25) < 0.1, np.nan, rng.beta(6, 1.5, 25) + 0.02 * epoch)
        running.observe([TRAINING.case_ids[place] for place in drawn], scores)
        found[f"running {epoch}"] = running.end_epoch()
        tuner.update(float(rng.random()))
        found[f"tuner {epoch}"] = {**tuner.state_dict(), "alpha": tuner.alpha}
    assert_numbers_stay(GOLD / "parts.json", found)
