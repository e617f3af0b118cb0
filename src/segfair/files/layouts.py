"""Which files form a case: flat folders, the MAMA-MIA tree, nnU-Net's folders, Decathlon lists. Reads no mask.

Every layout is recognised in either role, so that swapped folders can be told from broken ones.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from segfair.errors import InputError, PairingError
from segfair.files.cells import compose
from segfair.files.datalists import Dataset, dataset_beside, listed_id, read_dataset
from segfair.files.dicom.headers import is_dicom
from segfair.files.dicom.index import DicomIndex, DicomObject, holds_dicom, index_dicom, named_objects
from segfair.files.finding.patterns import find_by_pattern, is_pattern, split_pattern
from segfair.files.finding.structures import find_structures
from segfair.files.folders import Role, has_masks, mask_files, masks_in, named, nothing_found, readable
from segfair.files.images.masks import MASK_SUFFIXES, mask_stem
from segfair.files.images.probabilities import holds_classes
from segfair.files.spellings import FILES, Spellings, pair_spellings

__all__ = [
    "MaskFolder",
    "find_labels",
    "find_predictions",
    "find_probabilities",
    "look_swapped",
    "pair_ids",
    "pair_masks",
]

# fmt: off
Kind = Literal[
    "flat", "mama-mia", "nnunet-raw", "nnunet-results", "decathlon",
    "bids", "case-folders", "structures", "pattern", "table", "dicom",
]
# fmt: on

# nnU-Net's folders of labels; dataset.json lies beside them.
NNUNET_LABELS = ("labelsTr", "labelsTs", "gt_segmentations")
# Names of the folder of labels beside a folder of images.
LABEL_FOLDERS = ("labels", "masks", "segmentations")
# What nnU-Net writes next to its predictions.
PREDICTION_FILES = ("summary.json", "plans.json", "predict_from_raw_data_args.json")
PREDICTION_WORDS = r"pred|preds|predicted|predictions?|outputs?|inferences?|inferred|results?|automatic"
LABEL_WORDS = r"labels?|labelstr|labelsts|gts?|ground|truths?|groundtruths?|references?|experts?|manual"

_MASK_WORDS = r"segs?|segmentations?|masks?|lesions?|roi"
# BIDS suffixes of masks and label maps.
BIDS_MASKS = ("mask", "dseg", "seg", "label", "roi")
_ROLE_WORDS = rf"{_MASK_WORDS}|{LABEL_WORDS}|{PREDICTION_WORDS}"


@dataclass(frozen=True, slots=True)
class MaskFolder:
    """The masks of one role, labels or predictions, and what their folder says about them.

    Attributes:
        files: Case id -> file, sorted by id.
        kind: The layout.
        fold: nnU-Net results only: case id -> fold name ("0", ..., "all").
        label_names: Region name -> label values from `dataset.json`, without background and ignore, in file order.
        ignore_label: The label value of voxels that count nowhere; None if there is none.
        notices: Sentences for the reader: which files were taken, which were passed over.
        structures: Names of structures, where `files` are folders of one file a structure.
        n_subjects: BIDS only: how many subjects there are.
        dicom: Case id -> DICOM object, where the files are such.
        index: Everything that the tree of DICOM files holds; None for other layouts.
    """

    files: Mapping[str, Path]
    kind: Kind
    fold: Mapping[str, str] = field(default_factory=dict)
    label_names: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    ignore_label: int | None = None
    notices: tuple[str, ...] = ()
    structures: tuple[str, ...] = ()
    n_subjects: int = 0
    dicom: Mapping[str, DicomObject] = field(default_factory=dict)
    index: DicomIndex | None = None

    @property
    def layout(self) -> str:
        """The layout in words, with how much of it there is."""
        details = (
            (len(set(self.fold.values())), "fold", "folds"),
            (self.n_subjects, "subject", "subjects"),
            (len(self.structures), "structure", "structures"),
        )
        counted = [f"{number} {one if number == 1 else many}" for number, one, many in details if number]
        return ", ".join((_KINDS[self.kind], *counted))


_KINDS: dict[Kind, str] = {
    "flat": "a flat folder",
    "mama-mia": "the MAMA-MIA tree",
    "nnunet-raw": "an nnU-Net data set",
    "nnunet-results": "nnU-Net results",
    "decathlon": "a Decathlon list",
    "bids": "BIDS",
    "case-folders": "one folder a case",
    "structures": "one folder a case, one file a structure",
    "pattern": "by a pattern",
    "table": "a table of paths",
    "dicom": "a tree of DICOM files",
}


def find_labels(path: Path) -> MaskFolder:
    """The reference masks of a data set.

    Known are a flat folder; a data set with the folders `images` and `labels`; the MAMA-MIA root
    (`segmentations/expert`); an nnU-Net raw data set (`labelsTr` and `dataset.json`), its `labelsTr` itself, or the
    `gt_segmentations` of a preprocessed one; a Decathlon `dataset.json` or its folder; any tree of DICOM files.

    Raises:
        InputError: Nothing there, no mask in it, or a broken `dataset.json`.
        PairingError: Two files of one case.
    """
    with readable(path, "labels"):
        return _find(named(path), "labels")


def find_predictions(path: Path) -> MaskFolder:
    """The masks that a model predicted.

    Known are a flat folder, an nnU-Net results folder (all `fold_*/validation` pooled), one of its folds, and any tree
    of DICOM files.

    Raises:
        InputError: Nothing there, or no mask in it.
        PairingError: Two files of one case, in one folder or in two folds.
    """
    with readable(path, "predictions"):
        return _find(named(path), "predictions")


def find_probabilities(path: Path) -> MaskFolder:
    """The probability maps of a model, in any layout of predictions.

    Where nnU-Net saved the probabilities of all classes beside a mask (`ID.npz` beside `ID.nii.gz`), they are taken.

    Raises:
        InputError, PairingError: As `find_predictions`.
    """
    with readable(path, "probabilities"):
        found = _find(named(path), "probabilities")
    files = {case: _classes_beside(mask) or mask for case, mask in found.files.items()}
    return replace(found, files=files, notices=())


def _classes_beside(mask: Path) -> Path | None:
    beside = mask.with_name(f"{mask_stem(mask.name)}.npz")
    return beside if holds_classes(beside) else None


def pair_masks(labels: Collection[str], predictions: Collection[str]) -> Spellings:
    """Which prediction belongs to which label, and how their names were paired.

    Equal names pair. Where a full name has no partner, nnU-Net's channel ending `_0000` is dropped, then letter case,
    words such as `mask` and `pred`, leading zeros, and BIDS entities that describe the file; each only where just one
    label and one prediction come into question.
    """
    return pair_spellings(tuple(labels), predictions, FILES)


def pair_ids(labels: Collection[str], predictions: Collection[str]) -> dict[str, str]:
    """Label id -> prediction id, in label order; see `pair_masks`."""
    return dict(pair_masks(labels, predictions).partner)


def look_swapped(labels: MaskFolder, predictions: MaskFolder) -> str | None:
    """A sentence where the two folders look as if they were handed over in the wrong order; None otherwise.

    One telling sign is enough, unless the folder bears signs of both or the other folder bears the same ones. The
    same files in both roles, which would score a perfect model, are told too.
    """
    same = labels.files.keys() & predictions.files.keys()
    if same and all(os.path.realpath(labels.files[case]) == os.path.realpath(predictions.files[case]) for case in same):
        return f"predictions and labels are the same files, in {_folder(labels)}; hand over the predictions first"
    label_signs, prediction_signs = _signs(labels), _signs(predictions)
    findings = []
    if label_signs["predictions"] and not label_signs["labels"] and not prediction_signs["predictions"]:
        findings.append(f"the labels folder {_folder(labels)} {label_signs['predictions']}")
    if prediction_signs["labels"] and not prediction_signs["predictions"] and not label_signs["labels"]:
        findings.append(f"the predictions folder {_folder(predictions)} {prediction_signs['labels']}")
    if not findings:
        return None
    return f"predictions and labels look swapped: {'; '.join(findings)}; predictions come first, then labels"


def _signs(masks: MaskFolder) -> dict[Role, str]:
    """Role -> what speaks for it, or ""."""
    folder = _folder(masks)
    words = _words(folder.name)
    signs: dict[Role, str] = {"labels": "", "predictions": ""}
    if any(re.fullmatch(LABEL_WORDS, word) for word in words):
        signs["labels"] = f"is named {folder.name}"
    if any(re.fullmatch(PREDICTION_WORDS, word) for word in words):
        signs["predictions"] = f"is named {folder.name}"
    written = [name for name in PREDICTION_FILES if (folder / name).is_file()]
    if masks.kind == "nnunet-results":
        signs["predictions"] = "is an nnU-Net results folder"
    elif written:
        signs["predictions"] = f"holds {written[0]}, which nnU-Net writes beside predictions"
    if masks.kind == "mama-mia":
        signs["labels"] = "holds the MAMA-MIA expert segmentations"
    elif masks.kind in ("nnunet-raw", "decathlon"):
        signs["labels"] = "holds the labels that a dataset.json describes"
    return signs


def _folder(masks: MaskFolder) -> Path:
    return next(iter(masks.files.values())).parent


def _find(path: Path, role: Role) -> MaskFolder:
    if is_pattern(path):
        folder, _ = split_pattern(path)
        dataset, broken = dataset_beside(folder / "dataset.json", required=False)
        files = find_by_pattern(path, role)
        return MaskFolder(files, "pattern", {}, dataset.label_names, dataset.ignore_label, broken)
    if path.is_file() and path.suffix == ".json":
        return _listed(path, read_dataset(path), role)
    if path.is_file() and is_dicom(path):
        return dicom_folder(path, role)
    if not path.is_dir():
        raise nothing_found(path, role)
    found = _one_reading(path, role, _mama_mia(path, role), _nnunet(path, role))
    if found is None and not has_masks(path):
        found = (
            _decathlon(path, role)
            or _beside_images(path, role)
            or _bids(path, role)
            or _one_reading(path, role, _case_folders(path, role), _structures(path))
        )
        if found is None and holds_dicom(path):
            return dicom_folder(path, role)
    return found or _one_folder(path, role, "flat", path / "dataset.json")


def _one_reading(path: Path, role: Role, *readings: MaskFolder | None) -> MaskFolder | None:
    """The one way in which a tree can be read; None where there is none.

    Raises:
        InputError: There are several, and nothing says which is meant.
    """
    found = [reading for reading in readings if reading is not None]
    if len(found) > 1:
        ways = " and ".join(f"{reading.layout} (such as {next(iter(reading.files.values()))})" for reading in found)
        raise InputError(
            f"{role} {path}: can be read as {ways}; hand over the folder that is meant, or say where masks lie in it "
            f"with {'--label-pattern' if role == 'labels' else '--pattern'}"
        )
    return found[0] if found else None


def _mama_mia(path: Path, role: Role) -> MaskFolder | None:
    for expert in (path / "segmentations" / "expert", path / "expert"):
        if expert.is_dir() and expert.parent.name == "segmentations":
            notice = f"{role}: {expert} (the MAMA-MIA tree's expert segmentations)"
            return _one_folder(expert, role, "mama-mia", None, notice)
    return None


def _nnunet(path: Path, role: Role) -> MaskFolder | None:
    """The folders of nnU-Net: its results, one fold of them, a fold's validation, labels, or a data set with labels."""
    # Told by what else nnU-Net puts there: with its progress.png each fold seems to hold a mask.
    is_fold = path.name.startswith("fold_") and (any(path.glob("validation*/")) or any(path.glob("checkpoint*")))
    if is_fold or any(path.glob("fold_*/validation*/")) or (any(path.glob("fold_*/")) and not has_masks(path)):
        return _results(path, role)
    above = path.absolute().parent
    if path.name.startswith("validation") and above.name.startswith("fold_"):
        return _results(above, role, validation=path)
    if path.name in NNUNET_LABELS:
        return _one_folder(path, role, "nnunet-raw", above / "dataset.json")
    inside = [path / name for name in NNUNET_LABELS if name != "labelsTs" and (path / name).is_dir()]
    return _one_folder(inside[0], role, "nnunet-raw", path / "dataset.json", f"{role}: {inside[0]}") if inside else None


def _decathlon(path: Path, role: Role) -> MaskFolder | None:
    list_file = path / "dataset.json"
    dataset = read_dataset(list_file) if list_file.is_file() else Dataset()
    return _listed(list_file, dataset, role) if dataset.cases else None


def _beside_images(path: Path, role: Role) -> MaskFolder | None:
    """The labels of a data set with the folders `images` and `labels` (or another name for them); None else."""
    folders = [path / name for name in LABEL_FOLDERS if (path / name).is_dir()]
    if role != "labels" or not folders or not (path / "images").is_dir():
        return None
    if len(folders) > 1:
        names = " and ".join(folder.name for folder in folders)
        raise InputError(f"{role} {path}: has the folders {names}; hand over the one that holds the labels")
    return _one_folder(folders[0], role, "flat", path / "dataset.json", f"{role}: {folders[0]}")


def _bids(path: Path, role: Role) -> MaskFolder | None:
    """The masks of a BIDS tree, `sub-01/ses-02/anat/sub-01_ses-02_label-lesion_mask.nii.gz`; None where it is none."""
    subjects = [entry for entry in _folders_in(path) if entry.name.startswith("sub-")]
    masks = [
        mask
        for subject in subjects
        for mask in sorted(subject.rglob("*"))
        if mask.name.startswith(f"{subject.name}_") and mask_stem(mask.name) is not None and mask.is_file()
    ]
    if not masks:
        return _derivatives(path, role)
    pipelines = _derivatives(path, role) if not any(map(_is_bids_mask, masks)) else None
    if pipelines is not None:
        return pipelines
    # The suffix says what a file is; a tree whose files have other suffixes holds one kind, which then are masks.
    named = list(filter(_is_bids_mask, masks))
    files: dict[str, Path] = {}
    for mask in named or masks:
        case = compose(mask_stem(mask.name) or "")
        if case in files:
            raise PairingError(f"{role} {path}: case {case} has two files, {files[case]} and {mask}; keep one of them")
        files[case] = mask
    notices = []
    others = [mask.name for mask in masks if named and mask not in set(named)]
    if others:
        notices.append(
            f"{role}: {len(others)} files of the BIDS tree are no masks by their suffix and are passed over, such as "
            f"{others[0]}"
        )
    n_subjects = len({mask.name.partition("_")[0] for mask in files.values()})
    return MaskFolder(dict(sorted(files.items())), "bids", notices=tuple(notices), n_subjects=n_subjects)


def _is_bids_mask(path: Path) -> bool:
    """Whether a file of BIDS is a mask by its suffix."""
    return (mask_stem(path.name) or "").rpartition("_")[2] in BIDS_MASKS


def _derivatives(path: Path, role: Role) -> MaskFolder | None:
    """The masks of a pipeline, `derivatives/NAME/sub-01/...`, of a data set that holds images alone; None without any.

    Of several pipelines that whose name says its role, where just one does.

    Raises:
        InputError: Several, and no name says it.
    """
    inside = path / "derivatives"
    found = {folder: _bids(folder, role) for folder in (_folders_in(inside) if inside.is_dir() else ())}
    pipelines = {folder: masks for folder, masks in found.items() if masks is not None}
    words = LABEL_WORDS if role == "labels" else PREDICTION_WORDS
    telling = [folder for folder in pipelines if any(re.fullmatch(words, word) for word in _words(folder.name))]
    if len(pipelines) > 1 and len(telling) != 1:
        raise InputError(
            f"{role} {path}: the data set has masks of {len(pipelines)} pipelines, "
            f"{' and '.join(str(folder) for folder in pipelines)}; hand over the folder of one"
        )
    for folder in telling if len(telling) == 1 else pipelines:
        masks = pipelines[folder]
        return replace(masks, notices=(f"{role}: those of the pipeline {folder}", *masks.notices))
    return None


def _case_folders(path: Path, role: Role) -> MaskFolder | None:
    """One folder a case, each with one mask, or with one that its name tells from the other files; None else.

    The folder's name is the case id. Of several files the mask is the one whose ending most folders have and whose
    words say so: those of its role (`label`, `gt`; of predictions `pred`) before those of any mask (`seg`, `mask`). A
    folder without such a file has none.
    """
    folders = _folders_in(path)
    inside = {folder: mask_files(folder) for folder in folders}
    inside = {folder: masks for folder, masks in inside.items() if masks}
    if len(inside) < 2 or len(inside) < 0.5 * len(folders):
        return None
    chosen: dict[str, Path] = {}
    if all(len(masks) == 1 for masks in inside.values()):
        telling = [folder for folder, masks in inside.items() if _ending(folder, masks[0]) is not None]
        if len(telling) <= 0.5 * len(inside):
            return None  # folders of one mask each by chance, such as labels/ and preds/ of a single case
        chosen = {folder.name: masks[0] for folder, masks in inside.items()}
    else:
        endings = {folder: {_ending(folder, mask): mask for mask in masks} for folder, masks in inside.items()}
        ending = _telling_ending([set(found) for found in endings.values()], role)
        if ending is None:
            return None
        chosen = {folder.name: found[ending] for folder, found in endings.items() if ending in found}
    notices = []
    without = [folder.name for folder in folders if folder.name not in chosen]
    if without:
        notices.append(f"{role}: {len(without)} folders of {path} hold no such mask, such as {without[0]}")
    files = {compose(case): mask for case, mask in sorted(chosen.items())}
    return MaskFolder(files, "case-folders", notices=tuple(notices))


def _structures(path: Path) -> MaskFolder | None:
    """One folder a case with one file a structure; None else, and where folders are named by what they hold."""
    kinds = rf"{_ROLE_WORDS}|images?|imagestr|imagests|train|training|val|validation|test|fold"
    if any(re.fullmatch(kinds, word) for folder in _folders_in(path) for word in _words(folder.name)):
        return None
    places, names = find_structures(_folders_in(path))
    files = {compose(folder.name): place for folder, place in sorted(places.items())}
    return MaskFolder(files, "structures", structures=names) if files else None


def _telling_ending(endings: Sequence[Collection[str | None]], role: Role) -> str | None:
    """The ending that more than half of some folders have and that says so: by its role first, then of any mask."""
    own, other = (LABEL_WORDS, PREDICTION_WORDS) if role == "labels" else (PREDICTION_WORDS, LABEL_WORDS)
    counts = Counter(ending for found in endings for ending in found if ending)
    usual = [ending for ending, n_folders in counts.items() if n_folders > 0.5 * len(endings)]
    for wanted in (own, _MASK_WORDS):
        telling = [
            ending
            for ending in usual
            if any(re.fullmatch(wanted, word) for word in _words(ending))
            and not any(re.fullmatch(other, word) for word in _words(ending))
        ]
        if telling:
            return telling[0] if len(telling) == 1 else None
    return None


def _folders_in(path: Path) -> list[Path]:
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _ending(folder: Path, mask: Path) -> str | None:
    """What a mask is called behind the name of its folder, or as a whole if it is called after its role; None else."""
    stem = (mask_stem(mask.name) or "").casefold()
    if stem.startswith(folder.name.casefold()):
        return stem[len(folder.name) :]
    return stem if any(re.fullmatch(_ROLE_WORDS, word) for word in _words(stem)) else None


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^a-z]+", text.lower()) if word]


def _one_folder(folder: Path, role: Role, kind: Kind, dataset_file: Path | None, *notices: str) -> MaskFolder:
    files, passed_over = masks_in(folder, role)
    dataset, broken = dataset_beside(dataset_file, required=role == "labels" and kind != "flat")
    return MaskFolder(files, kind, {}, dataset.label_names, dataset.ignore_label, (*notices, *passed_over, *broken))


def dicom_folder(path: Path, role: Role) -> MaskFolder:
    """The segmentations and structure sets in a tree of DICOM files, named after their patients.

    Raises:
        InputError: No such object in it.
        PairingError: Two of them of one image series.
    """
    index = index_dicom([path])
    if not index.masks:
        held = f"{len(index.series)} image series" if index.series else "nothing of use"
        why = f" ({'; '.join(index.notices)})" if index.notices else ""
        raise InputError(f"{role} {path}: holds {held} of DICOM and no mask (DICOM-SEG or RTSTRUCT){why}")
    objects = {compose(case): found for case, found in sorted(named_objects(index, f"{role} {path}").items())}
    files = {case: found.path for case, found in objects.items()}
    return MaskFolder(files, "dicom", notices=index.notices, dicom=objects, index=index)


def _listed(list_file: Path, dataset: Dataset, role: Role) -> MaskFolder:
    """The labels of a Decathlon list, or of nnU-Net's list in `dataset.json`."""
    files: dict[str, Path] = {}
    without = 0
    for case in dataset.cases:
        if case.label is None:
            without += 1
            continue
        identifier = listed_id(case)
        if not identifier:
            raise InputError(f"{list_file}: {case.label} is no mask file; known are {', '.join(MASK_SUFFIXES)}")
        if identifier in files:
            raise PairingError(f"{list_file}: case {identifier} is listed twice: {files[identifier]}, {case.label}")
        files[identifier] = case.label
    absent = [path for path in files.values() if not path.is_file()]
    if len(absent) == len(files):
        example = f", such as {absent[0]}" if absent else ""
        raise InputError(
            f"{role} {list_file}: none of the {len(files)} labels it lists under training exists{example};"
            " hand over the folder that holds the masks"
        )
    notices = [f"{role}: the {len(files)} masks listed in {list_file}"]
    if absent:
        notices.append(f"{len(absent)} of the masks listed in {list_file} do not exist, such as {absent[0]}")
    if without:
        notices.append(f"{without} cases of {list_file} have no label and are passed over")
    kind: Kind = "nnunet-raw" if any(case.id for case in dataset.cases) else "decathlon"
    in_order = dict(sorted(files.items()))
    return MaskFolder(in_order, kind, {}, dataset.label_names, dataset.ignore_label, tuple(notices))


def _results(path: Path, role: Role, *, validation: Path | None = None) -> MaskFolder:
    """The validation masks of all folds of an nnU-Net results folder, or of one fold."""
    folds = sorted(path.glob("fold_*/")) or [path]
    files: dict[str, Path] = {}
    fold_of: dict[str, str] = {}
    notices = []
    for folder in folds:
        name = folder.name.removeprefix("fold_")
        # nnU-Net v1 names the folder validation_raw.
        found = validation or next(
            (folder / n for n in ("validation", "validation_raw") if (folder / n).is_dir()), None
        )
        if found is None or not has_masks(found):
            notices.append(f"{folder} has no validation masks (training unfinished?) and is passed over")
            continue
        masks, passed_over = masks_in(found, role)
        notices.extend(passed_over)
        twice = sorted(masks.keys() & files.keys())
        if twice:
            raise PairingError(
                f"{role} {path}: {len(twice)} cases are in two folds, such as {twice[0]} in"
                f" fold_{fold_of[twice[0]]} and fold_{name}; hand over the validation folder of one fold"
            )
        files |= masks
        fold_of |= dict.fromkeys(masks, name)
    if not files:
        raise InputError(
            f"{role} {path}: no masks in {', '.join(f'{folder.name}/validation' for folder in folds)};"
            " let nnU-Net finish training, or hand over a folder of masks"
        )
    names = list(dict.fromkeys(fold_of.values()))
    notices.insert(0, f"{role}: {len(files)} validation masks of fold {', '.join(names)} in {path}")
    if "all" in names:
        notices.append("fold all was trained on its own validation cases: these scores are not of unseen cases")
    dataset, broken = dataset_beside(folds[0].absolute().parent / "dataset.json", required=False)
    in_order, folds_in_order = dict(sorted(files.items())), dict(sorted(fold_of.items()))
    said = (*notices, *broken)
    return MaskFolder(in_order, "nnunet-results", folds_in_order, dataset.label_names, dataset.ignore_label, said)
