"""The groups of an audit: what masks derive, and what learned bins say of their teachers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit

import segfair
from segfair.cases import Cohort
from segfair.scoring.scores import ScoreTable


def test_derived_attributes_join_and_are_never_adjusted_for_themselves(
    embedded: Cohort, embedded_scores: ScoreTable
) -> None:
    config = dataclasses.replace(DEFAULT, derive=True, attributes=("site", "breast_density"))
    result = segfair.run_audit(embedded, config, scores=embedded_scores)
    names = [entry.name for entry in result.attributes.facts]
    assert names[:3] == ["site", "breast_density", "lesion_volume"]
    assert [level.n for level in result.attributes.facts[2].levels] == pytest.approx([20, 20, 20], abs=1)
    rows = result.subgroups["dsc"].rows
    assert any(row.adjusted is not None for row in rows)
    for row in rows:
        if any(attribute == "lesion_volume" for attribute, _ in row.subgroup.items):
            assert row.adjusted is None


def test_levels_that_masks_derive_bear_their_unit(embedded: Cohort, embedded_scores: ScoreTable) -> None:
    result = segfair.run_audit(
        embedded, dataclasses.replace(DEFAULT, derive=True, attributes=("site",)), scores=embedded_scores
    )
    volumes = [entry for entry in result.attributes.facts if entry.name == "lesion_volume"]
    assert [level.level.rpartition(" ")[2] for level in volumes[0].levels] == ["ml"] * 3
    low, high = result.attributes.bins["lesion_volume"].edges
    in_ml = np.array(result.cases.scores.column("volume")) / 1000
    assert [level.n for level in volumes[0].levels] == [
        (in_ml <= low).sum(),
        ((in_ml > low) & (in_ml <= high)).sum(),
        (in_ml > high).sum(),
    ]
    assert volumes[0].levels[0].level == f"≤ {low:g} ml"


def test_bins_that_were_learned_say_what_taught_them() -> None:
    rng = np.random.default_rng(6)
    age = rng.integers(20, 90, 80)
    dsc = np.clip(rng.normal(0.85, 0.03, 80) - 0.2 * (age > 60), 0, 1)
    result = audit(dataclasses.replace(DEFAULT, bins={"age": "tree"}, min_cases=5), dsc=dsc, age=age.tolist())
    assert result.cases.counts.n_taught == 40
    assert result.cases.counts.unusable == {}
    assert list(result.cases.counts.excluded) == sorted(
        result.cases.counts.excluded
    )  # in case order, whatever the hash seed
    assert "regression tree of dsc on 40 other cases" in result.attributes.bins["age"].binning
    assert [alert.kind for alert in result.verdict.alerts if alert.kind in ("taught", "excluded")] == ["taught"]


def test_what_the_masks_derive_is_no_part_of_the_fairness_score(embedded: Cohort, embedded_scores: ScoreTable) -> None:
    plain, derived = (
        segfair.run_audit(embedded, dataclasses.replace(DEFAULT, derive=on), scores=embedded_scores)
        for on in (False, True)
    )
    assert derived.scores["FS"].value == plain.scores["FS"].value
    assert len(derived.attributes.facts) > len(plain.attributes.facts)
