"""A user of nnU-Net: 300 labels with regions and an ignore label, one fold of 60 predictions, its summary.json."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from segfair.files.images.masks import write_mask

N_LABELS, N_FOLD = 300, 60
REGIONS = {"whole tumour": (1, 2, 3), "tumour core": (2, 3), "enhancing": (3,)}
IGNORE = 4
QUICK = ("--permutations", 199, "--bootstrap", 100)
"""The facts here are scores, cases and weights; none of them is resampled."""
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


@pytest.fixture(scope="module")
def nnunet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("nnunet")
    rng = np.random.default_rng(5)
    labels = root / "Dataset001_Tumour" / "labelsTr"
    validation = root / "results" / "fold_0" / "validation"
    labels.mkdir(parents=True)
    validation.mkdir(parents=True)
    ids = [f"case_{index:03d}" for index in range(N_LABELS)]
    fold = sorted(rng.choice(ids, N_FOLD, replace=False).tolist())
    per_case = []
    for case in ids:
        label = _nested_label(rng)
        write_mask(labels / f"{case}.nii.gz", label, affine=AFFINE)
        if case in fold:
            prediction = np.where(label == IGNORE, 0, np.roll(label, int(rng.integers(0, 3)), axis=0)).astype(np.uint8)
            write_mask(validation / f"{case}.nii.gz", prediction, affine=AFFINE)
            per_case.append(_summary_entry(label, prediction, labels / f"{case}.nii.gz", validation / f"{case}.nii.gz"))
    (labels.parent / "dataset.json").write_text(
        json.dumps(
            {
                "channel_names": {"0": "T1"},
                "labels": {
                    "background": 0,
                    **{name: list(values) for name, values in REGIONS.items()},
                    "ignore": IGNORE,
                },
                "regions_class_order": [1, 2, 3],
                "numTraining": N_LABELS,
                "file_ending": ".nii.gz",
            }
        )
    )
    (validation / "summary.json").write_text(json.dumps({"metric_per_case": per_case, "mean": {}}))
    splits = [{"train": [case for case in ids if case not in fold], "val": fold}]
    (root / "splits_final.json").write_text(json.dumps(splits))
    rows = [f"{case},{rng.choice(['f', 'm'])},{rng.integers(20, 90)}" for case in ids]
    (root / "metadata.csv").write_text("id,sex,age\n" + "\n".join(rows) + "\n")
    return root


def _nested_label(rng: np.random.Generator) -> np.ndarray:
    label = np.zeros((14, 12, 8), np.uint8)
    corner = rng.integers(1, 4, size=3)
    for value, margin in ((1, 0), (2, 1), (3, 2)):
        label[
            tuple(slice(c + margin, c + 8 - margin if axis < 2 else c + 5 - margin) for axis, c in enumerate(corner))
        ] = value
    label[rng.random(label.shape) < 0.05] = IGNORE
    return label


def _summary_entry(
    label: np.ndarray, prediction: np.ndarray, label_file: Path, prediction_file: Path
) -> dict[str, object]:
    """What nnU-Net's evaluation writes: region masks, the ignored voxels left out of every count."""
    counted = label != IGNORE
    metrics = {}
    for values in REGIONS.values():
        in_label, in_prediction = np.isin(label, values) & counted, np.isin(prediction, values) & counted
        tp = int((in_label & in_prediction).sum())
        fp, fn = int((in_prediction & ~in_label).sum()), int((in_label & ~in_prediction).sum())
        key = str(values) if len(values) > 1 else str(values[0])
        metrics[key] = {
            "Dice": 2 * tp / (2 * tp + fp + fn),
            "IoU": tp / (tp + fp + fn),
            "TP": tp,
            "FP": fp,
            "FN": fn,
            "TN": int(counted.sum()) - tp - fp - fn,
            "n_pred": tp + fp,
            "n_ref": tp + fn,
        }
    return {"metrics": metrics, "reference_file": str(label_file), "prediction_file": str(prediction_file)}


def test_without_cases_the_missing_240_are_named(nnunet: Path, call_cli) -> None:
    done = call_cli(
        "audit", nnunet / "results", nnunet / "Dataset001_Tumour", nnunet / "metadata.csv", "--out", nnunet / "out0"
    )
    assert done.returncode == 2
    assert "240 of 300" in done.stderr
    assert "--cases" in done.stderr
    assert "--missing-prediction" in done.stderr


def test_one_fold_scores_each_region_as_nnunet_does(nnunet: Path, call_cli) -> None:
    out = nnunet / "out1"
    done = call_cli(
        "audit",
        nnunet / "results",
        nnunet / "Dataset001_Tumour",
        nnunet / "metadata.csv",
        "--cases",
        f"{nnunet / 'splits_final.json'}:0",
        "--out",
        out,
        "--workers",
        1,
        *QUICK,
    )
    assert done.returncode == 0, done.stderr
    audit = json.loads((out / "audit.json").read_text())
    assert audit["cases"]["n_scored"] == N_FOLD
    assert audit["cases"]["penalised"] == []
    columns = audit["case_scores"]["columns"]
    rows = {row[0]: dict(zip(columns, row, strict=True)) for row in audit["case_scores"]["rows"]}
    summary = json.loads((nnunet / "results" / "fold_0" / "validation" / "summary.json").read_text())
    for entry in summary["metric_per_case"]:
        case = Path(entry["reference_file"]).name.removesuffix(".nii.gz")
        dices = []
        for name, values in REGIONS.items():
            key = str(values) if len(values) > 1 else str(values[0])
            dices.append(entry["metrics"][key]["Dice"])
            assert rows[case][f"dsc_{name}"] == pytest.approx(dices[-1], abs=1e-9)
        assert rows[case]["dsc"] == pytest.approx(np.mean(dices), abs=1e-9)


def test_the_summary_alone_gives_the_same_dice(nnunet: Path, call_cli) -> None:
    out = nnunet / "out2"
    summary = nnunet / "results" / "fold_0" / "validation" / "summary.json"
    done = call_cli("audit-scores", summary, nnunet / "metadata.csv", "--out", out, *QUICK)
    assert done.returncode == 0, done.stderr
    audit = json.loads((out / "audit.json").read_text())
    assert audit["cases"]["n_scored"] == N_FOLD
    entries = json.loads(summary.read_text())["metric_per_case"]
    expected = np.mean([[metrics["Dice"] for metrics in entry["metrics"].values()] for entry in entries])
    assert audit["outcomes"]["dsc"]["mean"] == pytest.approx(expected, abs=1e-9)
    assert list(audit["scores"]) == ["DSC"], "without NormHD there is no PS, FS or TS"


def test_the_documented_chain_from_results_to_weights(nnunet: Path, call_cli) -> None:
    """docs/mitigation.md: audit a results folder, then weights for the training cases of that fold."""
    data, out = nnunet / "Dataset001_Tumour", nnunet / "out3"
    splits, metadata = f"{nnunet / 'splits_final.json'}:0", nnunet / "metadata.csv"
    options = ("--cases", splits, "--workers", 1, *QUICK, "--out", out)
    audited = call_cli("audit", nnunet / "results", data / "labelsTr", metadata, *options)
    assert audited.returncode == 0, audited.stderr
    audit = json.loads((out / "audit.json").read_text())
    assert "fold" not in audit["bins"], "a fold tells who was trained on what, not who a patient is"
    assert audit["columns"]["fold"]["read_as"] == "fold"
    table = nnunet / "weights.csv"
    done = call_cli("weights", out / "audit.json", "--metadata", metadata, "--cases", splits, "--out", table)
    assert done.returncode == 0, done.stderr
    rows = table.read_text().splitlines()
    assert len(rows) == 1 + N_LABELS - N_FOLD, "the fold's training cases"
    weights = [float(row.split(",")[1]) for row in rows[1:]]
    assert np.mean(weights) == pytest.approx(1)
    # The column is there for who asks for it.
    one_fold = ("--where", "fold == 0", *QUICK, "--out", nnunet / "out4")
    by_fold = call_cli("audit-scores", nnunet / "results", metadata, *one_fold)
    assert by_fold.returncode == 0, by_fold.stderr
