"""What a deficit is made of: gaps that size or looks explain, gaps that they do not, and a few cases that fail."""

from __future__ import annotations

import numpy as np
import pytest

from segfair.mitigation.experiment.diagnosis.appearance import Appearance
from segfair.mitigation.experiment.diagnosis.deficit import (
    FEW,
    MIN_COMPARED,
    Lesions,
    adjusted_gap,
    deficit_of,
    deficit_rule,
    failures_of,
)
from segfair.stats import log_volume

N = 400
MEMBERS = np.arange(N) % 5 == 0
RNG = np.random.default_rng(7)
NOISE = 0.03 * RNG.standard_normal(N)
SIZES = RNG.normal(np.where(MEMBERS, 5.0, 6.0), 1.0)
"""Logarithms of volumes; the subgroup's lesions are smaller."""
BY_SIZE = 0.8 + 0.1 * (SIZES - 6) + NOISE
"""Dice that follows the size alone: the subgroup lies .1 below the others, and at equal size nowhere."""


def at_equal(covariates: np.ndarray, dsc: np.ndarray, **settings: object):
    columns = covariates if covariates.ndim == 2 else covariates[:, None]
    return adjusted_gap(MEMBERS, dsc, columns, names=("volume",), **settings)


def test_a_gap_of_small_lesions_is_gone_at_equal_size() -> None:
    found = at_equal(SIZES, BY_SIZE)
    assert found.raw == pytest.approx(BY_SIZE[MEMBERS].mean() - BY_SIZE[~MEMBERS].mean())
    assert found.raw < -0.05
    assert found.value == pytest.approx(0, abs=0.02)
    assert (found.left, found.n_cases, found.n_subjects) == ("gone", 80, 80)


def test_what_size_does_not_explain_remains() -> None:
    own = at_equal(SIZES, 0.8 - 0.1 * MEMBERS + NOISE)
    assert own.value == pytest.approx(-0.1, abs=0.02)
    assert own.left == "remains"
    # A tenth by size and a twentieth of its own: a third is left, and its interval lies below 0.
    both = at_equal(SIZES, BY_SIZE - 0.04 * MEMBERS)
    assert both.ci is not None
    assert both.ci[1] < 0
    assert both.left == "less than half is left"


def test_an_interval_that_holds_the_raw_gap_tells_nothing() -> None:
    # All that is known of the subgroup's size is that it is its size: what is left is anybody's guess.
    separate = np.where(MEMBERS, 0.0, 1.0) + 1e-3 * RNG.standard_normal(N)
    found = at_equal(separate, BY_SIZE)
    assert found.ci is not None
    assert found.raw is not None
    assert found.ci[0] < found.raw
    assert found.left == "open"


def test_no_gap_and_too_few() -> None:
    assert at_equal(SIZES, 0.8 + NOISE).left == "no gap"
    few = MEMBERS & (np.cumsum(MEMBERS) < MIN_COMPARED)
    found = adjusted_gap(few, BY_SIZE, SIZES[:, None], names=("volume",))
    assert (found.left, found.raw, found.ci) == ("insufficient evidence", None, None)
    assert found.n_cases == MIN_COMPARED - 1
    assert "– (95%" not in found.left
    # Enough of both, and not enough for three splines.
    some = slice(0, 60)
    looks = np.column_stack([SIZES, *RNG.standard_normal((2, N))])[some]
    assert adjusted_gap(MEMBERS[some], BY_SIZE[some], looks, names=("a", "b", "c")).left == "insufficient evidence"
    assert adjusted_gap(MEMBERS[some], BY_SIZE[some], looks[:, :1], names=("a",)).left != "insufficient evidence"


def test_patients_are_the_units() -> None:
    # Every case four times over is no more evidence.
    rows = np.tile(np.arange(N), 4)
    patients = np.tile(np.arange(N), 4)
    once = at_equal(SIZES, BY_SIZE - 0.1 * MEMBERS)
    again = adjusted_gap(
        MEMBERS[rows], (BY_SIZE - 0.1 * MEMBERS)[rows], SIZES[rows, None], names=("volume",), subjects=patients
    )
    assert again.ci == pytest.approx(once.ci)
    assert (again.n_cases, again.n_subjects) == (320, 80)
    # Nine patients are too few, however many images they have.
    nine = np.where(MEMBERS, np.cumsum(MEMBERS) % 9, np.arange(N) + 9)
    assert at_equal(SIZES, BY_SIZE, subjects=nine).left == "insufficient evidence"


def test_lesions_that_are_all_alike_explain_nothing() -> None:
    dsc = 0.8 - 0.1 * MEMBERS + NOISE
    for subjects in (None, np.arange(N) // 2 * 5 + np.arange(N) % 5):
        found = at_equal(np.full(N, 6.0), dsc, subjects=subjects)
        assert found.value == pytest.approx(found.raw)
        assert found.left == "remains"


def lesions(volume: np.ndarray, contrast: np.ndarray) -> Lesions:
    looks = [
        None if v == 0 else Appearance(float(c), 0.5 + 0.1 * float(s), 0)
        for v, c, s in zip(volume, contrast, NOISE, strict=True)
    ]
    ids = [f"c{index:03d}" for index in range(N)]
    return Lesions.of(ids, volume.tolist(), [1.0] * N, looks)


def test_faint_lesions_explain_what_size_does_not() -> None:
    contrast = RNG.normal(np.where(MEMBERS, 1.0, 2.0), 0.5)
    dsc = 0.8 + 0.1 * (contrast - 2) + NOISE
    volume = np.exp(RNG.normal(6, 1, N))
    found = deficit_of(MEMBERS, dsc, lesions(volume, contrast))
    assert found.size.left == "remains"
    assert found.looks.left == "gone"
    assert found.looks.covariates == ("volume", "contrast", "edge sharpness")
    assert found.subgroup["contrast"] == pytest.approx(np.median(contrast[MEMBERS]))
    assert found.rest["volume_mm3"] == pytest.approx(np.median(volume[~MEMBERS]))
    assert found.failures is not None
    assert not found.failures.few


def test_cases_without_a_lesion_are_left_out() -> None:
    volume = np.exp(SIZES)
    empty = np.arange(N) % 10 == 0
    volume[empty] = 0
    found = deficit_of(MEMBERS, np.where(empty, 0.0, BY_SIZE), lesions(volume, SIZES))
    assert found.size.n_cases == int((MEMBERS & ~empty).sum()) == 40
    kept = adjusted_gap(
        MEMBERS[~empty],
        BY_SIZE[~empty],
        log_volume(volume[~empty], voxel=1.0)[:, None],
        names=("volume",),
    )
    assert found.size == kept
    nothing = deficit_of(MEMBERS, BY_SIZE, lesions(np.zeros(N), SIZES))
    assert nothing.size.left == nothing.looks.left == "insufficient evidence"
    assert nothing.subgroup == {"volume_mm3": None, "contrast": None, "edge_sharpness": None}


def counted(own: list[float], rest: list[float]):
    members = np.array([True] * len(own) + [False] * len(rest))
    ids = [f"p{index:02d}" for index in range(len(members))]
    return failures_of(ids, members, np.array(own + rest))


def test_few_failures_by_hand() -> None:
    # Deficits .9, .5 and eighteen of 0 or less: 1.4 in all, and .9 is less than two thirds of it.
    found = counted([0.9] * 10 + [0.4, 0.0] + [0.9] * 8, [0.9] * 30)
    assert found is not None
    assert (found.n_cases, found.n, found.n_of_rank, found.few) == (20, 2, 2, True)
    assert found.cases == ("p11", "p10"), "the worst first"
    assert found.words == "2 of 20 cases hold two thirds of the deficit"
    # .9 and .3: 1.2 in all, and .9 is three quarters.
    one = counted([0.9] * 10 + [0.6, 0.0] + [0.9] * 8, [0.9] * 30)
    assert one is not None
    assert (one.n, one.cases) == (1, ("p11",))


def test_a_few_are_a_tenth_at_most() -> None:
    failing = [0.0] * 3 + [0.9] * 27
    (three, four) = counted(failing, [0.9] * 40), counted([0.0] * 5 + [0.9] * 25, [0.9] * 40)
    assert three is not None
    assert four is not None
    assert (three.n, three.few) == (2, True)
    assert (four.n, four.n / 30 > FEW, four.few) == (4, True, False)


def test_a_gap_that_all_share_is_no_few_failures_however_wide_dice_spreads() -> None:
    # One in twenty of everybody fails, and the subgroup is .06 worse throughout: its own failures hold two thirds of
    # the sum, and they are no more than those of the others.
    rest = np.tile(np.r_[np.zeros(1), np.full(19, 0.9)], 10)
    own = np.tile(np.r_[np.zeros(2), np.full(38, 0.84)], 5)
    found = counted(own.tolist(), rest.tolist())
    assert found is not None
    assert found.n / found.n_cases <= FEW
    assert found.n_of_rank / found.n_cases > 0.5
    assert not found.few
    # Where its failures are its own, both counts say so.
    fails = np.tile(np.r_[np.zeros(5), np.full(35, 0.9)], 5)
    more = counted(fails.tolist(), rest.tolist())
    assert more is not None
    assert more.few


def test_no_deficit_or_too_few_cases_have_no_failures() -> None:
    assert counted([0.88] * 20, [0.9] * 20) is None
    assert counted([0.1] * (MIN_COMPARED - 1), [0.9] * 20) is None
    assert counted([0.1] * 20, [0.9] * (MIN_COMPARED - 1)) is None
    # Of many the first twenty are named.
    many = counted([0.5] * 60, [0.9] * 20)
    assert many is not None
    assert (many.n, len(many.cases), many.cases[0]) == (40, 20, "p00")


def test_the_rule_has_every_threshold() -> None:
    rule = deficit_rule()
    for words in ("ring of 5 mm", f"fewer than {MIN_COMPARED} patients", "two thirds", "at most 10 %", "includes 0"):
        assert words in rule
