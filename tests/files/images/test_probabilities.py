"""Probability maps: the formats, nnU-Net's classes in its own axis order, and what is no probability."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from segfair.errors import InputError
from segfair.files.images.probabilities import holds_classes, read_probabilities

MAP = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)
"""Axes (x, y, z)."""


def classes(path: Path, *maps: np.ndarray, key: str = "probabilities") -> Path:
    """As nnU-Net saves them: (classes, z, y, x)."""
    np.savez_compressed(path, **{key: np.stack([map_.transpose(2, 1, 0) for map_ in maps])})
    return path


def written(path: Path) -> Path:
    if path.name.endswith(".nii.gz"):
        nibabel.save(nibabel.Nifti1Image(MAP, np.diag([1.0, 2.0, 3.0, 1.0])), path)
    elif path.suffix == ".nrrd":
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(MAP.T), str(path))
    elif path.suffix == ".npy":
        np.save(path, MAP)
    else:
        np.savez(path, MAP)
    return path


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd", "a.npy", "a.npz"])
def test_a_map_of_any_format(tmp_path: Path, name: str) -> None:
    np.testing.assert_allclose(read_probabilities(written(tmp_path / name), (1,)).array, MAP)


def test_of_classes_those_that_count_are_added_up(tmp_path: Path) -> None:
    path = classes(tmp_path / "a.npz", 1 - MAP, 0.25 * MAP, 0.75 * MAP)
    assert holds_classes(path)
    for values, share in (((1,), 0.25), ((2,), 0.75), ((1, 2), 1.0), ("any", 1.0)):
        np.testing.assert_allclose(read_probabilities(path, values).array, share * MAP, atol=1e-6)


def test_a_single_region_is_the_map(tmp_path: Path) -> None:
    np.testing.assert_allclose(read_probabilities(classes(tmp_path / "a.npz", MAP), (1,)).array, MAP)


def test_half_precision_is_taken(tmp_path: Path) -> None:
    half = MAP.astype(np.float16)
    found = read_probabilities(classes(tmp_path / "a.npz", 1 - half, half), (1,)).array
    np.testing.assert_allclose(found, MAP, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: np.where(m > 0.9, np.nan, m), "nan or infinite"),
        (lambda m: 8 * m - 4, "look like logits"),
        (lambda m: 255 * m, "divide them by their scale"),
        (lambda m: np.rint(m), "0 and 1 alone"),
        (lambda m: 0 * m, "0 and 1 alone"),
    ],
)
def test_what_is_no_probability_is_named(tmp_path: Path, change, told: str) -> None:
    np.save(tmp_path / "a.npy", change(MAP).astype(np.float32))
    with pytest.raises(InputError, match=told):
        read_probabilities(tmp_path / "a.npy", (1,))


def test_what_is_not_nnunets_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds logits"):
        read_probabilities(classes(tmp_path / "l.npz", MAP, MAP, key="logits"), (1,))
    with pytest.raises(InputError, match="training on regions"):
        read_probabilities(classes(tmp_path / "r.npz", MAP, 0.5 * MAP), (1,))
    with pytest.raises(InputError, match="label value 3 counts"):
        read_probabilities(classes(tmp_path / "c.npz", MAP, 1 - MAP), (3,))
    np.savez(tmp_path / "s.npz", probabilities=MAP)
    with pytest.raises(InputError, match="classes x Z x Y x X"):
        read_probabilities(tmp_path / "s.npz", (1,))
    with pytest.raises(InputError, match="cannot be read"):
        read_probabilities(tmp_path / "absent.npz", (1,))
