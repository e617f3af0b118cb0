"""Scores a network on whole volumes with the audit's own scorer, and names the worst subgroup. Never trains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from segfair.mitigation.training.batches import CaseDataset, load, same_shapes
from segfair.mitigation.training.ranks import Ranks
from segfair.protocol.rules import Protocol as ScoringProtocol
from segfair.scoring.cohort import score_pair
from segfair.subgroups.lattice import Membership, Subgroup

__all__ = [
    "Inferer",
    "ScoredCases",
    "Worst",
    "evaluate",
    "foreground",
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
        dataset: Whole volumes; volumes of one shape are predicted together, up to `batch_size`.
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
    network.eval()
    own = [(position, 0) for position in range(len(dataset))[ranks.rank :: ranks.world]]
    chunks = [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
    scores: dict[str, tuple[float, float]] = {}
    for items in load(dataset, chunks, workers=workers, pin_memory=device != "cpu"):
        for images, labels, case_ids in same_shapes(items):
            with (
                torch.inference_mode(),
                memory_advice(images),
                torch.autocast(device.split(":")[0], torch.float16, enabled=amp),
            ):
                predictions = foreground(inferer(images.to(device), network)).cpu().numpy()
            for case_id, label, prediction in zip(case_ids, labels.numpy(), predictions, strict=True):
                score = score_pair(
                    (label[0] != 0).astype(np.uint8), prediction, spacing_mm=dataset.spacing_mm, protocol=rules
                )
                # Both are defined for every pair of masks, empty ones included.
                values = cast(Mapping[str, float], score.values)
                scores[case_id] = (values["dsc"], values["normhd"])
    merged = {case_id: pair for part in ranks.gather(scores) for case_id, pair in part.items()}
    pairs = np.array([merged[case_id] for case_id in dataset.case_ids], dtype=np.float64).reshape(-1, 2)
    return ScoredCases(tuple(dataset.case_ids), pairs[:, 0], pairs[:, 1])


def foreground(logits: Tensor) -> Tensor:
    """(B, C, X, Y, Z) logits -> (B, X, Y, Z) uint8 masks.

    One channel: where the logit is above 0. Several: where another channel than 0, the background, has the largest.
    """
    # Not argmax: over the channels of a volume it takes longer than the network itself.
    found = logits[:, 0] > 0 if logits.shape[1] == 1 else logits[:, 1:].amax(1) > logits[:, 0]
    return found.to(torch.uint8)


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
