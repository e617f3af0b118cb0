"""What a command costs before it does anything, and what the audit of the embedded cohort costs in all.

    python benchmarks/startup.py [--repeats 7]

Each row is a process of its own with one thread: CPU seconds, the median of several runs, and how many modules it had
loaded at its end. `python` itself comes first; imports are those of the whole audit, without its work.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

COUNT = "print(len(sys.modules))"
COMMAND = f"import sys; from segfair.cli import main\ntry: main()\nexcept SystemExit: pass\n{COUNT}"
IMPORTS = f"""
import contextlib, sys
for name in sys.argv[1:]:
    with contextlib.suppress(ImportError):  # what a compiled module made of itself cannot be imported by its name
        __import__(name)
{COUNT}"""


def run(code: str, words: Sequence[object], repeats: int) -> tuple[float, int]:
    """Median CPU seconds of a Python process, its children included, and the number of modules it had at its end."""
    seconds, modules = [], 0
    for _ in range(repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "120"},
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        modules = int(done.stdout.splitlines()[-1])
    return statistics.median(seconds), modules


def modules_of(words: Sequence[object]) -> list[str]:
    """The modules that a command had loaded at its end, in the order of loading."""
    code = COMMAND.replace(
        COUNT, 'print(*(name for name, module in sys.modules.items() if getattr(module, "__spec__", None)))'
    )
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines()[-1].split() if not name.startswith("__")]


def main() -> None:
    """Prints the table of the documentation."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cohort, report = folder / "cohort", folder / "report"
        masks = [cohort / "preds", cohort / "labels", cohort / "metadata.csv"]
        audit = ["audit", *masks, "--workers", 1, "--no-cache", "--out", report]
        run(COMMAND, ["phantom", cohort], 1)
        run(COMMAND, audit, 1)
        rows = {
            "python": ("import sys; " + COUNT, []),
            "import segfair": (IMPORTS, ["segfair"]),
            "segfair --version": (COMMAND, ["--version"]),
            "segfair --help": (COMMAND, ["--help"]),
            "segfair audit --help": (COMMAND, ["audit", "--help"]),
            "segfair protocol default": (COMMAND, ["protocol", "default"]),
            "segfair power, 60 patients": (COMMAND, ["power", masks[2]]),
            "segfair gate, 60 cases": (COMMAND, ["gate", report / "audit.json", "--gate", "FS >= 0.1"]),
            "segfair report, 60 cases": (COMMAND, ["report", report / "audit.json", "--out", folder / "again"]),
            "segfair compare, 60 cases": (
                COMMAND,
                ["compare", report, report, "--names", "old,new", "--out", folder / "comparison"],
            ),
            "segfair audit, 60 cases": (COMMAND, audit),
            "its imports alone": (IMPORTS, modules_of(audit)),
        }
        print("| what | CPU s | modules |")
        print("|---|---|---|")
        for title, (code, words) in rows.items():
            seconds, modules = run(code, words, repeats)
            print(f"| {title} | {seconds:.2f} | {modules:,} |", flush=True)


if __name__ == "__main__":
    main()
