"""What several test modules share: the command line as a user calls it, and the real masks where they exist."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import Phase, settings

# No test depends on a clock.
settings.register_profile("default", deadline=None)
settings.register_profile("fuzz", max_examples=2000, deadline=None)
# The same examples each time, and none made smaller: whether a test fails is all that is asked.
settings.register_profile(
    "mutants", deadline=None, database=None, derandomize=True, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """What `make docs` asks for beside the tests."""
    parser.addoption("--slow", action="store_true", help="run the blocks of the documentation that take long, too")
    parser.addoption("--site", type=Path, help="folder of the documentation's site, which its tests look through")


RunCli = Callable[..., "subprocess.CompletedProcess[str]"]
Once = Callable[[str, Callable[[Path], Any]], Any]


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
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Makes something once a test run, whichever worker asks first; the others wait, and only read what it left.

    `once(name, make)` calls `make` with an empty folder of that name, and returns what it returned, unpickled.
    """
    base = tmp_path_factory.getbasetemp()
    # A worker's own folder lies in the folder of the run.
    top = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "once"
    top.mkdir(exist_ok=True)

    def get(name: str, make: Callable[[Path], Any]) -> Any:
        folder, made = top / name, top / f"{name}.pickle"
        with FileLock(top / f"{name}.lock"):
            if not made.exists():
                # What a worker left that died on the way is no beginning.
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                unfinished = made.with_suffix(".part")
                unfinished.write_bytes(pickle.dumps(make(folder)))
                unfinished.replace(made)
            return pickle.loads(made.read_bytes())

    return get


@pytest.fixture(scope="session")
def phantom_cohort(once: Once) -> Path:
    """The embedded cohort on disk, small: 60 cases, biased. Read it, or copy it."""
    from segfair.phantom import write_phantom

    def make(folder: Path) -> Path:
        write_phantom(folder / "cohort", n_cases=60, size=(40, 40, 32), seed=0)
        return folder / "cohort"

    return once("phantom", make)


@pytest.fixture(scope="session")
def challenge(once: Once) -> Path:
    """Thirty submissions to a challenge, on disk. Read them, or copy them."""
    from tests.rank_fixtures import write_challenge

    return once("challenge", write_challenge)


@pytest.fixture(scope="session")
def ranked(once: Once, run_cli: RunCli, challenge: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """What the command wrote of that challenge, and said."""
    from tests.rank_fixtures import arguments

    options = ["--protocol", "mama-mia", "--bootstrap", 300, "--permutations", 99, "--export", "codabench"]

    def make(folder: Path) -> tuple[Path, subprocess.CompletedProcess[str]]:
        return folder / "out", run_cli("rank", *arguments(challenge), "--out", folder / "out", *options)

    return once("ranked", make)


@pytest.fixture(scope="session")
def ranking(once: Once, challenge: Path) -> Any:
    """The same ranking, made in this process."""
    from segfair.rank.procedure import run_ranking
    from segfair.rank.teams import load_teams
    from tests.rank_fixtures import CONFIG, arguments

    return once("ranking", lambda _: run_ranking(*load_teams(*arguments(challenge)), CONFIG))


@pytest.fixture(scope="session")
def call_cli() -> RunCli:
    """Runs `segfair ...` in this process, which has imported everything already; the same answer as `run_cli`."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        from segfair.cli.app import main

        command = ["segfair", *map(str, arguments)]
        out, err = StringIO(), StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr("sys.argv", command)
            patch.setenv("COLUMNS", "200")
            with pytest.raises(SystemExit) as left:
                main()
        return subprocess.CompletedProcess(command, int(left.value.code or 0), out.getvalue(), err.getvalue())

    return run
