"""The callback in a real Trainer of Lightning: two epochs, and what its loggers hold on disk."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger
from tests.loops.conftest import SETTINGS, ValidationSet
from tests.loops.test_handlers import in_mlflow, scalars

from segfair import callbacks
from segfair.callbacks import FairnessAudit
from segfair.errors import InputError


class Model(pl.LightningModule):
    """Learns something of no importance; its validation returns the images, which are the predictions."""

    def __init__(self, *, bare: bool = False) -> None:
        super().__init__()
        self.layer = torch.nn.Conv3d(1, 1, 1)
        self.bare = bare

    def training_step(self, batch: Any, _index: int) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.layer(batch["image"].as_tensor()), batch["label"].as_tensor())

    def validation_step(self, batch: Any, _index: int) -> Any:
        prediction = (batch["image"] > 0.5).float()
        return prediction if self.bare else {"pred": prediction}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1e-3)


def trainer(folder: Path, audit: FairnessAudit, loggers: Any, **options: Any) -> pl.Trainer:
    return pl.Trainer(
        accelerator="cpu",
        logger=loggers,
        callbacks=[audit],
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        limit_train_batches=1,
        log_every_n_steps=1,
        **options,
    )


@pytest.mark.parametrize("bare", [False, True])
def test_loggers_hold_what_the_audit_says(
    validation: ValidationSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bare: bool
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    audit = FairnessAudit(validation.folder / "metadata.csv", every=2, **SETTINGS)
    store = (tmp_path / "mlruns").as_uri()
    loggers = [
        TensorBoardLogger(tmp_path / "events", name="", version=""),
        MLFlowLogger("loop", tracking_uri=store),
        CSVLogger(tmp_path / "csv", name="", version=""),
    ]
    run = trainer(tmp_path, audit, loggers, max_epochs=2)
    run.fit(Model(bare=bare), validation.loader(), validation.loader())
    wanted = validation.wanted()
    found, (kept, mlflow_run) = scalars(tmp_path / "events"), in_mlflow(store, "loop")
    for name, value in wanted.items():
        assert [number for _, number in found[name]] == [pytest.approx(value, rel=1e-6)], "of the second epoch alone"
        assert [number for _, number in kept[name]] == [pytest.approx(value, rel=1e-6)]
    assert mlflow_run.data.tags["fairness/worst_subgroup"] == validation.worst_name()
    assert audit.result is not None
    assert audit.result.numbers() == wanted
    assert "fairness/worst_dsc" in (tmp_path / "csv" / "metrics.csv").read_text("utf-8")


def test_a_validation_alone_is_audited(validation: ValidationSet, tmp_path: Path) -> None:
    audit = FairnessAudit(validation.table, every=5, **SETTINGS)
    (numbers,) = trainer(tmp_path, audit, False).validate(Model(), validation.loader(), verbose=False)
    assert numbers == {name: pytest.approx(value, rel=1e-6) for name, value in validation.wanted().items()}


@pytest.mark.parametrize(("given", "told"), [(None, "but pred"), ({"loss": torch.tensor(0.5)}, "but loss")])
def test_a_step_that_gives_no_masks_is_told_before_the_training(
    validation: ValidationSet, tmp_path: Path, given: Any, told: str
) -> None:
    class Silent(Model):
        def validation_step(self, batch: Any, _index: int) -> Any:
            return given

    audit = FairnessAudit(validation.table, **SETTINGS)
    with pytest.raises(InputError, match=f"gives no predictions \\({told}\\); let it give masks as 'pred'"):
        trainer(tmp_path, audit, False, max_epochs=1).fit(Silent(), validation.loader(), validation.loader())
    assert audit.result is None


def test_the_other_lightning_gets_a_callback_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert issubclass(FairnessAudit, pl.Callback)
    import pytorch_lightning

    monkeypatch.delitem(sys.modules, "lightning.pytorch")
    assert callbacks._callback() is pytorch_lightning.Callback
