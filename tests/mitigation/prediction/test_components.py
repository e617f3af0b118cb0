"""The largest part of a mask, by hand."""

from __future__ import annotations

import numpy as np

from segfair.mitigation.prediction.components import largest_component


def test_the_largest_part_is_kept_and_corners_connect():
    mask = np.zeros((6, 6), dtype=bool)
    mask[0, 0] = mask[1, 1] = mask[2, 2] = True  # a diagonal of three
    mask[4, 4:6] = True  # two
    kept = largest_component(mask)
    assert kept.sum() == 3
    assert kept[2, 2]
    assert not kept[4].any()


def test_one_part_or_none_stays_as_it_is():
    empty = np.zeros((3, 3, 3), dtype=bool)
    assert not largest_component(empty).any()
    whole = np.ones((3, 3, 3), dtype=bool)
    assert largest_component(whole).all()
