"""What the audits and trainings of a run found: the scores and diagnoses of `comparison.json`. Never trains a model.

The numbers of the test cases are read off each model's audit; those of the validation cases are scored here, by the
rule that chose the epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from segfair.audit.result import AuditResult
from segfair.mitigation.experiment.diagnosis import Part, diagnose_models, drawn_share, part_of
from segfair.mitigation.experiment.studies import Study
from segfair.mitigation.experiment.summary import trained_weights
from segfair.mitigation.networks.backbones import Backbone
from segfair.mitigation.training.evaluation import ScoredCases, total_scores, worst_subgroup
from segfair.mitigation.training.loop import FitResult
from segfair.mitigation.weighting.weights import mine_validation
from segfair.protocol.rules import Protocol
from segfair.subgroups.lattice import Membership, Subgroup

__all__ = ["WORST_MIN_CASES", "TrainedModel", "find_scores", "least_support"]

WORST_MIN_CASES = 5
"""Fewest cases of a subgroup that can be the worst one."""


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """One model of the run, and what its training and its audit found."""

    name: str
    backbone: Backbone
    strategy: str
    fitted: FitResult
    audit: AuditResult


def find_scores(
    study: Study, trained: Sequence[TrainedModel], protocol: Protocol, out: Path
) -> dict[str, dict[str, Any]]:
    """Model -> its scores on test and validation cases, and why it serves its worst subgroup worse.

    Args:
        study: The cases.
        trained: All models of the run, for a diagnosis looks at the others as well.
        protocol: The scoring rules.
        out: Folder of the run; each model's `weights.csv` lies in it.
    """
    diagnoses = _diagnoses(study, trained, out)
    return {
        model.name: {
            "test": _test_scores(model.audit),
            "validation": _validation_scores(study, model.fitted.validation, protocol),
            "diagnosis": diagnosis,
        }
        for model, diagnosis in zip(trained, diagnoses, strict=True)
    }


def _diagnoses(study: Study, trained: Sequence[TrainedModel], out: Path) -> list[dict[str, Any] | None]:
    """Why each model serves its worst subgroup of the test cases worse, from cases of training and validation."""
    weights = {
        model.name: trained_weights(out / model.name, study.split.train, best_epoch=model.fitted.best_epoch)
        for model in trained
    }
    found: list[dict[str, Any] | None] = []
    for model in trained:
        worst = _test_scores(model.audit)["worst_subgroup"]
        if worst is None:
            found.append(None)
            continue
        subgroup = Subgroup(frozenset(worst["items"].items()))
        nobody = Membership((subgroup,), np.zeros((1, 0), dtype=bool), {subgroup.items: 0}, ())
        learning, held_out = (nobody.apply(study.attributes[part]).matrix[0] for part in ("train", "validation"))
        alike = [entry for entry in trained if entry.backbone == model.backbone]
        parts: list[tuple[Part, Part, float]] = []
        for entry in alike:
            # A run always asks for the scores of the training cases.
            scored = cast(ScoredCases, entry.fitted.training)
            parts.append(
                (
                    part_of(learning, scored.dsc),
                    part_of(held_out, entry.fitted.validation.dsc),
                    drawn_share(learning, weights[entry.name]),
                )
            )
        diagnosis = diagnose_models(parts)[alike.index(model)]
        found.append({"subgroup": worst["items"], **diagnosis.to_dict()})
    return found


def least_support(n_cases: int) -> float:
    """Low enough that every subgroup of `WORST_MIN_CASES` is mined."""
    return min(0.01, WORST_MIN_CASES / max(1, n_cases))


def _test_scores(result: AuditResult) -> dict[str, Any]:
    table = result.subgroups["dsc"]
    enough = [row for row in table if row.n >= WORST_MIN_CASES]
    worst = min(enough, key=lambda row: row.mean, default=None)
    return {
        **{name: result.scores[name].value for name in ("DSC", "NormHD", "PS", "FS", "TS")},
        "worst_subgroup": None if worst is None else _told(worst.subgroup, worst.n, worst.mean),
    }


def _told(subgroup: Subgroup, n: int, dsc: float) -> dict[str, Any]:
    return {"items": dict(sorted(subgroup.items)), "n": n, "dsc": dsc}


def _validation_scores(study: Study, scored: ScoredCases, protocol: Protocol) -> dict[str, Any]:
    attributes = study.attributes["validation"]
    total = total_scores(scored, attributes, protocol, min_cases=WORST_MIN_CASES)
    membership, _ = mine_validation(attributes, min_support=least_support(len(attributes.case_ids)))
    worst = worst_subgroup(membership, scored.dsc, min_cases=WORST_MIN_CASES)
    return {
        "DSC": total.dsc,
        "NormHD": total.normhd,
        "PS": total.ps,
        "FS": total.fs,
        "TS": total.ts,
        "worst_subgroup": None if worst is None else _told(worst.subgroup, worst.n, worst.dsc),
    }
