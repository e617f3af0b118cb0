"""The tables of a comparison: its numbers, and every subgroup of every outcome."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from tests.audit.made_up_audits import changed
from tests.report.comparison.pages import compared, draw, section
from tests.report.pages import Page
from tests.report_fixtures import make_result
from tests.score_fixtures import with_scores

from segfair.audit.words import format_interval
from segfair.compare.procedure import run_comparison
from segfair.compare.result import Comparison


def test_numbers_are_those_of_the_comparison(levelled: Comparison, html: str) -> None:
    dsc, fs = levelled.metrics["dsc"], levelled.scores["FS"]
    assert f"{dsc.before:.3f} → {dsc.after:.3f}" in section(html, "verdict")
    scores = section(html, "scores")
    assert f"{fs.before:.4f} {fs.after:.4f} +{fs.difference:.4f}" in scores
    assert "FS rose, yet nobody is shown to have gained and somebody was harmed" in scores
    worst = levelled.harmed[0]
    assert f"{worst.n} {worst.before:.3f} {worst.after:.3f} −{-worst.difference:.3f}" in section(html, "harmed")
    assert f"{levelled.metrics['hd95_mm'].n}" in section(html, "metrics")


def test_the_table_holds_every_subgroup_of_every_outcome(levelled: Comparison, html: str) -> None:
    payload = json.loads(Page(html).scripts[0][1])
    assert [entry["title"] for entry in payload["outcomes"]] == ["DSC", "HD95 (mm) (exploratory)"]
    assert [column["title"] for column in payload["columns"]][:4] == ["n", "old", "new", "Change"]
    for outcome, rows in zip(payload["outcomes"], levelled.subgroups.values(), strict=True):
        assert [row[4] for row in outcome["rows"]] == [entry.n for entry in rows]
        changes = [round(entry.difference, outcome["digits"]) for entry in rows]
        assert [row[7] for row in outcome["rows"]] == pytest.approx(changes)
    states = {state for state, _ in payload["states"]}
    assert states <= {"harmed", "gained", "no change shown", "too few cases"}


def test_a_large_lattice_stays_below_two_megabytes() -> None:
    many = {f"attribute_{index}": tuple(f"level {code}" for code in range(4)) for index in range(8)}
    base = make_result(n_cases=1506, levels=many, min_support=0.005)
    base = changed(base, about={"config": dataclasses.replace(base.about.config, permutations=99, bootstrap=100)})
    dice = np.array(base.cases.scores.column("dsc"), dtype=float) + np.random.default_rng(0).normal(0, 0.05, 1506)
    comparison = run_comparison(base, with_scores(base, {"dsc": dice}))
    assert len(comparison.subgroups["dsc"]) > 3500
    assert len(draw(comparison).encode()) < 2_000_000


def test_a_subgroup_has_one_interval_wherever_it_stands() -> None:
    """The one that holds for all subgroups together: in the lead, in the lists, and in the table of all."""
    comparison = compared(women=-0.1, men=0.1)
    row = comparison.harmed[0]
    interval = format_interval(row.ci_simultaneous, 3, signed=True)
    assert interval != format_interval(row.ci, 3, signed=True)
    text = draw(comparison)
    assert text.count(interval) >= 3
    assert f"simultaneous 95% interval {interval}" in text
    assert "95 % intervals that hold for all subgroups together" in text
