"""Paths that are no plain file or folder, names that are no text, permissions, full disks, closed streams, little memory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.catalogue.cause import QUICK, Cause, Make, written

__all__ = ["CAUSES"]

_AUDIT = ("audit", "{base}/preds", "{base}/labels", "{base}/metadata.csv", *QUICK)
_SCORES = ("audit-scores", "{base}/scores.csv", "{base}/metadata.csv", "--permutations", "99", "--bootstrap", "100")


def _fifo(name: str) -> Make:
    return lambda case, base: os.mkfifo(case / name)


def _folder(name: str) -> Make:
    return lambda case, base: (case / name).mkdir(parents=True)


FIFOS = [
    Cause("a pipe as --record", (*_SCORES, "--out", "out", "--record", "f"), ("pipe",), _fifo("f")),
    Cause("a pipe as --pseudonymise", (*_SCORES, "--out", "out", "--pseudonymise", "f"), ("f",), _fifo("f")),
    Cause("a pipe as --protocol", (*_AUDIT, "--protocol", "f"), ("pipe",), _fifo("f")),
    Cause("a pipe as --cases", (*_AUDIT, "--cases", "f"), ("pipe",), _fifo("f")),
    Cause(
        "a pipe as metadata", ("audit", "{base}/preds", "{base}/labels", "f.csv", *QUICK), ("f.csv",), _fifo("f.csv")
    ),
    Cause(
        "a pipe as scores", ("audit-scores", "f.csv", "{base}/metadata.csv", "--out", "out"), ("f.csv",), _fifo("f.csv")
    ),
    Cause("a pipe as audit.json", ("report", "audit.json", "--out", "out"), ("audit.json",), _fifo("audit.json")),
    Cause("a pipe as labels", ("audit", "{base}/preds", "f", "{base}/metadata.csv", *QUICK), ("f",), _fifo("f")),
    Cause("a pipe as --config", ("mitigate", "{base}", "--config", "f", "--out", "out"), ("pipe",), _fifo("f")),
    Cause("a pipe as checkpoint", ("predict", "f", "{base}/images", "masks"), ("f",), _fifo("f")),
    Cause("a device as metadata", ("audit", "{base}/preds", "{base}/labels", "/dev/zero", *QUICK), ("/dev/zero",)),
    Cause("a device as protocol", (*_AUDIT, "--protocol", "/dev/zero"), ("/dev/zero",)),
    Cause("a device as audit", ("gate", "/dev/zero", "--gate", "FS >= 0.5"), ("/dev/zero",)),
    Cause("a device as record", (*_SCORES, "--out", "out", "--record", "/dev/zero"), ("/dev/zero",)),
]

FOLDERS = [
    Cause("a folder as metadata", ("audit", "{base}/preds", "{base}/labels", "{base}/images", *QUICK), ("folder",)),
    Cause("a folder as record", (*_SCORES, "--out", "out", "--record", "{base}/preds"), ("folder",)),
    Cause(
        "a file as predictions",
        ("audit", "{base}/metadata.csv", "{base}/labels", "{base}/metadata.csv", *QUICK),
        ("metadata.csv",),
    ),
    Cause("a file as --out", (*_SCORES, "--out", "f"), ("f",), written("f", "x")),
    Cause("a file above --out", (*_SCORES, "--out", "f/out"), ("f",), written("f", "x")),
    Cause(
        "--out full of somebody's report", (*_SCORES, "--out", "out"), ("report.html",), written("out/report.html", "x")
    ),
    Cause("--out that is /dev/null", (*_SCORES, "--out", "/dev/null"), ("/dev/null",)),
    Cause("--out in /proc", (*_SCORES, "--out", "/proc/segfair"), ("/proc/segfair",)),
    Cause("--out of 5,000 characters", (*_SCORES, "--out", "d" * 5000), ("ddd",)),
    Cause("--out of 300 characters", (*_SCORES, "--out", "d" * 300), ("ddd",)),
    Cause("phantom: DIR a file", ("phantom", "f"), ("f",), written("f", "x")),
    Cause(
        "no predictions at all",
        ("audit", "empty", "{base}/labels", "{base}/metadata.csv", *QUICK),
        ("empty",),
        _folder("empty"),
    ),
    Cause(
        "no labels at all",
        ("audit", "{base}/preds", "empty", "{base}/metadata.csv", *QUICK),
        ("empty",),
        _folder("empty"),
    ),
    Cause(
        "no teams at all",
        ("rank", "empty", "{base}/labels", "{base}/metadata.csv", *QUICK),
        ("empty",),
        _folder("empty"),
    ),
    Cause("no images at all", (*_AUDIT, "--images", "nowhere"), ("nowhere",)),
    Cause("no such predictions", ("audit", "nowhere", "{base}/labels", "{base}/metadata.csv", *QUICK), ("nowhere",)),
    Cause("no such labels", ("audit", "{base}/preds", "nowhere", "{base}/metadata.csv", *QUICK), ("nowhere",)),
    Cause("no such metadata", ("audit", "{base}/preds", "{base}/labels", "nowhere.csv", *QUICK), ("nowhere.csv",)),
    Cause(
        "a path with a null",
        ("audit", "{base}/preds", "{base}/labels", "{base}/metadata.txt", *QUICK),
        ("metadata.txt",),
    ),
    Cause("mitigate: no such data", ("mitigate", "nowhere", "--out", "out"), ("nowhere",)),
    Cause("predict: no such checkpoint", ("predict", "nowhere.pt", "{base}/images", "masks"), ("nowhere.pt",)),
    Cause("predict: no such images", ("predict", "{base}/report/audit.json", "nowhere", "masks"), ("audit.json",)),
    Cause("weights: no such table", ("weights", "{base}/report", "--metadata", "nowhere.csv"), ("nowhere.csv",)),
    Cause("compare: no such audit", ("compare", "{base}/report", "nowhere", "--out", "out"), ("nowhere",)),
    Cause(
        "labels and predictions exchanged for a table",
        ("audit", "{base}/metadata.csv", "{base}/preds", "{base}/labels", *QUICK),
        ("metadata.csv", "folder"),
    ),
]


def _named(name: str, *copied: str) -> Make:
    def make(case: Path, base: Path) -> None:
        for path in copied:
            source, target = base / path, case / name / path
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copy)(source, target)

    return make


_ODD = "odd-\udcff"
NAMES = [
    Cause(
        "names no UTF-8: the inputs",
        ("audit", f"{_ODD}/preds", f"{_ODD}/labels", f"{_ODD}/metadata.csv", *QUICK),
        ("DSC",),
        _named(_ODD, "preds", "labels", "metadata.csv"),
        code=0,
    ),
    Cause("names no UTF-8: --out", (*_SCORES, "--out", _ODD), ("DSC",), code=0),
    Cause(
        "names no UTF-8: an audit to compare",
        ("compare", f"{_ODD}/report", "{base}/report", "--out", "out"),
        ("DSC",),
        _named(_ODD, "report"),
        code=0,
    ),
    Cause(
        "names no UTF-8: an audit to draw",
        ("report", f"{_ODD}/report", "--out", "out"),
        ("DSC",),
        _named(_ODD, "report"),
        code=0,
    ),
    Cause(
        "names no UTF-8: a record",
        (*_SCORES, "--out", "out", "--record", _ODD),
        ("DSC",),
        lambda case, base: (case / _ODD).write_text('model = "m"'),
        code=0,
    ),
    Cause(
        "names no UTF-8: a team",
        ("rank", "teams", "{base}/labels", "{base}/metadata.csv", *QUICK),
        ("odd",),
        lambda case, base: [shutil.copytree(base / "preds", case / "teams" / team) for team in (_ODD, "even")],
        code=0,
    ),
    Cause(
        "names no UTF-8: a table of a team",
        (
            "rank-scores",
            "teams",
            "{base}/metadata.csv",
            "--by",
            "dsc",
            "--permutations",
            "99",
            "--bootstrap",
            "100",
            "--out",
            "out",
        ),
        ("odd",),
        lambda case, base: [_copy_to(base / "scores.csv", case / "teams" / f"{team}.csv") for team in (_ODD, "even")],
        code=0,
    ),
    Cause(
        "names no UTF-8: of a comparison",
        ("compare", "{base}/report", "{base}/report", "--names", f"old,{_ODD}", "--out", "out"),
        ("DSC",),
        code=0,
    ),
    Cause("names no UTF-8: nowhere", ("report", _ODD), ("odd",)),
]


def _copy_to(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


_FULL = {"stdout": "/dev/full"}
STREAMS = [
    Cause("stdout full: --help", ("--help",), ("standard output", "No space left"), streams=_FULL),
    Cause("stdout full: protocol", ("protocol", "default"), ("standard output",), streams=_FULL),
    Cause("stdout full: card", ("card", "{base}/report"), ("standard output",), streams=_FULL),
    Cause("stdout full: gate", ("gate", "{base}/report", "--gate", "FS >= 0.5"), ("standard output",), streams=_FULL),
    Cause("stdout full: verify", ("verify", "{base}/report"), ("standard output",), streams=_FULL),
    Cause("stdout full: audit-scores", (*_SCORES, "--out", "out"), ("standard output",), streams=_FULL),
    Cause(
        "stdout full: phantom",
        ("phantom", "made", "--cases", "2", "--size", "16", "16", "16"),
        ("standard output",),
        streams=_FULL,
    ),
    Cause(
        "stdout full: weights",
        ("weights", "{base}/report", "--metadata", "{base}/metadata.csv", "--id-column", "patient_id"),
        ("standard output",),
        streams=_FULL,
    ),
    Cause("stdout full: power", ("power", "{base}/metadata.csv"), ("standard output",), streams=_FULL),
    Cause("stdout full: doctor", ("doctor",), ("standard output",), streams=_FULL),
    Cause(
        "stdout full: --json",
        ("gate", "{base}/report", "--gate", "FS >= 0.5", "--json"),
        ("standard output",),
        streams=_FULL,
    ),
    Cause("stderr full: an error", ("gate", "nowhere", "--gate", "FS >= 0.5"), streams={"stderr": "/dev/full"}),
]

_MB = 2**20
ENVIRONMENT = [
    Cause(
        "MPLBACKEND of nobody",
        (*_SCORES, "--out", "out", "--figures", "png"),
        ("DSC",),
        code=0,
        environment={"MPLBACKEND": "nonsense"},
    ),
    Cause(
        "SOURCE_DATE_EPOCH a word",
        (*_SCORES, "--out", "out", "--figures", "svg"),
        ("DSC",),
        code=0,
        environment={"SOURCE_DATE_EPOCH": "abc"},
    ),
    Cause(
        "SOURCE_DATE_EPOCH beyond all",
        (*_SCORES, "--out", "out", "--figures", "pdf"),
        ("DSC",),
        code=0,
        environment={"SOURCE_DATE_EPOCH": "1e400"},
    ),
    Cause(
        "a matplotlibrc in the folder",
        (*_SCORES, "--out", "out", "--figures", "png"),
        ("DSC",),
        written("matplotlibrc", "backend: nonsense\nfont.size: x\n"),
        code=0,
    ),
    Cause(
        "HOME nowhere",
        (*_SCORES, "--out", "out"),
        ("DSC",),
        code=0,
        environment={"HOME": "/nonexistent", "XDG_CACHE_HOME": "/nonexistent"},
    ),
    Cause("TZ of nobody", (*_SCORES, "--out", "out"), ("DSC",), code=0, environment={"TZ": "Mars/Olympus"}),
    Cause("LC_ALL of nobody", (*_SCORES, "--out", "out"), ("DSC",), code=0, environment={"LC_ALL": "xx_XX.UTF-8"}),
    Cause("COLUMNS a word", ("--help",), ("audit",), code=0, environment={"COLUMNS": "wide"}),
    Cause("COLUMNS of one", ("doctor",), (), code=0, environment={"COLUMNS": "1"}),
    Cause("TERM dumb", (*_SCORES, "--out", "out"), ("DSC",), code=0, environment={"TERM": "dumb"}),
    Cause("files of 1 kB at most", (*_SCORES, "--out", "out"), ("out",), limits={"RLIMIT_FSIZE": 1000}),
]

CAUSES = [*FIFOS, *FOLDERS, *NAMES, *STREAMS, *ENVIRONMENT]
