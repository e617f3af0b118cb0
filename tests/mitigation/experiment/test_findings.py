"""Why models serve a subgroup worse, from files of trainings: three models, no training."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segfair.audit.procedure import run_audit
from segfair.mitigation.experiment import findings
from segfair.mitigation.experiment.findings import TrainedModel, find_scores
from segfair.mitigation.experiment.settings import MitigationSettings
from segfair.mitigation.experiment.studies import PhantomSize, Study, phantom_study
from segfair.mitigation.experiment.summary import trained_weights
from segfair.mitigation.experiment.trainings import planned_models, planned_trainings
from segfair.mitigation.training.evaluation import ScoredCases
from segfair.mitigation.training.loop import FitResult
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable

SIZE = PhantomSize(size=(16, 16, 16), cases=(24, 24, 24), planted=(12, 12, 12), attributes=("site",))
"""Half of the cases are of the young with dense breasts, and sites are as they are."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> MitigationSettings:
    out = tmp_path_factory.mktemp("run")
    return MitigationSettings(out, strategies=("balanced", "one-shot"), one_shot_weights={"a": 1.0}).complete()


@pytest.fixture(scope="module")
def study(settings: MitigationSettings) -> Study:
    return phantom_study(SIZE, config=settings.audit_config, out=settings.out, seed=0)


def scored(study: Study, part: str, *, at_a: float) -> ScoredCases:
    """Dice of .9, and of site A."""
    table = study.attributes[part]
    dsc = np.where(table["site"].codes == table["site"].levels.index("A"), at_a, 0.9)
    return ScoredCases(table.case_ids, dsc, 0.3 * (1 - dsc))


def judged(study: Study, settings: MitigationSettings, **at_a: float) -> list[TrainedModel]:
    """Each model of the run, with a Dice of site A in every set of cases."""
    models = planned_models(settings)
    trainings = planned_trainings(settings, models, [study])
    found = []
    for model, training in zip(models, trainings, strict=True):
        parts = {part: scored(study, part, at_a=at_a[model.strategy.replace("-", "_")]) for part in study.attributes}
        test = parts["test"]
        rows = [
            CaseScore(case, {"dsc": dice, "normhd": normhd})
            for case, dice, normhd in zip(test.case_ids, test.dsc.tolist(), test.normhd.tolist(), strict=True)
        ]
        config = dataclasses.replace(study.config, min_cases=5, permutations=99, bootstrap=100, outcomes=("dsc",))
        table = ScoreTable((METRICS["dsc"], METRICS["normhd"]), tuple(rows))
        audit = run_audit(study.test, config, plan=study.plan, scores=table)
        fit = FitResult((), 1, parts["validation"], parts["train"])
        found.append(TrainedModel(model, (training,), (fit,), audit))
    return found


def test_the_weights_of_a_training_are_read_once(
    study: Study, settings: MitigationSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(folder: Path, *given: Any, **named: Any) -> Any:
        read.append(folder.name)
        return trained_weights(folder, *given, **named)

    monkeypatch.setattr(findings, "trained_weights", counted)
    trained = judged(study, settings, erm=0.5, balanced=0.5, one_shot=0.5)
    found = find_scores([study], study, trained, settings)
    assert all(model.scores["diagnosis"]["subgroup"] == {"site": "A"} for model in found.values())
    assert sorted(read) == ["balanced", "erm", "one-shot"]
