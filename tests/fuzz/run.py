"""All readers under atheris, one after another, and the table of `docs/reliability.md`.

python -m tests.fuzz.run [--minutes 15] [--page docs/reliability.md] [READER ...]

Exit code 1 where anything was found; the inputs are then in build/fuzz/READER/found.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.readers import READERS
from tests.fuzz.table import Row, replaced

__all__ = ["fuzz"]

_MOST_RESTARTS = 20


@dataclass(frozen=True, slots=True)
class Found:
    """What a run of one reader came to.

    Attributes:
        counts: Inputs by outcome: read, refused, failed.
        failures: Places in the source that failed, and ways in which the process ended.
        seconds: How long it ran.
    """

    counts: Counter[str]
    failures: tuple[str, ...]
    seconds: float


def fuzz(reader: str, seconds: int, folder: Path) -> Found:
    """Runs one reader for so long; what ends the process is a failure, and the rest of the time is used nevertheless."""
    folder.mkdir(parents=True, exist_ok=True)
    counts: Counter[str] = Counter()
    failures: dict[str, None] = {}
    began = time.monotonic()
    for _ in range(_MOST_RESTARTS):
        left = round(seconds - (time.monotonic() - began))
        if left < 1:
            break
        (folder / "counts.json").write_text("{}")
        with (folder / "log").open("w") as log:
            code = subprocess.run(
                [sys.executable, "-m", "tests.fuzz.worker", reader, str(folder), str(left)],
                stdout=log, stderr=subprocess.STDOUT, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
            ).returncode  # fmt: skip
        told = json.loads((folder / "counts.json").read_text())
        failures |= dict.fromkeys(told.pop("found", {}))
        counts.update(told)
        if code:
            failures[f"exit code {code}: {_reason(folder / 'log')}"] = None
    return Found(counts, tuple(failures), time.monotonic() - began)


def _reason(log: Path) -> str:
    """What libFuzzer, or Python, said when the process ended."""
    lines = log.read_text("utf-8", "replace").splitlines()
    summary = [line for line in lines if "ERROR: libFuzzer" in line or re.match(r"\w*Error: ", line)]
    return (summary or lines or ["nothing was said"])[-1][:200]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--page", type=Path, help="page whose table is written")
    parser.add_argument("readers", nargs="*", choices=[[], *READERS], help="all of them by default")
    asked = parser.parse_args()
    rows = []
    for reader in asked.readers or READERS:
        folder = Path("build/fuzz") / re.sub(r"\W+", "-", reader)
        found = fuzz(reader, round(60 * asked.minutes), folder)
        rows.append(Row.of(reader, found.counts, len(found.failures), found.seconds))
        print(rows[-1], flush=True)
        for failure in found.failures:
            print(f"  {failure} ({folder}/found)", flush=True)
        if asked.page is not None:
            asked.page.write_text(replaced(asked.page.read_text("utf-8"), rows[-1:]), "utf-8")
    return int(any(row.failures for row in rows))


if __name__ == "__main__":
    sys.exit(main())
