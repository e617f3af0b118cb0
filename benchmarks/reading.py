"""How long it takes to read one compressed mask, against nibabel, SimpleITK and unpacking alone, and to pack one.

    python benchmarks/reading.py

Every reader ends with the voxels in an array; the best of several runs counts, files come from the page cache. Only
segfair checks that a mask stored as floats holds labels. Times depend on the machine, ratios hardly do.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib
from zlib_ng import gzip_ng

from segfair.files.images.masks import read_mask, write_mask

REPEATS = 15
PIECE = 1 << 17


def lesion(shape: tuple[int, int, int]) -> np.ndarray:
    """One ellipsoid in an otherwise empty volume."""
    x, y, z = np.ogrid[: shape[0], : shape[1], : shape[2]]
    inside = (x - shape[0] / 3) ** 2 + (y - shape[1] / 3) ** 2 + 4 * (z - shape[2] / 2) ** 2 < (shape[0] / 10) ** 2
    return inside.astype(np.uint8)


def organs(shape: tuple[int, int, int]) -> np.ndarray:
    """Many labels that fill the volume, with ragged borders."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 40, tuple(length // 16 + 1 for length in shape)).astype(np.uint8)
    for axis in range(3):
        blocks = np.repeat(blocks, 16, axis=axis)
    volume = blocks[: shape[0], : shape[1], : shape[2]].copy()
    volume[rng.random(shape) < 0.01] = 0
    return volume


def unpack_by_isal(path: Path) -> object:
    member = isal_zlib.decompressobj(31)
    content = path.read_bytes()
    while not member.eof:
        member.decompress(content, PIECE)
        content = member.unconsumed_tail
    return None


def unpack_by_zlib_ng(path: Path) -> object:
    with gzip_ng.open(path, "rb") as stream:
        while stream.read(PIECE):
            pass
    return None


def with_nibabel(path: Path) -> object:
    return np.asanyarray(nib.load(path).dataobj)


def with_simpleitk(path: Path) -> object:
    import SimpleITK

    return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))


def best_ms(read: Callable[[Path], object], path: Path) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        read(path)
        times.append(time.perf_counter() - start)
    return 1e3 * min(times)


def main() -> None:
    volumes = {
        "lesion 320x320x128, uint8": lesion((320, 320, 128)),
        "lesion 64x64x48, uint8": lesion((64, 64, 48)),
        "40 labels 320x320x128, uint8": organs((320, 320, 128)),
        "lesion 320x320x128, float32": lesion((320, 320, 128)).astype(np.float32),
    }
    heads = f"{'segfair':>10}{'zlib-ng':>10}{'isal':>10}{'nibabel':>10}{'SimpleITK':>11}"
    print(f"{'mask (.nii.gz)':<32}{heads}   ratios to segfair")
    with tempfile.TemporaryDirectory() as folder:
        for name, volume in volumes.items():
            path = Path(folder) / "mask.nii.gz"
            if volume.dtype == np.uint8:
                write_mask(path, volume, affine=np.diag([0.7, 0.7, 1.5, 1.0]))
            else:
                nib.save(nib.Nifti1Image(volume, np.diag([0.7, 0.7, 1.5, 1.0])), path)
            ours = best_ms(read_mask, path)
            others = [best_ms(read, path) for read in (unpack_by_zlib_ng, unpack_by_isal, with_nibabel, with_simpleitk)]
            row = f"{name:<32}{ours:>7.2f} ms" + "".join(f"{other:>7.2f} ms" for other in others)
            print(f"{row}    " + "  ".join(f"{other / ours:.2f}" for other in others))
            content = gzip_ng.decompress(path.read_bytes())
            packed = [
                (label, best_ms(lambda _, pack=pack, whole=content: pack(whole, 2), path))
                for label, pack in (("isal", igzip.compress), ("zlib-ng", gzip_ng.compress))
            ]
            print("  packed by " + ", ".join(f"{label} in {ms:.2f} ms" for label, ms in packed))


if __name__ == "__main__":
    main()
