"""Where a NIfTI header says the image lies: nibabel's rule for what is taken, ITK's for what else may match."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from segfair.cases import Case
from segfair.errors import InputError
from segfair.files.images.masks import read_mask
from segfair.files.images.nifti import count_nifti_channels
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_case

DEFAULT = load_protocol("default")
LABEL = np.zeros((9, 8, 7), np.uint8)
LABEL[2:6, 2:5, 1:5] = 1
PREDICTION = np.roll(LABEL, 1, axis=0)  # DSC 0.75
QFORM = np.diag([1.0, 1.5, 2.0, 1.0])
SFORM = QFORM.copy()
SFORM[:3, 3] = (10, -5, 3)


def write_header(
    path: Path, array: np.ndarray, *, sform: tuple[int, np.ndarray], qform: tuple[int, np.ndarray]
) -> Path:
    """A NIfTI file with just these codes and affines; the voxel sizes are those of the qform."""
    image = nib.Nifti1Image(array, None)
    image.set_qform(qform[1], code=1)
    image.set_sform(sform[1], code=1)
    content = bytearray(image.to_bytes())
    # nibabel changes codes while it writes.
    content[252:256] = np.array([qform[0], sform[0]], "<i2").tobytes()
    path.write_bytes(gzip.compress(bytes(content)) if path.suffix == ".gz" else bytes(content))
    return path


def as_simpleitk_writes(label: Path, prediction: np.ndarray, path: Path) -> Path:
    """A prediction that SimpleITK wrote with "the geometry of the label"."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(prediction.T))
    image.CopyInformation(SimpleITK.ReadImage(str(label)))
    SimpleITK.WriteImage(image, str(path))
    return path


CODES = [(sform, qform) for sform in (0, 1, 2, 4) for qform in (0, 1, 2)]


@pytest.mark.parametrize(("sform", "qform"), CODES)
def test_the_affine_that_is_taken_is_nibabels(tmp_path: Path, sform: int, qform: int) -> None:
    path = write_header(tmp_path / "a.nii", LABEL, sform=(sform, SFORM), qform=(qform, QFORM))
    mask = read_mask(path)
    np.testing.assert_array_equal(mask.affine, nib.load(path).affine)
    assert mask.affine_name == ("sform" if sform else "qform" if qform else "pixdim")


@pytest.mark.parametrize(("sform", "qform"), CODES)
def test_what_itk_reads_is_among_the_affines(tmp_path: Path, sform: int, qform: int) -> None:
    path = write_header(tmp_path / "a.nii", LABEL, sform=(sform, SFORM), qform=(qform, QFORM))
    image = SimpleITK.ReadImage(str(path))
    itk = np.eye(4)
    itk[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    itk[:3, 3] = image.GetOrigin()
    itk = np.diag([-1, -1, 1, 1]) @ itk
    mask = read_mask(path)
    assert any(np.allclose(itk, affine) for affine in (mask.affine, *mask.other_affines.values()))


@pytest.mark.parametrize(("sform", "qform"), CODES)
def test_a_prediction_with_the_labels_geometry_by_itk_is_scored(tmp_path: Path, sform: int, qform: int) -> None:
    label = write_header(tmp_path / "label.nii.gz", LABEL, sform=(sform, SFORM), qform=(qform, QFORM))
    prediction = as_simpleitk_writes(label, PREDICTION, tmp_path / "prediction.nii.gz")
    score = score_case(Case("P1", label, prediction), DEFAULT)
    assert score.penalised is None
    assert score.values["dsc"] == 0.75
    assert score.values["volume"] == pytest.approx(48 * 3.0)
    # ITK takes the other place for these codes, and only then is there something to tell.
    differs = (sform, qform) in {(2, 1), (2, 2), (4, 1), (4, 2), (0, 0)}
    told = [text for text in score.alerts if "disagree where the image lies" in text]
    assert len(told) == len(score.alerts) == int(differs)
    if differs:
        name, other = ("sform", "qform") if sform else ("pixdim", "pixdim from the origin on")
        assert told[0].startswith(f"the NIfTI header of the label gives {name} and {other}, which disagree")
        assert told[0].endswith(f"with the voxel sizes of the label's {name}")


def test_the_predictions_own_other_affine_will_do_as_well(tmp_path: Path) -> None:
    label = write_header(tmp_path / "label.nii", LABEL, sform=(1, QFORM), qform=(1, QFORM))
    prediction = write_header(tmp_path / "p.nii", PREDICTION, sform=(2, SFORM), qform=(1, QFORM))
    score = score_case(Case("P1", label, prediction), DEFAULT)
    assert score.values["dsc"] == 0.75
    (alert,) = score.alerts
    assert alert.startswith("the NIfTI header of the prediction gives sform and qform, which disagree")


def test_what_lies_on_none_of_them_is_another_grid(tmp_path: Path) -> None:
    third = SFORM.copy()
    third[:3, 3] = (1, 2, 3)
    label = write_header(tmp_path / "label.nii", LABEL, sform=(2, SFORM), qform=(1, QFORM))
    prediction = write_header(tmp_path / "p.nii", PREDICTION, sform=(1, third), qform=(1, third))
    score = score_case(Case("P1", label, prediction), DEFAULT)
    assert score.penalised is not None
    assert score.penalised.startswith("another grid: ")


def test_a_label_that_gives_two_voxel_sizes_says_which_was_taken(tmp_path: Path) -> None:
    half = np.diag([0.5, 0.75, 1.0, 1.0])
    label = write_header(tmp_path / "label.nii", LABEL, sform=(1, half), qform=(1, QFORM))
    prediction = write_header(tmp_path / "p.nii", PREDICTION, sform=(1, half), qform=(1, half))
    score = score_case(Case("P1", label, prediction), DEFAULT)
    assert score.values["volume"] == pytest.approx(48 * 3.0 / 8)
    assert score.alerts == (
        "the NIfTI header of the label gives other voxel sizes by its qform than by its sform, which was taken",
    )


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("micron", 1e-3), ("mm", 1.0)])
@pytest.mark.parametrize(("sform", "qform"), [(1, 1), (2, 1), (0, 0)])
def test_units_hold_for_every_affine(tmp_path: Path, unit: str, factor: float, sform: int, qform: int) -> None:
    label = write_header(tmp_path / "label.nii", LABEL, sform=(sform, SFORM), qform=(qform, QFORM))
    content = bytearray(label.read_bytes())
    content[123] = {"meter": 1, "mm": 2, "micron": 3}[unit]
    label.write_bytes(content)
    assert nib.load(label).header.get_xyzt_units()[0] == unit
    prediction = as_simpleitk_writes(label, PREDICTION, tmp_path / "p.nii")
    score = score_case(Case("P1", label, prediction), DEFAULT)
    assert score.values["dsc"] == 0.75
    assert score.values["volume"] == pytest.approx(48 * 3.0 * factor**3)
    assert score.values["hd95_mm"] == pytest.approx(factor)


def test_a_damaged_qform_beside_a_good_sform_costs_nothing(tmp_path: Path) -> None:
    label = write_header(tmp_path / "a.nii", LABEL, sform=(1, SFORM), qform=(1, QFORM))
    content = bytearray(label.read_bytes())
    content[256:268] = np.full(3, 2, np.float32).tobytes()  # no rotation has such a quaternion
    label.write_bytes(content)
    np.testing.assert_array_equal(read_mask(label).affine, SFORM)
    # A sign of 0 is 1, as the standard has it.
    without = write_header(tmp_path / "b.nii", LABEL, sform=(0, SFORM), qform=(1, QFORM))
    content = bytearray(without.read_bytes())
    content[76:80] = np.float32(0).tobytes()
    without.write_bytes(content)
    np.testing.assert_allclose(read_mask(without).affine, QFORM)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize(("shape", "n_channels"), [((3, 4), 1), ((3, 4, 5), 1), ((3, 4, 5, 6), 6)])
def test_channels_are_counted_by_the_header_alone(
    tmp_path: Path, name: str, shape: tuple[int, ...], n_channels: int
) -> None:
    nib.save(nib.Nifti1Image(np.zeros(shape, np.float32), np.eye(4)), tmp_path / name)
    assert count_nifti_channels(tmp_path / name) == n_channels
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:30])
    with pytest.raises(InputError, match=r"is not a NIfTI file|compression is truncated"):
        count_nifti_channels(tmp_path / name)
