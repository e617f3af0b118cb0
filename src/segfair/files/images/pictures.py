"""Pictures (PNG) and stacks of them (TIFF, a page a slice) as arrays of pixels; the only importer of Pillow for them.

Axes are (x, y) or (x, y, page). Neither format says how large a pixel is: what they call resolution is the size of a
print. Never decides what grey levels mean.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.errors import InputError, damage_of
from segfair.files.images.voxel_stream import refuse_lie

__all__ = ["PICTURE_SUFFIXES", "colours_of", "is_picture", "label_pixels", "luminance", "read_picture"]

PICTURE_SUFFIXES = (".png", ".tif", ".tiff")

_MODE_BYTES = {"I": 4, "F": 4, "I;16": 2, "I;16B": 2, "I;16L": 2}
_LUMINANCE = (0.299, 0.587, 0.114)


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.name.lower().endswith(PICTURE_SUFFIXES)


def read_picture(path: Path) -> NDArray[Any]:
    """The pixels as they are stored: (x, y) or (x, y, page), with a last axis of colours where there are colours.

    A palette's colours are decoration: its indices are the pixels.

    Returns:
        Grey: 2-D, or 3-D for several pages. Colour: (x, y, page, colours), with one page for a picture; the colours are
        grey, grey and opacity, red green and blue, or these and opacity.

    Raises:
        InputError: Damaged, no picture, or pages of different sizes or kinds.
    """
    from PIL import Image, ImageSequence

    kind = path.suffix.lstrip(".").upper()
    try:
        content = path.read_bytes()
        # From memory, where a length that is only claimed takes none; these formats alone, whatever else Pillow knows.
        with _whole_only(), Image.open(io.BytesIO(content), formats=("PNG", "TIFF")) as picture:
            n_bytes, pages = 0, []
            for page in ImageSequence.Iterator(picture):
                n_bytes += page.width * page.height * max(len(page.getbands()), _MODE_BYTES.get(page.mode, 1))
                refuse_lie(path, n_bytes, len(content))
                pages.append(np.asarray(page))
    except (InputError, MemoryError):
        raise
    except Exception as error:  # whatever a damaged picture provokes inside of Pillow
        raise InputError(f"{path}: cannot be read as {kind} ({damage_of(error)}); write or copy it again") from error
    if len({(page.shape, page.dtype) for page in pages}) > 1:
        shapes = " and ".join(sorted({"x".join(map(str, page.shape[1::-1])) for page in pages}))
        raise InputError(f"{path}: its pages differ in size or kind ({shapes}); save slices of one volume")
    # Rows come first in a picture, x in a mask.
    stack = np.stack([page.swapaxes(0, 1) for page in pages], axis=2)
    return stack[:, :, 0] if stack.ndim == 3 and len(pages) == 1 else stack


@contextmanager
def _whole_only() -> Iterator[None]:
    """Lets Pillow refuse a file that ends too early, whatever another library of this process (WeasyPrint) told it.

    What it would warn of (a large picture, damaged notes about it) is judged here, or is no pixel.
    """
    from PIL import ImageFile

    told, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    # For good, since threads read pictures: each that put filters back would put back another's.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = told


def label_pixels(pixels: NDArray[Any], path: Path) -> NDArray[Any]:
    """One number a pixel.

    Raises:
        InputError: The picture has colours, or an opacity that varies.
    """
    if pixels.ndim < 4:
        return pixels
    colours, opacity = _split(pixels)
    if (colours != colours[..., :1]).any() or (opacity != opacity.flat[:1]).any():
        raise InputError(
            f"{path}: is a colour picture; save the label values as greyscale or palette PNG, one number per pixel"
        )
    return _flat(colours[..., 0])


def luminance(pixels: NDArray[Any]) -> NDArray[Any]:
    """How bright each pixel is."""
    if pixels.ndim < 4:
        return pixels
    colours, _ = _split(pixels)
    weights = _LUMINANCE if colours.shape[-1] == 3 else (1.0,)
    return _flat(colours @ np.array(weights, dtype=np.float32))


def colours_of(pixels: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    """The colours one by one, without opacity; a grey picture has one."""
    if pixels.ndim < 4:
        return (pixels,)
    colours, _ = _split(pixels)
    return tuple(_flat(colours[..., number]) for number in range(colours.shape[-1]))


def _split(pixels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Colours and opacity."""
    n_colours = pixels.shape[-1] - 1 if pixels.shape[-1] in (2, 4) else pixels.shape[-1]
    return pixels[..., :n_colours], pixels[..., n_colours:]


def _flat(stack: NDArray[Any]) -> NDArray[Any]:
    return stack[:, :, 0] if stack.shape[2] == 1 else stack
