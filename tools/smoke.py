"""Whether an installed segfair does what it is for: a cohort from command to page, and back.

    build/clean/bin/python tools/smoke.py build/clean

Run it by the Python of the environment to be tried, from a folder that holds no segfair.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points, version
from pathlib import Path

import segfair

COMMANDS = (
    ("phantom", "cohort", "--cases", "16"),
    ("audit", "cohort/preds", "cohort/labels", "cohort/metadata.csv", "--out", "report", "--permutations", "99"),
    ("report", "report/audit.json", "--out", "again"),
    ("verify", "report"),
    ("compare", "report", "again", "--out", "compared"),
    ("card", "report"),
)


def main() -> None:
    """Exits with a message where something is wrong."""
    environment = Path(sys.argv[1]).resolve()
    if not Path(segfair.__file__).resolve().is_relative_to(environment):
        sys.exit(f"segfair is that of {segfair.__file__}, not that of {environment}")
    (script,) = entry_points(group="console_scripts", name="segfair")
    if script.load() is None or segfair.__version__ != version("segfair"):
        sys.exit("the command or the version is not that of the package")
    with tempfile.TemporaryDirectory() as folder:
        for words in COMMANDS:
            run = [sys.executable, "-m", "segfair", *words]
            # Fixed words, and no shell between.
            done = subprocess.run(run, cwd=folder, capture_output=True, text=True, check=False)  # nosec B603
            if done.returncode != 0:
                sys.exit(f"segfair {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        audit = json.loads((Path(folder) / "report" / "audit.json").read_text("utf-8"))
        page = (Path(folder) / "again" / "report.html").read_text("utf-8")
    if audit["cases"]["n_scored"] != 16 or "</html>" not in page:
        sys.exit("the audit or its page is not whole")
    print(f"segfair {segfair.__version__}: {len(COMMANDS)} commands from cohort to page")


if __name__ == "__main__":
    main()
