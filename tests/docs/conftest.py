"""Readers of the documentation: each has a copy of the study, and the one server of commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import Once
from tests.docs.study import write_study
from tests.docs.walk import Walk


@pytest.fixture(scope="session")
def server() -> Iterator[Path]:
    """The socket of a process that answers `segfair ...`."""
    with tempfile.TemporaryDirectory() as folder:  # a socket's path is short
        socket = Path(folder) / "socket"
        process = subprocess.Popen([sys.executable, str(Path(__file__).with_name("segfair_server.py")), str(socket)])
        while not socket.exists():
            assert process.poll() is None, "the server of commands ended"
            time.sleep(0.02)
        yield socket
        process.kill()
        process.wait()


@pytest.fixture
def walk(once: Once, server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """A reader in a folder of their own."""
    study = once("study", lambda folder: write_study(folder / "study"))
    reader = Walk(Path(shutil.copytree(study, tmp_path / "study")), server)
    (reader.folder / ".venv" / "bin").mkdir(parents=True)
    (reader.folder / ".venv" / "bin" / "activate").touch()  # what it would put on the path is there
    reader.prepare()
    monkeypatch.chdir(reader.folder)
    return reader
