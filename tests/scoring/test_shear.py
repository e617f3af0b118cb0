"""Grids whose axes are not at right angles (gantry tilt), against brute force through the affine."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

import segfair
from segfair.audit.result import AuditConfig
from segfair.audit.second_labels import measure_again
from segfair.cases import Case, Cohort
from segfair.files.images.grids import Mask
from segfair.files.images.masks import read_mask, write_mask
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_case
from segfair.scoring.metrics import MaskPair, assd, hausdorff, nsd, surface_distances, volume
from segfair.scoring.pairs import SHEARED, score_pair, worst_score

DEFAULT = load_protocol("default")


def tilted(degrees: float, spacing: tuple[float, float, float] = (0.5, 0.5, 5.0)) -> np.ndarray:
    """A CT with a tilted gantry: slices are shifted along y from one to the next."""
    affine = np.diag([*spacing, 1.0])
    angle = math.radians(degrees)
    affine[:3, 2] = spacing[2] * np.array([0, math.sin(angle), math.cos(angle)])
    return affine


def sheared_at_random(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    steps = np.eye(3) + rng.uniform(-0.4, 0.4, (3, 3)) * (1 - np.eye(3))
    affine[:3, :3] = Rotation.random(random_state=seed).as_matrix() @ steps * rng.uniform(0.3, 6, 3)
    affine[:3, 3] = rng.normal(0, 100, 3)
    return affine


AFFINES = [tilted(10), tilted(25), tilted(-17, (0.8, 0.9, 2.5)), *map(sheared_at_random, range(4))]


def surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(np.pad(mask, 1))[(slice(1, -1),) * mask.ndim]


def blobs(seed: int, shape: tuple[int, ...] = (14, 12, 9)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    label = ndimage.gaussian_filter(rng.normal(size=shape), 1.5) > 0.08
    return label, np.roll(label, 2, axis=seed % len(shape)) & (rng.random(shape) > 0.05)


def brute_force(label: np.ndarray, prediction: np.ndarray, affine: np.ndarray) -> dict[str, float]:
    steps = affine[:3, : label.ndim]
    points = [np.argwhere(surface(mask)) @ steps.T for mask in (label, prediction)]
    there, back = cKDTree(points[1]).query(points[0])[0], cKDTree(points[0]).query(points[1])[0]
    both = np.concatenate([there, back])
    gram = steps.T @ steps
    return {
        "volume": label.sum() * math.sqrt(np.linalg.det(gram)),
        "hd95_mm": max(np.percentile(there, 95), np.percentile(back, 95)),
        "assd_mm": both.mean(),
        "nsd_1mm": (both <= 1 + 1e-9).mean(),
        "nsd_2mm": (both <= 2 + 1e-9).mean(),
    }


@pytest.mark.parametrize("index", range(len(AFFINES)))
def test_every_metric_against_brute_force(index: int) -> None:
    affine = AFFINES[index]
    label, prediction = blobs(index)
    mask = Mask(label.astype(np.uint8), affine)
    assert mask.axes_mm is not None
    found = score_pair(label, prediction, spacing_mm=mask.spacing_mm, axes_mm=mask.axes_mm, protocol=DEFAULT)
    expected = brute_force(label, prediction, affine)
    assert {name: found.values[name] for name in expected} == pytest.approx(expected, rel=1e-9)
    assert found.values["normhd"] == pytest.approx(min(1.0, expected["hd95_mm"] / 150))
    # Voxels have no angles, and edges keep their lengths.
    upright = score_pair(label, prediction, spacing_mm=mask.spacing_mm, protocol=DEFAULT)
    assert found.values["hd95_vox"] == upright.values["hd95_vox"]
    for name in ("anisotropy", "spacing_x_mm", "spacing_min_mm", "spacing_max_mm", "label_voxels", "n_lesions"):
        assert found.facts[name] == upright.facts[name]
    assert found.facts["voxel_volume_mm3"] == pytest.approx(abs(np.linalg.det(affine[:3, :3])))
    assert found.alerts == (SHEARED,)


def test_metrics_of_arrays_take_the_axes_as_well() -> None:
    affine = tilted(25)
    label, prediction = blobs(1)
    mask = Mask(label, affine)
    pair = MaskPair(label=label, prediction=prediction, spacing_mm=mask.spacing_mm, axes_mm=mask.axes_mm)
    expected = brute_force(label, prediction, affine)
    distances = surface_distances(pair)
    assert volume(pair) == pytest.approx(expected["volume"])
    assert hausdorff(distances) == pytest.approx(expected["hd95_mm"])
    assert assd(distances) == pytest.approx(expected["assd_mm"])
    assert nsd(distances, 2.0) == pytest.approx(expected["nsd_2mm"])
    assert hausdorff(surface_distances(pair, unit="voxels")) == hausdorff(
        surface_distances(MaskPair(label=label, prediction=prediction, spacing_mm=(1, 1, 1)))
    )


def test_a_flat_mask_may_be_sheared_too() -> None:
    affine = np.eye(4)
    affine[:3, :2] = np.array([[0.7, 0.3], [0.0, 0.9], [0.1, 0.2]])
    label, prediction = blobs(2, (20, 18))
    mask = Mask(label, affine)
    found = score_pair(label, prediction, spacing_mm=mask.spacing_mm, axes_mm=mask.axes_mm, protocol=DEFAULT).values
    expected = brute_force(label, prediction, affine)
    assert {name: found[name] for name in expected} == pytest.approx(expected)


@pytest.mark.parametrize("degrees", [25, -25])
def test_the_diagonal_of_a_sheared_image_is_its_longest(degrees: float) -> None:
    # To one side the corner farthest from the first is the last, to the other side two others are farther apart.
    affine = tilted(degrees, (1.0, 1.0, 1.0))
    label = np.zeros((10, 12, 8), bool)
    label[3:5, 3:5, 3:5] = True
    mask = Mask(label, affine)
    corners = np.array([[x, y, z] for x in (0, 10) for y in (0, 12) for z in (0, 8)]) @ affine[:3, :3].T
    longest = max(np.linalg.norm(one - other) for one in corners for other in corners)
    for score in (
        worst_score(label, spacing_mm=mask.spacing_mm, axes_mm=mask.axes_mm, protocol=DEFAULT, reason="gone"),
        score_pair(label, ~label & label, spacing_mm=mask.spacing_mm, axes_mm=mask.axes_mm, protocol=DEFAULT),
    ):
        assert score.values["hd95_mm"] == pytest.approx(longest)
        assert score.values["volume"] == pytest.approx(8 * math.cos(math.radians(25)))
        assert SHEARED in score.alerts


@pytest.mark.parametrize("seed", range(6))
def test_right_angles_keep_their_path_whatever_the_rotation(seed: int) -> None:
    # Directions as a header stores them, with seven digits; and with four, as some text headers do.
    for digits in (np.float32, lambda steps: np.round(steps, 4)):
        affine = np.eye(4)
        affine[:3, :3] = digits(Rotation.random(random_state=seed).as_matrix()) * (0.4, 0.8, 3.0)
        assert Mask(np.zeros((2, 2, 2)), affine).axes_mm is None
    assert Mask(np.zeros((2, 2, 2)), tilted(0.1)).axes_mm is not None


def test_a_sheared_file_of_each_format(tmp_path: Path) -> None:
    affine = tilted(20)
    label, prediction = (mask.astype(np.uint8) for mask in blobs(3))
    expected = brute_force(label > 0, prediction > 0, affine)
    write_mask(tmp_path / "label.nii.gz", label, affine=affine)
    write_mask(tmp_path / "p.nii.gz", prediction, affine=affine)
    lps = np.diag([-1, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    for suffix in (".nrrd", ".mha"):
        image = SimpleITK.GetImageFromArray(np.ascontiguousarray(prediction.T))
        image.SetSpacing(spacing.tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        SimpleITK.WriteImage(image, str(tmp_path / f"p{suffix}"))
    np.savez(tmp_path / "p.npz", mask=prediction, affine=affine)
    # Stored with other axes, it is the same grid.
    turned = np.eye(4)
    turned[:3, :3] = affine[:3, [2, 0, 1]] * (1, -1, 1)
    turned[:3, 3] = affine[:3, 3] + affine[:3, 0] * (prediction.shape[0] - 1)
    write_mask(tmp_path / "turned.nii", prediction[::-1].transpose(2, 0, 1), affine=turned)
    for name in ("p.nii.gz", "p.nrrd", "p.mha", "p.npz", "turned.nii"):
        score = score_case(Case("P1", tmp_path / "label.nii.gz", tmp_path / name), DEFAULT)
        assert score.penalised is None, name
        assert {key: score.values[key] for key in expected} == pytest.approx(expected, rel=1e-5), name


def test_axes_in_one_plane_are_no_geometry(tmp_path: Path) -> None:
    flat = np.diag([1.0, 1, 1, 1])
    flat[:3, 2] = (1, 1, 0)
    np.savez(tmp_path / "a.npz", mask=np.ones((2, 3, 4), np.uint8), affine=flat)
    with pytest.raises(segfair.errors.InputError, match="three axes into one plane"):
        read_mask(tmp_path / "a.npz")


def test_one_alert_and_derived_volumes_in_an_audit(tmp_path: Path) -> None:
    affine, rng = tilted(25), np.random.default_rng(0)
    cases, volumes = [], {}
    for index in range(24):
        side = 4 + index % 5
        label, prediction = np.zeros((16, 16, 10), np.uint8), np.zeros((16, 16, 10), np.uint8)
        label[2 : 2 + side, 2:8, 2:6] = 1
        prediction[2 : 2 + side, 2 : 8 - index % 2, 2:6] = 1
        paths = [tmp_path / role / f"P{index:02d}.nii.gz" for role in ("labels", "preds", "labels2")]
        for path, array in zip(paths, (label, prediction, label), strict=True):
            write_mask(path, array, affine=affine)
        cases.append(Case(f"P{index:02d}", paths[0], paths[1], {"sex": rng.choice(["F", "M"])}))
        volumes[f"P{index:02d}"] = label.sum() * 0.5 * 0.5 * 5 * math.cos(math.radians(25))
    cohort = Cohort(tuple(cases), columns=("sex",))
    config = AuditConfig(DEFAULT, permutations=199, bootstrap=200, derive=True)
    result = segfair.run_audit(cohort, config)
    found = dict(zip(result.cases.scores.column("case"), result.cases.scores.column("volume"), strict=True))
    assert found == pytest.approx(volumes, rel=1e-6)
    assert [alert.text for alert in result.verdict.alerts if SHEARED in alert.text] == [f"{SHEARED} (24 of 24 cases)"]
    # Thirds are of millilitres: the smallest label has 96 voxels of 1.13 mm³.
    assert result.attributes.bins["lesion_volume"].levels[0].endswith(" ml")
    assert max(edge for edge in result.attributes.bins["lesion_volume"].edges if math.isfinite(edge)) < 0.25
    again = measure_again(result, cohort, tmp_path / "labels2")
    assert again.subgroups.second_labels is not None
    assert again.subgroups.second_labels.agreement == 1.0
