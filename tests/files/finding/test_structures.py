"""One file a structure -> one mask, overlaps included; against the sizes of each, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segfair.cases import Case
from segfair.errors import InputError, PairingError
from segfair.files.finding.structures import read_structures, structures_in
from segfair.files.images.masks import write_mask
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_case
from segfair.scoring.pairs import with_sets


def put(folder: Path, affine: np.ndarray | None = None, **boxes: tuple[int, int]) -> Path:
    """Structures of 6 x 4 x 3 voxels, each a range along the first axis."""
    for name, (low, high) in boxes.items():
        array = np.zeros((6, 4, 3), np.uint8)
        array[low:high] = 255
        write_mask(folder / f"{name}.nii.gz", array, affine=np.eye(4) if affine is None else affine)
    return folder


def test_structures_that_overlap_stay_apart(tmp_path: Path) -> None:
    mask = read_structures(put(tmp_path, liver=(0, 4), lesion=(2, 3), vessel=(1, 3)), ("lesion", "liver", "vessel"))
    first_axis = mask.array[:, 0, 0].tolist()
    assert first_axis[0] == first_axis[3] == 2
    assert first_axis[4:] == [0, 0]
    assert mask.sets[first_axis[1]] == {2, 3}
    assert mask.sets[first_axis[2]] == {1, 2, 3}
    for value, n_slices in ((1, 1), (2, 4), (3, 2)):
        assert np.isin(mask.array, with_sets((value,), mask.sets)).sum() == n_slices * 12


def test_a_structure_that_a_case_lacks_is_empty(tmp_path: Path) -> None:
    mask = read_structures(put(tmp_path, liver=(0, 2)), ("kidney", "liver"))
    assert np.unique(mask.array).tolist() == [0, 2]
    with pytest.raises(InputError, match="holds none of the structures spleen"):
        read_structures(tmp_path, ("spleen",))


def test_files_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    put(tmp_path, liver=(0, 2))
    put(tmp_path, np.diag([2.0, 1, 1, 1]), spleen=(0, 2))
    with pytest.raises(InputError, match=r"spleen.nii.gz: another grid"):
        read_structures(tmp_path, ("liver", "spleen"))
    (tmp_path / "liver.nii").write_bytes(b"x")
    with pytest.raises(PairingError, match="the structure liver has two files"):
        structures_in(tmp_path)


def test_each_structure_is_scored_as_if_it_were_alone(tmp_path: Path) -> None:
    names = ("lesion", "liver")
    label = put(tmp_path / "label", liver=(0, 4), lesion=(2, 4))
    prediction = put(tmp_path / "prediction", liver=(0, 3), lesion=(1, 4))
    protocol = load_protocol("default").replace(
        metrics=("dsc", "hd95_mm"), regions={name: (value,) for value, name in enumerate(names, start=1)}
    )
    found = score_case(Case("P1", label, prediction, structures=names), protocol)
    assert found.values["dsc_liver"] == pytest.approx(2 * 3 / (4 + 3))
    assert found.values["dsc_lesion"] == pytest.approx(2 * 2 / (2 + 3))
    assert found.values["hd95_mm_lesion"] == 1.0
    assert found.values_found == ((1, 2), (1, 2))
    gone = score_case(Case("P1", label, None, structures=names), protocol)
    assert (gone.values["dsc_liver"], gone.penalised) == (0.0, "no prediction")


def test_flipped_axes_are_one_grid(tmp_path: Path) -> None:
    label, prediction = put(tmp_path / "a", liver=(0, 2), spleen=(1, 3)), tmp_path / "b"
    flipped = np.diag([-1.0, 1, 1, 1])
    flipped[0, 3] = 5
    put(prediction, flipped, liver=(4, 6), spleen=(3, 5))
    protocol = load_protocol("default").replace(metrics=("dsc",), regions={"liver": (1,), "spleen": (2,)})
    found = score_case(Case("P1", label, prediction, structures=("liver", "spleen")), protocol)
    assert (found.values["dsc_liver"], found.values["dsc_spleen"]) == (1.0, 1.0)
