"""Evidence -> page data: what each model changed out of fold, the plain model's own spread, who was judged.

Computes nothing; what is said is decided in `segfair.mitigation.experiment.gains`.
"""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.words import clean, format_interval, format_number, plural
from segfair.mitigation.experiment.gains import (
    Evidence,
    NullSpread,
    PairedChange,
    ScoreChange,
    over_words,
)
from segfair.mitigation.experiment.summary import ModelSummary
from segfair.report.parts import Cell, Data, cell, items_of, number_column, table

__all__ = ["evidence_section"]

_TONES = {"gain": "better", "risen": "better", "loss": "worse", "fallen": "worse"}


def evidence_section(models: Sequence[ModelSummary]) -> Data | None:
    """The tables of every backbone; None where no model has evidence, which is so without folds."""
    entries = []
    for backbone in dict.fromkeys(model.backbone for model in models):
        alike = [model for model in models if model.backbone == backbone]
        judged = [(model, model.evidence) for model in alike if model.evidence is not None]
        # The plain model is the one that the others are judged against, and has no evidence itself.
        plain = next((model for model in alike if model.evidence is None), None)
        if judged and plain is not None:
            entries.append(_entry(plain.name, [(model.name, found) for model, found in judged], backbone))
    if not entries:
        return None
    if len(entries) == 1:
        entries[0]["backbone"] = ""
    return {"entries": entries}


def _entry(plain: str, judged: Sequence[tuple[str, Evidence]], backbone: str) -> Data:
    first = judged[0][1]
    return {
        "backbone": clean(backbone, length=40),
        "items": items_of(first.items.items()),
        "who": _who(first),
        "reason": first.reason,
        "table": _changes(clean(plain, length=40), judged),
        "choices": _choices(first) if first.choices else None,
    }


def _who(found: Evidence) -> str:
    if found.worst is None:
        return ""
    mean = found.worst.mean
    return (
        f"the choice of {found.n_agreeing} of {plural(found.n_folds, 'fold')}; "
        f"{plural(mean.n_cases, 'case')} of {plural(mean.n_subjects, 'subject')} judged"
    )


def _changes(plain: str, judged: Sequence[tuple[str, Evidence]]) -> Data:
    first = judged[0][1]
    rows: list[list[Cell | str]] = [
        [
            cell(plain, sub="as it is"),
            *(_before(part) for part in (first.worst, first.mean, first.rest, first.fairness)),
        ]
    ]
    if first.null is not None:
        rows.append(_null_row(plain, first.null))
    rows += [_row(name, found) for name, found in judged]
    return table(
        f"Changes of mean Dice from {plain}, paired by case; 95% intervals over {over_words(first.mean.mean)}",
        ["Model", *map(number_column, ("Worst subgroup", "All cases", "The rest", "FS"))],
        rows,
        note="The interval of FS is over subjects alone." if first.null is not None else "",
    )


def _before(part: PairedChange | ScoreChange | None) -> Cell:
    n_cases = plural(part.mean.n_cases, "case") if isinstance(part, PairedChange) else ""
    return cell(format_number(None if part is None else part.before), sub=n_cases)


def _null_row(plain: str, null: NullSpread) -> list[Cell | str]:
    spreads = (null.worst_subgroup, null.mean, null.rest)
    shown = [cell("–") if spread is None else cell(f"±{format_number(spread)}") for spread in spreads]
    return [cell(f"{plain}, other seeds", sub="95 % of differences by seeds alone"), *shown, cell("–")]


def _row(name: str, found: Evidence) -> list[Cell | str]:
    return [
        clean(name, length=40),
        _change(found.worst, _worst_word(found), found.worst_word),
        _change(found.mean, found.mean_word, found.mean_word),
        _change(found.rest),
        _change(found.fairness),
    ]


def _worst_word(found: Evidence) -> str:
    if found.worst_word == "open":
        return "no gain shown"
    return found.worst_word if found.mean.mean.n_seeds > 1 else f"{found.worst_word}, one seed"


def _change(part: PairedChange | ScoreChange | None, word: str = "", tone: str = "") -> Cell:
    if part is None:
        return cell("–")
    value, ci = (part.mean.value, part.mean.ci) if isinstance(part, PairedChange) else (part.value, part.ci)
    interval = format_interval(ci, signed=True) if ci is not None else "no interval"
    return cell(
        format_number(value, signed=True), sub=f"{interval}; {word}" if word else interval, tone=_TONES.get(tone, "")
    )


def _choices(found: Evidence) -> Data:
    return table(
        "The subgroup that each fold was judged on, as the other folds see it",
        ["Fold", "Subgroup", number_column("Its cases in the fold"), number_column("Shrunken divergence elsewhere")],
        [
            [
                clean(choice.fold, length=20),
                cell(items=tuple(choice.items.items())),
                f"{choice.n:,}",
                format_number(choice.divergence, signed=True),
            ]
            for choice in found.choices
        ],
    )
