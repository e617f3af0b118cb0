"""The values of all PNG masks together; other formats and broken files have none here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segfair.files.images.grey_levels import MOST_LEVELS, grey_levels


def png(path: Path, *values: int) -> Path:
    Image.fromarray(np.array([values], dtype=np.uint8)).save(path)
    return path


def test_the_values_of_all_files_rise_and_stand_once(tmp_path: Path) -> None:
    paths = [png(tmp_path / "a.png", 0, 255), png(tmp_path / "b.PNG", 7, 0), tmp_path / "c.nii.gz"]
    (tmp_path / "d.png").write_bytes(b"no picture")
    assert grey_levels([*paths, tmp_path / "d.png", tmp_path / "gone.png"]) == (0, 7, 255)
    assert grey_levels([]) == ()


def test_the_search_ends_where_labels_become_pictures(tmp_path: Path) -> None:
    first = [png(tmp_path / f"{index:03d}.png", *range(MOST_LEVELS + 1)) for index in range(64)]
    late = png(tmp_path / "late.png", 200)
    assert grey_levels([*first, late]) == tuple(range(MOST_LEVELS + 1))
    assert 200 in grey_levels([late, *first])
