"""The border rule: hand-made polygons, exact arithmetic, and an independent oracle in fractions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segfair.files.dicom.polygons import enclosed


def picture(*rows: str) -> np.ndarray:
    """Rows of `#` and `.`; the first axis of the result runs along a row."""
    return np.array([[letter == "#" for letter in row] for row in rows]).T


def box(left, top, right, bottom) -> np.ndarray:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], float)


def test_a_centre_on_the_line_counts_and_one_beside_it_does_not():
    on_centres = picture(".....", ".###.", ".###.", ".....")
    assert (enclosed([box(1, 1, 3, 2)], (5, 4)) == on_centres).all()
    assert (enclosed([box(0.5, 0.5, 3.5, 2.5)], (5, 4)) == on_centres).all()
    assert (enclosed([box(0.99, 1, 3.01, 2)], (5, 4)) == on_centres).all()
    assert (enclosed([box(1.01, 1, 2.99, 2)], (5, 4)) == picture(".....", "..#..", "..#..", ".....")).all()


def test_corners_are_rounded_to_a_thousandth_of_a_pixel():
    # As positions in millimetres come back from files, 1e-6 beside a centre.
    assert (
        enclosed([box(1 + 1e-6, 1 + 1e-6, 3 - 1e-6, 2 - 1e-6)], (5, 4)) == enclosed([box(1, 1, 3, 2)], (5, 4))
    ).all()


def test_a_triangle_takes_the_centres_on_its_slope():
    triangle = np.array([[0, 0], [3, 0], [0, 3]], float)
    assert (enclosed([triangle], (4, 4)) == picture("####", "###.", "##..", "#...")).all()


def test_a_contour_within_another_is_a_hole_and_its_own_line_still_counts():
    ring = enclosed([box(0, 0, 6, 6), box(2, 2, 4, 4)], (7, 7))
    assert not ring[3, 3]
    assert ring.sum() == 48
    # A hole drawn between the centres takes those within.
    assert enclosed([box(0, 0, 6, 6), box(1.5, 1.5, 4.5, 4.5)], (7, 7)).sum() == 49 - 9


def test_an_island_within_a_hole_counts():
    found = enclosed([box(0, 0, 8, 8), box(1.5, 1.5, 6.5, 6.5), box(3, 3, 5, 5)], (9, 9))
    assert found.sum() == 81 - 25 + 9


def test_the_channel_of_a_keyhole_encloses_nothing_and_costs_nothing():
    keyhole = np.array(
        [
            *([0, 0], [6, 0], [6, 6], [0, 6], [0, 3.5]),  # around, to the channel
            *([1.5, 3.5], [1.5, 4.5], [4.5, 4.5], [4.5, 1.5], [1.5, 1.5], [1.5, 3.5]),  # the hole, the other way
            [0, 3.5],
        ],
        float,
    )
    assert (enclosed([keyhole], (7, 7)) == enclosed([box(0, 0, 6, 6), box(1.5, 1.5, 4.5, 4.5)], (7, 7))).all()


def test_contours_beside_each_other_are_both_there():
    assert enclosed([box(0, 0, 1, 1), box(4, 0, 5, 1)], (7, 3)).sum() == 8


def test_one_or_two_points_enclose_nothing_but_the_centres_on_them():
    assert np.argwhere(enclosed([np.array([[2.0, 1.0]])], (4, 4))).tolist() == [[2, 1]]
    assert enclosed([np.array([[2.5, 1.0]])], (4, 4)).sum() == 0
    assert np.argwhere(enclosed([np.array([[0.0, 0.0], [2.0, 2.0]])], (4, 4))).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_what_lies_outside_of_the_image_is_cut_off():
    assert enclosed([box(-5, -5, 1, 1)], (4, 4)).sum() == 4
    assert enclosed([box(-5, -5, 50, 50)], (4, 4)).all()
    assert not enclosed([box(10, 10, 12, 12)], (4, 4)).any()
    assert not enclosed([], (4, 4)).any()


def oracle(contours, shape):
    """Point by point, in fractions, by crossings to the right and from upper ends: none of it is how it is done."""
    found = np.zeros(shape, bool)
    for x in range(shape[0]):
        for y in range(shape[1]):
            n_crossed = 0
            for corners in contours:
                ring = [(Fraction(a), Fraction(b)) for a, b in corners]
                for (ax, ay), (bx, by) in zip(ring, ring[1:] + ring[:1], strict=True):
                    cross = (bx - ax) * (y - ay) - (by - ay) * (x - ax)
                    if cross == 0 and min(ax, bx) <= x <= max(ax, bx) and min(ay, by) <= y <= max(ay, by):
                        found[x, y] = True
                    if (ay >= y) != (by >= y) and ax + (bx - ax) * (y - ay) / (by - ay) > x:
                        n_crossed += 1
            found[x, y] |= n_crossed % 2 == 1
    return found


halves = st.integers(-4, 20).map(lambda n: n / 2)
contour = st.lists(st.tuples(halves, halves), min_size=1, max_size=7)


@given(st.lists(contour, min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_it_is_the_rule_whatever_the_polygons(contours):
    assert (enclosed([np.array(corners) for corners in contours], (7, 8)) == oracle(contours, (7, 8))).all()


@given(contour, st.integers(0, 6))
@settings(max_examples=50, deadline=None)
def test_neither_direction_nor_first_corner_matters(corners, first):
    turned = corners[::-1][first % len(corners) :] + corners[::-1][: first % len(corners)]
    assert (enclosed([np.array(corners)], (7, 8)) == enclosed([np.array(turned)], (7, 8))).all()


def test_it_is_what_opencv_fills_where_corners_are_centres():
    cv2 = pytest.importorskip("cv2", exc_type=ImportError)
    rng = np.random.default_rng(0)
    for _ in range(50):
        # Convex ones: opencv draws the line of a slope by its own rule.
        corners = cv2.convexHull(rng.integers(0, 30, (6, 2)).astype(np.int32))[:, 0]
        filled = np.zeros((30, 30), np.uint8)
        cv2.fillPoly(filled, [corners.reshape(-1, 1, 2)], 1)
        ours = enclosed([corners.astype(float)], (30, 30))
        assert (filled.T[ours] == 1).all()
