"""What is written is read again; two masks score as an oracle has it, or are refused; conditions mean what they say."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import openpyxl
import SimpleITK
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import segfair
from segfair.attributes.fit import parse_bins
from segfair.attributes.joins import LevelJoin, parse_join
from segfair.audit.judging.gates import parse_gate
from segfair.documents import read_json, read_toml
from segfair.errors import InputError
from segfair.files.images.masks import read_mask, write_mask
from segfair.files.placing import write_json
from segfair.files.tables import load_table, write_csv
from segfair.intake.where import fulfilled
from tests.fuzz.strategies import Volume, condition, records, trees, volumes

in_a_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def save(volume: Volume, path: Path) -> Path:
    """By another library than segfair's reader of that format goes through, where there is one."""
    if path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(volume.array, volume.affine, dtype=volume.array.dtype), path)
    elif path.suffix == ".npz":
        np.savez_compressed(path, mask=volume.array, affine=volume.affine)
    else:
        image = SimpleITK.GetImageFromArray(volume.array.T)
        lps = _LPS @ volume.affine
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        image.SetSpacing(spacing.tolist())
        image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
        image.SetOrigin(lps[:3, 3].tolist())
        SimpleITK.WriteImage(image, str(path), True)
    return path


SUFFIXES = st.sampled_from((".nii", ".nii.gz", ".nrrd", ".mha", ".npz"))


@given(volume=volumes(), suffix=SUFFIXES)
@in_a_folder
def test_a_volume_is_read_as_it_was_written(tmp_path: Path, volume: Volume, suffix: str) -> None:
    mask = read_mask(save(volume, tmp_path / f"a{suffix}"))
    np.testing.assert_array_equal(mask.array, volume.array)
    np.testing.assert_allclose(mask.affine, volume.affine, atol=1e-4)


@given(volume=volumes())
@in_a_folder
def test_a_mask_that_segfair_wrote_is_read_by_nibabel(tmp_path: Path, volume: Volume) -> None:
    write_mask(tmp_path / "a.nii.gz", volume.array, affine=volume.affine)
    image = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(np.asarray(image.dataobj), volume.array)
    np.testing.assert_allclose(image.affine, volume.affine, atol=1e-4)


def places(volume: Volume) -> frozenset[tuple[float, ...]]:
    """Where in the patient label 1 lies: the midpoints of its voxels in mm, whatever axes the file has."""
    found = np.argwhere(volume.array == 1)
    points = found @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return frozenset(map(tuple, points.round(3).tolist()))


def corners(volume: Volume) -> tuple[list[float], list[float]]:
    """The smallest and largest midpoint of the grid."""
    ends = np.array([[0, 0, 0], [side - 1 for side in volume.array.shape]])
    points = ends @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    return points.min(axis=0).round(3).tolist(), points.max(axis=0).round(3).tolist()


def steps(volume: Volume) -> list[float]:
    """Length of a voxel along each axis of the patient."""
    return np.abs(volume.affine[:3, :3]).sum(axis=1).tolist()


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Volume, Volume]:
    """Two masks: now and then on one grid (stored as it is, turned or flipped), else on any two."""
    label = draw(volumes())
    if draw(st.booleans()):
        return label, draw(volumes())
    order = draw(st.permutations(range(3)))
    array = draw(volumes(shape=label.array.shape)).array.transpose(order)
    affine = label.affine.copy()
    affine[:, :3] = affine[:, list(order)]
    if draw(st.booleans()):
        affine[:3, 3] += affine[:3, 0] * (array.shape[0] - 1)
        affine[:3, 0] *= -1
        # The same voxels counted from the other end: whatever they hold, the places are those of the array below.
    return label, Volume(np.ascontiguousarray(array), affine)


@given(pair=pairs(), suffixes=st.tuples(SUFFIXES, SUFFIXES))
@in_a_folder
def test_two_masks_score_as_places_say_or_are_refused(
    tmp_path: Path, pair: tuple[Volume, Volume], suffixes: tuple[str, str]
) -> None:
    label, prediction = pair
    files = [
        save(volume, tmp_path / f"{name}{suffix}") for name, volume, suffix in zip("lp", pair, suffixes, strict=True)
    ]
    same = corners(label) == corners(prediction) and np.allclose(steps(label), steps(prediction))
    try:
        found = segfair.score(files[1], files[0], metrics=["dsc", "iou"])
    except InputError as error:
        assert not same, error
        return
    assert same
    ours, theirs = places(label), places(prediction)
    shared, either = len(ours & theirs), len(ours | theirs)
    np.testing.assert_allclose(found["iou"], shared / either if either else 1.0)
    np.testing.assert_allclose(found["dsc"], 2 * shared / (len(ours) + len(theirs)) if either else 1.0)


@given(rows=records(), suffix=st.sampled_from((".csv", ".json", ".xlsx")))
@in_a_folder
def test_ids_and_texts_of_a_table_are_read_as_they_were_written(tmp_path: Path, rows: list, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        write_csv(rows, path)
    elif suffix == ".json":
        path.write_text(json.dumps(rows))
    else:
        book = openpyxl.Workbook()
        for cells in ([*rows[0]], *([row[name] for name in rows[0]] for row in rows)):
            book.active.append([f"'{cell}" if str(cell).startswith("=") else cell for cell in cells])
        book.save(path)
    table = load_table(path)
    assert len(table) == len(rows)
    assert table.columns == tuple(rows[0])
    assert table.raw["id"] == [row["id"] for row in rows]


@given(tree=trees())
@in_a_folder
def test_json_is_read_as_it_was_written(tmp_path: Path, tree: dict) -> None:
    write_json(tmp_path / "a.json", tree)
    assert read_json(tmp_path / "a.json") == tree


@given(tree=trees(nothing=False))
@in_a_folder
def test_toml_is_read_as_it_was_written(tmp_path: Path, tree: dict) -> None:
    (tmp_path / "a.toml").write_text(tomli_w.dumps(tree), "utf-8", newline="")
    assert read_toml(tmp_path / "a.toml") == tree


_ROWS = st.fixed_dictionaries(
    {"age": st.none() | st.integers(-3, 3).map(float), "site": st.none() | st.sampled_from("AB")}
)


@given(written=condition(), rows=st.lists(_ROWS, max_size=5))
def test_a_condition_means_what_python_says(written, rows: list) -> None:
    text, holds = written
    assert fulfilled(text, rows, columns=("age", "site")) == list(map(holds, rows))


_NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)


@given(column=_NAMES, texts=st.lists(_NAMES, min_size=1, max_size=3), level=_NAMES)
def test_a_join_is_read_as_it_is_written(column: str, texts: list[str], level: str) -> None:
    join = LevelJoin(column, tuple(texts), level)
    found = parse_join(str(join))
    assert (found.column, found.texts) == (column, tuple(texts))
    assert parse_join(str(found)) == found


@given(
    edges=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=5, unique=True).map(sorted),
    column=_NAMES.filter(lambda name: name.strip() == name),
)
def test_bins_are_read_as_they_are_written(edges: list[float], column: str) -> None:
    assert parse_bins(f"{column}={','.join(map(repr, edges))}") == (column, tuple(edges))


@given(score=st.sampled_from(("FS", "PS", "TS", "DSC")), sign=st.sampled_from((">=", ">")), limit=st.floats(0.01, 0.99))
def test_a_gate_is_read_as_it_is_written(score: str, sign: str, limit: float) -> None:
    gate = parse_gate(f"{score} {sign} {limit:.3f}")
    assert (gate.form, gate.name, gate.sign, gate.limit) == ("score", score, sign, float(f"{limit:.3f}"))
