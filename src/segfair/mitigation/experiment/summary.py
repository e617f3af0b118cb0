"""What a mitigation found, for its page: facts from the audits, `comparison.json` and the files of each training.

Trains, scores and draws nothing; imports no torch.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.audit.result import AuditResult
from segfair.audit.words import format_interval, format_number, plural, subgroup_name
from segfair.compare.procedure import run_comparison
from segfair.compare.result import Comparison, SubgroupChange
from segfair.errors import InputError
from segfair.files.cells import fuse
from segfair.mitigation.experiment.gains import Conclusion, Evidence, conclude_gains

__all__ = [
    "NEGLIGIBLE",
    "RULE",
    "EpochScores",
    "EpochWeights",
    "MitigationSummary",
    "ModelSummary",
    "reach_conclusion",
    "read_epoch_scores",
    "read_epoch_weights",
    "summarise",
    "trained_weights",
    "worst_change",
]

NEGLIGIBLE = 0.01
"""Shrunken divergence of mean Dice up to which a disparity is not told from noise: what is left of pure noise."""
RULE = (
    "A strategy is recommended where it serves the worst subgroup better than every other model does, where the "
    "subgroup that the plain model serves worst is shown to have gained (95% interval of the paired change above 0), "
    "and where the mean Dice of all cases is not shown to have fallen."
)


@dataclass(frozen=True, slots=True)
class EpochWeights:
    """The case weights that were set after one epoch for the next.

    Attributes:
        epoch: From 1; 0: before anything was trained, for the first epoch.
        mean, largest: Over the training cases.
        subgroup: What set the largest; empty where no subgroup did.
    """

    epoch: int
    mean: float
    largest: float
    subgroup: str


@dataclass(frozen=True, slots=True)
class EpochScores:
    """One epoch of a training.

    Attributes:
        epoch: From 1.
        loss: Mean training loss.
        dsc, worst_dsc: Mean Dice of the validation cases, and of their worst subgroup; None where none was scored.
    """

    epoch: int
    loss: float
    dsc: float | None
    worst_dsc: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ModelSummary:
    """One trained model.

    Attributes:
        name: Its folder.
        backbone, strategy: What it is.
        scores: "test" (with folds "pooled") and "validation" -> scores, as in `comparison.json`.
        diagnosis: As in `comparison.json`; None without a worst subgroup.
        audit: Of the test cases; with folds of all cases, out of fold.
        epochs: Trained epochs; `best_epoch` is reported.
        weights: One entry an epoch; empty where the strategy weighs no case.
        against: Change from the plain model of the same backbone; None for that itself, and without one.
        evidence: What may be said of this change, with folds; None for the plain model, and without folds.
        history: One entry an epoch; with folds of the first one. Empty where it is not known.
    """

    name: str
    backbone: str
    strategy: str
    scores: Mapping[str, Mapping[str, Any]]
    diagnosis: Mapping[str, Any] | None
    audit: AuditResult
    epochs: int
    best_epoch: int
    weights: tuple[EpochWeights, ...] = ()
    against: Comparison | None = None
    evidence: Evidence | None = None
    history: tuple[EpochScores, ...] = ()

    @property
    def worst(self) -> Mapping[str, Any] | None:
        """The worst subgroup of the audited cases; None where none is large enough."""
        scores = self.scores["pooled"] if "pooled" in self.scores else self.scores["test"]
        found: Mapping[str, Any] | None = scores["worst_subgroup"]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class MitigationSummary:
    """What the page prints.

    Attributes:
        models: In order of training.
        conclusions: One a backbone.
        budget: What every model was given.
        notices: For the reader.
    """

    models: tuple[ModelSummary, ...]
    conclusions: tuple[Conclusion, ...]
    budget: Mapping[str, str]
    notices: tuple[str, ...]


def summarise(
    models: Sequence[ModelSummary], *, baseline: str, budget: Mapping[str, str], notices: Sequence[str] = ()
) -> MitigationSummary:
    """Compares each model with the plain one of its backbone and reaches a conclusion for each backbone.

    Args:
        models: Without comparisons.
        baseline: Strategy of the plain model.
        budget: What every model was given.
        notices: For the reader.
    """
    plain = {model.backbone: model for model in models if model.strategy == baseline}
    compared = tuple(_compare(model, plain.get(model.backbone)) for model in models)
    alike = [
        [model for model in compared if model.backbone == backbone]
        for backbone in dict.fromkeys(model.backbone for model in compared)
    ]
    conclusions = tuple(
        _followed(reach_conclusion(entries, baseline=baseline), entries, baseline=baseline) for entries in alike
    )
    return MitigationSummary(compared, conclusions, budget, tuple(notices))


def _compare(model: ModelSummary, plain: ModelSummary | None) -> ModelSummary:
    if plain is None or plain is model:
        return model
    comparison = run_comparison(plain.audit, model.audit, names=(plain.name, model.name), outcome="dsc")
    return dataclasses.replace(model, against=comparison)


def worst_change(model: ModelSummary, plain: ModelSummary) -> SubgroupChange | None:
    """How the subgroup that the plain model serves worst has fared with another model."""
    if model.against is None or plain.worst is None:
        return None
    items = dict(plain.worst["items"])
    return next((row for row in model.against.subgroups["dsc"] if dict(row.items) == items), None)


def reach_conclusion(models: Sequence[ModelSummary], *, baseline: str) -> Conclusion:
    """Which model serves the worst subgroup best, and at what change of mean Dice; with folds, on what evidence.

    Args:
        models: Those of one backbone.
        baseline: Strategy of the plain model.
    """
    plain = next((model for model in models if model.strategy == baseline), None)
    judged = [model for model in models if model.worst is not None]
    if not judged:
        return Conclusion("Insufficient evidence", "open", "No subgroup of the test cases is large enough.")
    best = max(judged, key=lambda model: float((model.worst or {})["dsc"]))
    if plain is not None and _is_noise(plain.audit):
        return Conclusion(
            "No disparity distinguishable from noise, training is plain",
            "open",
            f"With {plain.name} no subgroup's shrunken divergence exceeds {NEGLIGIBLE:g} of mean Dice and none is "
            "significant: weights that follow shrunken divergences stay near 1, those that follow raw ones "
            "(fairmedseg) follow noise, and differences between the models are chance until more seeds show otherwise.",
        )
    if plain is None or len(models) == 1:
        others = f" of {plural(len(judged), 'model')}" if len(judged) > 1 else ""
        return Conclusion(
            "No plain model to compare with" if plain is None else "One model",
            "open",
            f"{best.name} serves the worst subgroup best{others}: {_worst_words(best)}."
            if others
            else f"{best.name} serves {_worst_words(best)} worst.",
        )
    found = {model.name: model.evidence for model in models if model.evidence is not None}
    if found:
        return conclude_gains(plain.name, found)
    if best is plain:
        shown = [format_number((model.worst or {})["dsc"]) for model in judged]
        tied = shown.count(format_number((plain.worst or {})["dsc"])) > 1
        return Conclusion(
            f"{'No strategy' if tied else 'Plain training'} serves the worst subgroup {'better' if tied else 'best'}",
            "open",
            f"No strategy of this run serves its worst subgroup better than {plain.name}, with "
            f"{_worst_words(plain)}: none is recommended.",
            gained=False,
        )
    return _compared(best, plain)


def _compared(best: ModelSummary, plain: ModelSummary) -> Conclusion:
    mean = best.against.metrics["dsc"] if best.against is not None else None
    change = worst_change(best, plain)
    # Simultaneous: the subgroup was picked for its low mean on these very cases.
    sure = change.ci_simultaneous if change is not None else None
    lead = f"{best.name} serves the worst subgroup best: {_worst_words(best)}, against "
    same = (best.worst or {})["items"] == (plain.worst or {})["items"]
    lead += f"{format_number((plain.worst or {})['dsc'])}" if same else _worst_words(plain)
    lead += f" with {plain.name}"
    parts = [lead]
    if change is not None:
        found = format_number(change.difference, signed=True)
        interval = f"simultaneous {_interval(sure)}" if sure else "too few cases for an interval"
        if same:
            parts = [f"{lead}, {found} ({interval})"]
        else:
            parts.append(f"the latter changes by {found} ({interval})")
    if mean is not None:
        parts.append(
            f"mean Dice of all cases changes by {format_number(mean.difference, signed=True)} ({_interval(mean.ci)})"
        )
    harmed = best.against.harmed if best.against is not None else ()
    if harmed:
        most = min(row.difference for row in harmed)
        parts.append(f"{plural(len(harmed), 'subgroup')} harmed, by {format_number(-most)} at most: see below")
    shown = sure is not None and sure[0] > 0
    fell = mean is not None and mean.ci is not None and mean.ci[1] < 0
    if shown and not fell:
        told = f"{'; '.join(parts)}."
        return Conclusion(f"Recommended: {best.name}", "better", told, gained=True, recommended=best.name)
    reason = "the mean Dice has fallen" if shown else "the gain of the worst subgroup may be chance"
    told = f"{'; '.join(parts)}. Not recommended: {reason}."
    return Conclusion("No strategy is recommended", "open", told, gained=shown)


def _followed(conclusion: Conclusion, models: Sequence[ModelSummary], *, baseline: str) -> Conclusion:
    """The same with what follows from the plain model's diagnosis, where no strategy is shown to help."""
    found = next((model.diagnosis for model in models if model.strategy == baseline), None)
    if conclusion.gained is not False or found is None:
        return conclusion
    name = subgroup_name(sorted(found["subgroup"].items()), length=40)
    reasons = "; ".join(cause["sentence"] for cause in found["causes"])
    is_known = all(cause["kind"] not in ("no gap", "insufficient evidence") for cause in found["causes"])
    joint = ", because " if is_known else ": "
    follows = f"Nothing is shown to help {name}{joint}{reasons}. {found['recommendation']}"
    return dataclasses.replace(conclusion, follows=follows)


def _interval(interval: tuple[float, float] | None) -> str:
    return f"95% interval {format_interval(interval, signed=True)}" if interval else "no interval"


def _worst_words(model: ModelSummary) -> str:
    worst = model.worst or {}
    name = subgroup_name(sorted(worst["items"].items()), length=40)
    return f"mean Dice {format_number(worst['dsc'])} ({name}, n = {worst['n']})"


def _is_noise(result: AuditResult) -> bool:
    """Whether shrunken divergences are all near zero, and none is significant."""
    table = result.subgroups["dsc"]
    shrunken = [abs(row.divergence_shrunk) for row in table if row.divergence_shrunk is not None]
    return bool(shrunken) and max(shrunken) <= NEGLIGIBLE and not any(row.significant for row in table)


# The files of a training


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as stream:
        # Ids and levels, as they were before they were defused.
        return [{name: fuse(cell) if cell else cell for name, cell in row.items()} for row in csv.DictReader(stream)]


def read_epoch_weights(path: Path) -> tuple[EpochWeights, ...]:
    """`weights.csv` of a training, summed up by epoch; empty where the strategy weighs no case.

    Raises:
        InputError: Not such a file.
    """
    try:
        epochs = []
        for epoch, rows in groupby(_rows(path), key=lambda row: int(row["epoch"])):
            entries = [(float(row["weight"]), row["subgroup"]) for row in rows]
            largest, subgroup = max(entries, key=lambda entry: entry[0])
            epochs.append(EpochWeights(epoch, sum(weight for weight, _ in entries) / len(entries), largest, subgroup))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not the weights of a training ({error}); train again without --resume") from error
    return tuple(epochs)


def read_epoch_scores(path: Path) -> tuple[EpochScores, ...]:
    """`history.csv` of a training; empty where there is none.

    Raises:
        InputError: Not such a file.
    """

    def known(text: str) -> float | None:
        return float(text) if text else None

    try:
        return tuple(
            EpochScores(int(row["epoch"]), float(row["loss"]), known(row["dsc"]), known(row["worst_dsc"]))
            for row in _rows(path)
        )
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path}: not the history of a training ({error}); train again without --resume") from error


def trained_weights(folder: Path, case_ids: Sequence[str], *, best_epoch: int) -> NDArray[np.float64]:
    """(best_epoch, n_cases) what each case weighed in each epoch up to the reported one.

    An epoch trains with what the epoch before has set, the first one with the rows of epoch 0. Files of before have
    none: their first epoch was plain, unless the weights never change. In FairMedSeg a case weighs
    alpha + (1 - alpha) w (Eq. 4). Without a `weights.csv` every case weighs 1.

    Args:
        folder: Folder of the training.
        case_ids: Columns.
        best_epoch: From 1.
    """
    position = {case: place for place, case in enumerate(case_ids)}
    table: dict[int, NDArray[np.float64]] = {}
    for row in _rows(folder / "weights.csv"):
        epoch = int(row["epoch"])
        table.setdefault(epoch, np.ones(len(case_ids)))[position[row["case"]]] = float(row["weight"])
    constant = 0 not in table and len(table) > 1 and len({entry.tobytes() for entry in table.values()}) == 1
    alphas = {int(row["epoch"]): row.get("alpha") for row in _rows(folder / "history.csv")}
    epochs = []
    for epoch in range(1, best_epoch + 1):
        weights = table.get(epoch if constant else epoch - 1, np.ones(len(case_ids)))
        alpha = alphas.get(epoch)
        epochs.append(float(alpha) + (1 - float(alpha)) * weights if alpha else weights)
    return np.array(epochs).reshape(best_epoch, len(case_ids))
