"""The table of what was noticed."""

from tests.mutation.table import reasons, table

FOUND = [
    {"module": "stats/power.py", "before": "a = b + 1", "after": "a = b - 1", "ended": "failed"},
    {"module": "stats/power.py", "before": "while a < 3:", "after": "while a < 4:", "ended": "endless"},
    {"module": "stats/cells.py", "before": "a = b | c", "after": "a = b + c", "ended": "passed"},
    {"module": "fairness/scores.py", "before": "return 1", "after": "return 2", "ended": "passed"},
]


def test_rooms_and_all_are_counted_and_endless_is_noticed() -> None:
    lines = table(FOUND, {}).splitlines()
    assert lines[2:8] == [
        "| `scoring` | 0 | 0 | 0 | - |",
        "| `fairness` | 1 | 0 | 1 | 0.0 |",
        "| `stats` | 3 | 2 | 1 | 66.7 |",
        "| `subgroups` | 0 | 0 | 0 | - |",
        "| `mitigation/weighting` | 0 | 0 | 0 | - |",
        "| **all** | 4 | 2 | 2 | 50.0 |",
    ]


def test_what_was_not_noticed_has_its_reason_or_says_that_it_has_none() -> None:
    why = {("stats/cells.py", "a = b | c", "a = b + c"): "No bit is in both."}
    assert table(FOUND, why).splitlines()[-2:] == [
        "| `stats/cells.py` | `a = b \\| c` → `a = b + c` | No bit is in both. |",
        "| `fairness/scores.py` | `return 1` → `return 2` | **not yet looked at** |",
    ]


def test_of_a_long_line_the_place_of_the_fault_is_shown() -> None:
    before = "value = " + " ".join(f"word{n}" for n in range(40))
    found = [
        {"module": "stats/power.py", "before": before, "after": before.replace("word20", "other"), "ended": "passed"}
    ]
    row = table(found, {}).splitlines()[-1]
    assert "word20" in row and "other" in row
    assert "word10" not in row and "word30" not in row


def test_each_reason_is_written_out() -> None:
    assert all(len(why) > 20 for why in reasons().values())
