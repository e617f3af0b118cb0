"""Why a subgroup is served worse: from its training and its validation Dice, and from how often it was drawn.

Pure functions of numbers; imports no torch. The thresholds are conventions, printed with every diagnosis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.audit.words import format_number, plural

__all__ = [
    "GAP",
    "MIN_CASES",
    "MORE",
    "RARE",
    "Diagnosis",
    "Part",
    "diagnose",
    "diagnose_models",
    "drawn_share",
    "part_of",
    "pooled_parts",
    "rule",
]

Kind = Literal[
    "no gap",
    "rare and under-learned",
    "learned but not generalising",
    "hard in itself",
    "insufficient evidence",
]

HeldOut = Literal["validation", "out-of-fold"]
"""What the cases that a model is diagnosed on, and did not learn from, are called."""

GAP = 0.05
"""Mean Dice below that of the other cases from which on a gap counts."""
RARE = 0.10
"""Share of the draws of a training below which a subgroup is rare."""
MORE = 1.5
"""How many times larger a share has to be to count as more often."""
MIN_CASES = 3
"""Fewest training and validation cases from which anything is concluded."""


def rule(held_out: HeldOut = "validation") -> str:
    """How a diagnosis is made, in words."""
    return (
        f"A gap counts from {GAP:g} of mean Dice below the other cases. Without one among the training cases, or with "
        f"one less than half as large as among the {held_out} cases, the subgroup is learned but does not generalise "
        "(more cases or augmentation help). With one, it is rare and under-learned where it made up less than "
        f"{100 * RARE:g} % of what was trained on (drawing it more often helps), and hard in itself where it made up "
        "more. It is not hard in itself where drawing it more often is seen to help: where another model of the run, "
        f"in which it made up at least {MORE:g} times as much, has less than half of the gap among the training cases. "
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


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why one model serves a subgroup worse.

    Attributes:
        kind: The answer.
        sentence: The answer with its numbers.
        training, validation: The subgroup among the cases trained on and among those held out.
        share: Share of the subgroup in what was trained on, as drawn or weighted.
    """

    kind: Kind
    sentence: str
    training: Part
    validation: Part
    share: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `comparison.json`."""
        return asdict(self)


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
        case_ids: All cases.
        members: (n_cases,) whether each is in the subgroup.
        training: For each training (a fold with a seed) the cases that it learned from and their Dice.
        held_out: (n_seeds, n_cases) out-of-fold Dice.

    Returns:
        Training and held-out part; a case that no fold learned from is in the latter alone.
    """
    position = {case: place for place, case in enumerate(case_ids)}
    sums, counts = np.zeros(len(case_ids)), np.zeros(len(case_ids))
    for cases, dsc in training:
        places = [position[case] for case in cases]
        sums[places] += dsc
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


def diagnose(
    training: Part,
    validation: Part,
    *,
    share: float,
    responds: bool = False,
    held_out: HeldOut = "validation",
) -> Diagnosis:
    """Why a subgroup is served worse by one model; `rule` in words.

    Args:
        training: The subgroup among the training cases, scored without augmentation.
        validation: The subgroup among cases not trained on.
        share: See `drawn_share`.
        responds: Whether a model that saw the subgroup more often fits its training cases clearly better: evidence
            that it is not hard in itself.
        held_out: What the cases not trained on are called.
    """
    kind = _kind(training, validation, share=share, responds=responds)
    sentence = _sentence(kind, training, validation, share, held_out)
    return Diagnosis(kind, sentence, training, validation, share)


def diagnose_models(
    parts: Sequence[tuple[Part, Part, float]], *, held_out: HeldOut = "validation"
) -> tuple[Diagnosis, ...]:
    """Diagnoses of one subgroup by the models of one run, each told what the others show.

    Args:
        parts: For each model its `training`, `validation` and `share`.
        held_out: What the cases not trained on are called.
    """
    gaps = [(share, training.gap) for training, _, share in parts if training.gap is not None]
    responds = any(
        more >= MORE * less and left < before / 2 for less, before in gaps for more, left in gaps if before >= GAP
    )
    return tuple(
        diagnose(training, validation, share=share, responds=responds, held_out=held_out)
        for training, validation, share in parts
    )


def _kind(training: Part, validation: Part, *, share: float, responds: bool) -> Kind:
    missed, held_out = training.gap, validation.gap
    if min(training.n, validation.n) < MIN_CASES or missed is None or held_out is None:
        return "insufficient evidence"
    if held_out < GAP:
        return "no gap"
    if missed < GAP or missed < held_out / 2:
        return "learned but not generalising"
    return "rare and under-learned" if share < RARE or responds else "hard in itself"


_REASONS = {
    "no gap": "no gap remains",
    "rare and under-learned": "the network does not fit its training cases as well as others, and saw few of them",
    "learned but not generalising": "the network fits its training cases, and fails on new ones",
    "hard in itself": "the network does not fit its training cases as well as others, although it saw them often",
    "insufficient evidence": "too few cases to tell why",
}


def _sentence(kind: Kind, training: Part, validation: Part, share: float, held_out: HeldOut) -> str:
    numbers = "; ".join(
        f"{name} Dice {format_number(part.dsc)} (others {format_number(part.rest)}, {plural(part.n, 'case')})"
        for name, part in (("training", training), (held_out, validation))
    )
    return f"{_REASONS[kind]}: {numbers}; {100 * share:.1f} % of what was trained on"
