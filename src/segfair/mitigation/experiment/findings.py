"""What the audits and trainings of a run found: the scores and diagnoses of `comparison.json`. Never trains a model.

The numbers of the test cases are read off each model's audit; those of the validation cases are scored here, by the
rule that chose the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.result import AuditResult
from segfair.intake.case_rows import NO_SUBJECTS
from segfair.mitigation.experiment.diagnosis import Part, diagnose_models, drawn_share, part_of, pooled_parts
from segfair.mitigation.experiment.evidence import PooledScores, find_evidence
from segfair.mitigation.experiment.gains import Evidence
from segfair.mitigation.experiment.settings import WORST_MIN_CASES, MitigationSettings
from segfair.mitigation.experiment.studies import Study
from segfair.mitigation.experiment.summary import trained_weights
from segfair.mitigation.experiment.trainings import Model, Training
from segfair.mitigation.training.catalogue import BASELINE
from segfair.mitigation.training.evaluation import ScoredCases, total_scores, worst_subgroup
from segfair.mitigation.training.loop import FitResult
from segfair.mitigation.weighting.weights import mine_validation
from segfair.scoring.scores import ScoreTable
from segfair.subgroups.lattice import Membership, Subgroup

__all__ = ["ModelScores", "TrainedModel", "find_scores", "least_support"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainedModel:
    """One model of the run, and what its trainings and its audit found.

    Attributes:
        model: What it is.
        trainings, fits: One a fold and seed, in the order of training; one alone without folds.
        audit: Of the test cases; with folds of all cases, out of fold, by the networks of the first seed.
        repeats: Scores of the same cases by the networks of the other seeds.
    """

    model: Model
    trainings: tuple[Training, ...]
    fits: tuple[FitResult, ...]
    audit: AuditResult
    repeats: tuple[ScoreTable, ...] = ()

    @property
    def name(self) -> str:
        """Its folder's name."""
        return self.model.name

    @property
    def backbone(self) -> str:
        """Its network."""
        return self.model.backbone

    @property
    def strategy(self) -> str:
        """How it was trained."""
        return self.model.strategy


@dataclass(frozen=True, slots=True, eq=False)
class ModelScores:
    """What is said of a model: its entry in `comparison.json`, and with folds the evidence behind it."""

    scores: dict[str, Any]
    evidence: Evidence | None = None


def find_scores(
    studies: Sequence[Study], reported: Study, trained: Sequence[TrainedModel], settings: MitigationSettings
) -> dict[str, ModelScores]:
    """Model -> its scores, and why it serves its worst subgroup worse.

    Args:
        studies: The cases, one study a fold.
        reported: The cases that are reported: those of the one study, or of all folds.
        trained: All models of the run, for a diagnosis looks at the others as well.
        settings: Of the run.
    """
    if len(studies) > 1:
        return _find_pooled(reported, trained, settings)
    diagnoses = _diagnoses(reported, trained)
    return {
        model.name: ModelScores(
            {
                "test": _test_scores(model.audit),
                **_validation_scores(reported, model.fits[0].validation),
                "diagnosis": diagnosis,
            }
        )
        for model, diagnosis in zip(trained, diagnoses, strict=True)
    }


def least_support(n_cases: int) -> float:
    """Low enough that every subgroup of `WORST_MIN_CASES` is mined."""
    return min(0.01, WORST_MIN_CASES / max(1, n_cases))


# With folds


def _find_pooled(
    reported: Study, trained: Sequence[TrainedModel], settings: MitigationSettings
) -> dict[str, ModelScores]:
    """Scores out of fold, averaged over the seeds, and each model against the plain one of its backbone."""
    attributes = reported.attributes["test"]
    fold_of = {
        case: number
        for number, study in enumerate(dict.fromkeys(training.study for training in trained[0].trainings), start=1)
        for case in study.split.test
    }
    folds = np.array([fold_of[case] for case in attributes.case_ids])
    out_of_fold = {model.name: _pooled_scores(model, attributes.case_ids) for model in trained}
    plain = {model.backbone: model for model in trained if model.strategy == BASELINE}
    diagnoses = _pooled_diagnoses(reported, trained, out_of_fold)
    found = {}
    for model, diagnosis in zip(trained, diagnoses, strict=True):
        evidence = None
        if model is not plain.get(model.backbone, model):
            evidence = find_evidence(
                out_of_fold[plain[model.backbone].name],
                out_of_fold[model.name],
                folds=folds,
                attributes=attributes,
                subjects=_subjects(reported),
                protocol=reported.protocol,
                min_cases=WORST_MIN_CASES,
                mean_margin=settings.mean_margin,
                seed=settings.seed,
            )
        scores = {
            "pooled": _averaged(out_of_fold[model.name], reported),
            **({"paired": evidence.to_dict()} if evidence is not None else {}),
            "diagnosis": diagnosis,
        }
        found[model.name] = ModelScores(scores, evidence)
    return found


def _pooled_scores(model: TrainedModel, case_ids: Sequence[str]) -> PooledScores:
    """(n_seeds, n_cases) scores out of fold, in the order of the cases."""
    own = model.audit.cases.scores
    rows: list[dict[str, Mapping[str, Any]]] = [
        {str(row[own.columns.index("case")]): dict(zip(own.columns, row, strict=True)) for row in own.rows}
    ]
    rows += [{score.case: score.values for score in table.scores} for table in model.repeats]

    def matrix(metric: str) -> NDArray[np.float64]:
        return np.array([[each[case][metric] for case in case_ids] for each in rows], dtype=np.float64)

    return PooledScores(tuple(case_ids), matrix("dsc"), matrix("normhd"))


def _subjects(study: Study) -> NDArray[np.integer[Any]] | None:
    """(n_cases,) codes of the patients of the reported cases; None where every case is one."""
    column = study.config.subject_column
    if column in (None, "", NO_SUBJECTS):
        return None
    patients = [case.metadata.get(column) for case in study.test]
    # A case whose patient is not known is a patient of its own.
    named = [
        f"patient {who}" if who is not None else f"case {case}"
        for who, case in zip(patients, study.test.ids, strict=True)
    ]
    return np.unique(named, return_inverse=True)[1]


def _averaged(scores: PooledScores, reported: Study) -> dict[str, Any]:
    """The scores of `comparison.json`, averaged over the seeds; the seeds beside them where there are several."""
    attributes = reported.attributes["test"]
    each = [
        total_scores(
            ScoredCases(scores.case_ids, dsc, normhd), attributes, reported.protocol, min_cases=WORST_MIN_CASES
        )
        for dsc, normhd in zip(scores.dsc, scores.normhd, strict=True)
    ]
    told = [{"DSC": one.dsc, "NormHD": one.normhd, "PS": one.ps, "FS": one.fs, "TS": one.ts} for one in each]
    mean: dict[str, Any] = {
        name: None if any(one[name] is None for one in told) else float(np.mean([one[name] for one in told]))
        for name in told[0]
    }
    membership, _ = mine_validation(attributes, min_support=least_support(len(attributes.case_ids)))
    worst = worst_subgroup(membership, scores.dsc.mean(axis=0), min_cases=WORST_MIN_CASES)
    mean["worst_subgroup"] = None if worst is None else _told(worst.subgroup, worst.n, worst.dsc)
    return mean if len(told) == 1 else {**mean, "seeds": told}


def _pooled_diagnoses(
    reported: Study, trained: Sequence[TrainedModel], out_of_fold: Mapping[str, PooledScores]
) -> list[dict[str, Any] | None]:
    """As `_diagnoses`, with the cases out of fold in place of validation."""
    attributes = reported.attributes["test"]
    found: list[dict[str, Any] | None] = []
    for model in trained:
        worst = _averaged(out_of_fold[model.name], reported)["worst_subgroup"]
        if worst is None:
            found.append(None)
            continue
        members = _members(worst["items"], attributes)
        alike = [entry for entry in trained if entry.backbone == model.backbone]
        parts: list[tuple[Part, Part, float]] = []
        for entry in alike:
            learned = [(fit.training.case_ids, fit.training.dsc) for fit in entry.fits if fit.training is not None]
            training, held_out = pooled_parts(
                attributes.case_ids, members, training=learned, held_out=out_of_fold[entry.name].dsc
            )
            shares = [
                _share(_members(worst["items"], each.study.attributes["train"]), each, fit)
                for each, fit in zip(entry.trainings, entry.fits, strict=True)
            ]
            parts.append((training, held_out, float(np.mean(shares))))
        diagnosis = diagnose_models(parts, held_out="out-of-fold")[alike.index(model)]
        found.append({"subgroup": worst["items"], **diagnosis.to_dict()})
    return found


def _members(items: Mapping[str, str], attributes: AttributeTable) -> NDArray[np.bool_]:
    """(n_cases,) who is in a subgroup."""
    subgroup = Subgroup(frozenset(items.items()))
    nobody = Membership((subgroup,), np.zeros((1, 0), dtype=bool), {subgroup.items: 0}, ())
    members: NDArray[np.bool_] = nobody.apply(attributes).matrix[0]
    return members


def _share(members: NDArray[np.bool_], training: Training, fit: FitResult) -> float:
    """How much of what a training learned from was of the members."""
    weights = trained_weights(training.folder, training.study.split.train, best_epoch=fit.best_epoch)
    return drawn_share(members, weights)


# With one split


def _diagnoses(study: Study, trained: Sequence[TrainedModel]) -> list[dict[str, Any] | None]:
    """Why each model serves its worst subgroup of the test cases worse, from cases of training and validation."""
    found: list[dict[str, Any] | None] = []
    for model in trained:
        worst = _test_scores(model.audit)["worst_subgroup"]
        # Without validation cases nothing held out but the test cases is left, and those are to be explained.
        if worst is None or model.fits[0].validation is None:
            found.append(None)
            continue
        learning, held_out = (_members(worst["items"], study.attributes[part]) for part in ("train", "validation"))
        alike = [entry for entry in trained if entry.backbone == model.backbone]
        parts: list[tuple[Part, Part, float]] = []
        for entry in alike:
            # A run always asks for the scores of the training cases.
            fit = entry.fits[0]
            parts.append(
                (
                    part_of(learning, cast(ScoredCases, fit.training).dsc),
                    part_of(held_out, cast(ScoredCases, fit.validation).dsc),
                    _share(learning, entry.trainings[0], fit),
                )
            )
        diagnosis = diagnose_models(parts)[alike.index(model)]
        found.append({"subgroup": worst["items"], **diagnosis.to_dict()})
    return found


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


def _validation_scores(study: Study, scored: ScoredCases | None) -> dict[str, Any]:
    """The entry "validation"; none without validation cases."""
    if scored is None:
        return {}
    attributes = study.attributes["validation"]
    total = total_scores(scored, attributes, study.protocol, min_cases=WORST_MIN_CASES)
    membership, _ = mine_validation(attributes, min_support=least_support(len(attributes.case_ids)))
    worst = worst_subgroup(membership, scored.dsc, min_cases=WORST_MIN_CASES)
    scores = {
        "DSC": total.dsc,
        "NormHD": total.normhd,
        "PS": total.ps,
        "FS": total.fs,
        "TS": total.ts,
        "worst_subgroup": None if worst is None else _told(worst.subgroup, worst.n, worst.dsc),
    }
    return {"validation": scores}
