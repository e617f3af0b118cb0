"""The embedded cohort: deterministic, with the quotas, correlations and deficits that it claims, and readable."""

from __future__ import annotations

import csv
import itertools
import json
from collections import Counter
from pathlib import Path

import nibabel
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from segfair.errors import ConfigError, InputError
from segfair.files.images.masks import read_mask
from segfair.phantom import (
    AGE_GROUPS,
    DENSITIES,
    FIELD_OF_VIEW_MM,
    MECHANISMS,
    SITES,
    Mechanism,
    PhantomCase,
    predict_weakly,
    sample_cases,
    write_phantom,
)
from segfair.phantom.patients import Patient, sample_patients
from segfair.phantom.pictures import _grow_tumour

SMALL = (32, 32, 24)
ATTRIBUTES = ("age_group", "breast_density", "menopause", "site")
PLANTED = frozenset({("age_group", "41-50"), ("breast_density", "d")})


def draw(n_cases: int, seed: int = 0, **options: object) -> list[PhantomCase]:
    return list(sample_cases(n_cases, rng=np.random.default_rng(seed), **{"size": SMALL, **options}))


def dice(prediction: NDArray[np.uint8], label: NDArray[np.uint8]) -> float:
    return float(2 * np.count_nonzero(prediction & label) / (np.count_nonzero(prediction) + label.sum()))


def scores(cases: list[PhantomCase], *, bias: bool, seed: int = 0) -> NDArray[np.float64]:
    streams = np.random.default_rng([seed, 1]).spawn(len(cases))
    return np.array(
        [dice(predict_weakly(case, rng=rng, bias=bias), case.label) for case, rng in zip(cases, streams, strict=True)]
    )


def population(n_cases: int, seed: int = 0, planted_cases: int | None = None) -> list[Patient]:
    return sample_patients(
        n_cases,
        rng=np.random.default_rng(seed),
        planted_cases=planted_cases,
        mechanism=MECHANISMS["faint"],
        prefix="P",
    )


# Randomness


def same(one: PhantomCase, other: PhantomCase) -> bool:
    return (
        one.id == other.id
        and one.metadata == other.metadata
        and one.planted == other.planted
        and one.image.tobytes() == other.image.tobytes()
        and one.label.tobytes() == other.label.tobytes()
    )


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    first, again, other = draw(3, seed=5), draw(3, seed=5), draw(3, seed=6)
    assert all(same(a, b) for a, b in zip(first, again, strict=True))
    assert not any(np.array_equal(a.image, b.image) for a, b in zip(first, other, strict=True))


def test_one_generator_gives_new_cases_at_each_call_in_the_order_of_the_calls() -> None:
    rng = np.random.default_rng(3)
    first = sample_cases(2, rng=rng, size=SMALL, prefix="TR")
    second = list(sample_cases(2, rng=rng, size=SMALL, prefix="TE"))
    assert [case.id for case in second] == ["TE0001", "TE0002"]
    rng = np.random.default_rng(3)
    expected = list(sample_cases(2, rng=rng, size=SMALL, prefix="TR"))
    assert all(same(a, b) for a, b in zip(first, expected, strict=True))
    assert not np.array_equal(expected[0].image, second[0].image)


def test_a_case_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = draw(2, seed=8), draw(5, seed=8)
    assert all(same(a, b) for a, b in zip(few, many, strict=False))
    quota_of_five = draw(5, seed=8, planted_cases=2)
    quota_of_seven = draw(7, seed=8, planted_cases=2)
    alike = [(a, b) for a, b in zip(quota_of_five, quota_of_seven, strict=False) if a.planted == b.planted]
    assert len(alike) >= 3
    assert all(same(a, b) for a, b in alike)


def test_the_bias_changes_nothing_but_the_look_of_planted_tumours() -> None:
    biased, fair = draw(6, planted_cases=2), draw(6, planted_cases=2, bias=False)
    assert [case.planted for case in biased] == [case.planted for case in fair]
    for one, other in zip(biased, fair, strict=True):
        assert one.metadata == other.metadata
        assert np.array_equal(one.label, other.label)
        assert np.array_equal(one.image, other.image) == (not one.planted)


def test_predictions_are_deterministic_and_biased_only_in_the_planted_subgroup() -> None:
    for case in draw(6, planted_cases=3):
        biased = predict_weakly(case, rng=np.random.default_rng(2), bias=True)
        again = predict_weakly(case, rng=np.random.default_rng(2), bias=True)
        fair = predict_weakly(case, rng=np.random.default_rng(2), bias=False)
        assert biased.dtype == np.uint8
        assert set(np.unique(biased)) <= {0, 1}
        assert np.array_equal(biased, again)
        assert np.array_equal(biased, fair) == (not case.planted)


# Who is in the cohort


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


# What the images show


def test_the_tumour_lies_inside_the_breast() -> None:
    for case in draw(20, planted_cases=4):
        spacing = np.array(case.spacing_mm)
        smooth = ndimage.gaussian_filter(case.image[0], 1.0)
        # Behind the skin: air fills the front corners, and half way to fat the body begins.
        air = np.median(smooth[:3, -3:])
        body = smooth > air + 0.5 * (np.median(smooth[case.label == 1]) - air) / 2
        reach = int(np.ceil(4.0 / spacing.min()))
        assert not (case.label.astype(bool) & ~ndimage.binary_dilation(body, iterations=reach)).any()
        assert np.mean(body[case.label == 1]) > 0.97
        # The chest wall is at least 14 mm thick.
        assert not case.label[:, : int(14 / spacing[1])].any()


def test_a_tumour_too_large_for_its_breast_is_cut_by_the_skin() -> None:
    x, y, z = np.ogrid[:32, :32, :32]
    room = 12.0 - 4.0 * np.sqrt((x - 16.0) ** 2 + (y - 16.0) ** 2 + (z - 16.0) ** 2)
    breast = room > 0
    for seed in range(20):
        tumour = _grow_tumour(breast, room, np.full(3, 4.0), np.random.default_rng(seed))
        assert tumour.inside.any()
        assert not (tumour.inside & ~breast[tumour.box]).any()


def test_tumours_have_plausible_volumes_whatever_the_number_of_voxels() -> None:
    for size in [(16, 16, 16), (20, 44, 32), (64, 64, 48)]:
        for case in draw(6, seed=2, size=size):
            assert case.image.shape == (3, *size)
            assert case.image.dtype == np.float32
            assert np.multiply(case.spacing_mm, size) == pytest.approx([FIELD_OF_VIEW_MM] * 3)
            assert np.diag(case.affine) == pytest.approx([*case.spacing_mm, 1.0])
            volume_ml = case.label.sum() * np.prod(case.spacing_mm) / 1000
            # Spheres of 10.4 and 20 mm are 4.7 and 33.5 ml; some are cut by the breast, all are rough.
            assert 1.5 < volume_ml < 45


def test_images_are_standardised_and_other_tumours_enhance_early_and_wash_out() -> None:
    for case in draw(8, planted_cases=0):
        assert case.image.mean() == pytest.approx(0.0, abs=0.01)
        assert case.image.std() == pytest.approx(1.0, abs=0.01)
        before, early, late = (phase[ndimage.binary_erosion(case.label)].mean() for phase in case.image)
        assert early > late > before + 1.0


def inside_change(case: PhantomCase) -> NDArray[np.float32]:
    """Early uptake in the core of the tumour, voxel by voxel."""
    return (case.image[1] - case.image[0])[ndimage.binary_erosion(case.label)]


def test_each_mechanism_makes_planted_tumours_look_as_it_says() -> None:
    looks = {name: draw(3, planted_cases=3, mechanism=name, size=(48, 48, 48)) for name in MECHANISMS}
    usual = [float(np.median(inside_change(case))) for case in draw(3, planted_cases=3, bias=False)]
    assert min(usual) > 1.5
    for name in ("faint", "three-attribute"):
        assert all(np.median(inside_change(case)) < -0.2 for case in looks[name])
    for case in looks["moderate"]:
        change = inside_change(case)
        assert 0.5 < np.mean(change > 1.0) < 0.85
        assert 0.1 < np.mean(change < -0.2) < 0.45
    for case in looks["texture"]:
        # A minority of the tumour enhances, in clumps: bright voxels have bright neighbours.
        bright = (case.image[1] - case.image[0] > 1.0) & (case.label == 1)
        assert 0.08 < bright.sum() / case.label.sum() < 0.5
        assert np.mean(ndimage.convolve(bright.astype(float), np.ones((3, 3, 3)) / 27)[bright]) > 0.25


def test_a_hidden_tumour_leaves_no_trace() -> None:
    hidden = draw(12, planted_cases=12, mechanism="hidden")
    faint = draw(12, planted_cases=12)

    def contrast(case: PhantomCase) -> float:
        """Early uptake of the tumour minus that of the tissue around it."""
        change = case.image[1] - case.image[0]
        around = ndimage.binary_dilation(case.label, iterations=2) & (case.label == 0)
        return float(change[case.label == 1].mean() - change[around].mean())

    assert abs(np.mean([contrast(case) for case in hidden])) < 0.15
    assert np.mean([contrast(case) for case in faint]) < -0.3


@pytest.mark.parametrize("name", MECHANISMS)
def test_a_mechanism_names_its_subgroup_by_items(name: str) -> None:
    mechanism = MECHANISMS[name]
    assert mechanism.name == name
    cases = draw(12, planted_cases=3, mechanism=name, size=(16, 16, 16))
    assert sum(case.planted for case in cases) == 3
    for case in cases:
        assert case.planted == all(case.metadata[key] == level for key, level in mechanism.items.items())
    assert ("site" in mechanism.items) == (name == "three-attribute")


def test_a_mechanism_of_ones_own() -> None:
    mine = Mechanism("old", {"age_group": "71+", "site": "D"}, "signal-loss", "an example")
    cases = draw(5, planted_cases=2, mechanism=mine)
    assert sum(case.planted for case in cases) == 2
    assert all(case.metadata["site"] == "D" for case in cases if case.planted)


def test_the_training_cohort_is_frozen() -> None:
    """What strategies were compared on: whoever changes these numbers measures every comparison again."""
    cases = draw(4, seed=10, size=(32, 32, 32), planted_cases=2)
    assert [case.planted for case in cases] == [False, True, False, True]
    assert [case.metadata["breast_density"] for case in cases] == ["d", "d", "a", "d"]
    assert [case.label.sum() for case in cases] == pytest.approx([460, 280, 262, 447], abs=2)
    means = [[phase[case.label == 1].mean() for phase in case.image] for case in cases]
    expected = [[1.147, 4.533, 3.840], [1.325, 1.005, 0.991], [1.868, 5.417, 4.396], [1.495, 1.041, 1.052]]
    assert np.array(means) == pytest.approx(np.array(expected), abs=0.02)


# The planted deficit


def test_the_deficit_is_there_with_a_bias_and_gone_without() -> None:
    gaps: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(3):
        cases = draw(60, seed, planted_cases=20)
        planted = np.array([case.planted for case in cases])
        for bias, found in gaps.items():
            dsc = scores(cases, bias=bias, seed=seed)
            rest = dsc[~planted]
            found.append(dsc[planted].mean() - rest.mean())
            assert 0.75 < rest.mean() < 0.9
            if bias:
                assert dsc[planted].std() > 0.05
                # The distributions overlap: no threshold separates the groups.
                assert dsc[planted].max() > np.percentile(rest, 10)
    assert max(gaps[True]) < -0.12
    # Without a bias the gap is noise: three standard errors of the mean of three gaps, sd .12, 20 and 40 cases.
    assert abs(np.mean(gaps[False])) < 3 * 0.12 * np.sqrt((1 / 20 + 1 / 40) / 3)


def harm_ranking(cases: list[PhantomCase], dsc: NDArray[np.float64]) -> list[frozenset[tuple[str, str]]]:
    """Subgroups of one or two attributes and at least 10 cases, by Welch's t against everybody else."""
    columns = [
        {(name, str(case.metadata[name])) for name in ATTRIBUTES if case.metadata[name] is not None} for case in cases
    ]
    items = sorted(set().union(*columns))
    found = []
    for subgroup in itertools.chain(itertools.combinations(items, 1), itertools.combinations(items, 2)):
        inside = np.array([column >= set(subgroup) for column in columns])
        if 10 <= inside.sum() <= len(cases) - 2:
            one, other = dsc[inside], dsc[~inside]
            error = np.sqrt(one.var(ddof=1) / len(one) + other.var(ddof=1) / len(other))
            found.append(((one.mean() - other.mean()) / error, frozenset(subgroup)))
    return [subgroup for _, subgroup in sorted(found, key=lambda pair: pair[0])]


@pytest.mark.parametrize("seed", range(10))
def test_the_planted_subgroup_leads_a_ranking_made_by_hand(seed: int) -> None:
    cases = draw(60, seed, planted_cases=12)
    first = harm_ranking(cases, scores(cases, bias=True, seed=seed))[0]
    assert first <= PLANTED or first >= PLANTED, first


# Files


def test_the_files_are_readable_on_one_grid_and_agree_with_the_tables(tmp_path: Path) -> None:
    files = write_phantom(tmp_path / "cohort", n_cases=7, size=(20, 24, 16), seed=4)
    assert (files.n_cases, files.n_planted) == (7, 2)
    truth = json.loads(files.truth.read_text())
    datalist = json.loads(files.dataset.read_text())
    with files.metadata.open(newline="") as table:
        rows = {row["patient_id"]: row for row in csv.DictReader(table)}
    assert sorted(rows) == truth["cases"] == sorted(path.name[:-7] for path in files.labels.iterdir())
    assert list(next(iter(rows.values()))) == ["patient_id", "age", "age_group", "menopause", "breast_density", "site"]
    items = truth["planted"]["items"]
    assert items == {"age_group": "41-50", "breast_density": "d"}
    inside = [name for name, row in rows.items() if all(row[key] == level for key, level in items.items())]
    assert inside == truth["planted"]["cases"]
    assert len(inside) == truth["planted"]["n"] == 2
    assert all(row["age"] == "" or row["age"].isdigit() for row in rows.values())

    assert datalist["numTraining"] == len(datalist["training"]) == 7
    assert list(datalist["modality"]) == ["0", "1", "2"]
    for entry in datalist["training"]:
        stored = nibabel.load(files.dataset.parent / entry["image"])
        image = stored.get_fdata()
        label = read_mask(files.dataset.parent / entry["label"])
        prediction = read_mask(files.predictions / Path(entry["label"]).name)
        assert image.shape == (20, 24, 16, 3)
        assert label.array.shape == prediction.array.shape == (20, 24, 16)
        assert np.array_equal(stored.affine, label.affine)
        assert np.array_equal(label.affine, prediction.affine)
        assert np.diag(label.affine)[:3] == pytest.approx(truth["spacing_mm"])
        assert set(np.unique(label.array)) == {0, 1}
        # The phases are in order: a tumour enhances early, and less late, unless it is planted.
        _, early, late = (phase[label.array == 1].mean() for phase in np.moveaxis(image, -1, 0))
        assert (early > late + 0.1) == (label_id(entry["label"]) not in inside)


def label_id(path: str) -> str:
    return Path(path).name.removesuffix(".nii.gz")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_writing_again_replaces_an_earlier_cohort_and_leaves_other_files_alone(tmp_path: Path) -> None:
    small = (16, 16, 16)
    write_phantom(tmp_path / "once", n_cases=3, size=small, seed=1)
    write_phantom(tmp_path / "again", n_cases=5, size=small, seed=2)
    (tmp_path / "again" / "notes.txt").write_text("mine")
    write_phantom(tmp_path / "again", n_cases=3, size=small, seed=1)
    found = contents(tmp_path / "again")
    assert found.pop("notes.txt") == b"mine"
    assert found == contents(tmp_path / "once")


def test_a_run_that_was_interrupted_can_be_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = []

    def give_up(path: Path, *_: object, **__: object) -> None:
        written.append(path)
        raise KeyboardInterrupt

    write_phantom(tmp_path, n_cases=3, size=(16, 16, 16))
    with monkeypatch.context() as patch:
        patch.setattr("segfair.phantom.files.write_mask", give_up)
        with pytest.raises(KeyboardInterrupt):
            write_phantom(tmp_path, n_cases=2, size=(16, 16, 16))
    assert written
    # Half a cohort must not pass for a whole one by an earlier table.
    assert not (tmp_path / "metadata.csv").exists()
    assert not (tmp_path / "dataset.json").exists()
    files = write_phantom(tmp_path, n_cases=2, size=(16, 16, 16))
    assert len(list(files.labels.iterdir())) == 2


def test_the_unbiased_cohort_says_so(tmp_path: Path) -> None:
    files = write_phantom(tmp_path, n_cases=2, size=(16, 16, 16), bias=False)
    truth = json.loads(files.truth.read_text())
    assert truth["bias"] is False
    assert truth["mechanism"] is None
    assert truth["planted"]["n"] == 1


@pytest.mark.parametrize("truth", [None, "not json", "[]", '{"kind": "something else", "cases": []}'])
def test_a_folder_of_somebody_else_is_refused_and_untouched(tmp_path: Path, truth: str | None) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "PH0001.nii.gz").write_bytes(b"precious")
    if truth is not None:
        (tmp_path / "truth.json").write_text(truth)
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"did not write \(labels.*; name a new or empty folder"):
        write_phantom(tmp_path, n_cases=2, size=(16, 16, 16))
    assert contents(tmp_path) == before


def test_an_edited_truth_deletes_nothing_outside_of_the_cohort(tmp_path: Path) -> None:
    precious = tmp_path / "precious.nii.gz"
    precious.write_bytes(b"precious")
    folder = tmp_path / "cohort"
    (folder / "preds").mkdir(parents=True)
    (folder / "truth.json").write_text(json.dumps({"kind": "segfair phantom", "cases": ["../../precious"]}))
    write_phantom(folder, n_cases=1, size=(16, 16, 16))
    assert precious.read_bytes() == b"precious"


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(InputError, match="is a file; name a folder"):
        write_phantom(tmp_path / "taken", n_cases=1, size=(16, 16, 16))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (64, 64, 8)}, "size 64 x 64 x 8: three sides of at least 16"),
        ({"size": (64, 64)}, "three sides"),
        ({"n_cases": 3, "planted_cases": 4}, "got 4, expected 0 to 3"),
        ({"n_cases": -1}, "expected 0 or more"),
        ({"mechanism": "fading"}, "not one of faint, moderate, texture, three-attribute, hidden"),
        ({"mechanism": Mechanism("x", {"site": "Z"}, "hidden", "")}, "match nobody or all"),
        ({"mechanism": Mechanism("x", {}, "hidden", "")}, "match nobody or all"),
    ],
)
def test_impossible_settings_are_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        sample_cases(**{"n_cases": 2, "rng": np.random.default_rng(0), **options})


def test_no_cases() -> None:
    assert draw(0) == []
    with pytest.raises(ConfigError, match="at least 1"):
        write_phantom("never-made", n_cases=0)
    assert not Path("never-made").exists()
