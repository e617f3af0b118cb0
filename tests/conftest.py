"""What several test modules share: the command line as a user calls it, and the real masks where they exist."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("fuzz", max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

RunCli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run_cli() -> RunCli:
    """Runs `segfair ...` in a process of its own and captures what it says."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "segfair", *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
            **options,  # type: ignore[call-overload]
        )

    return run


@pytest.fixture(scope="session")
def phantom_cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small embedded cohort on disk: 60 cases, biased."""
    from segfair.phantom import write_phantom

    directory = tmp_path_factory.mktemp("phantom") / "cohort"
    write_phantom(directory, n_cases=60, size=(40, 40, 32), seed=0)
    return directory


@pytest.fixture
def call_cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunCli:
    """Runs `segfair ...` in this process, for tests that need many runs; the same answer as `run_cli`."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        from segfair.cli.app import main

        command = ["segfair", *map(str, arguments)]
        monkeypatch.setattr("sys.argv", command)
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as left:
            main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(command, int(left.value.code or 0), said.out, said.err)

    return run
