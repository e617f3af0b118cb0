"""The answer of an audit in one word and one sentence, and one clause for a subgroup. Computes no statistic."""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.result import AuditConfig, AuditResult, Finding, PowerFacts, Subgroups, Verdict
from segfair.audit.significance import CONSTANT
from segfair.audit.words import (
    clean,
    evidence,
    format_number,
    harmful,
    metric_name,
    plural,
    subgroup_name,
)
from segfair.subgroups.lattice import Divergence, Estimate, SubgroupTable

__all__ = ["FOUND", "compared", "describe_row", "detectable", "headline", "reach_verdict"]

FOUND = "disparity found"


def reach_verdict(config: AuditConfig, subgroups: Subgroups) -> Verdict:
    """The answer: a disparity, no gap beyond the declared margin, no difference shown, open, or too few cases.

    Args:
        config: Margin, level, smallest group.
        subgroups: What was found of the primary outcome.
    """
    outcome = config.outcomes[0]
    facts, primary = subgroups.outcomes[outcome], subgroups.primary_levels
    margin = config.margin.get(outcome)
    # What was fixed beforehand speaks first.
    findings = sorted(subgroups.findings, key=lambda finding: not finding.declared)
    name = metric_name(outcome)
    families = subgroups.families
    judged = [row for row in families[0] if row.significant is not None]
    where = "levels fixed beforehand" if families[0] is primary else "subgroups"
    beyond = [row for family in families for row in family if row.margin == "beyond margin"]
    if beyond:
        row = next((row for found in findings for row in beyond if row.subgroup == found.items), beyond[0])
        text = f"{_label(row, families)}{describe_row(row, outcome, config)}"
        return Verdict(FOUND, f"Disparity found: {text}, beyond the margin of {margin:g}.", (row.subgroup,))
    if any(CONSTANT in note for note in facts.notes):
        return Verdict("no difference shown", f"No difference can be shown: {CONSTANT} in {name}.")
    if margin is not None and judged and all(row.margin == "within margin" for row in families[0]):
        return Verdict(
            "no gap beyond the declared margin",
            f"No gap beyond the declared margin of {margin:g} in {name}: none of {len(judged)} {where} can be further "
            "than that behind everybody else.",
        )
    if (found := _of_findings(findings, subgroups, config)) is not None:
        return found
    if margin is not None and judged:
        n_open = sum(row.margin != "within margin" for row in families[0])
        return Verdict(
            "open",
            f"Open: of {n_open} of {len(families[0])} {where} a deficit beyond the margin of {margin:g} in {name} can "
            "neither be shown nor be ruled out.",
        )
    if not judged:
        unit = "subjects" if config.subject_column else f"{config.unit}s"
        return Verdict(
            "too few cases", f"Too few cases: no group has {config.min_cases} {unit} and {config.min_cases} others."
        )
    n_tested = len(judged) if families[0] is primary else facts.n_tested
    tested = f"any of {n_tested} {where}" if n_tested > 1 else "the one group that was tested"
    return Verdict(
        "no difference shown",
        f"No difference in {name} was shown between {tested} and everybody else"
        f"{detectable(subgroups.power, facts.n_cases, config)}.",
    )


def _of_findings(findings: Sequence[Finding], subgroups: Subgroups, config: AuditConfig) -> Verdict | None:
    """The verdict where something is beyond chance; None where nothing is, or nothing that the margin lets count."""
    outcome = config.outcomes[0]
    better, margin = subgroups[outcome].better, config.margin.get(outcome)

    def counts(finding: Finding) -> bool:
        row = subgroups.find(finding.items)
        return harmful(finding.estimate.value, better) and (row is None or row.margin != "within margin")

    def sentence(finding: Finding, before: str = "", behind: str = "") -> str:
        row = subgroups.find(finding.items)
        label = "" if finding.declared or len(subgroups.families) == 1 else "exploratory: "
        clause = describe_row(row, outcome, config, finding.estimate) if row else subgroup_name(finding.items.items)
        return f"Disparity found: {label}{before}{clause}{behind}."

    worse = list(filter(counts, findings))
    if worse:
        is_open = f"; whether it is beyond the margin of {margin:g} is open" if margin is not None else ""
        others = ", ".join(subgroup_name(other.items.items) for other in worse[1:4])
        more = f"; and {plural(len(worse) - 1, 'further finding')}: {others}" if len(worse) > 1 else ""
        groups = tuple(finding.items for finding in worse[:4])
        return Verdict(FOUND, sentence(worse[0], behind=f"{is_open}{more}"), groups)
    if findings and margin is None:
        best = ([finding for finding in findings if finding.declared] or findings)[-1]
        before = "the rest is worse off than one group: "
        return Verdict(FOUND, sentence(best, before), (best.items,))
    return None


def _label(row: Divergence, families: Sequence[SubgroupTable]) -> str:
    """What only the lattice shows is exploratory where levels were fixed beforehand."""
    return "exploratory: " if len(families) > 1 and not any(row is level for level in families[0]) else ""


def headline(result: AuditResult) -> Divergence | None:
    """The one subgroup that a report speaks of first; None where no subgroup is worse than everybody else.

    It is the verdict's, else the one of which most speaks that it is worse. In a copy made to be shared nobody takes
    the place of one that may not be told.
    """
    if result.verdict.kind == FOUND and not result.verdict.groups:
        return None
    found = result.subgroups
    table = found[found.primary_outcome]
    named = [*result.verdict.groups[:1], *([found.worst_off.items] if found.worst_off else [])]
    for row in map(found.find, named):
        if row is not None and harmful(row.difference, table.better):
            return row
    if result.about.shared:
        return None
    behind = [row for row in table if harmful(row.difference, table.better)]
    return next((row for row in behind if row.significant is not None), behind[0] if behind else None)


def detectable(power: Sequence[PowerFacts], n_cases: int, config: AuditConfig) -> str:
    """What "no difference shown" leaves open, as a clause; empty where nothing is known of it."""
    gaps = [entry.detectable_gap for entry in power if entry.detectable_gap is not None]
    if not gaps:
        return ""
    return f"; with {plural(n_cases, config.unit)} only gaps above about {min(gaps):.2f} would have been found"


def describe_row(row: Divergence, outcome: str, config: AuditConfig, estimate: Estimate | None = None) -> str:
    """One subgroup as a clause: who, how many, both means, and the difference with interval and adjusted p.

    Args:
        row: The subgroup.
        outcome: Of the table.
        config: Says what it was compared within.
        estimate: What is said of it; None: the row's own.
    """
    name, who = metric_name(outcome), subgroup_name(row.subgroup.items)
    estimate = estimate or row.estimate
    size = f"n = {row.n}"
    if estimate is not None and estimate.n_subjects is not None and estimate.n_subjects != row.n:
        size = f"n = {plural(row.n, config.unit)} of {plural(estimate.n_subjects, 'subject')}"
    text = f"mean {name} is {format_number(row.mean)} for {who} ({size})"
    if row.rest_mean is not None:
        text += f" and {format_number(row.rest_mean)} for everybody else"
    if estimate is None:
        return text
    details = [f"difference {compared(estimate, config)}{format_number(estimate.value, signed=True)}"]
    details += evidence(simultaneous=estimate.ci, pointwise=None, p_adjusted=estimate.p_adjusted)
    if row.rest_mean is not None and (estimate.kind != "difference" or estimate.units != "cases"):
        details.append(f"raw difference {format_number(row.mean - row.rest_mean, signed=True)}")
    return f"{text} ({', '.join(details)})"


def compared(estimate: Estimate, config: AuditConfig) -> str:
    """Within what the members are compared with others, where that is not plain."""
    within = [clean(config.stratify, length=40)] if config.stratify else []
    within += ["subjects"] if estimate.units == "cases within subjects" else []
    if within:
        return f"within {' and '.join(within)} "
    beside = "apart from the other findings " if estimate.kind == "difference within strata" else ""
    return f"over subjects {beside}" if estimate.units == "subjects" else beside
