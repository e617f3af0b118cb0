"""Who is in the embedded cohort: quotas, attributes that depend on each other, missing values."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from tests.phantom.draws import draw

from segfair.phantom import (
    AGE_GROUPS,
    DENSITIES,
    MECHANISMS,
    SITES,
    Mechanism,
)
from segfair.phantom.patients import Patient, sample_patients

PLANTED = frozenset({("age_group", "41-50"), ("breast_density", "d")})


def population(n_cases: int, seed: int = 0, planted_cases: int | None = None) -> list[Patient]:
    return sample_patients(
        n_cases,
        rng=np.random.default_rng(seed),
        planted_cases=planted_cases,
        mechanism=MECHANISMS["faint"],
        prefix="P",
    )


@pytest.mark.parametrize(("n_cases", "quota"), [(60, 12), (120, 4), (10, 0), (4, 4)])
def test_quotas_are_exact_and_visible(n_cases: int, quota: int) -> None:
    for seed in range(5):
        patients = population(n_cases, seed, quota)
        assert sum(patient.planted for patient in patients) == quota
        for patient in patients:
            shown = {(name, level) for name, level in patient.metadata.items() if level is not None}
            assert patient.planted == (shown >= PLANTED)
            assert not patient.planted or patient.metadata["age"] is not None


def test_without_a_quota_about_one_in_twenty_is_planted() -> None:
    assert 0.03 < np.mean([patient.planted for patient in population(3000)]) < 0.08


def test_attributes_depend_on_each_other_as_they_do_in_patients() -> None:
    people = [patient.attributes for patient in population(4000)]
    by_age = {group: [one for one in people if one["age_group"] == group] for group in AGE_GROUPS}
    dense = [np.mean([one["breast_density"] == "d" for one in by_age[group]]) for group in AGE_GROUPS]
    fatty = [np.mean([one["breast_density"] == "a" for one in by_age[group]]) for group in AGE_GROUPS]
    post = [np.mean([one["menopause"] == "post" for one in by_age[group]]) for group in AGE_GROUPS]
    assert all(younger > older for younger, older in itertools.pairwise(dense[:4]))
    assert dense[0] > 0.2 > 0.05 > dense[4]
    assert all(younger < older for younger, older in itertools.pairwise(fatty[:4]))
    assert post[0] < 0.05
    assert post[3] > 0.98
    assert all(younger <= older for younger, older in itertools.pairwise(post))


def test_the_site_depends_on_nothing() -> None:
    people = [patient.attributes for patient in population(4000)]
    overall = np.array([np.mean([one["site"] == site for one in people]) for site in SITES])
    assert overall == pytest.approx([0.4, 0.3, 0.2, 0.1], abs=0.03)
    for density in DENSITIES:
        group = [one for one in people if one["breast_density"] == density]
        shares = [np.mean([one["site"] == site for one in group]) for site in SITES]
        # Four standard errors of the widest share.
        assert shares == pytest.approx(overall, abs=4 * np.sqrt(0.25 / len(group)))


def test_ages_fall_into_their_groups_and_values_are_missing_as_stated() -> None:
    patients = population(4000)
    edges = {"0-40": (0, 40), "41-50": (41, 50), "51-60": (51, 60), "61-70": (61, 70), "71+": (71, 88)}
    for patient in patients:
        low, high = edges[str(patient.metadata["age_group"])]
        assert low <= int(str(patient.attributes["age"])) <= high
    gone = Counter(name for one in patients for name, value in one.metadata.items() if value is None)
    assert set(gone) == {"age", "menopause", "breast_density"}
    assert gone["menopause"] / 4000 == pytest.approx(0.12, abs=0.02)
    assert gone["breast_density"] / 4000 == pytest.approx(0.05, abs=0.015)
    assert gone["age"] / 4000 == pytest.approx(0.05, abs=0.015)
    for patient in patients:
        assert all(value in (None, patient.attributes[name]) for name, value in list(patient.metadata.items())[1:])


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_mechanism_names_its_subgroup_by_items(name: str) -> None:
    mechanism = MECHANISMS[name]
    assert mechanism.name == name
    cases = draw(12, planted_cases=3, mechanism=name, size=(16, 16, 16))
    assert sum(case.planted for case in cases) == 3
    for case in cases:
        assert case.planted == all(case.metadata[key] == level for key, level in mechanism.items.items())
    assert ("site" in mechanism.items) == (name in ("three-attribute", "rim"))


def test_a_mechanism_of_ones_own() -> None:
    mine = Mechanism("old", {"age_group": "71+", "site": "D"}, "signal-loss", "an example")
    cases = draw(5, planted_cases=2, mechanism=mine)
    assert sum(case.planted for case in cases) == 2
    assert all(case.metadata["site"] == "D" for case in cases if case.planted)
