"""Masks whose files do not say how large a voxel is: pixels and voxels are told as such, from names to pages."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from PIL import Image
from scipy import ndimage
from scipy.spatial import cKDTree

import segfair
from segfair.audit.choices.units import resolve_units
from segfair.audit.result import AuditConfig, AuditResult
from segfair.audit.second_labels import measure_again
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import read_image, read_mask, write_mask
from segfair.gallery.worst_cases import build_gallery
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_case, score_cohort

DEFAULT, MAMA_MIA = load_protocol("default"), load_protocol("mama-mia")
IN_MM = re.compile(r"(?<![A-Za-z])(mm|ml|mm²|mm³|millimet\w*)(?![A-Za-z])|_mm\b|\dmm\b")


def assert_no_mm(text: str) -> None:
    """No millimetre and no millilitre in words or in names; style sheets and pictures are not looked at."""
    aside = r"<style.*?</style>|<script.*?</script>|base64,[A-Za-z0-9+/=]+|Lengths are in pixels, not in millimetres"
    plain = re.sub(aside, "", text, flags=re.S)
    assert not [plain[max(0, hit.start() - 40) : hit.end() + 20] for hit in IN_MM.finditer(plain)]


def save(path: Path, mask: np.ndarray) -> Path:
    """A mask in the format of its name, without a voxel size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        Image.fromarray(mask.astype(np.uint8).T).save(path, dpi=(300, 300))
    elif path.suffix == ".npz":
        np.savez(path, mask=mask.astype(np.uint8))
    else:
        sizes = " ".join(map(str, mask.shape))
        header = f"NRRD0004\ntype: uint8\ndimension: {mask.ndim}\nsizes: {sizes}\nencoding: raw\n\n"
        path.write_bytes(header.encode() + mask.astype(np.uint8).tobytes(order="F"))
    return path


def masks(index: int, *, flat: bool) -> tuple[np.ndarray, np.ndarray]:
    """A box and the same box, less a part on one side."""
    shape = (24, 20) if flat else (24, 20, 8)
    label, prediction = np.zeros(shape, bool), np.zeros(shape, bool)
    inner = () if flat else (slice(2, 6),)
    label[(slice(4, 12 + index % 5), slice(3, 15), *inner)] = True
    prediction[(slice(4, 12 + index % 3), slice(4, 15), *inner)] = True
    return label, prediction


def make_cohort(folder: Path, suffix: str, *, flat: bool, n: int = 24) -> Cohort:
    cases = []
    for index in range(n):
        label, prediction = masks(index, flat=flat)
        name = f"P{index:02d}{suffix}"
        cases.append(
            Case(
                f"P{index:02d}",
                save(folder / "labels" / name, label),
                save(folder / "preds" / name, prediction),
                {"sex": "FM"[index % 2]},
            )
        )
    (folder / "meta.csv").write_text("id,sex\n" + "".join(f"{case.id},{case.metadata['sex']}\n" for case in cases))
    return Cohort(tuple(cases), columns=("sex",))


def surface_distances(label: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    points = []
    for mask in (label, prediction):
        inside = ndimage.binary_erosion(np.pad(mask, 1))[(slice(1, -1),) * mask.ndim]
        points.append(np.argwhere(mask & ~inside))
    return cKDTree(points[1]).query(points[0])[0], cKDTree(points[0]).query(points[1])[0]


FORMATS = [(".png", True), (".npz", True), (".nrrd", True), (".npz", False), (".nrrd", False)]


@pytest.mark.parametrize(("suffix", "flat"), FORMATS)
def test_files_without_a_size_say_so(tmp_path: Path, suffix: str, flat: bool) -> None:
    label, _ = masks(0, flat=flat)
    mask = read_mask(save(tmp_path / f"a{suffix}", label))
    assert not mask.has_size
    assert mask.spacing_mm == (1.0,) * label.ndim
    np.testing.assert_array_equal(mask.array, label)
    assert not read_image(tmp_path / f"a{suffix}").has_size


@pytest.mark.parametrize(("suffix", "flat"), FORMATS)
def test_metrics_in_pixels_or_voxels_by_brute_force(tmp_path: Path, suffix: str, flat: bool) -> None:
    cohort = make_cohort(tmp_path, suffix, flat=flat, n=3)
    config = resolve_units(AuditConfig(DEFAULT), cohort)
    unit, size = ("px", "area_px") if flat else ("vox", "size_vox")
    assert config.protocol.metrics == (
        "dsc",
        f"hd95_{unit}",
        "normhd",
        size,
        "lesion_missed",
        "iou",
        "sensitivity",
        "precision",
        "relative_volume_error",
        f"assd_{unit}",
        f"nsd_1{unit}",
        f"nsd_2{unit}",
    )
    table = score_cohort(cohort, config.protocol)
    for index, score in enumerate(table.scores):
        label, prediction = masks(index, flat=flat)
        there, back = surface_distances(label, prediction)
        both = np.concatenate([there, back])
        hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
        expected = {
            f"hd95_{unit}": hd95,
            "normhd": hd95 / 150,
            size: label.sum(),
            f"assd_{unit}": both.mean(),
            f"nsd_1{unit}": (both <= 1).mean(),
            f"nsd_2{unit}": (both <= 2).mean(),
        }
        assert {name: score.values[name] for name in expected} == pytest.approx(expected)
        assert not [name for name in score.facts if "mm" in name or name == "anisotropy"]
    units = {metric.name: metric.unit for metric in table.metrics}
    assert units[f"hd95_{unit}"] == units[f"assd_{unit}"] == ("px" if flat else "voxels")
    assert units[size] == ("px²" if flat else "voxels")
    assert not [metric.definition for metric in table.metrics if IN_MM.search(metric.definition)]
    # Settings that are resolved stay as they are.
    assert resolve_units(config, cohort) == config


def test_the_challenges_rules_are_in_pixels_as_well(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, ".png", flat=True, n=2)
    protocol = resolve_units(AuditConfig(MAMA_MIA), cohort).protocol
    assert protocol.metrics == ("dsc", "hd95_px", "normhd", "area_px", "lesion_missed")
    assert protocol.normhd.unit == "px"
    found, plain = (
        score_cohort(cohort, rules).scores[0].values
        for rules in (protocol, MAMA_MIA.replace(metrics=("dsc", "hd95_vox", "normhd")))
    )
    assert [found[name] for name in ("dsc", "hd95_px", "normhd")] == list(plain.values())


def test_labels_with_a_size_change_nothing(tmp_path: Path) -> None:
    label, prediction = masks(0, flat=False)
    write_mask(tmp_path / "a.nii.gz", label, affine=np.eye(4))
    np.savez(tmp_path / "b.npz", mask=label.astype(np.uint8), spacing=(1.0, 2.0, 3.0))
    image = SimpleITK.GetImageFromArray(label.astype(np.uint8).T)
    for name in ("c.mha", "d.nrrd"):
        SimpleITK.WriteImage(image, str(tmp_path / name))
    cohort = Cohort(tuple(Case(path.name, path) for path in sorted(tmp_path.iterdir())))
    config = AuditConfig(DEFAULT)
    assert len(cohort) == 4
    assert resolve_units(config, cohort) is config
    del prediction


def test_a_given_size_makes_millimetres_of_pixels(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, ".png", flat=True, n=3)
    config = resolve_units(AuditConfig(DEFAULT, spacing_mm=(0.5, 0.25)), cohort)
    assert config.protocol.metrics[3] == "area_mm2"
    table = score_cohort(cohort, config.protocol, spacing_mm=config.spacing_mm)
    for index, score in enumerate(table.scores):
        label, prediction = masks(index, flat=True)
        points = [np.argwhere(mask & ~ndimage.binary_erosion(mask)) * (0.5, 0.25) for mask in (label, prediction)]
        there = cKDTree(points[1]).query(points[0])[0]
        assert score.values["area_mm2"] == label.sum() * 0.125
        assert score.values["hd95_mm"] >= np.percentile(there, 95) - 1e-9
        assert score.facts["spacing_x_mm"] == 0.5
        assert score.alerts == (
            "the label's file does not say how large a voxel is; it was taken to be, as --spacing says, 0.5 x 0.25 mm",
        )
    assert {metric.name: metric.unit for metric in table.metrics}["area_mm2"] == "mm²"
    solid = make_cohort(tmp_path / "solid", ".npz", flat=False, n=2)
    assert resolve_units(AuditConfig(DEFAULT, spacing_mm=(1.0, 2.0, 3.0)), solid).protocol == DEFAULT
    score = score_cohort(solid, DEFAULT, spacing_mm=(1.0, 2.0, 3.0)).scores[0]
    assert score.values["volume"] == masks(0, flat=False)[0].sum() * 6.0


def test_an_area_is_no_volume(tmp_path: Path) -> None:
    """A box of 8 x 12 pixels of 2 x 0.5 mm is 96 mm²; one slice of three axes, 3 mm thick, has 288 mm³."""
    label = masks(0, flat=True)[0].astype(np.uint8)
    affine = np.diag([2.0, 0.5, 3.0, 1.0])

    def audit(*arrays: np.ndarray) -> AuditResult:
        cases = []
        for index, array in enumerate(arrays):
            path = tmp_path / f"{array.ndim}-{index}.nii.gz"
            write_mask(path, array, affine=affine)
            cases.append(Case(f"P{index}", path, path))
        return segfair.run_audit(Cohort(tuple(cases)), AuditConfig(DEFAULT, permutations=19, bootstrap=100))

    assert audit(label, label).cases.scores.column("area_mm2") == [pytest.approx(96.0)] * 2
    slices = audit(label[..., None], label[..., None])
    assert slices.cases.scores.column("volume") == [pytest.approx(288.0)] * 2
    assert not [alert for alert in slices.verdict.alerts if alert.kind == "size"]
    (alert,) = [alert for alert in audit(label[..., None], label).verdict.alerts if alert.kind == "size"]
    assert alert.text.startswith("1 of 2 labels have two axes, such as P1, the others three")


def test_a_size_of_the_wrong_form_is_refused(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, ".png", flat=True, n=2)
    for spacing in ((1.0,), (1.0, 0.0), (1.0, float("nan"), 1.0)):
        with pytest.raises(ConfigError, match="expected two or three positive numbers in mm"):
            resolve_units(AuditConfig(DEFAULT, spacing_mm=spacing), cohort)
    with pytest.raises(ConfigError, match="has 2 axes; give one length for each"):
        score_cohort(cohort, DEFAULT, spacing_mm=(1.0, 1.0, 1.0))


@pytest.mark.parametrize("name", ["hd95_mm", "assd_mm", "nsd_1mm", "volume", "assd_mm_core"])
def test_asking_for_millimetres_is_refused_with_a_remedy(tmp_path: Path, name: str) -> None:
    cohort = make_cohort(tmp_path, ".png", flat=True, n=2)
    with pytest.raises(ConfigError, match=rf"{name}: takes millimetres, .* --spacing X Y, or ask for "):
        resolve_units(AuditConfig(DEFAULT, outcomes=("dsc", name)), cohort)
    with pytest.raises(ConfigError, match=name):
        resolve_units(AuditConfig(DEFAULT), cohort, asked=[name])


def test_who_asks_for_voxels_of_pictures_gets_them(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, ".png", flat=True, n=2)
    config = resolve_units(AuditConfig(DEFAULT, outcomes=("hd95_vox",)), cohort)
    assert "hd95_vox" in config.protocol.metrics
    # Without the rules in pixels there are no millimetres to be had.
    with pytest.raises(ConfigError, match="the size of a voxel is not known"):
        score_case(cohort.cases[0], DEFAULT)


def test_some_labels_with_a_size_and_some_without_are_refused(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, ".npz", flat=False, n=5)
    label, _ = masks(0, flat=False)
    sized = []
    for index in range(3):
        write_mask(tmp_path / f"S{index}.nii.gz", label, affine=np.eye(4))
        sized.append(Case(f"S{index}", tmp_path / f"S{index}.nii.gz"))
    mixed = dataclasses.replace(cohort, cases=(*cohort.cases, *sized))
    with pytest.raises(InputError) as caught:
        resolve_units(AuditConfig(DEFAULT), mixed)
    text = str(caught.value)
    assert "the files of 3 labels say" in text
    assert "those of 5 do not" in text
    assert "S0.nii.gz" in text
    assert "P00.npz" in text
    assert "--spacing X Y [Z]" in text
    assert resolve_units(AuditConfig(DEFAULT, spacing_mm=(1.0, 1.0, 1.0)), mixed).protocol == DEFAULT
    # A label that cannot be read says nothing.
    (tmp_path / "broken.npz").write_bytes(b"no archive")
    broken = dataclasses.replace(
        mixed, cases=(*sized, Case("B", tmp_path / "broken.npz"), Case("A", tmp_path / "gone.png"))
    )
    assert resolve_units(AuditConfig(DEFAULT), broken).protocol == DEFAULT


def test_a_picture_that_claims_a_print_size_has_none(tmp_path: Path) -> None:
    save(tmp_path / "a.png", masks(0, flat=True)[0])
    assert Image.open(tmp_path / "a.png").info["dpi"]
    assert not read_mask(tmp_path / "a.png").has_size


def test_an_audit_says_pixels_in_every_file(tmp_path: Path, call_cli) -> None:
    make_cohort(tmp_path, ".png", flat=True)
    (tmp_path / "out").mkdir()
    for name in ("labels", "preds", "images"):
        (tmp_path / name).mkdir(exist_ok=True)
    for path in (tmp_path / "labels").iterdir():
        (tmp_path / "images" / path.name).write_bytes(path.read_bytes())
    places = [tmp_path / name for name in ("preds", "labels", "meta.csv")]
    quick = ("--permutations", 199, "--bootstrap", 200)
    said = call_cli(
        "audit", *places, "--images", tmp_path / "images", "--labels2", tmp_path / "preds", "--derive", "--outcome",
        "dsc,assd_px", "--figures", "svg", "--out", tmp_path / "out", *quick,
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    card = call_cli("card", tmp_path / "out" / "audit.json")
    files = [*(tmp_path / "out").glob("*.html"), *(tmp_path / "out").glob("*.csv"), *(tmp_path / "out").glob("*/*.svg")]
    assert len(files) > 5
    texts = [said.stdout, card.stdout, *(path.read_text("utf-8") for path in files)]
    for text in texts:
        assert_no_mm(text)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "ASSD (px)" in page
    assert re.search(r"Slice 1, \d+ × \d+ px<", page)
    header = next(csv.reader((tmp_path / "out" / "cases.csv").open()))
    assert {"hd95_px", "assd_px", "nsd_1px", "nsd_2px", "area_px"} < set(header)
    tree = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))
    assert [entry["text"] for entry in tree["alerts"] if entry["kind"] == "size"] == [
        "No label says how large a pixel is: lengths are in px, areas in px², and NormHD is HD95 in px over the "
        "protocol's 150. What such a length means depends on the image; give the size with --spacing X Y."
    ]
    assert all(level.endswith(" px²") for level in tree["bins"]["lesion_volume"]["levels"])
    assert "slice_spacing_mm" not in tree["bins"]
    assert {"px, clipped", "px, not clipped"} == {entry["name"] for entry in tree["definitions"]}
    # The saved scores are known by their names, and two such audits can be compared.
    again = call_cli(
        "audit-scores",
        tmp_path / "out" / "cases.csv",
        places[2],
        "--outcome",
        "assd_px",
        "--out",
        tmp_path / "s",
        *quick,
    )
    assert again.returncode == 0, again.stderr
    assert AuditResult.load(tmp_path / "s" / "audit.json").subgroups.outcomes["assd_px"].better == "lower"
    compared = call_cli("compare", tmp_path / "out", tmp_path / "out", "--out", tmp_path / "c")
    assert compared.returncode == 0, compared.stderr
    assert_no_mm((tmp_path / "c" / "comparison.html").read_text("utf-8"))


def test_a_ranking_says_pixels_on_every_page(tmp_path: Path, call_cli) -> None:
    make_cohort(tmp_path, ".png", flat=True)
    (tmp_path / "teams").mkdir()
    (tmp_path / "preds").rename(tmp_path / "teams" / "one")
    (tmp_path / "teams" / "two").mkdir()
    for path in (tmp_path / "teams" / "one").iterdir():
        shutil.copy(path, tmp_path / "teams" / "two" / path.name)
    save(tmp_path / "teams" / "two" / "P03.png", np.zeros((24, 20)))
    places = [tmp_path / name for name in ("teams", "labels", "meta.csv")]
    quick = ("--permutations", 19, "--bootstrap", 100)
    for by in ("TS", "hd95_px"):
        said = call_cli("rank", *places, "--by", by, "--out", tmp_path / by, *quick)
        assert said.returncode == 0, said.stderr
        assert "No label says how large a pixel is: lengths are in px" in said.stdout
        files = [*(tmp_path / by).glob("*.html"), *(tmp_path / by).glob("*/*.html"), *(tmp_path / by).glob("**/*.csv")]
        assert len(files) == 7
        for text in (said.stdout, *(path.read_text("utf-8") for path in files)):
            assert_no_mm(text)
    refused = call_cli("rank", *places, "--by", "hd95_mm", "--out", tmp_path / "mm", *quick)
    assert refused.returncode == 2
    assert "ask for hd95_px" in refused.stderr
    sized = call_cli("rank", *places, "--by", "hd95_mm", "--spacing", 0.5, 0.5, "--out", tmp_path / "mm", *quick)
    assert sized.returncode == 0, sized.stderr


@pytest.mark.parametrize("spelt", [("--spacing", "0.2", "0.3"), ("--spacing=0.2", "0.3"), ("--spacing", "0.2,0.3")])
def test_the_option_takes_two_numbers_or_three(tmp_path: Path, call_cli, spelt: tuple[str, ...]) -> None:
    make_cohort(tmp_path, ".png", flat=True)
    places = [tmp_path / name for name in ("preds", "labels", "meta.csv")]
    out = tmp_path / "out"
    for arguments in ((*spelt, *places), (*places, *spelt)):
        said = call_cli("audit", *arguments, "--out", out, "--permutations", 19, "--bootstrap", 100)
        assert said.returncode == 0, said.stderr
        assert json.loads((out / "audit.json").read_text("utf-8"))["config"]["spacing_mm"] == [0.2, 0.3]
    for wrong in (("--spacing", "0.2"), ("--spacing",), ("--spacing", "wide")):
        said = call_cli("audit", *places, *wrong, "--out", out)
        assert said.returncode == 2
    assert "takes" not in said.stdout


def test_a_size_that_no_label_needs_is_told(tmp_path: Path) -> None:
    cases = []
    for index in range(12):
        label, prediction = masks(index, flat=False)
        paths = [tmp_path / role / f"P{index}.nii.gz" for role in ("labels", "preds")]
        for path, mask in zip(paths, (label, prediction), strict=True):
            write_mask(path, mask, affine=np.eye(4))
        cases.append(Case(f"P{index}", *paths, {"sex": "FM"[index % 2]}))
    config = AuditConfig(DEFAULT, spacing_mm=(9.0, 9.0, 9.0), permutations=19, bootstrap=100, min_cases=2)
    result = segfair.run_audit(Cohort(tuple(cases), columns=("sex",)), config)
    assert [alert.text for alert in result.verdict.alerts if alert.kind == "size"] == [
        "--spacing was not needed: the file of every label says how large a voxel is."
    ]
    assert result.cases.scores.column("volume")[0] == masks(0, flat=False)[0].sum()


def test_second_labels_without_a_size_are_refused_where_the_first_have_one(tmp_path: Path) -> None:
    flat = make_cohort(tmp_path, ".png", flat=True, n=12)
    sized = []
    for case in flat:
        path = tmp_path / "sized" / f"{case.id}.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez(path, mask=read_mask(case.label).array, spacing=(1.0, 1.0))
        sized.append(dataclasses.replace(case, label=path))
    config = AuditConfig(DEFAULT, permutations=19, bootstrap=100, min_cases=2, missing_prediction="worst")
    cohort = dataclasses.replace(flat, cases=tuple(sized))
    result = segfair.run_audit(cohort, config)
    assert "hd95_mm" in result.cases.scores.metrics
    with pytest.raises(ConfigError, match=r"--labels2 .*: its files do not say how large a voxel is"):
        measure_again(result, cohort, tmp_path / "labels")


def test_pictures_of_voxels_without_a_size(tmp_path: Path) -> None:
    cohort = make_cohort(tmp_path, ".npz", flat=False)
    config = AuditConfig(DEFAULT, permutations=19, bootstrap=100)
    for settings, unit in (({}, "voxels"), ({"spacing_mm": (2.0, 2.0, 2.0)}, "mm")):
        found = dataclasses.replace(config, **settings)
        gallery = build_gallery(segfair.run_audit(cohort, found), cohort)
        assert gallery is not None
        slices = next(iter(gallery.cases.values())).slices
        assert {entry.unit for entry in slices} == {unit}
        assert not any(entry.sides for entry in slices), "nobody knows where the patient's sides are"


def test_a_prediction_without_a_place_is_on_no_labels_grid_but_on_that_of_one_like_it(tmp_path: Path) -> None:
    label, prediction = masks(0, flat=False)
    np.savez(tmp_path / "p.npz", mask=prediction.astype(np.uint8))
    placed = np.diag([1.0, 1.0, 2.0, 1.0])
    write_mask(tmp_path / "placed.nii.gz", label, affine=placed)
    reason = score_case(Case("P", tmp_path / "placed.nii.gz", tmp_path / "p.npz"), DEFAULT).penalised
    assert reason is not None
    assert reason.startswith("another grid: label is 24x20x8, 1x1x2 mm, RAS; prediction is 24x20x8 voxels, without a")
    assert 'grid.match = "shape"' in reason
    score = score_case(Case("P", tmp_path / "placed.nii.gz", tmp_path / "p.npz"), MAMA_MIA)
    assert score.penalised is None
    # What a program fills in for a place that it does not know is no other place, and turns nothing over.
    image = SimpleITK.GetImageFromArray(label.astype(np.uint8).T)
    SimpleITK.WriteImage(image, str(tmp_path / "filled.nii.gz"))
    write_mask(tmp_path / "plain.nii.gz", label, affine=np.eye(4))
    expected = score_case(Case("P", tmp_path / "plain.nii.gz", tmp_path / "p.npz"), DEFAULT)
    filled = score_case(Case("P", tmp_path / "filled.nii.gz", tmp_path / "p.npz"), DEFAULT)
    assert filled.values == expected.values
    assert filled.values["dsc"] == pytest.approx(2 * (label & prediction).sum() / (label.sum() + prediction.sum()))
    assert not filled.alerts
