"""Sample sizes: against the formula by hand, and against simulated audits."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

from segfair import stats
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError
from segfair.plan.sample_size import expected_widths
from segfair.plan.study_plan import SampleSize, StudyPlan, read_plan


def plan_of(tmp_path: Path, size: str, plan: str = "") -> StudyPlan:
    path = tmp_path / "study.toml"
    path.write_text(f'[plan]\nprimary = ["sex"]\n{plan}\n[plan.sample_size]\n{size}\n', "utf-8")
    return read_plan(path)


HALVES = "shares = {sex = {f = 0.5, m = 0.5}}"


def test_two_halves_are_one_comparison(tmp_path: Path) -> None:
    """Critical value of one two-sided test, 1.96; width 2 * 1.96 * 0.2 * sqrt(1/100 + 1/100) = 0.111."""
    found = expected_widths(plan_of(tmp_path, f"sd = 0.2\ncases = 200\nwidth = 0.1\n{HALVES}", "margin = {dsc = 0.08}"))
    assert found.critical == pytest.approx(1.96, abs=0.08)
    for entry in found.levels:
        assert (entry.share, entry.n) == (0.5, 100)
        assert entry.width == pytest.approx(0.1109, rel=0.05)
        # (2 * 1.96 * 0.2 / 0.1)^2 * 4 = 246
        assert entry.cases_needed == pytest.approx(246, rel=0.09)
        error = 0.2 * np.sqrt(2 / 100)
        assert entry.margin_met == pytest.approx(scipy.stats.norm.cdf(0.08 / error - found.critical), abs=1e-9)
    assert found.cases_needed == found.levels[0].cases_needed


def test_with_the_cases_needed_the_interval_is_just_as_wide_as_will_do(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "sd = 0.18\ncases = 300\nwidth = 0.09\nshares = {sex = {f = 0.2, m = 0.8}}")
    found = expected_widths(plan)
    needed = found.cases_needed
    assert needed is not None and found.critical is not None and plan.sample_size is not None
    width = stats.interval_width(np.array(0.2 * needed), needed, sd=0.18, critical=found.critical)
    assert 0.0895 < float(width) <= 0.09


def test_small_levels_are_not_judged_but_say_how_many_it_takes(tmp_path: Path) -> None:
    shares = "shares = {sex = {f = 0.48, m = 0.48, x = 0.04}}"
    found = expected_widths(plan_of(tmp_path, f"sd = 0.2\ncases = 100\nwidth = 0.1\n{shares}"))
    (rare,) = [entry for entry in found.levels if entry.level == "x"]
    assert (rare.n, rare.width, rare.margin_met) == (4, None, None)
    assert rare.cases_needed is not None and rare.cases_needed > 1500


def test_too_few_cases_for_any_level(tmp_path: Path) -> None:
    found = expected_widths(plan_of(tmp_path, f"sd = 0.2\ncases = 18\nwidth = 0.1\n{HALVES}"))
    assert found.critical is None
    assert found.cases_needed is None


def test_patients_say_how_large_levels_are(tmp_path: Path) -> None:
    """30 of 40 who count are female; ten others do not count."""
    sexes = ["f"] * 30 + ["m"] * 10 + ["m"] * 10
    cases = tuple(
        Case(f"p{row}", metadata={"sex": sex, "split": "test" if row < 40 else "train"})
        for row, sex in enumerate(sexes)
    )
    patients = Cohort(cases, columns=("sex", "split"))
    found = expected_widths(plan_of(tmp_path, "sd = 0.2\ncases = 80", "where = 'split == \"test\"'"), patients)
    assert {entry.level: (entry.share, entry.n) for entry in found.levels} == {"f": (0.75, 60), "m": (0.25, 20)}
    with pytest.raises(ConfigError, match="no patient of the table fulfils it"):
        expected_widths(plan_of(tmp_path, "sd = 0.2", "where = 'split == \"dev\"'"), patients)


def test_the_margin_is_met_as_often_as_is_said(tmp_path: Path) -> None:
    """Simulated studies without any difference, judged by the simultaneous intervals of an audit."""
    shares = "shares = {sex = {f = 0.3, m = 0.7}}"
    found = expected_widths(plan_of(tmp_path, f"sd = 0.2\ncases = 120\n{shares}", "margin = {dsc = 0.12}"))
    (entry,) = [entry for entry in found.levels if entry.level == "f"]
    rng = np.random.default_rng(4)
    members = np.arange(120) < 36
    met = 0
    for _ in range(200):
        test = stats.max_t(np.array([members, ~members]), rng.normal(0.7, 0.2, 120), rng=rng, permutations=199)
        met += bool(test.simultaneous_difference()[0, 0] > -0.12)
    assert entry.margin_met is not None
    assert abs(met - 200 * entry.margin_met) <= 3 * np.sqrt(200 * 0.25)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "sd = 0.2")
    with pytest.raises(ConfigError, match="nothing says how large the levels of sex are"):
        expected_widths(plan)
    with pytest.raises(ConfigError, match="there is no"):
        expected_widths(dataclasses.replace(plan, sample_size=None))
    bare = dataclasses.replace(plan, config=dataclasses.replace(plan.config, primary=()), sample_size=SampleSize(0.2))
    with pytest.raises(ConfigError, match="takes primary attributes"):
        expected_widths(bare)
