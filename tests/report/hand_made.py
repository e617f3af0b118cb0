"""Facts written by hand, for the sections of a page: a frame of eight cases into which a test puts its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.audit.made_up_audits import changed
from tests.report_fixtures import make_result

from segfair.audit.result import AttributeFacts, AuditResult, LevelFacts
from segfair.audit.result.codec import PLACES
from segfair.subgroups.lattice import Divergence, Estimate, Subgroup, SubgroupTable

N_CASES, MEAN = 8, 0.7
"""Of every table of subgroups here: eight cases, mean DSC 0.7."""


def small(levels: Mapping[str, tuple[str, ...]] | None = None, **facts: Any) -> AuditResult:
    """A random audit of eight cases, groups of two being large enough, in which `facts` replace its own."""
    levels = {"age": ("young", "old"), "sex": ("f", "m")} if levels is None else levels
    made = make_result(n_cases=N_CASES, levels=dict(levels), min_support=0.1, min_cases=2)
    return with_facts(made, **{"findings": (), **facts})


def with_facts(result: AuditResult, **facts: Any) -> AuditResult:
    """The audit with other facts, each under the key that it has in `audit.json`."""
    parts: dict[str, dict[str, Any]] = {}
    for key, value in facts.items():
        part, (name,) = PLACES[key]
        parts.setdefault(part, {})[name] = value
    return changed(result, **parts)


def row(items: Mapping[str, str], n: int, mean: float, **facts: Any) -> Divergence:
    """A subgroup of `n` of the eight cases; the rest, divergence and difference follow from its mean."""
    rest = (N_CASES * MEAN - n * mean) / (N_CASES - n) if n < N_CASES else None
    p = (facts.get("p_value"), facts.get("p_adjusted"))
    estimate = None if rest is None else Estimate("difference", mean - rest, None, *p, n)
    plain = {"aliases": (), "t": 1.0, "redundant": False, "estimate": estimate, **facts}
    return Divergence(Subgroup(frozenset(items.items())), n=n, support=n / N_CASES, mean=mean, rest_mean=rest,
                      divergence=mean - MEAN, **plain)  # fmt: skip


def lattice(*rows: Divergence) -> SubgroupTable:
    """A table of DSC with these rows, most harmful first."""
    return SubgroupTable("dsc", "higher", N_CASES, MEAN, rows)


def level(name: str, n: int, dsc: float, **facts: Any) -> LevelFacts:
    """A level with a mean DSC, which is its median as well."""
    return LevelFacts(name, n, **{"small": n < 2, "mean": {"dsc": dsc}, "median": {"dsc": dsc}, **facts})


def attribute(name: str, *levels: LevelFacts, **facts: Any) -> AttributeFacts:
    """An attribute with these levels and, unless said, no D_v."""
    return AttributeFacts(name, **{"disparity": None, "levels": levels, **facts})


def texts(table: Mapping[str, Any]) -> list[list[str]]:
    """The rows of a table of the page as a reader sees them: `text (second line)`, or `attribute = level, ...`."""
    return [[_seen(cell) for cell in cells] for cells in table["rows"]]


def titles(table: Mapping[str, Any]) -> list[str]:
    return [column["title"] for column in table["columns"]]


def _seen(cell: Mapping[str, Any]) -> str:
    items = ", ".join(f"{item['attribute']} = {item['level']}" for item in cell["items"])
    return (items or cell["text"]) + (f" ({cell['sub']})" if cell["sub"] else "")
