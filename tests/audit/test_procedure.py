"""The whole audit on scores made up for a purpose, and on the embedded cohort."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

import segfair
from segfair.audit.gates import check_gates
from segfair.audit.result import AuditConfig, AuditResult
from segfair.audit.significance import mean_limits
from segfair.cases import Case, Cohort
from segfair.errors import AuditError, ConfigError
from segfair.protocol.rules import load_protocol
from segfair.report.audit import page_data
from segfair.report.audit.lattice import subgroup_section
from segfair.report.audit.summary import worst_section
from segfair.report.files import render_page
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable

DEFAULT = AuditConfig(load_protocol("default"), permutations=199, bootstrap=200)


def made_up(dsc: np.ndarray, normhd: np.ndarray | None = None, **columns: list[object]) -> tuple[Cohort, ScoreTable]:
    """A cohort without masks and its scores."""
    ids = [f"c{index:04d}" for index in range(len(dsc))]
    cases = tuple(
        Case(case, metadata={name: values[index] for name, values in columns.items()}) for index, case in enumerate(ids)
    )
    normhd = 1 - dsc if normhd is None else normhd
    scores = tuple(
        CaseScore(case, {"dsc": float(a), "normhd": float(b)}) for case, a, b in zip(ids, dsc, normhd, strict=True)
    )
    table = ScoreTable((METRICS["dsc"], METRICS["normhd"]), scores)
    return Cohort(cases, columns=tuple(columns)), table


def audit(config: AuditConfig = DEFAULT, **made: object) -> AuditResult:
    cohort, scores = made_up(**made)  # type: ignore[arg-type]
    return segfair.run_audit(cohort, config, scores=scores)


def planted(rng: np.random.Generator, n_cases: int, deficit: float) -> dict[str, object]:
    sex, site = rng.choice(["f", "m"], n_cases), rng.choice(["A", "B", "C"], n_cases)
    dsc = rng.normal(0.8, 0.08, n_cases) - deficit * ((sex == "f") & (site == "B"))
    return {"dsc": np.clip(dsc, 0, 1), "sex": sex.tolist(), "site": site.tolist()}


def test_a_planted_deficit_is_found_named_and_explained() -> None:
    result = audit(**planted(np.random.default_rng(0), 300, 0.12))
    worst = result.subgroups["dsc"].rows[0]
    assert worst.subgroup.items == {("sex", "f"), ("site", "B")}
    assert worst.significant
    assert worst.p_adjusted is not None
    assert worst.p_adjusted <= 0.05
    assert worst.ci_simultaneous is not None
    assert worst.ci_simultaneous[0] < worst.divergence < worst.ci_simultaneous[1] < 0
    assert sum(worst.shapley.values()) == pytest.approx(worst.divergence)
    assert abs(worst.divergence_shrunk or 0) < abs(worst.divergence)
    assert result.verdict.kind == "disparity found"
    assert "site = B" in result.verdict.sentence


def test_without_a_deficit_nothing_is_claimed_and_nothing_is_called_fair() -> None:
    result = audit(**planted(np.random.default_rng(1), 200, 0.0))
    assert result.verdict.kind == "insufficient evidence"
    assert "cannot be excluded" in result.verdict.sentence
    assert "fair" not in result.verdict.sentence.lower()
    chance = result.scores["FS"].chance
    assert chance is not None
    assert chance.p_value > 0.01
    assert chance.mean < 1


def test_the_worst_group_is_one_that_can_be_judged() -> None:
    rng = np.random.default_rng(2)
    dsc = rng.normal(0.8, 0.05, 120)
    site = ["A"] * 57 + ["B"] * 57 + ["tiny"] * 6
    dsc[-6:] = 0.3
    result = audit(dsc=dsc, site=site)
    rows = result.subgroups["dsc"].rows
    assert rows[0].n >= 10
    tiny = next(row for row in rows if row.subgroup.items == {("site", "tiny")})
    assert (tiny.significant, tiny.p_value) == (None, None)
    assert any("site = tiny (n = 6)" in alert.text for alert in result.alerts)


def test_a_level_below_the_support_is_seen_when_it_has_enough_cases() -> None:
    """18 of 600 are 3 %: too few to combine, and more than enough to be found."""
    rng = np.random.default_rng(21)
    site = np.array(["A"] * 300 + ["B"] * 282 + ["rare"] * 18)
    dsc = np.clip(rng.normal(0.8, 0.08, 600), 0, 1)
    dsc[site == "rare"] = np.clip(rng.normal(0.1, 0.05, 18), 0, 1)
    result = audit(dsc=dsc, site=site.tolist(), sex=rng.choice(["f", "m"], 600).tolist())
    rows = {row.subgroup.items: row for row in result.subgroups["dsc"]}
    rare = rows[frozenset({("site", "rare")})]
    assert rare is result.subgroups["dsc"].rows[0]
    assert rare.n == 18
    assert rare.significant
    assert sum(rare.shapley.values()) == pytest.approx(rare.divergence)
    assert result.outcomes["dsc"].n_tested > len(rows) / 2
    assert "site = rare" in result.verdict.sentence
    assert {level for _, level, _ in result.outcomes["dsc"].global_divergence} == {"A", "B", "f", "m"}, "as mined"
    (gate,) = check_gates(result, ["worst.dsc > 0.5"])
    assert (gate.state, "site = rare (n = 18)" in gate.reason) == ("fail", True)
    worst = worst_section(result)
    assert worst is not None
    assert worst["items"] == [{"attribute": "site", "level": "rare"}]
    assert "or a single level of at least 10 cases" in subgroup_section(result)["count"]


def test_audit_json_survives_the_disk(tmp_path: Path) -> None:
    made = planted(np.random.default_rng(3), 90, 0.1)
    config = dataclasses.replace(DEFAULT, primary=("sex",), margin={"dsc": 0.05}, outcomes=("dsc", "normhd"))
    result = audit(config, **made)
    result.save(tmp_path / "audit.json")
    loaded = AuditResult.load(tmp_path / "audit.json")
    assert loaded == result
    assert loaded.to_dict() == result.to_dict()
    tree = json.loads((tmp_path / "audit.json").read_text("utf-8"))
    assert tree["format"] == 1
    row = tree["subgroups"]["dsc"][0]
    assert {"items", "n", "support", "mean", "rest_mean", "divergence", "t", "divergence_shrunk", "ci", "p_value",
            "p_adjusted", "significant", "adjusted"} <= set(row)  # fmt: skip
    assert set(tree["scores"]) == {"DSC", "NormHD", "PS", "FS", "TS"}
    assert {"mean", "interval", "p_value"} == set(tree["scores"]["FS"]["chance"])


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"format": 2}', '{"format": 1}', '{"format": 1, "cases": 3}', "nonsense", "\x00"]
)
def test_what_is_no_audit_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "audit.json"
    path.write_text(text)
    with pytest.raises(segfair.SegfairError, match=r"audit\.json"):
        AuditResult.load(path)


def test_twenty_noise_attributes_leave_the_primary_family_unchanged() -> None:
    rng = np.random.default_rng(4)
    made = planted(rng, 150, 0.06)
    config = dataclasses.replace(DEFAULT, primary=("sex", "site"), attributes=("sex", "site"))
    alone = audit(config, **made)
    noise = {f"noise{index}": rng.choice(["x", "y"], 150).tolist() for index in range(20)}
    names = ("sex", "site", *noise)
    crowd = audit(dataclasses.replace(config, attributes=names, min_support=0.2), **made, **noise)
    assert alone.primary_subgroups is not None
    assert crowd.primary_subgroups is not None
    assert [(row.subgroup, row.p_adjusted) for row in alone.primary_subgroups] == [
        (row.subgroup, row.p_adjusted) for row in crowd.primary_subgroups
    ]


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
    assert "site" in fair.outcomes["dsc"].method


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"dsc": np.full(40, 0.8), "sex": ["f", "m"] * 20}, "same value"),
        ({"dsc": np.array([0.8]), "sex": ["f"]}, "no subgroup"),
        ({"dsc": np.linspace(0, 1, 6), "sex": ["f", "m"] * 3}, "insufficient evidence"),
        ({"dsc": np.linspace(0, 1, 30), "sex": ["f"] * 30}, "no subgroup"),
        ({"dsc": np.linspace(0, 1, 30), "sex": [None] * 30}, "no subgroup"),
        ({"dsc": np.linspace(0, 1, 30)}, "no subgroup"),
    ],
)
def test_data_that_cannot_answer_get_a_plain_sentence(made: dict[str, object], words: str, tmp_path: Path) -> None:
    result = audit(**made)
    assert any(words in note for note in result.outcomes["dsc"].notes), result.outcomes["dsc"].notes
    assert result.verdict.kind == "insufficient evidence"
    page = segfair.write_report(result, tmp_path / "report")
    assert page.stat().st_size > 10_000
    AuditResult.load(tmp_path / "report" / "audit.json")


def test_undefined_scores_leave_their_outcome_only() -> None:
    cohort, scores = made_up(**planted(np.random.default_rng(6), 60, 0.1))  # type: ignore[arg-type]
    broken = dataclasses.replace(scores.scores[0], values={"dsc": 0.5, "normhd": None})
    table = dataclasses.replace(scores, scores=(broken, *scores.scores[1:]))
    result = segfair.run_audit(cohort, dataclasses.replace(DEFAULT, outcomes=("dsc", "normhd")), scores=table)
    assert (result.outcomes["dsc"].n_cases, result.outcomes["normhd"].n_cases) == (60, 59)
    assert list(result.scores) == ["DSC", "NormHD"], "PS, FS and TS need both for every case"
    assert any("1 of 60 cases have no NormHD" in alert.text for alert in result.alerts)
    assert next(metric for metric in result.metrics if metric.name == "normhd").n_undefined == 1


def test_no_case_is_an_error_and_an_unknown_outcome_too() -> None:
    with pytest.raises(AuditError, match="no case can be scored"):
        segfair.run_audit(Cohort((), excluded={"a": "broken label"}), DEFAULT, scores=ScoreTable((METRICS["dsc"],), ()))
    with pytest.raises(ConfigError, match="outcome assd_mm: not among the scored metrics"):
        audit(dataclasses.replace(DEFAULT, outcomes=("assd_mm",)), dsc=np.linspace(0, 1, 20), sex=["f", "m"] * 10)


def test_margins_are_kept_missed_or_open() -> None:
    rng = np.random.default_rng(7)
    config = dataclasses.replace(DEFAULT, margin={"dsc": 0.05}, primary=("sex",), attributes=("sex",))
    kinds = {}
    for name, n_cases, gap in (("equal", 2000, 0.0), ("few", 60, 0.0), ("gap", 1000, 0.2)):
        sex = rng.choice(["f", "m"], n_cases)
        dsc = np.clip(rng.normal(0.7, 0.15, n_cases) - gap * (sex == "f"), 0, 1)
        kinds[name] = audit(config, dsc=dsc, sex=sex.tolist()).verdict.kind
    assert kinds == {
        "equal": "no gap beyond the declared margin",
        "few": "insufficient evidence",
        "gap": "disparity found",
    }


@pytest.mark.parametrize("seed", range(10))
def test_the_embedded_cohorts_planted_subgroup_leads(seed: int, tmp_path: Path) -> None:
    """The planted subgroup, a parent or a child of it, is the first row; the defaults decide everything else."""
    from segfair.phantom import write_phantom

    write_phantom(tmp_path / "cohort", n_cases=60, size=(64, 64, 48), seed=seed)
    cohort = segfair.load_cohort(*(tmp_path / "cohort" / name for name in ("preds", "labels", "metadata.csv")))
    result = segfair.run_audit(cohort, dataclasses.replace(DEFAULT, bootstrap=100))
    truth = frozenset({("age_group", "41-50"), ("breast_density", "d")})
    leader = result.subgroups["dsc"].rows[0].subgroup.items
    assert leader <= truth or leader >= truth, leader
    assert result.subgroups["dsc"].worst(1)[0].subgroup.items == leader


def test_an_unbiased_embedded_cohort_is_not_accused(tmp_path: Path) -> None:
    from segfair.phantom import write_phantom

    write_phantom(tmp_path / "cohort", n_cases=60, size=(40, 40, 32), seed=3, bias=False)
    cohort = segfair.load_cohort(*(tmp_path / "cohort" / name for name in ("preds", "labels", "metadata.csv")))
    assert segfair.run_audit(cohort, DEFAULT).verdict.kind == "insufficient evidence"


def test_derived_attributes_join_and_are_never_adjusted_for_themselves(tmp_path: Path) -> None:
    from segfair.phantom import write_phantom

    write_phantom(tmp_path / "cohort", n_cases=60, size=(32, 32, 24), seed=2)
    cohort = segfair.load_cohort(*(tmp_path / "cohort" / name for name in ("preds", "labels", "metadata.csv")))
    config = dataclasses.replace(DEFAULT, derive=True, attributes=("site", "breast_density"))
    result = segfair.run_audit(cohort, config)
    names = [entry.name for entry in result.attributes]
    assert names[:3] == ["site", "breast_density", "lesion_volume"]
    assert [level.n for level in result.attributes[2].levels] == pytest.approx([20, 20, 20], abs=1)
    rows = result.subgroups["dsc"].rows
    assert any(row.adjusted is not None for row in rows)
    for row in rows:
        if any(attribute == "lesion_volume" for attribute, _ in row.subgroup.items):
            assert row.adjusted is None


def test_levels_that_masks_derive_bear_their_unit(tmp_path: Path) -> None:
    from segfair.phantom import write_phantom

    write_phantom(tmp_path / "cohort", n_cases=24, size=(32, 32, 24), seed=5)
    cohort = segfair.load_cohort(*(tmp_path / "cohort" / name for name in ("preds", "labels", "metadata.csv")))
    result = segfair.run_audit(cohort, dataclasses.replace(DEFAULT, derive=True, attributes=("site",)))
    volumes = [entry for entry in result.attributes if entry.name == "lesion_volume"]
    assert [level.level.rpartition(" ")[2] for level in volumes[0].levels] == ["ml"] * 3
    low, high = result.bins["lesion_volume"].edges
    in_ml = np.array(result.case_scores.column("volume")) / 1000
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
    assert result.cases.n_taught == 40
    assert result.cases.unusable == {}
    assert list(result.cases.excluded) == sorted(result.cases.excluded)  # in case order, whatever the hash seed
    assert "regression tree of dsc on 40 other cases" in result.bins["age"].binning
    assert [alert.kind for alert in result.alerts if alert.kind in ("taught", "excluded")] == ["taught"]


def test_the_notebook_view_is_escaped() -> None:
    made = planted(np.random.default_rng(8), 60, 0.1)
    made["site"] = ["<script>alert(1)</script>" if value == "A" else value for value in made["site"]]  # type: ignore[union-attr]
    html = audit(**made)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_a_region_that_no_label_holds_is_refused(tmp_path: Path) -> None:
    from segfair.phantom import write_phantom

    write_phantom(tmp_path / "cohort", n_cases=12, size=(32, 32, 24), seed=2)
    cohort = segfair.load_cohort(*(tmp_path / "cohort" / name for name in ("preds", "labels", "metadata.csv")))
    config = dataclasses.replace(DEFAULT, labels=("whole=1", "other=2"))
    with pytest.raises(ConfigError, match="--label other=2: no label holds it"):
        segfair.run_audit(cohort, config)


def test_what_the_masks_derive_is_no_part_of_the_fairness_score(tmp_path: Path) -> None:
    from segfair.phantom import write_phantom

    write_phantom(tmp_path / "cohort", n_cases=60, size=(32, 32, 24), seed=4)
    cohort = segfair.load_cohort(*(tmp_path / "cohort" / name for name in ("preds", "labels", "metadata.csv")))
    plain, derived = (segfair.run_audit(cohort, dataclasses.replace(DEFAULT, derive=on)) for on in (False, True))
    assert derived.scores["FS"].value == plain.scores["FS"].value
    assert len(derived.attributes) > len(plain.attributes)


def test_a_constant_outcome_is_said_first() -> None:
    result = audit(dsc=np.zeros(40), sex=["f", "m"] * 20)
    assert "every case has the same value" in result.verdict.sentence


def test_no_interval_leaves_what_a_share_can_be() -> None:
    rng = np.random.default_rng(9)
    dsc = np.clip(rng.normal(0.9, 0.1, 60), 0, 1)
    site = ["A"] * 29 + ["B"] * 29 + ["C"] * 2
    mean = dsc.mean()
    for row in audit(dsc=dsc, site=site).subgroups["dsc"]:
        for interval in (row.ci, row.ci_simultaneous):
            if interval is not None:
                assert -mean - 1e-12 <= interval[0] <= interval[1] <= 1 - mean + 1e-12


@pytest.mark.parametrize("seed", range(12))
def test_every_score_lies_in_its_interval_also_as_the_report_prints_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_cases = (12, 40, 90, 160)[seed % 4]
    dsc = rng.beta(4, 1.3, n_cases).round((6, 1)[seed % 2])
    if seed >= 10:
        dsc[:] = 0.7
    made = {name: rng.choice(list("abcdefg")[:k], n_cases).tolist() for name, k in (("x", 2), ("y", 5), ("z", 7))}
    config = dataclasses.replace(DEFAULT, min_cases=2, permutations=199, bootstrap=199)
    result = audit(config, dsc=dsc, normhd=(1 - dsc) / 3, **made)
    shown = [(name, score.value, score.ci, 4) for name, score in result.scores.items()]
    shown += [(f"D_v {entry.name}", entry.disparity.value, entry.disparity_ci, 3) for entry in result.attributes]
    shown += [(f"{entry.name} {entry.attribute}", entry.value, entry.ci, 3) for entry in result.fairness]
    checked = 0
    for name, value, interval, digits in shown:
        if value is None or interval is None:
            continue
        assert interval[0] - 1e-12 <= value <= interval[1] + 1e-12, name
        words = [f"{number:.{digits}f}" for number in (interval[0], value, interval[1])]
        assert words == sorted(words, key=float), name
        checked += 1
    assert checked >= 5 + 3 + 9


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
    (note,) = result.outcomes["dsc"].notes
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
    assert words in result.outcomes["dsc"].notes
    assert all(row.adjusted is None for row in result.subgroups["dsc"])


def test_a_covariate_of_free_text_is_refused() -> None:
    made = {"dsc": np.linspace(0, 1, 40), "sex": ["f", "m"] * 20, "note": [f"case {index}" for index in range(40)]}
    with pytest.raises(ConfigError, match="--adjust note: 40 different texts in 40 cases"):
        audit(dataclasses.replace(DEFAULT, attributes=("sex",), adjust=("note",)), **made)


def test_what_masks_derive_can_be_stratified_by_adjusted_for_and_declared(tmp_path: Path) -> None:
    from segfair.phantom import write_phantom

    write_phantom(tmp_path / "cohort", n_cases=60, size=(32, 32, 24), seed=2)
    cohort = segfair.load_cohort(*(tmp_path / "cohort" / name for name in ("preds", "labels", "metadata.csv")))
    config = dataclasses.replace(DEFAULT, derive=True, attributes=("breast_density",))
    within = segfair.run_audit(
        cohort, dataclasses.replace(config, stratify="lesion_volume", primary=("lesion_volume",))
    )
    assert "within lesion_volume" in within.outcomes["dsc"].method
    assert within.primary_subgroups is not None
    # The strata are the terciles, so no tercile can be compared within them, and everything else can.
    assert all(row.significant is None for row in within.primary_subgroups)
    assert any(row.significant is not None for row in within.subgroups["dsc"])
    adjusted = segfair.run_audit(cohort, dataclasses.replace(config, adjust=("n_lesions", "anisotropy")))
    assert "not adjusted for anisotropy: it is the same for every case" in adjusted.outcomes["dsc"].notes
    said = [row.adjusted.covariates for row in adjusted.subgroups["dsc"] if row.adjusted is not None]
    assert set(said) <= {("n_lesions",)}


def test_strata_of_one_case_each_are_refused() -> None:
    made = {"dsc": np.linspace(0, 1, 40), "sex": ["f", "m"] * 20, "id": [f"x{index}" for index in range(40)]}
    with pytest.raises(ConfigError, match="--stratify id: 40 different values in 40 cases"):
        audit(dataclasses.replace(DEFAULT, attributes=("sex",), stratify="id"), **made)


def test_no_alert_is_shown_twice() -> None:
    cohort, scores = made_up(**planted(np.random.default_rng(0), 60, 0.0))  # type: ignore[arg-type]
    said = "the folders look swapped"
    result = segfair.run_audit(dataclasses.replace(cohort, notices=(said, "read well", said)), DEFAULT, scores=scores)
    assert [alert.text for alert in result.alerts].count(said) == 1
    html = render_page(page_data(result, written=""))
    assert html.count(said) == 1, "what is an alert is no notice as well"
    assert html.count("read well") == 1


def test_an_attribute_given_twice_is_one_question() -> None:
    made = planted(np.random.default_rng(14), 120, 0.06)
    alone = audit(dataclasses.replace(DEFAULT, attributes=("sex", "site")), **made)
    twice = audit(dataclasses.replace(DEFAULT, attributes=("sex", "site", "copy")), **made, copy=made["sex"])
    assert twice.outcomes["dsc"].n_tested == alone.outcomes["dsc"].n_tested
    found = {row.subgroup.items: (row.p_value, row.p_adjusted, row.p_bh, row.p_by) for row in twice.subgroups["dsc"]}
    for row in alone.subgroups["dsc"]:
        assert found[row.subgroup.items] == (row.p_value, row.p_adjusted, row.p_bh, row.p_by)
    assert len(found) == len(alone.subgroups["dsc"])


@pytest.mark.parametrize("clip", [True, False])
def test_no_mean_of_the_cohort_leaves_what_it_can_be(clip: bool) -> None:
    """Twelve nearly equal Dice and one of 0; a NormHD that is not clipped has no largest value, and PS no smallest."""
    protocol = dataclasses.replace(DEFAULT.protocol, normhd=dataclasses.replace(DEFAULT.protocol.normhd, clip=clip))
    dsc = np.array([0.9 + 0.001 * place for place in range(12)] + [0.0])
    normhd = np.array([0.02] * 8 + [0.98] * 5) if clip else np.array([0.02] * 12 + [4.0])
    result = audit(dataclasses.replace(DEFAULT, protocol=protocol), dsc=dsc, normhd=normhd, sex=["f", "m"] * 6 + ["f"])
    for name, low, high in (
        ("DSC", 0.0, 1.0),
        ("NormHD", 0.0, 1.0 if clip else np.inf),
        ("PS", 0.0 if clip else -np.inf, 1.0),
    ):
        score = result.scores[name]
        assert score.ci is not None
        assert low <= score.ci[0] < score.value < score.ci[1] <= high, name
    for level in result.attributes[0].levels:
        assert level.ci["normhd"][0] >= 0.0
        assert level.ci["normhd"][1] <= (1.0 if clip else np.inf)
    config = dataclasses.replace(DEFAULT, protocol=protocol)
    assert mean_limits("dsc", np.array([]), config) == (0.0, 1.0)
    assert mean_limits("DSC", dsc, config) == mean_limits("nsd_2mm", dsc, config) == (0.0, 1.0)
    assert mean_limits("NormHD", dsc, config) == (0.0, 1.0 if clip else np.inf)
    assert mean_limits("PS", dsc, config) == (0.0 if clip else -np.inf, 1.0)
    assert mean_limits("hd95_mm", dsc, config) == (-np.inf, np.inf)
    assert mean_limits("dsc", np.array([40.0, 90.0]), config) == (0.0, 90.0), "a table in per cent"
