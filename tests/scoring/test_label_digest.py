"""The digest of a label: equal for equal voxels however they are stored, other for other voxels that count."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from segfair.cases import Case
from segfair.files.images.masks import Mask, read_mask, write_mask
from segfair.protocol.rules import LabelRule, Protocol, load_protocol
from segfair.scoring.cohort import score_case
from segfair.scoring.label_digest import label_digest

DEFAULT = load_protocol("default")
ONE = DEFAULT.replace(label=LabelRule(overlap=(1,), surface="overlap"))
ANY = DEFAULT.replace(label=LabelRule(overlap="any", surface="overlap"))


@pytest.fixture
def array() -> np.ndarray:
    made = np.zeros((9, 8, 7), np.uint8)
    made[2:5, 3:6, 1:4] = 1
    made[2, 3, 1] = 0
    return made


def digest(array: np.ndarray, protocol: Protocol = ONE, affine: np.ndarray | None = None) -> str:
    return label_digest(Mask(array, np.eye(4) if affine is None else affine), protocol)


def test_it_is_the_digest_that_saved_audits_hold() -> None:
    # Another digest of the same label would tell everybody who compares with an old audit that labels have changed.
    label = np.zeros((2, 3, 4), np.uint8)
    label[0, 1, 2], label[1, 1, 2], label[1, 2, 3] = 1, 2, 4
    assert digest(label) == "b741ee4159be9a8e92d19aa55d553f4fcb70dc0500c685bbfb7cb4baac9a60bc"
    ignoring = dataclasses.replace(ONE, ignore_label=4)
    assert digest(label, ignoring) == "b44cca19cd2dc4bffb5504411a32a5a4b44be9c4830821c85e36058f96ee6185"


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int64, np.uint16, bool])
def test_how_values_are_stored_does_not_matter(array: np.ndarray, kind: type) -> None:
    assert digest(array.astype(kind)) == digest(array)
    assert digest(np.asfortranarray(array)) == digest(array)


def test_every_other_voxel_matters(array: np.ndarray) -> None:
    seen = {digest(array)}
    for axis in range(3):
        seen |= {digest(np.roll(array, shift, axis)) for shift in (1, -1)}
    for place in ((2, 3, 1), (4, 5, 3), (0, 0, 0), (8, 7, 6)):
        changed = array.copy()
        changed[place] = 1 - changed[place]
        seen.add(digest(changed))
    seen |= {digest(np.zeros_like(array)), digest(np.zeros((9, 8, 8), np.uint8)), digest(np.pad(array, 1))}
    assert len(seen) == 14


def test_axes_in_another_order_or_direction_are_the_same_label(array: np.ndarray) -> None:
    flipped = np.diag([-1.0, 1, 1, 1])
    assert digest(array[::-1], affine=flipped) == digest(array)
    turned = np.zeros((4, 4))
    turned[0, 2] = turned[1, 0] = turned[2, 1] = turned[3, 3] = 1
    assert digest(array.transpose(1, 2, 0), affine=turned) == digest(array)
    for side in (0.5, 1.0, 2.0):
        sized = np.diag([side, side, side, 1])
        assert digest(array[::-1], affine=sized @ flipped) == digest(array, affine=sized)
    assert digest(array[::-1]) != digest(array)
    assert len(digest(array[..., 0])) == 64, "a picture in two dimensions"


def test_values_that_score_nothing_do_not_matter(array: np.ndarray) -> None:
    more = array.copy()
    more[7, 7, 6] = 4
    more[0, 0, 0] = 2
    assert digest(more, ONE) == digest(array, ONE)
    assert digest(more, ANY) != digest(array, ANY)
    assert digest(array * 3, ANY) == digest(array, ANY)
    ignoring = dataclasses.replace(ONE, ignore_label=4)
    assert digest(more, ignoring) != digest(array, ignoring)
    surfaces = DEFAULT.replace(label=LabelRule(overlap=(1,), surface="any"))
    assert digest(more, surfaces) != digest(array, surfaces)
    regions = dataclasses.replace(ONE, regions={"a": (1,), "b": (2,)})
    assert digest(array * 2, regions) != digest(array, regions)
    assert digest(array.astype(np.int16) * 300, regions) == digest(np.zeros_like(array), regions)


def test_a_scored_case_has_it_whatever_its_file_is_and_whatever_was_predicted(
    array: np.ndarray, tmp_path: Path
) -> None:
    for name in ("a.nii.gz", "b.nii"):
        write_mask(tmp_path / name, array, affine=np.eye(4))
    found = {
        score_case(Case("x", tmp_path / label, tmp_path / prediction if prediction else None), DEFAULT).label_sha256
        for label in ("a.nii.gz", "b.nii")
        for prediction in ("a.nii.gz", None)
    }
    assert found == {label_digest(read_mask(tmp_path / "a.nii.gz"), DEFAULT)}
