"""Was the audit the one that was planned? Compares settings and counts, not results."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from segfair.audit.judging.gates import Gate
from segfair.audit.result import AuditConfig, AuditResult, PlanDifference, PlanFacts
from segfair.plan.study_plan import SETTINGS, StudyPlan

__all__ = ["with_plan"]


def with_plan(
    result: AuditResult,
    plan: StudyPlan,
    *,
    asked: AuditConfig,
    gates: Sequence[Gate] = (),
    selection: Mapping[str, Any] | None = None,
) -> AuditResult:
    """The audit, with what it did otherwise than planned.

    Args:
        result: The audit.
        plan: What was planned.
        asked: The settings as asked for, before the data completed them.
        gates: The gates that are decided.
        selection: Which cases were asked for: "where" and "cases".
    """
    differences = (
        *_settings(plan.config, asked),
        *_differ("gate", [gate.text for gate in plan.gates], [gate.text for gate in gates]),
        *_differ("where", plan.where, (selection or {}).get("where")),
        *_differ("cases", None, (selection or {}).get("cases")),
        *_sizes(plan, result),
    )
    about = dataclasses.replace(result.about, plan=PlanFacts(plan.digest, plan.tree, differences))
    return dataclasses.replace(result, about=about)


def _settings(planned: AuditConfig, asked: AuditConfig) -> Iterator[PlanDifference]:
    for name in SETTINGS:
        before, after = getattr(planned, name), getattr(asked, name)
        if name == "protocol":
            rules = [_flat(protocol.to_dict()) for protocol in (before, after)]
            for key in dict.fromkeys((*rules[0], *rules[1])):
                if not key.startswith("gates"):  # these are compared by themselves
                    yield from _differ(f"protocol, {key}", rules[0].get(key), rules[1].get(key))
        else:
            yield from _differ(name, before, after)


def _sizes(plan: StudyPlan, result: AuditResult) -> Iterator[PlanDifference]:
    size, n_scored = plan.sample_size, result.cases.counts.n_scored
    if size is not None and size.cases is not None:
        yield from _differ("number of cases", size.cases, n_scored)


def _differ(setting: str, planned: Any, done: Any) -> Iterator[PlanDifference]:
    texts = _text(planned), _text(done)
    if texts[0] != texts[1]:
        yield PlanDifference(setting, *texts)


def _text(value: Any) -> str:
    """A setting as people read it; what was left open is "not set"."""
    if value is None or (not isinstance(value, bool | int | float) and not value):
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {_text(entry)}" for key, entry in sorted(value.items()))
    return ", ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
