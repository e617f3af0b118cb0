"""Seeds of everything random: a stream a purpose. Rearrangements stay within their blocks, and are equally likely."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np

from segfair.stats.resampling import (
    Resampling,
    count_rearrangements,
    every_rearrangement,
    random_rearrangements,
    subject_rearrangements,
)

SIZES = Resampling(seed=3, draws=100, permutations=99, min_cases=10)


def test_a_purpose_has_the_same_stream_every_time_and_shares_it_with_nobody() -> None:
    purposes = ("dsc", "normhd", "scores/dsc", "scores/normhd", "power", "")
    drawn = {purpose: SIZES.stream(purpose).random(3).tolist() for purpose in purposes}
    assert {purpose: SIZES.stream(purpose).random(3).tolist() for purpose in reversed(purposes)} == drawn
    assert len(set(map(tuple, drawn.values()))) == len(purposes)


def test_the_seed_alone_decides_a_stream() -> None:
    more = dataclasses.replace(SIZES, draws=7, permutations=7, min_cases=7)
    np.testing.assert_array_equal(more.stream("dsc").random(3), SIZES.stream("dsc").random(3))
    other = dataclasses.replace(SIZES, seed=4)
    assert not np.array_equal(other.stream("dsc").random(3), SIZES.stream("dsc").random(3))


def test_a_stream_is_the_one_that_saved_audits_were_made_with() -> None:
    """CRC-32 of "dsc" is 0x6036A039: whoever changes the derivation changes every published number."""
    expected = np.random.default_rng([3, 0x6036A039]).random(3)
    np.testing.assert_array_equal(SIZES.stream("dsc").random(3), expected)


def test_random_rearrangements_stay_within_blocks() -> None:
    blocks = np.array([0, 0, 0, 1, 1, 2])
    drawn = np.concatenate(list(random_rearrangements(blocks, count=50, step=7, rng=np.random.default_rng(0))), axis=0)
    assert drawn.shape == (50, 6)
    np.testing.assert_array_equal(np.sort(drawn, axis=1), np.tile(np.arange(6), (50, 1)))
    np.testing.assert_array_equal(blocks[drawn], np.tile(blocks, (50, 1)))


def test_draws_do_not_depend_on_the_step() -> None:
    blocks = np.zeros(9, dtype=int)
    one, other = (
        np.concatenate(list(random_rearrangements(blocks, count=20, step=step, rng=np.random.default_rng(3))))
        for step in (20, 3)
    )
    np.testing.assert_array_equal(one, other)


def test_every_order_is_equally_likely() -> None:
    drawn = next(random_rearrangements(np.zeros(3, dtype=int), count=6000, step=6000, rng=np.random.default_rng(1)))
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.all(np.abs(counts - 1000) < 4 * np.sqrt(1000 * 5 / 6))


def test_enumeration_is_complete() -> None:
    blocks = np.array([0, 0, 0, 1, 1, 2])
    found = np.concatenate(list(every_rearrangement(blocks, step=5)))
    assert found[0].tolist() == list(range(6))
    expected = {
        (*first, *second, 5) for first in itertools.permutations(range(3)) for second in itertools.permutations((3, 4))
    }
    assert {tuple(map(int, row)) for row in found} == expected
    assert len(found) == len(expected) == count_rearrangements(blocks) == 12


def test_a_single_case_has_one_arrangement() -> None:
    assert [rows.tolist() for rows in every_rearrangement(np.array([0]), step=4)] == [[[0]]]


def test_subjects_move_as_a_whole() -> None:
    subjects = np.array([7, 7, 3, 5, 5, 9, 4, 4, 4])
    strata = np.array([0, 0, 0, 0, 0, 0, 0, 0, 0])
    found = np.concatenate(
        list(subject_rearrangements(subjects, strata, count=200, step=64, rng=np.random.default_rng(2)))
    )
    np.testing.assert_array_equal(np.sort(found, axis=1), np.tile(np.arange(9), (200, 1)))
    # The subject of three cases has nobody to change places with; the pairs and the single ones have.
    assert {tuple(row[6:]) for row in found.tolist()} == {(6, 7, 8)}
    assert {tuple(row[:2]) for row in found.tolist()} == {(0, 1), (3, 4)}
    assert {row[2] for row in found.tolist()} == {2, 5}


def test_subjects_stay_in_their_stratum() -> None:
    subjects = np.arange(6)
    strata = np.array([0, 1, 0, 1, 0, 1])
    found = next(subject_rearrangements(subjects, strata, count=100, step=100, rng=np.random.default_rng(2)))
    np.testing.assert_array_equal(strata[found], np.tile(strata, (100, 1)))
