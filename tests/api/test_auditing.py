"""One call from folders, dictionaries, lists, tensors, items of MONAI's loaders and frames to the same audit."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tests.api.conftest import QUICK, Masks

import segfair as sf
from segfair.audit.result import AuditResult
from segfair.files.images.masks import write_mask
from segfair.scoring.pairs import score_pair

SPACING = (1.0, 1.5, 3.0)
WHERE_FROM = {"inputs", "notices", "joined"}


def facts(result: AuditResult) -> dict[str, Any]:
    """An audit without where it came from."""
    return {key: value for key, value in result.to_dict().items() if key not in WHERE_FROM}


@pytest.fixture(scope="module")
def of_dicts(masks: Masks) -> sf.Audit:
    return sf.audit(masks.predictions, masks.labels, masks.metadata, spacing=SPACING, **QUICK)


@pytest.fixture(scope="module")
def folders(masks: Masks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masks")
    for role, found in (("preds", masks.predictions), ("labels", masks.labels)):
        (folder / role).mkdir()
        for case, mask in found.items():
            write_mask(folder / role / f"{case}.nii.gz", mask, affine=np.diag([*SPACING, 1.0]))
    masks.metadata.to_csv(folder / "metadata.csv", index=False)
    return folder


def test_arrays_and_files_of_the_same_masks_have_the_same_audit(of_dicts: sf.Audit, folders: Path) -> None:
    of_files = sf.audit(str(folders / "preds"), folders / "labels", str(folders / "metadata.csv"), **QUICK)
    same, other = facts(of_files), facts(of_dicts)
    # Pictures name the axes of the patient, of which a bare array knows nothing.
    assert same.pop("gallery") is not None and other.pop("gallery") is not None
    assert same == other
    assert of_dicts.about.inputs == {}
    assert set(of_files.about.inputs) == {"predictions", "labels", "metadata"}


def test_the_file_formats_differ_in_nothing_that_the_command_line_would_not_find(
    folders: Path, tmp_path: Path, call_cli
) -> None:
    paths = [folders / name for name in ("preds", "labels", "metadata.csv")]
    arguments = ["--permutations", 99, "--bootstrap", 100, "--min-cases", 5, "--workers", 1, "--no-cache"]
    assert call_cli("audit", *paths, *arguments, "--out", tmp_path / "out").returncode == 0
    assert AuditResult.load(tmp_path / "out").to_dict() == sf.audit(*paths, **QUICK).to_dict()


def test_masks_in_order_are_those_of_the_rows(masks: Masks, of_dicts: sf.Audit) -> None:
    listed = list(masks.predictions.values()), list(masks.labels.values())
    by_column = sf.audit(*listed, masks.metadata, id_column="patient_id", spacing=SPACING, **QUICK)
    by_ids = sf.audit(*listed, masks.metadata, ids=list(masks.labels), spacing=SPACING, **QUICK)
    stacked = sf.audit(*map(np.stack, listed), masks.metadata, ids=list(masks.labels), spacing=SPACING, **QUICK)
    assert facts(by_column) == facts(by_ids) == facts(stacked) == facts(of_dicts)
    rows = sf.audit(*listed, masks.metadata.drop(columns="patient_id"), spacing=SPACING, **QUICK)
    assert rows.cases.scores.column("case") == [f"row {row:02}" for row in range(1, 25)]
    assert rows.cases.scores.column("dsc") == of_dicts.cases.scores.column("dsc")
    assert rows.by_group.equals(of_dicts.by_group)


def test_tensors_and_items_of_a_loader(masks: Masks, of_dicts: sf.Audit) -> None:
    torch = pytest.importorskip("torch")
    data = pytest.importorskip("monai.data")
    predicted, referred = (
        [torch.as_tensor(mask) for mask in side.values()] for side in (masks.predictions, masks.labels)
    )
    batches = (torch.stack(side)[:, None].float() for side in (predicted, referred))
    of_tensors = sf.audit(*batches, masks.metadata, ids=list(masks.labels), spacing=SPACING, **QUICK)
    assert facts(of_tensors) == facts(of_dicts)
    affine = torch.diag(torch.tensor([*SPACING, 1.0], dtype=torch.float64))
    one_hot = torch.nn.functional.one_hot
    items = [
        {
            "pred": data.MetaTensor(one_hot(prediction.long()).permute(3, 0, 1, 2), affine=affine),
            "label": data.MetaTensor(label[None], affine=affine, meta={"filename_or_obj": f"/data/{case}.nii.gz"}),
            "site": row.site,
            "sex": row.sex,
        }
        for case, prediction, label, row in zip(
            masks.labels, predicted, referred, masks.metadata.itertuples(), strict=True
        )
    ]
    of_items = sf.audit(items, **QUICK)
    assert of_items.cases.scores.column("case") == list(masks.labels)
    assert of_items.cases.scores.column("hd95_mm") == of_dicts.cases.scores.column("hd95_mm")
    assert of_items.by_group.equals(of_dicts.by_group)
    assert facts(sf.audit(items, metadata=masks.metadata, **QUICK)) == facts(of_items)


def test_a_voxel_of_an_array_has_no_size_unless_somebody_says_it(masks: Masks) -> None:
    result = sf.audit(masks.predictions, masks.labels, masks.metadata, **QUICK)
    assert "hd95_vox" in result.cases.scores.metrics
    assert "hd95_mm" not in result.cases.scores.metrics


def test_an_unusable_prediction_costs_its_case_and_is_named_as_it_was_handed_in(masks: Masks) -> None:
    broken = {**masks.predictions, "P00": np.ones((3, 3, 3)), "P01": None, "P02": np.full((9, 8, 7), 0.5)}
    result = sf.audit(broken, masks.labels, masks.metadata, **QUICK)
    reasons = result.cases.counts.penalised
    assert list(reasons) == ["P00", "P01", "P02"]
    assert reasons["P01"] == "no prediction"
    assert reasons["P02"].startswith("predictions['P02']: looks like a probability map")
    assert not any("/tmp" in text or "segfair-memory" in text for text in (*reasons.values(), *result.about.notices))
    with pytest.raises(
        sf.SegfairError, match=r"^1 of 24 labels .* in memory .* or choose missing_prediction=worst or drop"
    ):
        sf.audit(broken, masks.labels, masks.metadata, missing_prediction="error", **QUICK)
    assert (
        sf.audit(broken, masks.labels, masks.metadata, missing_prediction="drop", **QUICK).cases.counts.n_scored == 21
    )


def test_masks_that_are_files_stay_files(masks: Masks, folders: Path, tmp_path: Path) -> None:
    files = [
        {case: str(folders / role / f"{case}.nii.gz") for case in masks.labels} for role in ("preds", "labels")
    ]  # fmt: skip
    whole = sf.audit(folders / "preds", folders / "labels", masks.metadata, **QUICK)
    assert facts(sf.audit(*files, masks.metadata, **QUICK)) == facts(whole)
    mixed = sf.audit({**files[0], "P00": masks.predictions["P00"]}, files[1], masks.metadata, **QUICK)
    assert list(mixed.cases.counts.penalised) == ["P00"]  # the array lies on no known grid
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no mask")
    costs = sf.audit({**files[0], "P03": broken}, files[1], masks.metadata, **QUICK).cases.counts.penalised
    assert list(costs) == ["P03"] and costs["P03"].startswith(f"{broken}: is not a NIfTI file")
    for wrong, told in ((tmp_path / "none.nii.gz", "cannot be read"), (tmp_path / "scan.txt", "not a mask file")):
        with pytest.raises(sf.SegfairError, match=told):
            sf.audit({**files[0], "P03": wrong}, files[1], masks.metadata, **QUICK)


def test_black_and_white_pictures_are_read_alike_one_by_one_and_in_folders(masks: Masks, tmp_path: Path) -> None:
    files: list[dict[str, Path]] = [{}, {}]
    for role, found, named in zip(("preds", "labels"), (masks.predictions, masks.labels), files, strict=True):
        (tmp_path / role).mkdir()
        for case, mask in found.items():
            named[case] = tmp_path / role / f"{case}.png"
            Image.fromarray((mask[:, :, 3] * 255).astype(np.uint8)).save(named[case])
    whole = sf.audit(tmp_path / "preds", tmp_path / "labels", masks.metadata, **QUICK)
    assert facts(sf.audit(*files, masks.metadata, **QUICK)) == facts(whole)
    one = sf.score(files[0]["P01"], files[1]["P01"])
    assert one["dsc"] == whole.cases.scores.column("dsc")[1] < 1
    Image.fromarray(np.array([[0, 90, 128], [0, 0, 0], [255, 255, 200]], dtype=np.uint8)).save(tmp_path / "grey.png")
    with pytest.raises(sf.SegfairError, match="the PNG labels hold"):
        sf.score(tmp_path / "grey.png", tmp_path / "grey.png")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": None}, "labels are missing; hand them in"),
        ({"labels": "labels"}, "one is a folder and the other is not"),
        ({"labels": []}, "there are 24 predictions and 0 labels"),
        ({"metadata": None}, r"whose are the 24 masks\?"),
        ({"ids": ["P00"] * 24}, "1 different ids for 24 masks"),
        ({"ids": [f"a/{row}" for row in range(24)]}, "has no slash"),
        ({"spacing": (1.0, 1.0)}, r"labels\['P00'\] has 3 axes"),
        ({"spacing": 2}, "spacing=2: a length in mm for each axis is meant"),
        ({"spacing": "1 1"}, "spacing='1 1': a length in mm for each axis is meant"),
        ({"workers": 0}, "workers=0"),
        ({"min_support": 5}, "a share of the cases, from 0 to 1, is meant"),
        ({"primary": "age"}, "primary=age: no such metadata column"),
        ({"where": "sit == 'A'"}, "where="),
        ({"label": 3}, "label"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_in_terms_of_python(change: dict[str, Any], message: str, masks: Masks) -> None:
    given = {
        "predictions": list(masks.predictions.values()),
        "labels": list(masks.labels.values()),
        "metadata": masks.metadata,
        "id_column": "patient_id",
    }
    with pytest.raises(sf.SegfairError, match=message) as refused:
        sf.audit(**{**given, **QUICK, **change})
    assert "--" not in str(refused.value)


def test_settings_are_known_by_name(masks: Masks) -> None:
    for function, names in (
        (sf.audit, {"primary", "margin", "label", "workers", "where"}),
        (sf.audit_scores, {"outcome", "lower_is_better", "min_support"}),
        (sf.rank, {"by", "min_cases", "protocol"}),
    ):
        parameters = inspect.signature(function).parameters
        assert names <= parameters.keys()
        assert not any(entry.kind is inspect.Parameter.VAR_KEYWORD for entry in parameters.values())
    with pytest.raises(TypeError, match=r"no setting 'margins' \(did you mean margin"):
        sf.audit(masks.predictions, masks.labels, masks.metadata, margins={})  # type: ignore[call-arg]


def test_a_frame_of_scores_needs_nothing_else(frame: pd.DataFrame) -> None:
    result = sf.audit_scores(frame, **QUICK)
    assert result.by_group.loc[("site", "A"), "dsc"] == pytest.approx(
        frame.loc[frame.site == "A", "dsc"].mean(), abs=1e-12
    )
    assert list(result.findings.index) == ["site = B"]
    assert facts(sf.audit(frame, **QUICK)) == facts(result)
    error = sf.audit_scores(frame, outcome="my_error", lower_is_better="my_error", **QUICK)
    assert error.findings.loc["site = B", "difference"] == pytest.approx(
        -10 * result.findings.loc["site = B", "difference"]
    )


def test_ids_are_found_in_the_index_or_a_column(frame: pd.DataFrame) -> None:
    named = frame.assign(patient_id=[f"Q{row:02}" for row in range(40)])
    for given in (named, named.set_index("patient_id")):
        result = sf.audit_scores(given, **QUICK)
        assert result.cases.scores.column("case")[:2] == ["Q00", "Q01"]
        assert {entry.name for entry in result.attributes.facts} == {"site", "sex"}
    apart = sf.audit_scores(named[["patient_id", "dsc"]], named[["patient_id", "site", "sex"]], **QUICK)
    assert facts(apart)["subgroups"] == facts(sf.audit_scores(named.drop(columns="my_error"), **QUICK))["subgroups"]


def test_a_score_that_is_not_there_is_told_with_those_that_are(frame: pd.DataFrame) -> None:
    with pytest.raises(sf.SegfairError, match=r"no column 'dsc_score'.*there are dsc, my_error, site, sex"):
        sf.audit_scores(frame, outcome="dsc_score", **QUICK)
    with pytest.raises(sf.SegfairError, match="label: takes masks"):
        sf.audit(frame, label=1)
    with pytest.raises(sf.SegfairError, match="images: takes masks, and predictions are a frame of scores"):
        sf.audit(frame, images="images")


def test_one_pair_has_the_scores_of_its_protocol(masks: Masks, folders: Path) -> None:
    prediction, label = masks.predictions["P01"], masks.labels["P01"]
    expected = score_pair(label, prediction, spacing_mm=SPACING, protocol=sf.load_protocol("default")).values
    assert sf.score(prediction, label, SPACING) == dict(expected)
    assert sf.score(folders / "preds/P01.nii.gz", folders / "labels/P01.nii.gz") == dict(expected)
    assert "hd95_vox" in sf.score(prediction, label)
    assert list(sf.score(prediction, label, metrics="dsc")) == ["dsc"]
    with pytest.raises(sf.SegfairError, match="another grid"):
        sf.score(prediction[1:], label)
    with pytest.raises(sf.SegfairError, match=r"give the size with spacing=\(X, Y, Z\)"):
        sf.score(prediction, label, metrics="hd95_mm")


def test_labels_that_count_may_be_named(masks: Masks) -> None:
    twice = {case: 2 * label for case, label in masks.labels.items()}
    doubled = {case: 2 * prediction for case, prediction in masks.predictions.items()}
    first = sf.audit(masks.predictions, masks.labels, masks.metadata, **QUICK)
    second = sf.audit(doubled, twice, masks.metadata, label=2, **QUICK)
    assert first.cases.scores.column("dsc") == second.cases.scores.column("dsc")
    regions = sf.audit(doubled, twice, masks.metadata, label={"tumour": 2, "all": (1, 2)}, **QUICK)
    assert regions.cases.scores.column("dsc_tumour") == first.cases.scores.column("dsc")


def test_processes_and_a_bar_change_nothing(masks: Masks, of_dicts: sf.Audit, tmp_path: Path) -> None:
    more: dict[str, Any] = {"workers": 2, "progress": True, "cache": str(tmp_path / "kept")}
    for _ in range(2):
        again = sf.audit(masks.predictions, masks.labels, masks.metadata, spacing=SPACING, **more, **QUICK)
        assert facts(again) == facts(of_dicts)
    assert any((tmp_path / "kept").rglob("*"))
