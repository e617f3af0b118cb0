"""How ids are spelt in two places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.files.spellings import (
    AS_FILE,
    AS_LETTERS,
    AS_NUMBER,
    AS_PATIENT,
    AS_TEXT,
    FILE,
    FILES,
    LETTERS,
    TEXT,
    Ids,
    Rung,
    by_number,
    number_key,
    pair_patients,
    pair_spellings,
)

RUNGS = (TEXT, LETTERS, FILE, by_number(["a_1", "2"]))


@pytest.mark.parametrize("spelling", ["12", "012", "12.0", "12.00", "sub-12", "case_0012", "CASE 12", "/d/p12.nii.gz"])
def test_spellings_of_one_number(spelling: str) -> None:
    assert number_key(spelling) == "12"


def test_numbers_do_not_go_further() -> None:
    assert len({number_key(text) for text in ("12", "12.5", "-12", "1 2", "12.0.0", "a12", "a1_2", "b12")}) == 8
    assert number_key("000") == "0"


@pytest.mark.parametrize(
    ("case", "value", "how"),
    [
        ("P001", "P001", AS_TEXT),
        ("P001", "p001", AS_LETTERS),
        ("P001", "P001.nii.gz", AS_FILE),
        ("P001", "C:\\data\\P001.mha", AS_FILE),
        ("P001", "/data/labels/p001.nii.gz", AS_FILE),
        ("P001", "images/P001_0000.nii.gz", AS_FILE),
        ("case_01", "01", AS_NUMBER),
        ("sub-01", "case_01.nii.gz", AS_NUMBER),
        ("01", "1.0", AS_NUMBER),
    ],
)
def test_one_id_in_many_spellings(case: str, value: str, how: str) -> None:
    found = pair_spellings([case, "other"], ["", value, "third"], RUNGS)
    assert found.partner == {case: value}
    assert found.how == {case: how}


def test_a_number_that_two_ids_share_belongs_to_neither() -> None:
    found = pair_spellings(["case_1", "sub_1", "case_2"], ["1", "2"], RUNGS)
    assert found.partner == {"case_2": "2"}
    assert found.ambiguous == {"case_1": ("1",), "sub_1": ("1",)}


def test_a_prefix_is_left_out_where_all_ids_bear_it() -> None:
    assert pair_spellings(["DUKE_001", "DUKE_002"], ["2", "7"], (by_number(["DUKE_001", "DUKE_002"]),)).partner == {
        "DUKE_002": "2"
    }
    mixed = ["DUKE_001", "ISPY_002"]
    assert not pair_spellings(mixed, ["1", "2"], (by_number(mixed),)).partner
    assert not pair_spellings(["X1", "X2"], ["C01", "C02"], (by_number(["X1", "X2"]),)).partner


@pytest.mark.parametrize(
    ("label", "prediction"),
    [
        ("P1_seg", "P1"),
        ("P1", "pred_P1"),
        ("P1_lesion_mask", "p1-prediction"),
        ("case_1", "case_001"),
        ("sub-01_ses-02_label-lesion_mask", "sub-01_ses-02_desc-unet_mask"),
        ("sub-01_ses-02_space-T1_label-lesion_mask", "sub-01_ses-02"),
    ],
)
def test_masks_of_one_case_under_two_names(label: str, prediction: str) -> None:
    assert pair_spellings([label, "z"], [prediction, "y"], FILES).partner == {label: prediction}


@pytest.mark.parametrize(
    ("label", "prediction"),
    [("P001", "1"), ("P001", "Q001"), ("sub-01_ses-01_mask", "sub-01_ses-02_mask"), ("kroi_5", "k5"), ("P1", "P10")],
)
def test_masks_that_are_not_of_one_case(label: str, prediction: str) -> None:
    assert not pair_spellings([label, "z"], [prediction, "y"], FILES).partner


def test_two_predictions_of_one_label_are_a_question() -> None:
    found = pair_spellings(["P1"], ["P1_pred", "pred_P1"], FILES)
    assert not found.partner
    assert found.ambiguous == {"P1": ("P1_pred", "pred_P1")}


def test_a_patient_of_several_studies() -> None:
    found = pair_patients(["sub-01_ses-01", "sub-01_ses-02", "sub-010_ses-01", "sub-03"], ["sub-01", "010", "3"])
    assert found.partner == {"sub-01_ses-01": "sub-01", "sub-01_ses-02": "sub-01", "sub-010_ses-01": "010"}
    assert set(found.how.values()) == {AS_PATIENT}


def test_the_longest_beginning_decides() -> None:
    found = pair_patients(["A1_1_left", "A1_2_left"], ["A1", "A1_1"])
    assert found.partner == {"A1_1_left": "A1_1", "A1_2_left": "A1"}
    assert not pair_patients(["DUKE_001", "DUKE_002"], ["DUKE"]).partner, "a beginning without a digit is a place"


texts = st.lists(st.sampled_from(["a", "A", "a_1", "A_01", "1", "01", "1.0", "a.png", "x/a.png", "b", "b_2"]))


@given(texts.map(set).map(sorted), texts)
def test_pairs_are_one_to_one_and_equal_text_comes_first(wanted: list[str], offered: list[str]) -> None:
    found = pair_spellings(wanted, offered, RUNGS)
    assert len(set(found.partner.values())) == len(found.partner)
    assert found.partner.keys() == found.how.keys()
    assert not found.partner.keys() & found.ambiguous.keys()
    for text in set(wanted) & set(offered):
        assert found.partner[text] == text
        assert found.how[text] == AS_TEXT


def test_ids_that_are_sought_in_many_columns_are_worked_out_once():
    asked = []

    def key(text):
        asked.append(text)
        return text.casefold()

    ids, rung = Ids(("P1", "P2", "P3")), Rung("by letters", key)
    first = pair_spellings(ids, ["p1", "x"], (TEXT, rung))
    second = pair_spellings(ids, ["p2", "P3"], (TEXT, rung))
    assert (first.partner, second.partner) == ({"P1": "p1"}, {"P2": "p2", "P3": "P3"})
    assert [text for text in asked if text in ids.names[:2]] == ["P1", "P2"]
