"""One mask or image file at a time: NIfTI on a fast path, NRRD, MetaImage, PNG and NPZ; writes NIfTI.

The only importer of nibabel, SimpleITK and Pillow, each when a file needs it. Never guesses: what cannot be a label
map is refused with the path and a remedy.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from segfair.errors import InputError
from segfair.io.grids import Mask, align, describe_difference, describe_grid

__all__ = [
    "MASK_SUFFIXES",
    "Mask",
    "align",
    "describe_difference",
    "describe_grid",
    "mask_stem",
    "read_channels",
    "read_image",
    "read_mask",
    "write_image",
    "write_mask",
]

# The longer of two endings comes first; `.seg.nrrd` is what 3D Slicer writes.
MASK_SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha", ".mhd", ".png", ".npz")

# Integers stored as floats, or rescaled by the header, come back with rounding errors; a probability map whose
# values are all this near to whole numbers means the same mask at every sensible threshold.
INTEGRAL_TOLERANCE = 1e-3
PROBABILITY_KEYS = ("probabilities", "softmax", "logits")
# NIfTI's xyzt_units (lowest three bits): metres and micrometres; anything else is taken for millimetres.
UNIT_MM = {1: 1e3, 3: 1e-3}

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


def read_mask(path: Path) -> Mask:
    """Reads one label map, 2-D or 3-D.

    Whole numbers stored as floats become integers, booleans 0 and 1; negative labels are kept. Trailing axes of
    length one beyond the third are dropped. An empty mask (all zeros) is a mask.

    Returns:
        The mask with a (4, 4) affine in RAS+ millimetres, as nibabel would decide it for NIfTI; the identity for
        formats without geometry. The array may be read-only.

    Raises:
        InputError: The file is missing, empty, truncated or damaged, is not a mask format, has more than three
            axes, holds NaN or infinite values, or values that are not whole numbers (a probability map).
    """
    array, affine = _read(Path(path), "mask")
    return Mask(_as_labels(array, Path(path)), affine)


def read_image(path: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Reads one scalar image, 2-D or 3-D, with the header's rescaling applied.

    Returns:
        The intensities (colour becomes luminance) and the (4, 4) affine in RAS+ millimetres.

    Raises:
        InputError: The file is missing, empty, truncated or damaged, is no image format, or has more than three
            axes.
    """
    array, affine = _read(Path(path), "image")
    return array.astype(np.float32), affine


def read_channels(path: Path) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.float64]]:
    """Reads the channels of one image file, each as `read_image` would; most files have one.

    Raises:
        InputError: As `read_image`, but a fourth axis holds the channels.
    """
    array, affine = _read(Path(path), "channels")
    channels = (array,) if array.ndim < 4 else tuple(array[..., channel] for channel in range(array.shape[3]))
    return tuple(channel.astype(np.float32) for channel in channels), affine


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
    _write(Path(path), labels.astype(_integer_type(lowest, highest), copy=False), affine)


def write_image(path: Path, array: ArrayLike, *, affine: ArrayLike) -> None:
    """Writes intensities as float32 .nii or .nii.gz; otherwise as `write_mask`.

    Raises:
        InputError: Another extension, or a file that cannot be written.
    """
    _write(Path(path), np.asarray(array, dtype=np.float32), affine)


def _read(path: Path, role: Role) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """The stored array (x, y, z; rescaled where the header says so) and its affine."""
    stem = mask_stem(path.name)
    if stem is None:
        _refuse(path, f"not a mask file; known are {', '.join(MASK_SUFFIXES)}")
    try:
        if path.is_dir():
            _refuse(path, "is a folder, not a file; name the file in it")
        if path.stat().st_size == 0:
            _refuse(path, "is empty (0 bytes); write or copy it again")
        suffix = path.name[len(stem) :].lower()
        if suffix in (".nii.gz", ".nii"):
            # A damaged header may blow numbers up; what is not finite is refused later.
            with np.errstate(over="ignore", invalid="ignore"):
                array, affine = _read_nifti(path)
        elif suffix == ".png":
            array, affine = _read_png(path, role), np.eye(4)
        elif suffix == ".npz":
            array, affine = _read_npz(path, role)
        else:
            array, affine = _read_itk(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    except MemoryError as error:
        raise InputError(
            f"{path}: needs more memory than there is; a damaged header may claim too many voxels"
        ) from error
    if array.dtype.kind not in "biuf":
        _refuse(path, f"holds values of type {array.dtype}, not one number per voxel; save a single channel")
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim not in ((2, 3, 4) if role == "channels" else (2, 3)) or array.size == 0:
        shape = "x".join(str(length) for length in array.shape) or "a single number"
        _refuse(path, f"is {array.ndim}-D ({shape}); expected one 2-D or 3-D volume, save each volume on its own")
    with np.errstate(over="ignore"):
        lengths = np.linalg.norm(affine[:3, : min(array.ndim, 3)], axis=0)
    if not (np.isfinite(affine).all() and np.isfinite(lengths).all() and (lengths > 0).all()):
        spacing = "x".join(f"{length:.3g}" for length in lengths)
        _refuse(path, f"its header gives a voxel spacing of {spacing} mm; write the file with its true geometry")
    return (array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))), affine


def _read_nifti(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """NIfTI-1 and -2, compressed or not whatever the name says, either byte order."""
    from nibabel.nifti1 import Nifti1Header
    from nibabel.nifti2 import Nifti2Header
    from nibabel.spatialimages import HeaderDataError

    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        content = _decompress(content, path)
    header_type: Any
    if int.from_bytes(content[:4], "little") == 540 or int.from_bytes(content[:4], "big") == 540:
        header_type, magic, expected, first_voxel = Nifti2Header, content[4:7], b"n+2", 544
    else:
        header_type, magic, expected, first_voxel = Nifti1Header, content[344:347], b"n+1", 352
    if len(content) < first_voxel or magic != expected:
        _refuse(path, "is not a NIfTI file; save it as .nii or .nii.gz again, or give it its true extension")
    try:
        header: Any = header_type(content[: first_voxel - 4], check=False)
        shape = tuple(int(length) for length in header.get_data_shape())
        dtype: np.dtype[Any] = header.get_data_dtype()
        # An offset inside the header means "right behind it" (the NIfTI-1 standard on vox_offset).
        offset = max(int(header.get_data_offset()), first_voxel)
        slope, intercept = header.get_slope_inter()
        affine = np.array(header.get_best_affine(), dtype=np.float64)
        affine[:3] *= UNIT_MM.get(int(header["xyzt_units"]) & 7, 1.0)
    except (HeaderDataError, KeyError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: its NIfTI header is damaged ({error}); write the file again") from error
    if any(length < 1 for length in shape):
        _refuse(path, f"its NIfTI header gives the shape {shape}; write the file again")
    count = int(np.prod(shape, dtype=object))
    if len(content) - offset < count * dtype.itemsize:
        got, wanted = max(len(content) - offset, 0), count * dtype.itemsize
        _refuse(path, f"is truncated, {got} of {wanted} bytes of voxels; write or copy it again")
    array = np.frombuffer(content, dtype=dtype, count=count, offset=offset).reshape(shape, order="F")
    if dtype.kind in "biuf" and ((slope or 1.0) != 1.0 or (intercept or 0.0) != 0.0):
        array = array * float(slope or 1.0) + float(intercept or 0.0)
    return array, affine


def _decompress(content: bytes, path: Path) -> bytes:
    from isal import igzip, isal_zlib

    broken: Any = (isal_zlib.error, EOFError, OSError)
    try:
        # The first member in a single call, for nearly every file the whole: twice as fast as the streaming reader.
        member: Any = isal_zlib.decompressobj(31)
        whole: bytes = member.decompress(content)
        if not member.eof:
            raise EOFError("it ends early")
        if member.unused_data.strip(b"\0"):
            # Block compressors such as bgzip write many members.
            streaming: Any = igzip
            whole = streaming.decompress(content)
    except broken as error:
        raise InputError(
            f"{path}: its gzip compression is truncated or damaged ({error}); write or copy it again"
        ) from error
    return whole


def _read_itk(path: Path) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """NRRD and MetaImage; ITK's LPS axes become RAS, its (z, y, x) arrays (x, y, z)."""
    import SimpleITK

    try:
        image: Any = SimpleITK.ReadImage(str(path))
    except RuntimeError as error:
        raise InputError(
            f"{path}: SimpleITK cannot read it (truncated, damaged, its data file missing, or not a"
            f" {path.suffix} file); write or copy it again"
        ) from error
    if image.GetNumberOfComponentsPerPixel() > 1:
        parts = image.GetNumberOfComponentsPerPixel()
        _refuse(path, f"holds {parts} layers or channels per voxel; save a single label map (one layer)")
    n_axes = image.GetDimension()
    direction = np.eye(max(3, n_axes))
    direction[:n_axes, :n_axes] = np.array(image.GetDirection()).reshape(n_axes, n_axes)
    spacing = np.array([*image.GetSpacing(), 1.0])[:3]
    origin = np.array([*image.GetOrigin(), 0.0])[:3]
    affine = np.eye(4)
    affine[:3, :3] = direction[:3, :3] * spacing
    affine[:3, 3] = origin
    return SimpleITK.GetArrayFromImage(image).T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _read_png(path: Path, role: Role) -> NDArray[Any]:
    from PIL import Image

    try:
        with Image.open(path) as picture:
            # A palette's colours are decoration: its indices are the labels.
            pixels = np.asarray(picture)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"{path}: cannot be read as PNG ({error}); write or copy it again") from error
    if pixels.ndim == 2:
        return _binary(pixels.T) if role == "mask" else pixels.T
    n_colours = pixels.shape[2] - 1 if pixels.shape[2] in (2, 4) else pixels.shape[2]
    colours, alpha = pixels[..., :n_colours], pixels[..., n_colours:]
    if role != "mask":
        weights = (0.299, 0.587, 0.114) if n_colours == 3 else (1.0,)
        return (colours @ np.array(weights, dtype=np.float32)).T
    if (colours != colours[..., :1]).any() or (alpha != alpha.flat[:1]).any():
        _refuse(path, "is a colour picture; save the label values as greyscale or palette PNG, one number per pixel")
    return _binary(colours[..., 0].T)


def _binary(pixels: NDArray[Any]) -> NDArray[Any]:
    """A picture of black and white only is how programs show a binary mask; 255 then means 1."""
    values = np.unique(pixels)
    return np.minimum(pixels, 1) if values.tolist() in ([0, 255], [255]) else pixels


def _read_npz(path: Path, role: Role) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Numpy arrays with axes (x, y, z) as stored; `affine` or `spacing` (mm) beside them are the geometry."""
    try:
        with path.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                _refuse(path, "is not an .npz archive (a bare .npy array?); write it with numpy.savez")
            names = [name for name in archive.files if name not in ("spacing", "affine")]
            key = _npz_key(names, role, path)
            array: NDArray[Any] = np.asarray(archive[key])
            geometry = {name: np.asarray(archive[name]) for name in ("spacing", "affine") if name in archive.files}
    except (ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
        raise InputError(f"{path}: cannot be read as .npz ({error}); write it again with numpy.savez") from error
    affine = np.eye(4)
    if "affine" in geometry:
        if geometry["affine"].shape != (4, 4):
            _refuse(path, f"affine has the shape {geometry['affine'].shape}; expected (4, 4)")
        affine = geometry["affine"].astype(np.float64)
    elif "spacing" in geometry:
        spacing = geometry["spacing"].astype(np.float64).ravel()
        if len(spacing) not in (2, 3):
            _refuse(path, f"spacing has {len(spacing)} entries; expected one per axis, in mm")
        affine[range(len(spacing)), range(len(spacing))] = spacing
    return array, affine


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


def _write(path: Path, array: NDArray[Any], affine: ArrayLike) -> None:
    if not path.name.endswith((".nii", ".nii.gz")):
        _refuse(path, "only .nii and .nii.gz are written; choose one of these extensions")
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
    # Hidden, so that a folder read meanwhile does not take it for a case.
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error


def _refuse(path: Path, reason: str) -> NoReturn:
    raise InputError(f"{path}: {reason}")
