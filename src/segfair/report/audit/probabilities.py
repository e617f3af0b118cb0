"""The probabilities behind the masks: how far they can be believed, level by level."""

from __future__ import annotations

from segfair.audit.result import AuditResult
from segfair.audit.result.scores import Calibration, CalibrationGroup
from segfair.audit.words import clean, format_interval, format_number, plural
from segfair.report.audit.room import attributes_drawn
from segfair.report.parts import Data, cell, figure, number_column, table
from segfair.report.reliability import reliability_diagrams

__all__ = ["probability_section"]

_MOST_LEVELS = 10
"""Diagrams of an attribute; audit.json has all."""


def probability_section(result: AuditResult) -> Data | None:
    """Calibration of all cases and of every level, and their reliability diagrams; None without probabilities."""
    facts = result.scores.calibration
    if facts is None:
        return None
    drawn = attributes_drawn(result)
    named = [(group, *next(iter(group.items.items))) for group in facts.groups]
    shown = [(group, attribute, level) for group, attribute, level in named if attribute in drawn]
    attributes = dict.fromkeys(attribute for _, attribute, _ in shown)
    tested = [name for name in result.subgroups.outcomes if name in ("ece", "brier", "abs_overconfidence")]
    return {
        "sentence": _sentence(facts.overall),
        "about": _about(facts, tested),
        "table": table(
            "Calibration of every level",
            [
                "Group",
                number_column("n"),
                number_column("ECE"),
                number_column("Brier score"),
                number_column("Expected DSC"),
                number_column("Real DSC"),
                number_column("Over-confidence"),
            ],
            [_row(facts.overall, result), *(_row(group, result) for group, _, _ in shown)],
        ),
        "figures": [
            _figure(attribute, [(level, group) for group, name, level in shown if name == attribute], number)
            for number, attribute in enumerate(attributes)
        ],
    }


def _sentence(overall: CalibrationGroup) -> str:
    told = []
    if overall.ece is not None:
        told.append(
            f"The expected calibration error is {format_number(overall.ece)} "
            f"({format_number(overall.ece_chance)} by chance, were the probabilities right)."
        )
    if overall.expected_dsc is not None:
        told.append(
            f"The probabilities expect a DSC of {format_number(overall.expected_dsc)}, and the masks have "
            f"{format_number(overall.real_dsc)}: {_surer(overall)}."
        )
    return " ".join(told)


def _surer(overall: CalibrationGroup) -> str:
    """Whether the model is surer than it is right."""
    if overall.ci is None or overall.overconfidence is None:
        return "too few cases to tell more"
    low, high = overall.ci
    if low <= 0 <= high:
        return "neither over- nor under-confident, as far as these cases tell"
    size = format_number(abs(overall.overconfidence))
    return f"{'over' if low > 0 else 'under'}-confident by {size} on average"


def _about(facts: Calibration, tested: list[str]) -> list[str]:
    about = [
        f"ECE and Brier score count the voxels of the box around the lesion and {facts.margin_mm:g} mm beyond it "
        f"({facts.margin_voxels} voxels where their size is not known): with all background any ECE would be near 0. "
        f"ECE has {facts.n_bins} bins of equal width; each case counts alike. Its chance level takes neighbouring "
        "voxels for independent, which they are not, and so is a lower bound."
    ]
    if facts.left_out:
        about.append(
            f"{plural(len(facts.left_out), 'case')} without a map that can be used, in none of these numbers; "
            "audit.json says why."
        )
    if not tested:
        about.append("Nothing here is tested; --outcome ece,brier,overconfidence has their differences tested.")
    return about


def _row(group: CalibrationGroup, result: AuditResult) -> list[Data | str]:
    small = group.n < result.about.config.min_cases
    items = sorted(group.items.items)
    return [
        cell(items=items) if items else cell("All cases"),
        cell(f"{group.n:,}", tone="small" if small else ""),
        cell(format_number(group.ece), sub=f"by chance {format_number(group.ece_chance)}"),
        format_number(group.brier),
        format_number(group.expected_dsc),
        format_number(group.real_dsc),
        cell(
            format_number(group.overconfidence, signed=True),
            sub="too few cases" if small else format_interval(group.ci) if group.ci else "",
        ),
    ]


def _figure(attribute: str, levels: list[tuple[str, CalibrationGroup]], number: int) -> Data:
    kept, name = levels[:_MOST_LEVELS], clean(attribute, length=60)
    rest = len(levels) - len(kept)
    return {
        "title": name,
        **figure(
            reliability_diagrams(kept),
            key=f"reliability{number}",
            label=f"Reliability diagrams of {plural(len(kept), 'level')} of {name}. The table holds every bin.",
            caption=f"and {rest:,} more levels, in audit.json" if rest > 0 else "",
            data=table(
                f"Reliability by {name}",
                [
                    "Level",
                    "Bin",
                    number_column("Share of voxels"),
                    number_column("Mean probability"),
                    number_column("Share of lesion"),
                ],
                [
                    [
                        clean(level, length=80),
                        f"{entry.low:.3f} to {entry.high:.3f}",
                        format_number(entry.share, 4),
                        format_number(entry.probability),
                        format_number(entry.lesion),
                    ]
                    for level, group in kept
                    for entry in group.bins
                ],
            ),
            narrow=reliability_diagrams(kept, n_columns=2),
        ),
    }
