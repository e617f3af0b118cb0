"""What of a file is told before it is scored: whose it is, where it lies, how large its voxels are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.scoring.label_maps import CUBE, DEFAULT, REGIONS, boxes

from segfair.cases import Case
from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import Mask, write_mask
from segfair.protocol.rules import load_protocol
from segfair.scoring import reading
from segfair.scoring.cohort import score_case
from segfair.scoring.reading import about_sizes, check_threshold, refuse_links
from segfair.scoring.score_cache import contents_of_label, contents_of_prediction

AFFINE = np.diag([0.5, 1.0, 3.0, 1.0])
LABEL = boxes((1, CUBE))


def written(path: Path) -> Path:
    write_mask(path, LABEL, affine=AFFINE)
    return path


def test_a_prediction_that_is_the_labels_file_is_refused(tmp_path: Path) -> None:
    label, own = written(tmp_path / "l.nii"), tmp_path / "team" / "own.nii"
    written(own)
    refuse_links(Case("a", label, own, within=own.parent))
    hard = own.parent / "hard.nii"
    hard.hardlink_to(label)
    with pytest.raises(InputError, match=r"hard\.nii: is the file of the label itself, by a hard link"):
        refuse_links(Case("a", label, hard, within=own.parent))
    soft = own.parent / "soft.nii"
    soft.symlink_to(label)
    with pytest.raises(InputError, match=r"soft\.nii: .*by a link; hand in a copy"):
        refuse_links(Case("a", label, soft, within=own.parent))
    # Without a folder to stay in, and without a label, nothing is held against a link.
    refuse_links(Case("a", label, hard))
    refuse_links(Case("a", None, hard, within=own.parent))
    # What is not there is told when it is read.
    refuse_links(Case("a", tmp_path / "gone.nii", own, within=own.parent))


def test_what_is_no_file_of_its_own_has_no_contents_to_be_found_by(tmp_path: Path) -> None:
    label = written(tmp_path / "l.nii")
    (tmp_path / "team").mkdir()
    hard = tmp_path / "team" / "hard.nii"
    hard.hardlink_to(label)
    assert contents_of_prediction(Case("a", label, hard)) == contents_of_label(Case("a", label, None))
    assert contents_of_prediction(Case("a", label, hard, within=hard.parent)) is None
    assert contents_of_label(Case("a", tmp_path / "gone.nii", None)) is None
    header = tmp_path / "l.mhd"
    header.write_text("ObjectType = Image\nNDims = 3\nElementDataFile = ../../elsewhere.raw\n")
    assert contents_of_label(Case("a", header, None)) is None


def test_sizes_that_were_given_and_sizes_that_differ_within_a_header_are_told() -> None:
    unknown = Mask(LABEL, np.eye(4), has_size=False)
    assert about_sizes(unknown, None) == ()
    assert about_sizes(unknown, (0.5, 1.0, 3.0)) == (f"{reading.GIVEN_SIZE} 0.5 x 1 x 3 mm",)
    for factor, n_told in ((1.0, 0), (1.0005, 0), (1.002, 1), (0.998, 1), (2.0, 1)):
        both = Mask(LABEL, AFFINE, other_affines={"qform": AFFINE * [factor, 1, 1, 1]})
        assert len(about_sizes(both, None)) == n_told, factor


def test_masks_that_share_a_grid_by_the_other_affine_of_a_header_say_so() -> None:
    moved = AFFINE.copy()
    moved[:3, 3] = (10, 20, 30)
    label = Mask(LABEL, AFFINE, affine_name="sform", other_affines={"qform": moved})
    other = reading._other_place(Mask(LABEL, moved), label, 0.01)
    assert len(other) == 1
    assert other[0].startswith("the NIfTI header of the label gives sform and qform, which disagree where the image")
    assert "share a grid by the label's qform, and were scored so" in other[0]
    assert reading._other_place(Mask(LABEL, AFFINE), label, 0.01) == ()
    assert reading._other_place(Mask(LABEL, moved, has_size=False), label, 0.01) == ()


def test_a_threshold_is_a_number_and_belongs_to_one_region() -> None:
    check_threshold(None, REGIONS)
    check_threshold(0.5, DEFAULT)
    for value in (np.nan, np.inf):
        with pytest.raises(ConfigError, match="is no number"):
            check_threshold(value, DEFAULT)
    with pytest.raises(ConfigError, match=r"has 2 \(whole, core\)"):
        check_threshold(0.5, REGIONS)


def test_a_mask_that_does_not_fit_into_memory_costs_its_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label = written(tmp_path / "l.nii")
    prediction = written(tmp_path / "p.nii")
    read = reading.read_mask

    def too_large(path: Path, **options: object) -> Mask:
        if path == prediction:
            raise MemoryError
        return read(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(reading, "read_mask", too_large)
    score = score_case(Case("a", label, prediction), load_protocol("default"))
    assert score.values["dsc"] == 0.0
    assert score.penalised is not None
    assert "too large for the memory of this machine; crop it or store it smaller" in score.penalised
