"""How often and from which seed anything is resampled: one value that travels. Draws nothing itself."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

__all__ = ["Resampling"]


@dataclass(frozen=True, slots=True)
class Resampling:
    """Seed and sizes of all that is random in an analysis.

    Attributes:
        seed: Of everything.
        draws: Resamples behind an interval.
        permutations: Rearrangements behind a p value.
        min_cases: Fewest members, and others, of a subgroup that is judged.
    """

    seed: int
    draws: int
    permutations: int
    min_cases: int

    def stream(self, purpose: str) -> np.random.Generator:
        """A stream of its own for each purpose: adding one analysis never changes the numbers of another."""
        return np.random.default_rng([self.seed, zlib.crc32(purpose.encode())])
