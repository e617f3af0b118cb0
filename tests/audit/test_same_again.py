"""The same audit, byte for byte, whatever the number of workers and threads, the time zone, the locale or the hash seed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

QUICK = ("--permutations", "99", "--bootstrap", "100", "--seed", "3")
SURROUNDINGS: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "one worker": ({}, ("--workers", "1")),
    "two workers": ({}, ("--workers", "2")),
    "three workers, other hashes": ({"PYTHONHASHSEED": "1"}, ("--workers", "3")),
    "two threads, hashes of chance": (
        {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2", "PYTHONHASHSEED": "random"},
        ("--workers", "1"),
    ),
    "another time zone": ({"TZ": "Pacific/Kiritimati", "SOURCE_DATE_EPOCH": "1"}, ("--workers", "1")),
    "another locale": ({"LC_ALL": "C", "LANG": "de_DE.UTF-8", "PYTHONUTF8": "0"}, ("--workers", "1")),
}
# What tells when and how, and no more: the manifest's own.
TIMES = ("written", "command")


@pytest.fixture(scope="module")
def folders(once: Callable[..., Any], phantom_cohort: Path) -> dict[str, Path]:
    """Surroundings -> the folder of the same audit in them; each reads the cohort under the same names."""

    def make(folder: Path) -> dict[str, Path]:
        (folder / "cohort").symlink_to(phantom_cohort)
        found = {}
        for number, (name, (environment, options)) in enumerate(SURROUNDINGS.items()):
            out = folder / f"out {number}"
            words = ["cohort/preds", "cohort/labels", "cohort/metadata.csv", "--out", str(out), "--no-cache"]
            done = subprocess.run(
                [sys.executable, "-m", "segfair", "audit", *words, "--attributes", "age_group,site", *QUICK, *options],
                cwd=folder,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, (name, done.stderr)
            found[name] = out
        return found

    return dict(once("same again", make))


@pytest.mark.parametrize("name", list(SURROUNDINGS)[1:])
def test_the_audit_and_its_tables_are_the_same_bytes(folders: dict[str, Path], name: str) -> None:
    first = folders["one worker"]
    for file in ("audit.json", "cases.csv", "subgroups.csv"):
        assert (folders[name] / file).read_bytes() == (first / file).read_bytes(), file


@pytest.mark.parametrize("name", list(SURROUNDINGS)[1:])
def test_the_manifest_differs_in_time_and_command_alone(folders: dict[str, Path], name: str) -> None:
    def told(folder: Path) -> dict[str, Any]:
        tree = json.loads((folder / "manifest.json").read_text("utf-8"))
        pages = ("report.html", "summary.html")  # which show when they were written
        tree["outputs"] = {file: digest for file, digest in tree["outputs"].items() if file not in pages}
        return {key: value for key, value in tree.items() if key not in TIMES}

    assert told(folders[name]) == told(folders["one worker"])
