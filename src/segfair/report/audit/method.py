"""How the numbers came about: metrics, settings, protocol, columns, folders."""

from __future__ import annotations

from typing import Any

from segfair.audit.result import AuditResult, Bins, MetricFacts
from segfair.audit.words import clean, metric_name, plural, search_sentence
from segfair.report.parts import NAME_LENGTH, Data, cell, definition, number_column, table

__all__ = ["column_section", "input_section", "method_section"]

_MOST_LISTED = 50
"""Levels that were not combined; audit.json has all."""
_ROLES = {"labels2": "Second labels"}
_DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", "signed": "best at zero"}


def method_section(
    result: AuditResult, *, command: str, digests: dict[str, str], redrawn: tuple[str, str] | None = None
) -> Data:
    """Metrics, tests, settings, protocol, versions, hashes."""
    outcomes = [
        {
            "name": metric_name(name),
            "role": "primary outcome" if facts.primary else "exploratory",
            "method": clean(facts.method, length=600),
            "facts": f"{plural(facts.n_cases, 'case')} with a value, {plural(facts.n_tested, 'subgroup')} tested"
            + (f", critical |t| {facts.critical:.2f}" if facts.critical is not None else ""),
            "notes": [clean(note, length=400) for note in facts.notes],
        }
        for name, facts in result.subgroups.outcomes.items()
    ]
    return {
        "outcomes": outcomes,
        "search": _search_words(result),
        "metrics": table(
            "How each metric was defined",
            ["Metric", "Unit", "Direction", "Definition", "Empty masks", number_column("Cases without a value")],
            [_metric_row(entry) for entry in result.cases.metrics],
        ),
        "settings": [definition(name, value, code=True) for name, value in _settings(result)],
        # The page speaks of FS, whatever the protocol's file calls its table.
        "protocol": [
            definition(name.replace("fairness.", "FS."), value, code=True)
            for name, value in _flat(result.about.config.protocol.to_dict())
        ],
        "protocol_name": clean(result.about.config.protocol.name, length=60),
        "versions": [definition(clean(name), clean(version)) for name, version in result.about.versions.items()],
        "digests": [definition(name, value, code=True) for name, value in digests.items()],
        "command": clean(command, length=2000) if command else "",
        "redrawn": {"when": redrawn[0], "command": clean(redrawn[1], length=2000) if redrawn[1] else ""}
        if redrawn
        else None,
    }


def _search_words(result: AuditResult) -> str:
    """What was searched; an audit.json that does not say so held all combinations."""
    if result.subgroups.search is None:
        return "All combinations of levels with enough cases were searched."
    return search_sentence(result.subgroups.search)


def _metric_row(entry: MetricFacts) -> list[Data]:
    return [
        cell(metric_name(entry.name), sub=clean(entry.name, length=40)),
        cell(clean(entry.unit) if entry.unit else "–"),
        cell(_DIRECTIONS.get(entry.better, "neither")),
        cell(clean(entry.definition, length=200)),
        cell(clean(entry.empty_rule, length=200) if entry.empty_rule else "–"),
        cell(f"{entry.n_undefined:,}"),
    ]


def _settings(result: AuditResult) -> list[tuple[str, str]]:
    config = result.about.config
    return [(name, text) for name in config.__slots__ if name != "protocol" and (text := _plain(getattr(config, name)))]


def _plain(value: Any) -> str:
    if value is None or value == () or value == {}:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "items"):
        return "; ".join(f"{clean(key, length=60)}={_plain(entry)}" for key, entry in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_plain(entry) for entry in value)
    return f"{value:g}" if isinstance(value, float) else clean(value, length=200)


def _flat(tree: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(tree, dict):
        return [
            pair
            for key, value in tree.items()
            for pair in _flat(value, f"{prefix}.{clean(key, length=60)}" if prefix else clean(key, length=60))
        ]
    text = _plain(tree)
    return [(prefix, text)] if text else []


def column_section(result: AuditResult) -> Data:
    """Which columns became attributes and how, and which did not and why."""
    used = table(
        f"Columns that became attributes ({len(result.attributes.bins)})",
        ["Attribute", "Column", "How", "Levels", "Missing"],
        [
            [
                clean(name, length=NAME_LENGTH),
                clean(bins.column, length=NAME_LENGTH),
                cell(clean(bins.binning, length=200), sub=_edges(bins) or _why(result, bins.column)),
                ", ".join(clean(level, length=40) for level in bins.levels[:40])
                + (f", … ({len(bins.levels)} in all)" if len(bins.levels) > 40 else ""),
                _missing(result, bins.column),
            ]
            for name, bins in result.attributes.bins.items()
        ],
    )
    taken = {bins.column for bins in result.attributes.bins.values()}
    reasons = {name: why for name, why in result.attributes.left_out.items() if name not in taken}
    reasons |= {name: entry.why for name, entry in result.attributes.columns.items() if name not in {*taken, *reasons}}
    left_out = table(
        f"Columns left out ({len(reasons)})",
        ["Column", "Read as", "Why", "Missing"],
        [
            [
                clean(name, length=NAME_LENGTH),
                clean(result.attributes.columns[name].read_as) if name in result.attributes.columns else "",
                clean(why, length=300),
                _missing(result, name),
            ]
            for name, why in reasons.items()
        ],
    )
    return {
        "used": used,
        "left_out": left_out if reasons else None,
        "not_searched": _not_searched(result),
    }


def _why(result: AuditResult, column: str) -> str:
    entry = result.attributes.columns.get(column)
    return clean(entry.why, length=200) if entry is not None and entry.why else ""


def _missing(result: AuditResult, column: str) -> Any:
    """How many cases lack a value, and how that is spelt."""
    entry = result.attributes.columns.get(column)
    if entry is None:
        return ""
    spelt = [
        f"{clean(spelling, length=20) if spelling else 'empty'} {count}" for spelling, count in entry.spellings.items()
    ]
    return cell(f"{entry.n_missing:,}", sub=", ".join(spelt[:6]))


def _not_searched(result: AuditResult) -> Data | None:
    """What was left out of the search beside columns."""
    listed = (
        [entry for entry in result.subgroups.search.left_out if entry.what not in result.attributes.left_out]
        if result.subgroups.search
        else []
    )
    if not listed:
        return None
    rest = len(listed) - _MOST_LISTED
    return table(
        f"Left out of the search ({len(listed):,})",
        ["What", "Why"],
        [[clean(entry.what, length=2 * NAME_LENGTH), clean(entry.why, length=300)] for entry in listed[:_MOST_LISTED]],
        note=f"and {rest:,} more, in audit.json" if rest > 0 else "",
    )


def _edges(bins: Bins) -> str:
    """Bin edges that the description of the binning does not name itself."""
    if not bins.edges or "edges" in bins.binning:
        return ""
    return "edges " + ", ".join(f"{edge:g}" for edge in bins.edges)


def _role(role: str) -> str:
    """What an input is called: `labels3` is the labels of rater 3."""
    number = role.removeprefix("labels")
    if role in _ROLES or not number.isdecimal():
        return _ROLES.get(role) or clean(role, length=60).capitalize()
    return f"Labels of rater {number}"


def input_section(result: AuditResult) -> Data:
    """Which folder is which, and what was noticed while they were read."""
    return {
        "paths": [
            definition(_role(role), clean(path, length=1000), code=True) for role, path in result.about.inputs.items()
        ],
        # What an alert says is not said again.
        "notices": [
            clean(notice, length=600)
            for notice in result.about.notices
            if notice not in {alert.text for alert in result.verdict.alerts}
        ],
    }
