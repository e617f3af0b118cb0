"""What the audits and trainings of a run found: the scores and diagnoses of `comparison.json`. Never trains a model.

The numbers of the test cases are read off each model's audit; those of the validation cases are scored here, by the
rule that chose the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.result import AuditResult
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
    tests = {model.name: _test_scores(model.audit) for model in trained}
    diagnoses = _diagnosed(trained, tests, lambda model, items: _split_parts(reported, model, items), "validation")
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
    diagnoses = _diagnosed(
        trained,
        averaged,
        lambda model, items: _pooled_parts(attributes, model, items, out_of_fold[model.name]),
        "out-of-fold",
    )
    found = {}
    for model in trained:
        evidence = None
        if model is not plain.get(model.backbone, model):
            evidence = find_evidence(
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
        scores = {
            "pooled": averaged[model.name],
            **({"paired": evidence.to_dict()} if evidence is not None else {}),
            "diagnosis": diagnoses[model.name],
        }
        found[model.name] = ModelScores(scores, evidence)
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
    attributes: AttributeTable, model: TrainedModel, items: Mapping[str, str], scores: PooledScores
) -> tuple[Part, Part, float]:
    """A subgroup among the cases trained on and out of fold, and its share in what was trained on."""
    learned = [(fit.training.case_ids, fit.training.dsc) for fit in model.fits if fit.training is not None]
    parts = pooled_parts(attributes.case_ids, _members(items, attributes), training=learned, held_out=scores.dsc)
    pairs = zip(model.trainings, model.fits, strict=True)
    return (*parts, float(np.mean([_share(items, training, fit) for training, fit in pairs])))


# With one split


def _split_parts(study: Study, model: TrainedModel, items: Mapping[str, str]) -> tuple[Part, Part, float] | None:
    """The same among training and validation cases; None without the latter.

    Nothing held out but the test cases is left then, and those are to be explained.
    """
    fit = model.fits[0]
    if fit.validation is None:
        return None
    learning, held_out = (_members(items, study.attributes[part]) for part in ("train", "validation"))
    # A run always asks for the scores of the training cases.
    learned = cast(ScoredCases, fit.training)
    share = _share(items, model.trainings[0], fit)
    return part_of(learning, learned.dsc), part_of(held_out, fit.validation.dsc), share


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
    scores: Mapping[str, Mapping[str, Any]],
    parts_of: Callable[[TrainedModel, Mapping[str, str]], tuple[Part, Part, float] | None],
    held_out: Literal["validation", "out-of-fold"],
) -> dict[str, dict[str, Any] | None]:
    """Model -> why it serves its worst subgroup worse, by what all models of its backbone show.

    Args:
        trained: All models.
        scores: Model -> its scores, with its worst subgroup.
        parts_of: (model, items) -> the subgroup where the model trained and where not, and its share in the training.
        held_out: What the cases are called that were not trained on.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for model in trained:
        worst = scores[model.name]["worst_subgroup"]
        alike = [entry for entry in trained if entry.backbone == model.backbone]
        parts = [parts_of(entry, worst["items"]) for entry in alike] if worst is not None else []
        known = [entry for entry in parts if entry is not None]
        found[model.name] = None
        if worst is not None and len(known) == len(alike):
            diagnosis = diagnose_models(known, held_out=held_out)[alike.index(model)]
            found[model.name] = {"subgroup": worst["items"], **diagnosis.to_dict()}
    return found


def _members(items: Mapping[str, str], attributes: AttributeTable) -> NDArray[np.bool_]:
    """(n_cases,) who is in a subgroup."""
    subgroup = Subgroup(frozenset(items.items()))
    nobody = Membership((subgroup,), np.zeros((1, 0), dtype=bool), {subgroup.items: 0}, ())
    members: NDArray[np.bool_] = nobody.apply(attributes).matrix[0]
    return members


def _share(items: Mapping[str, str], training: Training, fit: FitResult) -> float:
    """How much of what a training learned from was of the subgroup."""
    weights = trained_weights(training.folder, training.study.split.train, best_epoch=fit.best_epoch)
    return drawn_share(_members(items, training.study.attributes["train"]), weights)


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
