"""The benchmark's arithmetic on made-up runs; the trainings themselves are not tests."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import fairness

from segfair.mitigation.training.catalogue import STRATEGIES


def run(block: str, seed: int, strategy: str, worst: float, dsc: float = 0.9) -> dict[str, object]:
    scores = {"dsc": dsc, "rest": 0.92, "planted": worst, "worst": worst, "fs": 0.9, "ts": None}
    return {"block": block, "seed": seed, "strategy": strategy, **scores}


RUNS = [
    run("H33", 10, "erm", 0.1),
    run("H33", 11, "erm", 0.3),
    run("H33", 12, "erm", 0.2),
    run("H33", 10, "balanced", 0.4),
    run("H33", 11, "balanced", 0.5),
    run("H33", 12, "balanced", 0.6),
    run("texture", 10, "erm", 0.5),
]


def test_paired_changes_and_their_t_interval_by_hand() -> None:
    # Changes .3, .2, .4: mean .3, standard error .1 / sqrt(3), t(2) = 4.3027.
    change, interval = fairness.paired(np.array([0.3, 0.2, 0.4]))
    assert change == pytest.approx(0.3)
    assert interval == pytest.approx([0.3 - 0.24841, 0.3 + 0.24841], abs=1e-4)
    assert fairness.paired(np.array([0.3])) == (0.3, None)
    assert fairness.paired(np.array([])) == (None, None)


def test_two_strategies_are_held_against_each_other_seed_by_seed() -> None:
    runs = [*RUNS, run("H33", 10, "jtt", 0.5), run("H33", 11, "jtt", 0.4), run("H33", 13, "jtt", 0.9)]
    # .5 - .4 and .4 - .5: mean 0, standard error .1, t(1) = 12.706; seeds 12 and 13 have one of the two.
    told = fairness.against(runs, "H33", "jtt", "balanced")
    assert told == "H33: jtt minus balanced, worst subgroup over 2 seeds: +0.000 [-1.271, +1.271]"
    assert fairness.against(runs, "texture", "jtt", "balanced") is None


def test_summary_pairs_each_strategy_with_plain_training_of_its_block() -> None:
    rows = {row["strategy"]: row for row in fairness.summarise(RUNS, fairness.BLOCKS[0])}
    assert rows.keys() == {"erm", "balanced"}
    assert rows["erm"]["worst subgroup"] == pytest.approx(0.2)
    assert "change of worst subgroup" not in rows["erm"]
    assert rows["balanced"]["seeds"] == 3
    assert rows["balanced"]["change of worst subgroup"] == pytest.approx(0.3)
    assert rows["balanced"]["change of mean DSC"] == 0
    # An undefined score has no mean and no change.
    assert rows["balanced"]["TS"] is None
    assert rows["balanced"]["change of TS"] is None


def test_record_is_read_back_until_the_code_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, setting = tmp_path / "fairness.json", fairness.Setting()
    fairness.write_record(path, RUNS, setting)
    assert sorted(map(str, fairness.read_runs(path, setting, keep=False))) == sorted(map(str, RUNS))
    record = json.loads(path.read_text())
    assert "3 seeds (10-12)" in record["about"]
    assert [row["strategy"] for row in record["summary"]] == ["erm", "balanced"]
    assert fairness.read_runs(path, fairness.Setting(epochs=11), keep=False) == []
    monkeypatch.setattr(fairness, "CODE", ("errors.py",))
    assert fairness.read_runs(path, setting, keep=False) == []
    assert len(fairness.read_runs(path, setting, keep=True)) == len(RUNS)


def test_only_missing_trainings_are_run_and_one_shot_brings_its_plain_model() -> None:
    block = replace(fairness.BLOCKS[0], strategies=("erm", "balanced", "one-shot"))
    jobs = fairness.missing(RUNS, [block], (10, 13))
    assert jobs == [(block, 10, ("erm", "one-shot")), (block, 13, ("erm", "balanced", "one-shot"))]
    assert fairness.missing(RUNS, [replace(block, strategies=("balanced", "erm"))], (10, 11, 12)) == []
    newer = [run("H33", 10, "erm", 0.7)]
    assert [row["worst"] for row in fairness.merged(RUNS, newer) if row["strategy"] == "erm"] == [0.3, 0.2, 0.5, 0.7]


def test_a_record_is_confirmed_by_equal_numbers_only() -> None:
    fairness.confirm(RUNS, [{**RUNS[0], "cpu_seconds": 3.0}])
    with pytest.raises(SystemExit, match=r"H33, seed 10, erm: dsc was 0.9, now it is 0.90001"):
        fairness.confirm(RUNS, [{**RUNS[0], "dsc": 0.90001}])


def test_every_file_a_training_depends_on_exists() -> None:
    assert all(any(fairness.SOURCE.glob(pattern)) for pattern in fairness.CODE)


def test_seeds_of_the_goals_were_used_for_nothing_else() -> None:
    assert tuple(range(10, 18)) == fairness.FRESH


def test_markdown_has_a_cell_for_every_column() -> None:
    table = fairness.markdown("title", fairness.summarise(RUNS, fairness.BLOCKS[0])).splitlines()
    assert len({line.count("|") for line in table[2:]}) == 1
    assert "+0.300 [+0.052, +0.548]" in table[-1]


def test_the_documentation_shows_the_record_and_every_strategy() -> None:
    runs = json.loads(fairness.RECORD.read_text("utf-8"))["runs"]
    page = (fairness.HERE.parent / "docs" / "benchmarks.md").read_text("utf-8")
    for block in fairness.BLOCKS:
        rows = fairness.summarise(runs, block)
        assert not rows or fairness.markdown(block.title, rows) in page, block.name
    # Each is compared in some table, or said to be in none.
    (missing,) = re.findall(r"^In no table yet: (.*)$", page, re.MULTILINE)
    told = set(re.findall(r"`([^`]+)`", missing))
    assert {name for name in STRATEGIES if f"\n| {name} |" not in page} == told


def test_the_record_is_that_of_this_code() -> None:
    # After a change to a file of `CODE`: python benchmarks/fairness.py --confirm, and without it if numbers differ.
    record = json.loads(fairness.RECORD.read_text("utf-8"))
    assert record["fingerprint"] == fairness.fingerprint(fairness.Setting())
