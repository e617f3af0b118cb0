"""From a network of a fixed window to logits of whole images: windows, slices, flips, several networks. Reads no file.

Logits are averaged wherever several predictions of a voxel meet, as nnU-Net does.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

from segfair.mitigation.networks.backbones import Size

__all__ = ["Ensemble", "WindowInferer"]

Place = tuple[slice, ...]
"""Where an image lies in what it was padded to."""


@dataclass(frozen=True, slots=True)
class WindowInferer:
    """Predicts whole images with a network of a fixed window.

    An image that fits is padded with zeros around its centre and predicted at once, as training pads it. A larger one
    is predicted in windows that overlap, and their logits are averaged, the middle of a window counting most. A planar
    network predicts a volume slice by slice.

    Attributes:
        window: Voxels that the network sees at once; two numbers for planar networks.
        overlap: Share of a window that its neighbour sees too.
        flips: Axes along which the image is flipped as well; logits of all combinations are averaged.
    """

    window: Size
    overlap: float = 0.5
    flips: tuple[int, ...] = ()

    def __call__(self, inputs: Tensor, network: nn.Module) -> Tensor:
        """(B, C, X, Y, Z) -> logits of the same grid."""
        if not self.flips:
            return self._predicted(inputs, network)
        views = [chosen for n in range(len(self.flips) + 1) for chosen in itertools.combinations(self.flips, n)]
        total = torch.zeros(())
        for axes in views:
            places = [axis + 2 for axis in axes]
            total = total + self._predicted(inputs.flip(places), network).flip(places)
        return total / len(views)

    def padded(self, image: Tensor) -> tuple[Tensor, Place]:
        """Zeros around an image (..., X, Y, Z) that fits into the window, so that images of many shapes make one batch.

        Returns:
            The padded image and where the image lies in it; a larger one as it is.
        """
        spatial = tuple(image.shape[-3:])
        sides = spatial[: len(self.window)]
        if any(side > wanted for side, wanted in zip(sides, self.window, strict=True)):
            return image, tuple(slice(0, side) for side in spatial)
        before = [(wanted - side) // 2 for side, wanted in zip(sides, self.window, strict=True)]
        # torch pads from the last axis on.
        padding: list[int] = [0, 0] * (3 - len(self.window))
        for low, side, wanted in reversed(list(zip(before, sides, self.window, strict=True))):
            padding += [low, wanted - side - low]
        place = [slice(low, low + side) for low, side in zip(before, sides, strict=True)]
        place += [slice(0, side) for side in spatial[len(self.window) :]]
        return (nn.functional.pad(image, padding) if any(padding) else image), tuple(place)

    def _predicted(self, inputs: Tensor, network: nn.Module) -> Tensor:
        grown, place = self.padded(inputs)
        if len(self.window) == 3:
            return self._windows(grown, network)[(slice(None), slice(None), *place)]
        n_images, channels, *sides, n_slices = grown.shape
        slices = grown.movedim(-1, 1).reshape(n_images * n_slices, channels, *sides)
        logits = self._windows(slices, network)
        return logits.reshape(n_images, n_slices, *logits.shape[1:]).movedim(1, -1)[(slice(None), slice(None), *place)]

    def _windows(self, inputs: Tensor, network: nn.Module) -> Tensor:
        if tuple(inputs.shape[2:]) == tuple(self.window):
            return cast(Tensor, network(inputs))
        logits = sliding_window_inference(
            inputs, self.window, sw_batch_size=1, predictor=network, overlap=self.overlap, mode="gaussian"
        )
        return cast(Tensor, logits)


class Ensemble(nn.Module):
    """Several networks of one build as one, such as those of the folds: the mean of their logits."""

    def __init__(self, networks: Iterable[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, image: Tensor) -> Tensor:
        """(B, C, ...) -> (B, K, ...) logits."""
        logits: Sequence[Tensor] = [network(image) for network in self.networks]
        return torch.stack(tuple(logits)).mean(dim=0)
