"""For whom: attributes, why, and power."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from segfair.audit.result import AttributeFacts, AuditResult, Chance, LevelFacts
from segfair.audit.words import (
    clean,
    format_interval,
    format_number,
    format_p,
    harmful,
    item_name,
    metric_digits,
    metric_name,
    plural,
    subgroup_name,
)
from segfair.fairness.challenge import Disparity, Extreme
from segfair.report.audit.room import attributes_drawn, attributes_note, attributes_opened, rows_of_levels
from segfair.report.audit.summary import judged, outcome_digits, standing_cell
from segfair.report.figures import divergence_bars, level_dots
from segfair.report.parts import Data, cell, figure, items_of, number_column, table
from segfair.subgroups.lattice import Divergence, Item, Subgroup

__all__ = ["attribute_section", "power_section", "why_section"]

_MAX_LEVELS = 30
"""Levels of one attribute that are drawn; its table holds all."""
_MAX_REASONS = 6
_MAX_ITEMS = 16


def attribute_section(result: AuditResult) -> list[Data]:
    """Dots per level, the level table, and what sets each D_v."""
    outcome = result.subgroups.primary_outcome
    # The interval of a tiny level can be as wide as the scale: cut at the edge, it does not flatten all others.
    ends = [
        value
        for attribute in result.attributes.facts
        for level in attribute.levels
        for value in (
            level.mean.get(outcome),
            level.median.get(outcome),
            *(() if level.small else level.ci.get(outcome, ())),
        )
        if value is not None
    ]
    low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
    room = 0.05 * (high - low) or 0.05
    digits = metric_digits(ends)
    rows = rows_of_levels(result)
    drawn = attributes_drawn(result)
    lengths = (
        len(clean(level.level)) for entry in result.attributes.facts if entry.name in drawn for level in entry.levels
    )
    longest = max(lengths, default=0)
    opened = attributes_opened(result)
    sections = []
    for index, attribute in enumerate(result.attributes.facts):
        if attribute.name not in drawn:
            continue
        shown = AttributeFacts(attribute.name, attribute.disparity, attribute.levels[:_MAX_LEVELS])
        name = clean(attribute.name, length=60)
        drawing = level_dots(
            shown,
            metric=outcome,
            overall=result.subgroups.outcomes[outcome].mean,
            limits=(low - room, high + room),
            name_length=min(20, longest),
            digits=digits,
        )
        means = "; ".join(
            f"{clean(level.level, length=24)} (n {level.n}) {format_number(level.mean.get(outcome), digits)}"
            for level in shown.levels[:12]
        )
        sections.append(
            {
                "name": name,
                "primary": attribute.primary,
                "open": attribute.name in opened,
                "disparity": _disparity_sentences(attribute),
                "figure": figure(
                    drawing,
                    key=f"attribute{index}",
                    label=f"Mean {metric_name(outcome)} per level of {name}: {means}. The table holds every value.",
                    caption="",
                ),
                "table": _level_table(attribute, rows, result, digits),
            }
        )
    return sections


def _level_table(attribute: AttributeFacts, rows: dict[Subgroup, Divergence], result: AuditResult, digits: int) -> Data:
    outcome = result.subgroups.primary_outcome
    facts = result.subgroups.outcomes[outcome]
    failures = any(level.failure_rate is not None for level in attribute.levels)
    others = [
        name for name in ("dsc", "normhd") if name != outcome and any(name in level.mean for level in attribute.levels)
    ]

    def standing_of(level: LevelFacts) -> Data:
        if level.small:
            return cell("too few cases", sub=f"fewer than {result.about.config.min_cases} cases", tone="small")
        row = rows.get(Subgroup(frozenset({(attribute.name, level.level)})))
        if row is None:
            return cell("–")
        return standing_cell(row, facts.better, facts, digits)

    return table(
        f"Levels of {clean(attribute.name, length=60)}",
        [
            "Level",
            number_column("n"),
            number_column(f"Mean {metric_name(outcome)}"),
            number_column("Median"),
            *(number_column(f"Mean {metric_name(name)}") for name in others),
            *([number_column("Failed")] if failures else []),
            "Standing",
        ],
        [
            [
                cell(clean(level.level, length=80)),
                cell(f"{level.n:,}", tone="small" if level.small else ""),
                cell(
                    format_number(level.mean.get(outcome), digits),
                    sub=format_interval(level.ci[outcome], digits) if outcome in level.ci else "",
                ),
                cell(format_number(level.median.get(outcome), digits)),
                *(cell(format_number(level.mean.get(name))) for name in others),
                *(
                    [
                        cell(
                            "–" if level.failure_rate is None else f"{level.failure_rate:.0%}",
                            sub=f"{level.failure_ci[0]:.0%} to {level.failure_ci[1]:.0%}" if level.failure_ci else "",
                        )
                    ]
                    if failures
                    else []
                ),
                standing_of(level),
            ]
            for level in attribute.levels
        ],
    )


def _disparity_sentences(attribute: AttributeFacts) -> list[str]:
    found = attribute.disparity
    if found is None:
        return []
    if found.value is None:
        return ["D_v: too few cases; fewer than two levels have enough cases."]
    value = f"D_v {format_number(found.value)}"
    if attribute.disparity_ci:
        value += f" (95% interval {format_interval(attribute.disparity_ci)})"
    if attribute.disparity_chance:
        value += f"; {_chance_clause(attribute.disparity_chance)}"
    sentences = [f"{value}.", *_set_by(found)]
    if found.n_small:
        sentences.append(f"{plural(found.n_small, 'small level')} did not count.")
    return sentences


def _chance_clause(chance: Chance) -> str:
    return (
        f"with shuffled metadata it would be {format_number(chance.mean)} ({format_interval(chance.interval)}), "
        f"p {format_p(chance.p_value)}"
    )


def _set_by(found: Disparity) -> list[str]:
    def side(extreme: Extreme) -> str:
        return f"{clean(extreme.level, length=40)} ({format_number(extreme.mean)}, n = {extreme.n:,})"

    return [
        f"Set by {name}: {side(low)} to {side(high)}, gap {format_number(gap)}."
        for name, low, high, gap in (
            ("DSC", found.dsc_low, found.dsc_high, found.gap_dsc),
            ("NormHD", found.normhd_low, found.normhd_high, found.gap_normhd),
        )
        if low is not None and high is not None
    ]


def why_section(result: AuditResult) -> Data | None:
    """Which items make up the divergence of the worst subgroups, and of the whole lattice."""
    outcome = result.subgroups.primary_outcome
    rows, facts = result.subgroups[outcome], result.subgroups.outcomes[outcome]
    digits = outcome_digits(rows)
    large = [
        row
        for row in rows.worst(len(rows))
        if len(row.subgroup) > 1
        and row.shapley
        and harmful(row.difference, rows.better)
        and judged(row, result.about.config, rows.n_cases)
    ]
    shown = [*(row for row in large if row.significant), *(row for row in large if not row.significant)][:_MAX_REASONS]
    limits = _ends(share for row in shown for share in row.shapley.values())
    reasons = []
    for index, row in enumerate(shown):
        shares = sorted(row.shapley.items(), key=lambda entry: entry[1] if rows.better == "higher" else -entry[1])
        reasons.append(
            {
                "items": items_of(row.subgroup),
                "n": f"{row.n:,}",
                "divergence": format_number(row.divergence, digits, signed=True),
                **_bars(
                    shares,
                    result,
                    limits=limits,
                    digits=digits,
                    key=f"why{index}",
                    what=f"the divergence of {subgroup_name(row.subgroup.items, length=30)}",
                ),
            }
        )
    most = sorted(facts.global_divergence, key=lambda entry: -abs(entry[2]))[:_MAX_ITEMS]
    kept = [
        ((attribute, level), share)
        for attribute, level, share in facts.global_divergence
        if (attribute, level, share) in most
    ]
    if not reasons and not kept:
        return None
    overall = (
        _bars(
            kept,
            result,
            limits=_ends(share for _, share in kept),
            digits=max(digits, 4),
            key="global",
            what="divergence over all subgroups",
        )
        if kept
        else None
    )
    return {
        "reasons": reasons,
        "overall": overall,
        "overall_note": f"The {len(kept)} largest of {len(facts.global_divergence)} items."
        if len(facts.global_divergence) > len(kept)
        else "",
    }


def _ends(shares: Iterable[float]) -> tuple[float, float]:
    known = [0.0, *shares]
    return min(known), max(known)


def _bars(
    shares: Sequence[tuple[Item, float]],
    result: AuditResult,
    *,
    limits: tuple[float, float],
    digits: int,
    key: str,
    what: str,
) -> Data:
    facts = result.subgroups.outcomes[result.subgroups.primary_outcome]
    values = "; ".join(
        f"{item_name(item, length=30)} {format_number(share, digits, signed=True)}" for item, share in shares
    )
    return figure(
        divergence_bars(shares, better=facts.better, limits=limits, digits=digits),
        key=key,
        label=f"Bars: share of each item in {what}: {values}.",
        caption="",
        data=table(
            f"Share of each item in {what}",
            ["Item", number_column("Share")],
            [[cell(items=[item]), format_number(share, digits, signed=True)] for item, share in shares],
        ),
    )


def power_section(result: AuditResult) -> Data | None:
    """What this cohort could have shown about each level."""
    if not result.subgroups.power:
        return None
    outcome = result.subgroups.primary_outcome
    digits = metric_digits(entry.detectable_gap for entry in result.subgroups.power)
    drawn = attributes_drawn(result)
    gap = result.about.config.power_gap
    return {
        "gap": format_number(gap, 3),
        "outcome": metric_name(outcome),
        "table": table(
            f"Smallest difference in {metric_name(outcome)} to the rest that is found with 80% power",
            [
                "Attribute",
                "Level",
                number_column("n"),
                number_column("Detectable difference"),
                number_column("Cases needed"),
                "What it means",
            ],
            [
                [
                    clean(entry.attribute, length=60),
                    clean(entry.level, length=60),
                    f"{entry.n:,}",
                    format_number(entry.detectable_gap, digits),
                    "–" if entry.n_needed is None else f"{entry.n_needed:,}",
                    _power_words(entry.detectable_gap, entry.n, gap, result),
                ]
                for entry in result.subgroups.power
                if entry.attribute in drawn
            ],
            note=attributes_note(result),
        ),
    }


def _power_words(detectable: float | None, n: int, gap: float, result: AuditResult) -> str:
    if detectable is None or n < result.about.config.min_cases:
        return "too few cases"
    if detectable <= gap:
        return "such a difference would be found"
    return "only larger differences would be found"
