"""A table of paths: whose file is whose, in which order, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest

from segfair.errors import InputError, MetadataError, PairingError
from segfair.files.path_tables import is_path_table, read_path_table


def write(folder: Path, text: str) -> Path:
    (folder / "cases.csv").write_text(text)
    return folder / "cases.csv"


def test_files_are_found_from_the_table_on_and_the_rest_is_metadata(tmp_path: Path) -> None:
    listed = read_path_table(
        write(tmp_path, "ID,site,Image,label,prediction\n0012,A,i/a.nii,l/a.nii,p/a.nii\nb,B,/else/b.nii,,p/b.nii\n")
    )
    assert listed.ids == ("0012", "b")
    assert listed.id_column == "ID"
    assert listed.columns == ("site",)
    assert listed.images == {"0012": (tmp_path / "i/a.nii",), "b": (Path("/else/b.nii"),)}
    assert listed.files == {
        "label": {"0012": tmp_path / "l/a.nii"},
        "prediction": {"0012": tmp_path / "p/a.nii", "b": tmp_path / "p/b.nii"},
    }


@pytest.mark.parametrize("names", [("image1", "image2", "image10"), ("image_0000", "image_0001", "image_0002")])
def test_channels_come_by_their_numbers(tmp_path: Path, names: tuple[str, ...]) -> None:
    last, first, second = names[2], names[0], names[1]
    listed = read_path_table(write(tmp_path, f"id,{last},{first},{second}\na,3,1,2\nb,3,1,\nc,,,\n"))
    assert [path.name for path in listed.images["a"]] == ["1", "2", "3"]
    assert [path.name for path in listed.images["b"]] == ["1"], "the third does not take the place of the second"
    assert "c" not in listed.images


def test_what_is_no_table_of_paths(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs the column id; its columns are case, image"):
        read_path_table(write(tmp_path, "case,image\na,b\n"))
    with pytest.raises(InputError, match=r"names no files; expected columns such as image and label"):
        read_path_table(write(tmp_path, "id,age\na,50\n"))
    with pytest.raises(InputError, match="row 2 has no id"):
        read_path_table(write(tmp_path, "id,image\na,b\n,c\n"))
    with pytest.raises(PairingError, match="the id a is in rows 1 and 3; keep one of them"):
        read_path_table(write(tmp_path, "id,image\na,b\nc,d\na,e\n"))
    with pytest.raises(MetadataError, match="does not exist"):
        read_path_table(tmp_path / "absent.csv")
    assert is_path_table(tmp_path / "absent.csv")
    assert not is_path_table(tmp_path)
    assert not is_path_table(tmp_path / "dataset.json")
