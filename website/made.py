"""What the build makes before the pages are laid out: reports, their pictures, and notebooks that were run.

    python website/made.py build/made
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gallery import make_reports
from notebooks import notebook_page, run_notebook
from pictures import can_take_pictures, take_pictures

ROOT = Path(__file__).resolve().parents[1]


def main(folder: Path) -> None:
    """Makes all of it in a folder, anew."""
    make_reports(folder / "reports")
    if can_take_pictures():
        take_pictures(folder / "reports", folder / "pictures")
    else:
        print("no chromium with chromedriver: the pictures of the repository stand for those of this build")
    (folder / "notebooks").mkdir(exist_ok=True)
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        print(f"runs {path.name}", flush=True)
        with tempfile.TemporaryDirectory() as empty:
            page = notebook_page(run_notebook(path, Path(empty)), f"../examples/{path.name}")
        (folder / "notebooks" / f"{path.stem}.md").write_text(page, "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
