"""Which row is whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.errors import MetadataError
from segfair.intake.case_ids import find_id_column, is_row_number, match_ids


def test_equal_text_matches_and_nothing_else() -> None:
    matches = match_ids(["case_1", "case_10"], ["case_10 ", None, "case_1", "case_100", "case_1"])
    assert matches.rows == {"case_1": (2, 4), "case_10": (0,)}
    assert not matches.loose and not matches.ambiguous


@pytest.mark.parametrize("value", [12, 12.0, "12", "12.0", "0012", "012"])
def test_a_number_matches_the_only_file_that_it_can_mean(value: object) -> None:
    matches = match_ids(["0012", "0013"], [value, "x"])
    assert matches.rows == {"0012": (0,)}
    assert matches.loose == ({} if value == "0012" else {"0012": str(value)})


def test_case_does_not_matter_where_it_cannot_be_mistaken() -> None:
    assert match_ids(["duke_001", "duke_002"], ["DUKE_001", "DUKE_002"]).rows == {
        "duke_001": (0,),
        "duke_002": (1,),
    }
    assert match_ids(["duke_001", "DUKE_001"], ["Duke_001"]).ambiguous == {
        "duke_001": ("Duke_001",),
        "DUKE_001": ("Duke_001",),
    }


def test_ambiguous_numbers_match_nobody() -> None:
    two_files = match_ids(["12", "0012"], ["12.0"])
    assert not two_files.rows
    assert two_files.ambiguous == {"12": ("12.0",), "0012": ("12.0",)}
    two_spellings = match_ids(["0012"], ["12", "12.0"])
    assert not two_spellings.rows
    assert two_spellings.ambiguous == {"0012": ("12", "12.0")}


def test_an_exact_match_is_never_taken_away() -> None:
    matches = match_ids(["12", "0012"], ["12", "x"])
    assert matches.rows == {"12": (0,)}
    assert matches.ambiguous == {"0012": ("12",)}
    assert match_ids(["12"], ["12", "0012"]).rows == {"12": (0,)}


@given(
    st.lists(st.sampled_from(["1", "01", "1.0", "a", "A", "2", "b"]), unique=True),
    st.lists(st.sampled_from(["1", "01", "001", "1.0", "a", "A", "2.0", "", "c"])),
)
def test_no_row_belongs_to_two_cases(case_ids: list[str], values: list[str]) -> None:
    matches = match_ids(case_ids, values)
    taken = [row for rows in matches.rows.values() for row in rows]
    assert len(taken) == len(set(taken))
    for case in case_ids:
        if case in values:
            assert matches.rows[case] == tuple(index for index, value in enumerate(values) if value == case)
    assert not matches.rows.keys() & matches.ambiguous.keys()


IDS = ["P001", "P002", "P003"]


def frame(**columns: list[object]) -> dict[str, list[object]]:
    return columns


def test_the_column_that_holds_most_ids() -> None:
    table = frame(number=["1", "2", "3"], patient=["X", "P002", "P001"], scan=["P003", "P002", "P001"])
    match = find_id_column(table, IDS, name="meta.csv")
    assert match.column == "scan"
    assert match.rows == {"P001": 2, "P002": 1, "P003": 0}
    assert match.notices == ("meta.csv: 3 joined by scan as text, 0 rows unused",)
    assert match.counts == {"text": 3, "unused": 0}
    assert find_id_column(table, IDS, wanted="patient").column == "patient"


def test_ties_go_to_exact_ids_then_fewer_repeats_then_left() -> None:
    loose_first = frame(a=["p001", "p002"], b=["P001", "P002"])
    assert find_id_column(loose_first, IDS).column == "b"
    repeats_first = frame(a=["P001", "P002", "P001"], b=["P001", "P002", None], c=["P001", "P002", "z"])
    assert find_id_column(repeats_first, IDS).column == "b"


def test_what_was_matched_loosely_or_left_is_said() -> None:
    table = frame(id=["1", "2.0", "3", "03", "9", "9"], age=[41, 42, 43, 44, 45, 46])
    match = find_id_column(table, ["01", "2", "003", "7"], name="meta.csv")
    assert match.rows == {"01": 0, "2": 1}
    assert match.ambiguous == {"003": ("3", "03")}
    text = "\n".join(match.notices)
    assert match.explanation == "meta.csv: 2 joined by id, by number, 4 rows unused"
    assert "01 = 1, 2 = 2.0" in text
    assert "003 (3, 03)" in text


def test_identical_rows_merge_and_contradicting_ones_stop() -> None:
    same = frame(id=["P001", "P002", "P001"], age=["40", "50", "40 "])
    match = find_id_column(same, IDS, name="meta.csv")
    assert match.rows == {"P001": 0, "P002": 1}
    assert "cases whose row meta.csv repeats without a difference: 1 (P001)" in match.notices
    other = frame(id=["P001", "P002", "P001", "P002"], age=["40", "50", "41", "50"], sex=["f", "f", "f", "f"])
    with pytest.raises(
        MetadataError, match=r"contradict each other, in 1 of 2 cases: P001; those of P001 differ in age"
    ):
        find_id_column(other, IDS, name="meta.csv")


def test_a_blank_cell_contradicts_a_value() -> None:
    with pytest.raises(MetadataError, match="differ in age"):
        find_id_column(frame(id=["P001", "P001"], age=["40", None]), IDS)


def test_no_match_shows_both_sides_and_a_way_out() -> None:
    table = frame(n=["1", "2"], patient=["anna", "berta"])
    with pytest.raises(MetadataError) as caught:
        find_id_column(table, IDS, name="meta.csv")
    message = str(caught.value)
    assert all(word in message for word in ("meta.csv", "P001, P002, P003", "patient (anna, berta)", "file names"))
    assert message.index("patient (") < message.index("n ("), "text columns first"
    with pytest.raises(MetadataError, match=r"column patient holds none .* leave out --id-column"):
        find_id_column(table, IDS, wanted="patient")


def test_an_unknown_column() -> None:
    with pytest.raises(MetadataError, match=r"id column patiant: not in meta.csv \(did you mean patient\?"):
        find_id_column(frame(patient=["a"]), IDS, wanted="patiant", name="meta.csv")


def test_a_row_number_never_joins_while_another_column_matches_anything() -> None:
    """pandas writes its index without a name; here it would pair every case with another patient."""
    ids = [str(number) for number in range(6)]
    table = frame(**{"column 1": list("012345"), "patient_id": list("351204"), "sex": list("fmfmfm")})
    match = find_id_column(table, ids)
    assert match.column == "patient_id"
    assert match.rows == {"0": 4, "1": 2, "2": 3, "3": 0, "4": 5, "5": 1}
    for name in ("Unnamed: 0", "index", "", "level_0", "row"):
        renamed = {name if column == "column 1" else column: cells for column, cells in table.items()}
        assert find_id_column(renamed, ids).column == "patient_id"
    alone = {column: cells for column, cells in table.items() if column != "patient_id"}
    assert find_id_column(alone, ids).column == "column 1", "where nothing else matches it is all there is"
    assert is_row_number("index", ["0", "1", "2"]) and is_row_number("", [1, 2, 3])
    assert not is_row_number("index", ["0", "2", "1"]) and not is_row_number("patient", ["0", "1", "2"])


def test_a_count_from_zero_is_no_number_of_a_patient() -> None:
    table = frame(patient=["0", "1", "2", "3"], age=["50", "60", "70", "80"])
    with pytest.raises(MetadataError, match="no column holds any"):
        find_id_column(table, ["P000", "P001", "P002", "P003"])
    assert find_id_column(table, ["0", "1", "2", "3"]).column == "patient"


def test_two_columns_that_pair_differently_are_for_the_user_to_choose() -> None:
    table = frame(old_id=["1", "2", "3", "4"], new_id=["2", "1", "4", "3"], sex=list("fmfm"))
    with pytest.raises(MetadataError) as caught:
        find_id_column(table, ["1", "2", "3", "4"], name="meta.csv")
    message = str(caught.value)
    assert "old_id (4 cases) and new_id (4 cases) differ for 4" in message
    assert message.count("is row") == 3, "three examples"
    assert "1 is row 1 by old_id and row 2 by new_id" in message
    assert "--id-column old_id or --id-column new_id" in message
    assert find_id_column(table, ["1", "2", "3", "4"], wanted="new_id").rows["1"] == 1
    same = frame(a=["1", "2"], b=["1", "2"])
    assert find_id_column(same, ["1", "2"]).column == "a", "two columns that agree are no question"


def test_text_outranks_numbers() -> None:
    table = frame(order=["3", "1", "2"], name=["case_1", "case_2", "case_3"])
    match = find_id_column(table, ["case_1", "case_2", "case_3"])
    assert (match.column, match.rows) == ("name", {"case_1": 0, "case_2": 1, "case_3": 2})
    assert match.explanation == "the metadata: 3 joined by name as text, 0 rows unused"


def test_some_ids_by_number() -> None:
    table = frame(id=["P1", "P2", "3", "9"])
    match = find_id_column(table, ["P1", "P2", "P003"], name="m.csv")
    assert match.explanation == "m.csv: 2 joined by id as text, 1 by number, 1 row unused"
    assert match.counts == {"text": 2, "number": 1, "unused": 1}
    assert any("P003 = 3" in notice for notice in match.notices)


def test_one_row_serves_all_studies_of_a_patient() -> None:
    ids = ["sub-01_ses-01", "sub-01_ses-02", "sub-02_ses-01", "sub-03_ses-01"]
    table = frame(participant_id=["sub-01", "sub-02", "sub-03", "sub-04"], sex=list("fmfm"))
    match = find_id_column(table, ids, name="participants.tsv")
    assert match.rows == dict(zip(ids, [0, 0, 1, 2], strict=True))
    assert match.is_patient
    assert match.explanation == "participants.tsv: 4 joined by participant_id, by patient, 1 row unused"
    assert any("4 cases of 3 patients" in notice for notice in match.notices)
    assert not find_id_column(table, ["sub-01_T1", "sub-02_T1"]).is_patient


def test_a_table_of_places_is_no_table_of_patients() -> None:
    with pytest.raises(MetadataError, match="no column holds any"):
        find_id_column(frame(site=["DUKE", "ISPY"], n=["291", "200"]), ["DUKE_001", "DUKE_002", "ISPY_001"])


def test_a_row_a_case_and_label() -> None:
    table = frame(
        id=["P1", "P1", "P2", "P2", "P3", "P3"],
        label=["1", "2"] * 3,
        volume=list("123456"),
        sex=["f", "f", "m", "m", "f", "f"],
    )
    match = find_id_column(table, ["P1", "P2", "P3"], name="long.csv")
    assert match.rows == {"P1": 0, "P2": 2, "P3": 4}
    assert match.several == ("label", "volume")
    assert any("told apart by label; label, volume differ" in notice for notice in match.notices)


def test_an_age_is_nobodys_id() -> None:
    frame = {"age": [20, 21, 22, 23], "who": ["a", "b", "c", "d"]}
    with pytest.raises(MetadataError, match="no column holds any of the 4 case ids"):
        find_id_column(frame, ["P020", "P021", "P022", "P023"])
    assert find_id_column(frame, ["P020", "P021"], wanted="age").rows == {"P020": 0, "P021": 1}


def test_marks_without_a_width_do_not_part_ids() -> None:
    frame = {"id": ["\u200bP1\u00a0", "\ufeffP2"], "sex": ["f", "m"]}
    assert find_id_column(frame, ["P1", "P2"]).rows == {"P1": 0, "P2": 1}


@pytest.mark.parametrize("sessions", [["ses-1", "ses-2"], ["1", "2"]])
def test_a_row_a_patient_and_session_that_the_ids_name(sessions: list[str]) -> None:
    frame = {"participant_id": ["sub-1", "sub-1", "sub-2", "sub-2"], "session": sessions * 2, "age": [40, 41, 60, 62]}
    cases = ["sub-1_ses-1", "sub-1_ses-2", "sub-2_ses-1", "sub-2_ses-2"]
    match = find_id_column(frame, cases)
    assert match.rows == {"sub-1_ses-1": 0, "sub-1_ses-2": 1, "sub-2_ses-1": 2, "sub-2_ses-2": 3}
    assert match.is_patient and not match.several and match.column == "participant_id"
    # Of a session that the table lacks nothing is guessed: what differs between a patient's rows is left out.
    assert find_id_column(frame, [*cases[:3], "sub-2_ses-9"]).several == ("session", "age")


def test_ids_that_count_from_zero_and_from_one_are_refused() -> None:
    frame = {"patient_id": [str(number) for number in range(1, 41)], "site": ["A", "B"] * 20}
    cases = [str(number) for number in range(40)]
    with pytest.raises(MetadataError, match=r"39 of 40 case ids as they are, and all of them where it counts from one"):
        find_id_column(frame, cases)
    asked = find_id_column(frame, cases, wanted="patient_id")
    assert asked.rows["5"] == 4, "patient 5 stands in the fifth row"


def test_a_case_without_a_row_is_no_shift() -> None:
    frame = {"patient_id": ["1", "2", "3", "7"], "site": list("ABAB")}
    assert sorted(find_id_column(frame, ["1", "2", "3", "9"]).rows) == ["1", "2", "3"]
