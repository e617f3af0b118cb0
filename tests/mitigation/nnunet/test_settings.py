"""Settings from the environment: each of the ways to draw, and every one that would not do what was meant."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from segfair.errors import ConfigError
from segfair.mitigation.nnunet import TRAINER_FOLDER
from segfair.mitigation.nnunet.settings import DrawSettings


def test_weights_alone() -> None:
    settings = DrawSettings.from_environment({"SEGFAIR_WEIGHTS": "w.csv", "HOME": "/root", "SEGFAIR_METADATA": ""})
    assert settings == DrawSettings(weights=Path("w.csv"))


def test_a_table_with_its_columns() -> None:
    given = {"SEGFAIR_METADATA": "t.xlsx", "SEGFAIR_ATTRIBUTES": "site, age group", "SEGFAIR_ID_COLUMN": "id"}
    settings = DrawSettings.from_environment(given)
    assert settings == DrawSettings(metadata=Path("t.xlsx"), attributes=("site", "age group"), id_column="id")


def test_variables_of_others_are_left_alone() -> None:
    given = {"SEGFAIR_METADATA": "t.csv", "SEGFAIR_BUSBRA": "/data", "SEGFAIR_UPDATE_GOLD": "1"}
    assert DrawSettings.from_environment(given) == DrawSettings(metadata=Path("t.csv"))


@pytest.mark.parametrize(("text", "names"), [("site,", ("site",)), (" , site,,age", ("site", "age")), (",", None)])
def test_a_comma_too_many_names_no_column(text: str, names: tuple[str, ...] | None) -> None:
    given = {"SEGFAIR_METADATA": "t.csv", "SEGFAIR_ATTRIBUTES": text}
    assert DrawSettings.from_environment(given).attributes == names


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "none of SEGFAIR_WEIGHTS and SEGFAIR_METADATA"),
        ({"SEGFAIR_WEIGHTS": "  "}, "none of"),
        ({"SEGFAIR_WEIGHTS": "w.csv", "SEGFAIR_METADATA": "t.csv"}, "both of"),
        ({"SEGFAIR_WEIGHTS": "w.csv", "SEGFAIR_ATTRIBUTES": "site"}, "unset them"),
        ({"SEGFAIR_METADATA": "t.csv", "SEGFAIR_ATTRIBUTE": "site"}, "did you mean SEGFAIR_ATTRIBUTES"),
        ({"SEGFAIR_METDATA": "t.csv"}, "SEGFAIR_METDATA: not known .did you mean SEGFAIR_METADATA"),
        ({"SEGFAIR_WEIGHTS": "w.csv", "SEGFAIR_IDCOLUMN": "id"}, "did you mean SEGFAIR_ID_COLUMN"),
    ],
)
def test_what_would_not_do_what_was_meant_is_refused(given: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        DrawSettings.from_environment(given)


def test_a_command_tells_nnunet_where_the_trainers_are() -> None:
    command = [sys.executable, "-m", "segfair.mitigation.nnunet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{TRAINER_FOLDER}\n"
    assert (TRAINER_FOLDER / "segfair_trainers.py").is_file()
