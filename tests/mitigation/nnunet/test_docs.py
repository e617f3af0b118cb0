"""docs/how-to/nnunet.md names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from segfair.errors import ConfigError
from segfair.mitigation.nnunet import TRAINER_FOLDER
from segfair.mitigation.nnunet.settings import DrawSettings

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "how-to" / "nnunet.md").read_text("utf-8")


def test_the_variables_are_those_that_are_read() -> None:
    with pytest.raises(ConfigError) as told:
        DrawSettings.from_environment({"SEGFAIR_WEIGHT": "x"})
    variables = r"SEGFAIR_[A-Z_]+"
    known = str(told.value).partition("there are ")[2]
    assert set(re.findall(variables, PAGE)) == set(re.findall(variables, known))


def test_the_trainers_are_those_that_nnunet_finds() -> None:
    classes = r"nnUNetTrainerSegfair(?:_\d+epochs)?"
    module = (TRAINER_FOLDER / "segfair_trainers.py").read_text("utf-8")
    on_page = set(re.findall(rf"`({classes})`", PAGE))
    assert on_page == set(re.findall(rf'^    "({classes})",$', module, flags=re.MULTILINE))


def test_the_example_of_a_trainer_of_ones_own_runs() -> None:
    pytest.importorskip("nnunetv2", reason="needs segfair[nnunet]")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    names: dict[str, type] = {}
    exec(example, names)
    lineage = [kind.__name__ for kind in names["nnUNetTrainerSegfairDA5"].__mro__]
    assert lineage[1:4] == ["nnUNetTrainerSegfair", "nnUNetTrainerDA5", "nnUNetTrainer"]
