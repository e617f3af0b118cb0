"""Seeds of everything random: a stream a purpose, the same every time."""

from __future__ import annotations

import dataclasses

import numpy as np

from segfair.stats.resampling import Resampling

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
