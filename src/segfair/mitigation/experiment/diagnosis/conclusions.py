"""Why a model serves a subgroup worse, in words, and what follows from it; several reasons may hold at once.

Measures nothing: `learning` and `deficit` do. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from segfair.audit.words import format_number
from segfair.mitigation.experiment.diagnosis.deficit import AdjustedGap, Deficit, Failures
from segfair.mitigation.experiment.diagnosis.learning import (
    GAP,
    MIN_ASKED,
    Change,
    HeldOut,
    Learning,
    ModelParts,
    Part,
    Response,
    is_low,
    learning_of,
    learning_sentence,
    response_of,
)

__all__ = ["Cause", "Diagnosis", "Kind", "diagnose", "diagnose_models"]

Kind = Learning | Literal["a few failures", "size", "contrast or sharpness"]

_REASONS: dict[Learning, str] = {
    "no gap": "no gap remains",
    "rare and under-learned": "the network does not fit its training cases as well as others, and saw few of them",
    "learned but not generalising": "the network fits its training cases about as well as others, and fails on new "
    "ones",
    "not fitted": "the network does not fit its training cases as well as others, and whether more draws would help is "
    "not tested: no model of this run drew them much more often than a plain one that does not fit them",
    "too little trained": "the network fits the training cases neither of the subgroup nor of the others",
    "insufficient evidence": "too few cases to tell why",
}
"""Without other models; "hard in itself" is never told without them."""
_ADVICE: dict[Learning, str] = {
    "no gap": "No gap is left to close",
    "rare and under-learned": "Draw it more often, or train longer",
    "learned but not generalising": "Collect more cases of it, or augment more strongly",
    "hard in itself": "Drawing it more often has not helped: look at its images and labels",
    "not fitted": "Train a model that draws it more often, such as balanced, and see whether that helps",
    "too little trained": "Train longer, or a larger network, before anything else",
    "insufficient evidence": "More cases of it are needed before anything follows",
}
_FROM_RESPONSE: dict[Change, str] = {
    "closes": "{model}, which saw them more often ({share:.1f} % of what it was trained on), has less than half of the "
    "plain model's gap, among new cases as well",
    "is learned alone": "{model}, which saw them more often ({share:.1f} % of what it was trained on), has less than "
    "half of the plain model's gap among them, but not among new ones",
    "stays": "no model that saw them more often ({model}: {share:.1f} % of what it was trained on) has less than half "
    "of the plain model's gap among them",
}
"""What other models show of the training cases."""
_TOO_FEW = (
    "the network does not fit its training cases as well as others, and they are too few to tell by other models "
    "whether more draws would help"
)
_FITS: tuple[Learning, ...] = (
    "rare and under-learned",
    "learned but not generalising",
    "hard in itself",
    "not fitted",
)
"""Answers that compare the training Dice of the subgroup with that of the others alone."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One reason why a gap remains.

    Attributes:
        kind: In a few words.
        sentence: What was found, without a full stop.
        advice: What follows from it, without a full stop.
    """

    kind: Kind
    sentence: str
    advice: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why one model serves a subgroup worse.

    Attributes:
        kind: Whether the subgroup was learned.
        sentence: The answer with its numbers.
        training, validation: The subgroup among the cases trained on and among those held out.
        share: Share of the subgroup in what was trained on, as drawn or weighted.
        held_out: What the cases of `validation` are.
        causes: Everything that holds, `kind` among it; what leads away from the group comes first.
        recommendation: What follows, in whole sentences.
        deficit: What the deficit is made of; None where the cases were not looked at.
    """

    kind: Learning
    sentence: str
    training: Part
    validation: Part
    share: float
    held_out: HeldOut
    causes: tuple[Cause, ...]
    recommendation: str
    deficit: Deficit | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `comparison.json`."""
        return asdict(self)


def diagnose(
    training: Part,
    validation: Part,
    *,
    share: float,
    response: Response | None = None,
    held_out: HeldOut = "validation",
    deficit: Deficit | None = None,
) -> Diagnosis:
    """Why a subgroup is served worse by one model.

    Args:
        training: The subgroup among the training cases, scored without augmentation.
        validation: The subgroup among cases not trained on.
        share: See `drawn_share`.
        response: What its gap does in the models of the run that saw it more often than the plain one.
        held_out: What the cases not trained on are called.
        deficit: What its deficit among the judged cases is made of.
    """
    kind = learning_of(training, validation, share=share, response=response)
    reason = _reason(kind, training, validation, response)
    if kind in _FITS and is_low(training.dsc):
        reason = f"{reason} (a training Dice of {format_number(training.dsc)} is low in itself)"
    causes = (*_causes_of(deficit), Cause(kind, reason, _ADVICE[kind]))
    if len(causes) > 1 and kind in ("no gap", "insufficient evidence"):
        # Something is known: what is not is no reason beside it.
        causes = causes[:-1]
    return Diagnosis(
        kind,
        f"{reason}: {learning_sentence(training, validation, share, held_out)}",
        training,
        validation,
        share,
        held_out,
        causes,
        " ".join(f"{cause.advice}." for cause in causes),
        deficit,
    )


def _reason(kind: Learning, training: Part, held_out: Part, response: Response | None) -> str:
    """What was found, without a full stop."""
    if kind not in _FITS:
        return _REASONS[kind]
    missed, gap = training.gap or 0.0, held_out.gap or 0.0
    if kind == "learned but not generalising" and (missed < GAP or missed < gap / 2):
        behind = "the network falls behind on its training cases by less than half as much as on new ones"
        return _REASONS[kind] if missed < GAP else behind
    if response is not None:
        shown = _FROM_RESPONSE[response.change].format(model=response.model, share=100 * response.share)
        return f"the network does not fit its training cases as well as others; {shown}"
    if kind == "not fitted" and min(training.n, held_out.n) < MIN_ASKED:
        return _TOO_FEW
    return _REASONS[kind]


def diagnose_models(
    parts: Mapping[str, ModelParts],
    *,
    plain: str | None,
    held_out: HeldOut = "validation",
    deficits: Mapping[str, Deficit] | None = None,
) -> dict[str, Diagnosis]:
    """Diagnoses of one subgroup by the models of one run, each told what those show that saw it more often.

    Args:
        parts: Model -> its `training`, `validation` and `share`.
        plain: The model that the others are held against; None where the run has none.
        held_out: What the cases not trained on are called.
        deficits: Model -> what its deficit is made of.
    """
    others = {name: entry for name, entry in parts.items() if name != plain}
    response = None if plain is None else response_of(parts[plain], others)
    found = deficits or {}
    return {
        name: diagnose(training, validation, share=share, response=response, held_out=held_out, deficit=found.get(name))
        for name, (training, validation, share) in parts.items()
    }


def _causes_of(deficit: Deficit | None) -> tuple[Cause, ...]:
    """What leads away from the subgroup: single cases, and lesions that are hard in everybody."""
    if deficit is None:
        return ()
    causes = []
    if deficit.failures is not None and deficit.failures.few:
        causes.append(_few(deficit.failures))
    looks = f"contrast {_medians(deficit, 'contrast')}; edge sharpness {_medians(deficit, 'edge_sharpness')}"
    size = _lesions("size", deficit.size, f"of its size ({_medians(deficit, 'volume_mm3', digits=0)})")
    faint = _lesions("contrast or sharpness", deficit.looks, f"that look like its own ({looks})")
    answers = ((deficit.size.left, size), (deficit.looks.left, faint))
    # The simplest that explains most: what size explains is explained by size, contrast and sharpness as well.
    explained = [cause for wanted in ("gone", "less than half is left") for left, cause in answers if left == wanted]
    causes.extend(explained[:1])
    return tuple(causes)


def _few(failures: Failures) -> Cause:
    more = failures.n - len(failures.cases)
    named = ", ".join(failures.cases) + (f" and {more:,} more" if more else "")
    return Cause("a few failures", failures.words, f"Look at these cases first: {named}")


def _lesions(kind: Literal["size", "contrast or sharpness"], gap: AdjustedGap, like: str) -> Cause:
    equal = "size" if kind == "size" else "size, contrast and edge sharpness"
    left = "the gap is gone" if gap.left == "gone" else "less than half of the gap is left"
    cause = "is no cause by itself" if gap.left == "gone" else "is the smaller part of the cause"
    return Cause(
        kind,
        f"at equal {equal} {left}: {gap.words}",
        f"The group {cause}: look at lesions {like}, of whichever group",
    )


def _medians(deficit: Deficit, name: str, *, digits: int = 2) -> str:
    # Without a unit: a picture that states no size has none.
    own, rest = (format_number(side[name], digits) for side in (deficit.subgroup, deficit.rest))
    return f"median {own}, others {rest}"
