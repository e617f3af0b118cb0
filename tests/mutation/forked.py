"""Runs of chosen tests, each in a process forked from one that has imported the libraries.

Nothing of segfair is imported before the fork: the child imports it from a copy of the sources, in which one file may
have a fault. The files of the checkout are never touched.
"""

from __future__ import annotations

import compileall
import importlib.util
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["LIBRARIES", "TESTS", "Outcome", "Record", "copy_sources", "fault", "load_libraries", "mirrored", "recorded", "run_tests"]

TESTS = (
    "tests/scoring",
    "tests/fairness",
    "tests/stats",
    "tests/subgroups",
    "tests/mitigation/weighting",
    "tests/audit",
)
"""The mirrors of the mutated rooms, and where their figures come together."""

LIBRARIES = (
    "numpy", "scipy.stats", "scipy.ndimage", "scipy.optimize", "scipy.spatial", "scipy.special", "pandas", "numba",
    "pyarrow", "nibabel", "SimpleITK", "torch", "monai", "hypothesis", "typer", "rich", "jsonschema", "cattrs",
    "jinja2", "matplotlib.pyplot", "sklearn", "distributed", "divexplorer", "openpyxl", "ignite.engine",
)  # fmt: skip
"""What is imported once, before the first fork."""

_MEMORY = 6 << 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of tests ended.

    Args:
        ended: `passed`, `failed` or `endless`.
        by: The first test that failed; empty where none did, or where nothing could be collected.
        cpu_s: Processor time of the run.
    """

    ended: str
    by: str
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Record:
    """Which test runs which line of the sources, and how long each takes, without any fault.

    Args:
        seconds: Processor time of each test, by its node id.
        tests: Module, line, node ids of the tests that run it; a file in the place of an id is all of its tests.
    """

    seconds: Mapping[str, float]
    tests: Mapping[str, Mapping[str, Sequence[str]]]

    def for_line(self, module: str, line: int) -> list[str]:
        """The tests that run a line, those of the module's own test file first, quick ones before slow ones.

        A line that no test is seen to run (compiled, in another process, at import) is left to all tests of its room.
        """
        mirror = mirrored(module)
        found = set(self.tests.get(module, {}).get(str(line), ()))
        if not found:
            found = {test for test in self.seconds if test.startswith(f"{Path(mirror).parent.as_posix()}/")}
        files = {name for name in found if "::" not in name}
        found |= {test for test in self.seconds if test.split("::")[0] in files}
        # A test whose module fell away is none any more.
        tests = found & self.seconds.keys()
        return sorted(tests, key=lambda test: (not test.startswith(f"{mirror}::"), self.seconds[test], test))


def mirrored(module: str) -> str:
    """The test file of a module."""
    path = Path("tests") / module
    return path.with_name(f"test_{path.name}").as_posix()


def load_libraries() -> None:
    """Imports what each run would import again."""
    for library in LIBRARIES:
        importlib.import_module(library)


def copy_sources(checkout: Path, place: Path) -> Path:
    """The package anew in `place`, laid out as in a checkout.

    Returns:
        The copied package.
    """
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(checkout / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (place / "templates").symlink_to(checkout / "templates")
    compileall.compile_dir(place / "src", quiet=1)
    return place / "src" / "segfair"


@contextmanager
def fault(path: Path, source: str) -> Iterator[None]:
    """`path` with another source; afterwards it is as it was, to the nanosecond, so that what is compiled stays good."""
    kept, times = path.read_bytes(), path.stat()
    compiled = Path(importlib.util.cache_from_source(str(path)))
    compiled_kept = compiled.read_bytes()
    try:
        compiled.unlink()
        path.write_text(source, "utf-8")
        yield
    finally:
        path.write_bytes(kept)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        compiled.write_bytes(compiled_kept)


def recorded(package: Path, scratch: Path) -> Record:
    """All of `TESTS` once, watched by coverage.py.

    Raises:
        SystemExit: Where a test fails without any fault.
    """
    import coverage

    seconds: dict[str, float] = {}
    data = scratch / "record.coverage"
    times = scratch / "record.times"
    data.unlink(missing_ok=True)
    times.unlink(missing_ok=True)

    def watched() -> int:
        watch = coverage.Coverage(str(data), source=[str(package)], config_file=False)
        watch.start()
        code = pytest.main([*_OPTIONS, *TESTS], plugins=[_Watching(watch, times), _Failing(scratch / "failed")])
        watch.stop()
        watch.save()
        return code

    outcome = _forked(watched, package, scratch, limit_s=3600)
    if outcome.ended != "passed":
        raise SystemExit(f"the tests fail without any fault: {outcome.by or outcome.ended}")
    for line in times.read_text("utf-8").splitlines():
        taken, test = line.split(" ", 1)
        seconds[test] = seconds.get(test, 0.0) + float(taken)
    read = coverage.CoverageData(str(data))
    read.read()
    tests = {
        Path(name).relative_to(package).as_posix(): {
            str(line): sorted(filter(None, contexts)) for line, contexts in read.contexts_by_lineno(name).items()
        }
        for name in read.measured_files()
    }
    return Record(seconds, tests)


def run_tests(tests: Sequence[str], package: Path, scratch: Path, *, known: Mapping[str, float]) -> Outcome:
    """Some tests in their order, up to the first that fails; those of their files that are not `known` first of all."""
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    limit_s = 30 + 5 * sum(known[test] for test in tests)
    chosen = _Choosing(tests, known)
    return _forked(lambda: pytest.main([*_OPTIONS, "-x", *files], plugins=[chosen, _Failing(scratch / "failed")]), package, scratch, limit_s)


_OPTIONS = ("-q", "-n", "0", "-p", "no:cacheprovider", "-p", "no:randomly")


class _Watching:
    """Says to coverage.py which test runs. What a fixture runs may serve each test of its file."""

    def __init__(self, watch: Any, times: Path) -> None:
        self.watch, self.times = watch, times

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Any:
        began = time.process_time()
        yield
        with self.times.open("a", encoding="utf-8") as out:
            out.write(f"{time.process_time() - began:.4f} {item.nodeid}\n")
        self.watch.switch_context("")

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Any:
        self.watch.switch_context(item.nodeid.split("::")[0])
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Any:
        self.watch.switch_context(item.nodeid)
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Any:
        self.watch.switch_context(item.nodeid.split("::")[0])
        yield


class _Choosing:
    """Keeps the wanted tests and those that the record does not know, in order."""

    def __init__(self, tests: Sequence[str], known: Mapping[str, float]) -> None:
        self.places, self.known = {test: place for place, test in enumerate(tests)}, known

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self.places or item.nodeid not in self.known]
        items[:] = sorted(kept, key=lambda item: self.places.get(item.nodeid, -1))


class _Failing:
    """Writes down the first test that fails."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.place.exists():
            self.place.write_text(report.nodeid, "utf-8")


def _forked(work: Callable[[], int], package: Path, scratch: Path, limit_s: float) -> Outcome:
    """`work` in a child that imports segfair from `package`; whatever it started ends with it."""
    failed = scratch / "failed"
    failed.unlink(missing_ok=True)
    before = _children_s()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            _settle(package, scratch, limit_s)
            code = work()
        finally:
            os._exit(code)
    status = _waited(child, limit_s)
    # A killed run leaves workers.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child, signal.SIGKILL)
    cpu_s = _children_s() - before
    if status is None or (os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)):
        return Outcome("endless", "", cpu_s)
    by = failed.read_text("utf-8") if failed.exists() else ""
    return Outcome("failed" if status else "passed", by, cpu_s)


def _settle(package: Path, scratch: Path, limit_s: float) -> None:
    """What a run needs that has been forked: a group of its own, its limits, the copy first in line, no voice."""
    os.setsid()
    cpu_s = int(limit_s)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(package.parent))
    temporary = scratch / "temporary"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    os.environ.update(
        PYTHONPATH=str(package.parent), HYPOTHESIS_PROFILE="mutants", TMPDIR=str(temporary), PYTHONDONTWRITEBYTECODE="1"
    )
    tempfile.tempdir = None
    said = os.open(scratch / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)


def _waited(child: int, limit_s: float) -> int | None:
    """The child's status; none where it waits for something without an end."""
    # The machine may be shared: a wait is endless only far beyond what the work takes.
    until = time.monotonic() + 10 * limit_s
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
