"""Where a fault is put and taken away, and which tests are asked."""

from pathlib import Path

from tests.mutation.forked import Record, copy_sources, fault, mirrored

RECORD = Record(
    {
        "tests/stats/test_power.py::test_slow": 2.0,
        "tests/stats/test_power.py::test_quick": 0.1,
        "tests/stats/test_cells.py::test_other": 0.2,
        "tests/audit/test_words.py::test_far": 0.01,
        "tests/audit/test_words.py::test_near": 0.02,
    },
    {
        "stats/power.py": {
            "3": ["tests/stats/test_power.py::test_slow", "tests/audit/test_words.py::test_far", "tests/gone.py::test"],
            "4": ["tests/audit/test_words.py"],
            "5": [],
        }
    },
)


def test_a_line_is_shown_to_the_modules_own_tests_and_to_others_that_run_it() -> None:
    assert RECORD.for_line("stats/power.py", 3, others_s=9) == [
        "tests/stats/test_power.py::test_slow",
        "tests/stats/test_power.py::test_quick",
        "tests/audit/test_words.py::test_far",
    ]


def test_tests_of_others_are_asked_as_long_as_there_is_time() -> None:
    own = ["tests/stats/test_power.py::test_quick", "tests/stats/test_power.py::test_slow"]
    assert RECORD.for_line("stats/power.py", 4, others_s=0.015) == [*own, "tests/audit/test_words.py::test_far"]
    assert RECORD.for_line("stats/power.py", 3, others_s=0) == RECORD.for_line("stats/power.py", 3, others_s=9)


def test_what_a_fixture_runs_is_left_to_all_tests_of_its_file() -> None:
    assert RECORD.for_line("stats/power.py", 4, others_s=9)[2:] == [
        "tests/audit/test_words.py::test_far",
        "tests/audit/test_words.py::test_near",
    ]


def test_what_no_test_is_seen_to_run_is_left_to_the_room() -> None:
    room = [
        "tests/stats/test_power.py::test_quick",
        "tests/stats/test_power.py::test_slow",
        "tests/stats/test_cells.py::test_other",
    ]
    assert RECORD.for_line("stats/power.py", 5, others_s=0) == room
    assert RECORD.for_line("stats/power.py", 99, others_s=9) == room


def test_a_module_has_a_test_file() -> None:
    assert mirrored("stats/intervals/bounds.py") == "tests/stats/intervals/test_bounds.py"
    assert mirrored("scoring/kernels.py") == "tests/scoring/test_surfaces.py"


def test_a_fault_is_put_into_the_copy_and_taken_away_to_the_nanosecond(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    original = checkout / "src" / "segfair" / "one.py"
    original.parent.mkdir(parents=True)
    (checkout / "templates").mkdir()
    original.write_text("ONE = 1\n")
    package = copy_sources(checkout, tmp_path / "copy")
    copied = package / "one.py"
    times, compiled = copied.stat().st_mtime_ns, next(package.rglob("*.pyc"))
    with fault(copied, "ONE = 2\n"):
        assert copied.read_text() == "ONE = 2\n"
        # What was compiled before would be taken for the fault's: it has the same second and the same size.
        assert not compiled.exists()
        assert original.read_text() == "ONE = 1\n"
    assert copied.read_text() == "ONE = 1\n"
    assert copied.stat().st_mtime_ns == times
    assert compiled.exists()
