"""A frame of scores and attributes as the two tables that an audit takes."""

from __future__ import annotations

import pandas as pd
import pytest

from segfair.api.frames import split_frame
from segfair.errors import MetadataError

FRAME = pd.DataFrame({"Dice": [0.9, 0.8], "quality": [1.0, 2.0], "site": ["A", "B"], "age": [40, 50]})


def test_rows_without_ids_are_cases() -> None:
    scores, metadata, ids = split_frame(FRAME, scores=["quality"], id_column=None)
    assert ids == "case"
    assert list(scores.columns) == ["case", "Dice", "quality"]
    assert list(metadata.columns) == ["case", "site", "age"]
    assert list(scores["case"]) == list(metadata["case"]) == ["row 1", "row 2"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"patient": ["a", "b"]}, "patient"),
        ({"patient": ["a", "a"]}, "case"),
        ({"patient": ["a", "a"], "image_id": [7, 8]}, "image_id"),
        ({"case": ["a", "a"]}, "case"),
        ({"case": ["a", None]}, "row"),
    ],
)
def test_the_column_of_ids_tells_rows_apart(columns: dict[str, list[object]], expected: str) -> None:
    scores, metadata, ids = split_frame(FRAME.assign(**columns), scores=["Dice"], id_column=None)
    assert ids == expected
    assert ids in scores.columns and ids in metadata.columns


def test_several_rows_of_a_case_keep_what_tells_them_apart() -> None:
    frame = FRAME.assign(case=["a", "a"], label=[1, 2])
    scores, _, ids = split_frame(frame, scores=["Dice"], id_column=None)
    assert (ids, list(scores.columns)) == ("case", list(frame.columns))


def test_an_index_of_ids_is_used_and_one_of_numbers_is_not() -> None:
    _, metadata, ids = split_frame(FRAME.set_axis(["P1", "P2"]), scores=["Dice"], id_column=None)
    assert (ids, list(metadata[ids])) == ("case", ["P1", "P2"])
    named = FRAME.set_axis(pd.Index(["P1", "P2"], name="study"))
    assert split_frame(named, scores=["Dice"], id_column=None)[2] == "study"


def test_a_column_that_is_not_there_is_told() -> None:
    with pytest.raises(MetadataError, match=r"no column 'dice' \(did you mean Dice"):
        split_frame(FRAME, scores=["dice"], id_column=None)
    with pytest.raises(MetadataError, match="no column 'pid'"):
        split_frame(FRAME, scores=["Dice"], id_column="pid")
