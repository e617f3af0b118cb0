"""The answer of a comparison in words: harm first, levelling down named as such, and what cannot be excluded."""

from __future__ import annotations

from collections.abc import Sequence

from segfair.comparison import Comparison, SubgroupChange, Verdict

__all__ = ["largest_possible_loss", "reach_verdict"]


def reach_verdict(comparison: Comparison, *, identical: bool) -> Verdict:
    """The answer in a few words and one sentence.

    Args:
        comparison: Everything else that was found.
        identical: Whether every paired case has the same value of the primary outcome.
    """
    outcome = comparison.outcome.upper() if comparison.outcome in ("dsc", "iou") else comparison.outcome
    if identical:
        return Verdict("nothing changed", f"Every paired case has the same {outcome} in both audits: nothing changed.")
    sentences = [_mean_sentence(comparison, outcome), *_subgroup_sentences(comparison), *_levelling_down(comparison)]
    text = ". ".join(sentences) + "."
    if comparison.levelling_down:
        return Verdict("levelling down", text)
    if comparison.harmed:
        return Verdict("gains and harm found" if comparison.gained else "harm found", text)
    return Verdict("gain found" if comparison.gained else "no change shown", text)


def largest_possible_loss(comparison: Comparison) -> float | None:
    """The largest loss on the primary outcome that the simultaneous intervals leave possible for a tested subgroup."""
    ends = [
        -entry.ci_simultaneous[0] if comparison.better == "higher" else entry.ci_simultaneous[1]
        for entry in comparison.subgroups[comparison.outcome]
        if entry.significant is not None and entry.ci_simultaneous
    ]
    return max(0.0, *ends) if ends else None


def _mean_sentence(comparison: Comparison, outcome: str) -> str:
    change = comparison.metrics.get(comparison.outcome)
    if change is None or change.difference is None:
        return f"No paired case has a value of {outcome} in both audits"
    text = f"Mean {outcome} went from {_shown(change.before)} to {_shown(change.after)}"
    if change.ci:
        text += f" ({change.difference:+.3g}, 95 % interval {change.ci[0]:+.3g} to {change.ci[1]:+.3g})"
    return text


def _subgroup_sentences(comparison: Comparison) -> list[str]:
    harmed, gained = comparison.harmed, comparison.gained
    tested = sum(entry.significant is not None for entry in comparison.subgroups[comparison.outcome])
    if not tested:
        return ["No subgroup is large enough to be judged"]
    found = []
    if harmed:
        found.append(
            f"{_count(harmed, tested)} {'was' if len(harmed) == 1 else 'were'} harmed, most of all {_who(harmed[0])}"
        )
    if gained:
        found.append(f"{_count(gained, tested)} gained, most of all {_who(gained[0])}")
    if not harmed:
        none = "None is shown to have been harmed" if gained else f"None of {tested} subgroups is shown to have changed"
        bound = largest_possible_loss(comparison)
        found.append(none if bound is None else f"{none}, and losses of more than {bound:.3g} are excluded for all")
    return found


def _levelling_down(comparison: Comparison) -> list[str]:
    found = []
    for entry in comparison.levelling_down:
        harmed = [level.items[entry.name] for level in entry.levels if level.standing == "harmed"]
        lost = ", ".join(level for level in harmed if level != entry.worst_before)
        found.append(
            f"Levelling down: between the levels of {entry.name} the gap narrowed from {_shown(entry.before)} to "
            f"{_shown(entry.after)} because {lost} lost, while {entry.worst_before}, served worst before, did not gain"
        )
    return found


def _count(changes: Sequence[SubgroupChange], tested: int) -> str:
    return f"{len(changes)} of {tested} subgroups"


def _who(change: SubgroupChange) -> str:
    text = f"{change.name} (n = {change.n}, {_shown(change.before)} to {_shown(change.after)}"
    return text + (f", adjusted p {change.p_adjusted:.3g})" if change.p_adjusted is not None else ")")


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"
