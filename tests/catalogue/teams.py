"""Teams that cheat, and teams whose folder or table is none: their worst score, and nobody else's business."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from tests.catalogue.cause import QUICK, Cause, Make, written

__all__ = ["CAUSES"]

_RANK = ("rank", "teams", "labels", "{base}/metadata.csv", *QUICK)
_RANK_SCORES = (
    "rank-scores", "teams", "{base}/metadata.csv", "--by", "dsc", "--permutations", "99", "--bootstrap", "100", "--out",
    "out",
)  # fmt: skip
_WORST = "worst score of alpha: case PH0001"
_META = (
    "ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = False\nElementSpacing = 8 8 8\n"
    "DimSize = 16 16 16\nElementType = MET_UCHAR\nElementDataFile = {file}\n"
)
_NRRD = (
    "NRRD0004\ntype: unsigned char\ndimension: 3\nsizes: 16 16 16\nspace: right-anterior-superior\n"
    "space directions: (8,0,0) (0,8,0) (0,0,8)\nspace origin: (0,0,0)\nencoding: raw\ndata file: {file}\n"
)


def _changed(change: Callable[[Path], object]) -> Make:
    """Labels and two teams, and what is done to their folder."""

    def make(case: Path, base: Path) -> None:
        shutil.copytree(base / "labels", case / "labels")
        shutil.copytree(base / "teams", case / "teams")
        change(case)

    return make


def _each(change: Callable[[Path, Path], object]) -> Make:
    """What is done to each mask of alpha: the mask, and the label of its name."""

    def all_of_alpha(case: Path) -> None:
        for mask in sorted((case / "teams" / "alpha").glob("*.nii.gz")):
            label = case / "labels" / mask.name
            mask.unlink()
            change(mask, label)

    return _changed(all_of_alpha)


def _in_place_of_alpha(make: Callable[[Path, Path], object]) -> Make:
    """Something else where alpha's folder was; the function gets that path, and the labels."""

    def change(case: Path) -> None:
        shutil.rmtree(case / "teams" / "alpha")
        make(case / "teams" / "alpha", case / "labels")

    return _changed(change)


def _header(text: str, suffix: str, where: Callable[[Path, Path], str]) -> Make:
    """A header that takes its voxels from elsewhere, where the labels' raw voxels lie beside them."""

    def change(mask: Path, label: Path) -> None:
        raw = label.with_name(label.name.replace(".nii.gz", ".raw"))
        raw.write_bytes(np.asarray(nib.load(label).dataobj).astype(np.uint8).tobytes(order="F"))  # type: ignore[attr-defined]
        mask.with_name(mask.name.replace(".nii.gz", suffix)).write_text(text.format(file=where(mask, raw)))

    return _each(change)


def _linked_inside(mask: Path, raw: Path) -> str:
    (mask.parent / "data").mkdir(exist_ok=True)
    (mask.parent / "data" / raw.name).symlink_to(raw)
    return f"data/{raw.name}"


def _relative(mask: Path, raw: Path) -> str:
    return f"../../labels/{raw.name}"


def _absolute(mask: Path, raw: Path) -> str:
    return str(raw)


def _listed(mask: Path, raw: Path) -> str:
    return f"LIST\n../../labels/{raw.name}"


def _inner(name: str) -> Callable[[Path, Path], object]:
    def make(alpha: Path, labels: Path) -> None:
        (alpha / name).parent.mkdir(parents=True)
        (alpha / name).symlink_to(labels.absolute())

    return make


def _cheat(what: str, make: Make, *says: str) -> Cause:
    return Cause(f"rank, a cheat: {what}", _RANK, says or (_WORST,), make, code=0)


CHEATS = [
    _cheat("links to the labels", _each(lambda mask, label: mask.symlink_to(label.absolute())), _WORST, "leads out"),
    _cheat("relative links to the labels", _each(lambda mask, label: mask.symlink_to(f"../../labels/{label.name}")),
           _WORST, "leads out"),
    _cheat("hard links to the labels", _each(lambda mask, label: os.link(label, mask)), _WORST, "hard link"),
    _cheat("links to another team's masks", _each(lambda mask, label: mask.symlink_to(f"../beta/{mask.name}")),
           _WORST, "leads out"),
    _cheat("copies of the labels", _each(lambda mask, label: shutil.copy(label, mask)), "voxel for voxel"),
    _cheat("its folder a link to the labels", _in_place_of_alpha(lambda alpha, labels: alpha.symlink_to("../labels")),
           "alpha", "leads out"),
    _cheat("its folder a link to another team", _in_place_of_alpha(lambda alpha, labels: alpha.symlink_to("beta")),
           "alpha", "link to the folder of beta"),
    _cheat("a folder in it a link", _in_place_of_alpha(_inner("segmentations/expert"))),
    _cheat("its folds a link", _in_place_of_alpha(_inner("fold_0/validation"))),
    _cheat("NRRD, a relative path", _header(_NRRD, ".nrrd", _relative), _WORST, "outside"),
    _cheat("NRRD, an absolute path", _header(_NRRD, ".nrrd", _absolute), _WORST, "outside"),
    _cheat("NRRD, a list", _header(_NRRD, ".nrrd", _listed), _WORST, "outside"),
    _cheat("NRRD, a link in its own folder", _header(_NRRD, ".nrrd", _linked_inside), _WORST, "outside"),
    _cheat("MetaImage, a relative path", _header(_META, ".mhd", _relative), _WORST, "outside"),
    _cheat("MetaImage, an absolute path", _header(_META, ".mhd", _absolute), _WORST, "outside"),
    _cheat("MetaImage, a list", _header(_META, ".mha", _listed), _WORST, "outside"),
    _cheat("MetaImage, a link in its own folder", _header(_META, ".mha", _linked_inside), _WORST, "outside"),
]  # fmt: skip


def _one(change: Callable[[Path], object]) -> Make:
    def instead(case: Path) -> None:
        mask = case / "teams" / "alpha" / "PH0001.nii.gz"
        mask.unlink()
        change(mask)

    return _changed(instead)


def _beside(name: str) -> Make:
    return _changed(lambda case: shutil.copytree(case / "teams" / "beta", case / "teams" / name))


_TEAM = (
    ("an empty folder", _in_place_of_alpha(lambda alpha, labels: alpha.mkdir()), "alpha"),
    ("no mask in it", _in_place_of_alpha(lambda alpha, labels: [alpha.mkdir(), (alpha / "a.txt").write_text("x")]), "alpha"),
    ("a file among the teams", _changed(lambda case: (case / "teams" / "gamma").write_text("x")), "2 folders"),
    ("a pipe among the teams", _changed(lambda case: os.mkfifo(case / "teams" / "gamma")), "2 folders"),
    ("a link to nowhere among the teams", _changed(lambda case: (case / "teams" / "gamma").symlink_to("no")), "2 folders"),
    ("a link to itself among the teams", _changed(lambda case: (case / "teams" / "g").symlink_to("g")), "2 folders"),
    ("a folder that leads upwards", _changed(lambda case: (case / "teams" / "alpha" / "up").symlink_to("..")), "2 folders"),
    ("a mask that is a pipe", _one(os.mkfifo), _WORST),
    ("a mask that is a folder", _one(Path.mkdir), "alpha (1)"),
    ("a mask that links to nowhere", _one(lambda mask: mask.symlink_to("nowhere")), _WORST),
    ("a mask that links to a device", _one(lambda mask: mask.symlink_to("/dev/zero")), _WORST),
    ("a mask that links to /etc/passwd", _one(lambda mask: mask.symlink_to("/etc/passwd")), _WORST),
    ("a mask of no bytes", _one(lambda mask: mask.write_bytes(b"")), _WORST),
    ("a case twice", _changed(lambda case: shutil.copy(case / "teams/alpha/PH0001.nii.gz", case / "teams/alpha/PH0001.nii")),
     "two files"),
    ("names that are no label's", _each(lambda mask, label: shutil.copy(label, mask.with_name(f"q{mask.name}"))),
     "none of its 24 masks"),
    ("a dataset.json that is cut", _changed(lambda case: (case / "teams/alpha/dataset.json").write_text("{")), "2 folders"),
    ("a dataset.json that is a pipe", _changed(lambda case: os.mkfifo(case / "teams/alpha/dataset.json")), "2 folders"),
    ("a name that is a formula", _beside("=1+1"), "3 folders"),
    ("a name that is a page", _beside("<b>x"), "3 folders"),
    ("a name that moves the cursor", _beside("\x1b[2J"), "3 folders"),
    ("a name of 255 letters", _beside("x" * 255), "3 folders"),
    ("a name in capitals too", _beside("ALPHA"), "3 folders"),
    ("a name of Windows' own", _beside("CON"), "3 folders"),
    ("a name with a line end", _beside("a\nb"), "3 folders"),
    ("a name of the public folder", _beside("public"), "3 folders"),
)  # fmt: skip
TEAMS = [
    *(Cause(f"rank, a team: {what}", _RANK, (says,), make, code=0) for what, make, says in _TEAM),
    Cause(
        "rank, all teams: empty folders",
        _RANK,
        ("alpha", "empty"),
        _changed(
            lambda case: [
                shutil.rmtree(case / "teams"),
                *((case / "teams" / team).mkdir(parents=True) for team in ("alpha", "beta")),
            ]
        ),
    ),
    Cause("rank, teams: masks without folders", ("rank", "{base}/preds", *_RANK[2:]), ("sub-folder",),
          _changed(lambda case: None)),
    Cause("rank, teams: a file", ("rank", "{base}/metadata.csv", *_RANK[2:]), ("is a file",), _changed(lambda case: None)),
    Cause("rank, labels: all broken", _RANK, ("NIfTI",),
          _changed(lambda case: [label.write_bytes(b"x") for label in (case / "labels").iterdir()])),
    Cause("rank: an unusable mask, strictly", (*_RANK, "--strict"), ("PH0001",), _one(lambda mask: mask.write_bytes(b""))),
    *(
        Cause(f"rank {option} {value}", (*_RANK, option, value), (says,), _changed(lambda case: None))
        for option, value, says in (
            ("--label", "7", "--label"), ("--label", "0", "background"), ("--label", "a=1,b=2", "label"),
            ("--bins", "age=tree", "age=tree"), ("--where", "age > 500", "no case"), ("--cases", "no.txt", "no.txt"),
            ("--spacing", "1", "--spacing"), ("--sheet", "a", "XLSX"), ("--protocol", "no.toml", "no.toml"),
            ("--attributes", "colour", "colour"), ("--cache", "/proc/x", "--cache"), ("--threshold", "2", "--threshold"),
            ("--title", "", "--title"), ("--out", "{base}/metadata.csv", "metadata.csv"),
        )
    ),
]  # fmt: skip


def _tables(**contents: str | bytes) -> Make:
    def make(case: Path, base: Path) -> None:
        (case / "teams").mkdir()
        for name in ("alpha", "beta"):
            shutil.copy(base / "scores.csv", case / "teams" / f"{name}.csv")
        for name, content in contents.items():
            written(f"teams/{name}.csv", content)(case, base)

    return make


_CASES = "\n".join(f"PH{number:04d},0.5" for number in range(1, 25))
SCORES = [
    *(
        Cause(f"rank-scores, a team's table: {what}", _RANK_SCORES, ("gamma",), _tables(gamma=content), code=code)
        for what, content, code in (
            ("empty", "", 2),
            ("no scores", "case\nPH0001\n", 2),
            ("no cases that are known", "case,dsc\nXX,0.5\n", 2),
            ("numbers beyond all", f"case,dsc\n{_CASES.replace('PH0003,0.5', 'PH0003,1e300')}", 2),
            ("texts", f"case,dsc\n{_CASES.replace('0.5', 'good')}", 2),
            ("a case twice", f"case,dsc\n{_CASES}\nPH0001,0.9", 2),
            ("a web page", "<html></html>", 2),
            ("a few of the cases", "case,dsc\nPH0001,0.5\nPH0002,0.4\n", 0),
        )
    ),
    Cause("rank-scores: no table", _RANK_SCORES, ("teams",), lambda case, base: (case / "teams").mkdir()),
    Cause("rank-scores: no such folder", _RANK_SCORES, ("teams",)),
    Cause("rank-scores: a score that nobody has", (*_RANK_SCORES[:4], "colour", *_RANK_SCORES[5:]), ("colour",), _tables()),
    Cause("rank-scores: both directions", (*_RANK_SCORES, "--lower-is-better", "dsc", "--higher-is-better", "dsc"),
          ("dsc",), _tables()),
    Cause("rank-scores: a table that is a pipe", _RANK_SCORES, ("gamma",),
          lambda case, base: [_tables()(case, base), os.mkfifo(case / "teams" / "gamma.csv")]),
    Cause("rank-scores: a table that is a link", _RANK_SCORES, ("gamma",),
          lambda case, base: [_tables()(case, base), (case / "teams" / "gamma.csv").symlink_to("/etc/passwd")]),
]  # fmt: skip

CAUSES = [*CHEATS, *TEAMS, *SCORES]
