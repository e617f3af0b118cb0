"""NIfTI files: their voxels, the places that their header states, and writing them. Never resamples.

A header may state up to three affines, and programs choose by different rules:

- segfair (as nibabel): the sform where its code is set, else the qform where its code is set, else the voxel sizes
  alone (`pixdim`), the volume centred.
- ITK (SimpleITK, ANTs, 3D Slicer), as of 5.4: the sform where its axes are at right angles and either its code is 1
  (scanner) or the qform's code is not set, or where it agrees with the qform; else the qform; without either the voxel
  sizes alone, the first voxel at the origin. Older ones (ANTs before 2.3.5): the qform where its code is set. Lengths
  are always `pixdim`.

So a mask that ITK wrote with "the geometry of the image" may bear the image's other affine. Those are kept beside the
one that is taken, and two masks are on one grid if they are so by any of them. Lengths and volumes are those of the
affine that is taken. `xyzt_units` says metres, millimetres or micrometres; anything else is taken for millimetres, as
in ITK, and all affines are converted alike.

References:
    NIfTI-1 standard, "3D image (volume) orientation and location in space" (nifti1.h).
    ITK, Modules/IO/NIFTI/src/itkNiftiImageIO.cxx, `SetImageIOOrientationFromNIfTI`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segfair.errors import InputError
from segfair.files.images.grids import Mask, Place
from segfair.files.images.voxel_stream import open_stream, read_occupied
from segfair.files.placing import placed_whole, told_unwritable

__all__ = ["LPS", "count_nifti_channels", "read_nifti", "write_nifti"]

# Bytes before the first voxel, those of NIfTI-2.
_LONGEST_HEADER = 544
# Behind the end of every file: a damaged header may give an offset that no file system takes.
_FURTHEST = 1 << 40
# NIfTI's xyzt_units (lowest three bits): metres and micrometres; anything else is taken for millimetres.
UNIT_MM = {1: 1e3, 3: 1e-3}
# What readers of world axes that run to the left and to the back see where a file states no place.
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_nifti(path: Path) -> Mask:
    """Reads NIfTI-1 and -2, compressed or not whatever the name says, either byte order.

    Raises:
        InputError: It is no NIfTI file, or truncated or damaged.
        OSError: It cannot be read.
    """
    from nibabel.spatialimages import HeaderDataError

    with open_stream(path) as stream:
        start = stream.read(_LONGEST_HEADER)
        header_type, first_voxel = _kind_of(start, path)
        try:
            header: Any = header_type(start[: first_voxel - 4], check=False)
            if header["pixdim"][0] not in (-1, 1):
                header["pixdim"][0] = 1  # as the standard has it for 0
            shape = tuple(int(length) for length in header.get_data_shape())
            dtype: np.dtype[Any] = header.get_data_dtype()
            # An offset inside the header means "right behind it" (the NIfTI-1 standard on vox_offset).
            offset = max(int(header.get_data_offset()), first_voxel)
            slope, intercept = header.get_slope_inter()
            affine = np.array(header.get_best_affine(), dtype=np.float64)
            affine[:3] *= UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)
        except (HeaderDataError, KeyError, ValueError, OverflowError) as error:
            raise InputError(f"{path}: its NIfTI header is damaged ({error}); write the file again") from error
        if not shape or any(length < 1 for length in shape):
            raise InputError(f"{path}: its NIfTI header gives the shape {shape}; write the file again")
        if dtype.kind not in "biuf":
            raise InputError(f"{path}: holds values of type {header['datatype']} of NIfTI, not one number per voxel")
        stream.seek(min(offset, _FURTHEST))
        part, corner = read_occupied(stream, dtype, shape, path)
    name = "sform" if header["sform_code"] else "qform" if header["qform_code"] else "pixdim"
    stored = Mask(part, affine, name, _other_affines(header, affine, HeaderDataError), place=Place(shape, corner))
    if dtype.kind in "biuf" and ((slope or 1.0) != 1.0 or (intercept or 0.0) != 0.0):
        return stored.mapped(lambda voxels: voxels * float(slope or 1.0) + float(intercept or 0.0))
    return stored


def count_nifti_channels(path: Path) -> int:
    """The length of the fourth axis, told by the header alone; 1 without one.

    Raises:
        InputError: It is no NIfTI file, its header is damaged, or it cannot be read.
    """
    from nibabel.spatialimages import HeaderDataError

    try:
        with open_stream(path) as stream:
            content = stream.read(_LONGEST_HEADER)
        header_type, first_voxel = _kind_of(content, path)
        shape = header_type(content[: first_voxel - 4], check=False).get_data_shape()
    except (HeaderDataError, KeyError, ValueError, OverflowError, OSError) as error:
        raise InputError(f"{path}: its NIfTI header cannot be read ({error}); write or copy it again") from error
    return int(np.prod(shape[3:], dtype=object))


def _kind_of(content: bytes, path: Path) -> tuple[Any, int]:
    """The type of the header that a file begins with, and where its first voxel can lie."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header

    kind: tuple[Any, bytes, bytes, int]
    if int.from_bytes(content[:4], "little") == 540 or int.from_bytes(content[:4], "big") == 540:
        kind = (Nifti2Header, content[4:7], b"n+2", 544)
    else:
        kind = (Nifti1Header, content[344:347], b"n+1", 352)
    header_type, magic, expected, first_voxel = kind
    if len(content) < first_voxel or magic != expected:
        raise InputError(
            f"{path}: is not a NIfTI file; save it as .nii or .nii.gz again, or give it its true extension"
        )
    return header_type, first_voxel


def _other_affines(header: Any, affine: NDArray[np.float64], damaged: type[Exception]) -> Mapping[str, Any]:
    """Every other affine that some reader takes from a header, in millimetres."""
    lengths = np.abs(np.asarray(header.get_zooms()[:3], dtype=np.float64))
    found: dict[str, NDArray[np.float64]] = {}
    sform = header.get_sform(coded=True)[0]
    try:
        qform = header.get_qform(coded=True)[0]
    except (damaged, ValueError):  # which is no matter where the sform is taken
        qform = None
    if sform is not None:
        if qform is not None:
            found["qform"] = qform
        # ITK takes the directions of the sform and the lengths of pixdim.
        scales = np.ones(4)
        with np.errstate(divide="ignore", invalid="ignore"):
            scales[: len(lengths)] = lengths / np.linalg.norm(sform[:3, : len(lengths)], axis=0)
        if np.abs(scales - 1).max() > 1e-6:
            found["sform with the lengths of pixdim"] = np.asarray(sform * scales)
    elif qform is None:
        found["pixdim from the origin on"] = LPS @ np.diag([*lengths, *np.ones(4 - len(lengths))])
    unit = UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    others = {}
    for name, other in found.items():
        scaled = np.array(other, dtype=np.float64)
        scaled[:3] *= unit
        if np.isfinite(scaled).all() and (np.linalg.norm(scaled[:3, :3], axis=0) > 0).all():
            others[name] = scaled
    return {name: other for name, other in others.items() if not np.array_equal(other, affine)}


def write_nifti(path: Path, array: NDArray[Any], affine: ArrayLike) -> None:
    """Writes .nii or .nii.gz; the file appears under its name only once it is complete.

    Raises:
        InputError: Another extension, or a file that cannot be written.
    """
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{path}: only .nii and .nii.gz are written; choose one of these extensions")
    from isal import igzip
    from nibabel.nifti1 import Nifti1Image

    new_image: Any = Nifti1Image
    # It wants to be told that 64-bit integers are meant.
    image = new_image(array, np.asarray(affine, dtype=np.float64), dtype=array.dtype)
    # Some readers look at the qform only; where it cannot hold the affine (shear), the sform stands alone.
    image.set_sform(image.affine, code="scanner")
    image.set_qform(image.affine, code="scanner")
    if not np.allclose(image.get_qform(), image.affine, atol=1e-4):
        image.set_qform(None, code="unknown")
    image.header.set_xyzt_units("mm")
    content = image.to_bytes()
    if path.name.endswith(".gz"):
        # No time stamp: the same mask gives the same bytes.
        content = igzip.compress(content, 2, mtime=0)
    with told_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with placed_whole(path) as unfinished:
            unfinished.write_bytes(content)
