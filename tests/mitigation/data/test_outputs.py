"""What logits mean, and where their regions lie in a file."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from segfair.mitigation.data.boxes import BreastBox  # noqa: E402
from segfair.mitigation.data.outputs import foreground, put_back, region_probabilities  # noqa: E402
from segfair.mitigation.data.preprocessing import Grid  # noqa: E402


def test_masks_of_one_lesion_from_one_and_from_several_channels():
    one = torch.tensor([-1.0, 0.0, 2.0]).reshape(1, 1, 3, 1, 1)
    assert foreground(one).shape == (1, 1, 3, 1, 1)
    assert foreground(one).flatten().tolist() == [0, 0, 1]
    three = torch.tensor([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [0.0, 0.0, 0.5]]).T.reshape(1, 3, 3, 1, 1)
    assert foreground(three).flatten().tolist() == (three.argmax(1) > 0).int().flatten().tolist()


@pytest.mark.parametrize(("channels", "n_regions"), [(1, 1), (2, 1), (3, 1), (2, 2), (3, 3)])
def test_probabilities_lie_above_a_half_where_masks_are(channels, n_regions):
    logits = torch.randn(4, channels, 5, 4, 3, generator=torch.Generator().manual_seed(0))
    masks = foreground(logits, n_regions)
    assert masks.shape == (4, n_regions, 5, 4, 3)
    for case, mask in zip(logits, masks, strict=True):
        assert torch.equal(region_probabilities(case, n_regions) > 0.5, mask.bool())


def test_two_regions_are_no_softmax():
    both = torch.full((1, 2, 1, 1, 1), 3.0)
    assert foreground(both, 2).flatten().tolist() == [1, 1]
    assert foreground(both, 1).flatten().tolist() == [0], "as classes, background and lesion are equally likely"


def test_regions_are_put_back_one_by_one_and_cut_to_the_box():
    source = Grid((4, 4, 4), np.diag([1.0, 1.0, 1.0, 1.0]))
    cropped = Grid((2, 2, 2), np.array([[1, 0, 0, 1], [0, 1, 0, 1], [0, 0, 1, 1], [0, 0, 0, 1]], dtype=float))
    probabilities = np.zeros((2, 2, 2, 2), np.float32)
    probabilities[0], probabilities[1, 0] = 0.9, 0.9
    masks = put_back(probabilities, cropped, source)
    assert masks.shape == (2, 4, 4, 4)
    assert [int(mask.sum()) for mask in masks] == [8, 4]
    assert masks[1, 1, 1:3, 1:3].all()
    boxed = put_back(probabilities, cropped, source, BreastBox(((0, 2), (0, 4), (0, 4))))
    assert [int(mask.sum()) for mask in boxed] == [4, 4]
