"""The scores of made-up cohorts, their intervals and chance levels stay what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.numbers_that_stay import assert_numbers_stay

from segfair import fairness as d
from segfair.fairness.intervals import change_interval, score_interval

GOLD = Path(__file__).with_name("gold")

SCORES: dict[str, Any] = {
    "FS": (d.fairness_score, "lower", 1.0, 0.0),
    "D_v": (d.attribute_disparity, "higher", 0.0, 1.0),
    "gap": (d.gap, "higher", 0.0, 1.0),
    "SD": (d.level_sd, "higher", 0.0, 0.5),
    "SER": (d.error_ratio, "higher", 1.0, None),
    "worst": (d.lowest, "lower", lambda means: means.overall[:, :1], 0.0),
}


def cohort(effect: float, seed: int, n_cases: int = 150) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray | None]]:
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.stack([rng.integers(-1, k, n_cases // 3) for k in (4, 3)]), 3, axis=1)
    outcomes = np.stack([rng.beta(4, 1.3, n_cases) - effect * (codes[0] == 0), rng.beta(1.3, 4, n_cases)])
    return codes, outcomes, {"subjects": np.arange(n_cases) // 3, "strata": np.arange(n_cases) // 75}


def level_means(
    codes: np.ndarray, outcomes: np.ndarray, *, subjects: Any = None, strata: Any = None, seed: int = 5
) -> dict[str, d.LevelMeans]:
    levels, rng = d.stack_levels(codes, min_cases=8), np.random.default_rng(seed)
    return {
        "observed": d.observed_level_means(levels, outcomes),
        "resampled": d.bootstrap_level_means(levels, outcomes, rng=rng, draws=120, subjects=subjects),
        "shuffled": d.permuted_level_means(
            levels, outcomes, rng=rng, permutations=119, subjects=subjects, strata=strata
        ),
    }


@pytest.mark.parametrize("effect", [0.0, 0.3])
@pytest.mark.parametrize("units", ["cases", "subjects", "strata"])
def test_of_scores_and_their_intervals(units: str, effect: float) -> None:
    codes, outcomes, known = cohort(effect, 2)
    means = level_means(codes, outcomes, **({} if units == "cases" else {units: known[units]}))
    found: dict[str, Any] = {}
    for name, (compute, worse, best, worst) in SCORES.items():
        value = np.asarray(compute(means["observed"])[0])
        null = np.asarray(compute(means["shuffled"])).reshape(119, -1)
        chance = d.chance_level(null[:, 0], float(value.ravel()[0]), worse=worse, confidence=0.9)
        found[name] = {
            "score": value,
            "interval": score_interval(compute, **means, worse=worse, best=best, worst=worst),
            "narrower": score_interval(compute, **means, worse=worse, best=best, worst=worst, confidence=0.6),
            "chance": [chance.mean, *chance.interval, chance.p_value],
        }
    assert_numbers_stay(GOLD / f"intervals_{units}_{effect:g}.json", found)


@pytest.mark.parametrize("name", ["FS", "gap", "SD"])
def test_of_what_changed_between_two_models(name: str) -> None:
    codes, outcomes, _ = cohort(0.1, 3)
    second = outcomes + 0.05 * np.random.default_rng(4).standard_normal(outcomes.shape)
    second[0] -= 0.15 * (codes[0] == 1)
    means = [level_means(codes, of_model) for of_model in (outcomes, second)]
    compute, worse, best, worst = SCORES[name]
    forth, back = (
        change_interval(
            compute,
            **{of: tuple(one[of] for one in models) for of in ("observed", "resampled", "shuffled")},
            worse=worse,
            best=best,
            worst=worst,
        )
        for models in (means, means[::-1])
    )
    # Who is first is a matter of words alone.
    np.testing.assert_allclose(forth, -back[..., ::-1], atol=1e-12)
    assert_numbers_stay(GOLD / f"change_{name}.json", {"second minus first": forth})


def test_of_level_means() -> None:
    codes, outcomes, known = cohort(0.1, 6, n_cases=60)
    found: dict[str, Any] = {}
    for name, options in (("cases", {}), ("subjects", {"subjects": known["subjects"]}), ("strata", known)):
        for of, means in level_means(codes, outcomes, **options).items():
            found[f"{name} {of}"] = {
                "means": means.means[:6],
                "overall": means.overall[:6],
                "units": means.units,
                "attribute": means.attribute,
            }
    levels = d.stack_levels(codes, min_cases=8)
    for name, subjects in (("cases", None), ("subjects", known["subjects"])):
        rng = np.random.default_rng(7)
        swapped = d.swapped_level_means(levels, outcomes, outcomes[::-1], rng=rng, permutations=6, subjects=subjects)
        for number, means in enumerate(swapped):
            found[f"swapped {name} {number}"] = {"means": means.means, "overall": means.overall}
    weights = np.random.default_rng(8).integers(0, 3, (4, 60)).astype(float)
    weighted = d.weighted_level_means(
        levels, np.stack([outcomes, outcomes[::-1]]), weights, rule=d.JudgingRule.of("min-cases", min_cases=8)
    )
    found["weighted"] = {"means": weighted.means, "overall": weighted.overall}
    assert_numbers_stay(GOLD / "level_means.json", found)
