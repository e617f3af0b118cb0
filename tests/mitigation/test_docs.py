"""The worked example of docs/explanations/fairmedseg.md and the tables of docs/mitigation.md are what the code computes."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from tests.mitigation.toy_training import SIX, SIX_DICE, SIX_TABLE

from segfair import stats
from segfair.mitigation.experiment.gains import MEAN_MARGIN, Evidence, NullSpread, PairedChange
from segfair.mitigation.experiment.settings import PLANNED, MitigationSettings, read_settings
from segfair.mitigation.networks.backbones import NetworkConfig, build_network
from segfair.mitigation.training.catalogue import RECIPES, SELECTIONS, STRATEGIES
from segfair.mitigation.training.objectives import FairMedSegObjective
from segfair.mitigation.weighting.reweighter import ADAPTIVE, CONFIDENT, LITERAL, TILTED, DivergenceReweighter
from segfair.subgroups.lattice import divergences

ROOT = Path(__file__).resolve().parents[2]
PAGE = "".join((ROOT / "docs" / page).read_text("utf-8") for page in ("mitigation.md", "explanations/fairmedseg.md"))


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def row(title: str, page: str = PAGE) -> list[str]:
    found = re.search(rf"^\| {re.escape(title)} \|(.*)\|$", page, re.MULTILINE)
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


def test_losses() -> None:
    weights = DivergenceReweighter(SIX_TABLE, SIX_TABLE, rule=LITERAL).update_array(SIX_DICE)
    told = re.search(r"with losses ((?:[\d.]+, )+[\d.]+) of the six cases", PAGE)
    assert told is not None
    losses = torch.tensor([float(value) for value in told[1].split(", ")], dtype=torch.float64)

    def loss(alpha: float, reduction: Literal["sum", "mean"]) -> float:
        objective = FairMedSegObjective(lambda logits, _: logits, weights, alpha=alpha, reduction=reduction)
        return float(objective(losses, losses, SIX))

    equation_3 = re.search(r"loss is ([\d.+ ]+) = ([\d.]+)\.\n", PAGE)
    assert equation_3 is not None
    terms = [float(term) for term in equation_3[1].split("+")]
    assert terms == pytest.approx((weights.array * losses.numpy()).tolist(), abs=5e-5)
    assert float(equation_3[2]) == pytest.approx(loss(0.0, "sum"), abs=5e-5)
    equation_4 = re.search(r"0\.12 \+ 0\.8 x ([\d.]+) = ([\d.]+)\.\n", PAGE)
    assert equation_4 is not None
    assert equation_4[1] == equation_3[2]
    assert float(equation_4[2]) == pytest.approx(loss(0.2, "sum"), abs=5e-5)
    mean = re.search(r"the mean over the batch \(([\d.]+) above, L = ([\d.]+)\)", PAGE)
    assert mean is not None
    assert float(mean[1]) == pytest.approx(loss(0.0, "mean"), abs=5e-5)
    assert float(mean[2]) == pytest.approx(loss(0.2, "mean"), abs=5e-5)


def test_draws_of_divergence_sampling() -> None:
    reweighter = DivergenceReweighter(SIX_TABLE, SIX_TABLE)
    weights = reweighter.update_array(SIX_DICE)
    lattice = reweighter.lattice
    deficits = (lattice.members * reweighter.strength[lattice.rows][:, None]).max(axis=0)
    assert [float(value) for value in row("largest deficit")] == pytest.approx(deficits, abs=5e-4)
    assert [float(value) for value in row("draws an epoch, on average")] == pytest.approx(weights.array, abs=5e-3)
    assert np.mean(weights.array) == pytest.approx(1)


def test_the_table_of_strategies_is_the_programs() -> None:
    for name, entry in STRATEGIES.items():
        hook = {"sampling": "draws", "loss": "loss", "data": "images", "none": ""}[entry.hook]
        assert row(f"`{name}`") == [entry.rule, hook, entry.paper]


def test_the_table_of_weights_is_that_of_the_rules() -> None:
    def told(value: object) -> str:
        if isinstance(value, bool):
            return str(value).lower()
        return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)

    rules = (TILTED, ADAPTIVE, CONFIDENT, LITERAL)
    for name in ("aggregate", "kind", "certainty", "temperature", "cap", "fallback"):
        assert row(f"`{name}`")[1:] == [told(getattr(rule, name)) for rule in rules], name
    assert row("`hottest`")[1:] == ["", told(ADAPTIVE.hottest), told(CONFIDENT.hottest), ""]
    remembered = [rule.memory if rule.memory == "none" else f"{rule.memory}, {rule.rate:g}" for rule in rules]
    assert row("`memory`, `rate`")[1:] == remembered
    assert "`deviations` (2)" in row("`certainty`")[0]
    assert {rule.deviations for rule in rules} == {2.0}


def test_what_is_said_about_evidence_is_what_is_written() -> None:
    mean = PairedChange(0.8, 0.8, stats.mean_over_seeds(np.zeros((2, 4))))
    told = Evidence(mean, "", mean, mean, None, (), NullSpread(0.0, 0.0, 0.0), MEAN_MARGIN, 2).to_dict()
    named = re.findall(r"^\| `(worst_subgroup|mean|rest|FS|null|over)` \|", PAGE, re.MULTILINE)
    assert set(named) == set(told) - {"reason", "n_folds", "n_seeds"}
    assert f"-{MEAN_MARGIN:g}" in row("unchanged")[0]


def test_the_table_of_recipes_is_the_programs() -> None:
    def told(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return "planned" if value is None else str(value)

    titles = {
        **{entry.name: f"`{entry.name}`" for entry in dataclasses.fields(RECIPES["paper"])},
        "lr_transformer": "`lr` of swinunetr",
        "average": "`average` (share of the steps)",
    }
    for name, title in titles.items():
        told_there = row(title, section("Recipes"))
        assert told_there == [told(getattr(RECIPES[recipe], name)) for recipe in ("paper", "strong")], name
    networks = [MitigationSettings(Path(), recipe=recipe).networks for recipe in ("paper", "strong")]
    assert row("`backbones`") == [", ".join(names) for names in networks]


def test_the_table_of_selections_is_the_programs() -> None:
    for name, price in SELECTIONS.items():
        assert row(f"`{name}`") == [price]


def test_every_planned_value_stands_in_the_table_of_the_plan() -> None:
    named = re.findall(r"^\| `([a-z_]+)` \|", section("The plan"), re.MULTILINE)
    # Patches come with the size, in one row.
    assert {*named, "samples_per_case"} == {*PLANNED, "network"}


def test_the_example_of_a_network_of_one_s_own_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "how-to" / "own-network.md").read_text("utf-8")
    (example,) = re.findall(r"```python[^\n]*\n(from torch import nn\n.*?)```", page, re.DOTALL)
    (tmp_path / "my_networks.py").write_text(example)
    monkeypatch.syspath_prepend(tmp_path)
    for dims in (2, 3):
        config = NetworkConfig("my_networks:make_plain", in_channels=3, out_channels=2, options={"width": 4}, dims=dims)
        images = torch.zeros(1, 3, *(5, 6, 7)[:dims])
        assert build_network(config)(images).shape == (1, 2, *(5, 6, 7)[:dims])


def test_the_settings_of_the_page_are_settings(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml[^\n]*\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "ours.toml"
    path.write_text(example)
    settings = MitigationSettings(tmp_path, data=tmp_path, **read_settings(path))
    for name in settings.network:
        NetworkConfig(name, options=settings.network[name])
    assert settings.complete().optimiser == "sgd"


def test_every_key_of_a_settings_file_stands_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "mitigation.md").read_text("utf-8").split("\n## config.toml\n")[1]
    cells = re.findall(r"^\| (`.*?) \|", reference, re.MULTILINE)
    named = [name for cell in cells for name in re.findall(r"`([a-z_]+)`", re.sub(r"\(.*?\)", "", cell))]
    not_kept = {"one_shot_weights", "resume", "overwrite"}
    assert sorted(named) == sorted({entry.name for entry in dataclasses.fields(MitigationSettings)} - not_kept)
