"""The trainer in nnU-Net itself, on CPU: planned, preprocessed, trained, predicted, audited and compared for real."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.mitigation.nnunet_data import N_CASES, NnunetData

from segfair.errors import ConfigError, InputError
from segfair.mitigation.nnunet.probabilities import SharedProbabilities
from segfair.mitigation.weighting.reweighter import TILTED

SEGFAIR, PLAIN = "nnUNetTrainerSegfair", "nnUNetTrainer"
MODULE = "nnunetv2.training.nnUNetTrainer.nnUNetTrainer"
QUICK = ("--permutations", 199, "--bootstrap", 100, "--workers", 1)

Build = Callable[..., Any]


def losses(trainer: Any) -> list[float]:
    return [float(loss) for loss in trainer.logger.get_value("train_losses", step=None)]


def weights_of_network(trainer: Any) -> np.ndarray:
    return np.concatenate([values.detach().numpy().ravel() for values in trainer.network.state_dict().values()])


def predict(trainer: Any, data: NnunetData, out: Path) -> Path:
    """nnU-Net's own prediction, from the training's folder."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    predictor = nnUNetPredictor(use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(trainer.output_folder_base, use_folds=(0,))
    out.mkdir()
    predictor.predict_from_files_sequential(str(data.raw / "imagesTr"), str(out))
    return out


def test_from_training_to_a_comparison_with_plain_nnunet(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path, call_cli: Callable[..., Any]
) -> None:
    audits = []
    for name, settings in ((PLAIN, {}), (SEGFAIR, {"metadata": nnunet_data.metadata})):
        trainer = trainer_of(name, **settings)
        trainer.run_training()
        masks, report = predict(trainer, nnunet_data, tmp_path / name), tmp_path / f"audit {name}"
        done = call_cli("audit", masks, nnunet_data.raw, nnunet_data.metadata, "--out", report, *QUICK)
        assert done.returncode == 0, done.stderr
        audit = json.loads((report / "audit.json").read_text())
        assert audit["cases"]["n_scored"] == N_CASES
        assert audit["cases"]["penalised"] == []
        audits.append(report / "audit.json")
    table = Path(trainer.output_folder) / "case_weights.csv"
    assert [row.split(",")[0] for row in table.read_text().splitlines()] == ["case", *nnunet_data.training]
    done = call_cli("compare", *audits, "--out", tmp_path / "comparison")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "comparison" / "comparison.json").is_file()


class Even:
    """Where nnU-Net looks up its loader's class: its own, with equal probabilities for the training cases.

    numpy draws otherwise by equal probabilities than by none, so that plain nnU-Net would see other cases.
    """

    def __init__(self, build: Callable[..., Any], n_cases: int) -> None:
        self.build, self.n_cases = build, n_cases

    def __call__(self, data: Any, *args: Any, **settings: Any) -> Any:
        if len(data.identifiers) == self.n_cases:
            settings["sampling_probabilities"] = np.full(self.n_cases, 1 / self.n_cases)
        return self.build(data, *args, **settings)


def test_with_equal_weights_the_training_is_plain_nnunet_bit_for_bit(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    even = trainer_of(SEGFAIR, weights=nnunet_data.write_weights(tmp_path / "weights.csv"))
    even.run_training()
    fed = trainer_of(SEGFAIR, metadata=nnunet_data.metadata)
    # A rule that begins with equal weights.
    fed.rule = TILTED
    fed.run_training()
    module = import_module(MODULE)
    with monkeypatch.context() as patch:
        patch.setattr(module, "nnUNetDataLoader", Even(module.nnUNetDataLoader, len(nnunet_data.training)))
        plain = trainer_of(PLAIN)
        plain.run_training()
    assert losses(even) == losses(plain)
    assert np.array_equal(weights_of_network(even), weights_of_network(plain))
    assert losses(fed)[0] == losses(plain)[0], "what is overheard changes no step"


def test_given_weights_reach_the_loader_of_the_training_cases_alone(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path
) -> None:
    first, *others = nnunet_data.training
    table = nnunet_data.write_weights(tmp_path / "weights.csv", **dict.fromkeys(others, 0.0))
    trainer = trainer_of(SEGFAIR, weights=table)
    trainer.initialize()
    training, validation = trainer.get_dataloaders()
    assert {str(key) for _ in range(5) for key in next(training)["keys"]} == {first}
    assert len({str(key) for _ in range(20) for key in next(validation)["keys"]}) > 1
    from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader

    assert import_module(MODULE).nnUNetDataLoader is nnUNetDataLoader, "nnU-Net's own name is back in its place"


def test_a_change_reaches_the_processes_of_a_running_loader(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(SEGFAIR, weights=nnunet_data.write_weights(tmp_path / "weights.csv"))
    monkeypatch.setenv("nnUNet_n_proc_DA", "2")
    trainer.initialize()
    trainer.dataloader_train, trainer.dataloader_val = trainer.get_dataloaders()
    try:
        drawn = {str(key) for _ in range(10) for key in next(trainer.dataloader_train)["keys"]}
        assert len(drawn) > 3
        trainer.probabilities.change(np.eye(len(nnunet_data.training))[4])
        # Twelve batches at most wait in two queues of six, and each process holds one.
        batches = [set(map(str, next(trainer.dataloader_train)["keys"])) for _ in range(40)]
        assert all(keys == {nnunet_data.training[4]} for keys in batches[20:])
    finally:
        trainer.dataloader_train._finish()
        trainer.dataloader_val._finish()


def test_an_epoch_changes_what_the_next_one_draws_by(nnunet_data: NnunetData, trainer_of: Build) -> None:
    trainer = trainer_of(SEGFAIR, epochs=1, metadata=nnunet_data.metadata)
    # Of so few cases no deficit is sure, which the trainer's own rule asks for.
    trainer.rule = TILTED
    trainer.run_training()
    scores = np.array(trainer.feedback.state_dict()["running"]["averages"], dtype=float)
    assert np.isfinite(scores).any()
    expected = trainer.feedback.weights.array / trainer.feedback.weights.array.sum()
    assert np.asarray(trainer.probabilities) == pytest.approx(expected)
    assert np.ptp(expected) > 0


def test_a_resumed_training_goes_on_with_its_running_dice(nnunet_data: NnunetData, trainer_of: Build) -> None:
    first = trainer_of(SEGFAIR, epochs=1, metadata=nnunet_data.metadata)
    first.run_training()
    resumed = trainer_of(SEGFAIR, metadata=nnunet_data.metadata)
    resumed.load_checkpoint(str(Path(first.output_folder) / "checkpoint_final.pth"))
    resumed.get_dataloaders()
    assert resumed.current_epoch == 1
    assert resumed.feedback.state_dict() == first.feedback.state_dict()
    assert np.asarray(resumed.probabilities).tolist() == np.asarray(first.probabilities).tolist()


class Runs:
    """What a pickle can hold: a call of anything."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_checkpoint_that_holds_code_is_refused_before_nnunet_reads_it(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path
) -> None:
    import torch

    trainer = trainer_of(SEGFAIR, metadata=nnunet_data.metadata)
    trap = tmp_path / "was run"
    torch.save({"network_weights": {}, "logging": Runs(trap)}, tmp_path / "checkpoint.pth")
    with pytest.raises(InputError, match=r"cannot be read without running what it holds \(UnpicklingError\)"):
        trainer.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    assert not trap.exists()


def test_a_training_by_given_weights_is_not_resumed_by_running_dice(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path
) -> None:
    first = trainer_of(SEGFAIR, weights=nnunet_data.write_weights(tmp_path / "weights.csv"))
    first.initialize()
    first.save_checkpoint(str(tmp_path / "checkpoint.pth"))
    resumed = trainer_of(SEGFAIR, metadata=nnunet_data.metadata)
    resumed.load_checkpoint(str(tmp_path / "checkpoint.pth"))
    with pytest.raises(ConfigError, match="holds no running Dice"):
        resumed.get_dataloaders()


def test_what_is_missing_is_told_before_the_first_epoch(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="SEGFAIR_WEIGHTS"):
        trainer_of(SEGFAIR).run_training()
    (tmp_path / "weights.csv").write_text("case,weight\n" + "".join(f"{case},1\n" for case in nnunet_data.training[1:]))
    with pytest.raises(InputError, match=f"1 of 11 training cases .* {nnunet_data.training[0]};"):
        trainer_of(SEGFAIR, weights=tmp_path / "weights.csv").run_training()


def test_several_gpus_are_refused_for_running_dice_only(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path
) -> None:
    trainer = trainer_of(SEGFAIR, metadata=nnunet_data.metadata)
    trainer.is_ddp = True
    with pytest.raises(ConfigError, match="one GPU"):
        trainer.get_tr_and_val_datasets()
    trainer = trainer_of(SEGFAIR, weights=nnunet_data.write_weights(tmp_path / "weights.csv"))
    trainer.is_ddp = True
    trainer.get_tr_and_val_datasets()
    assert isinstance(trainer.probabilities, SharedProbabilities)


def test_an_nnunet_that_builds_its_loaders_elsewhere_does_not_train_plainly_in_silence(
    nnunet_data: NnunetData, trainer_of: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = trainer_of(SEGFAIR, weights=nnunet_data.write_weights(tmp_path / "weights.csv"))
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    monkeypatch.setattr(nnUNetTrainer, "get_dataloaders", lambda self: self.get_tr_and_val_datasets())
    with pytest.raises(ConfigError, match="no case would be drawn by weight"):
        trainer.get_dataloaders()


@pytest.mark.usefixtures("nnunet_data")
@pytest.mark.parametrize("epochs", [5, 50, 100, 250])
def test_lengths_of_training_are_those_of_nnunet(epochs: int) -> None:
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    found = recursive_find_trainer_class_by_name(f"{SEGFAIR}_{epochs}epochs")
    lineage = [kind.__name__ for kind in found.__mro__]
    assert lineage[1:4] == [SEGFAIR, f"{PLAIN}_{epochs}epochs", PLAIN]
