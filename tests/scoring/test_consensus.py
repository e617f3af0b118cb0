"""What raters have in common: majorities counted by hand and by SimpleITK's voting, STAPLE by SimpleITK's filter."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from segfair.scoring.consensus import consensus, majority, staple

RATERS = st.lists(
    npst.arrays(np.uint8, (3, 4, 2), elements=st.integers(0, 3), fill=st.just(np.uint8(0))), min_size=1, max_size=5
)


def test_the_value_of_most_raters_counts_and_a_tie_is_background() -> None:
    #            all  two  one  tie of three
    first = np.array([1, 1, 1, 1], np.uint8)
    second = np.array([1, 1, 0, 2], np.uint8)
    third = np.array([1, 0, 0, 3], np.uint8)
    chosen, n_tied = majority([first, second, third])
    assert chosen.tolist() == [1, 1, 0, 0]
    assert n_tied == 1
    halved, n_halved = majority([first, second])
    assert halved.tolist() == [1, 1, 0, 0], "what just half of the raters marked is background"
    assert n_halved == 2


@given(RATERS)
def test_the_majority_is_that_of_a_voting_filter(labels) -> None:
    images = [SimpleITK.GetImageFromArray(label) for label in labels]
    assert np.array_equal(majority(labels)[0], SimpleITK.GetArrayFromImage(SimpleITK.LabelVoting(images, 0)))


def test_staple_is_that_of_the_filter() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((12, 12, 6), np.uint8)
    truth[3:9, 3:9, 1:5] = 1
    labels = [np.where(rng.random(truth.shape) < 0.05 * (rater + 1), 1 - truth, truth) for rater in range(4)]
    found = SimpleITK.STAPLEImageFilter()
    found.SetForegroundValue(1)
    probability = SimpleITK.GetArrayFromImage(found.Execute([SimpleITK.GetImageFromArray(one) for one in labels]))
    assert np.array_equal(staple(labels), (probability >= 0.5).astype(np.uint8))
    # The value itself does not matter, and comes back.
    assert np.array_equal(staple([one * 7 for one in labels]), 7 * staple(labels))


def test_staple_of_several_values_is_that_of_the_filter_of_several() -> None:
    rng = np.random.default_rng(1)
    truth = np.zeros((10, 10, 4), np.uint8)
    truth[2:8, 2:8], truth[4:6, 4:6] = 1, 2
    labels = [np.where(rng.random(truth.shape) < 0.1, rng.integers(0, 3, truth.shape), truth) for _ in range(3)]
    labels = [label.astype(np.uint8) for label in labels]
    images = [SimpleITK.GetImageFromArray(label) for label in labels]
    assert np.array_equal(staple(labels), SimpleITK.GetArrayFromImage(SimpleITK.MultiLabelSTAPLE(images, 0)))


@pytest.mark.parametrize("value", [0, 1, 2])
@pytest.mark.parametrize("rule", ["majority", "staple"])
def test_raters_who_are_alike_are_the_answer(rule, value) -> None:
    """All empty, of which STAPLE makes no number; all full; one rater alone."""
    label = np.full((3, 3, 2), value, np.uint8)
    assert np.array_equal(consensus(rule, [label] * 3), label)
    assert np.array_equal(consensus(rule, [label]), label)


@given(RATERS)
def test_nothing_is_in_common_that_nobody_marked(labels) -> None:
    for rule in ("majority", "staple"):
        common = consensus(rule, labels)
        assert all(value in {int(label[place]) for label in labels} | {0} for place, value in np.ndenumerate(common))
