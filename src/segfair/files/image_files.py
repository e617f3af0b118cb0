"""Which image files form a case, and in which order its channels lie. Reads no image, and pairs none with a mask."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from segfair.files.datalists import dataset_beside, listed_id, read_dataset
from segfair.files.folders import has_masks, mask_files, masks_in, named, nothing_found, readable
from segfair.files.images.masks import mask_stem

__all__ = ["describe_images", "find_images"]

# Its folders of images, and the labels that belong to them.
NNUNET_IMAGES = {"imagesTr": "labelsTr", "imagesTs": "labelsTs"}
CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
# Beyond this, files numbered `name_0000`, `name_0001` ... are cases rather than channels of one case.
MOST_CHANNELS = 8


def find_images(
    path: Path, *, case_ids: Collection[str] = (), n_channels: int | None = None
) -> Mapping[str, tuple[Path, ...]]:
    """The images of each case in channel order.

    Known are a flat folder (`ID.nii.gz`, or nnU-Net's `ID_0000.nii.gz`, `ID_0001.nii.gz`, ...), one sub-folder a
    case (MAMA-MIA's `images/ID/ID_0000.nii.gz`), a data set with such a folder named `images` or `imagesTr`, and a
    `dataset.json` that lists them.

    In a flat folder `NAME_0001` may be the second channel of the case NAME, or a case. The whole folder decides:

    1. Where ids are known (for `imagesTr`, those in `labelsTr` beside it), they do: what bears an id is a case, what
       bears one and a number is a channel of it.
    2. Where more than half of several names bear just the channels that are wanted, numbered files are channels; a name
       whose numbers do not begin at 0000, or have a gap, is left as the files it has.
    3. Files of which not every name is numbered, from 0000 on and without a gap, are cases.
    4. The files of a single name are cases, unless there are just as many as the channels that are wanted.
    5. Of several names, they are channels where no name has more than `MOST_CHANNELS` of them (a nnU-Net data set, or
       the phases of a study, of which the first ones are used), or where each has just as many as are wanted; else
       cases (two sites that number theirs).

    Args:
        path: The folder or `dataset.json`.
        case_ids: Ids that exist.
        n_channels: How many channels a case is wanted to have; None: not known. What the `dataset.json` of a data
            set says of its own `imagesTr` or `imagesTs` comes first.

    Raises:
        InputError: Nothing there, no image in it, or a folder that may not be searched.
    """
    with readable(path, "images"):
        found = _find_images(named(path), frozenset(case_ids), n_channels)
    return dict(sorted(found.items()))


def _find_images(path: Path, case_ids: frozenset[str], n_channels: int | None) -> Mapping[str, tuple[Path, ...]]:
    if path.is_dir():
        folder = next((path / name for name in ("imagesTr", "images") if (path / name).is_dir()), path)
        found = _images_in(folder, case_ids, n_channels)
        if found:
            return found
    list_file = path / "dataset.json" if path.is_dir() else path
    if list_file.suffix == ".json" and list_file.is_file():
        listed = {listed_id(case): case.images for case in read_dataset(list_file).cases if case.images}
        listed.pop("", None)
        if listed:
            return listed
    raise nothing_found(path, "images")


def describe_images(path: Path, images: Mapping[str, tuple[Path, ...]]) -> str:
    """How the files of a folder were read, in one sentence: how many cases, and whether numbers are channels."""
    n_files = [len(files) for files in images.values()]
    each = f"{min(n_files)}" if min(n_files) == max(n_files) else f"{min(n_files)} to {max(n_files)}"
    channels = "" if max(n_files) == 1 else f" with {each} channels each, by the numbers at the end of their names"
    numbered = [case for case in images if CHANNEL.fullmatch(case)]
    cases = f" ({numbered[0]} and so on are cases by themselves, not channels of one)" if numbered else ""
    return f"images: {sum(n_files)} files in {path}, read as {len(images)} cases{channels}{cases}"


def _images_in(folder: Path, case_ids: frozenset[str], n_channels: int | None) -> dict[str, tuple[Path, ...]]:
    if has_masks(folder):
        stems, _ = masks_in(folder, "images")
        if folder.name in NNUNET_IMAGES and not case_ids:
            # The data set's own labels, or its own number of channels, tell what the files are.
            labels = folder.with_name(NNUNET_IMAGES[folder.name])
            if labels.is_dir() and has_masks(labels):
                case_ids = frozenset(mask_stem(path.name) or "" for path in mask_files(labels))
            dataset, _ = dataset_beside(folder.absolute().parent / "dataset.json", required=False)
            n_channels = dataset.n_channels or n_channels
        return _by_case(stems, case_ids, n_channels)
    cases: dict[str, tuple[Path, ...]] = {}
    for inner in sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")):
        paths = mask_files(inner)
        # MAMA-MIA: images/DUKE_001/duke_001_0000.nii.gz; the masks are spelt as the files are. A folder whose files
        # are named otherwise is no case: it may be labels or preds.
        spelt = {_without_channel(mask_stem(path.name) or "") for path in paths}
        if len(spelt) == 1 and next(iter(spelt)).casefold() == inner.name.casefold():
            cases[spelt.pop()] = tuple(paths)
    return cases


def _by_case(
    stems: Mapping[str, Path], case_ids: frozenset[str], n_channels: int | None
) -> dict[str, tuple[Path, ...]]:
    """Channels of one case together, in order; see `find_images` for what is a channel."""
    numbers: dict[str, list[int]] = {}  # name -> the numbers that it bears
    for stem in stems:
        match = CHANNEL.fullmatch(stem)
        numbers.setdefault(match["case"] if match else stem, []).append(int(match["channel"]) if match else -1)
    known = {case.casefold() for case in case_ids}
    are_channels = not known and _are_channels(list(numbers.values()), n_channels)
    cases: dict[str, list[Path]] = {}
    for stem, path in stems.items():
        short = _without_channel(stem)
        # Where most names bear channels, a name that bears a part of them is a case that lacks some.
        from_zero = sorted(numbers[short]) == list(range(len(numbers[short]))) if short in numbers else False
        is_channel = stem.casefold() not in known and (short.casefold() in known or (are_channels and from_zero))
        cases.setdefault(short if is_channel else stem, []).append(path)
    return {case: tuple(paths) for case, paths in cases.items()}


def _are_channels(numbers: list[list[int]], n_channels: int | None) -> bool:
    """Whether the numbers at the end of file names, one list a name, tell channels."""
    if len(numbers) > 1 and n_channels is not None:
        wanted = list(range(n_channels))
        if sum(sorted(found) == wanted for found in numbers) > 0.5 * len(numbers):
            return True
    if any(sorted(found) != list(range(len(found))) for found in numbers):
        return False
    as_wanted = all(len(found) == n_channels for found in numbers)
    if len(numbers) == 1:
        return as_wanted and n_channels != 1
    return as_wanted or max(map(len, numbers)) <= MOST_CHANNELS


def _without_channel(stem: str) -> str:
    match = CHANNEL.fullmatch(stem)
    return match["case"] if match else stem
