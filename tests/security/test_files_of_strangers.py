"""A file from a stranger: what it holds is not run, what it names elsewhere is not opened, and it takes no memory."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from segfair.errors import InputError
from segfair.files.images.masks import read_mask, write_mask
from segfair.files.layouts import find_predictions
from segfair.files.tables import load_table


class Runs:
    """What a pickle can hold: a call of anything."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_pickle_in_a_mask_is_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "was run"
    np.save(tmp_path / "a.npy", np.array([Runs(trap)], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "b.npz", mask=np.array([Runs(trap)], dtype=object))
    (tmp_path / "c.npz").write_bytes((tmp_path / "a.npy").read_bytes())
    for name in ("a.npy", "b.npz", "c.npz"):
        with pytest.raises(InputError, match=r"cannot be read as|not an \.npz archive"):
            read_mask(tmp_path / name)
    assert not trap.exists()
    np.load(tmp_path / "a.npy", allow_pickle=True)
    assert trap.exists(), "the trap works"


def test_a_pickle_in_a_checkpoint_is_not_run(tmp_path: Path, call_cli: Callable[..., Any]) -> None:
    torch = pytest.importorskip("torch", reason="needs the extra mitigate")
    trap = tmp_path / "was run"
    torch.save({"format": 1, "network": {}, "description": Runs(trap)}, tmp_path / "checkpoint_best.pt")
    write_mask(tmp_path / "images" / "a.nii.gz", np.zeros((4, 4, 4), np.uint8), affine=np.eye(4))
    done = call_cli("predict", tmp_path / "checkpoint_best.pt", tmp_path / "images", tmp_path / "masks")
    assert done.returncode == 2 and "cannot be read (it is none, is cut off, or holds code)" in done.stderr
    assert not trap.exists()
    torch.load(tmp_path / "checkpoint_best.pt", weights_only=False)
    assert trap.exists(), "the trap works"


def test_members_of_an_archive_are_read_and_never_laid_out(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    stream = io.BytesIO()
    np.save(stream, np.ones((3, 3, 3), np.uint8))
    with zipfile.ZipFile(inside / "a.npz", "w") as archive:
        archive.writestr("../escaped.npy", stream.getvalue())
        archive.writestr("mask.npy", stream.getvalue())
    assert read_mask(inside / "a.npz").array.sum() == 27
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.npz", "inside"]


def test_a_list_of_ones_own_may_name_files_anywhere_and_a_teams_may_not(tmp_path: Path) -> None:
    """The list of a data set is the user's; that of a team is refused case by case (`tests/rank/test_cheats.py`)."""
    write_mask(tmp_path / "elsewhere" / "P1.nii.gz", np.ones((3, 3, 3), np.uint8), affine=np.eye(4))
    (tmp_path / "own").mkdir()
    entry = {"image": "x.nii.gz", "label": str(tmp_path / "elsewhere" / "P1.nii.gz")}
    (tmp_path / "own" / "dataset.json").write_text(json.dumps({"training": [entry]}))
    found = find_predictions(tmp_path / "own")
    assert found.files == {"P1": tmp_path / "elsewhere" / "P1.nii.gz"}


def test_a_cell_of_a_table_is_never_a_command(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("case,site\na,=SYSTEM(1)\nb,__import__('os')\n")
    assert load_table(tmp_path / "t.csv").raw["site"] == ["=SYSTEM(1)", "__import__('os')"]


def test_a_condition_on_metadata_knows_columns_and_values_only(tmp_path: Path, call_cli: Callable[..., Any]) -> None:
    write_mask(tmp_path / "m" / "a.nii.gz", np.ones((3, 3, 3), np.uint8), affine=np.eye(4))
    (tmp_path / "t.csv").write_text("case,site\na,A\n")
    for text in (
        "__import__('os').system('true')",
        "site.__class__",
        "(lambda: site)()",
        "[x for x in site]",
        "open('t')",
    ):
        done = call_cli(
            "audit", tmp_path / "m", tmp_path / "m", tmp_path / "t.csv", "--where", text, "--out", tmp_path / "o"
        )
        assert done.returncode == 2 and "internal error" not in done.stderr, (text, done.stderr)


# Header of a mask of 64 voxels -> what follows it are gigabytes.
READ = """
import resource, sys
from pathlib import Path
from segfair.errors import InputError
from segfair.files.images.masks import read_mask
read_mask(Path(sys.argv[1]))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[2:]:
    try:
        assert read_mask(Path(name)).shape == (4, 4, 4)
    except InputError as error:
        print(error, file=sys.stderr)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
_SURPLUS_MB = 512


def packed(header: bytes, *, format: int) -> bytes:
    """A header and many zeros, compressed: a file of half a megabyte."""
    packer = zlib.compressobj(1, zlib.DEFLATED, format)
    return b"".join(
        [packer.compress(header), *(packer.compress(bytes(1 << 20)) for _ in range(_SURPLUS_MB)), packer.flush()]
    )


def write_bombs(folder: Path) -> list[Path]:
    """Masks of 64 voxels by their headers, each with half a gigabyte of zeros behind, in files of half a megabyte."""
    start = nib.Nifti1Header()
    start.set_data_shape((4, 4, 4))
    start.set_data_dtype(np.uint8)
    start["vox_offset"], start["magic"] = 352, b"n+1"
    nrrd = b"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: gzip\n\n"
    contents = {
        "a.nii.gz": packed(start.binaryblock + bytes(4), format=31),
        "b.nrrd": nrrd + packed(b"", format=31),
    }
    for name, content in contents.items():
        assert len(content) < 4 << 20
        (folder / name).write_bytes(content)
    with (
        zipfile.ZipFile(folder / "c.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("mask.npy", "w") as out,
    ):
        np.lib.format.write_array_header_1_0(out, {"descr": "|u1", "fortran_order": False, "shape": (4, 4, 4)})
        for _ in range(_SURPLUS_MB):
            out.write(bytes(1 << 20))
    return [folder / name for name in (*contents, "c.npz")]


def test_what_a_file_holds_beyond_its_header_takes_no_memory(tmp_path: Path) -> None:
    good = tmp_path / "good.nii.gz"
    write_mask(good, np.ones((4, 4, 4), np.uint8), affine=np.eye(4))
    names = [str(path) for path in (good, *write_bombs(tmp_path))]
    done = subprocess.run([sys.executable, "-c", READ, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < _SURPLUS_MB // 2, "megabytes"
