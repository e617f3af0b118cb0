"""Tables in every format, and CSV out."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segfair.errors import InputError, MetadataError
from segfair.files.cells import fuse
from segfair.files.tables import Table, load_table, records_table, table_from_frame, write_csv

CASES = {"id": ["0012", "0013"], "age": [41, 62], "sex": ["f", "m"]}


def rows(table: Table) -> dict[str, list[object]]:
    return {column: table.column(column) for column in table.columns}


def workbook(path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, cells in sheets.items():
        sheet = book.create_sheet(title)
        for row in cells:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_tables(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id;age;site\n0012;41;Köln\n0013;62;Linz\n".replace(";", delimiter), encoding)
    table = load_table(path)
    assert rows(table) == {"id": ["0012", "0013"], "age": [41, 62], "site": ["Köln", "Linz"]}
    assert table.raw["age"] == ["41", "62"]
    assert table.notices == ()


@given(
    cells=st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=8), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=6,
    ),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_cell_arrives(tmp_path: Path, cells, delimiter, quoting) -> None:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=delimiter, quoting=quoting)
    writer.writerows([["one", "two", "three"], *([f"x{row[0]}", *row[1:]] for row in cells)])
    path = tmp_path / "t.csv"
    path.write_bytes(buffer.getvalue().encode())
    raw = load_table(path).raw
    for index, column in enumerate(("one", "two", "three")):
        expected = [f"x{row[0]}" if index == 0 else row[index] for row in cells]
        for text, found in zip(expected, raw[column], strict=True):
            assert found == (fuse(text) if text.strip() else None)


def test_semicolons_with_decimal_commas(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id;bmi;note\nA;23,5;a, b, c\nB;18;d, e, f\n")
    table = load_table(tmp_path / "t.csv")
    assert rows(table) == {"id": ["A", "B"], "bmi": [23.5, 18.0], "note": ["a, b, c", "d, e, f"]}
    assert table.raw["bmi"] == ["23,5", "18"]
    assert any("decimal comma" in notice and "bmi" in notice for notice in table.notices)


def test_commas_in_semicolon_header_and_quotes_over_lines(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('id,"name; first, last",age\nA,"Doe; J,\nJr",4\nB,x,5\n')
    assert rows(load_table(tmp_path / "t.csv"))["name; first, last"] == ["Doe; J,\nJr", "x"]


def test_declared_delimiter_and_tsv_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sep=;\nid;age\nA;4\n")
    (tmp_path / "b.tsv").write_text("id\tdose, mg\nA\t4\n")
    assert rows(load_table(tmp_path / "a.csv")) == {"id": ["A"], "age": [4]}
    assert rows(load_table(tmp_path / "b.tsv")) == {"id": ["A"], "dose, mg": [4]}


def test_one_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id\n0012\n0013\n")
    assert rows(load_table(tmp_path / "t.csv")) == {"id": ["0012", "0013"]}


def test_other_encodings_are_read_with_a_notice(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("id,site\nA,Málaga\n".encode("latin-1"))
    table = load_table(tmp_path / "t.csv")
    assert table.column("site") == ["Málaga"]
    assert "not UTF-8" in table.notices[0]


def test_names_as_r_and_pandas_leave_them_out(tmp_path: Path) -> None:
    (tmp_path / "r.csv").write_text('"age","sex"\n"A",41,"f"\n"B",62,"m"\n')
    (tmp_path / "pandas.csv").write_text(",age\nA,41\nB,62\n")
    assert rows(load_table(tmp_path / "r.csv")) == {"column 1": ["A", "B"], "age": [41, 62], "sex": ["f", "m"]}
    assert rows(load_table(tmp_path / "pandas.csv")) == {"column 1": ["A", "B"], "age": [41, 62]}


def test_blank_rows_short_rows_and_empty_columns(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n id , age ,,\nA,4,,\n,,,\n\nB\nC,6,,\n")
    assert rows(load_table(tmp_path / "t.csv")) == {"id": ["A", "B", "C"], "age": [4, None, 6]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"id,age\n", "no rows"),
        (b"id,age\n\n , \n", "no rows"),
        (b"id,age,id\nA,4,B\n", "two columns are named id"),
        (b"id,age\nA,4,5,6\nB,1\n", "row 2 has 4 cells, the first row has 2"),
        (b"id,age\nA,\x00\x01\x02\n", "binary"),
    ],
)
def test_unusable_text(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(MetadataError, match=message) as caught:
        load_table(tmp_path / "t.csv")
    assert "t.csv" in str(caught.value)


def test_unusable_paths(tmp_path: Path) -> None:
    (tmp_path / "t.xls").write_bytes(b"x")
    (tmp_path / "t.doc").write_bytes(b"x")
    (tmp_path / "t.xlsx").write_bytes(b"no archive")
    (tmp_path / "t.parquet").write_bytes(b"no parquet")
    (tmp_path / "t.json").write_bytes(b"{")
    for name, message in [
        ("gone.csv", "does not exist"),
        ("tt.jsonl", "does not exist (did you mean t.json?)"),
        (".", "is a folder"),
        ("t.xls", "save it as .xlsx or .csv"),
        ("t.doc", "unknown format"),
        ("t.xlsx", "cannot be read as XLSX"),
        ("t.parquet", "cannot be read as Parquet"),
        ("t.json", "not JSON (line 1, column 2"),
    ]:
        with pytest.raises(MetadataError, match=re.escape(message)):
            load_table(tmp_path / name)


def test_a_sheet_of_a_csv(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id\nA\n")
    with pytest.raises(MetadataError, match="only XLSX files have sheets"):
        load_table(tmp_path / "t.csv", sheet="one")


@pytest.fixture
def clinical(tmp_path: Path) -> Path:
    """The shape of the MAMA-MIA sheet: three sheets, blank rows, empty cells."""
    return workbook(
        tmp_path / "clinical.xlsx",
        {
            "analysis": [["site", "n"], ["DUKE", 291], ["ISPY1", 171]],
            "legend": [["column", "meaning"], ["age", "at diagnosis"]],
            "dataset_info": [
                ["patient_id", "age", "menopause", None],
                ["DUKE_001", 41, "pre (<6 months since LMP)", None],
                [None, None, None, None],
                ["DUKE_002", None, "post", None],
                ["ISPY1_1001", 38.5, None, None],
                ["", " ", None, None],
            ],
            "empty": [],
        },
    )


def test_the_sheet_is_chosen_by_content(clinical: Path) -> None:
    table = load_table(clinical, wanted_ids=["duke_001", "DUKE_002", "elsewhere"])
    assert table.sheet == "dataset_info"
    assert rows(table) == {
        "patient_id": ["DUKE_001", "DUKE_002", "ISPY1_1001"],
        "age": [41.0, None, 38.5],
        "menopause": ["pre (<6 months since LMP)", "post", None],
    }
    assert "dataset_info of analysis, legend, dataset_info, empty" in table.notices[0]
    assert "2 of the case ids" in table.notices[0]


def test_the_sheet_is_named(clinical: Path) -> None:
    assert load_table(clinical, sheet="legend").columns == ("column", "meaning")
    assert load_table(clinical).sheet == "analysis", "without ids the first with rows"
    with pytest.raises(MetadataError, match="no sheet info; there are analysis, legend, dataset_info, empty"):
        load_table(clinical, sheet="info")
    with pytest.raises(MetadataError, match="sheet empty has no rows"):
        load_table(clinical, sheet="empty")


def test_a_workbook_with_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match=r"none of its sheets \(a, b\) has rows"):
        load_table(workbook(tmp_path / "t.xlsx", {"a": [], "b": [["id"]]}))


def test_excel_keeps_numbers_booleans_dates_and_text_ids(tmp_path: Path) -> None:
    day = datetime.datetime(2020, 5, 17)
    cells = [["id", "n", "flag", "day", "code"], ["7", 7, True, day, "0012"], ["8", None, False, day, 12]]
    table = load_table(workbook(tmp_path / "t.xlsx", {"a": cells}))
    assert table.raw["id"] == ["7", "8"]
    assert rows(table) == {
        "id": [7, 8],
        "n": [7, None],
        "flag": [True, False],
        "day": [day, day],
        "code": ["0012", 12],
    }


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({**CASES, "size": [1.5, np.nan], "grade": pd.Categorical(["a", None])})
    frame.to_parquet(tmp_path / "plain.parquet")
    frame.set_index("id").to_parquet(tmp_path / "indexed.parquet")
    expected = {**CASES, "size": [1.5, None], "grade": ["a", None]}
    assert rows(load_table(tmp_path / "plain.parquet")) == expected
    assert rows(load_table(tmp_path / "indexed.parquet")) == expected


def test_json_in_its_three_forms(tmp_path: Path) -> None:
    frame = pd.DataFrame(CASES)
    (tmp_path / "records.json").write_text(json.dumps(frame.to_dict("records")))
    (tmp_path / "columns.json").write_text(json.dumps(CASES))
    (tmp_path / "pandas.json").write_text(frame.to_json())
    for name in ("records", "columns", "pandas"):
        assert rows(load_table(tmp_path / f"{name}.json")) == CASES, name
    (tmp_path / "indexed.json").write_text(frame.set_index("id").to_json())
    assert rows(load_table(tmp_path / "indexed.json")) == {"index": CASES["id"], "age": [41, 62], "sex": ["f", "m"]}
    (tmp_path / "ragged.json").write_text('[{"id": "A"}, {"id": "B", "age": NaN}, {"age": 5}]')
    assert rows(load_table(tmp_path / "ragged.json")) == {"id": ["A", "B", None], "age": [None, None, 5]}


@pytest.mark.parametrize("tree", [[], {}, [1, 2], {"a": 1}, "text", {"a": [1], "b": [1, 2]}])
def test_other_json(tmp_path: Path, tree: object) -> None:
    (tmp_path / "t.json").write_text(json.dumps(tree))
    with pytest.raises(MetadataError, match=r"expected a list of records|unequal length \(a 1, b 2\)"):
        load_table(tmp_path / "t.json")


def test_data_frames(tmp_path: Path) -> None:
    frame = pd.DataFrame(CASES)
    assert rows(table_from_frame(frame)) == CASES
    assert rows(table_from_frame(frame.set_index("id"))) == CASES
    assert rows(table_from_frame(frame.set_index(pd.Index(["x", "y"])))) == {"index": ["x", "y"], **CASES}
    with pytest.raises(MetadataError, match="no rows"):
        table_from_frame(frame.iloc[:0])
    with pytest.raises(MetadataError, match="two columns are named age"):
        table_from_frame(pd.DataFrame([[1, 2]], columns=["age", "age"]))
    write_csv(frame.to_dict("records"), tmp_path / "t.csv")
    assert [type(age) for age in load_table(tmp_path / "t.csv").column("age")] == [int, int]


def test_records() -> None:
    assert rows(records_table([{"id": "A"}, {"id": "B", "n": 2}], name="memory")) == {
        "id": ["A", "B"],
        "n": [None, 2],
    }


def test_csv_is_written_exactly(tmp_path: Path) -> None:
    records = [
        {"id": "=1+1", "x": 0.1 + 0.2, "n": 3, "note": 'a "b", c'},
        {"id": "-1", "x": None, "n": np.int64(4), "note": "Ä\nö"},
        {"id": "@b", "x": np.float64(1e-17), "n": pd.NA, "note": True},
        {"id": "-a", "x": float("nan"), "n": 5, "note": "NA"},
    ]
    write_csv(records, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes().decode("utf-8") == (
        'id,x,n,note\n\'=1+1,0.30000000000000004,3,"a ""b"", c"\n-1,,4,"Ä\nö"\n\'@b,1e-17,,True\n\'-a,,5,NA\n'
    )
    write_csv(reversed(records), tmp_path / "turned.csv", columns=("id", "x", "n", "note"))
    turned, straight = (tmp_path / "turned.csv").read_text(), (tmp_path / "t.csv").read_text()
    assert sorted(turned.splitlines()) == sorted(straight.splitlines())
    assert load_table(tmp_path / "t.csv").raw["id"] == ["=1+1", "-1", "@b", "-a"]


def test_column_names_are_defused_too(tmp_path: Path) -> None:
    write_csv([{"=cmd": 1, "age": 2}], tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "'=cmd,age\n1,2\n"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_floats_survive_to_the_last_bit(tmp_path: Path, numbers: list[float]) -> None:
    write_csv([{"id": f"c{index}", "x": number} for index, number in enumerate(numbers)], tmp_path / "t.csv")
    assert load_table(tmp_path / "t.csv").column("x") == numbers


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_csv([{"id": "old"}], tmp_path / "t.csv")

    class Unprintable:
        def __str__(self) -> str:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        write_csv([{"id": "new"}, {"id": Unprintable()}], tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "id\nold\n"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    with pytest.raises(InputError, match="cannot be written"):
        write_csv([{"id": "a"}], tmp_path / "gone" / "t.csv")


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    write_csv([], tmp_path / "t.csv", columns=("a", "b"))
    assert (tmp_path / "t.csv").read_text() == "a,b\n"


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes("id,site,note\nP1,Köln,Ω\nP2,Linz,x\n".encode(encoding))
    table = load_table(path)
    assert table.columns == ("id", "site", "note")
    assert table.column("site") == ["Köln", "Linz"]


def test_numbers_as_their_authors_wrote_them(tmp_path: Path) -> None:
    """A German table with thousands, ages as DICOM and as a privacy officer writes them, and codes for no value."""
    path = tmp_path / "m.csv"
    path.write_text(
        "id;volume;age;dicom;psa;continent\n"
        "P1;1.234,5;45;045Y;4,2;EU\nP2;12,0;>89;067Y;-999;NA\nP3;7,5;51;102Y;3,1;AS\nP4;;999;;2;\n"
    )
    table = load_table(path)
    assert table.column("volume") == [1234.5, 12.0, 7.5, None]
    assert table.column("age") == [45, 90, 51, None]
    assert table.column("dicom") == [45, 67, 102, None]
    assert table.column("psa") == [4.2, None, 3.1, 2.0]
    assert table.column("continent") == ["EU", "NA", "AS", None]
    assert table.missing["psa"] == {"-999": 1}
    assert table.missing["age"] == {"999": 1}
    assert table.missing["volume"] == {"": 1}
    said = "\n".join(table.notices)
    assert "volume, psa: read as numbers with a decimal comma" in said
    assert "age: 1 cells are an open range (>89 = 90)" in said
    assert "-999 (1) is read as a missing value" in said
    assert "continent: NA (1) is read as a level" in said


def test_numbers_that_excel_keeps_as_text(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (["id", "age", "volume"], ["P1", "45 ", "1,234"], ["P2", 50, "987"], ["P3", "61", 12.5]):
        book.active.append(row)
    book.save(tmp_path / "m.xlsx")
    table = load_table(tmp_path / "m.xlsx")
    assert table.column("age") == [45, 50, 61]
    assert table.column("volume") == [1234, 987, 12.5]
    assert any("1,234 could be 1.234 or 1234; read as 1234" in notice for notice in table.notices)


def test_one_object_a_line(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"subject_name": "a", "dsc": 0.5}\n\n{"subject_name": "b", "dsc": null}\n')
    assert load_table(path).column("dsc") == [0.5, None]
    path.write_text('{"a": 1}\n[2]\n')
    with pytest.raises(MetadataError, match="line 2 is no JSON object"):
        load_table(path)


def test_a_title_above_the_column_names(tmp_path: Path) -> None:
    path = tmp_path / "sheet.csv"
    path.write_text("Export of 2024,,\n,,\nid,age,sex\nP1,41,f\nP2,62,m\n")
    table = load_table(path)
    assert table.columns == ("id", "age", "sex")
    assert table.column("age") == [41, 62]
    assert any("'Export of 2024' above the column names is passed over" in notice for notice in table.notices)


def test_a_decimal_comma_without_quotes_is_no_row_name(tmp_path: Path) -> None:
    path = tmp_path / "shifted.csv"
    path.write_text("case,age,sex\nP1,41,5,f\nP2,62,5,m\n")
    with pytest.raises(MetadataError, match="decimal comma into double quotes"):
        load_table(path)
    path.write_text("case,age,sex\n1,P1,41,f\n2,P2,62,m\n")
    assert load_table(path).column("case") == ["P1", "P2"]


def test_ids_that_excel_was_kept_from_reading(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text('id,age\n"=""0012""",41\n"=""0013""",62\n')
    assert load_table(path).column("id") == ["0012", "0013"]
