"""Cohorts with known truth, for the benchmarks: attributes, skewed Dice, planted deficits, round and real lesions.

Also what the audit of one costs as a user runs it.
"""

from __future__ import annotations

import csv
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from segfair import stats
from segfair.scoring import metrics

Floats = NDArray[np.float64]
Items = tuple[tuple[int, int], ...]

SHARES = ((0.10, 0.25, 0.30, 0.22, 0.13), (0.35, 0.50, 0.15), (0.10, 0.30, 0.42, 0.18))
"""Level frequencies of three attributes of five, three and four levels."""


def draw_codes(rng: np.random.Generator, n_cases: int, shares: Sequence[Sequence[float]] = SHARES) -> NDArray[np.intp]:
    """(n_attributes, n_cases) independent attributes."""
    return np.stack([rng.choice(len(share), n_cases, p=share) for share in shares])


def skewed_dice(rng: np.random.Generator, n_cases: int, *, zeros: float = 0.04) -> Floats:
    """Dice as models give it: Beta(4, 1.3), and a few lesions missed altogether."""
    dice = rng.beta(4.0, 1.3, n_cases)
    dice[rng.random(n_cases) < zeros] = 0.0
    return dice


@functools.cache
def dice_moments(zeros: float = 0.04) -> tuple[float, float]:
    """Mean and standard deviation of `skewed_dice`."""
    a, b = 4.0, 1.3
    mean, square = a / (a + b), a * (a + 1) / ((a + b) * (a + b + 1))
    return (1 - zeros) * mean, float(np.sqrt((1 - zeros) * square - ((1 - zeros) * mean) ** 2))


def conjunctions(codes: NDArray[np.intp], *, min_cases: int) -> Iterator[tuple[Items, NDArray[np.bool_]]]:
    """All conjunctions of levels with at least `min_cases` cases: their items and members."""
    n_attributes, n_cases = codes.shape

    def descend(attribute: int, members: NDArray[np.bool_], items: Items) -> Iterator[tuple[Items, NDArray[np.bool_]]]:
        for deeper in range(attribute, n_attributes):
            for level in range(int(codes[deeper].max()) + 1):
                both = members & (codes[deeper] == level)
                if np.count_nonzero(both) >= min_cases:
                    longer = (*items, (deeper, level))
                    yield longer, both
                    yield from descend(deeper + 1, both, longer)

    yield from descend(0, np.ones(n_cases, dtype=bool), ())


def lattice(codes: NDArray[np.intp], *, min_cases: int) -> tuple[NDArray[np.bool_], list[Items]]:
    """The same as a membership matrix, and the items of its rows."""
    found = list(conjunctions(codes, min_cases=min_cases))
    matrix = np.array([members for _, members in found], dtype=bool)
    return matrix.reshape(len(found), codes.shape[1]), [items for items, _ in found]


def plant(rng: np.random.Generator, n_cases: int, n_planted: int) -> tuple[NDArray[np.intp], Items]:
    """Attributes of which exactly `n_planted` cases have both first and last level of the first two."""
    codes = draw_codes(rng, n_cases)
    both = (codes[0] == 0) & (codes[1] == 2)
    codes[1, both] = 1
    chosen = rng.choice(n_cases, n_planted, replace=False)
    codes[0, chosen], codes[1, chosen] = 0, 2
    return codes, ((0, 0), (1, 2))


@dataclass(frozen=True, slots=True)
class Lesions:
    """Digitised spherical lesions, their one-voxel boundary errors, and what they score."""

    volume: Floats
    dice: Floats
    dice_deficit: Floats
    """The same with the predicted radius 0.35 voxels (mm) too small on top."""


@functools.cache
def lesion_pool(count: int, scale: float, seed: int) -> Lesions:
    """Lesions of log-normal radius (median 8 voxels times `scale`) and predictions that miss by about a voxel.

    Label and prediction are spheres digitised on a grid of 1 mm. The prediction's centre is displaced and its
    radius is 0.4 mm too small on average, both by amounts that do not depend on the lesion's size.
    """
    rng = np.random.default_rng(seed)
    radius = np.clip(8.0 * scale * np.exp(0.4 * rng.standard_normal(count)), 1.5, 26.0)
    centre, shift = rng.random((count, 3)), 0.6 * rng.standard_normal((count, 3))
    growth = 0.4 * rng.standard_normal(count) - 0.4
    volume, dice, deficit = np.empty(count), np.empty(count), np.empty(count)
    for index in range(count):
        reach = int(radius[index] + 5)
        axis = np.arange(-reach, reach + 1, dtype=np.float32)
        squared = [
            [(axis - offset) ** 2 for offset in place] for place in (centre[index], centre[index] + shift[index])
        ]
        label, predicted = (z[:, None, None] + y[None, :, None] + x[None, None, :] for z, y, x in squared)
        label_mask = label <= radius[index] ** 2
        volume[index] = np.count_nonzero(label_mask)
        for loss, scores in ((0.0, dice), (0.35, deficit)):
            mask = predicted <= max(radius[index] + growth[index] - loss, 0.0) ** 2
            joint = np.count_nonzero(mask & label_mask)
            scores[index] = 2 * joint / max(1, volume[index] + np.count_nonzero(mask))
    return Lesions(volume, dice, deficit)


@dataclass(frozen=True, slots=True)
class RealLesions:
    """Real cases that are taken for the whole population: what is resampled from them has a known truth."""

    codes: NDArray[np.intp]
    """(9, n_cases) attributes, those with a disparity first."""
    outcomes: Floats
    """(2, n_cases) DSC and NormHD."""


@functools.cache
def real_lesions(folder: Path) -> RealLesions:
    """BUS-BRA's labels, and predictions that miss their outline by about a pixel and a half.

    A prediction is the label's signed distance plus smooth noise, cut at a threshold that is drawn per case and 1.5
    pixels tighter for one device, so that small lesions score worse; 3 % find nothing. NormHD is HD95 in pixels over
    50, at most 1.

    Args:
        folder: `labels/ID.png` and `metadata.csv` of the data set (Gomez-Flores et al., Medical Physics 2024).
    """
    from PIL import Image

    rng = np.random.default_rng(0)
    with (folder / "metadata.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    size, outcomes = np.empty(len(rows)), np.empty((2, len(rows)))
    for index, row in enumerate(rows):
        label = np.asarray(Image.open(folder / "labels" / f"{row['image_id']}.png")) > 0
        outside, inside = (scipy.ndimage.distance_transform_edt(mask) for mask in (~label, label))
        noise = scipy.ndimage.gaussian_filter(rng.standard_normal(label.shape), 6)
        threshold = rng.normal(1.0, 1.5) + 1.5 * row["device"].startswith("Toshiba")
        prediction = outside - inside + 2 * noise / noise.std() + threshold < 0
        prediction &= rng.random() >= 0.03
        pair = metrics.MaskPair(label=label, prediction=prediction, spacing_mm=(1.0, 1.0))
        distance = metrics.hausdorff(metrics.surface_distances(pair)) if prediction.any() else np.inf
        size[index], outcomes[:, index] = label.sum(), (metrics.dice(pair), min(1.0, distance / 50))
    number = columns["patient"].astype(int)
    codes = (
        np.digitize(size, np.quantile(size, [1 / 3, 2 / 3])),
        _pooled(columns["histology"], 300),
        _pooled(columns["device"], 300),
        np.unique(columns["birads"], return_inverse=True)[1],
        np.unique(columns["pathology"], return_inverse=True)[1],
        np.unique(columns["side"], return_inverse=True)[1],
        np.unique(columns["fold"], return_inverse=True)[1],
        np.digitize(number, np.quantile(number, [1 / 3, 2 / 3])),
        number % 4,
    )
    return RealLesions(np.stack(codes).astype(np.intp), outcomes)


def _pooled(values: NDArray[np.str_], least: int) -> NDArray[np.intp]:
    """Levels by name, those of fewer than `least` cases as one."""
    names, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.unique(np.where(counts[inverse] < least, len(names), inverse), return_inverse=True)[1]


# ------------------------------------------------------------------------------------------------ gaps to be explained


@dataclass(frozen=True, slots=True)
class Gaps:
    """How many cases a cohort has, and which subgroups of it are worse."""

    n_cases: int
    planted: tuple[Items, ...] = ()
    power: float = 0.9
    """With which the power map promises that all of them are found."""


PAIR: Items = ((0, 1), (1, 2))
GAPS = {
    "none": Gaps(300),
    "one level": Gaps(300, (((1, 2),),)),
    "one pair": Gaps(300, (PAIR,)),
    "two apart": Gaps(500, (PAIR, ((0, 3), (2, 0)))),
    "two crossing": Gaps(400, (((1, 2),), ((2, 2),))),
    "one in another": Gaps(500, (((1, 2),), PAIR)),
    "three crossing": Gaps(600, (((0, 1),), ((1, 2),), ((2, 2),))),
    "one in another, crossed": Gaps(600, (((1, 2),), PAIR, ((2, 2),))),
}
HALVES = {
    "two halves crossing": Gaps(400, (((1, 1),), ((3, 1),))),
    "two halves crossing, far larger gaps": Gaps(400, (((1, 1),), ((3, 1),)), power=1 - 1e-9),
}
"""Gaps that show more in the corner that they share than in either of them."""


@dataclass(frozen=True, slots=True)
class Planted:
    """A cohort whose gaps are known."""

    codes: NDArray[np.intp]
    dice: Floats
    members: NDArray[np.bool_]
    items: list[Items]
    planted: frozenset[Items]


def four_attributes(rng: np.random.Generator, n_cases: int, *, confounded: bool) -> NDArray[np.intp]:
    """Four attributes; if confounded, the third follows the first in 60 % of cases, the fourth the second in 40 %."""
    codes = draw_codes(rng, n_cases, ((0.2, 0.3, 0.3, 0.2), (0.3, 0.4, 0.3), (0.4, 0.35, 0.25), (0.5, 0.5)))
    if confounded:
        codes[2] = np.where(rng.random(n_cases) < 0.6, np.minimum(codes[0], 2), codes[2])
        codes[3] = np.where(rng.random(n_cases) < 0.4, codes[1] == 2, codes[3])
    return codes


@functools.cache
def critical(n_cases: int, confounded: bool) -> float:
    """Critical |t| of the family of such a cohort, as `segfair power` has it."""
    rng = np.random.default_rng([n_cases, confounded])
    members, _ = lattice(four_attributes(rng, n_cases, confounded=confounded), min_cases=10)
    return stats.null_critical(members, rng=rng, permutations=1000) or np.nan


def plant_gaps(rng: np.random.Generator, gaps: Gaps, *, confounded: bool) -> Planted:
    """A cohort whose gaps are as large as the power map asks for all of them to be found with the power together.

    A gap within another one is measured against the rest of that; one around another by the cases outside of it.
    """
    codes = four_attributes(rng, gaps.n_cases, confounded=confounded)
    dice = skewed_dice(rng, gaps.n_cases)
    held = {items: np.all([codes[a] == level for a, level in items], axis=0) for items in gaps.planted}
    for items, own in held.items():
        around = [held[other] for other in held if set(other) < set(items)]
        inside = [held[other] for other in held if set(other) > set(items)]
        n_own = np.count_nonzero(own & ~np.any([np.zeros_like(own), *inside], axis=0))
        n_all = min([gaps.n_cases, *map(np.count_nonzero, around)])
        gap = stats.detectable_gap(
            np.array(n_own),
            n_all,
            sd=dice_moments()[1],
            critical=critical(gaps.n_cases, confounded),
            power=1 - (1 - gaps.power) / len(held),
        )
        dice = dice - float(gap) * own
    members, items = lattice(codes, min_cases=10)
    return Planted(codes, dice, members, items, frozenset(gaps.planted))


def explained(
    cohort: Planted, rng: np.random.Generator, permutations: int, first: stats.MaxT | None = None
) -> set[Items]:
    """What segfair's findings name."""
    named = stats.explain(
        cohort.members,
        cohort.dice,
        lengths=np.array([len(items) for items in cohort.items]),
        harm=-1,
        rng=rng,
        draws=1,
        permutations=permutations,
        first=first,
    )
    return {cohort.items[entry.row] for entry in named}


# ------------------------------------------------------------------------------------------- what an audit of one costs


@dataclass(frozen=True, slots=True)
class AuditCost:
    """What `segfair audit-scores` took, imports and pages included, and what it wrote."""

    cpu_s: float
    peak_gb: float
    """Highest resident memory."""
    page_mb: float
    json_mb: float
    tree: dict[str, Any]
    """`audit.json`."""


def cost_of_audit(scores: Mapping[str, Sequence[Any]], metadata: Mapping[str, Sequence[Any]]) -> AuditCost:
    """The audit of two tables (column -> cells) in a process of its own with one thread, from CSV to a report."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tables, out = [folder / "scores.csv", folder / "metadata.csv"], folder / "report"
        for path, columns in zip(tables, (scores, metadata), strict=True):
            with path.open("w", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(columns)
                rows.writerows(zip(*columns.values(), strict=True))
        command = [sys.executable, "-m", "segfair", "audit-scores", *map(str, tables), "--out", str(out)]
        child = subprocess.Popen(
            command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        message = child.stderr.read().decode() if child.stderr else ""
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"segfair audit-scores ended with {child.returncode}: {message}")
        page_mb, json_mb = ((out / file).stat().st_size / 1e6 for file in ("report.html", "audit.json"))
        tree = json.loads((out / "audit.json").read_text("utf-8"))
    return AuditCost(used.ru_utime + used.ru_stime, used.ru_maxrss / 2**20, page_mb, json_mb, tree)
