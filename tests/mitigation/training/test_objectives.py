"""Per-case losses against MONAI, the paper's loss by hand, and what each objective does to the gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from monai.losses.dice import DiceCELoss, DiceFocalLoss
from tests.mitigation.toy_training import SIX, SIX_DICE, SIX_TABLE, flat_state, tiny_network
from torch import Tensor, nn

from segfair.mitigation.data.regions import IGNORED
from segfair.mitigation.training.objectives import (
    AdversarialObjective,
    FairMedSegObjective,
    FebsObjective,
    MeanObjective,
    RecordedLoss,
    WeightedObjective,
    case_dice,
    case_loss,
    dice_ce,
    dice_focal,
    find_bottleneck,
)
from segfair.mitigation.weighting.reweighter import LITERAL, DivergenceReweighter

MONAI: dict[tuple[str, int], Callable[[], nn.Module]] = {
    ("dice-ce", 1): lambda: DiceCELoss(sigmoid=True),
    ("dice-ce", 3): lambda: DiceCELoss(softmax=True, to_onehot_y=True),
    ("dice-focal", 1): lambda: DiceFocalLoss(sigmoid=True),
    ("dice-focal", 3): lambda: DiceFocalLoss(softmax=True, to_onehot_y=True),
}


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["dice-ce", "dice-focal"])
def test_each_case_has_monai_s_loss(name: str, channels: int, empty: bool) -> None:
    rng = torch.Generator().manual_seed(1)
    logits = 4 * torch.randn(3, channels, 6, 5, 4, generator=rng)
    label = torch.randint(0, max(2, channels), (3, 1, 6, 5, 4), generator=rng).float() * (not empty)
    losses = case_loss(name)(logits, label)  # type: ignore[arg-type]
    assert losses.shape == (3,)
    single = MONAI[name, channels]()
    for i in range(3):
        assert losses[i].item() == pytest.approx(single(logits[i : i + 1], label[i : i + 1]).item(), abs=1e-6)


@pytest.mark.parametrize("name", ["dice-ce", "dice-focal"])
def test_regions_have_the_mean_loss_of_each_alone(name: str) -> None:
    """Dice and cross-entropy of every region are those of a single one, averaged over the channels."""
    rng = torch.Generator().manual_seed(2)
    logits = 4 * torch.randn(2, 3, 6, 5, 4, generator=rng)
    label = torch.randint(0, 2, (2, 3, 6, 5, 4), generator=rng)
    loss = case_loss(name)  # type: ignore[arg-type]
    alone = torch.stack([loss(logits[:, k : k + 1], label[:, k : k + 1]) for k in range(3)]).mean(0)
    torch.testing.assert_close(loss(logits, label), alone)


@pytest.mark.parametrize(("channels", "n_regions"), [(1, 1), (2, 1), (3, 3)])
@pytest.mark.parametrize("name", ["dice-ce", "dice-focal"])
def test_ignored_voxels_leave_the_loss_of_the_rest(name: str, channels: int, n_regions: int) -> None:
    rng = torch.Generator().manual_seed(3)
    logits = (4 * torch.randn(2, channels, 6, 5, 4, generator=rng)).requires_grad_()
    label = torch.randint(0, 2, (2, n_regions, 6, 5, 4), generator=rng).to(torch.uint8)
    label[:, :, 4:] = IGNORED
    loss = case_loss(name)  # type: ignore[arg-type]
    losses = loss(logits, label)
    torch.testing.assert_close(losses, loss(logits[:, :, :4], label[:, :, :4]))
    losses.sum().backward()
    assert logits.grad is not None
    assert not logits.grad[:, :, 4:].any(), "nothing is learned where nothing counts"
    assert logits.grad[:, :, :4].abs().sum() > 0


def test_a_case_of_which_nothing_counts_has_no_loss() -> None:
    logits = torch.randn(2, 2, 3, 3, 3, requires_grad=True)
    label = torch.zeros(2, 1, 3, 3, 3)
    label[0] = IGNORED
    losses = dice_ce(logits, label)
    assert losses[0].item() == 0
    losses.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", [dice_ce, dice_focal])
def test_losses_carry_gradient_and_do_not_mix_cases(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    logits = torch.randn(2, 1, 4, 4, 4, requires_grad=True)
    label = torch.zeros(2, 1, 4, 4, 4)
    label[:, :, 1:3] = 1
    loss(logits, label)[0].backward()
    assert logits.grad is not None
    assert logits.grad[0].abs().sum() > 0
    assert logits.grad[1].abs().sum() == 0


def test_half_precision_logits_are_summed_in_single_precision() -> None:
    logits = torch.full((1, 1, 48, 48, 48), 3.0)
    label = torch.ones_like(logits)
    # Half precision ends at 65504, below the number of voxels.
    assert dice_ce(logits.half(), label).item() == pytest.approx(dice_ce(logits, label).item(), abs=1e-6)


# Equations 3 and 4 by hand

BY_HAND_LOSSES = torch.tensor([0.2, 0.3, 0.5, 0.3, 1.2, 1.1], dtype=torch.float64)


def given_losses(logits: Tensor, label: Tensor) -> Tensor:
    """A per-case loss whose values are the logits themselves."""
    return logits


def test_fairmedseg_loss_of_six_cases_by_hand() -> None:
    weights = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=LITERAL).update_array(SIX_DICE)
    # L_seg = 3.6 / 6 = .6; w = (.2, .2, .18333, .18333, .3, .3);
    # L_Delta = .04 + .06 + .0916667 + .055 + .36 + .33 = .9366667 as a sum, .1561111 as a mean.
    expected = {"sum": 0.2 * 0.6 + 0.8 * 0.9366666667, "mean": 0.2 * 0.6 + 0.8 * 0.1561111111}
    for reduction, value in expected.items():
        objective = FairMedSegObjective(given_losses, weights, alpha=0.2, reduction=reduction)  # type: ignore[arg-type]
        loss = objective(BY_HAND_LOSSES, BY_HAND_LOSSES, SIX)
        assert loss.item() == pytest.approx(value, abs=1e-9)


def test_parts_of_two_processes_add_up_to_the_batch() -> None:
    weights = dict(zip(SIX, [0.1, 0.5, 2.0, 0.0, 1.0, 3.0], strict=True))
    for objective in (
        MeanObjective(given_losses),
        WeightedObjective(given_losses, weights),
        FairMedSegObjective(given_losses, weights),
        FairMedSegObjective(given_losses, weights, reduction="sum"),
    ):
        whole = objective(BY_HAND_LOSSES, BY_HAND_LOSSES, SIX)
        parts = [
            objective(BY_HAND_LOSSES[rows], BY_HAND_LOSSES[rows], SIX[rows], batch_size=6)
            for rows in (slice(0, 4), slice(4, 6))
        ]
        assert sum(parts).item() == pytest.approx(whole.item(), abs=1e-12)  # type: ignore[union-attr]


# Gradients


class DetachedDivergenceTerm(FairMedSegObjective):
    """What goes wrong where the divergence term is built from numbers: it has a value and no gradient."""

    def __call__(self, logits: Tensor, label: Tensor, case_ids: object, *, batch_size: int | None = None) -> Tensor:
        plain = MeanObjective(self.loss)(logits, label, SIX)
        full = super().__call__(logits, label, SIX, batch_size=batch_size)
        return self.alpha * plain + (full - self.alpha * plain).detach()


def gradient(objective: Callable[..., Tensor]) -> np.ndarray:
    network = tiny_network(seed=5).double()
    rng = torch.Generator().manual_seed(2)
    image = torch.randn(6, 1, 8, 8, 8, generator=rng, dtype=torch.float64)
    label = (torch.rand(6, 1, 8, 8, 8, generator=rng) > 0.7).double()
    objective(network(image), label, SIX).backward()
    return np.concatenate([p.grad.numpy().ravel() for p in network.parameters() if p.grad is not None])


def double_dice_ce(logits: Tensor, label: Tensor) -> Tensor:
    """Dice-like and in double precision, so that shares of gradients can be told to many digits."""
    p = torch.sigmoid(logits).flatten(1)
    t = label.flatten(1)
    dice = 1 - 2 * (p * t).sum(1) / (p.sum(1) + t.sum(1))
    return dice + nn.functional.binary_cross_entropy(p, t, reduction="none").mean(1)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("kind", [FairMedSegObjective, DetachedDivergenceTerm])
def test_doubling_a_weight_doubles_its_share_of_the_gradient(kind: type[FairMedSegObjective], reduction: str) -> None:
    def with_weight(c: float) -> np.ndarray:
        weights = dict.fromkeys(SIX, 0.1) | {"C": c}
        return gradient(kind(double_dice_ce, weights, alpha=0.2, reduction=reduction))  # type: ignore[arg-type]

    nothing, once, twice = with_weight(0.0), with_weight(0.3), with_weight(0.6)
    holds = np.linalg.norm(once - nothing) > 1e-9 and np.allclose(twice - nothing, 2 * (once - nothing), atol=1e-12)
    assert holds == (kind is FairMedSegObjective)


def test_alpha_one_is_plain_training() -> None:
    weights = dict(zip(SIX, [5.0, 0.0, 1.0, 2.0, 0.3, 9.0], strict=True))
    plain = gradient(MeanObjective(double_dice_ce))
    assert gradient(FairMedSegObjective(double_dice_ce, weights, alpha=1.0)) == pytest.approx(plain, abs=1e-14)
    assert gradient(FairMedSegObjective(double_dice_ce, weights, alpha=0.2)) != pytest.approx(plain, abs=1e-3)


def test_weighted_objective_is_not_plain_and_weight_zero_has_no_gradient() -> None:
    only = WeightedObjective(double_dice_ce, dict.fromkeys(SIX, 0.0) | {"A": 6.0})
    network = tiny_network(seed=5).double()
    rng = torch.Generator().manual_seed(2)
    image = torch.randn(6, 1, 8, 8, 8, generator=rng, dtype=torch.float64)
    label = (torch.rand(6, 1, 8, 8, 8, generator=rng) > 0.7).double()
    double_dice_ce(network(image[:1]), label[:1]).sum().backward()
    alone = np.concatenate([p.grad.numpy().ravel() for p in network.parameters() if p.grad is not None])
    assert gradient(only) == pytest.approx(alone, abs=1e-12)
    assert gradient(MeanObjective(double_dice_ce)) != pytest.approx(alone, abs=1e-3)


def test_weights_are_looked_up_by_id_and_an_unknown_id_is_no_silent_one() -> None:
    objective = WeightedObjective(given_losses, {"A": 1.0, "B": 10.0})
    losses = torch.tensor([1.0, 2.0])
    assert objective(losses, losses, ("A", "B")).item() == pytest.approx(10.5)
    assert objective(losses.flip(0), losses, ("B", "A")).item() == pytest.approx(10.5)
    with pytest.raises(KeyError, match="Z"):
        objective(losses, losses, ("A", "Z"))


def test_recorded_loss_keeps_values_without_gradient() -> None:
    recorded = RecordedLoss(given_losses)
    losses = torch.tensor([1.0, 2.0], requires_grad=True)
    assert recorded(losses, losses).requires_grad
    assert recorded.last.tolist() == [1.0, 2.0]
    assert not recorded.last.requires_grad


# Gradient reversal

LEVELS = {"A": (0, 1), "B": (1, 0), "C": (0, -1)}


def adversary(strength: float) -> tuple[nn.Module, AdversarialObjective, Tensor, Tensor]:
    network = tiny_network(seed=3)
    objective = AdversarialObjective(dice_ce, LEVELS, (2, 2), strength=strength)
    torch.manual_seed(4)
    image, label = torch.randn(3, 1, 8, 8, 8), (torch.rand(3, 1, 8, 8, 8) > 0.7).float()
    objective.observe(network, image[:1])
    return network, objective, image, label


def test_the_bottleneck_is_the_coarsest_level() -> None:
    network = tiny_network()
    module, channels = find_bottleneck(network, torch.zeros(1, 1, 8, 8, 8))
    assert module is network[2]  # type: ignore[index]
    assert channels == 2
    assert network.training


def test_reversal_turns_the_encoder_s_gradient_and_not_the_classifiers() -> None:
    def parts(strength: float) -> tuple[np.ndarray, np.ndarray]:
        network, objective, image, label = adversary(strength)
        objective(network(image), label, ("A", "B", "C")).backward()
        encoder = network[0].weight.grad  # type: ignore[index]
        heads = np.concatenate([p.grad.numpy().ravel() for p in objective.classifiers.parameters()])
        return encoder.numpy(), heads

    network, _, image, label = adversary(0.0)
    MeanObjective(dice_ce)(network(image), label, ("A", "B", "C")).backward()
    plain = network[0].weight.grad.numpy()  # type: ignore[index]
    encoder_0, heads_0 = parts(0.0)
    encoder_1, heads_1 = parts(1.0)
    encoder_2, heads_2 = parts(2.0)
    assert encoder_0 == pytest.approx(plain, abs=1e-7)
    assert np.abs(heads_0).sum() > 0
    # The classifiers learn whatever the strength; the encoder gets the reversed gradient in proportion to it.
    assert heads_1 == pytest.approx(heads_0, abs=1e-7)
    assert heads_2 == pytest.approx(heads_0, abs=1e-7)
    assert np.linalg.norm(encoder_1 - plain) > 1e-5
    assert encoder_2 - plain == pytest.approx(2 * (encoder_1 - plain), abs=1e-6)


def test_descending_the_reversed_gradient_makes_the_attribute_harder_to_tell() -> None:
    network, objective, image, label = adversary(1.0)

    def attribute_loss() -> Tensor:
        network(image)
        silent = AdversarialObjective(lambda logits, _: torch.zeros(3), LEVELS, (2, 2), strength=-1.0)
        silent.classifiers, silent.features = objective.classifiers, objective.features
        return silent(image, label, ("A", "B", "C"))

    before = attribute_loss()
    objective.loss = lambda logits, _: 0 * logits.flatten(1).sum(1)
    objective(network(image), label, ("A", "B", "C")).backward()
    with torch.no_grad():
        for p in network.parameters():
            if p.grad is not None:
                p -= 0.05 * p.grad
    assert attribute_loss().item() > before.item()


def test_adversary_must_see_the_network_first() -> None:
    objective = AdversarialObjective(dice_ce, LEVELS, (2, 2))
    zeros = torch.zeros(1, 1, 8, 8, 8)
    with pytest.raises(RuntimeError, match="before the first step"):
        objective(zeros, zeros, ("A",))


def test_toy_network_has_few_parameters() -> None:
    assert flat_state(tiny_network()).size < 200


def test_deep_supervision_weighs_each_head_half_of_the_next_finer_one() -> None:
    logits, label = torch.randn(2, 3, 2, 6, 6, 6), (torch.rand(2, 1, 6, 6, 6) > 0.7).float()
    recorded = RecordedLoss(dice_ce)(logits, label)
    heads = [dice_ce(logits[:, head], label) for head in range(3)]
    torch.testing.assert_close(recorded, (heads[0] + heads[1] / 2 + heads[2] / 4) / 1.75)


# Dice of a batch, and FEBS


def test_dice_of_a_batch_by_hand() -> None:
    label = torch.zeros(4, 1, 2, 2, 1)
    label[0, 0, 0] = 1
    label[1, 0, 0, 0] = 1
    label[3, 0, 0] = 1
    label[3, 0, 1, 0] = IGNORED
    logits = torch.full((4, 1, 2, 2, 1), -1.0)
    logits[0, 0, 0, 0] = logits[0, 0, 1, 0] = 1.0
    logits[3, 0, :, 0] = logits[2, 0, 0] = 1.0
    # One of two found, and one too much: 2/4. None of one: 0. Nothing to find: nan. One of two, the other ignored: 2/3.
    assert case_dice(logits, label).tolist() == pytest.approx([0.5, 0.0, np.nan, 2 / 3], nan_ok=True)
    heads = torch.stack([logits, -logits], dim=1)
    assert case_dice(heads, label).tolist() == pytest.approx([0.5, 0.0, np.nan, 2 / 3], nan_ok=True)


def test_dice_of_classes_is_the_mean_over_those_that_are_there() -> None:
    label = torch.tensor([[0.0, 1, 1, 2], [0, 0, 0, 2]])[:, None, :, None, None]
    winners = torch.tensor([[0, 1, 2, 2], [0, 0, 0, 2]])[:, :, None, None]
    logits = nn.functional.one_hot(winners, 3).movedim(-1, 1).float()
    # Class 1: 2/3, class 2: 2/3; in the second case class 2 alone is there: 1.
    assert case_dice(logits, label).tolist() == pytest.approx([2 / 3, 1.0])


def test_febs_is_the_authors_formula() -> None:
    """Against their formula in plain numpy, for two groups and a softmax over three classes."""
    rng = np.random.default_rng(3)
    logits = rng.normal(size=(4, 3, 5, 5, 1))
    label = rng.integers(0, 3, size=(4, 1, 5, 5, 1))
    groups = {"a": 0, "b": 1, "c": 0, "d": 1}
    exponentials = np.exp(logits)
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    classes = np.stack([label[:, 0] == k for k in range(3)], axis=1).astype(float)

    def dice_term(p: np.ndarray, y: np.ndarray) -> float:
        return float(
            np.mean(
                [
                    1 - (2 * (p[:, k] * y[:, k]).sum() + 1e-5) / ((p[:, k] ** 2).sum() + (y[:, k] ** 2).sum() + 1e-5)
                    for k in range(3)
                ]
            )
        )

    codes = np.array([0, 1, 0, 1])
    errors = np.array([dice_term(probabilities[codes == g], classes[codes == g]) for g in (0, 1)])
    scales = np.tanh((errors.min() / errors) ** 2.0)[codes][:, None, None, None, None]
    entropy = -np.log((probabilities * classes).sum(axis=1)).mean()
    expected = dice_term(probabilities * scales, classes) + entropy
    objective = FebsObjective(RecordedLoss(dice_ce), groups, gamma=2.0)
    found = objective(torch.tensor(logits), torch.tensor(label), list(groups))
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_febs_works_on_one_channel_with_ignored_voxels_and_heads() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 4, 4, 1, generator=rng)
    label = (torch.rand(2, 1, 4, 4, 1, generator=rng) > 0.5).float()
    marked = label.clone()
    marked[:, :, 0] = IGNORED
    objective = FebsObjective(RecordedLoss(dice_ce), {"a": 0, "b": 1})
    changed = logits.clone()
    changed[:, :, 0] += 3.0
    assert objective(logits, marked, ["a", "b"]).item() == pytest.approx(objective(changed, marked, ["a", "b"]).item())
    once = objective(logits, label, ["a", "b"]).item()
    assert objective(torch.stack([logits, logits], dim=1), label, ["a", "b"]).item() == pytest.approx(once)


def test_febs_of_a_case_of_which_nothing_counts_is_the_loss_of_the_others() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 1, 4, 4, 1, generator=rng)
    label = (torch.rand(2, 1, 4, 4, 1, generator=rng) > 0.5).float()
    label[1] = IGNORED
    objective = FebsObjective(RecordedLoss(dice_ce), {"a": 0, "b": 1})
    alone = FebsObjective(RecordedLoss(dice_ce), {"a": 0})(logits[:1], label[:1], ["a"], batch_size=2)
    both = objective(logits, label, ["a", "b"])
    # The Dice term is of the batch, so that it counts for both cases; the second one has no cross-entropy.
    dice = _febs_dice_term(logits[:1], label[:1])
    assert both.item() == pytest.approx(alone.item() + dice / 2, rel=1e-5)


def _febs_dice_term(logits: Tensor, label: Tensor) -> float:
    scaled = logits.sigmoid() * np.tanh(1.0)
    overlap, total = (scaled * label).sum(), (scaled**2).sum() + (label**2).sum()
    return float(1 - (2 * overlap + 1e-5) / (total + 1e-5))


def test_a_tie_with_the_background_is_background() -> None:
    label = torch.ones(1, 1, 2, 2, 1)
    assert case_dice(torch.zeros(1, 3, 2, 2, 1), label).item() == 0.0
