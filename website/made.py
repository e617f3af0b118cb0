"""What the build makes before the pages are laid out: reports, their pictures, and notebooks that were run.

python website/made.py build/made [reports] [pictures] [notebooks]     all three where none is named
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from gallery import make_reports, shown
from notebooks import notebook_page, run_notebook
from pictures import can_take_pictures, take_pictures

ROOT = Path(__file__).resolve().parents[1]


def make_pictures(folder: Path) -> None:
    """Of the reports that were made; a browser takes them."""
    if can_take_pictures():
        take_pictures(folder / "reports", folder / "pictures")
    else:
        print("no chromium with chromedriver: the pictures of the repository stand for those of this build")


def make_notebooks(folder: Path) -> None:
    """Each notebook of examples/ as a page, with what it says when it is run."""
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "examples").glob("*.ipynb")):
        print(f"runs {path.name}", flush=True)
        with tempfile.TemporaryDirectory() as empty:
            page = notebook_page(run_notebook(path, Path(empty)), f"../../examples/{path.name}")
        (folder / "notebooks" / f"{path.stem}.md").write_text(page, "utf-8")


def main(folder: Path, parts: list[str]) -> None:
    """Makes them in this order, for pictures are taken of reports."""
    for name, make in (
        ("reports", lambda: make_reports(folder / "reports", shown())),
        ("pictures", lambda: make_pictures(folder)),
        ("notebooks", lambda: make_notebooks(folder)),
    ):
        if name in parts or not parts:
            make()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
