"""The answer of a comparison in words: harm first, levelling down named, what stays open. Computes nothing."""

from __future__ import annotations

from segfair.audit.words import (
    clean,
    format_interval,
    format_number,
    format_p,
    metric_digits,
    metric_name,
    plural,
    subgroup_name,
)
from segfair.compare.result import ChangeFinding, Comparison, SubgroupChange, Verdict

__all__ = ["largest_possible_loss", "outcome_digits", "reach_verdict"]


def reach_verdict(comparison: Comparison, *, identical: bool) -> Verdict:
    """The answer in a few words and one sentence.

    Args:
        comparison: Everything else that was found.
        identical: Whether every paired case has the same value of the primary outcome.
    """
    name = metric_name(comparison.outcome)
    if identical:
        return Verdict("nothing changed", f"Every paired case has the same {name} in both audits: nothing changed.")
    text = ". ".join([_mean_sentence(comparison), *_subgroup_sentences(comparison), *_levelling_down(comparison)])
    if comparison.levelling_down:
        return Verdict("levelling down", f"{text}.")
    if comparison.harmed:
        return Verdict("gains and harm found" if comparison.gained else "harm found", f"{text}.")
    return Verdict("gain found" if comparison.gained else "no change shown", f"{text}.")


def largest_possible_loss(comparison: Comparison) -> float | None:
    """The largest loss on the primary outcome that the simultaneous intervals leave possible for a tested subgroup."""
    ends = [
        -entry.ci_simultaneous[0] if comparison.better == "higher" else entry.ci_simultaneous[1]
        for entry in comparison.subgroups[comparison.outcome]
        if entry.significant is not None and entry.ci_simultaneous
    ]
    return max(0.0, *ends) if ends else None


def outcome_digits(comparison: Comparison, outcome: str | None = None) -> int:
    """Decimals for one outcome's means and changes; the primary outcome's by default."""
    name = outcome or comparison.outcome
    means = [value for row in comparison.subgroups[name] for value in (row.before, row.after)]
    change = comparison.metrics.get(name)
    return metric_digits([*means, change.before, change.after] if change else means)


def _mean_sentence(comparison: Comparison) -> str:
    change = comparison.metrics.get(comparison.outcome)
    name, digits = metric_name(comparison.outcome), outcome_digits(comparison)
    if change is None or change.difference is None:
        return f"No paired case has a value of {name} in both audits"
    text = f"Mean {name} went from {format_number(change.before, digits)} to {format_number(change.after, digits)}"
    details = format_number(change.difference, digits, signed=True)
    if change.ci:
        details += f", 95% interval {format_interval(change.ci, digits, signed=True)}"
    return f"{text} ({details})"


def _subgroup_sentences(comparison: Comparison) -> list[str]:
    harmed, gained, digits = comparison.harmed, comparison.gained, outcome_digits(comparison)
    tested = sum(entry.significant is not None for entry in comparison.subgroups[comparison.outcome])
    if not tested:
        return ["No subgroup is large enough to be judged"]
    found = []
    if harmed:
        were = "was" if len(harmed) == 1 else "were"
        found.append(f"{len(harmed)} of {tested} subgroups {were} harmed, most of all {_who(harmed[0], digits)}")
    if gained:
        found.append(f"{len(gained)} of {tested} subgroups gained, most of all {_who(gained[0], digits)}")
    if comparison.findings:
        told = "; ".join(_finding(finding, digits) for finding in comparison.findings[:3])
        found.append(f"What differs goes back to {plural(len(comparison.findings), 'finding')}: {told}")
    if not harmed:
        none = "None is shown to have been harmed" if gained else f"None of {tested} subgroups is shown to have changed"
        bound = largest_possible_loss(comparison)
        if bound is not None and round(bound, digits) > 0:
            none += f"; losses of up to {format_number(bound, digits)} cannot be excluded"
        found.append(none)
    return found


def _finding(finding: ChangeFinding, digits: int) -> str:
    """Who changed otherwise than everybody else, and by how much."""
    estimate = finding.estimate
    interval = f", {format_interval(estimate.ci, digits, signed=True)}" if estimate.ci else ""
    value = format_number(estimate.value, digits, signed=True)
    who = subgroup_name(finding.items.items(), length=40)
    return f"{who} (n = {estimate.n_cases}) changed by {value}{interval} against everybody else"


def _levelling_down(comparison: Comparison) -> list[str]:
    found, digits = [], outcome_digits(comparison)
    for entry in comparison.levelling_down:
        lost = ", ".join(clean(level, length=40) for level in entry.lost)
        found.append(
            f"Levelling down: between the levels of {clean(entry.name, length=40)} the gap narrowed from "
            f"{format_number(entry.before, digits)} to {format_number(entry.after, digits)} because {lost} lost, while "
            f"{clean(entry.worst_before, length=40)}, served worst before, is not shown to have gained"
        )
    return found


def _who(change: SubgroupChange, digits: int) -> str:
    means = f"{format_number(change.before, digits)} to {format_number(change.after, digits)}"
    p_value = f", adjusted p {format_p(change.p_adjusted)}" if change.p_adjusted is not None else ""
    return f"{subgroup_name(change.pairs, length=40)} (n = {change.n}, {means}{p_value})"
