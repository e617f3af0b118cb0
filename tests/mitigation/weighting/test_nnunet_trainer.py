"""The template for nnU-Net, on stand-ins with the interface of nnU-Net's trainer, data set and loader."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

TEMPLATE = Path(__file__).resolve().parents[3] / "examples" / "nnunet_trainer.py"
TRAINER = "nnunetv2.training.nnUNetTrainer.nnUNetTrainer"

STAND_INS = """
import numpy as np

class Data:
    def __init__(self, identifiers):
        self.identifiers = identifiers

class {loader}:
    def __init__(self, data, batch_size, patch_size, oversample=0.0, sampling_probabilities=None, pad_sides=None):
        self.indices, self.batch_size = data.identifiers, batch_size
        self.sampling_probabilities = sampling_probabilities

    def get_indices(self):
        return np.random.choice(self.indices, self.batch_size, replace=True, p=self.sampling_probabilities)

class nnUNetTrainer:
    cases = (["a", "b", "c"], ["d", "e"])

    def __init__(self):
        self.log = []

    def print_to_log_file(self, text):
        self.log.append(text)

    def get_tr_and_val_datasets(self):
        return tuple(map(Data, self.cases))

    def get_dataloaders(self):
        training, validation = self.get_tr_and_val_datasets()
        return tuple(
            {loader}(data, 2000, (8, 8, 8), oversample=0.33, sampling_probabilities=None, pad_sides=None)
            for data in (training, validation)
        )
"""


@pytest.fixture
def template(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    parts = TRAINER.split(".")
    for end in range(1, len(parts) + 1):
        module = ModuleType(".".join(parts[:end]))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(STAND_INS.format(loader=getattr(request, "param", "nnUNetDataLoader")), module.__dict__)
    spec = importlib.util.spec_from_file_location("nnunet_trainer_template", TEMPLATE)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    yield loaded


def write(path: Path, rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text("case,weight,subgroup\n" + rows)
    monkeypatch.setenv("SEGFAIR_WEIGHTS", str(path))


@pytest.mark.parametrize("template", ["nnUNetDataLoader", "nnUNetDataLoader3D"], indirect=True)
def test_training_cases_are_drawn_by_weight_and_validation_cases_are_not(template, tmp_path, monkeypatch) -> None:
    # In another order than the loader's, with a case of another fold.
    write(tmp_path / "weights.csv", "c,6,sex = f\nx,9,\na,1,\nb,1,\n", monkeypatch)
    trainer = template.nnUNetTrainerCaseWeights()
    training, validation = trainer.get_dataloaders()
    assert training.sampling_probabilities == pytest.approx([1 / 8, 1 / 8, 6 / 8])
    assert validation.sampling_probabilities is None
    np.random.seed(0)  # noqa: NPY002 (nnU-Net draws from numpy's global generator)
    drawn = training.get_indices()
    # Binomial with n 2000, p 0.75: six standard deviations are 0.058.
    assert np.mean(drawn == "c") == pytest.approx(0.75, abs=0.058)
    assert "2.25" in trainer.log[0]
    module = sys.modules[TRAINER]
    assert [name for name in vars(module) if name.startswith("nnUNetDataLoader")] == [type(training).__name__]
    assert vars(module)[type(training).__name__] is type(training), "nnU-Net's own name is back in its place"


def test_a_training_case_without_a_weight_stops_with_its_name(template, tmp_path, monkeypatch) -> None:
    write(tmp_path / "weights.csv", "a,1,\nc,1,\n", monkeypatch)
    with pytest.raises(KeyError, match=r"1 of 3 training cases.* b;"):
        template.nnUNetTrainerCaseWeights().get_dataloaders()


@pytest.mark.parametrize("weights", ["a,0,\nb,0,\nc,0,\n", "a,-1,\nb,1,\nc,1,\n", "a,nan,\nb,1,\nc,1,\n"])
def test_weights_that_are_no_probabilities_stop(template, tmp_path, monkeypatch, weights) -> None:
    write(tmp_path / "weights.csv", weights, monkeypatch)
    with pytest.raises(ValueError, match="at least 0"):
        template.nnUNetTrainerCaseWeights().get_dataloaders()


@pytest.mark.parametrize("template", ["AnotherLoader"], indirect=True)
def test_a_version_with_other_loaders_does_not_train_plainly_in_silence(template, tmp_path, monkeypatch) -> None:
    write(tmp_path / "weights.csv", "a,1,\nb,1,\nc,1,\n", monkeypatch)
    with pytest.raises(RuntimeError, match="no case would be weighted"):
        template.nnUNetTrainerCaseWeights().get_dataloaders()
