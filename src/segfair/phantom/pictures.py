"""What a patient's images show: breast, tumour, how it enhances, what the scanner adds. Writes no file.

References:
    Gudbjartsson, Patz. The Rician distribution of noisy MRI data. Magn Reson Med 1995 (the noise).
    Kuhl. The current status of breast MR imaging, part I. Radiology 2007 (enhancement that washes out or persists).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segfair.phantom.geometry import FIELD_OF_VIEW_MM, Bools, Floats, Size, axes_mm, smooth_field, spacing_mm, stamp
from segfair.phantom.patients import Appearance, Patient

PHASES = ("pre-contrast", "early post-contrast", "late post-contrast")

# Relative signal of the tissues before contrast (fat is suppressed), and what contrast adds in each later phase.
_CHEST, _FAT, _GLAND = 0.45, 0.28, 0.52
_CHEST_UPTAKE, _FAT_UPTAKE = (0.05, 0.07), (0.02, 0.03)
_GLAND_SHARES = {"a": (0.03, 0.15), "b": (0.15, 0.35), "c": (0.35, 0.60), "d": (0.60, 0.85)}
_TUMOUR_RADIUS_MM = (10.4, 20.0)
_BLUR_MM = 1.8
_NOISE = 0.06
_FINEST_STEP = 1 / 256  # far below the noise; lets the compressed files be half as large


@dataclass(frozen=True, slots=True, eq=False)
class PhantomCase:
    """One synthetic patient.

    Attributes:
        id: Case id.
        image: (3, X, Y, Z) the phases, standardised over all phases and voxels.
        label: (X, Y, Z) 1 in the tumour, else 0; never empty.
        metadata: `patient_id`, `age`, `age_group`, `menopause`, `breast_density`, `site`; None where missing.
        planted: Whether the case belongs to the planted subgroup, with or without a bias.
    """

    id: str
    image: Floats
    label: NDArray[np.uint8]
    metadata: Mapping[str, object]
    planted: bool

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel sides; the field of view is the same for every size."""
        return spacing_mm(self.label.shape)

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) voxel to world: axes to the right, to the front, upwards."""
        return np.diag([*self.spacing_mm, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class Tumour:
    """A tumour inside `box`; `radius` is 0 in its centre and 1 on its surface, `inside` where it is."""

    box: tuple[slice, ...]
    inside: Bools
    radius: Floats


def draw_case(patient: Patient, size: Size, appearance: Appearance | None) -> PhantomCase:
    """Draws the anatomy, puts the tumour in, and images both; `appearance` applies to planted cases only."""
    body_rng, tumour_rng, usual_rng, other_rng, scanner_rng = patient.rng.spawn(5)
    spacing = np.array(spacing_mm(size))
    signal, breast, room = _grow_breast(size, patient.attributes, body_rng)
    tumour = _grow_tumour(breast, room, spacing, tumour_rng)
    if appearance is None or not patient.planted:
        _paint(signal, tumour, _usual(tumour, spacing, usual_rng))
    elif appearance != "hidden":
        _paint(signal, tumour, _LOOKS[appearance](tumour, spacing, other_rng))
    label = np.zeros(size, dtype=np.uint8)
    label[tumour.box] = tumour.inside
    return PhantomCase(patient.id, _scan(signal, spacing, scanner_rng), label, patient.metadata, patient.planted)


def _grow_breast(
    size: Size, attributes: Mapping[str, object], rng: np.random.Generator
) -> tuple[Floats, Bools, NDArray[np.float64]]:
    """A breast without a tumour.

    Returns:
        (3, X, Y, Z) signal of the phases; what is breast; and in mm how far a voxel lies from skin and chest wall.
    """
    spacing = np.array(spacing_mm(size))
    x, y, z = axes_mm(size)
    chest_mm = rng.uniform(16.0, 24.0)
    centre = np.array([rng.normal(64.0, 2.0), chest_mm, rng.normal(64.0, 2.0)])
    semi_axes = np.array([rng.uniform(46.0, 58.0), rng.uniform(62.0, 88.0), rng.uniform(46.0, 58.0)])
    wall = chest_mm + 4.0 * np.cos((x - centre[0]) / 30.0) - 2.0  # ribs bulge forwards in the middle
    chest = np.broadcast_to(y < wall, size)
    from_centre = np.sqrt(
        ((x - centre[0]) / semi_axes[0]) ** 2
        + ((y - centre[1]) / semi_axes[1]) ** 2
        + ((z - centre[2]) / semi_axes[2]) ** 2
    )
    from_skin = (1 - from_centre) * float(semi_axes.min())
    breast = (from_centre < 1) & ~chest
    body = breast | np.broadcast_to(y < wall + 7.0, size)  # fat covers the chest wall beside the breast too

    # Gland: the highest part of a lobulated field that is drawn to the middle of the breast.
    lobules = smooth_field(size, 8.0 / spacing, rng) + 0.6 * smooth_field(size, 4.0 / spacing, rng)
    lobules -= (2.0 * from_centre**2).astype(np.float32)
    beneath = breast & (from_skin > 4.0)
    low, high = _GLAND_SHARES[str(attributes["breast_density"])]
    gland = beneath & (lobules > np.quantile(lobules[beneath], 1 - rng.uniform(low, high)))

    before = np.select([chest, gland, body], [_CHEST, _GLAND, _FAT], 0.0).astype(np.float32)
    signal = np.stack([before, before, before])
    background = rng.uniform(0.03, 0.12) + (rng.uniform(0.0, 0.12) if attributes["menopause"] == "pre" else 0.0)
    for tissue, uptake in (
        (body, _FAT_UPTAKE),
        (chest, _CHEST_UPTAKE),
        (gland, (0.6 * background, background)),
    ):
        for phase, added in zip(signal[1:], uptake, strict=True):
            phase[tissue] = before[tissue] + added
    _add_vessels(signal, breast, centre, semi_axes, rng)
    _add_foci(signal, beneath, rng)
    # A tumour may come closer to the chest wall than to the skin.
    return signal, breast, np.minimum(from_skin, 1.4 * (y - wall))


def _add_vessels(
    signal: Floats,
    breast: Bools,
    centre: NDArray[np.float64],
    semi_axes: NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """One to three thin curves from the chest wall towards the nipple; they enhance early and stay bright."""
    spacing = FIELD_OF_VIEW_MM / np.array(breast.shape)
    for _ in range(int(rng.integers(1, 4))):
        start, bend, end = (
            centre + semi_axes * rng.uniform([-0.7, low, -0.7], [0.7, low + 0.3, 0.7]) for low in (0.0, 0.3, 0.5)
        )
        t = np.linspace(0.0, 1.0, 160)[:, None]
        curve = (1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t**2 * end
        where = stamp(curve, 1.8, breast.shape, spacing) & breast
        uptake = rng.uniform(0.5, 0.9)
        signal[1][where] = _GLAND + uptake
        signal[2][where] = _GLAND + 0.9 * uptake


def _add_foci(signal: Floats, beneath: Bools, rng: np.random.Generator) -> None:
    """None to two small benign foci, whose enhancement persists where a tumour's washes out."""
    spacing = FIELD_OF_VIEW_MM / np.array(beneath.shape)
    places = np.argwhere(beneath)
    for _ in range(int(rng.integers(0, 3))):
        place = (places[rng.integers(len(places))] + 0.5) * spacing
        where = stamp(place[None], rng.uniform(3.5, 6.5), beneath.shape, spacing) & beneath
        uptake = rng.uniform(0.3, 0.5)
        signal[1][where] = _GLAND + 0.7 * uptake
        signal[2][where] = _GLAND + uptake


def _grow_tumour(
    breast: Bools, room: NDArray[np.float64], spacing: NDArray[np.float64], rng: np.random.Generator
) -> Tumour:
    """A rough ellipsoid within the breast, where there is room for it."""
    radius_mm = rng.uniform(*_TUMOUR_RADIUS_MM)
    stretch = np.exp(rng.normal(0.0, 0.15, size=3))
    semi_axes = radius_mm * stretch / stretch.prod() ** (1 / 3)
    # Where it fits beneath the skin; in a small breast at least its middle does.
    distance = np.minimum(room, 0.8 * float(room[breast].max()))
    places = np.argwhere(breast & (distance >= min(float(semi_axes.max()) + 3.0, float(distance[breast].max()))))
    centre = (places[rng.integers(len(places))] + rng.uniform(0.25, 0.75, size=3)) * spacing
    reach = 1.4 * semi_axes
    low = np.maximum(np.floor((centre - reach) / spacing), 0).astype(int)
    high = np.minimum(np.ceil((centre + reach) / spacing), breast.shape).astype(int)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    offset = np.meshgrid(
        *(
            ((np.arange(a, b) + 0.5) * step - c) / s
            for a, b, step, c, s in zip(low, high, spacing, centre, semi_axes, strict=True)
        ),
        indexing="ij",
    )
    roughness = smooth_field(offset[0].shape, 6.0 / spacing, rng)
    radius = np.sqrt(sum(part**2 for part in offset)).astype(np.float32) * np.exp(0.10 * roughness)
    return Tumour(box, (radius < 1) & breast[box], radius)


# How tumours enhance: what contrast adds to the early and the late phase within the tumour's box


def _usual(tumour: Tumour, spacing: NDArray[np.float64], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Strong early enhancement that washes out, somewhat uneven."""
    strength, wash_out = rng.uniform(0.6, 1.0), rng.uniform(0.7, 0.92)
    early = strength * (1 + 0.1 * smooth_field(tumour.radius.shape, 4.5 / spacing, rng))
    return early, wash_out * early


def _signal_loss(tumour: Tumour, spacing: NDArray[np.float64], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The tumour darkens a little instead, alike in both phases."""
    lost = np.full_like(tumour.radius, -0.75 * rng.uniform(0.12, 0.20))
    return lost, lost


def _divided(tumour: Tumour, spacing: NDArray[np.float64], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The usual enhancement in the larger part; the other darkens clearly."""
    part = smooth_field(tumour.radius.shape, 8.0 / spacing, rng)
    dark = part > np.quantile(part[tumour.inside], rng.uniform(0.67, 0.77))
    lost = np.float32(-rng.uniform(0.2, 0.3))
    early, late = _usual(tumour, spacing, rng)
    return np.where(dark, lost, early), np.where(dark, lost, late)


def _clumped(tumour: Tumour, spacing: NDArray[np.float64], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Clumps with the usual enhancement in unenhanced tissue."""
    early, late = _usual(tumour, spacing, rng)
    clumps = smooth_field(tumour.radius.shape, 3.5 / spacing, rng)
    share = (clumps > np.quantile(clumps[tumour.inside], rng.uniform(0.65, 0.75))).astype(np.float32)
    return share * early, share * late


def _rim(tumour: Tumour, spacing: NDArray[np.float64], rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The usual enhancement in a shell beneath the surface; the core, necrotic, darkens clearly."""
    early, late = _usual(tumour, spacing, rng)
    core = tumour.radius < rng.uniform(0.62, 0.72)
    lost = np.float32(-rng.uniform(0.2, 0.3))
    return np.where(core, lost, early), np.where(core, lost, late)


_Look = Callable[[Tumour, NDArray[np.float64], np.random.Generator], tuple[Floats, Floats]]
_LOOKS: Mapping[Appearance, _Look] = {
    "signal-loss": _signal_loss,
    "divided": _divided,
    "clumped": _clumped,
    "rim": _rim,
}


def _paint(signal: Floats, tumour: Tumour, uptake: tuple[Floats, Floats]) -> None:
    """Puts the tumour into the phases; before contrast it looks like gland."""
    for phase, added in zip(signal, (np.zeros_like(tumour.radius), *uptake), strict=True):
        phase[tumour.box][tumour.inside] = _GLAND + added[tumour.inside]


def _scan(signal: Floats, spacing: NDArray[np.float64], rng: np.random.Generator) -> Floats:
    """Blur, uneven coil sensitivity, Rician noise; then standardised over all phases and voxels."""
    size = signal.shape[1:]
    ramps = [2 * axis / FIELD_OF_VIEW_MM - 1 for axis in axes_mm(size)]
    slopes, curves = rng.uniform(-1.0, 1.0, size=(2, 3))
    bent = sum(
        slope * ramp + curve * (ramp**2 - 1 / 3) for slope, curve, ramp in zip(slopes, curves, ramps, strict=True)
    )
    sensitivity = (1 + 0.06 * bent / np.abs(bent).max()).astype(np.float32)
    image = np.empty_like(signal)
    for phase, sharp in zip(image, signal, strict=True):
        blurred = ndimage.gaussian_filter(sharp, _BLUR_MM / spacing, truncate=3.0) * sensitivity
        real, imaginary = rng.standard_normal((2, *size), dtype=np.float32) * np.float32(_NOISE)
        np.hypot(blurred + real, imaginary, out=phase)
    image = (image - image.mean()) / image.std()
    step = np.float32(_FINEST_STEP)
    return np.asarray(np.rint(image / step) * step, dtype=np.float32)
