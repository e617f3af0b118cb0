"""What an audit can say to an item of a checklist: one short sentence a fact, and where it stands in `audit.json`.

Names no case and quotes no alert, notice or path: those may hold ids. Of an audit that was made to be shared it says
what is left in it. Computes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from segfair.audit.judging.verdict import headline
from segfair.audit.result import AuditResult, OutcomeFacts
from segfair.audit.words import (
    clean,
    format_interval,
    format_number,
    format_p,
    format_share,
    metric_name,
    plural,
    subgroup_name,
)

__all__ = ["FACTS", "RECORD", "Fact", "fact_of"]

RECORD = "record."
"""Facts of this beginning are keys of the record of the study, whatever they are called."""
_SHOWN = 4
_CLUSTER = re.compile(
    r"(.*[\W_])?(sites?|cent(er|re)s?|hospitals?|clinics?|institut(ion|e)s?|scanners?|devices?|vendors?|manufacturers?"
    r"|countr(y|ies)|regions?)([\W_].*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that an audit may hold.

    Attributes:
        place: Where it stands in `audit.json`; several places with commas between them.
        tell: What it says, in a sentence; empty where the audit does not hold it.
        remedy: How an audit comes to hold it.
    """

    place: str
    tell: Callable[[AuditResult], str]
    remedy: str


def fact_of(name: str) -> Fact:
    """A fact by its name.

    Raises:
        KeyError: There is none of that name.
    """
    if not name.startswith(RECORD):
        return FACTS[name]
    key = name.removeprefix(RECORD)

    def tell(result: AuditResult) -> str:
        return _plain(result.about.record.get(key))

    return Fact(name, tell, f"write `{key}` into study.toml (--record)")


def _plain(value: object) -> str:
    """A value of the record as text."""
    if isinstance(value, Mapping):
        return "; ".join(f"{clean(key, length=60)}: {_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return "" if value is None else clean(value, length=400)


def _case_flow(result: AuditResult) -> str:
    counts = result.cases.counts
    if result.about.shared:
        return f"{plural(counts.n_scored, 'case')} in every mean"
    return (
        f"{plural(counts.n_scored, 'case')} in every mean, {len(counts.penalised):,} of them with the worst score; "
        f"{len(counts.excluded):,} excluded"
    )


def _unusable(result: AuditResult) -> str:
    if result.about.shared:
        return ""
    counts = result.cases.counts
    return (
        f"{plural(len(counts.penalised), 'unusable prediction')}, counted with the worst score "
        f"({len(counts.missing_predictions):,} missing); {plural(len(counts.unusable), 'case')} could not be audited"
    )


def _missing_values(result: AuditResult) -> str:
    columns = result.attributes.columns
    if not columns or result.about.shared:
        return ""
    lacking = {name: facts.n_missing for name, facts in columns.items() if facts.n_missing}
    if not lacking:
        return f"no value is missing in {plural(len(columns), 'column')}"
    return "values missing: " + _first(f"{clean(name, length=40)} {count:,}" for name, count in lacking.items())


def _columns(result: AuditResult) -> str:
    columns = result.attributes.columns
    return _first(f"{clean(name, length=40)} read as {facts.read_as}" for name, facts in columns.items())


def _binning(result: AuditResult) -> str:
    return _first(
        f"{clean(name, length=40)}: {plural(len(bins.levels), 'level')}, {clean(bins.binning, length=80)}"
        for name, bins in result.attributes.bins.items()
    )


def _group_sizes(result: AuditResult) -> str:
    told = []
    for entry in result.attributes.facts:
        sizes = [level.n for level in entry.levels]
        if sizes:
            levels = plural(len(sizes), "level")
            least, most = f"{min(sizes):,}", f"{max(sizes):,}"
            span = least if least == most else f"{least} to {most}"
            told.append(f"{clean(entry.name, length=40)}: {levels} of {span} cases")
    return _first(told)


def _small_groups(result: AuditResult) -> str:
    least = result.about.config.min_cases
    levels = [level for entry in result.attributes.facts for level in entry.levels]
    if not levels:
        return ""
    return f"{sum(level.small for level in levels):,} of {plural(len(levels), 'level')} have fewer than {least} cases"


def _performance(result: AuditResult) -> str:
    told = [
        f"{name} {format_number(score.value)}" + (f" ({format_interval(score.ci)})" if score.ci else "")
        for name, score in result.scores.items()
        if score.value is not None
    ]
    mean = _outcome(result).mean
    if _metric(result) not in result.scores and mean is not None:
        told.insert(0, f"mean {_metric(result)} {format_number(mean)}")
    return ", ".join(told)


def _uncertainty(result: AuditResult) -> str:
    return f"95% intervals; {clean(_outcome(result).method, length=300)}"


def _subgroup_performance(result: AuditResult) -> str:
    table = result.subgroups[result.subgroups.primary_outcome]
    if not len(table):
        return ""
    told = f"{_outcome(result).n_tested:,} of {plural(len(table), 'subgroup')} tested together"
    row = headline(result)
    if row is None:
        return told
    told += (
        f"; lowest standing: {subgroup_name(row.subgroup.items)} (n {row.n:,}), mean {_metric(result)} "
        f"{format_number(row.mean)} against {format_number(row.rest_mean)} in the others"
    )
    if row.estimate is not None and row.estimate.ci is not None:
        told += f", difference {format_number(row.estimate.value, signed=True)} ({format_interval(row.estimate.ci)})"
    return told + ("" if row.p_adjusted is None else f", adjusted p {format_p(row.p_adjusted)}")


def _findings(result: AuditResult) -> str:
    found = result.subgroups.findings
    if not found:
        return "no subgroup stands apart beyond chance"
    return _first(
        f"{subgroup_name(entry.items.items)} (difference {format_number(entry.estimate.value, signed=True)})"
        for entry in found
    )


def _adjusted(result: AuditResult) -> str:
    rows = [row for row in result.subgroups[result.subgroups.primary_outcome] if row.adjusted is not None]
    if not rows or rows[0].adjusted is None:
        return ""
    covariates = ", ".join(rows[0].adjusted.covariates).replace("_", " ")
    return f"differences at equal {covariates} of {plural(len(rows), 'subgroup')}"


def _power(result: AuditResult) -> str:
    gaps = [facts.detectable_gap for facts in result.subgroups.power if facts.detectable_gap is not None]
    if not gaps:
        return ""
    return (
        f"gaps of {format_number(min(gaps))} to {format_number(max(gaps))}, by level, would have been shown with a "
        "power of 80%"
    )


def _metrics(result: AuditResult) -> str:
    named = _first(metric_name(entry.name) for entry in result.cases.metrics)
    return f"{named}; each with its definition" if named else ""


def _fairness(result: AuditResult) -> str:
    gaps = [entry for entry in result.attributes.facts if entry.disparity and entry.disparity.value is not None]
    told = [
        f"D_v of {clean(entry.name, length=40)} {format_number(entry.disparity.value)}"
        for entry in gaps
        if entry.disparity
    ]
    score = result.scores.by_name.get("FS")
    if score is not None and score.value is not None:
        chance = f" (by chance alone {format_number(score.chance.mean)})" if score.chance else ""
        told.insert(0, f"FS {format_number(score.value)}{chance}")
    return _first(told)


def _clusters(result: AuditResult) -> str:
    return _first(
        f"{clean(entry.name, length=40)}: {plural(len(entry.levels), 'level')}"
        for entry in result.attributes.facts
        if entry.levels and _CLUSTER.fullmatch(entry.name)
    )


def _fixed_beforehand(result: AuditResult) -> str:
    config = result.about.config
    told = (
        [f"primary attributes {', '.join(clean(name, length=40) for name in config.primary)}"] if config.primary else []
    )
    told += [f"margin {format_number(value)} in {metric_name(name)}" for name, value in config.margin.items()]
    if (plan := result.about.plan) is not None:
        held = "as planned" if not plan.differences else f"{plural(len(plan.differences), 'difference')} to the plan"
        told.append(f"plan with SHA-256 {plan.digest}: {held}")
    return "; ".join(told)


def _gates(result: AuditResult) -> str:
    return _first(f"{clean(entry.gate, length=60)}: {entry.state}" for entry in result.verdict.gates)


def _failures(result: AuditResult) -> str:
    rates = [level.failure_rate for entry in result.attributes.facts for level in entry.levels]
    known = [rate for rate in rates if rate is not None]
    if not known:
        return ""
    return (
        f"failure rates of {plural(len(known), 'level')}, from {format_share(min(known))} to {format_share(max(known))}"
    )


def _second_labels(result: AuditResult) -> str:
    found, raters = result.subgroups.second_labels, result.subgroups.raters
    if raters is not None:
        agreed = "" if raters.agreement is None else f", who agree with a mean DSC of {format_number(raters.agreement)}"
        return f"{plural(len(raters.names), 'rater')}{agreed}; measured with {clean(raters.reference, length=60)}"
    if found is None:
        return ""
    agreement = (
        "" if found.agreement is None else f"; the two labels agree with a mean DSC of {format_number(found.agreement)}"
    )
    return f"{plural(found.n_paired, 'case')} against a second set of labels{agreement}"


def _definitions(result: AuditResult) -> str:
    found = result.scores.definitions
    return f"scores under {plural(len(found), 'definition')} of NormHD" if found else ""


def _alerts(result: AuditResult) -> str:
    # Their texts may name cases.
    kinds: dict[str, int] = {}
    for alert in result.verdict.alerts:
        kinds[alert.kind] = kinds.get(alert.kind, 0) + 1
    told = ", ".join(f"{clean(kind, length=40)} ({count})" for kind, count in kinds.items())
    return f"{plural(len(result.verdict.alerts), 'alert')}: {told}" if told else ""


def _de_identification(result: AuditResult) -> str:
    if result.about.shared:
        return "no ids, paths, rows of cases, or groups of under 5"
    return "pseudonyms stand for case ids" if result.about.pseudonym_key else ""


def _protocol(result: AuditResult) -> str:
    rules = result.about.config.protocol
    return f"scoring rules {clean(rules.name, length=60)}, SHA-256 {rules.digest[:12]}"


def _versions(result: AuditResult) -> str:
    return _first(
        f"{clean(name, length=40)} {clean(found, length=40)}" for name, found in result.about.versions.items()
    )


def _worst_cases(result: AuditResult) -> str:
    gallery = result.cases.gallery
    return "pictures of the worst cases" if gallery is not None else ""


def _first(texts: Iterable[str]) -> str:
    """The first few of some texts, and how many more there are."""
    listed = list(texts)
    more = len(listed) - _SHOWN
    return "; ".join(listed[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def _outcome(result: AuditResult) -> OutcomeFacts:
    return result.subgroups.outcomes[result.subgroups.primary_outcome]


def _metric(result: AuditResult) -> str:
    return metric_name(result.subgroups.primary_outcome)


_AUDIT = "audit with a metadata table"
FACTS: Mapping[str, Fact] = {
    "adjusted": Fact("subgroups", _adjusted, "audit masks, or name covariates (--adjust)"),
    "alerts": Fact("alerts", _alerts, "the audit raised no alert; say so in words"),
    "binning": Fact("bins", _binning, _AUDIT),
    "case_flow": Fact("cases", _case_flow, "audit"),
    "clusters": Fact("attributes", _clusters, "give the metadata a column such as `site` or `scanner`"),
    "columns": Fact("columns", _columns, _AUDIT),
    "de_identification": Fact("shared, pseudonym_key", _de_identification, "--pseudonymise or --share"),
    "definitions": Fact("definitions", _definitions, "audit masks with DSC and NormHD"),
    "failures": Fact("attributes", _failures, "audit masks, or scores with DSC; shared folders have none"),
    "fairness": Fact("attributes", _fairness, "audit masks with DSC and NormHD"),
    "findings": Fact("verdict", _findings, "audit"),
    "fixed_beforehand": Fact(
        "config", _fixed_beforehand, "fix attributes and margins beforehand (--primary, --margin)"
    ),
    "gates": Fact("gates", _gates, "set acceptance criteria beforehand (--gate)"),
    "group_sizes": Fact("attributes", _group_sizes, _AUDIT),
    "metrics": Fact("metrics", _metrics, "audit"),
    "missing_values": Fact("columns", _missing_values, "audit with a metadata table; shared folders have none"),
    "performance": Fact("outcomes, scores", _performance, "audit"),
    "power": Fact("power", _power, "audit with groups that are large enough, or segfair power"),
    "protocol": Fact("protocol", _protocol, "audit"),
    "second_labels": Fact("two_rulers, raters", _second_labels, "audit with --labels2"),
    "small_groups": Fact("attributes", _small_groups, _AUDIT),
    "subgroup_performance": Fact("subgroups", _subgroup_performance, _AUDIT),
    "uncertainty": Fact("outcomes", _uncertainty, "audit"),
    "unusable": Fact("cases", _unusable, "the full audit; shared folders do not say"),
    "verdict": Fact("verdict", lambda result: clean(result.verdict.kind, length=80), "audit"),
    "versions": Fact("versions", _versions, "audit"),
    "worst_cases": Fact("gallery", _worst_cases, "audit masks with --images; shared folders have no pictures"),
}
"""Name -> fact."""
