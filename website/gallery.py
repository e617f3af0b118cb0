"""Real reports for the gallery: made by the commands that a reader would give, never kept in the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BUSBRA = "SEGFAIR_BUSBRA"
"""Names the folder of BUS-BRA; it is read and never copied."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A report of the gallery.

    Attributes:
        name: Of its folder.
        page: Its first page there.
        title: What a reader sees above it.
        about: Two sentences.
        commands: What makes it, in the folder of all of them.
        beside: Further folders that they make, and to which its pages link.
    """

    name: str
    page: str
    title: str
    about: str
    commands: tuple[str, ...]
    beside: tuple[str, ...] = ()


SHOWN = (
    Shown(
        "audit",
        "report.html",
        "An audit that finds something",
        "The embedded cohort: 60 cases, and a weak model that serves one of their subgroups worse. The outlines of the "
        "worst cases lie over their images.",
        (
            "segfair phantom cohort",
            "segfair audit cohort/preds cohort/labels cohort/metadata.csv --images cohort/images --primary site "
            "--margin dsc=0.1 --gate 'FS >= 0.85' --out audit",
        ),
    ),
    Shown(
        "no-bias",
        "report.html",
        "An audit that finds nothing",
        "The same cohort with a model that serves everybody alike. The page says which gaps would have been seen.",
        (
            "segfair phantom alike --seed 7 --no-bias",
            "segfair audit alike/preds alike/labels alike/metadata.csv --out no-bias",
        ),
    ),
    Shown(
        "ranking",
        "leaderboard.html",
        "A ranking of four teams",
        "Four teams on the embedded cohort, under the rules of the MAMA-MIA challenge: the order, how sure it is, and "
        "what decides it.",
        ("segfair rank teams cohort/labels cohort/metadata.csv --protocol mama-mia --out ranking",),
    ),
    Shown(
        "comparison",
        "comparison.html",
        "Two models compared",
        "The same cases under two models: who gained, and who was harmed.",
        (
            "segfair audit teams/borealis cohort/labels cohort/metadata.csv --out before",
            "segfair compare before/ audit/ --out comparison",
        ),
        beside=("before",),
    ),
    Shown(
        "mitigation",
        "comparison.html",
        "Trained to be fairer",
        "A plain model and one that draws badly served cases more often, a few epochs each on small images: how a "
        "comparison of strategies looks. What strategies are worth is told by the benchmarks.",
        (
            "segfair phantom small --size 32 32 24",
            "segfair mitigate small --folds 3 --epochs 5 --out mitigation",
        ),
    ),
)

REAL = Shown(
    "bus-bra",
    "report.html",
    "Real images: BUS-BRA",
    "1,875 breast ultrasound images of 1,064 patients (Gómez-Flores et al., Medical Physics 2024), segmented by a "
    "small network that was trained for four epochs, each case by one that has not seen its patient.",
    (
        f"segfair mitigate ${BUSBRA} --strategy erm --splits fold --subject-column patient --spatial-size 64 64 "
        "--attributes device,birads,pathology --categorical birads --epochs 4 --out bus-bra-training",
        f"segfair audit bus-bra-training/erm/predictions/pooled ${BUSBRA}/labels ${BUSBRA}/metadata.csv "
        f"--images ${BUSBRA}/images --subject-column patient --attributes device,birads,pathology --categorical birads "
        "--out bus-bra",
    ),
)

TEAMS = """
import numpy as np
from pathlib import Path
from segfair.files.images.masks import read_mask, write_mask
shifts = {"aurora": 0, "borealis": 1, "cetus": 2, "draco": 0}
for team, shift in shifts.items():
    folder = Path("teams") / team
    folder.mkdir(parents=True)
    for number, path in enumerate(sorted(Path("cohort/preds").glob("*.nii.gz"))):
        mask = read_mask(path)
        array = np.roll(mask.array, shift, axis=0)
        if team == "draco":
            array = np.where(number % 10, array | np.roll(array, 1, axis=1), 0)
        write_mask(folder / path.name, array.astype(np.uint8), affine=mask.affine)
"""
"""Teams that differ from the weak model: moved outlines; one that is generous, and misses every tenth lesion."""


def shown() -> tuple[Shown, ...]:
    """Those that can be made here: BUS-BRA where its data are."""
    return (*SHOWN, REAL) if os.environ.get(BUSBRA) else SHOWN


def make_reports(folder: Path, entries: Sequence[Shown]) -> None:
    """Makes reports in an empty folder, in the order of `shown`, for some take what an earlier one made."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": binaries, "NO_COLOR": "1", "OMP_NUM_THREADS": "1"}
    # The program of this environment, whether it is installed or lies on the path of modules.
    preamble = f'segfair() {{ "{sys.executable}" -m segfair "$@"; }}\nset -e\n'
    for entry in entries:
        if entry.name == "ranking":
            made = [sys.executable, "-c", TEAMS]
            # Lines of this file.
            subprocess.run(made, cwd=folder, env=environment, check=True)  # nosec B603
        for command in entry.commands:
            print(f"$ {command}", flush=True)
            typed = ["bash", "-c", preamble + command]
            # Lines of this file, as a reader types them.
            subprocess.run(typed, cwd=folder, env=environment, check=True)  # nosec B603
