"""From the Dice of batches to weights: who is served worse is drawn more, and a saved state goes on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segfair.errors import ConfigError, InputError, MetadataError
from segfair.mitigation.nnunet.feedback import training_attributes, write_weights
from segfair.mitigation.nnunet.settings import DrawSettings
from segfair.mitigation.weighting.balance import balanced_weights
from segfair.mitigation.weighting.feedback import BatchFeedback

CASES = [f"c{number:02d}" for number in range(20)]
SITES = ["a"] * 14 + ["b"] * 6
"""Site b is served worse in what follows."""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "metadata.csv"
    rows = [f"{case},{site},{30 + index}" for index, (case, site) in enumerate(zip(CASES, SITES, strict=True))]
    # Cases of other folds stand in the table, too.
    path.write_text("id,site,age\n" + "\n".join([*rows, "x1,c,40", "x2,c,41"]) + "\n")
    return path


def fed(table: Path, dice_of_b: float = 0.4, epochs: int = 1) -> BatchFeedback:
    feedback = BatchFeedback(training_attributes(DrawSettings(metadata=table, attributes=("site",)), CASES))
    for _ in range(epochs):
        for pair in range(0, 20, 2):
            keys = np.array(CASES[pair : pair + 2])
            dice = np.array([dice_of_b if site == "b" else 0.8 for site in SITES[pair : pair + 2]])
            feedback.observe(keys, dice + 0.01 * np.array([pair % 3, -(pair % 3)]))
        feedback.end_epoch()
    return feedback


def test_attributes_are_those_of_the_training_cases(table: Path) -> None:
    attributes = training_attributes(DrawSettings(metadata=table), CASES)
    assert attributes.case_ids == tuple(CASES)
    assert [attribute.name for attribute in attributes.attributes] == ["site", "age"]
    assert attributes["site"].levels == ("a", "b"), "no level of another fold"


def test_a_training_case_without_a_row_is_named(table: Path) -> None:
    with pytest.raises(InputError, match=r"1 of 21 cases .* for example other"):
        training_attributes(DrawSettings(metadata=table), [*CASES, "other"])


def test_a_column_that_is_not_there_is_named(table: Path) -> None:
    with pytest.raises(MetadataError, match="scanner"):
        training_attributes(DrawSettings(metadata=table, attributes=("scanner",)), CASES)


def test_a_table_without_attributes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_text("id,site\n" + "".join(f"{case},a\n" for case in CASES))
    with pytest.raises(MetadataError, match="no column can be an attribute"):
        training_attributes(DrawSettings(metadata=path), CASES)


def test_who_is_served_worse_is_drawn_more(table: Path) -> None:
    weights = fed(table).weights
    assert weights.array.mean() == pytest.approx(1)
    assert min(weights.array[14:]) > 1.5 * max(weights.array[:14])
    assert fed(table, dice_of_b=0.8).weights.array == pytest.approx(np.ones(20), abs=0.05)


def test_weights_are_balanced_before_an_epoch_and_without_any_dice(table: Path) -> None:
    attributes = training_attributes(DrawSettings(metadata=table, attributes=("site",)), CASES)
    balanced = balanced_weights(attributes, exponent=0.5, over="cells")
    feedback = fed(table, epochs=0)
    assert feedback.weights.array == pytest.approx(balanced)
    feedback.observe(CASES[:2], np.array([np.nan, np.nan]))
    assert feedback.end_epoch().array == pytest.approx(balanced)


def test_a_saved_state_goes_on_as_if_there_had_been_no_end(table: Path) -> None:
    straight, resumed = fed(table, epochs=2), fed(table, epochs=0)
    resumed.load_state_dict(fed(table, epochs=2).state_dict())
    assert resumed.weights.array.tolist() == straight.weights.array.tolist()
    for feedback in (straight, resumed):
        feedback.observe(CASES[:4], np.array([0.1, 0.9, 0.5, 0.5]))
        feedback.end_epoch()
    assert resumed.state_dict() == straight.state_dict()


def test_a_state_of_other_cases_is_refused(table: Path) -> None:
    state = fed(table).state_dict()
    settings = DrawSettings(metadata=table, attributes=("site",))
    with pytest.raises(ConfigError, match="20 training cases"):
        BatchFeedback(training_attributes(settings, [*CASES[1:], "x1"])).load_state_dict(state)


def test_the_table_of_weights_says_why(table: Path, tmp_path: Path) -> None:
    feedback = fed(table)
    write_weights(feedback, tmp_path / "case_weights.csv")
    rows = pd.read_csv(tmp_path / "case_weights.csv", index_col="case")
    assert rows.weight.tolist() == pytest.approx(feedback.weights.array.tolist())
    assert rows.dice["c00"] == pytest.approx(0.8)
    assert rows.subgroup["c19"] == "site = b"
