"""Files that appear together or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from segfair.errors import ConfigError
from segfair.files.placing import placed_together, placed_whole, refuse_foreign


def files(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_files_appear_when_the_block_ends_and_earlier_ones_go_with_their_folder(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "figures").mkdir(parents=True)
    for name in ("a.txt", "figures/old.svg", "mine.txt"):
        (out / name).write_text("before")
    with placed_together(out, first="a.txt", earlier=["a.txt", "figures/old.svg"]) as folder:
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
        with pytest.raises(raised, match=str(error)), placed_together(out, first="a.txt", earlier=["a.txt"]) as folder:
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
