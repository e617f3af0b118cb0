"""What is a mask, and whose it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segfair.api.arrays import as_mask, gather
from segfair.errors import InputError, PairingError, SegfairError
from segfair.files.images.masks import read_mask


class Tensor:
    """What a tensor looks like from outside."""

    def __init__(self, values: Any, meta: dict[str, Any] | None = None) -> None:
        self.values, self.meta = np.asarray(values), meta or {}

    def detach(self) -> Tensor:
        return self

    cpu = detach

    def numpy(self) -> Any:
        return self.values


LABEL = np.array([[0, 1, 2], [2, 1, 0]])


def test_a_first_axis_of_length_one_is_a_channel_of_tensors_alone() -> None:
    assert as_mask(Tensor(LABEL[None]), name="m").array.tolist() == LABEL.tolist()
    assert as_mask(LABEL[None], name="m").array.shape == (1, 2, 3)
    assert as_mask(LABEL[None, None], name="m").array.shape == (1, 2, 3)
    assert as_mask(Tensor(LABEL), name="m").array.shape == (2, 3)


def test_items_have_their_channels_first_and_several_are_one_hot() -> None:
    one_hot = np.stack([value == LABEL for value in range(3)])
    items = [{"pred": one_hot, "label": LABEL[None], "id": 7}]
    found = gather(items, None, None, ids=None, id_column=None)
    assert list(found.labels) == ["7"]
    for mask in (found.predictions["7"], found.labels["7"]):
        assert as_mask(mask, name="m").array.tolist() == LABEL.tolist()
    overlapping = gather(
        [{"pred": np.ones((2, 3, 3)), "label": LABEL[None], "id": 7}], None, None, ids=None, id_column=None
    )
    with pytest.raises(InputError, match=r"m: its 2 channels are not one-hot"):
        as_mask(overlapping.predictions["7"], name="m")


def test_the_affine_of_a_tensor_counts_where_a_file_or_a_measure_stands_behind_it() -> None:
    measured = np.diag([0.5, 0.5, 2.0, 1.0])
    from_file = {"filename_or_obj": "P1.nii.gz"}
    assert as_mask(Tensor(LABEL, {"affine": np.eye(4)}), name="m").affine is None
    assert as_mask(Tensor(LABEL, {"affine": np.eye(4), **from_file}), name="m").affine is not None
    assert as_mask(Tensor(LABEL, {"affine": measured}), name="m").affine == pytest.approx(measured)
    sized = as_mask(Tensor(LABEL, {"affine": measured}), name="m", spacing=(3, 4))
    assert (sized.affine, sized.spacing) == (None, (3.0, 4.0))


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    as_mask(LABEL, name="m", spacing=(0.5, 2.0)).write(tmp_path / "m.npz")
    read = read_mask(tmp_path / "m.npz")
    assert read.array.tolist() == LABEL.tolist()
    assert read.spacing_mm == (0.5, 2.0)
    as_mask(LABEL, name="m").write(tmp_path / "n.npz")
    assert not read_mask(tmp_path / "n.npz").has_size
    again = as_mask(tmp_path / "m.npz", name="m")
    assert again.array.tolist() == LABEL.tolist()
    assert again.affine is not None


def test_items_are_named_by_their_keys_or_files() -> None:
    label = Tensor(LABEL[None], {"filename_or_obj": "/data/P7_0000/P7.nii.gz"})
    found = gather([{"pred": label, "label": label}], None, None, ids=None, id_column=None)
    assert list(found.labels) == ["P7"]
    old = {"pred": LABEL, "label": LABEL, "label_meta_dict": {"filename_or_obj": "P8.nii.gz"}}
    assert list(gather([old], None, None, ids=None, id_column=None).labels) == ["P8"]
    with pytest.raises(InputError, match=r"no prediction \(pred or prediction\); its keys are label, id"):
        gather([{"label": label, "id": 1}], None, None, ids=None, id_column=None)


@pytest.mark.parametrize(
    ("predictions", "labels", "kind"),
    [
        ([LABEL], [LABEL, LABEL], PairingError),
        ({"a": LABEL}, [LABEL], InputError),
        (3, [LABEL], InputError),
        ({}, {}, InputError),
        ({"../a": LABEL}, {"../a": LABEL}, SegfairError),
    ],
)
def test_what_belongs_to_nothing_is_refused(predictions: Any, labels: Any, kind: type[SegfairError]) -> None:
    with pytest.raises(kind):
        gather(predictions, labels, None, ids=None, id_column=None)


@pytest.mark.parametrize("value", [np.array(["a", "b"]), np.zeros(3), 7])
def test_what_is_no_mask_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="is no mask"):
        as_mask(value, name="m")
