"""What the audits and trainings of a run found: the scores and diagnoses of `comparison.json`. Never trains a model.

The numbers of the test cases are read off each model's audit; those of the validation cases are scored here, by the
rule that chose the epoch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.result import AuditResult
from segfair.mitigation.experiment.diagnosis import Part, diagnose_models, drawn_share, part_of, pooled_parts
from segfair.mitigation.experiment.evidence import PooledScores, find_evidence
from segfair.mitigation.experiment.explanations import JudgedCases, lesions_of
from segfair.mitigation.experiment.gains import Evidence
from segfair.mitigation.experiment.settings import WORST_MIN_CASES, MitigationSettings
from segfair.mitigation.experiment.studies import Study
from segfair.mitigation.experiment.summary import trained_weights
from segfair.mitigation.experiment.trainings import Model, Training
from segfair.mitigation.training.catalogue import BASELINE
from segfair.mitigation.training.evaluation import ScoredCases, total_scores, worst_subgroup
from segfair.mitigation.training.loop import FitResult
from segfair.mitigation.weighting.balance import members_of
from segfair.mitigation.weighting.weights import mine_validation
from segfair.scoring.scores import ScoreTable
from segfair.subgroups.lattice import Subgroup

__all__ = ["ModelScores", "TrainedModel", "find_scores", "least_support"]

_Weights = Callable[[Training, FitResult], NDArray[np.float64]]
"""(n_epochs, n_training) what each case weighed in a training; see `trained_weights`."""


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
    tests = {model.name: _test_scores(model.audit) for model in trained}
    attributes = reported.attributes["test"]
    judged = JudgedCases(
        attributes,
        lesions_of(reported.prepared, attributes.case_ids, subjects=_subjects(trained[0].audit, attributes.case_ids)),
        # What the other models of the run do is looked at: all have validation cases, or none has.
        "test" if trained[0].fits[0].validation is None else "validation",
        {model.name: _pooled_scores(model, attributes.case_ids).dsc.mean(axis=0) for model in trained},
    )
    worst = {name: scores["worst_subgroup"] for name, scores in tests.items()}
    weights = _weights_once()
    diagnoses = _diagnosed(
        trained,
        {name: None if found is None else found["items"] for name, found in worst.items()},
        lambda model, items: _split_parts(reported, model, items, judged.dsc[model.name], weights),
        judged,
    )
    return {
        model.name: ModelScores(
            {
                "test": tests[model.name],
                **_validation_scores(reported, model.fits[0].validation),
                "diagnosis": diagnoses[model.name],
            }
        )
        for model in trained
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
    averaged = {name: _averaged(scores, reported) for name, scores in out_of_fold.items()}
    plain = {model.backbone: model for model in trained if model.strategy == BASELINE}
    subjects = _subjects(trained[0].audit, attributes.case_ids)
    evidence = {
        model.name: find_evidence(
            out_of_fold[plain[model.backbone].name],
            out_of_fold[model.name],
            folds=folds,
            attributes=attributes,
            subjects=subjects,
            protocol=reported.protocol,
            min_cases=WORST_MIN_CASES,
            mean_margin=settings.mean_margin,
            seed=settings.seed,
        )
        for model in trained
        if model is not plain.get(model.backbone, model)
    }
    weights = _weights_once()
    diagnoses = _diagnosed(
        trained,
        _explained(trained, averaged, evidence),
        lambda model, items: _pooled_parts(attributes, model, items, out_of_fold[model.name], weights),
        JudgedCases(
            attributes,
            lesions_of(reported.prepared, attributes.case_ids, subjects=subjects),
            "out-of-fold",
            {name: scores.dsc.mean(axis=0) for name, scores in out_of_fold.items()},
        ),
    )
    return {
        model.name: ModelScores(
            {
                "pooled": averaged[model.name],
                **({"paired": evidence[model.name].to_dict()} if model.name in evidence else {}),
                "diagnosis": diagnoses[model.name],
            },
            evidence.get(model.name),
        )
        for model in trained
    }


def _explained(
    trained: Sequence[TrainedModel], averaged: Mapping[str, Mapping[str, Any]], evidence: Mapping[str, Evidence]
) -> dict[str, Mapping[str, str] | None]:
    """Model -> the subgroup whose gap is explained: the one that gains are judged on, else its own worst one."""
    found: dict[str, Mapping[str, str] | None] = {}
    for model in trained:
        alike = [entry.name for entry in trained if entry.backbone == model.backbone and entry.name in evidence]
        judged = [evidence[name].items for name in alike if evidence[name].worst is not None]
        worst = averaged[model.name]["worst_subgroup"]
        found[model.name] = judged[0] if judged else worst and worst["items"]
    return found


def _pooled_scores(model: TrainedModel, case_ids: Sequence[str]) -> PooledScores:
    """(n_seeds, n_cases) scores out of fold, in the order of the cases."""

    def matrix(metric: str) -> NDArray[np.float64]:
        own = model.audit.cases.scores
        seeds = [dict(zip(own.column("case"), own.column(metric), strict=True))]
        seeds += [dict(zip(table.cases, table.column(metric), strict=True)) for table in model.repeats]
        return np.array([[values[case] for case in case_ids] for values in seeds], dtype=np.float64)

    return PooledScores(tuple(case_ids), matrix("dsc"), matrix("normhd"))


def _subjects(audit: AuditResult, case_ids: Sequence[str]) -> NDArray[np.integer[Any]] | None:
    """(n_cases,) numbers of the patients, as the audit has them; None where every case is one."""
    scores = audit.cases.scores
    if not scores.subjects:
        return None
    number = dict(zip(scores.column("case"), scores.subjects, strict=True))
    return np.array([number[case] for case in case_ids])


def _averaged(scores: PooledScores, reported: Study) -> dict[str, Any]:
    """The scores of `comparison.json`, averaged over the seeds; the seeds beside them where there are several."""
    attributes = reported.attributes["test"]
    told = [
        _totals(ScoredCases(scores.case_ids, dsc, normhd), attributes, reported)
        for dsc, normhd in zip(scores.dsc, scores.normhd, strict=True)
    ]
    mean: dict[str, Any] = {
        name: None if any(one[name] is None for one in told) else float(np.mean([one[name] for one in told]))
        for name in told[0]
    }
    mean["worst_subgroup"] = _worst(scores.dsc.mean(axis=0), attributes)
    return mean if len(told) == 1 else {**mean, "seeds": told}


def _pooled_parts(
    attributes: AttributeTable,
    model: TrainedModel,
    items: Mapping[str, str],
    scores: PooledScores,
    weights: _Weights,
) -> tuple[Part, Part, float]:
    """A subgroup among the cases trained on and out of fold, and its share in what was trained on."""
    learned = [(fit.training.case_ids, fit.training.dsc) for fit in model.fits if fit.training is not None]
    parts = pooled_parts(attributes.case_ids, members_of(attributes, items), training=learned, held_out=scores.dsc)
    pairs = zip(model.trainings, model.fits, strict=True)
    return (*parts, float(np.mean([_share(items, training, weights(training, fit)) for training, fit in pairs])))


# With one split


def _split_parts(
    study: Study, model: TrainedModel, items: Mapping[str, str], test: NDArray[np.float64], weights: _Weights
) -> tuple[Part, Part, float]:
    """The same among training and validation cases; without the latter among the test cases, of these Dice."""
    fit = model.fits[0]
    # A run always asks for the scores of the training cases.
    learned = part_of(members_of(study.attributes["train"], items), cast(ScoredCases, fit.training).dsc)
    part, dsc = ("test", test) if fit.validation is None else ("validation", fit.validation.dsc)
    held_out = part_of(members_of(study.attributes[part], items), dsc)
    training = model.trainings[0]
    return learned, held_out, _share(items, training, weights(training, fit))


def _test_scores(result: AuditResult) -> dict[str, Any]:
    table = result.subgroups["dsc"]
    enough = [row for row in table if row.n >= WORST_MIN_CASES]
    worst = min(enough, key=lambda row: row.mean, default=None)
    return {
        **{name: result.scores[name].value for name in ("DSC", "NormHD", "PS", "FS", "TS")},
        "worst_subgroup": None if worst is None else _told(worst.subgroup, worst.n, worst.mean),
    }


def _validation_scores(study: Study, scored: ScoredCases | None) -> dict[str, Any]:
    """The entry "validation"; none without validation cases."""
    if scored is None:
        return {}
    attributes = study.attributes["validation"]
    worst = _worst(scored.dsc, attributes)
    return {"validation": {**_totals(scored, attributes, study), "worst_subgroup": worst}}


# With both


def _diagnosed(
    trained: Sequence[TrainedModel],
    explained: Mapping[str, Mapping[str, str] | None],
    parts_of: Callable[[TrainedModel, Mapping[str, str]], tuple[Part, Part, float]],
    judged: JudgedCases,
) -> dict[str, dict[str, Any] | None]:
    """Model -> why it serves a subgroup worse, by what all models of its backbone show; None where none is judged.

    Args:
        trained: All models.
        explained: Model -> the subgroup.
        parts_of: (model, items) -> the subgroup where the model trained and where not, and its share in the training.
        judged: The cases whose gap it is.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for model in trained:
        items = explained[model.name]
        found[model.name] = None
        if items is None:
            continue
        alike = [entry for entry in trained if entry.backbone == model.backbone]
        diagnoses = diagnose_models(
            {entry.name: parts_of(entry, items) for entry in alike},
            plain=next((entry.name for entry in alike if entry.strategy == BASELINE), None),
            held_out=judged.held_out,
            deficits={model.name: judged.deficit(model.name, items)},
        )
        found[model.name] = {"subgroup": dict(items), **diagnoses[model.name].to_dict()}
    return found


def _weights_once() -> _Weights:
    """The weights of trainings; the file of each is read once, however many models are held against it."""
    return functools.cache(
        lambda training, fit: trained_weights(training.folder, training.study.split.train, best_epoch=fit.best_epoch)
    )


def _share(items: Mapping[str, str], training: Training, weights: NDArray[np.float64]) -> float:
    """How much of what a training learned from was of the subgroup."""
    return drawn_share(members_of(training.study.attributes["train"], items), weights)


def _totals(scored: ScoredCases, attributes: AttributeTable, study: Study) -> dict[str, float | None]:
    """The scores of a cohort, by their names in `comparison.json`."""
    total = total_scores(scored, attributes, study.protocol, min_cases=WORST_MIN_CASES)
    return {"DSC": total.dsc, "NormHD": total.normhd, "PS": total.ps, "FS": total.fs, "TS": total.ts}


def _worst(dsc: NDArray[np.float64], attributes: AttributeTable) -> dict[str, Any] | None:
    """The worst subgroup as `comparison.json` has it; None where none is large enough."""
    membership, _ = mine_validation(attributes, min_support=least_support(len(attributes.case_ids)))
    worst = worst_subgroup(membership, dsc, min_cases=WORST_MIN_CASES)
    return None if worst is None else _told(worst.subgroup, worst.n, worst.dsc)


def _told(subgroup: Subgroup, n: int, dsc: float) -> dict[str, Any]:
    return {"items": dict(sorted(subgroup.items)), "n": n, "dsc": dsc}
