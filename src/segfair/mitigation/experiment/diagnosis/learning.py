"""Whether a subgroup was learned, and whether that carries over: its Dice where a model trained, and where not.

Pure functions of numbers; imports no torch. The thresholds are conventions, printed with every diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from segfair.audit.words import format_number, plural

__all__ = [
    "GAP",
    "LOW",
    "MIN_ASKED",
    "MIN_CASES",
    "MORE",
    "RARE",
    "Change",
    "HeldOut",
    "Learning",
    "ModelParts",
    "Part",
    "Response",
    "drawn_share",
    "is_low",
    "learning_of",
    "learning_rule",
    "learning_sentence",
    "part_of",
    "pooled_parts",
    "response_of",
]

Learning = Literal[
    "no gap",
    "rare and under-learned",
    "learned but not generalising",
    "hard in itself",
    "not fitted",
    "too little trained",
    "insufficient evidence",
]

HeldOut = Literal["validation", "test", "out-of-fold"]
"""What the cases that a model is diagnosed on, and did not learn from, are called."""

Change = Literal["closes", "is learned alone", "stays"]
"""What the plain model's gap does in one that saw the subgroup more often: it closes; it closes among the training
cases and not among those held out; it stays among both."""

GAP = 0.05
"""Mean Dice below that of the other cases from which on a gap counts."""
RARE = 0.10
"""Share of the draws of a training below which a subgroup is rare."""
MORE = 1.5
"""How many times larger than the plain model's a share has to be to count as more often."""
LOW = 0.7
"""Mean Dice on training cases below which they are not fitted, however little the others are."""
MIN_CASES = 3
"""Fewest training and held-out cases from which anything is concluded."""
MIN_ASKED = 10
"""Fewest of both from which other models are asked: of a few cases one in several models closes a gap by chance."""


def learning_rule(held_out: HeldOut = "validation") -> str:
    """How it is told whether a subgroup was learned, in words."""
    return (
        f"A gap counts from {GAP:g} of mean Dice below the other cases. Where the training Dice of both lies below "
        f"{LOW:g}, too little was trained to tell them apart. Without a gap among the training cases, or with one less "
        f"than half as large as among the {held_out} cases, the subgroup is learned but does not generalise. With one, "
        f"models decide in which it made up at least {MORE:g} times as much of what was trained on as in the plain "
        "one. Where one has less than half of the plain model's gap among both, the subgroup is rare and "
        "under-learned; where one has less than half of it among the training cases alone, it does not generalise; "
        f"where none has, and it made up at least {100 * RARE:g} % there, it is hard in itself. Without such a model, "
        f"or with fewer than {MIN_ASKED} training or {held_out} cases, it is rare and under-learned below "
        f"{100 * RARE:g} % of what was trained on, and from there on not fitted, for a reason that is not tested. "
        f"Nothing is concluded from fewer than {MIN_CASES} training or {held_out} cases."
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A subgroup within one set of cases.

    Attributes:
        n: Its cases.
        dsc: Their mean Dice; None without a case.
        rest: Mean Dice of the other cases; None without one.
    """

    n: int
    dsc: float | None
    rest: float | None

    @property
    def gap(self) -> float | None:
        """How far the subgroup lies below the other cases; None where either has no case."""
        return None if self.dsc is None or self.rest is None else self.rest - self.dsc


ModelParts = tuple[Part, Part, float]
"""The subgroup among a model's training and its held-out cases, and its share in what was trained on."""


@dataclass(frozen=True, slots=True)
class Response:
    """What models that saw a subgroup more often than the plain one show.

    Attributes:
        change: What its gap does.
        model: The one that shows it.
        share: Of the subgroup in what that model was trained on.
    """

    change: Change
    model: str
    share: float


def part_of(members: NDArray[np.bool_], dsc: NDArray[np.float64]) -> Part:
    """The subgroup of (n_cases,) members among (n_cases,) Dice."""
    inside, outside = dsc[members], dsc[~members]
    return Part(
        len(inside),
        float(inside.mean()) if len(inside) else None,
        float(outside.mean()) if len(outside) else None,
    )


def pooled_parts(
    case_ids: Sequence[str],
    members: NDArray[np.bool_],
    *,
    training: Iterable[tuple[Sequence[str], NDArray[np.float64]]],
    held_out: NDArray[np.float64],
) -> tuple[Part, Part]:
    """The subgroup among what the folds learned from and, out of fold, among what they did not.

    A case counts once: with its mean Dice over all trainings that learned from it, and over the seeds that held it out.

    Args:
        case_ids: All cases that a fold tests.
        members: (n_cases,) whether each is in the subgroup.
        training: For each training (a fold with a seed) the cases that it learned from and their Dice. Cases that only
            train, for no fold tests them, are passed over.
        held_out: (n_seeds, n_cases) out-of-fold Dice.

    Returns:
        Training and held-out part; a case that no fold learned from is in the latter alone.
    """
    position = {case: place for place, case in enumerate(case_ids)}
    sums, counts = np.zeros(len(case_ids)), np.zeros(len(case_ids))
    for cases, dsc in training:
        tested = np.array([case in position for case in cases], dtype=bool)
        places = [position[case] for case in cases if case in position]
        sums[places] += dsc[tested]
        counts[places] += 1
    learned = counts > 0
    return part_of(members[learned], sums[learned] / counts[learned]), part_of(members, held_out.mean(axis=0))


def drawn_share(members: NDArray[np.bool_], weights: NDArray[np.float64] | None = None) -> float:
    """Share of the members in what was trained on.

    Args:
        members: (n_cases,) training cases of the subgroup.
        weights: (n_epochs, n_cases) weights of the cases in each epoch, as draws or in the loss; None or no epoch:
            every case once. An epoch without any weight counts as plain.

    Returns:
        The mean over the epochs of the members' share of the weights; 0 without a case.
    """
    if not len(members):
        return 0.0
    if weights is None or not len(weights):
        return float(members.mean())
    totals = weights.sum(axis=1)
    shares = np.divide(
        weights[:, members].sum(axis=1), totals, out=np.full(len(weights), members.mean()), where=totals > 0
    )
    return float(shares.mean())


def response_of(plain: ModelParts, others: Mapping[str, ModelParts]) -> Response | None:
    """What the plain model's gap does in models that saw the subgroup more often.

    The best answer counts, and of equal ones that of the model that saw it most often: one model that fits the subgroup
    shows that it can be fitted.

    Args:
        plain: Of the plain model.
        others: Name -> of another model.

    Returns:
        None where the plain model has no gap among its training cases, where either set has fewer than `MIN_ASKED`
        cases of the subgroup, where no model saw it `MORE` times as often, or where it is rare even there and nothing
        closes.
    """
    if min(plain[0].n, plain[1].n) < MIN_ASKED:
        return None
    changes = {name: _change(plain, parts) for name, parts in others.items()}
    found = [Response(change, name, others[name][2]) for name, change in changes.items() if change is not None]
    order = get_args(Change)
    return min(found, key=lambda response: (order.index(response.change), -response.share), default=None)


def _change(plain: ModelParts, more: ModelParts) -> Change | None:
    (training, held_out, share), (trained_more, held_out_more, larger) = plain, more
    missed, left = training.gap, trained_more.gap
    if missed is None or left is None or missed < GAP or larger < MORE * share:
        return None
    if left >= missed / 2:
        return "stays" if larger >= RARE else None
    before, after = held_out.gap, held_out_more.gap
    closes = before is not None and after is not None and after < max(GAP, before) / 2
    return "closes" if closes else "is learned alone"


_FROM_CHANGE: Mapping[Change, Learning] = {
    "closes": "rare and under-learned",
    "is learned alone": "learned but not generalising",
    "stays": "hard in itself",
}


def learning_of(training: Part, held_out: Part, *, share: float, response: Response | None = None) -> Learning:
    """Whether a subgroup was learned by one model; `learning_rule` in words.

    Args:
        training: The subgroup among the training cases, scored without augmentation.
        held_out: The subgroup among cases not trained on.
        share: See `drawn_share`.
        response: Of the models of the run that saw it more often than the plain one.
    """
    missed, gap = training.gap, held_out.gap
    if min(training.n, held_out.n) < MIN_CASES or missed is None or gap is None:
        return "insufficient evidence"
    if gap < GAP:
        return "no gap"
    if is_low(training.dsc) and is_low(training.rest):
        return "too little trained"
    if missed < GAP or missed < gap / 2:
        return "learned but not generalising"
    if response is None:
        return "rare and under-learned" if share < RARE else "not fitted"
    return _FROM_CHANGE[response.change]


def is_low(dsc: float | None) -> bool:
    """Whether a mean Dice on training cases is low in itself, whatever that of the others is."""
    return dsc is not None and dsc < LOW


def learning_sentence(training: Part, held_out: Part, share: float, name: HeldOut) -> str:
    """The numbers of an answer."""
    numbers = "; ".join(
        f"{called} Dice {format_number(part.dsc)} (others {format_number(part.rest)}, {plural(part.n, 'case')})"
        for called, part in (("training", training), (name, held_out))
    )
    return f"{numbers}; {100 * share:.1f} % of what was trained on"
