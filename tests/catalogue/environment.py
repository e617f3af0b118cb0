"""What the environment, the limits and the permissions of a machine do to a command; each starts Python anew."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.catalogue.cause import QUICK, Cause, Make, written

__all__ = ["CAUSES"]

_INPUTS = ("{base}/preds", "{base}/labels", "{base}/metadata.csv")
_FEW = ("--permutations", "99", "--bootstrap", "100", "--out", "out")
_AUDIT = ("audit", *_INPUTS, *QUICK)
_SCORES = ("audit-scores", "{base}/scores.csv", "{base}/metadata.csv", *_FEW)
_REPORT = ("report", "{base}/report", "--out", "out")
_COMPARE = ("compare", "{base}/report", "{base}/report", "--out", "out")
_RANK = ("rank", "{base}/teams", "{base}/labels", "{base}/metadata.csv", *QUICK)
_MB = 2**20


def _nothing(case: Path, base: Path) -> None:
    """Nothing has to be there."""


def _told(name: str, words: tuple[str, ...], environment: Mapping[str, str], make: Make = _nothing) -> Cause:
    """A variable that makes no difference."""
    says = ("DSC",) if words[0] != "rank" else ("leaderboard",)
    return Cause(name, words, says, make, code=0, environment=environment, fresh=True, seconds=120)


def _limited(name: str, words: tuple[str, ...], code: int, limits: Mapping[str, int], *says: str) -> Cause:
    return Cause(name, words, says, code=code, limits=limits, fresh=True, seconds=120)


VARIABLES = [
    *(
        _told(f"SOURCE_DATE_EPOCH {value!r}", (*_SCORES, "--figures", "pdf"), {"SOURCE_DATE_EPOCH": value})
        for value in ("abc", "", "1e400", "3.5", "9" * 20)
    ),
    _told("SOURCE_DATE_EPOCH a word, masks", _AUDIT, {"SOURCE_DATE_EPOCH": "abc"}),
    _told("MPLBACKEND of nobody, fresh", (*_REPORT, "--figures", "png"), {"MPLBACKEND": "nonsense"}),
    _told("MATPLOTLIBRC nowhere", (*_REPORT, "--figures", "svg"), {"MATPLOTLIBRC": "/nowhere"}),
    _told(
        "a matplotlibrc of nonsense, fresh",
        (*_REPORT, "--figures", "png"),
        {},
        written("matplotlibrc", b"backend: x\nfont.size: y\nlalala\n"),
    ),
    _told("HOME and caches nowhere, masks", _AUDIT, dict.fromkeys(("HOME", "XDG_CACHE_HOME"), "/nonexistent")),
    _told("HOME that cannot be written", (*_REPORT, "--figures", "png"), {"HOME": "/proc"}),
    _told("MPLCONFIGDIR that cannot be written", (*_REPORT, "--figures", "png"), {"MPLCONFIGDIR": "/proc/nobody"}),
    _told("TMPDIR nowhere", _REPORT, {"TMPDIR": "/nonexistent"}),
    *(_told(f"PYTHONWARNINGS {value}", (*_AUDIT, "--figures", "png"), {"PYTHONWARNINGS": value})
      for value in ("error", "default")),
    _told("PYTHONWARNINGS error, teams", _RANK, {"PYTHONWARNINGS": "error"}),
    _told("PYTHONOPTIMIZE", _SCORES, {"PYTHONOPTIMIZE": "2"}),
    *(
        _told(f"the locale {value}, Python's own way of bytes", _SCORES,
              {"LC_ALL": value, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
        for value in ("C", "tr_TR.UTF-8", "de_DE.ISO-8859-1")
    ),
    _told("PYTHONIOENCODING of seven bits", _SCORES, {"PYTHONIOENCODING": "ascii:strict"}),
    *(_told(f"TZ {value[:12]}", _SCORES, {"TZ": value}) for value in (":/etc/passwd", "UTC+99", "A" * 500)),
    _told("OMP_NUM_THREADS a letter", _AUDIT, {"OMP_NUM_THREADS": "x"}),
    _told(
        "a study.toml that is none",
        _REPORT,
        {},
        written("study.toml", "= ="),
    ),
]  # fmt: skip

_MEMORY = "not enough memory"
LIMITS = [
    Cause("a matplotlibrc of bytes", (*_REPORT, "--figures", "png"), ("matplotlibrc", "--figures"),
          written("matplotlibrc", b"\xff\xfe\x00"), fresh=True, seconds=120),
    _limited("150 MB of memory: masks", _AUDIT, 2, {"RLIMIT_AS": 150 * _MB}, _MEMORY),
    _limited("250 MB of memory: report", (*_REPORT, "--figures", "png"), 2, {"RLIMIT_AS": 250 * _MB}, _MEMORY),
    _limited("150 MB of memory: scores", _SCORES, 2, {"RLIMIT_AS": 150 * _MB}, _MEMORY),
    _limited("150 MB of memory: teams", _RANK, 2, {"RLIMIT_AS": 150 * _MB}, _MEMORY),
    *(
        _limited(f"1,500 MB of memory: {words[0]}", words, 2, {"RLIMIT_AS": 1500 * _MB}, _MEMORY, "at least 2,000 MB")
        for words in (("mitigate", "{base}", "--out", "out"), ("predict", "model", "{base}/images", "masks"))
    ),
    _limited("8 open files: two workers", (*_AUDIT[:4], *_FEW, "--workers", "2", "--no-cache"), 2,
             {"RLIMIT_NOFILE": 8}, "too many files"),
    _limited("files of 5 kB", _REPORT, 2, {"RLIMIT_FSIZE": 5000}, "out"),
    _limited("files of no byte", _SCORES, 2, {"RLIMIT_FSIZE": 0}),
]  # fmt: skip


def _copied(*names: str, then: Callable[[Path], object]) -> Make:
    def make(case: Path, base: Path) -> None:
        for name in names:
            source = base / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, case / name)
        then(case)

    return make


def _closed(name: str) -> Callable[[Path], object]:
    return lambda case: (case / name).chmod(0)


def _denied(name: str, words: tuple[str, ...], says: tuple[str, ...], make: Make, code: int = 2) -> Cause:
    return Cause(name, words, says, make, code=code, ordinary=True)


_OWN = ("audit", "preds", "labels", "metadata.csv", *QUICK)
_ALL = ("preds", "labels", "metadata.csv")
PERMISSIONS = [
    _denied("may not read: one prediction", _OWN, ("worst score: case PH0001", "Permission denied"),
            _copied(*_ALL, then=_closed("preds/PH0001.nii.gz")), 0),
    _denied("may not read: one label", _OWN, ("excluded: case PH0001", "Permission denied"),
            _copied(*_ALL, then=_closed("labels/PH0001.nii.gz")), 0),
    _denied("may not read: the predictions", _OWN, ("preds", "readable"),
            _copied(*_ALL, then=_closed("preds"))),
    _denied("may not read: the labels", _OWN, ("labels", "readable"),
            _copied(*_ALL, then=_closed("labels"))),
    _denied("may not read: the metadata", _OWN, ("metadata.csv", "readable"),
            _copied(*_ALL, then=_closed("metadata.csv"))),
    _denied("may not search: the predictions", _OWN, ("preds", "Permission denied"),
            _copied(*_ALL, then=lambda case: (case / "preds").chmod(0o444)), 2),
    _denied("may not read: a protocol", (*_AUDIT, "--protocol", "p.toml"), ("p.toml", "Permission denied"),
            lambda case, base: [(case / "p.toml").write_text("x = 1"), (case / "p.toml").chmod(0)]),
    _denied("may not read: a record", (*_SCORES, "--record", "r.toml"), ("r.toml", "readable"),
            lambda case, base: [(case / "r.toml").write_text("x = 1"), (case / "r.toml").chmod(0)]),
    _denied("may not read: a list of cases", (*_AUDIT, "--cases", "c.txt"), ("c.txt", "Permission denied"),
            lambda case, base: [(case / "c.txt").write_text("PH0001"), (case / "c.txt").chmod(0)]),
    _denied("may not read: a key", (*_SCORES, "--pseudonymise", "k"), ("k", "readable"),
            lambda case, base: [(case / "k").write_text("ab" * 32), (case / "k").chmod(0)]),
    _denied("may not read: an audit", ("gate", "report", "--gate", "FS >= 0.5"), ("audit.json", "Permission denied"),
            _copied("report", then=_closed("report/audit.json"))),
    _denied("may not read: an audit's folder", ("card", "report"), ("report", "readable"),
            _copied("report", then=_closed("report"))),
    _denied("may not read: scores", ("audit-scores", "scores.csv", "{base}/metadata.csv", *_FEW),
            ("scores.csv", "readable"), _copied("scores.csv", then=_closed("scores.csv"))),
    _denied("may not read: an output that is verified", ("verify", "report"), ("report.html",),
            _copied("report", then=_closed("report/report.html")), 1),
    _denied("may not read: a manifest", ("verify", "report"), ("manifest.json",),
            _copied("report", then=_closed("report/manifest.json"))),
    _denied("may not read: a team's folder", ("rank", "teams", "{base}/labels", "{base}/metadata.csv", *QUICK),
            ("alpha", "Permission denied"), _copied("teams", then=_closed("teams/alpha")), 0),
    _denied("may not read: a team's mask", ("rank", "teams", "{base}/labels", "{base}/metadata.csv", *QUICK),
            ("worst score of alpha: case PH0001", "Permission denied"),
            _copied("teams", then=_closed("teams/alpha/PH0001.nii.gz")), 0),
    _denied("may not write: --out", _SCORES, ("out", "Permission denied"),
            lambda case, base: [(case / "out").mkdir(), (case / "out").chmod(0o555)]),
    _denied("may not write: above --out", (*_SCORES[:-1], "in/out"), ("in/out", "Permission denied"),
            lambda case, base: [(case / "in").mkdir(), (case / "in").chmod(0o555)]),
    _denied("may not write: weights", ("weights", "{base}/report", "--metadata", "{base}/metadata.csv", "--id-column",
            "patient_id", "--out", "in/w.csv"), ("in/w.csv", "Permission denied"),
            lambda case, base: [(case / "in").mkdir(), (case / "in").chmod(0o555)]),
    _denied("may not write: a dossier", ("dossier", "{base}/report", "--out", "in/out"), ("in/out", "Permission denied"),
            lambda case, base: [(case / "in").mkdir(), (case / "in").chmod(0o555)]),
]  # fmt: skip

CAUSES = [*VARIABLES, *LIMITS, *(PERMISSIONS if os.name == "posix" else ())]
