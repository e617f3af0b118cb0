"""The imaged cube and random shapes in it, in mm, so that every size shows the same breast. Knows no patient."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FIELD_OF_VIEW_MM = 128.0
"""Side of the imaged cube, whatever its number of voxels: one breast and the chest wall behind it."""

Size = tuple[int, int, int]
Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


def signed_depth_mm(inside: Bools, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance to the boundary, positive inside; the boundary lies between voxels, half a voxel from both sides."""
    depth = ndimage.distance_transform_edt(inside, sampling=spacing)
    height = ndimage.distance_transform_edt(~inside, sampling=spacing)
    half = 0.5 * float(spacing.mean())
    return np.where(inside, depth - half, half - height)


def spacing_mm(shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Voxel sides of a (X, Y, Z) picture of the cube."""
    x, y, z = (FIELD_OF_VIEW_MM / side for side in shape)
    return x, y, z


def axes_mm(size: tuple[int, ...]) -> tuple[NDArray[np.float64], ...]:
    """Voxel centres along each axis, shaped to broadcast: to the right, to the front, upwards."""
    return np.ix_(*((np.arange(side) + 0.5) * FIELD_OF_VIEW_MM / side for side in size))


def smooth_field(shape: tuple[int, ...], sigma: NDArray[np.float64], rng: np.random.Generator) -> Floats:
    """Gaussian random field of mean 0 and variance 1, `sigma` the blur in voxels along each axis.

    Blurred in Fourier space, where a wide blur costs no more than a narrow one; opposite faces are neighbours.
    """
    spectrum = np.fft.rfftn(rng.standard_normal(shape, dtype=np.float32))
    frequencies = np.ix_(*(np.fft.fftfreq(side) for side in shape[:-1]), np.fft.rfftfreq(shape[-1]))
    exponent = sum((blur * frequency) ** 2 for blur, frequency in zip(sigma, frequencies, strict=True))
    spectrum *= np.exp(-2 * math.pi**2 * exponent)
    field = np.fft.irfftn(spectrum, s=shape, axes=tuple(range(len(shape))))
    field -= field.mean()
    return np.asarray(field / max(float(field.std()), 1e-12), dtype=np.float32)


def stamp(
    points_mm: NDArray[np.float64], radius_mm: float, shape: tuple[int, ...], spacing: NDArray[np.float64]
) -> Bools:
    """Voxels whose centre lies within `radius_mm` of a point, and at least the voxel that each point lies in."""
    home = np.floor(points_mm / spacing).astype(int)
    reach = np.ceil(radius_mm / spacing).astype(int)
    around = np.stack(np.meshgrid(*(np.arange(-r, r + 1) for r in reach), indexing="ij"), axis=-1).reshape(-1, 3)
    voxels = home[:, None] + around
    distance = np.linalg.norm((voxels + 0.5) * spacing - points_mm[:, None], axis=-1)
    near = (distance <= radius_mm) | (around == 0).all(axis=-1)
    chosen = voxels[near & ((voxels >= 0) & (voxels < shape)).all(axis=-1)]
    stamped = np.zeros(shape, dtype=bool)
    stamped[tuple(chosen.T)] = True
    return stamped


def box_around(inside: Bools, spacing: NDArray[np.float64], *, margin_mm: float) -> tuple[slice, ...]:
    """Smallest box around a non-empty mask, widened by a margin as far as the image goes."""
    box = ndimage.find_objects(inside.astype(np.uint8))[0]
    margin = np.ceil(margin_mm / spacing).astype(int)
    return tuple(
        slice(max(0, side.start - int(more)), min(n, side.stop + int(more)))
        for side, more, n in zip(box, margin, inside.shape, strict=True)
    )
