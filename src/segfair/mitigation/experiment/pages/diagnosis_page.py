"""Diagnoses -> the section "Why a gap remains": whether subgroups were learned, and what their deficits are made of.

Computes nothing; what is said is decided in `segfair.mitigation.experiment.diagnosis`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from segfair.audit.words import clean, format_interval, format_number
from segfair.mitigation.experiment.diagnosis import HeldOut, deficit_rule, learning_rule
from segfair.mitigation.experiment.summary import ModelSummary
from segfair.report.parts import Cell, Data, cell, definition, items_of, number_column, table

__all__ = ["why_section"]

_Found = Sequence[tuple[ModelSummary, Mapping[str, Any]]]


def why_section(models: Sequence[ModelSummary]) -> Data | None:
    """Why a gap remains with each model, and what follows; None where no subgroup is diagnosed."""
    found = [(model, model.diagnosis) for model in models if model.diagnosis is not None]
    if not found:
        return None
    held_out: HeldOut = found[0][1]["held_out"]
    deficits = [(model, entry) for model, entry in found if entry["deficit"] is not None]
    judged = "all cases, out of fold" if held_out == "out-of-fold" else "the test cases"
    return {
        "lead": _lead(*found[0]),
        "items": items_of(found[0][1]["subgroup"].items()),
        "learning": _learning_table(found, held_out),
        "deficit": _deficit_table(deficits, judged) if deficits else None,
        "lesions": _lesion_table(deficits, judged) if deficits else None,
        "reasons": [definition(clean(model.name, length=40), _reason(entry)) for model, entry in found],
        "rules": [learning_rule(held_out), *([deficit_rule()] if deficits else [])],
    }


def _lead(model: ModelSummary, entry: Mapping[str, Any]) -> str:
    """The diagnosis of the first model, which is the plain one where there is one, in one sentence."""
    causes = "; ".join(cause["sentence"] for cause in entry["causes"])
    return clean(f"with {model.name}: {causes}. {entry['recommendation']}", length=1500)


def _reason(entry: Mapping[str, Any]) -> str:
    causes = "; ".join(cause["sentence"] for cause in entry["causes"])
    return clean(f"{causes[:1].upper()}{causes[1:]}. {entry['recommendation']}", length=1500)


def _learning_table(found: _Found, held_out: HeldOut) -> Data:
    who = "The subgroup of the test cases" if held_out == "validation" else "The subgroup"
    return table(
        f"{who} that is explained for each model: Dice where it trained, and where not",
        [
            "Model",
            "Subgroup",
            "Was it learned",
            *map(number_column, ("Training Dice", "others", f"{held_out.capitalize()} Dice", "others", "Share")),
        ],
        [
            [
                clean(model.name, length=40),
                cell(items=tuple(entry["subgroup"].items())),
                cell(entry["kind"]),
                *(
                    part_cell
                    for part in (entry["training"], entry["validation"])
                    for part_cell in (
                        cell(format_number(part["dsc"]), sub=f"n = {part['n']:,}"),
                        cell(format_number(part["rest"])),
                    )
                ),
                f"{100 * entry['share']:.1f} %",
            ]
            for model, entry in found
        ],
        note="Share: of the subgroup in what the model was trained on, as drawn or weighted.",
    )


def _deficit_table(found: _Found, judged: str) -> Data:
    return table(
        f"What the subgroup's deficit is made of, among {judged}: difference of Dice to the other cases",
        [
            "Model",
            *map(number_column, ("Raw", "At equal size")),
            "The gap",
            *map(number_column, ("Raw", "At equal looks")),
            "The gap",
            number_column("Cases with two thirds of it"),
        ],
        [
            [
                clean(model.name, length=40),
                *_adjusted_cells(entry["deficit"]["size"]),
                *_adjusted_cells(entry["deficit"]["looks"]),
                _failure_cell(entry["deficit"]["failures"]),
            ]
            for model, entry in found
        ],
        note="Looks: size, contrast and edge sharpness under the label. Small lines: 95% intervals, and of how many "
        "cases. Differences are those of patients with a lesion, and so not the ones above to the last digit.",
    )


def _adjusted_cells(gap: Mapping[str, Any]) -> list[Cell]:
    return [
        cell(format_number(gap["raw"], signed=True)),
        cell(
            format_number(gap["value"], signed=True),
            sub="" if gap["ci"] is None else format_interval(gap["ci"], signed=True),
        ),
        cell(gap["left"], sub=f"n = {gap['n_cases']:,}"),
    ]


def _failure_cell(failures: Mapping[str, Any] | None) -> Cell:
    if failures is None:
        return cell("–", sub="no gap, or too few cases")
    few = "a few failures" if failures["few"] else "not a few"
    return cell(f"{failures['n']:,}", sub=f"of {failures['n_cases']:,}; {few}")


def _lesion_table(found: _Found, judged: str) -> Data:
    # Models that are explained on one subgroup would say the same twice.
    entries = {tuple(entry["subgroup"].items()): entry["deficit"] for _, entry in found}
    names = ("volume_mm3", "contrast", "edge_sharpness")
    return table(
        f"Lesions of the subgroup and of the others, among {judged}: medians",
        [
            "Subgroup",
            *(
                number_column(title)
                for name in ("Volume, mm³", "Contrast", "Edge sharpness, 1/mm")
                for title in (name, "others")
            ),
        ],
        [
            [
                cell(items=items),
                *(
                    format_number(deficit[side][name], 0 if name == "volume_mm3" else 2)
                    for name in names
                    for side in ("subgroup", "rest")
                ),
            ]
            for items, deficit in entries.items()
        ],
        note="Of the image as it was prepared for training; a pixel of a picture that states no size counts as 1 mm.",
    )
