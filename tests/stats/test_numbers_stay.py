"""The figures that tests, intervals and shares give for made-up cohorts stay what they were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.numbers_that_stay import assert_numbers_stay

from segfair import stats
from segfair.stats import limit

GOLD = Path(__file__).with_name("gold")


class Made:
    """A cohort of one size with a planted gap, twelve subgroups, strata, patients and volumes."""

    def __init__(self, n_cases: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        codes = [rng.integers(0, levels, n_cases) for levels in (2, 3, 4)]
        level = [column == code for column in codes for code in range(column.max() + 1)]
        self.members = np.array([*level, level[0] & level[2], level[1] & level[3], level[0] & level[5]])
        self.lengths = np.array([1] * 9 + [2] * 3)
        self.volume = rng.lognormal(8, 1, n_cases)
        self.strata = rng.integers(0, 2, n_cases)
        self.subjects = np.sort(rng.integers(0, n_cases // 2, n_cases))
        noise = rng.beta(4, 1.3, n_cases) + 0.02 * np.log(self.volume) + 0.05 * self.strata
        self.outcome = noise - 0.15 * self.members[9] - 0.08 * self.members[5]
        self.second = self.outcome + 0.03 * rng.standard_normal(n_cases) - 0.04 * self.members[2]


SMALL = Made(140, 3)


def of_test(test: stats.MaxT) -> dict[str, Any]:
    names = ("difference", "standard_error", "t", "p_value", "p_adjusted", "p_single_step", "tested", "within")
    found = {name: getattr(test, name) for name in (*names, "question", "n_tests", "n_permutations", "exact")}
    return {
        **found,
        "interval": test.estimate_interval(0.9),
        "simultaneous": test.simultaneous(0.9),
        "shrunken": test.shrunken_difference(np.ones(len(test.t))),
        "significant": test.significant(0.1),
        "bh": test.false_discovery(method="bh"),
        "by": test.false_discovery(method="by"),
    }


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cases", {}),
        ("strata", {"strata": SMALL.strata}),
        ("subjects", {"subjects": SMALL.subjects}),
        ("both", {"strata": SMALL.strata, "subjects": SMALL.subjects, "min_cases": 15}),
        ("less", {"alternative": "less"}),
        ("greater", {"alternative": "greater", "method": "random"}),
        ("unmoderated", {"prior_df": 0.0}),
    ],
)
def test_of_all_subgroups(name: str, options: dict[str, Any]) -> None:
    settings = {"permutations": 199, **options}
    test = stats.max_t(SMALL.members, SMALL.outcome, rng=np.random.default_rng(5), **settings)
    assert_numbers_stay(GOLD / f"max_t_{name}.json", of_test(test))


def test_of_few_cases_rearranged_in_every_way() -> None:
    tiny = Made(7, 1)
    members, settings = tiny.members[[0, 3, 5]], {"permutations": 6000, "min_cases": 2}
    test = stats.max_t(members, tiny.outcome, rng=np.random.default_rng(5), **settings)
    flips = stats.paired_max_t(members, tiny.second - tiny.outcome, rng=np.random.default_rng(5), **settings)
    assert (test.exact, flips.exact) == (True, True)
    paired = {name: getattr(flips, name) for name in ("mean", "t", "p_value", "p_adjusted", "tested", "n_draws")}
    assert_numbers_stay(GOLD / "exact.json", {"max_t": of_test(test), "paired": paired})


@pytest.mark.parametrize("subjects", [None, SMALL.subjects], ids=["cases", "subjects"])
def test_of_paired_changes(subjects: np.ndarray | None) -> None:
    change = SMALL.second - SMALL.outcome
    known = np.where(np.arange(140) % 9 == 0, np.nan, change)
    settings: dict[str, Any] = {"permutations": 199, "subjects": subjects}
    names = ("mean", "t", "p_value", "p_adjusted", "tested", "n_draws", "exact")
    tests = {
        "subgroups": stats.paired_max_t(SMALL.members, change, rng=np.random.default_rng(5), **settings),
        "outcomes": stats.paired_outcomes(
            np.array([change, known, change**2]), rng=np.random.default_rng(5), **settings
        ),
    }
    found = {name: {field: getattr(test, field) for field in names} for name, test in tests.items()}
    assert_numbers_stay(GOLD / f"paired_{'cases' if subjects is None else 'subjects'}.json", found)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("cases", {}),
        ("strata", {"strata": SMALL.strata}),
        ("subjects", {"subjects": SMALL.subjects}),
        ("blocks", {"blocks": 3, "confidence": 0.8}),
    ],
)
def test_of_adjusted_differences(name: str, options: dict[str, Any]) -> None:
    volume = stats.log_volume(SMALL.volume, voxel=1.5)
    for columns, covariates in (("one", volume[:, None]), ("two", np.stack([volume, SMALL.second], axis=1))):
        adjusted = stats.adjusted_max_t(
            SMALL.members, SMALL.outcome, covariates, rng=np.random.default_rng(5), permutations=199, **options
        )
        found = {
            "raw": adjusted.raw_difference,
            "interval": adjusted.interval,
            "simultaneous": adjusted.simultaneous,
            "share": adjusted.share_explained,
            "test": of_test(adjusted.test),
        }
        assert_numbers_stay(GOLD / f"adjusted_{name}_{columns}.json", found)
    assert_numbers_stay(GOLD / "spline.json", {"basis": stats.spline_basis(volume[:20])})


@pytest.mark.parametrize(
    ("name", "options"),
    [("cases", {}), ("strata", {"strata": SMALL.strata}), ("subjects", {"subjects": SMALL.subjects, "min_cases": 5})],
)
def test_of_what_is_named(name: str, options: dict[str, Any]) -> None:
    found: dict[str, Any] = {}
    for harm in (-1, 1):
        common = {"lengths": SMALL.lengths, "harm": harm, "draws": 60, **options}
        steps = stats.explain(
            SMALL.members, SMALL.outcome, rng=np.random.default_rng(5), permutations=99, level=0.2, **common
        )
        test = stats.max_t(SMALL.members, SMALL.outcome, rng=np.random.default_rng(6), permutations=99, **options)
        worst = stats.worst_off(SMALL.members, SMALL.outcome, test, rng=np.random.default_rng(7), **common)
        found[f"worst {harm}"] = {"row": worst[0], "lead": worst[1]} if worst else "nobody"
        for number, step in enumerate(steps):
            found[f"step {number} {harm}"] = {"row": step.row, "lead": step.lead, "explains": step.explains}
    assert_numbers_stay(GOLD / f"named_{name}.json", found)


@pytest.mark.parametrize("subjects", [None, SMALL.subjects], ids=["cases", "subjects"])
def test_of_means_and_how_sure_they_are(subjects: np.ndarray | None) -> None:
    found: dict[str, Any] = {}
    for number, (limits, confidence) in enumerate([((0.0, 1.0), 0.95), ((-np.inf, np.inf), 0.8)]):
        options: dict[str, Any] = {"draws": 150, "subjects": subjects, "confidence": confidence, "limits": limits}
        groups = stats.subgroup_intervals(SMALL.members, SMALL.outcome, rng=np.random.default_rng(5), **options)
        found[f"groups {number}"] = {
            name: getattr(groups, name) for name in ("mean", "divergence", "simultaneous", "critical")
        }
        found[f"mean {number}"] = stats.mean_interval(SMALL.outcome, rng=np.random.default_rng(5), **options)
        found[f"bounds {number}"] = stats.simultaneous_means(
            SMALL.members, SMALL.outcome, rng=np.random.default_rng(5), **options
        )
    seeds = np.array([SMALL.second - SMALL.outcome, SMALL.outcome - 0.8, SMALL.second - 0.79])
    for name, rows in (("one seed", seeds[:1]), ("three seeds", seeds)):
        mean = stats.mean_over_seeds(rows, subjects=subjects, confidence=0.9)
        found[name] = {"value": mean.value, "ci": mean.ci, "n": mean.n_subjects}
    assert_numbers_stay(GOLD / f"intervals_{'cases' if subjects is None else 'subjects'}.json", found)


def test_of_rates_power_and_shrinkage() -> None:
    rates = {
        f"{successes} of {trials}": stats.rate_interval(successes, trials, confidence=confidence)
        for successes, trials, confidence in ((0, 5, 0.95), (2, 7, 0.9), (7, 7, 0.95), (30, 90, 0.99))
    }
    shrunken = stats.shrink(SMALL.members, SMALL.outcome)
    found = {
        "rates": rates,
        "shrinkage": {name: getattr(shrunken, name) for name in ("divergence", "shrunken", "sd", "noise", "signal")},
        "gap": stats.detectable_gap(np.array([0, 10, 70, 140]), 140, sd=0.2, critical=2.9),
        "needed": stats.n_needed(0.1, np.array([0.05, 0.3, 0.5]), sd=0.2, critical=2.9),
        "critical": stats.null_critical(SMALL.members, rng=np.random.default_rng(5), permutations=199, level=0.2),
    }
    assert_numbers_stay(GOLD / "rates.json", found)


def test_of_a_large_cohort_by_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit, "LEAST_CASES", 1000)
    monkeypatch.setattr(limit, "LEAST_INFORMATION", 100.0)
    large = Made(2500, 4)
    rare = np.arange(2500) % 100 == 0
    members, lengths = np.concatenate([large.members, rare[None]]), np.append(large.lengths, 1)
    test = stats.max_t(members, large.outcome, rng=np.random.default_rng(5), permutations=199, strata=large.strata)
    assert test.from_limit
    groups = stats.subgroup_intervals(members, large.outcome, rng=np.random.default_rng(5), draws=150)
    worst = stats.worst_off(
        members, large.outcome, test, lengths=lengths, harm=-1, rng=np.random.default_rng(7), draws=60
    )
    assert worst is not None
    found = {
        "test": of_test(test),
        "groups": {"mean": groups.mean, "divergence": groups.divergence, "critical": groups.critical},
        "worst": {"row": worst[0], "lead": worst[1]},
    }
    # Drawn with seven digits.
    assert_numbers_stay(GOLD / "limit.json", found, rel=1e-4)
