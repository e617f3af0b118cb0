"""What stops an audit after scoring, and what masks say about themselves: unusable shares, thresholds, copies."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segfair
from segfair.audit.mask_facts import check_threshold, check_usable, copies_labels
from segfair.audit.result import AuditConfig
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import write_image, write_mask
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_cohort
from segfair.scoring.pairs import score_pair, worst_score
from segfair.scoring.scores import CaseScore, ScoreTable, protocol_metrics

DEFAULT = load_protocol("default")
METRICS = protocol_metrics(DEFAULT)
LABEL = np.zeros((10, 9, 6), np.uint8)
LABEL[2:6, 2:6, 1:4] = 1
OTHER = np.diag([1.0, 1, 1, 1])
OTHER[0, 3] = 5


def cohort_of(folder: Path, kinds: list[str]) -> Cohort:
    """One case a kind of prediction: good, equal, absent, elsewhere (another grid), broken, probable, empty."""
    cases = []
    for index, kind in enumerate(kinds):
        name = f"P{index:02d}"
        paths = {role: folder / role / f"{name}.nii.gz" for role in ("labels", "preds")}
        write_mask(paths["labels"], LABEL, affine=np.eye(4))
        prediction = LABEL if kind == "equal" else np.roll(LABEL, 1, axis=0)
        if kind == "probable":
            write_image(paths["preds"], 0.3 * prediction, affine=np.eye(4))
        elif kind != "absent":
            write_mask(paths["preds"], prediction, affine=OTHER if kind == "elsewhere" else np.eye(4))
        if kind == "broken":
            paths["preds"].write_bytes(b"no mask")
        there = paths["preds"] if kind != "absent" else None
        cases.append(Case(name, paths["labels"], there, {"sex": "FM"[index % 2]}))
    return Cohort(tuple(cases), columns=("sex",))


def audit(cohort: Cohort, **settings: object):
    return segfair.run_audit(cohort, AuditConfig(DEFAULT, permutations=19, bootstrap=100, min_cases=2, **settings))


# --- more than a fifth -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("absent", "3 absent, such as case P00"),
        ("elsewhere", "3 on another grid, such as case P00 (another grid: label and prediction are both"),
        ("broken", "3 that cannot be read, or are no masks, such as case P00 ("),
        ("probable", "3 probability maps, such as case P00 ("),
    ],
)
def test_more_than_a_fifth_of_any_kind_stops_an_audit(tmp_path: Path, kind: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        audit(cohort_of(tmp_path, [kind] * 3 + ["good"] * 9))
    text = str(caught.value)
    assert text.startswith("3 of 12 predictions cannot be used: ")
    assert said in text
    for remedy in ("--cases FILE", "--where", "--missing-prediction worst", "drop", "resample"):
        assert remedy in text
    # A fifth is not more than a fifth.
    result = audit(cohort_of(tmp_path / "fewer", [kind] * 2 + ["good"] * 8))
    assert len(result.cases.counts.penalised) == 2


def test_all_kinds_count_together_and_each_has_its_example(tmp_path: Path) -> None:
    kinds = ["absent", "elsewhere", "elsewhere", "broken"] + ["good"] * 8
    with pytest.raises(InputError) as caught:
        audit(cohort_of(tmp_path, kinds))
    text = str(caught.value)
    assert text.startswith("4 of 12 predictions cannot be used: 2 on another grid, such as case P01 (")
    assert "1 absent, such as case P00;" in text
    assert "1 that cannot be read, or are no masks, such as case P03 (" in text


@pytest.mark.parametrize("rule", ["worst", "drop"])
def test_who_says_what_they_mean_is_not_stopped(tmp_path: Path, rule: str) -> None:
    result = audit(cohort_of(tmp_path, ["elsewhere"] * 4 + ["good"] * 8), missing_prediction=rule)
    assert len(result.cases.counts.penalised) == (4 if rule == "worst" else 0)
    assert result.cases.counts.n_scored == (12 if rule == "worst" else 8)


def test_scores_that_are_handed_in_are_taken_as_they_are(tmp_path: Path) -> None:
    cohort = cohort_of(tmp_path, ["elsewhere"] * 4 + ["good"] * 8)
    scores = score_cohort(cohort, DEFAULT)
    result = segfair.run_audit(cohort, AuditConfig(DEFAULT, permutations=19, bootstrap=100), scores=scores)
    assert len(result.cases.counts.penalised) == 4
    with pytest.raises(InputError):
        check_usable(scores, AuditConfig(DEFAULT))


def test_the_command_line_stops_without_a_report(tmp_path: Path, call_cli) -> None:
    cohort = cohort_of(tmp_path, ["elsewhere"] * 4 + ["good"] * 8)
    (tmp_path / "m.csv").write_text("id,sex\n" + "".join(f"{case.id},{case.metadata['sex']}\n" for case in cohort))
    places = [tmp_path / name for name in ("preds", "labels", "m.csv")]
    said = call_cli("audit", *places, "--out", tmp_path / "out")
    assert said.returncode == 2
    assert "4 of 12 predictions cannot be used: 4 on another grid" in said.stderr
    assert not (tmp_path / "out").exists()


# --- no case is both worst and excluded ------------------------------------------------------------------------


def test_a_case_without_prediction_and_without_a_row_is_excluded_only(tmp_path: Path, call_cli) -> None:
    cohort = cohort_of(tmp_path, ["absent", "absent"] + ["good"] * 12)
    rows = [f"{case.id},{case.metadata['sex']}\n" for case in cohort if case.id != "P00"]
    (tmp_path / "m.csv").write_text("id,sex\n" + "".join(rows))
    places = [tmp_path / name for name in ("preds", "labels", "m.csv")]
    for rule in ((), ("--missing-prediction", "drop"), ("--missing-prediction", "worst")):
        said = call_cli("audit", *places, *rule, "--out", tmp_path / "out", "--permutations", 19, "--bootstrap", 100)
        assert said.returncode == 0, said.stderr
        lines = [line for line in said.stdout.splitlines() if "P00" in line]
        assert lines == ["cases without a row in m.csv, excluded: 1 (P00)"]
        counts = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))["cases"]
        assert "P00" not in [entry["case"] for entry in counts["penalised"]]
        assert {entry["case"]: entry["reason"] for entry in counts["excluded"]}["P00"] == "no row in m.csv"


def test_a_case_without_prediction_and_with_a_broken_label_is_excluded_only(tmp_path: Path, call_cli) -> None:
    cohort = cohort_of(tmp_path, ["absent", "absent"] + ["good"] * 12)
    (tmp_path / "labels" / "P00.nii.gz").write_bytes(b"broken")
    (tmp_path / "m.csv").write_text("id,sex\n" + "".join(f"{case.id},{case.metadata['sex']}\n" for case in cohort))
    places = [tmp_path / name for name in ("preds", "labels", "m.csv")]
    said = call_cli("audit", *places, "--out", tmp_path / "out", "--permutations", 19, "--bootstrap", 100)
    assert "cases without a prediction, given the worst score: 1 (P01)" in said.stdout
    assert "13 cases scored, 1 penalised; 1 excluded" in said.stdout


# --- thresholds ------------------------------------------------------------------------------------------------


def maps(*spans: tuple[float, float, bool]) -> ScoreTable:
    facts = [
        {"prediction_min": low, "prediction_max": high, "prediction_whole": float(whole)} for low, high, whole in spans
    ]
    return ScoreTable(METRICS, tuple(CaseScore(f"P{index}", {}, entry) for index, entry in enumerate(facts)))


@pytest.mark.parametrize(
    ("threshold", "spans", "said"),
    [
        (0.5, [(0, 0.2, False), (0, 0.49, False)], "from 0 to 0.49, so that no voxel reaches it"),
        (0.5, [(0.5, 0.9, False)], "from 0.5 to 0.9, so that every voxel reaches it"),
        (-1, [(-0.5, 3, False)], "from -0.5 to 3, so that every voxel reaches it"),
        (0.5, [(0, 255, True), (0, 0, True)], "from 0 to 255, whole numbers and no probabilities"),
        (300, [(0, 255, True)], "from 0 to 255, so that no voxel reaches it"),
    ],
)
def test_a_threshold_that_tells_nothing_apart_is_refused(threshold, spans, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_threshold([maps(*spans)], threshold)
    assert f"--threshold {threshold:g}: the maps hold values {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("threshold", "spans"),
    [
        (0.5, [(0, 0.2, False), (0, 0.5, False)]),
        (128, [(0, 255, True)]),
        (1, [(0, 255, True)]),
        (0.5, [(0, 1, True)]),  # masks already
        (0.5, [(-9.5, 7.25, False)]),  # logits: the user's business
        (0.5, [(0, 1.02, False), (0, 0.7, False), (0, 0, True)]),  # a spline overshoots; an empty map is on any scale
        (0.5, [(-4, 6, False), (-3, 0.7, False)]),
    ],
)
def test_other_thresholds_are_taken(threshold: float, spans) -> None:
    check_threshold([maps(*spans)], threshold)
    check_threshold([maps(*spans)], None)


@pytest.mark.parametrize("spans", [[(0, 255, True), (0, 0.7, False)], [(0, 0.9, False), (0, 88.5, False)]])
@pytest.mark.parametrize("threshold", [0.5, 0.6])
def test_maps_on_two_scales_are_refused(threshold: float, spans) -> None:
    with pytest.raises(ConfigError, match=r"1 maps hold values up to 1 .* and 1 up to .*: two scales"):
        check_threshold([maps(*spans)], threshold)
    # Each team has a scale of its own.
    check_threshold([maps(spans[0]), maps(spans[1])], threshold)


def test_an_audit_of_maps_from_0_to_255_is_refused(tmp_path: Path) -> None:
    cases = []
    for index in range(12):
        name = f"P{index:02d}.png"
        for role, values in (("labels", LABEL[:, :, 2]), ("preds", 200 * LABEL[:, :, 2] + 7 * (index % 2))):
            (tmp_path / role).mkdir(exist_ok=True)
            Image.fromarray(values.astype(np.uint8).T).save(tmp_path / role / name)
        cases.append(Case(name, tmp_path / "labels" / name, tmp_path / "preds" / name, {"sex": "FM"[index % 2]}))
    cohort = Cohort(tuple(cases), columns=("sex",))
    with pytest.raises(ConfigError, match="from 0 to 207, whole numbers"):
        audit(cohort, threshold=0.5)
    result = audit(cohort, threshold=100)
    assert result.scores["DSC"].value == 1.0


# --- copies, and which values occur ----------------------------------------------------------------------------


def test_equal_means_every_voxel_that_counts() -> None:
    one, two = LABEL.copy(), LABEL.copy()
    two[0, 0, 0] = 2  # counts for nothing
    three = LABEL.copy()
    three[2, 2, 1] = 0
    nothing = np.zeros_like(LABEL)
    for prediction, equal in ((one, True), (two, True), (three, False), (nothing, False)):
        assert score_pair(LABEL, prediction, spacing_mm=(1, 1, 1), protocol=DEFAULT).equals_label is equal
    assert not score_pair(nothing, nothing, spacing_mm=(1, 1, 1), protocol=DEFAULT).equals_label
    regions = DEFAULT.replace(regions={"whole": (1, 2), "core": (2,)})
    core, elsewhere = LABEL.copy(), LABEL.copy()
    core[2, 2, 1], elsewhere[3, 3, 2] = 2, 2
    assert score_pair(core, core, spacing_mm=(1, 1, 1), protocol=regions).equals_label
    assert not score_pair(core, elsewhere, spacing_mm=(1, 1, 1), protocol=regions).equals_label
    assert not worst_score(LABEL, spacing_mm=(1, 1, 1), protocol=DEFAULT, reason="gone").equals_label


def test_an_audit_counts_predictions_that_equal_their_labels(tmp_path: Path) -> None:
    result = audit(cohort_of(tmp_path, ["equal"] * 3 + ["good"] * 9))
    assert [alert.text for alert in result.verdict.alerts if alert.kind == "copied"] == [
        "3 of 12 predictions equal their label voxel for voxel (empty labels left out). A model hits a small lesion "
        "exactly now and then; make sure that the rest are no copies of the labels."
    ]
    none = audit(cohort_of(tmp_path / "none", ["good"] * 12))
    assert not [alert for alert in none.verdict.alerts if alert.kind == "copied"]
    assert "equals_label" not in json.dumps(result.to_dict())


def test_half_of_the_usable_masks_make_a_copied_submission(tmp_path: Path) -> None:
    for kinds, copied in (
        (["equal"] * 5 + ["good"] * 5, True),
        (["equal"] * 4 + ["good"] * 6, False),
        (["equal"] * 2 + ["good"] * 2 + ["absent"] * 6, True),
        (["absent"] * 4, False),
    ):
        table = score_cohort(cohort_of(tmp_path / str(len(list(tmp_path.iterdir()))), kinds), DEFAULT)
        assert copies_labels(table) is copied


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.float32])
def test_which_values_occur(dtype: type) -> None:
    label, prediction = np.zeros((6, 6, 6), dtype), np.zeros((6, 6, 6), dtype)
    label[1, 1, 1], label[2, 2, 2], prediction[3, 3, 3] = 7, 2, 5
    score = score_pair(label, prediction, spacing_mm=(1, 1, 1), protocol=DEFAULT.replace(ignore_label=7))
    assert score.values_found == ((2, 7), (5,))
    many = np.arange(216, dtype=dtype).reshape(6, 6, 6) % 100
    assert score_pair(many, prediction, spacing_mm=(1, 1, 1), protocol=DEFAULT).values_found[0] == tuple(range(1, 33))
    assert worst_score(label, spacing_mm=(1, 1, 1), protocol=DEFAULT, reason="").values_found == ((2, 7), ())
    if dtype == np.int16:
        assert score_pair(-label, prediction, spacing_mm=(1, 1, 1), protocol=DEFAULT).values_found[0] == (-7, -2)
    nothing = np.zeros_like(label)
    assert score_pair(nothing, nothing, spacing_mm=(1, 1, 1), protocol=DEFAULT).values_found == ((), ())


def test_what_a_probability_map_holds_is_kept(tmp_path: Path) -> None:
    cohort = cohort_of(tmp_path, ["probable"])
    facts = score_cohort(cohort, DEFAULT, threshold=0.1).scores[0].facts
    assert (facts["prediction_min"], facts["prediction_whole"]) == (0.0, 0.0)
    assert facts["prediction_max"] == pytest.approx(0.3)
    plain = score_cohort(dataclasses.replace(cohort_of(tmp_path, ["good"])), DEFAULT).scores[0].facts
    assert "prediction_max" not in plain
