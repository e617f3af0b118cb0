"""The handler in a real evaluator of MONAI: what TensorBoard and MLflow hold on disk is what the audit says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from monai.engines import SupervisedEvaluator, SupervisedTrainer
from monai.handlers import MLFlowHandler, TensorBoardStatsHandler
from monai.inferers import SimpleInferer
from monai.transforms import AsDiscreted
from tests.loops.conftest import SETTINGS, ValidationSet

from segfair.errors import ConfigError, InputError, MetadataError, PairingError
from segfair.handlers import FairnessAudit


def evaluator(validation: ValidationSet, handlers: list[Any], **options: Any) -> SupervisedEvaluator:
    return SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=validation.loader(),
        network=torch.nn.Identity(),
        inferer=SimpleInferer(),
        postprocessing=AsDiscreted(keys="pred", threshold=0.5),
        val_handlers=handlers,
        **options,
    )


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [(event.step, event.value) for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def in_mlflow(store: str, experiment: str) -> tuple[dict[str, list[tuple[int, float]]], Any]:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=store)
    found = client.get_experiment_by_name(experiment)
    (run,) = client.search_runs([found.experiment_id])
    history = {
        name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
        for name in run.data.metrics
    }
    return history, run


@pytest.mark.parametrize("is_first", [True, False])
def test_loggers_hold_what_the_audit_says(validation: ValidationSet, tmp_path: Path, is_first: bool) -> None:
    audit = FairnessAudit(validation.folder / "metadata.csv", every=2, **SETTINGS)
    store = f"sqlite:///{tmp_path}/mlruns.db"
    logging = [
        TensorBoardStatsHandler(log_dir=str(tmp_path / "events"), iteration_log=False),
        MLFlowHandler(tracking_uri=store, experiment_name="loop", iteration_log=False),
    ]
    engine = evaluator(validation, [audit, *logging] if is_first else [*logging, audit])
    told = []
    for epoch in range(1, 5):
        engine.run(global_epoch=epoch)
        told.append({name for name in engine.state.metrics if name.startswith("fairness/")})
    wanted = validation.wanted()
    assert told == [set(), set(wanted), set(), set(wanted)]
    found, (kept, _) = scalars(tmp_path / "events"), in_mlflow(store, "loop")
    for name, value in wanted.items():
        assert found[name] == [(2, pytest.approx(value, rel=1e-6)), (4, pytest.approx(value, rel=1e-6))]
        assert kept[name] == [(2, value), (4, value)], "every digit"
    assert engine.state.worst_subgroup == validation.worst_name()
    assert audit.result is not None
    assert audit.result.n_cases == 24


def test_a_case_without_a_row_is_named_once(validation: ValidationSet) -> None:
    audit = FairnessAudit(validation.table.iloc[2:], every=1, **SETTINGS)
    engine = evaluator(validation, [audit])
    with pytest.warns(UserWarning, match="2 cases of the loop without a row .*: case_00, case_01") as warned:
        engine.run(global_epoch=1)
        engine.run(global_epoch=2)
    assert sum("without a row" in str(entry.message) for entry in warned) == 1
    assert audit.result is not None
    assert audit.result.n_cases == 22


def test_a_table_of_other_cases_is_told_at_the_first_batch(validation: ValidationSet) -> None:
    audit = FairnessAudit(
        validation.table.assign(patient_id=[f"other {row}" for row in range(24)]), every=2, **SETTINGS
    )
    engine = evaluator(validation, [audit])
    with pytest.warns(UserWarning, match="5 cases of the loop without a row"):
        engine.run(global_epoch=1)
    with pytest.raises(MetadataError):
        engine.run(global_epoch=2)


def test_ids_may_stand_under_a_key(validation: ValidationSet) -> None:
    coded = validation.table.assign(patient_id=[f"K{name}" for name in validation.ids])
    audit = FairnessAudit(coded, every=1, id_key="code", **SETTINGS)
    evaluator(validation, [audit]).run()
    assert audit.result is not None
    assert audit.result.numbers() == validation.wanted()
    absent = FairnessAudit(coded, every=1, id_key="patient", **SETTINGS)
    with pytest.raises(PairingError, match="id_key='patient': not in the batch; its keys are image, label, code, pred"):
        evaluator(validation, [absent]).run()


def test_a_trainer_is_audited_on_its_own_cases(validation: ValidationSet) -> None:
    network = torch.nn.Conv3d(1, 1, 1)

    def items(output: Any) -> Any:
        return [{**item, "pred": item["image"]} for item in output]

    audit = FairnessAudit(validation.table, every=2, output_transform=items, **SETTINGS)
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=2,
        train_data_loader=validation.loader(),
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=1e-3),
        loss_function=torch.nn.BCEWithLogitsLoss(),
        train_handlers=[audit],
    )
    trainer.run()
    assert {name: trainer.state.metrics[name] for name in validation.wanted()} == validation.wanted()


def test_settings_that_cannot_be_meant_are_refused_before_the_training(
    validation: ValidationSet, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="every=0: a whole number from 1 on is meant"):
        FairnessAudit(validation.table, every=0)
    with pytest.raises(ConfigError, match=r"sitee: no such metadata column \(did you mean site"):
        FairnessAudit(validation.table, attributes="sitee")
    with pytest.raises(InputError):
        FairnessAudit(tmp_path / "absent.csv")
