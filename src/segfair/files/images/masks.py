"""One mask or image file at a time: NIfTI, DICOM, pictures (in modules of theirs), NRRD, MetaImage, NPZ, NPY.

Writes NIfTI. The only importer of SimpleITK, when a file needs it. Never guesses: what cannot be a label map is refused
with the path and a remedy. Pictures, NPY, NPZ without `affine` and `spacing`, and NRRD and MetaImage whose header gives
no spacing, do not say how large a voxel is (`Mask.has_size`).
"""

from __future__ import annotations

import dataclasses
import io
import math
import os
import threading
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segfair.cases import DicomMask
from segfair.errors import InputError, cut_text, damage_of, in_words
from segfair.files.dicom.headers import is_dicom
from segfair.files.dicom.masks import read_dicom_mask
from segfair.files.images.grids import Mask, Place, align, describe_difference, describe_grid
from segfair.files.images.headers import TEXT_HEADERS, TextHeader, data_files, read_text_header, refuse_data_outside
from segfair.files.images.nifti import LPS, count_nifti_channels, read_nifti, write_nifti
from segfair.files.images.pictures import (
    PICTURE_SUFFIXES,
    colours_of,
    is_picture,
    label_pixels,
    luminance,
    read_picture,
)
from segfair.files.images.voxel_stream import open_stream, read_occupied, refuse_lie
from segfair.remote import bring

__all__ = [
    "MASK_SUFFIXES",
    "PROBABILITY_KEYS",
    "Mask",
    "align",
    "count_channels",
    "describe_difference",
    "describe_grid",
    "has_size",
    "mask_stem",
    "mask_suffix",
    "read_channels",
    "read_image",
    "read_mask",
    "write_image",
    "write_mask",
]

# The longer of two endings comes first; `.seg.nrrd` is what 3D Slicer writes.
MASK_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha", ".mhd", ".png", ".tiff", ".tif", ".npz", ".npy")

# Integers stored as floats, or rescaled by the header, come back with rounding errors; a probability map whose
# values are all this near to whole numbers means the same mask at every sensible threshold.
INTEGRAL_TOLERANCE = 1e-3
# Volume (of a pixel: area) with edges of length 1 below which axes lie in one plane (on one line).
_FLAT = 1e-6
# numpy reads no longer header than 10,000 characters.
_LONGEST_NPY = 1 << 14
PROBABILITY_KEYS = ("probabilities", "softmax", "logits")
# Warnings and stderr are the process's own: two threads that put them back would put back each other's.
_ONE_AT_A_TIME = threading.RLock()
_ITK_READERS = {".nrrd": "NrrdImageIO", ".mha": "MetaImageIO", ".mhd": "MetaImageIO"}

# SimpleITK's ids of the types of a voxel (sitkUInt8 and so on).
_ITK_TYPES = {0: "i1", 1: "u1", 2: "i2", 3: "u2", 4: "i4", 5: "u4", 6: "i8", 7: "u8", 8: "f4", 9: "f8"}

Role = Literal["mask", "image", "channels"]


def mask_stem(name: str) -> str | None:
    """File name without its mask extension(s), the case id; None if it is not a mask file name or hidden."""
    if name.startswith("."):
        return None
    lower = name.lower()
    for suffix in MASK_SUFFIXES:
        if lower.endswith(suffix):
            return name[: -len(suffix)] or None
    return None


def mask_suffix(path: Path) -> str:
    """The mask extension of a file name in lower case; empty where it has none."""
    stem = mask_stem(path.name)
    return "" if stem is None else path.name[len(stem) :].lower()


def has_size(path: Path) -> bool | None:
    """Whether a file says how large a voxel is, told without its voxels; None where it cannot be read."""
    suffix = mask_suffix(path)
    try:
        if not path.is_file():
            return None
        if not suffix:
            return True if is_dicom(path) else None
        if suffix == ".npz":
            with zipfile.ZipFile(path) as archive:
                return bool({"affine.npy", "spacing.npy"}.intersection(archive.namelist()))
        if suffix.endswith(TEXT_HEADERS):
            return read_text_header(path).has_size
    except (OSError, InputError, zipfile.BadZipFile):
        return None
    return suffix not in (*PICTURE_SUFFIXES, ".npy")


def read_mask(
    path: Path, *, within: Path | None = None, white_is_one: bool = False, dicom: DicomMask | None = None
) -> Mask:
    """Reads one label map, 2-D or 3-D.

    Whole numbers stored as floats become integers, booleans 0 and 1; negative labels are kept. Trailing axes of
    length one beyond the third are dropped. An empty mask (all zeros) is a mask.

    Args:
        path: The file.
        within: Folder that the voxels of a detached header must not leave; None: the header's own.
        white_is_one: Whether a picture is one of black and white pictures, so that 255 means 1.
        dicom: How a DICOM object is meant; None: every structure by its own number, on the object's own grid.

    Returns:
        The mask with a (4, 4) affine in RAS+ millimetres, for NIfTI as `nifti` says; the identity for
        files without geometry. The array may be read-only.

    Raises:
        InputError: The file is missing, empty, truncated or damaged, is not a mask format, has more than three
            axes, takes its voxels from elsewhere, holds NaN or infinite values, or values that are not whole numbers
            (a probability map).
    """
    path = Path(path)
    stored = _read(path, "mask", within, dicom)
    labels = stored if stored.part.dtype.kind in "iu" else stored.mapped(lambda voxels: _as_labels(voxels, path))
    if white_is_one and is_picture(path):
        return labels.mapped(lambda voxels: np.minimum(voxels, 1))
    return labels


def read_image(path: Path, *, within: Path | None = None, dicom: DicomMask | None = None) -> Mask:
    """Reads one scalar image, 2-D or 3-D, with the header's rescaling applied.

    A DICOM segmentation is a map of probabilities from 0 to 1.

    Returns:
        The intensities as float32 (colour becomes luminance), with their geometry as `read_mask` has it.

    Raises:
        InputError: The file is missing, empty, truncated or damaged, is no image format, has more than three axes,
            or takes its voxels from elsewhere.
    """
    stored = _read(Path(path), "image", within, dicom)
    return stored.mapped(_intensities)


def read_channels(path: Path) -> tuple[Mask, ...]:
    """Reads the channels of one image file, each as `read_image` would; most files have one.

    The colours of a picture are channels, three of them also where all are equal.

    Raises:
        InputError: As `read_image`, but a fourth axis holds the channels.
    """
    if is_picture(path):
        stored = _read(path, "channels")
        return tuple(dataclasses.replace(stored, part=_intensities(colour)) for colour in colours_of(stored.array))
    stored = _read(Path(path), "channels")
    array = stored.array
    channels = (array,) if array.ndim < 4 else tuple(array[..., channel] for channel in range(array.shape[3]))
    return tuple(dataclasses.replace(stored, part=_intensities(channel), place=None) for channel in channels)


def count_channels(path: Path) -> int:
    """How many channels an image file has; a picture whose colours are equal has one.

    Raises:
        InputError: As `read_channels`.
    """
    if path.name.lower().endswith((".nii", ".nii.gz")):
        try:
            _refuse_no_file(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({in_words(error)})") from error
        return count_nifti_channels(path)
    channels = read_channels(path)
    grey = is_picture(path) and all((channel.array == channels[0].array).all() for channel in channels[1:])
    return 1 if grey else len(channels)


def write_mask(path: Path, array: ArrayLike, *, affine: ArrayLike) -> None:
    """Writes a label map as .nii or .nii.gz in the smallest integer type that holds it.

    The file appears under its name only once it is complete; the same array gives the same bytes.

    Args:
        path: Where to; folders in between are made.
        array: Whole numbers or booleans, 2-D or 3-D.
        affine: (4, 4), voxel index -> RAS+ millimetres.

    Raises:
        InputError: Another extension, values that are not whole numbers, or a file that cannot be written.
    """
    labels = _as_labels(np.asarray(array), Path(path))
    lowest, highest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    write_nifti(Path(path), labels.astype(_integer_type(lowest, highest), copy=False), affine)


def write_image(path: Path, array: ArrayLike, *, affine: ArrayLike) -> None:
    """Writes intensities as float32 .nii or .nii.gz; otherwise as `write_mask`.

    Raises:
        InputError: Another extension, or a file that cannot be written.
    """
    write_nifti(Path(path), np.asarray(array, dtype=np.float32), affine)


def _read(path: Path, role: Role, within: Path | None = None, dicom: DicomMask | None = None) -> Mask:
    """The stored array (x, y, z; rescaled where the header says so) and its geometry."""
    suffix = mask_suffix(path)
    if not suffix and not is_dicom(path):
        _refuse(path, f"not a mask file; known are {', '.join(MASK_SUFFIXES)}")
    bring(path)
    try:
        stored = _read_format(path, role, within) if suffix else read_dicom_mask(path, dicom, as_map=role != "mask")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({in_words(error)})") from error
    except MemoryError as error:
        raise InputError(
            f"{path}: needs more memory than there is; a damaged header may claim too many voxels"
        ) from error
    stored = _one_volume(path, stored, role)
    _refuse_impossible_geometry(path, stored.affine, stored.ndim)
    if stored.part.dtype.isnative:
        return stored
    return stored.mapped(lambda voxels: voxels.astype(voxels.dtype.newbyteorder("=")))


def _read_format(path: Path, role: Role, within: Path | None) -> Mask:
    _refuse_no_file(path)
    suffix = mask_suffix(path)
    if suffix in (".nii.gz", ".nii"):
        # A damaged header may blow numbers up; what is not finite is refused later.
        with np.errstate(over="ignore", invalid="ignore"):
            return read_nifti(path)
    if suffix in PICTURE_SUFFIXES:
        pixels = read_picture(path)
        if role == "channels":
            return _without_size(pixels)
        return _without_size(label_pixels(pixels, path) if role == "mask" else luminance(pixels))
    if suffix == ".npy":
        return _without_size(_read_npy(path))
    return _read_npz(path, role) if suffix == ".npz" else _read_itk(path, within)


def _refuse_no_file(path: Path) -> None:
    """Refuses what is no file with something in it; a pipe would be waited for."""
    if path.is_dir():
        _refuse(path, "is a folder, not a file; name the file in it")
    if path.stat().st_size == 0:
        _refuse(path, "is empty (0 bytes); write or copy it again")
    if not path.is_file():
        _refuse(path, "is no regular file but a pipe or a device; hand in a file")


def _one_volume(path: Path, stored: Mask, role: Role) -> Mask:
    """The array without axes of length 1 behind the third; refused unless it holds one number a voxel."""
    if stored.part.dtype.kind not in "biuf":
        _refuse(path, f"holds values of type {stored.part.dtype}, not one number per voxel; save a single channel")
    while stored.ndim > 3 and stored.shape[-1] == 1:
        stored = stored.reshaped(stored.shape[:-1])
    shape = "x".join(str(length) for length in stored.shape) or "a single number"
    if 0 in stored.shape:
        _refuse(path, f"holds no voxel ({shape}); write it again")
    if stored.ndim not in ((2, 3, 4) if role == "channels" else (2, 3)):
        _refuse(path, f"is {stored.ndim}-D ({shape}); expected one 2-D or 3-D volume, save each volume on its own")
    return stored


def _refuse_impossible_geometry(path: Path, affine: NDArray[np.float64], n_axes: int) -> None:
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(affine[:3, : min(n_axes, 3)], axis=0)
    if not (np.isfinite(affine).all() and np.isfinite(lengths).all() and (lengths > 0).all()):
        spacing = "x".join(f"{length:.3g}" for length in lengths)
        _refuse(path, f"its header gives a voxel spacing of {spacing} mm; write the file with its true geometry")
    directions = affine[:3, : min(n_axes, 3)] / lengths
    if np.prod(np.linalg.svd(directions, compute_uv=False)) < _FLAT:
        what = "two axes into one line" if n_axes < 3 else "three axes into one plane"
        _refuse(path, f"its header lays the {what}; write the file with its true geometry")


def _without_size(array: NDArray[Any]) -> Mask:
    """An array without geometry; it also lies where a program puts it that fills its own default geometry in."""
    return Mask(array, np.eye(4), other_affines={"no geometry": LPS}, has_size=False)


def _read_itk(path: Path, within: Path | None) -> Mask:
    """NRRD and MetaImage; ITK's LPS axes become RAS, its (z, y, x) arrays (x, y, z)."""
    import SimpleITK

    header = read_text_header(path)
    refuse_data_outside(path, header, within=within)
    itk: Any = SimpleITK
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    # By name: what looks like another format is not to be tried, its header was not read.
    reader.SetImageIO(_ITK_READERS[path.suffix.lower()])
    try:
        with _silenced():
            reader.ReadImageInformation()
        if not 2 <= reader.GetDimension() <= 4:
            _refuse(path, f"is {reader.GetDimension()}-D; expected one 2-D or 3-D volume, save each volume on its own")
        if header.n_files not in (None, reader.GetSize()[-1]):
            _refuse(path, f"names {header.n_files} data files for {reader.GetSize()[-1]} slices; write one file")
        if reader.GetNumberOfComponents() > 1:
            parts = reader.GetNumberOfComponents()
            _refuse(path, f"holds {parts} layers or channels per voxel; save a single label map (one layer)")
        stored = _read_attached(path, header, reader)
        if stored is None:
            kept = sum(file.stat().st_size for file in {path, *data_files(path, within=within)})
            voxels = math.prod(reader.GetSize())
            refuse_lie(path, voxels * np.dtype(_ITK_TYPES.get(reader.GetPixelIDValue(), "f8")).itemsize, kept)
            with _silenced():
                image = reader.Execute()
            stored = Mask(SimpleITK.GetArrayFromImage(image).T, np.eye(4))
    except RuntimeError as error:
        raise InputError(
            f"{path}: SimpleITK cannot read it (truncated, damaged, its data file missing, or not a"
            f" {path.suffix} file); write or copy it again"
        ) from error
    if not header.has_size:
        return dataclasses.replace(stored, other_affines={"no geometry": LPS}, has_size=False)
    n_axes = reader.GetDimension()
    direction = np.eye(max(3, n_axes))
    direction[:n_axes, :n_axes] = np.array(reader.GetDirection()).reshape(n_axes, n_axes)
    spacing = np.array([*reader.GetSpacing(), 1.0])[:3]
    origin = np.array([*reader.GetOrigin(), 0.0])[:3]
    affine = np.eye(4)
    affine[:3, :3] = direction[:3, :3] * spacing
    affine[:3, 3] = origin
    return dataclasses.replace(stored, affine=LPS @ affine)


@contextmanager
def _silenced() -> Iterator[None]:
    """Nothing on stderr, to which MetaIO writes by itself; what is wrong is told by an exception as well."""
    with _ONE_AT_A_TIME:
        try:
            told = os.dup(2)
        except OSError:  # which is closed
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(told, 2)
            os.close(told)
            os.close(nowhere)


def _read_attached(path: Path, header: TextHeader, reader: Any) -> Mask | None:
    """The voxels behind a header that ITK has read, without a geometry; None where only ITK can read them."""
    dtype = _ITK_TYPES.get(reader.GetPixelIDValue())
    if header.attached is None or dtype is None:
        return None
    shape = tuple(reader.GetSize())
    with open_stream(path, header.attached.offset, header.attached.packed) as stream:
        part, corner = read_occupied(stream, np.dtype(dtype).newbyteorder(header.attached.byte_order), shape, path)
    return Mask(part, np.eye(4), place=Place(shape, corner))


def _read_npy(path: Path) -> NDArray[Any]:
    """A bare numpy array with axes (x, y, z) as stored."""
    try:
        with path.open("rb") as stream:
            _refuse_claim(stream.read(_LONGEST_NPY), path, path.stat().st_size)
            stream.seek(0)
            with _without_warnings():
                return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
    except (ValueError, EOFError, TypeError) as error:  # a shape of other things than whole numbers
        raise InputError(
            f"{path}: cannot be read as .npy ({damage_of(error)}); write it again with numpy.save"
        ) from error


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Keeps to itself what numpy thinks of a header that Python 2 wrote."""
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _refuse_claims(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuses an archive whose arrays are larger than what is packed in it can be."""
    for member in archive.infolist():
        refuse_lie(path, member.file_size, member.compress_size)
        with archive.open(member) as stream:
            _refuse_claim(stream.read(_LONGEST_NPY), path, member.file_size)


def _refuse_claim(start: bytes, path: Path, n_bytes: int) -> None:
    """Refuses an array in NumPy's format whose header is damaged or speaks of more than there is; all else passes."""
    if not start.startswith(np.lib.format.MAGIC_PREFIX):
        return
    stream = io.BytesIO(start)
    try:
        with _without_warnings():
            read = np.lib.format.read_array_header_1_0
            if np.lib.format.read_magic(stream) != (1, 0):
                read = np.lib.format.read_array_header_2_0
            shape, _, dtype = read(stream)
    except Exception as error:  # whatever a damaged header provokes in Python's own parser
        raise InputError(f"{path}: its NumPy header is damaged; write it again with numpy.save") from error
    if dtype.kind not in "biufO":  # of objects numpy says why not
        _refuse(path, f"holds values of type {cut_text(str(dtype))}, not one number per voxel; save a single channel")
    # An axis of no voxel is no leave for the others: NumPy multiplies them in 64 bits.
    claimed = math.prod(max(length, 1) for length in shape) * dtype.itemsize
    if min(shape, default=0) < 0 or claimed > n_bytes:
        _refuse(path, f"is truncated, {n_bytes:,} of {claimed:,} bytes; write or copy it again")


def _read_npz(path: Path, role: Role) -> Mask:
    """Numpy arrays with axes (x, y, z) as stored; `affine` or `spacing` (mm) beside them are the geometry."""
    try:
        with path.open("rb") as stream, _without_warnings():
            if not stream.read(4).startswith(b"PK"):
                _refuse(path, "is not an .npz archive (a bare .npy array?); write it with numpy.savez, or name it .npy")
            stream.seek(0)
            archive = np.load(stream, allow_pickle=False)
            _refuse_claims(cast(zipfile.ZipFile, archive.zip), path)
            names = [name for name in archive.files if name not in ("spacing", "affine")]
            key = _npz_key(names, role, path)
            array: NDArray[Any] = np.asarray(archive[key])
            geometry = {name: np.asarray(archive[name]) for name in ("spacing", "affine") if name in archive.files}
    except (ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise InputError(
            f"{path}: cannot be read as .npz ({damage_of(error)}); write it again with numpy.savez"
        ) from error
    if not geometry:
        return _without_size(array)
    for name, values in geometry.items():
        if values.dtype.kind not in "iuf":
            _refuse(path, f"{name} holds values of type {values.dtype}; expected numbers in mm")
    affine = np.eye(4)
    if "affine" in geometry:
        if geometry["affine"].shape != (4, 4):
            _refuse(path, f"affine has the shape {geometry['affine'].shape}; expected (4, 4)")
        affine = geometry["affine"].astype(np.float64)
    else:
        spacing = geometry["spacing"].astype(np.float64).ravel()
        if len(spacing) not in (2, 3):
            _refuse(path, f"spacing has {len(spacing)} entries; expected one per axis, in mm")
        affine[range(len(spacing)), range(len(spacing))] = spacing
    return Mask(array, affine)


def _intensities(voxels: NDArray[Any]) -> NDArray[np.float32]:
    """As float32; what is too large for it becomes infinite."""
    with np.errstate(over="ignore", invalid="ignore"):
        return voxels.astype(np.float32)


def _npz_key(names: list[str], role: Role, path: Path) -> str:
    probabilities = [name for name in PROBABILITY_KEYS if name in names]
    if probabilities and role == "mask":
        _refuse(
            path,
            f"holds class {probabilities[0]}, not a mask; use the mask saved beside it, or take the argmax",
        )
    wanted = ("mask", "seg", "segmentation", "arr_0") if role == "mask" else ("image", "data", "arr_0")
    found = [name for name in wanted if name in names]
    if found:
        return found[0]
    if len(names) != 1:
        _refuse(path, f"holds the arrays {', '.join(names) or 'none'}; name the right one {wanted[0]}")
    return names[0]


def _as_labels(array: NDArray[Any], path: Path) -> NDArray[Any]:
    """Integers as they are, booleans as 0 and 1, floats as the integers that they stand for."""
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind != "f":
        _refuse(path, f"holds values of type {array.dtype}; a mask holds whole numbers")
    if array.size == 0:
        return array.astype(np.uint8)
    lowest, highest = float(array.min()), float(array.max())
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        n_nan, n_infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
        what = " and ".join(f"{n} {name}" for n, name in ((n_nan, "NaN"), (n_infinite, "infinite")) if n)
        _refuse(path, f"holds {what} values; replace them with the background (0) if that is what they mean")
    if max(-lowest, highest) >= 2.0**53:
        _refuse(path, f"holds values up to {max(-lowest, highest):.3g}, which are no labels; save it as whole numbers")
    labels: NDArray[Any] = array.astype(_integer_type(round(lowest), round(highest)))
    if (labels == array).all():
        return labels
    # Off by rounding, or no label map at all.
    labels = np.rint(array).astype(labels.dtype)
    off = np.abs(array - labels) > INTEGRAL_TOLERANCE
    if off.any():
        example = float(array[off][0])
        if lowest >= 0 and highest <= 1:
            _refuse(
                path,
                f"looks like a probability map: values such as {example:.4g}; threshold it first (for example"
                " prediction > 0.5) and save whole numbers",
            )
        _refuse(path, f"is not a mask: values such as {example:.4g} are not whole numbers; save the label values")
    return labels


def _integer_type(lowest: int, highest: int) -> type[np.integer[Any]]:
    for candidate in (np.uint8, np.int16, np.int32, np.int64, np.uint64):
        limits = np.iinfo(candidate)
        if limits.min <= lowest and highest <= limits.max:
            return candidate
    raise InputError(f"label values from {lowest} to {highest} fit no integer type")


def _refuse(path: Path, reason: str) -> NoReturn:
    raise InputError(f"{path}: {reason}")
