"""Preparing: the cache knows contents and settings, and what cannot be used is named."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("monai")

from segfair.errors import ConfigError, InputError  # noqa: E402
from segfair.files.images.masks import write_image, write_mask  # noqa: E402
from segfair.mitigation.data import preparation  # noqa: E402
from segfair.mitigation.data.augmentation import Augmentation  # noqa: E402
from segfair.mitigation.data.preparation import CacheError, prepare  # noqa: E402
from segfair.mitigation.data.preprocessing import Preprocessing, load_volume  # noqa: E402
from segfair.mitigation.data.regions import Regions  # noqa: E402
from segfair.mitigation.data.sources import TrainingCase, read_training_source  # noqa: E402

ONE_PHASE = Preprocessing(phases=1)


def write_case(folder: Path, name: str, *, seed=0, shape=(9, 8, 7), spacing=1.0) -> TrainingCase:
    rng = np.random.default_rng(seed)
    affine = np.diag([spacing, spacing, spacing, 1.0])
    label = np.zeros(shape, np.uint8)
    label[3:5, 2:6, 3:5] = 1
    write_image(folder / f"{name}.nii.gz", rng.uniform(1, 2, shape), affine=affine)
    write_mask(folder / f"{name}_label.nii.gz", label, affine=affine)
    return TrainingCase(name, (folder / f"{name}.nii.gz",), folder / f"{name}_label.nii.gz")


@pytest.fixture
def count_loads(monkeypatch):
    loads = []

    def counting(images, *args, **kwargs):
        loads.append(images[0].name)
        return load_volume(images, *args, **kwargs)

    monkeypatch.setattr(preparation, "load_volume", counting)
    return loads


def volumes(data, name):
    item = data.whole([name])[0]
    return item["image"], item["label"]


def reference_of(data):
    reference = data.cases["P1"].reference
    assert reference is not None
    return reference


def test_a_mama_mia_tree_is_prepared(mama_mia, tmp_path):
    source = read_training_source(mama_mia.root)
    seen: list[str] = []
    data = prepare(source.cases, Preprocessing(), cache=tmp_path / "cache", on_done=seen.append)
    assert tuple(data.cases) == source.ids == tuple(seen)
    assert data.spacing_mm == (1.0, 1.0, 1.0)
    assert data.skipped == {}
    assert [notice for notice in data.notices if "breast box" in notice] == [
        f"case {mama_mia.swapped_box}: the breast box ((0, 4), (0, 24), (20, 26)) lies outside of the image and is not "
        "used"
    ]
    item = data.training(tuple(data.cases), Augmentation((32, 32, 32)))[(0, 3)]
    assert item["image"].shape == (3, 32, 32, 32)
    # Lesions enhance after the first phase, wherever flips and resampling have put them.
    lesion = item["label"][0] == 1
    assert float(item["image"][1][lesion].mean()) > float(item["image"][0][lesion].mean()) + 0.5


def test_memory_cache_and_no_cache_give_the_same(tmp_path):
    case = write_case(tmp_path, "P1")
    kept = prepare([case], ONE_PHASE, cache=None)
    stored = prepare([case], ONE_PHASE, cache=tmp_path / "cache")
    for a, b in zip(volumes(kept, "P1"), volumes(stored, "P1"), strict=True):
        assert torch.equal(a, b)
    grids = [grid for data in (kept, stored) for grid in (reference_of(data).grid, reference_of(data).source)]
    assert all(grid.shape == (9, 8, 7) and np.array_equal(grid.affine, np.eye(4)) for grid in grids)
    facts = [dataclasses.replace(data.cases["P1"], path=None, tensors=None, reference=None) for data in (kept, stored)]
    assert [getattr(facts[0], f.name) for f in dataclasses.fields(facts[0])] == [
        getattr(facts[1], f.name) for f in dataclasses.fields(facts[1])
    ]
    assert kept.cases["P1"].n_lesion == 2 * 4 * 2
    assert kept.cases["P1"].volume_mm3 == 16.0


def test_a_second_run_reads_nothing_again(tmp_path, count_loads):
    cases = [write_case(tmp_path, "P1", seed=1), write_case(tmp_path, "P2", seed=2)]
    prepare(cases, ONE_PHASE, cache=tmp_path / "cache")
    prepare(cases, ONE_PHASE, cache=tmp_path / "cache")
    assert count_loads == ["P1.nii.gz", "P2.nii.gz"]


@pytest.mark.parametrize("change", ["image", "label", "phases", "spacing", "normalise", "label values"])
def test_whatever_changes_is_prepared_again(change, tmp_path, count_loads):
    case = write_case(tmp_path, "P1")
    settings = ONE_PHASE
    prepare([case], settings, cache=tmp_path / "cache")
    if change == "image":
        # The same name, size and shape; other bytes.
        write_image(case.images[0], np.ones((9, 8, 7)), affine=np.eye(4))
    elif change == "label":
        write_mask(case.label, np.ones((9, 8, 7)), affine=np.eye(4))
    elif change == "phases":
        case = dataclasses.replace(case, images=(case.images[0], case.images[0]))
        settings = dataclasses.replace(settings, phases=2)
    elif change == "spacing":
        settings = dataclasses.replace(settings, spacing_mm=(2.0, 1.0, 1.0))
    elif change == "normalise":
        settings = dataclasses.replace(settings, normalise="phase")
    else:
        settings = dataclasses.replace(settings, regions=Regions.of_values("any"))
    prepare([case], settings, cache=tmp_path / "cache")
    assert len(count_loads) == 2


def test_renamed_files_are_found_again(tmp_path, count_loads):
    case = write_case(tmp_path, "P1")
    prepare([case], ONE_PHASE, cache=tmp_path / "cache")
    moved = case.images[0].rename(tmp_path / "other.nii.gz")
    data = prepare([dataclasses.replace(case, id="P7", images=(moved,))], ONE_PHASE, cache=tmp_path / "cache")
    assert data.whole(["P7"])[0]["id"] == "P7"
    assert count_loads == ["P1.nii.gz"]


def test_a_damaged_cache_file_is_made_again(tmp_path, count_loads):
    case = write_case(tmp_path, "P1")
    first = prepare([case], ONE_PHASE, cache=tmp_path / "cache")
    expected = [part.clone() for part in volumes(first, "P1")]
    (file,) = (tmp_path / "cache").glob("*.pt")
    file.write_bytes(file.read_bytes()[:1000])
    again = prepare([case], ONE_PHASE, cache=tmp_path / "cache")
    assert all(torch.equal(a, b) for a, b in zip(volumes(again, "P1"), expected, strict=True))
    assert len(count_loads) == 2
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".pt"]


def test_cases_that_cannot_be_used_are_skipped_with_their_reason(tmp_path):
    good, bad = write_case(tmp_path, "P1"), write_case(tmp_path, "P2")
    write_mask(bad.label, np.ones((9, 8, 6)), affine=np.eye(4))
    absent = dataclasses.replace(good, id="P3", label=tmp_path / "absent.nii.gz")
    for cache in (None, tmp_path / "cache"):
        data = prepare([good, bad, absent], ONE_PHASE, cache=cache)
        assert list(data.cases) == ["P1"]
        assert "label P2_label.nii.gz is 9x8x6, 1x1x1 mm, RAS, the image 9x8x7" in data.skipped["P2"]
        assert "absent.nii.gz" in data.skipped["P3"]
    with pytest.raises(InputError, match="none of 2 cases can be trained on; for example P2"):
        prepare([bad, absent], ONE_PHASE, cache=None)


def test_an_executor_prepares_the_same_in_the_same_order(tmp_path):
    cases = [write_case(tmp_path, f"P{number}", seed=number) for number in range(4)]
    with ThreadPoolExecutor(2) as executor:
        data = prepare(cases, ONE_PHASE, cache=tmp_path / "cache", executor=executor)
    assert list(data.cases) == ["P0", "P1", "P2", "P3"]
    alone = prepare(cases, ONE_PHASE, cache=None)
    assert torch.equal(volumes(data, "P3")[0], volumes(alone, "P3")[0])


def test_kept_spacings_have_to_agree(tmp_path):
    cases = [write_case(tmp_path, "P1"), write_case(tmp_path, "P2", spacing=1.5)]
    kept = dataclasses.replace(ONE_PHASE, spacing_mm=None)
    with pytest.raises(ConfigError, match=r"case P1 has voxels of \(1\.0, 1\.0, 1\.0\) mm, case P2 of"):
        prepare(cases, kept, cache=None)
    assert prepare(cases[1:], kept, cache=None).spacing_mm == (1.5, 1.5, 1.5)


def test_a_disk_that_is_too_small_is_told_at_the_first_case(tmp_path, monkeypatch):
    cases = [write_case(tmp_path, f"P{number}", seed=number) for number in range(3)]
    usage = preparation.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda _: usage._replace(free=5000))
    seen: list[str] = []
    with pytest.raises(InputError, match=r"2 more cases need about .* name another folder with --cache"):
        prepare(cases, ONE_PHASE, cache=tmp_path / "cache", on_done=seen.append)
    assert seen == []


def test_datasets_from_the_cache_reach_loader_workers(tmp_path):
    cases = [write_case(tmp_path, f"P{number}", seed=number) for number in range(3)]
    data = prepare(cases, ONE_PHASE, cache=tmp_path / "cache")
    dataset = data.training(["P2", "P0", "P1"], Augmentation((8, 8, 8)))
    draws = [(2, 11), (0, 12), (1, 13), (0, 14)]
    alone = [dataset[draw] for draw in draws]
    loader = torch.utils.data.DataLoader(dataset, sampler=draws, batch_size=None, num_workers=2)
    for mine, theirs in zip(alone, loader, strict=True):
        assert mine["id"] == theirs["id"]
        assert torch.equal(mine["image"], theirs["image"])
        assert torch.equal(mine["label"], theirs["label"])


def test_labels_without_anything_to_train_stop_before_the_training(tmp_path):
    """Masks of 0 and 255 where 1 is trained."""
    cases = [write_case(tmp_path, name) for name in ("a", "b")]
    assert sum(case.n_lesion for case in prepare(cases, ONE_PHASE, cache=None).cases.values()) == 2 * 2 * 4 * 2
    for case in cases:
        write_mask(case.label, np.full((9, 8, 7), 255), affine=np.eye(4))
    with pytest.raises(InputError, match=r"no label of 2 cases, such as a, holds what is trained \(1\)"):
        prepare(cases, ONE_PHASE, cache=None)


def test_a_full_disk_ends_the_preparation_and_keeps_what_is_there(tmp_path, monkeypatch):
    cases = [write_case(tmp_path, f"P{number}", seed=number) for number in range(3)]
    save, saved = torch.save, []

    def full_at_the_second(tree, path):
        saved.append(path)
        if len(saved) > 1:
            raise OSError(28, "No space left on device")
        save(tree, path)

    monkeypatch.setattr(preparation.torch, "save", full_at_the_second)
    with pytest.raises(CacheError, match=r"No space left on device.*What was prepared is kept: make room"):
        prepare(cases, ONE_PHASE, cache=tmp_path / "cache")
    assert len(saved) == 2, "a full disk is told once, not for every case"
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".pt"]


def test_each_wrong_case_is_skipped_and_named(tmp_path):
    """Not finite voxels are named and read as 0; a lesion that resampling loses, and a label of fractions, are skipped."""
    good, lost, odd, nan = (write_case(tmp_path, name) for name in ("good", "lost", "odd", "nan"))
    speck = np.zeros((9, 8, 7), np.uint8)
    speck[0, 0, 0] = 1
    write_mask(lost.label, speck, affine=np.eye(4))
    write_image(odd.label, np.full((9, 8, 7), 0.5), affine=np.eye(4))
    holed = np.ones((9, 8, 7))
    holed[0, 0, 0] = np.nan
    write_image(nan.images[0], holed, affine=np.eye(4))
    data = prepare([good, lost, odd, nan], dataclasses.replace(ONE_PHASE, spacing_mm=(3.0, 3.0, 3.0)), cache=None)
    assert list(data.cases) == ["good", "nan"]
    assert "its lesion of 1 voxels is lost by resampling" in data.skipped["lost"]
    assert "looks like a probability map" in data.skipped["odd"]
    assert data.cases["nan"].notices == ("nan.nii.gz: 1 voxels are not finite and were read as 0",)
