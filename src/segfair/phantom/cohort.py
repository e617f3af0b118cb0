"""Synthetic cases and a weak model's predictions of them, in memory. Writes no file."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segfair.errors import ConfigError
from segfair.phantom.geometry import Size, box_around, signed_depth_mm, smooth_field, stamp
from segfair.phantom.patients import Mechanism, MechanismName, find_mechanism, sample_patients
from segfair.phantom.pictures import PhantomCase, draw_case

_SMALLEST_SIDE = 16
_ISLAND_BLUR_MM = 2.0  # bright voxels that are noise attract no island


def sample_cases(
    n_cases: int,
    *,
    rng: np.random.Generator,
    size: Size = (64, 64, 48),
    bias: bool = True,
    planted_cases: int | None = None,
    mechanism: MechanismName | Mechanism = "faint",
    prefix: str = "PH",
) -> Iterator[PhantomCase]:
    """Draws synthetic cases, one after the other.

    Every case has a random stream of its own: its picture depends on `rng`, on its position, and on whether it is
    planted, but not on how many cases are drawn. Without the bias only the planted tumours' enhancement changes.
    Values that define the planted subgroup are never missing in planted cases, so that `planted_cases` is also
    the number that an audit can see.

    Args:
        n_cases: How many; 0 gives none.
        rng: Where all randomness comes from; a second call with the same generator gives other cases.
        size: Voxels along each axis, each at least 16.
        bias: Whether tumours of the planted subgroup look different.
        planted_cases: Exact number of cases of the planted subgroup at random positions; None leaves it to chance
            (about one case in twenty for two attributes, in ten for the rarest site).
        mechanism: What is planted, and in whom.
        prefix: First part of the case ids; different ones keep several draws apart.

    Raises:
        ConfigError: A size too small, more planted cases than cases, or an unknown mechanism.
    """
    chosen = find_mechanism(mechanism)
    check_settings(n_cases, size, planted_cases)
    # Not a generator function: errors come at once, and streams are taken from `rng` in the order of the calls.
    patients = sample_patients(n_cases, rng=rng, planted_cases=planted_cases, mechanism=chosen, prefix=prefix)
    return (draw_case(patient, size, chosen.appearance if bias else None) for patient in patients)


def predict_weakly(case: PhantomCase, *, rng: np.random.Generator, bias: bool = True) -> NDArray[np.uint8]:
    """What a mediocre model might predict: the label with a wandering boundary, islands and misses.

    The boundary is the zero level of the label's signed distance plus a smooth random field, whose strength varies
    from case to case. Some predictions have false-positive islands where the image enhances, and a few miss the
    tumour altogether. With a bias, boundaries of the planted subgroup wander further and shrink, and parts or all
    of the tumour are missed more often: scores overlap with everybody else's, and no constant is subtracted.

    Args:
        case: The case; its images only decide where islands lie.
        rng: Randomness of this one prediction.
        bias: Whether the planted subgroup is served worse.

    Returns:
        (X, Y, Z) mask of 0 and 1, empty where the tumour is missed and there is no island.
    """
    worse = bias and case.planted
    spacing = np.array(case.spacing_mm)
    prediction = np.zeros(case.label.shape, dtype=np.uint8)
    # Every draw is made whether or not it is used, so that the bias changes nothing but its own effect.
    wander_mm = math.exp(rng.normal(math.log(2.0), 0.35)) * (1.9 if worse else 1.0)
    shift_mm = rng.normal(0.0, 0.5) - (1.3 if worse else 0.0)
    missed, cut, cut_at = rng.random(), rng.random(), rng.uniform(0.0, 0.5)
    direction = rng.normal(size=3)
    islands = int(rng.random() < (0.35 if worse else 0.2)) * int(rng.integers(1, 3))

    box = box_around(case.label.astype(bool), spacing, margin_mm=14.0)
    label = case.label[box].astype(bool)
    depth_mm = signed_depth_mm(label, spacing)
    field = 0.8 * smooth_field(label.shape, 7.0 / spacing, rng) + 0.6 * smooth_field(label.shape, 3.5 / spacing, rng)
    inside = depth_mm + wander_mm * field + shift_mm > 0
    if worse and cut < 0.3:
        # One end of the tumour, beyond a plane, is taken for normal tissue.
        steps = direction / np.linalg.norm(direction) * spacing
        along = np.tensordot(steps, np.indices(label.shape), axes=1) - np.argwhere(label).mean(axis=0) @ steps
        inside &= along < cut_at * along[label].max()
    if missed >= (0.06 if worse else 0.01):
        prediction[box] = inside
    if islands:
        _add_islands(prediction, case, box, islands, rng)
    return prediction


def check_settings(n_cases: int, size: Size, planted_cases: int | None) -> None:
    """Refuses a cohort that cannot be drawn.

    Raises:
        ConfigError: A size too small, a negative number of cases, or more planted cases than cases.
    """
    if len(size) != 3 or min(size) < _SMALLEST_SIDE:
        raise ConfigError(
            f"size {' x '.join(map(str, size))}: three sides of at least {_SMALLEST_SIDE} voxels are needed"
        )
    if n_cases < 0:
        raise ConfigError(f"cases: got {n_cases}, expected 0 or more")
    if planted_cases is not None and not 0 <= planted_cases <= n_cases:
        raise ConfigError(f"planted cases: got {planted_cases}, expected 0 to {n_cases} (the number of cases)")


def _add_islands(
    prediction: NDArray[np.uint8],
    case: PhantomCase,
    tumour: tuple[slice, ...],
    n_islands: int,
    rng: np.random.Generator,
) -> None:
    """Blobs on vessels, foci and bright gland: where the early phase enhances most, away from the tumour."""
    spacing = np.array(case.spacing_mm)
    uptake = ndimage.gaussian_filter(case.image[1] - case.image[0], _ISLAND_BLUR_MM / spacing, truncate=3.0)
    uptake[tumour] = -np.inf  # the box around the tumour, margin included
    n_places = uptake.size // 500
    brightest = np.argpartition(uptake, -n_places, axis=None)[-n_places:]
    places = np.stack(np.unravel_index(brightest, uptake.shape), axis=-1)
    for _ in range(n_islands):
        place = (places[rng.integers(len(places))] + 0.5) * spacing
        prediction[stamp(place[None], rng.uniform(3.0, 6.0), prediction.shape, spacing)] = 1
