"""The facts of a comparison out of fold, and the words for them: what may be called a gain, and when a mean is kept.

Computes nothing but words; `evidence` finds the facts.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from segfair.audit.words import format_interval, format_number, plural, subgroup_name
from segfair.stats import MeanOverSeeds

__all__ = [
    "EVIDENCE_RULE",
    "MEAN_MARGIN",
    "Choice",
    "Conclusion",
    "Evidence",
    "NullSpread",
    "PairedChange",
    "ScoreChange",
    "conclude_gains",
    "over_words",
]

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
    "margin; anything else is open. The rest are the cases outside of the subgroup that their fold was judged on. A "
    "strategy is recommended where, with several seeds, the worst subgroup has gained and the mean has risen or is "
    "unchanged; of several, the one of the largest gain."
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
        rest: The cases outside of the subgroup that their fold was judged on; None where there are none, and without a
            worst subgroup.
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


@dataclass(frozen=True, slots=True)
class Conclusion:
    """The answer for one backbone.

    Attributes:
        kind: In a few words.
        tone: "better", "worse" or "open".
        sentence: With its numbers.
        gained: Whether any strategy is shown to help the worst subgroup; None where that was not judged.
        follows: What to do next where nothing is shown to help; empty where that is not known.
        recommended: The model that is recommended; empty: none is.
    """

    kind: str
    tone: str
    sentence: str
    gained: bool | None = None
    follows: str = ""
    recommended: str = ""


def conclude_gains(plain: str, found: Mapping[str, Evidence]) -> Conclusion:
    """Which model is recommended: the largest gain of the worst subgroup among those that keep the mean.

    Args:
        plain: Name of the plain model.
        found: Name -> evidence of every other model of its backbone; at least one.
    """
    judged = {name: entry for name, entry in found.items() if entry.worst is not None}
    if not judged:
        reason = next(iter(found.values())).reason
        return Conclusion("Insufficient evidence", "open", f"{reason[:1].upper()}{reason[1:]}.")
    by_gain = sorted(judged, key=lambda name: _gain_of(judged[name]), reverse=True)
    gained = [name for name in by_gain if judged[name].worst_word == "gain"]
    kept = [name for name in gained if judged[name].mean_word in ("risen", "unchanged")]
    name = (kept or gained or by_gain)[0]
    best = judged[name]
    told = f"{name} {_worst_sentence(best, plain)}; {_mean_sentence(best)}. {_chance_sentence(best, len(judged))}"
    if gained and best.mean.mean.n_seeds == 1:
        # Intervals over subjects alone are beyond 0 far too often where trainings differ in nothing but their seeds.
        return Conclusion("A gain with one seed, to be repeated with others", "open", told, gained=True)
    if kept:
        return Conclusion(f"Recommended: {name}", "better", told, gained=True, recommended=name)
    if gained:
        reason = "has fallen" if best.mean_word == "fallen" else "is not shown to be unchanged"
        told = f"{told} Not recommended: the mean Dice {reason}."
        return Conclusion("No strategy is recommended", "open", told, gained=True)
    return Conclusion("No gain is shown", "open", told, gained=False)


def over_words(mean: MeanOverSeeds) -> str:
    """What an interval runs over: `72 subjects and 3 seeds`."""
    subjects = plural(mean.n_subjects, "subject")
    return f"{subjects} and {plural(mean.n_seeds, 'seed')}" if mean.n_seeds > 1 else f"{subjects} alone"


def _gain_of(found: Evidence) -> float:
    return found.worst.mean.value if found.worst is not None else -math.inf


def _worst_sentence(found: Evidence, plain: str) -> str:
    if found.worst is None:
        return f"cannot be judged: {found.reason}"
    mean = found.worst.mean
    who = (
        f"{subgroup_name(found.items.items(), length=40)}, as {found.n_agreeing} of {found.n_folds} folds see it; "
        f"{plural(mean.n_cases, 'case')} of {plural(mean.n_subjects, 'subject')}"
    )
    return (
        f"changes the subgroup that {plain} serves worst ({who}) by {_change_words(mean)}: {_gain_words(found, plain)}"
    )


def _gain_words(found: Evidence, plain: str) -> str:
    """The word for the worst subgroup, and what stands against a gain."""
    if found.worst_word != "open":
        return f"a {found.worst_word}"
    ci = found.worst.mean.ci if found.worst is not None else None
    if ci is not None and (ci[0] > 0 or ci[1] < 0) and found.null is not None:
        spread = format_number(found.null.worst_subgroup)
        return f"no gain, for {plain} differs from itself by up to {spread} where only seeds differ"
    return "no gain is shown"


def _mean_sentence(found: Evidence) -> str:
    words = {
        "risen": "it has risen",
        "unchanged": f"unchanged, a loss of {found.margin:g} is excluded",
        "fallen": "it has fallen",
        "open": f"not shown to be unchanged, a loss of {found.margin:g} is not excluded",
    }
    mean = found.mean.mean
    parts = [
        f"the mean of all {plural(mean.n_cases, 'case')} changes by {_change_words(mean)}: {words[found.mean_word]}"
    ]
    if found.rest is not None:
        parts.append(f"the rest changes by {_change_words(found.rest.mean)}")
    return "; ".join(parts)


def _chance_sentence(found: Evidence, n_models: int) -> str:
    chance = f"Intervals run over {over_words(found.mean.mean)}"
    if found.mean.mean.n_seeds == 1:
        chance += ": one training a model and fold, and another seed may give another answer"
    several = f" The largest change of {n_models} strategies, each judged on its own." if n_models > 1 else ""
    return f"{chance}.{several}"


def _change_words(mean: MeanOverSeeds) -> str:
    return f"{format_number(mean.value, signed=True)} (95% interval {format_interval(mean.ci, signed=True)})"


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
