"""Records structure sets of rt-utils: it depends on OpenCV, and brings a package `tests` along, so no test installs it.

In an environment with rt-utils 1.2.7: `python -m tests.files.dicom.record_rt_utils`
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from tests.dicom_fixtures import AXIAL, OBLIQUE, Series, ball, write_series

SHAPE = (16, 14, 8)
ORIENTATIONS = {"axial": AXIAL, "oblique": OBLIQUE}
LESION = ball(SHAPE, (7, 6, 3), 4.5)
MASKS = {"lesion": LESION, "hollow": LESION & ~ball(SHAPE, (7, 6, 3), 2.2), "node": ball(SHAPE, (13, 11, 6), 1.5)}


def recorded(orientation: str) -> Path:
    """The structure set of `MASKS`, in this order."""
    return Path(__file__).with_name(f"rt_utils_{orientation}.dcm")


def imaged(folder: Path, orientation: str, frame: str | None = None) -> Series:
    """The series it was drawn on; one spacing in both directions, for rt-utils takes that of rows for that of columns."""
    return write_series(folder, orientation=ORIENTATIONS[orientation], spacing=(0.9, 0.9, 2.5), frame=frame)


def _record(orientation: str) -> None:
    import rt_utils

    with tempfile.TemporaryDirectory() as folder:
        imaged(Path(folder), orientation)
        made = rt_utils.RTStructBuilder.create_new(dicom_series_path=folder)
    for name, mask in MASKS.items():
        made.add_roi(mask=np.transpose(mask, (1, 0, 2)), name=name, approximate_contours=False)
    made.save(str(recorded(orientation)))


if __name__ == "__main__":
    for orientation in ORIENTATIONS:
        _record(orientation)
