"""Learning rates against torch's schedulers, and averaged weights against the formula."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from torch import nn  # noqa: E402

from segfair.mitigation.training.optimisers import (  # noqa: E402
    OPTIMISERS,
    AveragedWeights,
    make_optimiser,
    set_rate,
)


def parameters():
    return [nn.Parameter(torch.ones(3))]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_each_optimiser_is_torchs_and_lowers_a_parabola(name):
    weights = parameters()
    optimiser = make_optimiser(name, weights, lr=0.05, weight_decay=0.01)
    assert type(optimiser).__name__.lower() == name
    assert optimiser.param_groups[0]["weight_decay"] == 0.01
    for step in range(40):
        set_rate(optimiser, "cosine", lr=0.05, step=step, n_steps=40)
        optimiser.zero_grad()
        (weights[0] ** 2).sum().backward()
        optimiser.step()
    assert (weights[0] ** 2).sum().item() < 1.0


@pytest.mark.parametrize("name", ["adamw", "sgd"])
@pytest.mark.parametrize("n_steps", [10, 97, 1000])
def test_one_cycle_is_that_of_torch(name, n_steps):
    reference = make_optimiser(name, parameters(), lr=0.003, weight_decay=0.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(reference, 0.003, total_steps=n_steps)
    ours = make_optimiser(name, parameters(), lr=0.003, weight_decay=0.0)
    momentum = "betas" if name == "adamw" else "momentum"
    for step in range(n_steps):
        assert set_rate(ours, "one-cycle", lr=0.003, step=step, n_steps=n_steps) == pytest.approx(
            reference.param_groups[0]["lr"], rel=1e-9
        )
        assert ours.param_groups[0][momentum] == pytest.approx(reference.param_groups[0][momentum])
        reference.step()
        if step + 1 < n_steps:
            scheduler.step()


def test_poly_is_that_of_torch_and_cosine_that_of_torch():
    for schedule, make in (
        ("poly", lambda optimiser: torch.optim.lr_scheduler.PolynomialLR(optimiser, 50, power=0.9)),
        ("cosine", lambda optimiser: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 50)),
    ):
        reference = make_optimiser("sgd", parameters(), lr=0.01, weight_decay=0.0)
        scheduler = make(reference)
        ours = make_optimiser("sgd", parameters(), lr=0.01, weight_decay=0.0)
        for step in range(50):
            expected = reference.param_groups[0]["lr"]
            assert set_rate(ours, schedule, lr=0.01, step=step, n_steps=50) == pytest.approx(expected, abs=1e-12)
            reference.step()
            scheduler.step()


def test_one_cycle_of_very_few_steps_stays_finite():
    for n_steps in (1, 2, 3, 4):
        optimiser = make_optimiser("adamw", parameters(), lr=1.0, weight_decay=0.0)
        rates = [set_rate(optimiser, "one-cycle", lr=1.0, step=step, n_steps=n_steps) for step in range(n_steps)]
        assert all(0 <= rate <= 1 for rate in rates)


def test_averaged_weights_are_the_moving_average_of_the_steps():
    network = nn.Linear(2, 1, bias=False)
    average = AveragedWeights(network, horizon=20)
    rng = np.random.default_rng(0)
    expected = network.weight.detach().numpy().astype(float)
    for step in range(1, 200):
        new = rng.normal(size=(1, 2))
        with torch.no_grad():
            network.weight.copy_(torch.from_numpy(new))
        average.update(network)
        keep = min(0.95, step / (step + 9))
        expected = keep * expected + (1 - keep) * new
    np.testing.assert_allclose(average.network.weight.numpy(), expected, atol=1e-5)
    assert not average.network.weight.requires_grad


def test_an_average_goes_on_from_its_state_and_forgets_when_told():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = AveragedWeights(network, horizon=5)
    average.update(network)
    other = AveragedWeights(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), horizon=5)
    other.load_state_dict(average.state_dict())
    with torch.no_grad():
        network[0].weight += 1
        network[1].running_mean += 3
    for entry in (average, other):
        entry.update(network)
    assert torch.equal(average.network[0].weight, other.network[0].weight)
    assert torch.equal(average.network[1].running_mean, network[1].running_mean)
    average.restart(network)
    assert torch.equal(average.network[0].weight, network[0].weight)
    assert average.n_updates == 0
