"""Gates: sentences such as `FS >= 0.85` that an audit passes, fails, or leaves undecided.

A gate is decided by the interval of what it names, never by the point: an audit that is too small to tell is undecided.
The grammar is five forms; nothing is evaluated as code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from segfair.errors import ConfigError
from segfair.results import AuditResult, GateFacts
from segfair.subgroups import Divergence, SubgroupTable

__all__ = ["EXIT_FAILED", "EXIT_UNDECIDED", "check_gates", "exit_code", "parse_gate"]

EXIT_FAILED, EXIT_UNDECIDED = 1, 3

State = Literal["pass", "fail", "undecided"]
Check = Callable[[AuditResult], tuple[State, str]]

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_NUMBER = r"(?P<limit>[-+]?(?:\d+\.?\d*|\.\d+))"
_FORMS = (
    (re.compile(rf"(?P<score>DSC|NormHD|PS|FS|TS)\s*(?P<sign>>=|>|<=|<)\s*{_NUMBER}"), "_score"),
    (re.compile(rf"worst\.(?P<outcome>\w+)\s*(?P<sign>>=|>|<=|<)\s*{_NUMBER}"), "_worst"),
    (re.compile(r"within_margin\(\s*(?P<attribute>[^()]+?)\s*\)"), "_within_margin"),
    (re.compile(r"significant\(\s*(?P<outcome>\w+)\s*\)\s*==\s*0"), "_significant"),
    (re.compile(rf"coverage\s*(?P<sign>>=|>)\s*{_NUMBER}"), "_coverage"),
)
GRAMMAR = (
    '"FS >= 0.85" (or DSC, NormHD, PS, TS), "worst.dsc > 0.5", "within_margin(sex)", "significant(dsc) == 0", '
    '"coverage >= 0.98"'
)


def check_gates(result: AuditResult, gates: Iterable[str]) -> tuple[GateFacts, ...]:
    """Decides every gate on an audit.

    Raises:
        ConfigError: A gate outside of the grammar, or about something the audit did not examine.
    """
    return tuple(GateFacts(gate, *parse_gate(gate)(result)) for gate in gates)


def exit_code(gates: Sequence[GateFacts]) -> int:
    """0: all passed; 1: at least one failed; 3: at least one is undecided and none failed."""
    states = {gate.state for gate in gates}
    return EXIT_FAILED if "fail" in states else EXIT_UNDECIDED if "undecided" in states else 0


def parse_gate(gate: str) -> Check:
    """Reads one gate.

    Raises:
        ConfigError: Not one of the forms.
    """
    for pattern, form in _FORMS:
        match = pattern.fullmatch(gate.strip())
        if match:
            found = match.groupdict()
            sign, limit = found.get("sign"), float(found.get("limit") or 0.0)
            if form == "_score":
                return lambda result: _score(result, found["score"], str(sign), limit)
            if form == "_worst":
                return lambda result: _worst(result, found["outcome"], str(sign), limit)
            if form == "_within_margin":
                return lambda result: _within_margin(result, found["attribute"])
            if form == "_significant":
                return lambda result: _significant(result, found["outcome"])
            return lambda result: _coverage(result, str(sign), limit)
    raise ConfigError(f"gate {gate!r}: not understood; the forms are {GRAMMAR}")


def _by_interval(low: float, high: float, sign: str, limit: float) -> State:
    """Pass if the whole interval fulfils the comparison, fail if none of it does."""
    compare = _COMPARE[sign]
    if compare(low, limit) and compare(high, limit):
        return "pass"
    if not compare(low, limit) and not compare(high, limit):
        return "fail"
    return "undecided"


def _score(result: AuditResult, name: str, sign: str, limit: float) -> tuple[State, str]:
    score = result.scores.get(name)
    if score is None:
        raise ConfigError(f"gate on {name}: this audit has no {name}; it needs DSC and NormHD of every case")
    if score.value is None:
        return "undecided", f"{name} has no value: {score.reason}"
    if score.ci is None:
        return "undecided", f"{name} is {score.value:.4f}, too few cases for an interval"
    low, high = score.ci
    return _by_interval(
        low, high, sign, limit
    ), f"{name} is {score.value:.4f}, 95 % interval {low:.4f} to {high:.4f}"


def _worst(result: AuditResult, outcome: str, sign: str, limit: float) -> tuple[State, str]:
    """Every judged subgroup has to fulfil the comparison; simultaneous bounds, so that all hold together."""
    table = _table(result, outcome)
    bounds = [
        (row, table.mean + row.ci_simultaneous[0], table.mean + row.ci_simultaneous[1])
        for row in table
        if row.ci_simultaneous is not None and table.mean is not None
    ]
    if not bounds:
        return "undecided", "no subgroup is large enough to be judged"
    states = [_by_interval(low, high, sign, limit) for _, low, high in bounds]
    worst = max(range(len(bounds)), key=lambda index: ("pass", "undecided", "fail").index(states[index]))
    row, low, high = bounds[worst]
    reason = f"{row.subgroup.name} (n = {row.n}) has a mean {outcome} of {row.mean:.4f}, {low:.4f} to {high:.4f} simultaneously"
    return states[worst], reason


def _within_margin(result: AuditResult, attribute: str) -> tuple[State, str]:
    outcome = result.primary_outcome
    if outcome not in result.config.margin:
        raise ConfigError(f"gate within_margin({attribute}): declare a margin, for example --margin {outcome}=0.05")
    facts = next((entry for entry in result.attributes if entry.name == attribute), None)
    if facts is None:
        names = ", ".join(entry.name for entry in result.attributes) or "none"
        raise ConfigError(f"gate within_margin({attribute}): not an attribute of this audit; there are {names}")
    rows = _levels(result, attribute)
    margin = result.config.margin[outcome]
    beyond = [level for level, row in rows.items() if row.margin == "beyond margin"]
    if beyond:
        return "fail", f"{attribute} = {beyond[0]} lies beyond the margin of {margin:g} in {outcome}"
    open_levels = [
        level.level
        for level in facts.levels
        if level.n and (level.level not in rows or rows[level.level].margin != "within margin")
    ]
    if open_levels:
        return (
            "undecided",
            f"insufficient evidence for {attribute} = {', '.join(open_levels)} at a margin of {margin:g}",
        )
    return "pass", f"every level of {attribute} lies within the margin of {margin:g} in {outcome}"


def _levels(result: AuditResult, attribute: str) -> dict[str, Divergence]:
    """Level -> its row, from the primary family where the attribute was fixed beforehand."""
    tables = [result.primary_subgroups, result.subgroups[result.primary_outcome]]
    rows: dict[str, Divergence] = {}
    for table in tables:
        for row in table or ():
            for subgroup in (row.subgroup, *row.aliases):
                if len(subgroup) == 1:
                    ((name, level),) = subgroup.items
                    if name == attribute:
                        rows.setdefault(level, row)
    return rows


def _significant(result: AuditResult, outcome: str) -> tuple[State, str]:
    table = _table(result, outcome)
    found = [row for row in table if row.significant]
    if found:
        return "fail", f"{len(found)} significant subgroups, the worst is {found[0].subgroup.name}"
    gap = result.config.power_gap
    blind = [entry for entry in result.power if entry.detectable_gap is None or entry.detectable_gap > gap]
    if outcome != result.primary_outcome or blind or not result.power:
        return "undecided", (
            f"none of {result.outcomes[outcome].n_tested} tested groups stands out, but this cohort cannot detect a gap of "
            f"{gap:g} with 80 % power in {len(blind)} of {len(result.power)} levels"
        )
    return (
        "pass",
        f"no significant subgroup, and a gap of {gap:g} would have been detected with 80 % power in every level",
    )


def _coverage(result: AuditResult, sign: str, limit: float) -> tuple[State, str]:
    """The share of the chosen cases that were scored on a usable prediction; counted, not estimated."""
    usable = result.cases.n_scored - len(result.cases.penalised)
    chosen = result.cases.n_scored + len(result.cases.excluded)
    share = usable / chosen if chosen else 0.0
    return "pass" if _COMPARE[sign](
        share, limit
    ) else "fail", f"{usable} of {chosen} cases were scored on a usable prediction"


def _table(result: AuditResult, outcome: str) -> SubgroupTable:
    if outcome not in result.subgroups:
        raise ConfigError(
            f"gate on {outcome}: not an outcome of this audit ({', '.join(result.subgroups)}); name it with --outcome"
        )
    return result.subgroups[outcome]
