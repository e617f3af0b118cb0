"""The worked example of docs/mitigation.md is what the code computes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.mitigation.toy_training import SIX, SIX_DICE, SIX_TABLE

from segfair.mitigation.reweighter import LITERAL, DivergenceReweighter
from segfair.mitigation.strategies import STRATEGIES
from segfair.subgroups import divergences

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "mitigation.md").read_text("utf-8")


def row(title: str) -> list[str]:
    found = re.search(rf"^\| {re.escape(title)} \|(.*)\|$", PAGE, re.MULTILINE)
    assert found is not None, title
    return [part.strip().replace("−", "-") for part in found[1].split("|")]


def test_the_example_s_cases_are_those_of_the_tests() -> None:
    assert tuple(row("case")) == SIX
    levels = {
        attribute.name: [attribute.levels[code] for code in attribute.codes] for attribute in SIX_TABLE.attributes
    }
    assert {"sex": row("sex"), "site": row("site")} == levels
    assert [float(value) for value in row("Dice")] == SIX_DICE.tolist()


def test_divergences_and_weights() -> None:
    reweighter = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=LITERAL)
    mined = reweighter.lattice.mined
    for subgroup, gap in zip(mined.subgroups, divergences(mined, SIX_DICE), strict=True):
        assert float(row(subgroup.name)[1]) == pytest.approx(gap, abs=5e-5)
    weights = reweighter.update_array(SIX_DICE)
    assert [float(value) for value in row("weight")] == pytest.approx(weights.array, abs=5e-5)


def test_draws_of_divergence_sampling() -> None:
    reweighter = DivergenceReweighter(SIX_TABLE, SIX_TABLE)
    weights = reweighter.update_array(SIX_DICE)
    lattice = reweighter.lattice
    deficits = (lattice.members * reweighter.strength[lattice.rows][:, None]).max(axis=0)
    assert [float(value) for value in row("largest deficit")] == pytest.approx(deficits, abs=5e-4)
    assert [float(value) for value in row("draws an epoch, on average")] == pytest.approx(weights.array, abs=5e-3)
    assert np.mean(weights.array) == pytest.approx(1)


def test_every_strategy_is_explained() -> None:
    for name in STRATEGIES:
        assert row(f"`{name}`")
