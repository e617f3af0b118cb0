"""The Dice of patches by hand: classes, regions, ignored voxels, and patches without any foreground."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segfair.mitigation.nnunet.patches import patch_dice


def logits_of(classes: list[list[int]], n_classes: int) -> torch.Tensor:
    """(B, C, 1, X) scores whose highest is the given class of each voxel."""
    given = torch.tensor(classes)
    return torch.nn.functional.one_hot(given, n_classes).permute(0, 2, 1)[:, :, None].float()


def labels_of(values: list[list[int]]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int16)[:, None, None]


def test_each_patch_has_its_own() -> None:
    logits = logits_of([[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]], 2)
    target = labels_of([[1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    dice = patch_dice(logits, target)
    assert dice[:2] == pytest.approx([2 / 3, 0.0])
    assert np.isnan(dice[2]), "no foreground in the label"


def test_foreground_classes_count_alike_and_absent_ones_nowhere() -> None:
    logits = logits_of([[1, 1, 2, 0], [1, 0, 0, 0]], 4)
    target = labels_of([[1, 0, 2, 0], [1, 0, 0, 0]])
    assert patch_dice(logits, target) == pytest.approx([(2 / 3 + 1) / 2, 1.0])


def test_ignored_voxels_count_nowhere() -> None:
    logits = logits_of([[1, 1, 1, 0]], 2)
    assert patch_dice(logits, labels_of([[1, 5, 5, 1]]), ignore_label=5) == pytest.approx([2 / 3])


def test_regions_overlap_and_their_ignored_voxels_are_the_last_channel() -> None:
    logits = torch.tensor([[[3.0, 3.0, -1.0, 9.0]], [[2.0, -2.0, -2.0, 9.0]]]).permute(1, 0, 2)[:, :, None]
    target = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0]])[None, :, None]
    ignored = torch.tensor([0, 0, 0, 1])[None, None, None]
    assert patch_dice(logits, target, regions=True) == pytest.approx([(2 / 4 + 2 / 4) / 2])
    with_ignored = torch.cat([target, ignored], dim=1)
    assert patch_dice(logits, with_ignored, regions=True, ignore_label=3) == pytest.approx([2 / 3])
