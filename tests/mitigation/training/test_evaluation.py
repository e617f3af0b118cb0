"""Scoring whole volumes: the audit's scorer, the worst subgroup, and running out of memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.mitigation.toy_training import (
    PROTOCOL,
    SIX,
    SIX_DICE,
    SIX_TABLE,
    Volumes,
    train,
    whole,
)
from tests.subgroups.whole_lattice import mine_subgroups
from torch import nn

from segfair.cases import Case
from segfair.errors import ConfigError
from segfair.files.images.masks import write_image, write_mask
from segfair.mitigation.data.boxes import BreastBox
from segfair.mitigation.data.outputs import put_back, region_probabilities
from segfair.mitigation.data.preparation import prepare
from segfair.mitigation.data.preprocessing import Preprocessing, load_volume
from segfair.mitigation.data.regions import Regions
from segfair.mitigation.data.sources import TrainingCase
from segfair.mitigation.training.evaluation import evaluate, total_scores, worst_subgroup
from segfair.scoring.cohort import score_case
from segfair.scoring.pairs import score_pair


class Hungry(nn.Module):
    """Fails as an allocator does."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.error = error

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_out_of_memory_says_the_size_and_what_to_try(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(ConfigError, match=r"3 volumes of 1 x 8 x 8 x 8 at a time; try a smaller --batch-size"):
        train(tmp_path, "erm", network=Hungry(error))


def test_other_errors_are_left_alone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="something else"):
        train(tmp_path, "erm", network=Hungry(RuntimeError("something else")))


class Answer(nn.Module):
    """Marks what is brighter than a half."""

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return image - 0.5


def test_evaluation_scores_cases_in_order_with_the_audit_s_scorer() -> None:
    dataset = Volumes(("x00", "x01", "x02"), faint=("x01",))
    scored = evaluate(Answer(), dataset, inferer=whole, protocol=PROTOCOL, batch_size=2)
    assert scored.case_ids == ("x00", "x01", "x02")
    assert scored.dsc.tolist() == [1.0, 0.0, 1.0]
    assert scored.normhd.tolist() == [0.0, 1.0, 0.0]
    assert scored.ps.tolist() == [1.0, 0.0, 1.0]


def test_evaluation_takes_volumes_of_several_shapes() -> None:
    class Ragged(Volumes):
        def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
            item = super().__getitem__(draw)
            crop = slice(0, 8 - 2 * (draw[0] % 2))
            return {**item, "image": item["image"][:, :, :, crop], "label": item["label"][:, :, :, crop]}

    scored = evaluate(Answer(), Ragged(SIX), inferer=whole, protocol=PROTOCOL, batch_size=4)
    assert scored.dsc.tolist() == [1.0] * 6


class Given(nn.Module):
    """Answers with logits that were made beforehand, whatever it sees."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.logits


BRATS = {"whole": (1, 2, 3), "core": (2, 3), "enhancing": (3,)}


def random_labels(shape: tuple[int, ...], seed: int) -> NDArray[np.uint8]:
    """Nested boxes of 1, 2 and 3, and a slab of 9."""
    rng = np.random.default_rng(seed)
    label = np.zeros(shape, np.uint8)
    for depth, value in enumerate((1, 2, 3)):
        low = rng.integers(1, 3, 3) + depth
        label[tuple(slice(a, n - a) for a, n in zip(low, shape, strict=True))] = value
    label[-1] = 9
    return label


def test_regions_in_memory_have_the_score_of_their_label_maps() -> None:
    rules = PROTOCOL.replace(regions=BRATS, ignore_label=9)
    regions = Regions.of_protocol(rules)
    label, guess = random_labels((10, 9, 8), 0), random_labels((10, 9, 8), 1)
    guess[-1] = 3  # where nothing counts

    class One(Volumes):
        def __getitem__(self, draw: tuple[int, int]) -> dict[str, Any]:
            targets = torch.from_numpy(regions.encode(label))
            return {"image": torch.zeros(1, 10, 9, 8), "label": targets, "id": "x"}

    logits = torch.from_numpy(np.where(regions.encode(guess) == 1, 2.0, -2.0))[None]
    scored = evaluate(Given(logits), One(("x",)), inferer=whole, protocol=rules)
    expected = score_pair(label, guess, spacing_mm=(1.0, 1.0, 1.0), protocol=rules)
    assert scored.dsc.tolist() == [expected.values["dsc"]]
    assert scored.normhd.tolist() == [expected.values["normhd"]]
    assert 0.3 < scored.dsc[0] < 1


@pytest.mark.parametrize("box", [None, BreastBox(((0, 12), (3, 14), (0, 8)))])
def test_a_case_on_disk_is_validated_as_its_written_prediction_is_audited(
    tmp_path: Path, box: BreastBox | None
) -> None:
    """Another orientation and spacing, an image with a frame of zeros, regions, an ignored value, perhaps a box."""
    affine = np.diag([-1.3, -0.8, 2.1, 1.0])
    label, image = random_labels((12, 14, 8), 0), np.random.default_rng(5).uniform(1, 2, (12, 14, 8))
    image[:2] = 0
    write_mask(tmp_path / "l.nii.gz", label, affine=affine)
    write_image(tmp_path / "i.nii.gz", image, affine=affine)
    rules = PROTOCOL.replace(regions=BRATS, ignore_label=9)
    settings = Preprocessing(1, (1.0, 1.0, 1.0), regions=Regions.of_protocol(rules))
    case = TrainingCase("x", (tmp_path / "i.nii.gz",), tmp_path / "l.nii.gz", box=box)
    prepared = prepare([case], settings, cache=None)
    logits = 3 * torch.randn(1, 3, *prepared.cases["x"].shape, generator=torch.Generator().manual_seed(3))
    scored = evaluate(Given(logits), prepared.whole(["x"]), inferer=whole, protocol=rules)

    volume = load_volume(case.images, settings)
    masks = put_back(region_probabilities(logits[0], 3).numpy(), volume.grid, volume.source, box)
    write_mask(tmp_path / "p.nii.gz", settings.regions.decode(masks), affine=volume.source.affine)
    audited = score_case(Case("x", case.label, tmp_path / "p.nii.gz"), rules)
    assert scored.dsc.tolist() == [audited.values["dsc"]]
    assert scored.normhd.tolist() == [audited.values["normhd"]]
    assert 0 < scored.dsc[0] < 1


def test_worst_subgroup_counts_only_large_enough_ones() -> None:
    membership = mine_subgroups(SIX_TABLE, min_support=0.1)
    worst = worst_subgroup(membership, SIX_DICE, min_cases=2)
    assert worst is not None
    assert (worst.name, worst.n, worst.dsc) == ("sex = m, site = 2", 2, pytest.approx(0.35))
    worst = worst_subgroup(membership, SIX_DICE, min_cases=3)
    assert worst is not None
    assert (worst.name, worst.n) == ("site = 2", 3)
    assert worst_subgroup(membership, SIX_DICE, min_cases=4) is None


def test_total_scores_follow_the_protocol() -> None:
    dataset = Volumes(SIX, faint=("E", "F"))
    scored = evaluate(Answer(), dataset, inferer=whole, protocol=PROTOCOL)
    total = total_scores(scored, SIX_TABLE, PROTOCOL, min_cases=1)
    # DSC and 1 - NormHD are 1 for four cases and 0 for two: PS 2/3. f 1, m 1/3; site 1: 1, site 2: 1/3. FS 1/3.
    assert total.ps == pytest.approx(2 / 3)
    assert total.fs == pytest.approx(1 / 3)
    assert total.ts == pytest.approx(0.5)
    assert total_scores(scored, SIX_TABLE, PROTOCOL, min_cases=4).fs is None
