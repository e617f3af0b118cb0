"""Scores a network on whole volumes with the audit's own scorer, and names the worst subgroup. Never trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segfair.attributes.fit import AttributeTable
from segfair.errors import ConfigError
from segfair.fairness import ChallengeScores, JudgingRule, challenge_scores
from segfair.files.images.masks import Mask, align, read_mask
from segfair.mitigation.data.outputs import Reference, foreground, label_map, region_probabilities
from segfair.mitigation.data.regions import IGNORED, Regions
from segfair.mitigation.networks.devices import half_precision
from segfair.mitigation.training.batches import CaseDataset, load, plain_tensor, same_shapes
from segfair.mitigation.training.ranks import Ranks
from segfair.protocol.rules import Protocol as ScoringProtocol
from segfair.scoring.pairs import score_pair, worst_score
from segfair.scoring.scores import CaseScore
from segfair.subgroups.lattice import Membership, Subgroup

__all__ = [
    "Inferer",
    "ScoredCases",
    "Worst",
    "evaluate",
    "memory_advice",
    "total_scores",
    "worst_subgroup",
]


class Inferer(Protocol):
    """MONAI's convention for predicting a whole volume."""

    def __call__(self, inputs: Tensor, network: nn.Module, /) -> Tensor:
        """(B, C, X, Y, Z) -> logits of the same grid."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoredCases:
    """(n_cases,) scores of cases in order."""

    case_ids: tuple[str, ...]
    dsc: NDArray[np.float64]
    normhd: NDArray[np.float64]

    @property
    def ps(self) -> NDArray[np.float64]:
        """Performance score of each case, 0.5 (DSC + 1 - NormHD)."""
        return 0.5 * (self.dsc + 1 - self.normhd)


def evaluate(
    network: nn.Module,
    dataset: CaseDataset,
    *,
    inferer: Inferer,
    protocol: ScoringProtocol,
    batch_size: int = 1,
    device: str = "cpu",
    amp: bool = False,
    workers: int = 0,
    ranks: Ranks | None = None,
) -> ScoredCases:
    """Scores every case of a dataset; several processes share the cases.

    Args:
        network: Put into evaluation mode, and left there.
        dataset: Whole volumes; volumes of one shape are predicted together, up to `batch_size`. A case with a reference
            is scored as the audit of a written prediction would, on the grid of its label's file; one without is scored
            on the network's grid.
        inferer: Predicts whole volumes.
        protocol: The scoring rules; they must define DSC and NormHD.
        batch_size: Volumes predicted together.
        device: Where the network is.
        amp: Half precision.
        workers: Loader processes.
        ranks: This process among several.

    Returns:
        The scores in the dataset's order, the same in every process.
    """
    ranks = ranks or Ranks()
    rules = protocol.replace(metrics=("dsc", "normhd"))
    # Volumes that were made in memory have neither.
    regions: Regions = getattr(dataset, "regions", Regions.of_protocol(protocol))
    references: Mapping[str, Reference] = getattr(dataset, "references", {})
    network.eval()
    own = [(position, 0) for position in range(len(dataset))[ranks.rank :: ranks.world]]
    chunks = [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
    scores: dict[str, tuple[float, float]] = {}
    for items in load(dataset, chunks, workers=workers, pin_memory=device != "cpu"):
        images = [plain_tensor(item["image"]).float() for item in items]
        for item, logits in zip(items, _predicted(images, network, inferer, device=device, amp=amp), strict=True):
            case_id = str(item["id"])
            if case_id in references:
                score = _score_on_file(logits, references[case_id], regions, rules)
            else:
                label = plain_tensor(item["label"]).numpy()
                score = _score_in_memory(logits, label, regions, rules, dataset.spacing_mm)
            # Both are defined for every pair of masks, empty ones included.
            values = cast(Mapping[str, float], score.values)
            scores[case_id] = (values["dsc"], values["normhd"])
    merged = {case_id: pair for part in ranks.gather(scores) for case_id, pair in part.items()}
    pairs = np.array([merged[case_id] for case_id in dataset.case_ids], dtype=np.float64).reshape(-1, 2)
    return ScoredCases(tuple(dataset.case_ids), pairs[:, 0], pairs[:, 1])


def _predicted(
    images: Sequence[Tensor], network: nn.Module, inferer: Inferer, *, device: str, amp: bool
) -> list[Tensor]:
    """Logits of images (C, X, Y, Z) of any shapes, as many at once as have one shape or can be padded to it."""
    padded = getattr(inferer, "padded", _as_it_is)
    grown, places = zip(*map(padded, images), strict=True)
    logits: list[Tensor] = [torch.empty(0)] * len(images)
    for positions in same_shapes(grown):
        batch = torch.stack([grown[position] for position in positions])
        with (
            torch.inference_mode(),
            memory_advice(batch),
            torch.autocast(device.split(":")[0], half_precision(device), enabled=amp),
        ):
            found = inferer(batch.to(device), network)
        for position, one in zip(positions, found, strict=True):
            logits[position] = one[(slice(None), *places[position])]
    return logits


def _as_it_is(image: Tensor) -> tuple[Tensor, tuple[slice, ...]]:
    return image, (slice(None),) * (image.ndim - 1)


def _score_in_memory(
    logits: Tensor,
    target: NDArray[np.uint8],
    regions: Regions,
    rules: ScoringProtocol,
    spacing_mm: tuple[float, float, float],
) -> CaseScore:
    """(C, X, Y, Z) logits against (R, X, Y, Z) targets on the same grid, as label maps of the same values."""
    prediction = regions.decode(foreground(logits[None], len(regions))[0].cpu().numpy())
    prediction[target[0] == IGNORED] = 0
    return score_pair(regions.decode(target == 1), prediction, spacing_mm=spacing_mm, protocol=rules)


def _score_on_file(logits: Tensor, reference: Reference, regions: Regions, rules: ScoringProtocol) -> CaseScore:
    """(C, X, Y, Z) logits against the label as it is stored."""
    probabilities = region_probabilities(logits.float(), len(regions)).cpu().numpy()
    label = read_mask(reference.label, white_is_one=reference.white_is_one)
    spacing_mm = label.spacing_mm if label.has_size else None
    written = Mask(label_map(probabilities, reference, regions), reference.source.affine)
    aligned = align(written, label, tolerance=rules.grid.tolerance)
    if aligned is None:
        return worst_score(
            label.array, spacing_mm=spacing_mm, protocol=rules, reason="another grid", axes_mm=label.axes_mm
        )
    return score_pair(label.array, aligned.array, spacing_mm=spacing_mm, protocol=rules, axes_mm=label.axes_mm)


def total_scores(
    scores: ScoredCases, attributes: AttributeTable, protocol: ScoringProtocol, *, min_cases: int
) -> ChallengeScores:
    """PS, FS and TS of the cases under the protocol's rules."""
    rule = JudgingRule.of(protocol.fairness.levels, min_cases=min_cases)
    return challenge_scores(scores.dsc, scores.normhd, attributes, rule=rule, weight=protocol.fairness.weight)


@dataclass(frozen=True, slots=True)
class Worst:
    """The subgroup of the lowest mean Dice among those large enough."""

    subgroup: Subgroup
    n: int
    dsc: float

    @property
    def name(self) -> str:
        """The subgroup's name."""
        return self.subgroup.name


def worst_subgroup(membership: Membership, dsc: NDArray[np.float64], *, min_cases: int) -> Worst | None:
    """The subgroup of at least `min_cases` cases with the lowest mean Dice; None where none is large enough."""
    sizes = membership.sizes
    means = np.divide(membership.matrix @ dsc, sizes, out=np.full(len(sizes), np.inf), where=sizes >= max(1, min_cases))
    if not np.isfinite(means).any():
        return None
    row = int(np.argmin(means))
    return Worst(membership.subgroups[row], int(sizes[row]), float(means[row]))


@contextmanager
def memory_advice(images: Tensor) -> Iterator[None]:
    """Turns running out of memory into a message that says at which size, and what to try."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        text = str(error).lower()
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "alloc" not in text:
            raise
        size = " x ".join(map(str, images.shape[2:]))
        raise ConfigError(
            f"out of memory with {images.shape[0]} volumes of {images.shape[1]} x {size} at a time; try a smaller "
            "--batch-size, --patch with a smaller size, --amp on a GPU, or a narrower network"
        ) from error
