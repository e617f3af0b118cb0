"""Runs of chosen tests, each in a process of its own, forked from one that has imported what they need.

segfair is imported from a copy of the sources, in which one file may have a fault, after the fork or, where a fault can
be put into what is imported (`live`), before it. The files of the checkout are never touched.
"""

from __future__ import annotations

import compileall
import importlib.util
import math
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate, zip_longest
from pathlib import Path
from typing import Any

import pytest

__all__ = [
    "LIBRARIES", "TESTS", "Outcome", "Record", "copy_sources", "fault", "limit_of", "load_libraries", "mirrored",
    "recorded", "run_collected", "run_tests", "with_tests_collected",
]  # fmt: skip

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

_TESTED_WITH = {"scoring/kernels.py": "scoring/surfaces.py"}
"""Modules without a test file of their own: nobody else calls them."""

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

    def for_line(self, module: str, line: int, *, others_s: float) -> list[str]:
        """All tests of the module's own file, those that run the line first; then others that run it, quick ones first.

        The others are asked as long as they take `others_s` of processor time, and one at least. A line that no test is
        seen to run (compiled, in another process, at import) is left to all tests of its room, however long they take.
        """
        mirror = mirrored(module)
        found = set(self.tests.get(module, {}).get(str(line), ()))
        if not found:
            found = {test for test in self.seconds if test.startswith(f"{Path(mirror).parent.as_posix()}/")}
            others_s = math.inf
        files = {name for name in found if "::" not in name}
        found |= {test for test in self.seconds if test.split("::")[0] in files}
        # A test whose module fell away is none any more.
        tests = sorted(found & self.seconds.keys(), key=lambda test: (self.seconds[test], test))
        # What a cached function gives is used by more tests than run its lines.
        own = sorted(
            (test for test in self.seconds if test.startswith(f"{mirror}::")),
            key=lambda test: (test not in found, self.seconds[test], test),
        )
        others = [test for test in tests if not test.startswith(f"{mirror}::")]
        taken = list(accumulate(self.seconds[test] for test in others))
        return own + others[: max(1, sum(seconds <= others_s for seconds in taken))]


def mirrored(module: str) -> str:
    """The test file of a module."""
    path = Path("tests") / _TESTED_WITH.get(module, module)
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
    # No link: what builds the package would take it for the folder itself.
    shutil.copytree(checkout / "templates", place / "templates")
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
    """Some tests in their order, up to the first that fails, in a process that has not imported segfair yet."""
    files = list(dict.fromkeys(test.split("::")[0] for test in tests))
    plugins = [_Choosing(tests), _Failing(scratch / "failed")]
    work = lambda: pytest.main([*_OPTIONS, "-x", *files], plugins=plugins)  # noqa: E731
    return _forked(work, package, scratch, limit_of(tests, known))


def limit_of(tests: Sequence[str], known: Mapping[str, float]) -> float:
    """Processor time in s beyond which a run is endless."""
    return 30 + 5 * sum(known.get(test, 1.0) for test in tests)


def with_tests_collected(package: Path, work: Callable[[Sequence[pytest.Item]], None]) -> None:
    """`work`, handed the tests, in a process that has imported segfair and collected them all; it may fork.

    Raises:
        SystemExit: Where it ends in an error.
    """
    child = os.fork()
    if child == 0:
        code = 70
        try:
            _import_from(package)
            code = pytest.main([*_OPTIONS, "-s", *TESTS], plugins=[_Collected(work)])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        raise SystemExit(f"the tests could not be collected, or a run broke: status {status}")


def run_collected(
    items: Sequence[pytest.Item], package: Path, scratch: Path, limit_s: float, prepare: Callable[[], None]
) -> Outcome:
    """Collected tests in their order, up to the first that fails, in a process forked from this one after `prepare`."""

    failing = _Failing(scratch / "failed")

    def work() -> int:
        prepare()
        items[0].config.pluginmanager.register(failing)
        for item, following in zip_longest(items, items[1:]):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if failing.place.exists():
                return 1
        return 0

    return _forked(work, package, scratch, limit_s)


_OPTIONS = ("-q", "-n", "0", "-p", "no:cacheprovider")


class _Collected:
    """Does something else with the tests than to run them all."""

    def __init__(self, work: Callable[[Sequence[pytest.Item]], None]) -> None:
        self.work = work

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("a test file cannot be imported")
        self.work(session.items)
        return True


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
    """Keeps the wanted tests, in order."""

    def __init__(self, tests: Sequence[str]) -> None:
        self.places = {test: place for place, test in enumerate(tests)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        kept = [item for item in items if item.nodeid in self.places]
        # Where a fault gives the tests other names, all of them are asked.
        items[:] = sorted(kept, key=lambda item: self.places[item.nodeid]) or items


class _Failing:
    """Writes down the first test that fails."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.place.exists():
            self.place.write_text(report.nodeid, "utf-8")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.pytest_runtest_logreport(report)  # type: ignore[arg-type]


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
        except BaseException:
            failed.write_text("broke off", "utf-8")
            traceback.print_exc()
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
    if status and not by:
        raise SystemExit(f"a run ended with status {status} and no test failed: see {scratch / 'said.txt'}")
    return Outcome("failed" if status else "passed", by, cpu_s)


def _settle(package: Path, scratch: Path, limit_s: float) -> None:
    """What a run needs that has been forked: a group of its own, its limits, the copy first in line, no voice."""
    os.setsid()
    cpu_s = int(limit_s)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    _import_from(package)
    temporary = scratch / "temporary"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
    said = os.open(scratch / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)


def _import_from(package: Path) -> None:
    sys.dont_write_bytecode = True
    if sys.path[0] != str(package.parent):
        sys.path.insert(0, str(package.parent))
    os.environ.update(PYTHONPATH=str(package.parent), HYPOTHESIS_PROFILE="mutants", PYTHONDONTWRITEBYTECODE="1")


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
