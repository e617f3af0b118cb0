"""Strata and covariates: what is compared with what, and at equal values of what."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit, made_up

import segfair
from segfair.audit.design import build_design, with_subjects
from segfair.audit.result import AuditConfig
from segfair.cases import Cohort
from segfair.errors import ConfigError
from segfair.protocol.rules import load_protocol
from segfair.scoring.scores import ScoreTable


def test_a_site_effect_is_nobodys_fault_under_stratify() -> None:
    rng = np.random.default_rng(5)
    site = rng.choice(["A", "B"], 300, p=[0.5, 0.5])
    # Women are mostly seen at the bad site.
    sex = np.where(rng.random(300) < np.where(site == "B", 0.85, 0.15), "f", "m")
    dsc = np.clip(rng.normal(0.85, 0.05, 300) - 0.15 * (site == "B"), 0, 1)
    made = {"dsc": dsc, "sex": sex.tolist(), "site": site.tolist()}
    config = dataclasses.replace(DEFAULT, attributes=("sex",))
    naive = audit(config, **made)
    fair = audit(dataclasses.replace(config, stratify="site"), **made)
    assert naive.subgroups["dsc"].rows[0].significant
    assert not any(row.significant for row in fair.subgroups["dsc"])
    assert "site" in fair.subgroups.outcomes["dsc"].method


def confounded(rng: np.random.Generator, n_cases: int) -> dict[str, object]:
    """A group that is seen at another dose; DSC depends on the dose alone, the dose of every fifth case is missing."""
    sex = rng.choice(["f", "m"], n_cases)
    dose = rng.normal(0, 1, n_cases) - 1.0 * (sex == "f")
    dsc = np.clip(0.7 + 0.1 * dose + rng.normal(0, 0.03, n_cases), 0, 1)
    known = rng.random(n_cases) > 0.2
    return {
        "dsc": dsc,
        "sex": sex.tolist(),
        "dose": [float(value) if there else None for value, there in zip(dose, known, strict=True)],
        "dose_class": [
            ("high" if value > 0 else "Low") if there else None for value, there in zip(dose, known, strict=True)
        ],
    }


@pytest.mark.parametrize("column", ["dose", "dose_class"])
def test_a_covariate_with_missing_values_adjusts_and_says_so(column: str, tmp_path: Path) -> None:
    made = confounded(np.random.default_rng(10), 400)
    n_missing = sum(value is None for value in made[column])  # type: ignore[attr-defined]
    config = dataclasses.replace(DEFAULT, attributes=("sex",), adjust=(column,))
    result = audit(config, **made)
    row = next(entry for entry in result.subgroups["dsc"] if entry.subgroup.items == {("sex", "f")})
    assert row.adjusted is not None
    assert row.adjusted.covariates == (column,)
    # What is missing cannot be adjusted for: among those cases the whole gap stays, among the others hardly any.
    assert abs(row.adjusted.difference) < 0.75 * abs(row.adjusted.raw_difference)
    (note,) = result.subgroups.outcomes["dsc"].notes
    assert f"adjusted for {column}: missing for {n_missing} of 400 cases" in note
    result.save(tmp_path / "audit.json")
    assert note in (tmp_path / "audit.json").read_text("utf-8")
    page = segfair.write_report(result, tmp_path / "report").read_text("utf-8")
    assert f"missing for {n_missing} of 400 cases" in page


def test_the_value_put_for_a_missing_number_does_not_matter() -> None:
    """Least squares with the indicator: the adjusted difference is that of regressing on group, dose and indicator."""
    rng = np.random.default_rng(11)
    made = confounded(rng, 60)
    # Three doses only, so that the basis is the dose itself and can be written down.
    made["dose"] = [None if value is None else float(np.sign(value)) for value in made["dose"]]  # type: ignore[attr-defined]
    result = audit(dataclasses.replace(DEFAULT, attributes=("sex",), adjust=("dose",)), **made)
    row = next(entry for entry in result.subgroups["dsc"] if entry.subgroup.items == {("sex", "f")})
    missing = np.array([value is None for value in made["dose"]])  # type: ignore[attr-defined]
    dose = np.array([17.0 if value is None else value for value in made["dose"]])  # type: ignore[attr-defined]
    columns = np.column_stack([np.array(made["sex"]) == "f", np.ones(60), dose, missing]).astype(float)
    expected = np.linalg.lstsq(columns, made["dsc"])[0][0]  # type: ignore[call-overload]
    assert row.adjusted is not None
    assert row.adjusted.difference == pytest.approx(expected)


def test_an_attribute_is_not_adjusted_for_the_column_it_is_made_of() -> None:
    made = confounded(np.random.default_rng(12), 120)
    stage = {"high": "pre", "Low": "post", None: None}
    made["menopausal_status"] = [stage[value] for value in made.pop("dose_class")]  # type: ignore[attr-defined]
    protocol = load_protocol("mama-mia")
    config = AuditConfig(protocol, permutations=99, bootstrap=100, adjust=("menopausal_status",))
    result = audit(config, **made)
    assert {attribute for row in result.subgroups["dsc"] for attribute, _ in row.subgroup.items} == {"menopause"}
    assert all(row.significant is not None and row.adjusted is None for row in result.subgroups["dsc"])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([None] * 40, "not adjusted for x: no case has a number there"),
        ([3.0] * 40, "not adjusted for x: it is the same for every case"),
        (["a"] * 40, "not adjusted for x: it is the same for every case"),
    ],
)
def test_a_covariate_that_says_nothing_is_left_out_in_words(values: list[object], words: str) -> None:
    rng = np.random.default_rng(13)
    made = {"dsc": rng.random(40), "sex": ["f", "m"] * 20, "x": values}
    result = audit(dataclasses.replace(DEFAULT, attributes=("sex",), adjust=("x",)), **made)
    assert words in result.subgroups.outcomes["dsc"].notes
    assert all(row.adjusted is None for row in result.subgroups["dsc"])


def test_a_covariate_of_free_text_is_refused() -> None:
    made = {"dsc": np.linspace(0, 1, 40), "sex": ["f", "m"] * 20, "note": [f"case {index}" for index in range(40)]}
    with pytest.raises(ConfigError, match="--adjust note: 40 different texts in 40 cases"):
        audit(dataclasses.replace(DEFAULT, attributes=("sex",), adjust=("note",)), **made)


def test_what_masks_derive_can_be_stratified_by_adjusted_for_and_declared(
    embedded: Cohort, embedded_scores: ScoreTable
) -> None:
    config = dataclasses.replace(DEFAULT, derive=True, attributes=("breast_density",))
    within = segfair.run_audit(
        embedded,
        dataclasses.replace(config, stratify="lesion_volume", primary=("lesion_volume",)),
        scores=embedded_scores,
    )
    assert "within lesion_volume" in within.subgroups.outcomes["dsc"].method
    assert within.subgroups.primary_levels is not None
    # The strata are the terciles, so no tercile can be compared within them, and everything else can.
    assert all(row.significant is None for row in within.subgroups.primary_levels)
    assert any(row.significant is not None for row in within.subgroups["dsc"])
    adjusted = segfair.run_audit(
        embedded, dataclasses.replace(config, adjust=("n_lesions", "anisotropy")), scores=embedded_scores
    )
    assert "not adjusted for anisotropy: it is the same for every case" in adjusted.subgroups.outcomes["dsc"].notes
    said = [row.adjusted.covariates for row in adjusted.subgroups["dsc"] if row.adjusted is not None]
    assert set(said) <= {("n_lesions",)}


def test_strata_of_one_case_each_are_refused() -> None:
    made = {"dsc": np.linspace(0, 1, 40), "sex": ["f", "m"] * 20, "id": [f"x{index}" for index in range(40)]}
    with pytest.raises(ConfigError, match="--stratify id: 40 different values in 40 cases"):
        audit(dataclasses.replace(DEFAULT, attributes=("sex",), stratify="id"), **made)


def test_strata_and_patients_are_codes_of_columns() -> None:
    cohort, scores = made_up(np.full(4, 0.5), patient=["p", "p", None, None], site=["A", None, "A", "B"])
    config = dataclasses.replace(DEFAULT, stratify="site", subject_column="patient")
    units = build_design(cohort, scores, np.arange(4), config=config).units
    assert units.strata is not None and units.subjects is not None
    assert units.strata.tolist() == [1, 0, 1, 2], "a missing site is a stratum"
    assert len({*units.subjects[1:].tolist()}) == 3, "a missing patient is one of its own"
    assert units.subjects[0] == units.subjects[1]
    assert units.select(np.array([3, 0])).strata.tolist() == [2, 1]  # type: ignore[union-attr]
    plain = build_design(cohort, scores, np.arange(4), config=DEFAULT).units
    assert plain.strata is None and plain.subjects is None
    with pytest.raises(ConfigError, match="--stratify clinic: no such metadata column; there are patient, site"):
        build_design(cohort, scores, np.arange(4), config=dataclasses.replace(DEFAULT, stratify="clinic"))


def test_covariates_are_columns_of_numbers_and_of_levels_but_the_most_frequent() -> None:
    coil = ["a"] * 6 + ["B"] * 5 + ["b"]
    cohort, scores = made_up(np.linspace(0, 1, 12), dose=[1.0, None, 3.0, *[5.0] * 9], coil=coil)
    config = dataclasses.replace(DEFAULT, adjust=("dose", "coil", "dose"))
    covariates = build_design(cohort, scores, np.arange(12), config=config, outcome="dsc").covariates
    assert covariates is not None
    assert covariates.names == ("dose", "coil"), "asked for twice, adjusted for once"
    # The dose with the median 5 for the missing one, whether it is missing, and the second coil.
    assert covariates.values.tolist() == [
        [dose, float(missing), float(place >= 6)]
        for place, (dose, missing) in enumerate([(1, 0), (5, 1), (3, 0), *[(5, 0)] * 9])
    ]
    assert [note.partition(":")[0] for note in covariates.notes] == ["adjusted for dose"]
    assert build_design(cohort, scores, np.arange(12), config=config).covariates is None, "no outcome, no covariates"


def test_who_is_a_patient_is_asked_for_or_known_from_the_join() -> None:
    cohort, _ = made_up(np.full(2, 0.5), patient=["p", "q"])
    joined = dataclasses.replace(cohort, subject_column="patient")
    for asked, where, found in (
        (None, cohort, None),
        (None, joined, "patient"),
        ("site", joined, "site"),
        ("none", joined, None),
    ):
        config = dataclasses.replace(DEFAULT, subject_column=asked)
        assert with_subjects(config, where).subject_column == found


def repeated(**extra: object) -> dict[str, object]:
    """60 patients of one to three cases each."""
    rng = np.random.default_rng(8)
    patient = np.repeat(np.arange(60), rng.integers(1, 4, 60))
    dsc = np.clip(rng.normal(0.8, 0.08, 60)[patient] + rng.normal(0, 0.02, len(patient)), 0, 1)
    site = np.array(["A", "B"])[patient % 2]
    return {"dsc": dsc, "PatientID": [f"P{one:03d}" for one in patient], "site": site.tolist(), **extra}


def test_a_column_of_patients_whose_values_repeat_is_the_subject() -> None:
    result = audit(**repeated())
    assert result.about.config.subject_column == "PatientID"
    assert any("60 patients have" in notice and "--subject-column none" in notice for notice in result.about.notices)
    row = result.subgroups["dsc"].rows[0]
    assert row.estimate is not None
    assert (row.estimate.n_subjects, row.estimate.units) == (30, "subjects")
    refused = audit(dataclasses.replace(DEFAULT, subject_column="none"), **repeated())
    assert refused.about.config.subject_column is None
    assert refused.subgroups["dsc"].rows[0].estimate.n_subjects is None  # type: ignore[union-attr]


def test_patients_of_one_case_each_and_columns_of_other_things_are_no_subjects() -> None:
    made = repeated()
    n_cases = len(made["dsc"])  # type: ignore[arg-type]
    made["PatientID"] = [f"P{one}" for one in range(n_cases)]
    assert audit(**made).about.config.subject_column is None
    made["PatientID"] = ["in", "out"] * (n_cases // 2) + ["in"] * (n_cases % 2)
    assert audit(**made).about.config.subject_column is None


def test_within_strata_sign_value_and_interval_are_those_of_the_test() -> None:
    """Women fare better at both sites, and worse over all, for most of them are seen at the worse site."""
    rng = np.random.default_rng(0)
    site = np.repeat(["A", "B"], 200)
    female = rng.random(400) < np.where(site == "A", 0.2, 0.8)
    dsc = np.where(site == "A", 0.85, 0.65) + 0.04 * female + rng.normal(0, 0.05, 400)
    made = {"dsc": dsc, "sex": np.where(female, "f", "m").tolist(), "site": site.tolist()}
    config = dataclasses.replace(DEFAULT, attributes=("sex",), stratify="site")
    result = audit(config, **made)
    by_hand = []
    for one in ("A", "B"):
        f, m = dsc[(site == one) & female], dsc[(site == one) & ~female]
        by_hand.append((len(f) * len(m) / 200, f.mean() - m.mean()))
    weights, differences = np.array(by_hand).T
    row = next(row for row in result.subgroups["dsc"] if row.subgroup.items == {("sex", "f")})
    assert row.estimate is not None
    assert row.estimate.kind == "difference within strata"
    assert row.estimate.value == pytest.approx(np.average(differences, weights=weights))
    assert row.estimate.ci is not None
    assert 0.02 < row.estimate.ci[0] < row.estimate.value < row.estimate.ci[1] < 0.07
    assert row.divergence < -0.02, "the raw divergence stands beside it"
    assert row.divergence_shrunk is not None
    assert row.divergence_shrunk > 0, "and ranks nothing"
    assert result.subgroups["dsc"].rows[0].subgroup.items == {("sex", "m")}
    assert result.verdict.groups[0].items == {("sex", "m")}
    assert "difference within site −0.0" in result.verdict.sentence
