"""What is not finished goes with its process, and what the dead have left goes with the next."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from segfair.unfinished import held_folder, unfinished_file, unfinished_folder


def in_child(function: Callable[[], object]) -> int:
    """Calls a function in a process of its own, and says how that ended."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if function() else 1)
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_goes_with_all_that_it_holds_however_the_block_ends(tmp_path: Path) -> None:
    with unfinished_folder(tmp_path) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a.txt").write_text("a")
        assert names(tmp_path) == [folder.name]
        assert folder.name.startswith(".segfair-")
    with pytest.raises(KeyboardInterrupt), unfinished_folder(tmp_path):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_file_is_there_for_its_own_and_goes_unless_it_was_moved(tmp_path: Path) -> None:
    with unfinished_file(tmp_path / "a.txt") as one, unfinished_file(tmp_path / "a.txt") as other:
        assert one != other
        one.write_text("one")
        one.replace(tmp_path / "a.txt")
    assert names(tmp_path) == ["a.txt"]


def test_what_the_dead_have_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    def dying() -> None:
        with unfinished_folder(tmp_path) as folder, unfinished_file(tmp_path / "a.txt") as file:
            (folder / "b.txt").write_text("b")
            file.write_text("half")
            die()

    others = [".segfair-cache", ".segfair-of-mine", ".a.txt.mine.part", ".b.txt.01234567.part", "a.txt"]
    for name in others:
        (tmp_path / name).write_text("")
    assert in_child(dying) == -signal.SIGKILL
    assert len(names(tmp_path)) == len(others) + 2
    with unfinished_folder(tmp_path):
        pass
    with unfinished_file(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == sorted(others)


def test_what_the_living_write_is_not_swept(tmp_path: Path) -> None:
    def others() -> bool:
        with unfinished_folder(tmp_path), unfinished_file(tmp_path / "a.txt"):
            return len(names(tmp_path)) == 4

    with unfinished_folder(tmp_path) as folder, unfinished_file(tmp_path / "a.txt") as file:
        assert in_child(others) == 0
        assert names(tmp_path) == sorted([folder.name, file.name])


def test_one_process_holds_a_folder_until_it_ends(tmp_path: Path) -> None:
    def alone() -> bool:
        with held_folder(tmp_path, wait=False) as alone:
            return alone

    def dying() -> None:
        with held_folder(tmp_path):
            if os.fork() == 0:  # a child that outlives it holds nothing
                os.execvp("sleep", ["sleep", "2"])
            die()

    with held_folder(tmp_path) as first:
        assert first
        assert in_child(alone) == 1
    assert in_child(alone) == 0
    assert in_child(dying) == -signal.SIGKILL
    assert in_child(alone) == 0


def test_where_a_file_system_has_no_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    (tmp_path / ".segfair-01234567").mkdir()

    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with unfinished_folder(tmp_path), held_folder(tmp_path) as alone:
        assert alone
    assert names(tmp_path) == [".segfair-01234567"]
