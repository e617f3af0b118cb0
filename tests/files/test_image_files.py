"""Folders of images built from empty files: what is a case, what is a channel of one, and how that is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.files.test_layouts import decathlon, make

from segfair.errors import InputError
from segfair.files.image_files import describe_images, find_images


def test_images_flat_with_and_without_channels(tmp_path):
    make(tmp_path, "plain/a.nii.gz", "plain/b_1.nii.gz", "channels/a_0001.nii.gz", "channels/a_0000.nii.gz")
    make(tmp_path, "channels/b_0000.nii.gz")
    assert {case: len(paths) for case, paths in find_images(tmp_path / "plain").items()} == {"a": 1, "b_1": 1}
    channels = find_images(tmp_path / "channels")
    assert [path.name for path in channels["a"]] == ["a_0000.nii.gz", "a_0001.nii.gz"]
    assert list(channels) == ["a", "b"]


def numbered(folder: Path, names: dict[str, range]) -> Path:
    """`NAME_0000.nii.gz` and so on; `""` as a name stands for files without one."""
    make(folder, *(f"{name}_{number:04d}.nii.gz" for name, numbers in names.items() for number in numbers))
    return folder


@pytest.mark.parametrize("wanted", [None, 1, 3])
@pytest.mark.parametrize("numbers", [range(1), range(2), range(12), range(16), range(17), range(1, 13)])
def test_numbered_files_of_one_name_are_cases(tmp_path, numbers, wanted):
    images = find_images(numbered(tmp_path, {"case": numbers}), n_channels=wanted)
    assert list(images) == [f"case_{number:04d}" for number in numbers]
    assert all(len(files) == 1 for files in images.values())


@pytest.mark.parametrize("wanted", [2, 3, 12])
def test_as_many_as_the_channels_that_are_wanted_are_one_case(tmp_path, wanted):
    images = find_images(numbered(tmp_path, {"case": range(wanted)}), n_channels=wanted)
    assert {case: len(files) for case, files in images.items()} == {"case": wanted}
    assert [path.name[5:9] for path in images["case"]] == [f"{number:04d}" for number in range(wanted)]


@pytest.mark.parametrize("wanted", [None, 1, 3])
def test_few_numbers_of_many_names_are_channels(tmp_path, wanted):
    # The phases of a study, three to six of them; and nnU-Net's single channel.
    sizes = {"duke_001": 3, "duke_002": 6, "ispy_1": 4, "nact_7": 1}
    folder = numbered(tmp_path, {name: range(size) for name, size in sizes.items()})
    assert {case: len(files) for case, files in find_images(folder, n_channels=wanted).items()} == sizes


def test_two_sites_that_number_their_cases(tmp_path):
    folder = numbered(tmp_path, {"siteA": range(12), "siteB": range(12)})
    assert len(find_images(folder)) == len(find_images(folder, n_channels=1)) == 24
    assert len(find_images(folder, n_channels=12)) == 2


def test_known_ids_decide_what_is_a_case(tmp_path):
    folder = numbered(tmp_path, {"case": range(12)})
    ids = [f"case_{number:04d}" for number in range(12)]
    assert list(find_images(folder, case_ids=ids, n_channels=12)) == ids
    assert len(find_images(folder, case_ids=["case"])["case"]) == 12
    # Each numbered case with numbered channels.
    both = numbered(tmp_path / "both", dict.fromkeys(ids, range(3)))
    assert {case: len(files) for case, files in find_images(both, case_ids=ids).items()} == dict.fromkeys(ids, 3)


def test_a_name_without_a_number_makes_all_of_them_cases(tmp_path):
    make(tmp_path, "case_0000.nii.gz", "other.nii.gz")
    assert list(find_images(tmp_path, n_channels=1)) == ["case_0000", "other"]
    assert list(find_images(tmp_path, case_ids=["case", "other"])) == ["case", "other"]


def test_a_case_that_lacks_a_channel_does_not_change_the_others(tmp_path):
    folder = numbered(tmp_path, {"A": range(2), "B": range(2), "C": range(2), "D": range(1, 2), "F": range(2)})
    make(folder, "README.nii.gz")
    found = {case: [path.name for path in files] for case, files in find_images(folder, n_channels=2).items()}
    assert found["A"] == ["A_0000.nii.gz", "A_0001.nii.gz"]
    # What lacks its first channel keeps its name, so that the second is not taken for it.
    assert {case: len(files) for case, files in found.items()} == {
        "A": 2,
        "B": 2,
        "C": 2,
        "D_0001": 1,
        "F": 2,
        "README": 1,
    }


def test_a_data_set_says_itself_what_its_images_are(tmp_path):
    # Two channels of one case, by its label; by its dataset.json; and cases, where the labels bear numbers.
    make(tmp_path, "a/imagesTr/x_0000.nii.gz", "a/imagesTr/x_0001.nii.gz", "a/labelsTr/x.nii.gz")
    make(tmp_path, "b/imagesTs/x_0000.nii.gz", "b/imagesTs/x_0001.nii.gz")
    (tmp_path / "b/dataset.json").write_text('{"channel_names": {"0": "T1", "1": "T2"}}')
    make(tmp_path, *(f"c/{role}/x_000{number}.nii.gz" for role in ("imagesTr", "labelsTr") for number in range(2)))
    assert {case: len(files) for case, files in find_images(tmp_path / "a").items()} == {"x": 2}
    assert {case: len(files) for case, files in find_images(tmp_path / "b/imagesTs", n_channels=3).items()} == {"x": 2}
    assert list(find_images(tmp_path / "c", n_channels=2)) == ["x_0000", "x_0001"]


def test_how_a_folder_of_images_was_read_is_said(tmp_path):
    cases, channels = (
        numbered(tmp_path / "a", {"s": range(4)}),
        numbered(tmp_path / "b", {"s": range(2), "t": range(3)}),
    )
    assert describe_images(cases, find_images(cases)) == (
        f"images: 4 files in {cases}, read as 4 cases (s_0000 and so on are cases by themselves, not channels of one)"
    )
    assert describe_images(channels, find_images(channels)) == (
        f"images: 5 files in {channels}, read as 2 cases with 2 to 3 channels each, by the numbers at the end of their "
        "names"
    )


@pytest.mark.parametrize("handed", ["", "images"])
def test_images_of_mama_mia(tmp_path, handed):
    make(tmp_path, *(f"images/DUKE_001/duke_001_000{phase}.nii.gz" for phase in range(3)))
    make(tmp_path, "images/ISPY1_1001/ISPY1_1001_0001.nii.gz", "segmentations/expert/duke_001.nii.gz")
    found = find_images(tmp_path / handed)
    assert {case: [path.name[-8] for path in paths] for case, paths in found.items()} == {
        "ISPY1_1001": ["1"],
        "duke_001": ["0", "1", "2"],
    }


def test_images_of_nnunet_and_decathlon(tmp_path):
    make(tmp_path, "raw/imagesTr/a_0000.nii.gz", "raw/imagesTr/a_0001.nii.gz", "raw/labelsTr/a.nii.gz")
    assert {case: len(paths) for case, paths in find_images(tmp_path / "raw").items()} == {"a": 2}
    list_file = decathlon(tmp_path / "msd")
    listed = find_images(list_file)
    assert listed == {case: (tmp_path / f"msd/images/{case}.nii.gz",) for case in ("P1", "P2")}
    assert find_images(tmp_path / "msd") == listed


def test_no_images(tmp_path):
    make(tmp_path, "labels/a.nii.gz", "preds/a.nii.gz")
    with pytest.raises(InputError, match=r"images .*: no masks directly in it|images .*sub-folders \(labels, preds\)"):
        find_images(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        find_images(tmp_path / "gone.json")
