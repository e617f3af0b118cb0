"""The fingerprint of small data sets with known sizes, spacings and grey values."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("monai")
nib = pytest.importorskip("nibabel")

from PIL import Image  # noqa: E402

from segfair.errors import InputError  # noqa: E402
from segfair.mitigation.data.fingerprint import take_fingerprint  # noqa: E402
from segfair.mitigation.data.preprocessing import Preprocessing, load_volume  # noqa: E402
from segfair.mitigation.data.regions import LESION  # noqa: E402
from segfair.mitigation.data.sources import TrainingCase  # noqa: E402


def write(folder, name, image, *, spacing=(1.0, 1.0, 1.0), axes=(0, 1, 2)):
    affine = np.zeros((4, 4))
    for stored, axis in enumerate(axes):
        affine[axis, stored] = spacing[stored]
    affine[3, 3] = 1
    paths = folder / f"{name}.nii.gz", folder / f"{name}_label.nii.gz"
    label = np.zeros(image.shape, dtype=np.uint8)
    label[2:5, 2:5, 2:4] = 1
    nib.save(nib.Nifti1Image(image, affine), paths[0])
    nib.save(nib.Nifti1Image(label, affine), paths[1])
    return TrainingCase(name, (paths[0],), paths[1])


def test_sizes_and_spacings_in_the_patients_order(tmp_path):
    rng = np.random.default_rng(0)
    # Stored sagittally: the first stored axis runs from foot to head, the last from left to right.
    cases = [
        write(
            tmp_path,
            f"C{n}",
            rng.random((10 + n, 12, 14), dtype=np.float32),
            spacing=(3.0, 0.5, 0.7),
            axes=(2, 1, 0),
        )
        for n in range(3)
    ]
    found = take_fingerprint(cases, LESION, phases=1)
    np.testing.assert_array_equal(found.sizes, [[14, 12, 10], [14, 12, 11], [14, 12, 12]])
    np.testing.assert_allclose(found.median_spacing, (0.7, 0.5, 3.0), rtol=1e-6)
    assert (found.modality, found.dims, found.has_size, found.intensities) == ("other", 3, True, None)
    np.testing.assert_array_equal(found.sizes_at((1.4, 1.0, 3.0))[0], [7, 6, 10])
    assert found.describe() == (
        "fingerprint: 3 cases, 3-D, no CT, 14 x 12 x 10 to 14 x 12 x 12 voxels, median 14 x 12 x 11 of 0.7 x 0.5 x 3 mm"
    )


def test_ct_is_told_by_its_values_and_standardised_by_those_under_the_labels(tmp_path):
    rng = np.random.default_rng(1)
    cases, inside = [], []
    for n in range(4):
        image = np.full((8, 8, 8), -1000, dtype=np.int16)
        image[1:7, 1:7, 1:7] = rng.integers(0, 100, (6, 6, 6))
        inside.append(image[2:5, 2:5, 2:4].ravel())
        cases.append(write(tmp_path, f"C{n}", image))
    found = take_fingerprint(cases, LESION, phases=1)
    values = np.concatenate(inside).astype(float)
    assert found.modality == "ct"
    assert found.intensities is not None
    assert found.intensities.mean == (pytest.approx(values.mean()),)
    assert found.intensities.spread == (pytest.approx(values.std()),)
    low, high = np.percentile(values, [0.5, 99.5])
    assert found.intensities.low == (pytest.approx(low),)
    # Air is clipped, and 0 HU is a value like any other.
    preprocessing = Preprocessing(1, None, "ct", found.intensities)
    made = load_volume(cases[0].images, preprocessing).image.numpy()[0]
    expected = (np.clip(np.asarray(nib.load(cases[0].images[0]).dataobj), low, high) - values.mean()) / values.std()
    np.testing.assert_allclose(made, expected, atol=1e-5)
    assert Preprocessing.from_dict(preprocessing.to_dict()) == preprocessing
    # Who knows better says so.
    assert take_fingerprint(cases, LESION, phases=1, modality="other").intensities is None


def test_pictures_are_planar_and_have_no_size(tmp_path):
    cases = []
    for n, (width, height) in enumerate([(20, 10), (16, 12), (30, 8)]):
        picture = np.random.default_rng(n).integers(0, 255, (height, width), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / f"P{n}.png")
        cases.append(TrainingCase(f"P{n}", (tmp_path / f"P{n}.png",), tmp_path / f"P{n}.png"))
    found = take_fingerprint(cases, LESION, phases=1)
    assert found.is_planar
    assert found.dims == 2
    assert not found.has_size
    np.testing.assert_array_equal(found.sizes, [[20, 10, 1], [16, 12, 1], [30, 8, 1]])
    assert found.describe().endswith("median 20 x 10 of 1 x 1 px")


def test_large_data_sets_are_known_from_some_of_their_cases_and_broken_files_are_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr("segfair.mitigation.data.fingerprint._MOST_CASES", 3)
    cases = [write(tmp_path, f"C{n}", np.full((8 + n, 8, 8), 3, dtype=np.int16)) for n in range(7)]
    found = take_fingerprint(cases, LESION, phases=1)
    assert (found.n_cases, found.n_seen) == (7, 3)
    np.testing.assert_array_equal(found.sizes[:, 0], [8, 11, 14])
    assert "7 cases (of 3 of them)" in found.describe()
    cases[3].images[0].write_bytes(b"no image")
    assert take_fingerprint(cases, LESION, phases=1).n_seen == 2
    for case in cases:
        case.images[0].write_bytes(b"no image")
    with pytest.raises(InputError, match="none of 3 images can be read"):
        take_fingerprint(cases, LESION, phases=1)


def test_labels_in_another_orientation_and_broken_voxels_do_not_spoil_what_ct_is_standardised_by(tmp_path):
    image = np.full((8, 8, 8), -1000.0, dtype=np.float32)
    image[2:5, 2:5, 2:4] = 50.0
    image[2, 2, 2] = np.nan
    case = write(tmp_path, "C", image)
    # The same label, stored from right to left.
    stored = nib.load(case.label)
    flipped = np.asarray(stored.dataobj)[::-1]
    affine = stored.affine @ np.diag([-1, 1, 1, 1])
    affine[0, 3] = 7
    nib.save(nib.Nifti1Image(np.ascontiguousarray(flipped), affine), case.label)
    found = take_fingerprint([case], LESION, phases=1, modality="ct")
    assert found.intensities is not None
    assert found.intensities.mean == (50.0,)
