"""Gates: sentences such as `FS >= 0.85` that an audit passes, fails, or leaves undecided.

A gate is decided by the interval of what it names, never by the point: an audit that is too small to tell is
undecided. The grammar is five forms; nothing is evaluated as code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from segfair import stats
from segfair.audit.judging.causes import is_chosen
from segfair.audit.panel import Panel
from segfair.audit.result import TAUGHT_BINS, AuditConfig, AuditResult, GateFacts
from segfair.audit.significance import is_share, mean_limits
from segfair.audit.words import format_interval, format_number, metric_name, plural, subgroup_name
from segfair.errors import ConfigError, close_names, quoted
from segfair.stats.intervals.bounds import simultaneous_means
from segfair.subgroups.lattice import Divergence

__all__ = [
    "EXIT_FAILED",
    "EXIT_UNDECIDED",
    "GRAMMAR",
    "Gate",
    "check_gates",
    "exit_code",
    "parse_gate",
    "require_answerable",
]

EXIT_FAILED, EXIT_UNDECIDED = 1, 3

State = Literal["pass", "fail", "undecided"]
Form = Literal["score", "worst", "within_margin", "significant", "coverage"]
Judgement = tuple[State, str]

GRAMMAR = (
    '"FS >= 0.85" (or DSC, NormHD, PS, TS), "worst.dsc > 0.5", "within_margin(sex)", "significant(dsc) == 0", '
    '"coverage >= 0.98"'
)
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
_SCORES = {name.lower(): name for name in ("DSC", "NormHD", "PS", "FS", "TS")}
_COMPARISON = r"\s*(?P<sign>>=|>|<=|<)\s*(?P<limit>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
_FORMS: tuple[tuple[Form, re.Pattern[str]], ...] = (
    ("score", re.compile(rf"(?P<name>DSC|NormHD|PS|FS|TS){_COMPARISON}", re.IGNORECASE)),
    ("worst", re.compile(rf"worst\.(?P<name>[^\s<>=][^<>=]*?){_COMPARISON}")),
    ("within_margin", re.compile(r"within_margin\(\s*(?P<name>.+?)\s*\)")),
    ("significant", re.compile(r"significant\(\s*(?P<name>.+?)\s*\)\s*==\s*0")),
    ("coverage", re.compile(rf"coverage{_COMPARISON}")),
)


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate, read.

    Attributes:
        text: As it was written.
        form: Which of the five.
        name: Score, outcome or attribute that it is about.
        sign, limit: Comparison, where the form has one.
    """

    text: str
    form: Form
    name: str = ""
    sign: str = ""
    limit: float = 0.0


def parse_gate(text: str) -> Gate:
    """Reads one gate.

    Raises:
        ConfigError: Not one of the forms, a score compared in the wrong direction, or a limit that can never or always
            be met.
    """
    for form, pattern in _FORMS:
        match = pattern.fullmatch(text.strip())
        if match is None:
            continue
        found = match.groupdict()
        name, sign = found.get("name") or "", found.get("sign") or ""
        if form == "score":
            name = _SCORES[name.lower()]
        gate = Gate(text.strip(), form, name, sign, float(found.get("limit") or 0))
        if gate.sign:
            _require_direction(gate)
            _require_decision(gate)
        return gate
    raise ConfigError(f"gate {quoted(text)}: not understood; the forms are {GRAMMAR}")


def _require_direction(gate: Gate) -> None:
    """Refuses what asks for the worse; of `worst` only the audit knows the direction (see `require_answerable`)."""
    if gate.form == "coverage" and gate.sign not in (">=", ">"):
        raise ConfigError(f"gate {quoted(gate.text)}: a coverage is required from below, for example coverage >= 0.98")
    if gate.form == "score":
        _compare_with(gate, "lower" if gate.name == "NormHD" else "higher")


def _compare_with(gate: Gate, direction: str) -> None:
    if direction in ("higher", "lower") and (direction == "higher") != (gate.sign in (">=", ">")):
        wanted = ">= or >" if direction == "higher" else "<= or <"
        raise ConfigError(f"gate {quoted(gate.text)}: {direction} {gate.name} is better, so compare with {wanted}")


def _require_decision(gate: Gate) -> None:
    """Refuses a limit that every value meets, or none."""
    name = gate.name or gate.form
    share = gate.form == "coverage" or gate.name in ("DSC", "PS", "FS", "TS") or is_share(gate.name)
    if share and not 0 <= gate.limit <= 1:
        raise ConfigError(f"gate {quoted(gate.text)}: {name} lies between 0 and 1, got {gate.limit:g}")
    # A distance that is not clipped has no largest value.
    low, high = (0.0, 1.0) if share else (0.0, np.inf) if gate.name.lower() == "normhd" else (-np.inf, np.inf)
    met = [_COMPARE[gate.sign](end, gate.limit) for end in (low, high)]
    if all(met) or not any(met):
        raise ConfigError(
            f"gate {quoted(gate.text)}: decides nothing, since {name} is never "
            f"{'above' if gate.limit == high else 'below'} {gate.limit:g}"
            if gate.limit in (low, high)
            else f"gate {quoted(gate.text)}: {name} is never below 0, got {gate.limit:g}"
        )


def require_answerable(
    gates: Iterable[Gate],
    config: AuditConfig,
    *,
    directions: Mapping[str, str],
    attributes: Collection[str] | None = None,
) -> None:
    """Refuses gates that this audit will not be able to answer, before anything is scored.

    Args:
        gates: The gates.
        config: The audit's settings.
        directions: Metric that will be scored -> "higher", "lower" or "neither" (is better).
        attributes: Everything that could become an attribute; None: not known yet.

    Raises:
        ConfigError: A gate about something that will not be examined, or in the wrong direction.
    """
    for gate in gates:
        if gate.form in ("worst", "significant") and gate.name not in config.outcomes:
            raise ConfigError(
                f"gate {quoted(gate.text)}: {gate.name} is not an outcome of this audit "
                f"({', '.join(config.outcomes)}); name it with --outcome{close_names(gate.name, config.outcomes)}"
            )
        if gate.form == "worst":
            _compare_with(gate, directions.get(gate.name, ""))
        if gate.form == "score":
            needed = {"DSC": ("dsc",), "NormHD": ("normhd",)}.get(gate.name, ("dsc", "normhd"))
            absent = [name for name in needed if name not in directions]
            if absent:
                raise ConfigError(
                    f"gate {quoted(gate.text)}: {gate.name} needs {' and '.join(needed)}, and {' and '.join(absent)} "
                    "is not scored"
                )
        if gate.form == "within_margin":
            outcome = config.outcomes[0]
            if outcome not in config.margin:
                raise ConfigError(f"gate {quoted(gate.text)}: declare the margin, for example --margin {outcome}=0.05")
            if attributes is not None and gate.name not in attributes:
                raise ConfigError(
                    f"gate {quoted(gate.text)}: {gate.name} is not an attribute of this audit"
                    f"{close_names(gate.name, attributes)}; there are {', '.join(attributes) or 'none'}"
                )


def check_gates(result: AuditResult, gates: Iterable[str | Gate]) -> tuple[GateFacts, ...]:
    """Decides every gate on an audit.

    Args:
        result: The audit.
        gates: Gates; a repeated one counts once.

    Raises:
        ConfigError: A gate outside of the grammar, or about something the audit did not examine.
    """
    if result.about.shared:
        raise ConfigError("gates: this audit was made to be shared and leaves groups out; decide them on the full one")
    read = [parse_gate(gate) if isinstance(gate, str) else gate for gate in gates]
    require_answerable(
        read,
        result.about.config,
        directions={metric.name: metric.better for metric in result.cases.metrics},
        attributes=[entry.name for entry in result.attributes.facts],
    )
    judge: Mapping[Form, Callable[[AuditResult, Gate], Judgement]] = {
        "score": _score,
        "worst": _worst,
        "within_margin": _within_margin,
        "significant": _significant,
        "coverage": _coverage,
    }

    def decide(gate: Gate) -> GateFacts:
        state, reason = judge[gate.form](result, gate)
        doubt = _doubt(result, gate)
        return GateFacts(gate.text, "undecided" if doubt else state, reason + doubt)

    return tuple(map(decide, dict.fromkeys(read)))


def _doubt(result: AuditResult, gate: Gate) -> str:
    """Why a gate on the verdict is undecided whatever its numbers say, as a clause; empty where it is not."""
    on_verdict = gate.form == "within_margin" or (
        gate.form == "significant" and gate.name == result.subgroups.primary_outcome
    )
    open_ = [cause for cause in result.verdict.causes if cause.turns and not is_chosen(cause, result.about.config)]
    if not on_verdict or not open_:
        return ""
    what = " and on ".join(f"{cause.n_cases:,} {cause.what}" for cause in open_)
    return (
        f"; but the verdict rests on {what}, and nobody has said what they are worth (--missing-prediction worst or "
        "drop; for empty labels a protocol file of your own, or --where)"
    )


def exit_code(gates: Sequence[GateFacts]) -> int:
    """0: all passed; 1: at least one failed; 3: at least one is undecided and none failed."""
    states = {gate.state for gate in gates}
    return EXIT_FAILED if "fail" in states else EXIT_UNDECIDED if "undecided" in states else 0


def _by_interval(low: float, high: float, gate: Gate) -> State:
    """Pass if the whole interval fulfils the comparison, fail if none of it does."""
    met = [_COMPARE[gate.sign](end, gate.limit) for end in (low, high)]
    return "pass" if all(met) else "undecided" if any(met) else "fail"


def _score(result: AuditResult, gate: Gate) -> Judgement:
    score = result.scores.get(gate.name)
    value, interval, reason = (score.value, score.ci, score.reason) if score else (None, None, "")
    if score is None and gate.name in ("DSC", "NormHD"):
        value, interval = _mean(result, gate.name.lower())
    if value is None:
        return "undecided", f"{gate.name} has no value: {reason or 'DSC or NormHD is not known for every case'}"
    if interval is None:
        return "undecided", f"{gate.name} is {format_number(value, 4)}, too few cases for an interval"
    low, high = interval
    return _by_interval(low, high, gate), (
        f"{gate.name} is {format_number(value, 4)}, 95% interval {format_interval(interval, 4)}"
    )


def _mean(result: AuditResult, metric: str) -> tuple[float | None, tuple[float, float] | None]:
    """Mean of a metric that every case has, and its interval; the audit itself gives scores only with both."""
    panel = Panel.of_result(result)
    where, values = panel.defined(metric)
    if not len(where) or len(where) < len(panel):
        return None, None
    low, high = stats.mean_interval(
        values,
        rng=result.about.config.resampling.stream(f"gate/{metric}"),
        draws=result.about.config.bootstrap,
        subjects=panel.units.subjects,
        limits=mean_limits(metric, values, result.about.config),
    )
    return float(values.mean()), (low, high) if np.isfinite(low) and np.isfinite(high) else None


def _worst(result: AuditResult, gate: Gate) -> Judgement:
    """Every judged subgroup has to fulfil the comparison; bounds of the means that hold together."""
    table = result.subgroups[gate.name]
    panel = Panel.of_result(result)
    where, values = panel.defined(gate.name)
    if len(table) and not len(where):
        raise ConfigError(
            f"gate {quoted(gate.text)}: this audit.json holds no scores of single cases; use the one not shared"
        )
    panel = panel.select(where)
    members = np.array([panel.members(row.subgroup.items) for row in table], dtype=bool)
    bounds = simultaneous_means(
        members.reshape(len(table), len(where)),
        values,
        rng=result.about.config.resampling.stream(f"gate/worst.{gate.name}"),
        draws=result.about.config.bootstrap,
        subjects=panel.units.subjects,
        min_cases=result.about.config.min_cases,
    )
    judged = np.flatnonzero(np.isfinite(bounds[:, 0]))
    if not len(judged):
        return "undecided", f"no subgroup has the {result.about.config.min_cases} cases that it takes to be judged"
    states = {row: _by_interval(bounds[row, 0], bounds[row, 1], gate) for row in judged}
    order = ("pass", "undecided", "fail")
    reach = -bounds[:, 0] if gate.sign in (">=", ">") else bounds[:, 1]
    # Of the subgroups that decide, the one that reaches furthest to the wrong side.
    row = max(judged, key=lambda row: (order.index(states[row]), reach[row]))
    low, high = bounds[row]
    entry = table.rows[row]
    left = len(table) - len(judged)
    return states[row], (
        f"{subgroup_name(entry.subgroup.items)} (n = {entry.n}) has a mean {metric_name(gate.name)} of "
        f"{format_number(entry.mean, 4)}, {format_interval((float(low), float(high)), 4)} together with "
        f"{len(judged) - 1} other subgroups" + (f"; {left} are too small to be judged" if left else "")
    )


def _within_margin(result: AuditResult, gate: Gate) -> Judgement:
    outcome = result.subgroups.primary_outcome
    margin = result.about.config.margin[outcome]
    facts = next(entry for entry in result.attributes.facts if entry.name == gate.name)
    rows = _level_rows(result, gate.name)
    beyond = [level for level, row in rows.items() if row.margin == "beyond margin"]
    if beyond:
        listed = ", ".join(f"{level} ({_difference(rows[level])})" for level in beyond)
        return "fail", f"{gate.name}: {listed} beyond the margin of {margin:g} in {outcome}"
    levels = [level for level in facts.levels if level.n]
    unclear = [level for level in levels if level.level not in rows or rows[level.level].margin != "within margin"]
    if unclear or not levels:
        listed = ", ".join(
            f"{level.level} (n = {level.n}{_open(rows[level.level], margin) if level.level in rows else ''})"
            for level in unclear
        )
        hint = "" if gate.name in result.about.config.primary else f"; --primary {gate.name} would test it by itself"
        return "undecided", (
            f"open at a margin of {margin:g} in {outcome} for {gate.name}: {listed or 'no level has a case'}{hint}"
        )
    return "pass", f"every level of {gate.name} lies within the margin of {margin:g} in {outcome}"


def _open(row: Divergence, margin: float) -> str:
    """What is known of a level on which a margin is open, as a further clause."""
    return f", {_difference(row)}{_needed(row, margin)}"


def _needed(row: Divergence, margin: float) -> str:
    """How many members it would take to decide on a margin, were the difference as it is."""
    if row.estimate is None or row.estimate.ci is None:
        return ""
    low, high = row.estimate.ci
    distance = abs(margin - abs(row.estimate.value))
    if distance < 1e-3 * margin:
        return "; it lies at the margin, which no number of cases decides"
    # An interval shrinks with the root of the number of cases.
    return f"; about {int(np.ceil(row.n * ((high - low) / 2 / distance) ** 2)):,} members would decide"


def _difference(row: Divergence) -> str:
    if row.estimate is None:
        return "nobody else is left"
    text = f"difference {format_number(row.estimate.value, 4, signed=True)}"
    if row.estimate.ci:
        return f"{text}, {format_interval(row.estimate.ci, 4, signed=True)}"
    return f"{text}, not tested"


def _level_rows(result: AuditResult, attribute: str) -> dict[str, Divergence]:
    """Level -> its row, from the primary family where the attribute was fixed beforehand."""
    rows: dict[str, Divergence] = {}
    for table in result.subgroups.families:
        for row in table:
            for subgroup in (row.subgroup, *row.aliases):
                if len(subgroup) == 1:
                    ((name, level),) = subgroup.items
                    if name == attribute:
                        rows.setdefault(level, row)
    return rows


def _significant(result: AuditResult, gate: Gate) -> Judgement:
    table, facts = result.subgroups[gate.name], result.subgroups.outcomes[gate.name]
    # Levels fixed beforehand are a family of their own, and what the verdict says of them counts here too.
    primary = [row for row in (result.subgroups.primary_levels or ()) if facts.primary and row.significant is not None]
    for rows, n_tested, who in (
        (primary, len(primary), "levels fixed beforehand"),
        (table, facts.n_tested, "tested subgroups"),
    ):
        found = [row for row in rows if row.significant]
        if found:
            # A subgroup and everybody else are one test, and may be two rows.
            count = f"{len(found)} {who} {'is' if len(found) == 1 else 'are'} significant ({plural(n_tested, 'test')})"
            named = [finding.items for finding in result.subgroups.findings] if facts.primary else []
            first = next((row for items in named for row in found if row.subgroup == items), found[0])
            explained = f", explained by {plural(len(named), 'finding')}" if named else ""
            return "fail", (
                f"{count}{explained}, first {subgroup_name(first.subgroup.items)} (n = {first.n}, {_difference(first)})"
            )
    beside = f" and none of {len(primary)} levels fixed beforehand" if primary else ""
    none = f"none of {facts.n_tested} tested subgroups{beside} is significant"
    if not facts.primary:
        return (
            "undecided",
            f"{none}, but power is known for the primary outcome {result.subgroups.primary_outcome} only",
        )
    gap = result.about.config.power_gap
    # A level without a case, or without anybody else, has no gap that could be missed.
    levels = [entry for entry in result.subgroups.power if 0 < entry.n < facts.n_cases]
    blind = [entry for entry in levels if entry.detectable_gap is None or entry.detectable_gap > gap]
    if not levels or not facts.n_tested:
        return "undecided", f"{none}, and no level could have been: there are too few cases or attributes"
    if blind:
        worst = max(blind, key=lambda entry: np.inf if entry.detectable_gap is None else entry.detectable_gap)
        least = "no gap at all" if worst.detectable_gap is None else f"only gaps from {worst.detectable_gap:.3f} on"
        return "undecided", (
            f"{none}, but this cohort cannot detect a gap of {gap:g} with 80 % power in {len(blind)} of "
            f"{len(levels)} levels ({worst.attribute} = {worst.level}, n = {worst.n}: {least}; it takes "
            f"{'more' if worst.n_needed is None else f'about {worst.n_needed:,}'} cases)"
        )
    return "pass", f"{none}, and a gap of {gap:g} would be found with 80 % power in each of {len(levels)} levels"


def _coverage(result: AuditResult, gate: Gate) -> Judgement:
    """The share of the chosen cases that were scored on a usable prediction; counted, not estimated."""
    usable = result.cases.counts.n_scored - len(result.cases.counts.penalised)
    lost = sum(reason != TAUGHT_BINS for reason in result.cases.counts.excluded.values())
    chosen = result.cases.counts.n_scored + lost
    share = usable / chosen if chosen else 0.0
    state: State = "pass" if _COMPARE[gate.sign](share, gate.limit) else "fail"
    return state, f"{usable} of {chosen} cases ({share:.1%}) were scored on a usable prediction"
