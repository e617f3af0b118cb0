"""The facts of a comparison out of fold, and the words for them: what may be called a gain, and when a mean is kept.

Computes nothing but words; `evidence` finds the facts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from segfair.stats import MeanOverSeeds

__all__ = ["EVIDENCE_RULE", "MEAN_MARGIN", "Choice", "Evidence", "NullSpread", "PairedChange", "ScoreChange"]

Gain = Literal["gain", "loss", "open"]
Kept = Literal["risen", "unchanged", "fallen", "open"]

MEAN_MARGIN = 0.01
"""Loss of mean Dice from which on the mean is not called unchanged."""
EVIDENCE_RULE = (
    "The worst subgroup is the one of the lowest shrunken divergence of the plain model's Dice, averaged over seeds, "
    "among subgroups of enough cases; it is chosen for each fold on the other folds, and judged on that fold, whose "
    "noise has no part in the choice. Its change is a gain (a loss) where the 95% interval lies above (below) 0 and, "
    "with several seeds, the change is larger than what the plain model differs from itself by when only seeds differ. "
    "The mean has risen where its interval lies above 0; it is unchanged where its interval lies above minus the "
    "margin, so that a larger loss is excluded; it has fallen where its interval lies below 0 but not above minus the "
    "margin; anything else is open. The rest are the cases outside of the subgroup that their fold was judged on."
)


@dataclass(frozen=True, slots=True)
class Choice:
    """The subgroup that the plain model serves worst, as the other folds see it.

    Attributes:
        fold: Where it is judged.
        items: Attribute -> level.
        n: Its cases in this fold.
        divergence: Its shrunken divergence in the other folds, below 0.
    """

    fold: str
    items: Mapping[str, str]
    n: int
    divergence: float


@dataclass(frozen=True, slots=True)
class PairedChange:
    """A change from one model to the other on the same cases.

    Attributes:
        before, after: What changed, averaged over the seeds.
        mean: Their difference and how sure it is.
    """

    before: float
    after: float
    mean: MeanOverSeeds

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `comparison.json`."""
        return {
            "value": self.mean.value,
            "ci": _listed(self.mean.ci),
            "before": self.before,
            "after": self.after,
            "n_cases": self.mean.n_cases,
            "n_subjects": self.mean.n_subjects,
        }


@dataclass(frozen=True, slots=True)
class ScoreChange:
    """Change of a score of the whole cohort, averaged over the seeds; its interval is over subjects alone."""

    before: float
    after: float
    value: float
    ci: tuple[float, float] | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `comparison.json`."""
        return {"value": self.value, "ci": _listed(self.ci), "before": self.before, "after": self.after}


@dataclass(frozen=True, slots=True)
class NullSpread:
    """What the plain model differs from itself by where only seeds differ: 95 % of differences are smaller.

    Attributes:
        worst_subgroup, mean, rest: On the same cases as the changes; None without such cases.
    """

    worst_subgroup: float | None
    mean: float | None
    rest: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `comparison.json`."""
        return {"worst_subgroup": self.worst_subgroup, "mean": self.mean, "rest": self.rest}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one model changed against the plain one; `EVIDENCE_RULE` in numbers.

    Attributes:
        worst: The worst subgroup; None where there is none to judge, and `reason` says why.
        reason: Empty where there is one.
        mean: All cases.
        rest: The cases outside of the subgroup that their fold was judged on; None where there are none.
        fairness: FS; None where no attribute can be judged.
        choices: The subgroup of each fold that has one, in the order of the folds.
        null: Of the plain model; None with one seed.
        margin: Loss of mean Dice from which on the mean is not called unchanged.
        n_folds: All folds, with a choice or without.
    """

    worst: PairedChange | None
    reason: str
    mean: PairedChange
    rest: PairedChange | None
    fairness: ScoreChange | None
    choices: tuple[Choice, ...]
    null: NullSpread | None
    margin: float
    n_folds: int

    @property
    def items(self) -> dict[str, str]:
        """The subgroup that most folds have chosen, the first of equals; empty where none has."""
        counted = Counter(frozenset(choice.items.items()) for choice in self.choices)
        return dict(sorted(counted.most_common(1)[0][0])) if counted else {}

    @property
    def n_agreeing(self) -> int:
        """Folds that have chosen `items`."""
        return sum(choice.items == self.items for choice in self.choices)

    @property
    def worst_word(self) -> Gain:
        """Whether the worst subgroup has gained."""
        if self.worst is None or self.worst.mean.ci is None:
            return "open"
        chance = self.null.worst_subgroup if self.null is not None else None
        if abs(self.worst.mean.value) <= (chance or 0.0):
            return "open"
        low, high = self.worst.mean.ci
        return "gain" if low > 0 else "loss" if high < 0 else "open"

    @property
    def mean_word(self) -> Kept:
        """Whether the mean has been kept."""
        if self.mean.mean.ci is None:
            return "open"
        low, high = self.mean.mean.ci
        if low > 0:
            return "risen"
        if low > -self.margin:
            return "unchanged"
        return "fallen" if high < 0 else "open"

    def to_dict(self) -> dict[str, Any]:
        """The model's `paired` in `comparison.json`."""
        worst = self.worst
        return {
            "worst_subgroup": None
            if worst is None
            else {
                "items": self.items,
                **worst.to_dict(),
                "word": self.worst_word,
                "chosen": [
                    {
                        "fold": entry.fold,
                        "items": dict(entry.items),
                        "n": entry.n,
                        "divergence_shrunk": entry.divergence,
                    }
                    for entry in self.choices
                ],
            },
            "reason": self.reason or None,
            "mean": {**self.mean.to_dict(), "word": self.mean_word, "margin": self.margin},
            "rest": None if self.rest is None else self.rest.to_dict(),
            "FS": None if self.fairness is None else self.fairness.to_dict(),
            "null": None if self.null is None else self.null.to_dict(),
            "over": self.mean.mean.over,
            "n_folds": self.n_folds,
            "n_seeds": self.mean.mean.n_seeds,
        }


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
