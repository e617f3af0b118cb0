"""Inferers: slices of planar networks, flips, several networks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from torch import nn  # noqa: E402

from segfair.mitigation.prediction.inferers import Ensemble, WindowInferer  # noqa: E402


class Ramp(nn.Module):
    """Logits that depend on the place in the window: the first column counts 1, the others 0."""

    def forward(self, image):
        logits = torch.zeros_like(image)
        logits[:, :, 0] = 1
        return logits


class Doubled(nn.Module):
    def __init__(self, factor=2.0):
        super().__init__()
        self.factor = factor

    def forward(self, image):
        assert image.ndim == 4
        return self.factor * image


def test_a_planar_network_predicts_a_volume_slice_by_slice():
    volume = torch.rand(2, 3, 5, 6, 4)
    assert torch.allclose(WindowInferer((8, 8))(volume, Doubled()), 2 * volume)
    # In windows, too.
    assert torch.allclose(WindowInferer((4, 4))(volume, Doubled()), 2 * volume, atol=1e-5)


def test_flips_average_all_combinations():
    image = torch.zeros(1, 1, 4, 4, 4)
    one = WindowInferer((4, 4, 4), flips=(0,))(image, Ramp())
    expected = torch.zeros_like(image)
    expected[:, :, 0] = expected[:, :, -1] = 0.5
    assert torch.equal(one, expected)
    # Flips along other axes leave the first column where it is.
    both = WindowInferer((4, 4, 4), flips=(0, 1))(image, Ramp())
    assert torch.equal(both, expected)
    assert torch.equal(WindowInferer((4, 4, 4), flips=(1, 2))(image, Ramp()), Ramp()(image))


def test_a_network_that_does_not_mind_flips_predicts_the_same():
    image = torch.rand(1, 1, 6, 5, 1)
    assert torch.allclose(WindowInferer((8, 8), flips=(0, 1))(image, Doubled()), 2 * image)


def test_an_ensemble_is_the_mean_of_its_logits():
    image = torch.rand(2, 1, 3, 3)
    together = Ensemble([Doubled(1.0), Doubled(2.0), Doubled(6.0)])
    assert torch.allclose(together(image), 3 * image)
