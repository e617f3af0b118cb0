"""What one training step minimises: per-case losses and, from them, one scalar a batch.

Logits with as many channels as the label mean a sigmoid and a binary target each (one lesion, or regions that may lie
in each other); several channels for a label of one mean a softmax over classes of which channel 0 is the background
(counted in the Dice term, as MONAI does by default). Where the label is `IGNORED`, in all of its channels, a voxel
counts in no term. Every objective returns its part of the batch's
loss, `sum over these cases / batch size`, so that the parts of several processes add up to the loss of the batch.
Never decides a weight.

References:
    Poeta et al. Divergence-Aware Training with Automatic Subgroup Mitigation for Breast Tumor Segmentation. 2025
    (FairMedSeg), Eqs. 3 and 4.
    Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 2016 (gradient reversal).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import torch
from monai.losses.dice import DiceLoss
from monai.losses.focal_loss import FocalLoss
from monai.networks.utils import one_hot
from torch import Tensor, nn
from torch.nn import functional

from segfair.mitigation.data.outputs import batch_dice, classes_of
from segfair.mitigation.data.regions import IGNORED

__all__ = [
    "AdversarialObjective",
    "CaseLoss",
    "FairMedSegObjective",
    "FebsObjective",
    "LossName",
    "MeanObjective",
    "Objective",
    "RecordedLoss",
    "WeightedObjective",
    "case_dice",
    "case_loss",
    "dice_ce",
    "dice_focal",
    "find_bottleneck",
]

LossName = Literal["dice-ce", "dice-focal"]


class CaseLoss(Protocol):
    """(logits (B, C, ...), label (B, R, ...)) -> (B,) losses that carry gradient."""

    def __call__(self, logits: Tensor, label: Tensor, /) -> Tensor:
        """The loss of each case of the batch."""


class Objective(Protocol):
    """One scalar a batch; what a strategy writes."""

    def __call__(
        self, logits: Tensor, label: Tensor, case_ids: Sequence[str], *, batch_size: int | None = None
    ) -> Tensor:
        """This process's part of the batch's loss.

        Args:
            logits: (B, C, ...).
            label: (B, R, ...).
            case_ids: B ids; patches of one case share its id.
            batch_size: Cases of the whole batch over all processes; None for B.
        """


def dice_ce(logits: Tensor, label: Tensor) -> Tensor:
    """Dice plus cross-entropy of each case.

    Args:
        logits: (B, C, ...); see the module docstring for what C means.
        label: (B, 1, ...) class numbers, or (B, C, ...) of 0 and 1; `IGNORED` where a voxel does not count.

    Returns:
        (B,) float32; on a single case equal to MONAI's `DiceCELoss(sigmoid=True)` for as many channels as the label
        has, and to `DiceCELoss(softmax=True, to_onehot_y=True)` for several of a label of one. An empty label is fine;
        a case of which no voxel counts has a loss of 0.
    """
    logits, label = logits.float(), label.float()
    counted = _counted(label)
    if counted is not None:
        label = label * counted
    return _dice(logits, label, counted) + _entropy(logits, label, counted)


def dice_focal(logits: Tensor, label: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Dice plus focal loss of each case.

    Args:
        logits: (B, C, ...); see the module docstring for what C means.
        label: (B, 1, ...) class numbers, or (B, C, ...) of 0 and 1; `IGNORED` where a voxel does not count.
        gamma: Focal exponent.

    Returns:
        (B,) float32; on a single case equal to MONAI's `DiceFocalLoss` (which takes the focal term of every channel
        through a sigmoid, also where the Dice term uses a softmax).
    """
    logits, label = logits.float(), label.float()
    counted = _counted(label)
    if counted is not None:
        label = label * counted
    classes = label if logits.shape[1] == label.shape[1] else one_hot(label, num_classes=logits.shape[1])
    focal: Tensor = FocalLoss(gamma=gamma, reduction="none")(logits, classes)
    return _dice(logits, label, counted) + _mean(focal, counted)


def _counted(label: Tensor) -> Tensor | None:
    """(B, 1, ...), 1 where a voxel counts; None where all do."""
    ignored = label[:, :1] == IGNORED
    # Without any the arithmetic is that of a plain loss, to the last bit.
    return (~ignored).float() if bool(ignored.any()) else None


def _mean(terms: Tensor, counted: Tensor | None) -> Tensor:
    """(B, C, ...) terms -> (B,) their mean over the channels and the voxels that count."""
    if counted is None:
        return terms.flatten(1).mean(1)
    sums = (terms * counted).flatten(1).sum(1)
    return sums / (counted.flatten(1).sum(1) * terms.shape[1]).clamp(min=1)


def _entropy(logits: Tensor, label: Tensor, counted: Tensor | None) -> Tensor:
    """(B,) cross-entropy, of each channel or of the classes."""
    if logits.shape[1] == label.shape[1]:
        terms: Tensor = functional.binary_cross_entropy_with_logits(logits, label, reduction="none")
    else:
        terms = functional.cross_entropy(logits, label[:, 0].long(), reduction="none")[:, None]
    return _mean(terms, counted)


def _dice(logits: Tensor, label: Tensor, counted: Tensor | None) -> Tensor:
    binary = logits.shape[1] == label.shape[1]
    if counted is None:
        dice = DiceLoss(sigmoid=binary, softmax=not binary, to_onehot_y=not binary, reduction="none")
        terms: Tensor = dice(logits, label)
        return terms.flatten(1).mean(1)
    # The probabilities of voxels that do not count are taken out, which no argument of DiceLoss does.
    probabilities = (logits.sigmoid() if binary else logits.softmax(1)) * counted
    classes = (label if binary else one_hot(label, num_classes=logits.shape[1])) * counted
    masked: Tensor = DiceLoss(reduction="none")(probabilities, classes)
    return masked.flatten(1).mean(1)


@torch.no_grad()
def case_dice(logits: Tensor, label: Tensor) -> Tensor:
    """(B,) Dice of what a batch's logits say, over the classes or regions of the label.

    Args:
        logits: (B, C, ...), or (B, H, C, ...) with deep supervision, whose first, finest head is taken.
        label: (B, R, ...) as in `dice_ce`; voxels that are `IGNORED` count nowhere.

    Returns:
        The mean over what is in the label. nan where it is empty: what is found in a patch beside the lesion says
        nothing of how the lesion is found.
    """
    if logits.ndim > label.ndim:
        logits = logits[:, 0]
    ignored = label[:, :1] == IGNORED
    if logits.shape[1] == label.shape[1]:
        predicted, target = logits > 0, label == 1
    else:
        classes = torch.arange(1, logits.shape[1], device=logits.device).view(1, -1, *[1] * (label.ndim - 2))
        predicted, target = classes_of(logits), label == classes
    predicted, target = predicted & ~ignored, target & ~ignored
    return batch_dice(predicted, target)


def case_loss(name: LossName) -> CaseLoss:
    """The per-case loss of that name."""
    return {"dice-ce": dice_ce, "dice-focal": dice_focal}[name]


class RecordedLoss:
    """A per-case loss that keeps the last batch's values: for logs, NaN checks, strategies that watch losses."""

    def __init__(self, loss: CaseLoss) -> None:
        self.loss = loss
        self.last = torch.zeros(0)

    def __call__(self, logits: Tensor, label: Tensor, /) -> Tensor:
        """The per-case losses, remembered without their gradient."""
        return self.over_heads(self.loss, logits, label)

    def over_heads(self, loss: CaseLoss, logits: Tensor, label: Tensor) -> Tensor:
        """The same with another per-case loss in place of its own."""
        losses = _over_heads(loss, logits, label)
        self.last = losses.detach()
        return losses


def _over_heads(loss: CaseLoss, logits: Tensor, label: Tensor) -> Tensor:
    """(B,) losses of logits (B, C, ...), or with deep supervision (B, H, C, ...) the weighted mean over H heads.

    Each head counts half of the next finer one, as in nnU-Net.
    """
    if logits.ndim == label.ndim:
        return loss(logits, label)
    shares = [0.5**head for head in range(logits.shape[1])]
    total = sum((share * loss(logits[:, head], label) for head, share in enumerate(shares)), torch.zeros(()))
    return total / sum(shares)


class MeanObjective:
    """Plain training: the mean loss over the cases of the batch."""

    def __init__(self, loss: CaseLoss) -> None:
        self.loss = loss

    def __call__(
        self, logits: Tensor, label: Tensor, case_ids: Sequence[str], *, batch_size: int | None = None
    ) -> Tensor:
        """The sum of the losses over the batch size."""
        return self.loss(logits, label).sum() / (batch_size or len(case_ids))


class WeightedObjective:
    """sum_i w_i L_i / batch size: each case's loss times the weight of its id.

    `weights` may be replaced between epochs or steps; an id without a weight is a KeyError, never a silent 1.
    """

    def __init__(self, loss: CaseLoss, weights: Mapping[str, float]) -> None:
        self.loss = loss
        self.weights = weights

    def __call__(
        self, logits: Tensor, label: Tensor, case_ids: Sequence[str], *, batch_size: int | None = None
    ) -> Tensor:
        """The weighted sum of the losses over the batch size."""
        losses = self.loss(logits, label)
        return (_looked_up(self.weights, case_ids, losses) * losses).sum() / (batch_size or len(case_ids))


class FairMedSegObjective:
    """alpha L_seg + (1 - alpha) L_Delta, with gradient through both terms.

    L_seg is the mean over the batch. L_Delta is Eq. 3's sum over cases with "sum", so that the balance depends on
    the batch size, or the mean over the batch with "mean", where it does not.

    References:
        FairMedSeg, Eqs. 3 and 4.
    """

    def __init__(
        self,
        loss: CaseLoss,
        weights: Mapping[str, float],
        *,
        alpha: float = 0.2,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        self.loss = loss
        self.weights = weights
        self.alpha = alpha
        self.reduction = reduction

    def __call__(
        self, logits: Tensor, label: Tensor, case_ids: Sequence[str], *, batch_size: int | None = None
    ) -> Tensor:
        """Both terms from one evaluation of the per-case losses."""
        n_cases = batch_size or len(case_ids)
        losses = self.loss(logits, label)
        weighted = _looked_up(self.weights, case_ids, losses) * losses
        divergence_term = weighted.sum() if self.reduction == "sum" else weighted.sum() / n_cases
        return self.alpha * losses.sum() / n_cases + (1 - self.alpha) * divergence_term


class FebsObjective:
    """Cross-entropy plus a Dice term in which what is predicted for a group shrinks with the group's error.

    The voxels of a batch are taken together, as the authors do. A group's scale is tanh((smallest error of a group /
    its own error)^gamma), an error the group's own Dice term, in the batch; each case's probabilities are multiplied by
    its group's scale before the Dice term of the batch is taken. Several processes each take their own cases together.

    Args:
        losses: Keeps the values for the log.
        groups: Case id -> code of its group.
        gamma: How much errors of groups count; 0: not at all.

    References:
        Tian et al. FairSeg: A Large-Scale Medical Image Segmentation Dataset for Fairness Learning Using Segment
        Anything Model with Fair Error-Bound Scaling. ICLR 2024, and the authors' code (`febs_loss`).
    """

    def __init__(self, losses: RecordedLoss, groups: Mapping[str, int], *, gamma: float = 1.0) -> None:
        self.losses = losses
        self.groups = groups
        self.gamma = gamma

    def __call__(
        self, logits: Tensor, label: Tensor, case_ids: Sequence[str], *, batch_size: int | None = None
    ) -> Tensor:
        """The batch's loss times the share of the batch that these cases are."""
        codes = torch.tensor([self.groups[case_id] for case_id in case_ids], device=logits.device)

        def scaled(logits: Tensor, label: Tensor) -> Tensor:
            return self._scaled(logits.float(), label.float(), codes)

        return self.losses.over_heads(scaled, logits, label).sum() / (batch_size or len(case_ids))

    def _scaled(self, logits: Tensor, label: Tensor, codes: Tensor) -> Tensor:
        """(B,) each case's cross-entropy plus the Dice term of the batch."""
        counted = _counted(label)
        if counted is not None:
            label = label * counted
        binary = logits.shape[1] == label.shape[1]
        probabilities = logits.sigmoid() if binary else logits.softmax(1)
        classes = label if binary else one_hot(label, num_classes=logits.shape[1])
        if counted is not None:
            probabilities, classes = probabilities * counted, classes * counted
        scales = torch.ones(len(codes), device=logits.device)
        # Of a group of which no voxel counts there is no error.
        seen = codes if counted is None else codes[counted.flatten(1).any(1)]
        with torch.no_grad():
            present = torch.unique(seen)
            errors = [_pooled_dice(probabilities[codes == g], classes[codes == g]) for g in present]
            for group, error in zip(present, errors, strict=True):
                # Rounding can leave an error of a group just below 0, and 0 / 0 of a perfect one.
                ratio = torch.stack(errors).min().clamp(min=1e-6) / error.clamp(min=1e-6)
                scales[codes == group] = torch.tanh(ratio**self.gamma)
        scales = scales.view(-1, *[1] * (logits.ndim - 1))
        return _pooled_dice(probabilities * scales, classes) + _entropy(logits, label, counted)


def _pooled_dice(probabilities: Tensor, classes: Tensor) -> Tensor:
    """Dice term of all voxels of (B, C, ...) together, squared in the denominator, mean over the C classes."""
    sides = (0, *range(2, classes.ndim))
    intersection = (probabilities * classes).sum(sides)
    total = (probabilities**2).sum(sides) + (classes**2).sum(sides)
    return (1 - (2 * intersection + 1e-5) / (total + 1e-5)).mean()


def _looked_up(weights: Mapping[str, float], case_ids: Sequence[str], like: Tensor) -> Tensor:
    return torch.tensor([weights[case_id] for case_id in case_ids], dtype=like.dtype, device=like.device)


class AdversarialObjective(nn.Module):
    """Mean loss plus attribute classifiers that read the bottleneck through a gradient reversal.

    The classifiers learn to tell the levels of each attribute from the pooled bottleneck features; the network gets
    the reversed gradient and learns features that do not tell them. `observe` connects it to a network once.

    Args:
        loss: Per-case segmentation loss.
        levels: Case id -> code of the case's level of each attribute; -1 counts nowhere.
        n_levels: Number of levels of each attribute.
        strength: Weight of the reversed gradient.

    References:
        Ganin et al. 2016, Eqs. 13-15.
    """

    def __init__(
        self, loss: CaseLoss, levels: Mapping[str, Sequence[int]], n_levels: Sequence[int], *, strength: float = 0.1
    ) -> None:
        super().__init__()
        self.loss = loss
        self.levels = levels
        self.n_levels = tuple(n_levels)
        self.strength = strength
        self.classifiers = nn.ModuleList()
        self.features: Tensor | None = None

    def observe(self, network: nn.Module, example: Tensor) -> None:
        """Hooks the network's bottleneck and builds one linear classifier for each attribute.

        Args:
            network: The segmentation network.
            example: (1, C, ...) an input of the training size.
        """
        bottleneck, n_features = find_bottleneck(network, example)
        bottleneck.register_forward_hook(self._keep)
        self.classifiers.extend(nn.Linear(n_features, n) for n in self.n_levels)
        self.classifiers.to(example.device)

    def _keep(self, module: nn.Module, _inputs: Any, output: Tensor) -> None:
        if module.training:
            self.features = output

    def forward(
        self, logits: Tensor, label: Tensor, case_ids: Sequence[str], *, batch_size: int | None = None
    ) -> Tensor:
        """Segmentation loss plus the classifiers' cross-entropy, averaged over the attributes."""
        n_cases = batch_size or len(case_ids)
        total = self.loss(logits, label).sum() / n_cases
        if self.features is None:
            raise RuntimeError("AdversarialObjective: observe(network, example) must come before the first step")
        pooled = self.features.float().flatten(2).mean(2)
        # The feature standard deviation differs by orders of magnitude between networks; the classifiers' step
        # should not.
        even = functional.layer_norm(pooled, pooled.shape[1:])
        reversed_features: Tensor = _Reverse.apply(even, self.strength)  # type: ignore[no-untyped-call]
        self.features = None
        codes = torch.tensor([self.levels[case_id] for case_id in case_ids], device=logits.device)
        for attribute, classifier in enumerate(self.classifiers):
            entropy = functional.cross_entropy(
                classifier(reversed_features), codes[:, attribute], ignore_index=-1, reduction="sum"
            )
            total = total + entropy / (n_cases * len(self.classifiers))
        return total


class _Reverse(torch.autograd.Function):
    """The identity forwards, minus `strength` times the gradient backwards."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def find_bottleneck(network: nn.Module, example: Tensor) -> tuple[nn.Module, int]:
    """The module with the coarsest output, and its number of channels.

    Of equally coarse outputs the last of the forward pass is taken: the end of the encoder's deepest level.

    Args:
        network: A network from images to logits.
        example: (1, C, ...) an input of the training size.

    Returns:
        The module and the channels of its output.
    """
    seen: list[tuple[int, nn.Module, int]] = []

    def look(module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == example.ndim:
            seen.append((output.shape[2:].numel(), module, output.shape[1]))

    hooks = [module.register_forward_hook(look) for module in network.modules() if module is not network]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(example)
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    coarsest = min(size for size, _, _ in seen)
    _, module, channels = [entry for entry in seen if entry[0] == coarsest][-1]
    return module, channels
