"""What the grey levels of PNG masks mean."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segfair
from segfair.audit.result import AuditConfig
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError
from segfair.files.images.grey_levels import grey_levels
from segfair.intake.mask_values import survey, with_pictures
from segfair.protocol.rules import load_protocol

DEFAULT = load_protocol("default")
FAST = {"permutations": 19, "bootstrap": 100}


def png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array.astype(np.uint8)).save(path)
    return path


def square(inner: int, outer: int = 0) -> np.ndarray:
    """20 x 20 pixels: a square of 10 x 10 of one value, and within it one of 4 x 4 of another."""
    picture = np.zeros((20, 20), np.uint8)
    picture[4:14, 4:14] = outer
    picture[6:10, 6:10] = inner
    return picture


def cohort(tmp_path: Path, labels: list[np.ndarray], predictions: list[np.ndarray]) -> Cohort:
    return Cohort(
        tuple(
            Case(
                f"P{index:02d}",
                png(tmp_path / "labels" / f"P{index:02d}.png", label),
                png(tmp_path / "preds" / f"P{index:02d}.png", prediction),
            )
            for index, (label, prediction) in enumerate(zip(labels, predictions, strict=True))
        )
    )


def dsc(cases: Cohort, *labels: str, **settings: object) -> list[float]:
    result = segfair.run_audit(cases, AuditConfig(DEFAULT, labels=labels, **FAST, **settings))  # type: ignore[arg-type]
    return result.cases.scores.column("dsc")


def test_the_values_of_all_files_together(tmp_path: Path) -> None:
    files = [png(tmp_path / "a.png", square(255)), png(tmp_path / "b.png", square(255, 128))]
    assert grey_levels(files[:1]) == (0, 255)
    assert grey_levels(files) == (0, 128, 255)
    broken = tmp_path / "c.png"
    broken.write_bytes(b"x")
    assert grey_levels([*files, broken, tmp_path / "d.nii.gz"]) == (0, 128, 255)


def test_black_and_white_is_one_where_all_files_are(tmp_path: Path) -> None:
    cases = cohort(tmp_path, [square(255, 255)] * 3, [square(1, 1)] * 3)
    assert survey(cases).grey_levels == {"label": (0, 255), "prediction": (0, 1)}
    assert [case.white for case in with_pictures(cases, DEFAULT)] == [("label",)] * 3
    assert dsc(cases) == [1.0] * 3, "0/255 against 0/1 is the same mask"
    notices = segfair.run_audit(cases, AuditConfig(DEFAULT, **FAST)).about.notices  # type: ignore[arg-type]
    assert "labels: PNG files of black and white only; 255 is read as 1" in notices


def test_who_asks_for_255_gets_255(tmp_path: Path) -> None:
    cases = cohort(tmp_path, [square(255, 255)] * 3, [square(255, 255)] * 3)
    assert dsc(cases, "255") == dsc(cases, "any") == dsc(cases) == [1.0] * 3


def test_a_file_that_happens_to_be_black_and_white_is_not_rewritten(tmp_path: Path) -> None:
    """The cup (255) lies within the rim (128); one annotator drew the cup only."""
    cases = cohort(tmp_path, [square(255), square(255, 128)], [square(255, 128)] * 2)
    assert with_pictures(cases, DEFAULT).cases[0].white == ()
    result = segfair.run_audit(cases, AuditConfig(DEFAULT, labels=("cup=255", "rim=128"), **FAST))  # type: ignore[arg-type]
    assert result.cases.scores.column("dsc_cup") == [1.0, 1.0]
    # Without a choice nothing counts, and that is said.
    with pytest.raises(
        InputError, match=r"PNG labels hold the values 0, 128, 255, white \(255\) beside others.*--label"
    ):
        dsc(cases)


@pytest.mark.parametrize("role", ["labels", "predictions"])
def test_two_scales_in_one_folder_stop(tmp_path: Path, role: str) -> None:
    """Files of 0 and 1 among files of 0 and 255: the latter would be empty masks."""
    mixed, plain = [square(1, 1), square(255, 255)] * 2, [square(1, 1)] * 4
    cases = cohort(tmp_path, *((mixed, plain) if role == "labels" else (plain, mixed)))
    with pytest.raises(InputError, match=rf"PNG {role} hold the values 0, 1, 255, white"):
        dsc(cases)
    assert dsc(cases, "any") == [1.0] * 4, "who names what counts has looked"
    # 255 is "unknown" where it is the ignore label: 16 of 100 pixels count nowhere, the others agree.
    cases = cohort(tmp_path, [square(255, 1)] * 2, [square(1, 1)] * 2)
    assert dsc(dataclasses.replace(cases, ignore_label=255)) == [1.0] * 2


def test_predictions_on_another_scale_than_the_labels_stop(tmp_path: Path) -> None:
    cases = cohort(tmp_path, [square(1, 1)] * 3, [square(128, 128)] * 3)
    with pytest.raises(
        ConfigError, match=r"no prediction holds .* \(1\): predictions hold the values 128, which no label"
    ):
        dsc(cases)
    assert dsc(cases, "any") == [1.0] * 3
    # A model that finds the organ (2) of the labels and never the lesion (1) is judged as it is.
    cases = cohort(tmp_path, [square(1, 2)] * 3, [square(2, 2)] * 3)
    assert dsc(cases) == [0.0] * 3


def test_smoothed_edges_stop_with_their_values(tmp_path: Path) -> None:
    smooth = np.clip(np.arange(400).reshape(20, 20), 0, 255)
    cases = cohort(tmp_path, [square(255, 255)] * 2, [smooth] * 2)
    with pytest.raises(
        InputError, match=r"PNG predictions hold 256 and more .* \(0, 1, 2, 3.*grey levels.*--threshold"
    ):
        dsc(cases)
    lesion, label = smooth >= 128, square(1, 1) > 0
    expected = 2 * np.count_nonzero(lesion & label) / (np.count_nonzero(lesion) + np.count_nonzero(label))
    assert dsc(cases, threshold=128.0) == [pytest.approx(expected)] * 2
    assert len(dsc(cases, "any")) == 2, "who names the labels has looked"


def test_values_that_count_nowhere_are_told(tmp_path: Path) -> None:
    cases = cohort(tmp_path, [square(1, 1)] * 3, [square(2, 2), square(1, 1), square(3, 1)])
    result = segfair.run_audit(cases, AuditConfig(DEFAULT, **FAST))  # type: ignore[arg-type]
    (text,) = [alert.text for alert in result.verdict.alerts if alert.kind == "labels"]
    assert text == "Predictions hold values that belong to no label that counts (1), of 3 cases: 2 in 1, 3 in 1."


def test_a_region_in_no_prediction_is_told(tmp_path: Path) -> None:
    cases = cohort(tmp_path, [square(2, 1)] * 3, [square(1, 1)] * 3)
    config = AuditConfig(DEFAULT, labels=("whole=1,2", "core=2"), **FAST)  # type: ignore[arg-type]
    texts = [alert.text for alert in segfair.run_audit(cases, config).verdict.alerts if alert.kind == "labels"]
    assert texts == ["The region core (2) occurs in labels and in no prediction."]
