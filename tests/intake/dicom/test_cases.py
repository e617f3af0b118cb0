"""A cohort of DICOM: pairs by UIDs and names, series, structures by name, attributes; scores equal those of NIfTI."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom")

from pydicom.uid import generate_uid
from tests.dicom_fixtures import AXIAL, OBLIQUE, ball, edited, write_contours, write_seg, write_series

from segfair.audit.choices.labels import resolve_protocol
from segfair.audit.procedure import run_audit
from segfair.audit.raters.labels import put_together, raters_of
from segfair.audit.result import AuditConfig
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError, PairingError
from segfair.files.images.masks import write_mask
from segfair.intake.cohorts import load_cohort
from segfair.intake.dicom.cases import with_dicom
from segfair.intake.mask_values import with_pictures
from segfair.intake.rater_labels import RaterLabels, labels_in, with_labels
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_cohort
from segfair.scoring.score_cache import Rules, ScoreCache

SHAPE = (16, 14, 8)
N_CASES = 4


def label_of(at: int) -> np.ndarray:
    return ball(SHAPE, (7, 6, 3), 2.2 + 0.3 * at)


def prediction_of(at: int) -> np.ndarray:
    return ball(SHAPE, (7, 6 + at % 2, 3), 2.6)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """The same masks as NIfTI and DICOM, half of them oblique; series apart from the masks."""
    root = tmp_path_factory.mktemp("cohort")
    for at in range(N_CASES):
        patient = f"P{at}"
        series = write_series(
            root / "series" / patient,
            patient=patient,
            orientation=OBLIQUE if at % 2 else AXIAL,
            PatientSex="FM"[at % 2],
            PatientAge=f"0{40 + at}Y",
        )
        for role, mask in (("labels", label_of(at)), ("predictions", prediction_of(at))):
            name = {"labels": "GTV", "predictions": "Tumor"}[role]
            write_seg(root / f"seg-{role}" / patient / "x", series, {name: mask})
            write_mask(root / f"nifti-{role}" / f"{patient}.nii.gz", mask.astype(np.uint8), affine=series.affine)
    return root


def scores_of(cohort):
    config = AuditConfig(load_protocol("default"))
    protocol = resolve_protocol(config, cohort)
    found = score_cohort(with_pictures(cohort, protocol), protocol)
    return found.column("dsc"), found


@pytest.mark.parametrize("with_series", [True, False])
@pytest.mark.parametrize(("predictions", "labels"), [("seg", "nifti"), ("nifti", "seg"), ("seg", "seg")])
def test_scores_are_those_of_nifti(data, predictions, labels, with_series):
    series = data / "series" if with_series else None
    cohort = load_cohort(data / f"{predictions}-predictions", data / f"{labels}-labels", None, dicom_series=series)
    plain = load_cohort(data / "nifti-predictions", data / "nifti-labels", None)
    (wanted, expected), (found, table) = scores_of(plain), scores_of(cohort)
    assert cohort.ids == plain.ids
    assert found == wanted
    assert not table.penalised
    for metric in ("hd95_mm", "assd_mm", "volume"):
        assert table.column(metric) == pytest.approx(expected.column(metric), rel=1e-6)
    assert any("image series is not at hand" in notice for notice in cohort.notices) is not with_series


def test_one_name_on_each_side_is_one_structure(data):
    cohort = load_cohort(data / "seg-predictions", data / "seg-labels", None)
    assert dict(cohort.label_names) == {"GTV": (1,)}
    assert "DICOM: each label holds the one structure GTV, each prediction Tumor: taken for the same" in cohort.notices


def test_headers_become_metadata(data):
    cohort = load_cohort(
        data / "seg-predictions",
        data / "seg-labels",
        None,
        dicom_series=data / "series",
        dicom_attributes="sex,age,manufacturer,slice_thickness_mm",
    )
    assert cohort.columns == ("sex", "age", "manufacturer", "slice_thickness_mm")
    assert cohort.column("sex") == ["F", "M", "F", "M"]
    assert cohort.column("age") == [40, 41, 42, 43]
    assert cohort.column("manufacturer") == ["Acme"] * 4
    assert cohort.column("slice_thickness_mm") == [2.5] * 4


def test_a_column_of_the_table_comes_before_the_header(data, tmp_path):
    table = tmp_path / "m.csv"
    table.write_text("patient_id,sex\n" + "".join(f"P{at},X\n" for at in range(N_CASES)))
    cohort = load_cohort(data / "seg-predictions", data / "seg-labels", table, dicom_attributes="sex,age")
    assert cohort.column("sex") == ["X"] * 4
    assert cohort.column("age") == [40, 41, 42, 43]


def test_options_of_dicom_need_dicom(data):
    with pytest.raises(ConfigError, match="need masks in DICOM"):
        load_cohort(data / "nifti-predictions", data / "nifti-labels", None, dicom_attributes="sex")


def test_scores_of_another_grid_or_meaning_are_not_taken_from_the_cache(data):
    cohort = load_cohort(data / "seg-predictions", data / "seg-labels", None, dicom_series=data / "series")
    protocol = load_protocol("default")
    case = with_pictures(cohort, protocol).cases[0]
    cache = ScoreCache(data / "cache")
    keys = set()
    for label in (
        case.dicom["label"],
        dataclasses.replace(case.dicom["label"], grid=None),
        dataclasses.replace(case.dicom["label"], values={1: 2}),
    ):
        keys.add(cache.key(dataclasses.replace(case, dicom={"label": label}), Rules(protocol), "a", "b"))
    assert len(keys) == 3


def pair(root: Path, series, label, prediction, *, name: str) -> None:
    write_seg(root / "labels" / name, series, label)
    write_seg(root / "predictions" / name, series, prediction)


def test_several_series_of_a_patient_pair_by_series_and_are_one_subject(tmp_path):
    study = generate_uid()
    for at in range(3):
        series = write_series(
            tmp_path / "CT" / str(at), patient="P1" if at < 2 else "P2", study=study if at < 2 else None
        )
        write_seg(tmp_path / "labels" / f"a{at}", series, {"GTV": label_of(at)})
        write_seg(tmp_path / "predictions" / f"{9 - at}", series, {"GTV": label_of(at)})
    cohort = load_cohort(tmp_path / "predictions", tmp_path / "labels", None)
    assert len(cohort) == 3
    assert scores_of(cohort)[0] == [1, 1, 1]
    assert cohort.subject_column == "patient"
    assert sorted(cohort.column("patient")) == ["patient 1", "patient 1", "patient 2"]


def test_objects_of_other_series_pair_by_study_and_by_patient(tmp_path):
    study = generate_uid()
    label = write_series(tmp_path / "a", patient="P1", study=study)
    frame = label.datasets[0].FrameOfReferenceUID
    for name, series in (
        ("study", write_series(tmp_path / "b", patient="other", study=study, frame=frame)),
        ("patient", write_series(tmp_path / "c", patient="P1", frame=frame)),
    ):
        write_seg(tmp_path / name / "labels" / "x", label, {"GTV": label_of(0)})
        write_seg(tmp_path / name / "predictions" / "x", series, {"GTV": label_of(0)})
        cohort = load_cohort(tmp_path / name / "predictions", tmp_path / name / "labels", None)
        assert scores_of(cohort)[0] == [1]


def test_another_frame_of_reference_costs_that_case(tmp_path):
    for at in range(3):
        label = write_series(tmp_path / f"a{at}", patient=f"P{at}")
        other = write_series(
            tmp_path / f"b{at}", patient=f"P{at}", frame=None if at == 1 else label.datasets[0].FrameOfReferenceUID
        )
        write_seg(tmp_path / "labels" / str(at), label, {"GTV": label_of(0)})
        write_seg(tmp_path / "predictions" / str(at), other, {"GTV": label_of(0)})
    values, table = scores_of(load_cohort(tmp_path / "predictions", tmp_path / "labels", None))
    assert values == [1, 0, 1]
    assert "lies in another frame of reference" in table.penalised["P1"]


@pytest.mark.parametrize("named_by", ["patient", "study", "series", "file"])
def test_files_of_another_format_are_named_after_any_uid(tmp_path, named_by):
    for at in range(3):
        series = write_series(tmp_path / "CT" / str(at), patient=f"Mr {at}")
        image = series.datasets[0]
        name = {
            "patient": image.PatientID,
            "study": image.StudyInstanceUID,
            "series": image.SeriesInstanceUID,
            "file": f"export_{at}",
        }[named_by]
        write_seg(tmp_path / "predictions" / f"export_{at}.dcm", series, {"GTV": label_of(at)})
        write_mask(tmp_path / "labels" / f"{name}.nii.gz", label_of(at).astype(np.uint8), affine=series.affine)
        write_mask(tmp_path / "as_predictions" / f"{name}.nii.gz", label_of(at).astype(np.uint8), affine=series.affine)
    cohort = load_cohort(tmp_path / "predictions", tmp_path / "labels", None)
    assert scores_of(cohort)[0] == [1, 1, 1]
    turned = load_cohort(tmp_path / "as_predictions", tmp_path / "predictions", None)
    assert turned.ids == ("Mr 0", "Mr 1", "Mr 2")
    assert scores_of(turned)[0] == [1, 1, 1]


def test_nothing_in_common_is_an_error_that_names_both(tmp_path):
    series = write_series(tmp_path / "CT", patient="P1")
    write_seg(tmp_path / "predictions" / "a", series, {"GTV": label_of(0)})
    write_mask(tmp_path / "labels" / "unlike.nii.gz", label_of(0).astype(np.uint8), affine=series.affine)
    with pytest.raises(PairingError, match="predictions are P1, labels are unlike"):
        load_cohort(tmp_path / "predictions", tmp_path / "labels", None)


@pytest.fixture
def two_structures(tmp_path: Path) -> Path:
    """Numbers differ between the files, names between the sides in spelling only; one has a structure more."""
    node = ball(SHAPE, (12, 10, 5), 1.5)
    for at in range(3):
        series = write_series(tmp_path / "CT" / str(at), patient=f"P{at}")
        structures = {"GTV p": label_of(at), "Node": node}
        turned = dict(reversed(structures.items())) if at == 1 else structures
        write_seg(tmp_path / "labels" / str(at), series, turned)
        predicted = {"gtv_P": prediction_of(at), "node": node, "lung": ball(SHAPE, (2, 2, 1), 1)}
        write_seg(tmp_path / "predictions" / str(at), series, predicted)
    return tmp_path


def audit(root: Path, *labels: str):
    cohort = load_cohort(root / "predictions", root / "labels", None)
    return run_audit(cohort, AuditConfig(load_protocol("default"), labels=labels, min_cases=1))


def test_structures_are_told_by_name_and_both_sides_are_scored(two_structures):
    cohort = load_cohort(two_structures / "predictions", two_structures / "labels", None)
    assert dict(cohort.label_names) == {"GTV p": (1,), "Node": (3,)}
    found = audit(two_structures).cases.scores
    assert set(found.column("dsc_Node")) == {1.0}
    assert min(found.column("dsc_GTV p")) < 1


def test_names_choose_what_counts(two_structures):
    assert audit(two_structures, "node").cases.scores.column("dsc") == [1, 1, 1]
    assert set(audit(two_structures, "tumour=GTV P").about.config.protocol.regions) == {"tumour"}
    both = audit(two_structures, "GTV p,Node").cases.scores.column("dsc")
    assert 0.5 < min(both) < 1


def test_an_unknown_name_lists_those_there_are(two_structures):
    with pytest.raises(ConfigError, match=r"--label nod: nod is unknown \(did you mean Node\?\); known are GTV p, "):
        audit(two_structures, "nod")


def test_a_structure_that_a_file_lacks_is_told(two_structures):
    edited_path = two_structures / "labels" / "2"
    edited(edited_path, lambda ds: setattr(ds.SegmentSequence[1], "SegmentLabel", "other"))
    found = audit(two_structures, "node")
    assert any(
        "label: holds none of the structures that count (Node), but GTV p, other" in a.text
        for a in found.verdict.alerts
    )


def test_no_structure_in_common_asks_for_names(tmp_path):
    series = write_series(tmp_path / "CT")
    pair(tmp_path, series, {"a": label_of(0), "b": ~label_of(1)}, {"c": label_of(0)}, name="x")
    with pytest.raises(ConfigError, match=r"share no structure .*; say which mean the same with --label"):
        audit(tmp_path)
    assert audit(tmp_path, "lesion=a,c").cases.scores.column("dsc") == [1]


def test_contours_against_a_segmentation(tmp_path):
    series = write_series(tmp_path / "CT")
    square = np.array([[2, 3, 4], [5, 3, 4], [5, 6, 4], [2, 6, 4]], float)
    mask = np.zeros(SHAPE, bool)
    mask[2:6, 3:7, 4] = True
    write_contours(tmp_path / "labels" / "rs", series, {"GTV": [square]})
    write_seg(tmp_path / "predictions" / "seg", series, {"GTV": mask})
    cohort = load_cohort(tmp_path / "predictions", tmp_path / "labels", None, dicom_series=tmp_path / "CT")
    assert scores_of(cohort)[0] == [1]


def test_missing_slices_of_a_series_are_told(tmp_path):
    series = write_series(tmp_path / "CT", leave_out=[1])
    square = np.array([[2, 3, 4], [5, 3, 4], [5, 6, 4], [2, 6, 4]], float)
    write_contours(tmp_path / "labels" / "rs", series, {"GTV": [square]})
    write_seg(tmp_path / "predictions" / "seg", series, {"GTV": label_of(0)})
    cohort = load_cohort(tmp_path / "predictions", tmp_path / "labels", None, dicom_series=tmp_path / "CT")
    notes = cohort.cases[0].dicom["label"].notes
    assert notes == ("1 slices of its image series are missing, and are background",)


def test_broken_objects_cost_their_cases(data, tmp_path):
    shutil.copytree(data / "seg-predictions", tmp_path / "predictions")
    broken = tmp_path / "predictions" / "P1" / "x"
    broken.write_bytes(broken.read_bytes()[:-100])
    edited(tmp_path / "predictions" / "P2" / "x", lambda ds: delattr(ds, "PixelData"))
    values, table = scores_of(load_cohort(tmp_path / "predictions", data / "seg-labels", None))
    assert values[0] > 0 < values[3]
    assert values[1:3] == [0, 0]
    assert set(table.penalised) == {"P1", "P2"}
    assert "has no pixel data" in table.penalised["P2"]


def test_a_series_that_is_no_volume_costs_contours_their_case_and_frames_nothing(tmp_path):
    series = write_series(tmp_path / "CT")
    square = np.array([[2, 3, 4], [5, 3, 4], [5, 6, 4], [2, 6, 4]], float)
    write_contours(tmp_path / "labels" / "rs", series, {"GTV": [square]})
    write_seg(tmp_path / "predictions" / "seg", series, {"GTV": label_of(0)})
    for path in series.folder.iterdir():
        edited(path, lambda ds: setattr(ds, "ImagePositionPatient", [0, 0, float(ds.InstanceNumber) ** 2]))
    cohort = load_cohort(tmp_path / "predictions", tmp_path / "labels", None, dicom_series=tmp_path / "CT")
    _, table = scores_of(cohort)
    assert "its slices are not evenly spaced" in table.excluded["P1"]
    turned = load_cohort(tmp_path / "labels", tmp_path / "predictions", None, dicom_series=tmp_path / "CT")
    _, table = scores_of(turned)
    assert "its slices are not evenly spaced" in table.penalised["P1"]
    assert turned.cases[0].dicom["label"].notes[0].startswith("lies on its own grid, for series ")


def test_a_folder_of_series_that_is_none_is_named(data: Path, tmp_path: Path) -> None:
    for folder, said in ((tmp_path / "nowhere", "does not exist"), (tmp_path, "holds no image series")):
        with pytest.raises(ConfigError, match=rf"^--dicom-series {folder}: {said}; expected a folder of DICOM images$"):
            load_cohort(data / "seg-predictions", data / "seg-labels", None, dicom_series=folder)


def test_contours_of_which_no_series_is_there_are_one_mistake(tmp_path):
    square = np.array([[2, 3, 4], [5, 3, 4], [5, 6, 4]], float)
    for at in range(3):
        series = write_series(tmp_path / "CT" / str(at), patient=f"P{at}")
        write_contours(tmp_path / "labels" / str(at), series, {"GTV": [square]})
        write_seg(tmp_path / "predictions" / str(at), series, {"GTV": label_of(0)})
    with pytest.raises(InputError, match=r"labels: of 3 structure sets .* name its folder with --dicom-series"):
        load_cohort(tmp_path / "predictions", tmp_path / "labels", None)
    cohort = load_cohort(tmp_path / "predictions", tmp_path / "labels", None, dicom_series=tmp_path / "CT" / "0")
    _, table = scores_of(cohort)
    assert set(table.excluded) == {"P1", "P2"}
    assert "its contours need the image series" in table.excluded["P1"]
    turned = load_cohort(tmp_path / "labels", tmp_path / "predictions", None)
    assert set(scores_of(turned)[1].penalised) == {"P0", "P1", "P2"}


def test_a_case_may_name_a_file_or_a_folder_that_holds_its_mask_and_series(tmp_path):
    series = write_series(tmp_path / "study" / "CT")
    label = write_seg(tmp_path / "study" / "label.dcm", series, {"GTV": label_of(0)})
    square = np.array([[2, 3, 4], [5, 3, 4], [5, 6, 4], [2, 6, 4]], float)
    write_series(tmp_path / "other" / "CT", patient="P2")
    write_contours(tmp_path / "prediction" / "rs", series, {"GTV": [square]})
    shutil.copytree(tmp_path / "study" / "CT", tmp_path / "prediction" / "CT")
    case = Case("a", label, tmp_path / "prediction")
    found = with_dicom(Cohort((case,)))
    assert found.cases[0].prediction == tmp_path / "prediction" / "rs"
    assert {role: meant.grid.shape for role, meant in found.cases[0].dicom.items()} == {
        "label": SHAPE,
        "prediction": SHAPE,
    }
    assert not scores_of(found)[1].penalised


def test_second_labels_may_be_contours(tmp_path):
    square = np.array([[5, 4, 3], [9, 4, 3], [9, 8, 3], [5, 8, 3]], float)
    for at in range(3):
        series = write_series(tmp_path / "CT" / str(at), patient=f"P{at}")
        pair(tmp_path, series, {"GTV": label_of(at)}, {"GTV": label_of(at)}, name=str(at))
        write_contours(tmp_path / "second" / str(at), series, {"GTV": [square]})
    cohort = load_cohort(tmp_path / "predictions", tmp_path / "labels", None, dicom_series=tmp_path / "CT")
    second = with_labels(cohort, labels_in(cohort, tmp_path / "second"))
    assert second.ids == cohort.ids
    values, table = scores_of(second)
    assert not table.excluded
    assert all(0 < value < 1 for value in values)


def test_a_table_of_paths_may_name_dicom_and_other_raters_of_it(tmp_path):
    rows = ["id,prediction,label,label2"]
    for at in range(3):
        series = write_series(tmp_path / f"P{at}" / "CT", patient=f"P{at}")
        pair(tmp_path, series, {"GTV": label_of(at)}, {"GTV": label_of(at)}, name=str(at))
        write_seg(tmp_path / "second" / f"{at}.dcm", series, {"GTV": label_of(at)})
        rows.append(f"P{at},predictions/{at},labels/{at},second/{at}.dcm")
    (tmp_path / "table.csv").write_text("\n".join(rows))
    cohort = load_cohort(tmp_path / "table.csv", dicom_series=tmp_path)
    assert {grid.grid.shape for case in cohort for grid in case.dicom.values()} == {SHAPE}
    first, second = scores_of(cohort)[0], scores_of(with_labels(cohort, RaterLabels(cohort.raters["label2"])))[0]
    assert first == second == [1.0, 1.0, 1.0]
    raters = put_together(cohort, raters_of(cohort, []), load_protocol("default"), tmp_path / "made")
    assert raters.n_raters == {"P0": 2, "P1": 2, "P2": 2}
    assert not raters.left_out
    assert scores_of(raters.common["majority"])[0] == first


def test_a_folder_in_a_table_that_holds_no_dicom_is_refused(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "table.csv").write_text("id,prediction,label\nx,a,a\n")
    with pytest.raises(InputError, match="is a folder; name the file in it"):
        load_cohort(tmp_path / "table.csv")
