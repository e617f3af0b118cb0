"""Files that appear together or not at all, and what texts and trees are in them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segfair.documents import read_json
from segfair.errors import ConfigError
from segfair.files.placing import (
    file_names,
    placed_together,
    placed_whole,
    refuse_foreign,
    refuse_unwritable,
    to_bytes,
    write_json,
    write_text,
)

LONE = os.fsdecode(b"caf\xe9")
"""A name out of a folder that was packed where it was no UTF-8."""


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_files_appear_when_the_block_ends_and_earlier_ones_go_with_their_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    for name in ("a.txt", "figures/old.svg", "mine.txt"):
        (out / name).write_text("before")
    with placed_together(out, first="a.txt", earlier=lambda: ["a.txt", "figures/old.svg"]) as folder:
        (folder / "a.txt").write_text("after")
        (folder / "teams").mkdir()
        (folder / "teams" / "b.txt").write_text("new")
        assert files(folder.parent)["a.txt"] == "before", "nothing moves before the end"
    assert files(out) == {"a.txt": "after", "teams/b.txt": "new", "mine.txt": "before"}
    assert not (out / "figures").exists()


@pytest.mark.parametrize(("error", "raised"), [(OSError("disk full"), ConfigError), (ValueError("no"), ValueError)])
def test_an_error_leaves_everything_as_it_was(tmp_path: Path, error: Exception, raised: type[Exception]) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.txt").write_text("before")
    for out in (tmp_path / "there", tmp_path / "new"):
        with (
            pytest.raises(raised, match=str(error)),
            placed_together(out, first="a.txt", earlier=lambda: ["a.txt"]) as folder,
        ):
            (folder / "a.txt").write_text("half")
            raise error
    assert files(tmp_path) == {"there/a.txt": "before"}
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(ConfigError, match=r"file/out: cannot be written"),
        placed_together(tmp_path / "file" / "out", first="a.txt"),
    ):
        pass


def test_a_folder_is_written_to_beforehand_and_nothing_stays(tmp_path: Path) -> None:
    refuse_unwritable(tmp_path / "deep" / "out")
    assert files(tmp_path) == {}
    assert not (tmp_path / "deep").exists()
    (tmp_path / "out").mkdir()
    refuse_unwritable(tmp_path / "out")
    assert (tmp_path / "out").is_dir()
    (tmp_path / "file").write_text("")
    for where in (tmp_path / "file", tmp_path / "file" / "out", Path("/proc/out")):
        with pytest.raises(ConfigError, match=r"is a file; name a folder|cannot be written"):
            refuse_unwritable(where)


def test_of_two_at_once_the_last_is_there_whole(tmp_path: Path) -> None:
    def earlier() -> list[str]:
        return [path.name for path in tmp_path.iterdir() if path.is_file()]

    with placed_together(tmp_path, first="a.txt", earlier=earlier) as one:
        (one / "a.txt").write_text("one")
        (one / "b.txt").write_text("one")
        with placed_together(tmp_path, first="a.txt", earlier=earlier) as other:
            (other / "a.txt").write_text("other")
            (other / "c.txt").write_text("other")
        assert (tmp_path / "a.txt").read_text() == "other"
    assert files(tmp_path) == {"a.txt": "one", "b.txt": "one"}


def test_somebody_else_s_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("")
    refuse_foreign(tmp_path, ["a.txt"], ours=True)
    refuse_foreign(tmp_path, ["b.txt"], ours=False)
    with pytest.raises(ConfigError, match=r"holds a.txt that segfair did not write"):
        refuse_foreign(tmp_path, ["a.txt", "b.txt"], ours=False)
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        refuse_foreign(tmp_path / "a.txt", [], ours=True)


def test_one_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with placed_whole(path) as first, placed_whole(path) as second:
        first.write_text("one")
        second.write_text("another")
        assert not path.exists()
    assert files(tmp_path) == {"a.txt": "one"}, "two that write it at once do not meet"
    with pytest.raises(OSError, match="disk full"), placed_whole(path) as unfinished:
        unfinished.write_text("half")
        raise OSError("disk full")
    assert files(tmp_path) == {"a.txt": "one"}


_KEYS = st.text() | st.integers() | st.booleans() | st.none()
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()


@given(st.recursive(_PLAIN, lambda inner: st.lists(inner) | st.dictionaries(_KEYS, inner), max_leaves=20))
def test_a_tree_is_written_as_the_json_module_writes_it(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    path = tmp_path_factory.getbasetemp() / "tree.json"
    write_json(path, tree)
    expected = json.dumps(tree, allow_nan=False, ensure_ascii=False, indent=1)
    assert path.read_bytes() == expected.encode("utf-8", "backslashreplace")


def test_a_tree_with_a_number_that_json_has_not_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tree.json"
    path.write_text("an earlier one")
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"rows": [[1.0, float("nan")]]})
    assert [file.name for file in tmp_path.iterdir()] == ["tree.json"]
    assert path.read_text() == "an earlier one"


def test_a_name_with_bytes_that_are_no_utf_8_is_written_and_read_again(tmp_path: Path) -> None:
    write_json(tmp_path / "tree.json", {LONE: [LONE, {"inner": LONE}]})
    assert read_json(tmp_path / "tree.json") == {LONE: [LONE, {"inner": LONE}]}
    write_text(tmp_path / "page.html", f"<p>{LONE}</p>\n")
    assert (tmp_path / "page.html").read_bytes() == b"<p>caf\\udce9</p>\n" == to_bytes(f"<p>{LONE}</p>\n")


def test_file_names_are_plain_and_differ_for_everything() -> None:
    found = file_names(["a b", "a/b", "A-B", "a-b-3", "..", "日本", "x" * 200, LONE], otherwise="team")
    assert found[:6] == ["a-b", "a-b-2", "A-B-3", "a-b-3-2", "team-5", "team-6"]
    assert len(set(map(str.casefold, found))) == 8
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,63}", name) for name in found)
    assert file_names(["runs.json"], otherwise="run", taken=["Runs.json"]) == ["runs.json-2"]
    assert file_names([], otherwise="run") == []
