"""Small valid files of each format, as bytes; nothing here was ever anybody's data."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import openpyxl
import SimpleITK
from PIL import Image

from tests.fuzz import packing

__all__ = ["audit_tree", "comparison_tree", "json_bytes", "masks", "pictures", "rank_tree", "volumes", "workbooks"]

_AFFINE = np.array([[-0.7, 0, 0, 10], [0, 0, 1.5, -20], [0, 0.9, 0, 30], [0, 0, 0, 1]])


def labels(dtype: str = "u1") -> np.ndarray:
    """5 x 4 x 3 voxels, labels 0 to 2."""
    return np.random.default_rng(1).integers(0, 3, (5, 4, 3)).astype(dtype)


def volumes() -> list[bytes]:
    """NIfTI-1 and -2 of several types and byte orders."""
    found = []
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        for dtype in ("u1", "i2", ">i4", "f4"):
            header = kind(labels(dtype.strip(">")), _AFFINE).header.as_byteswapped(">" if ">" in dtype else "<")
            image = kind(labels(dtype), _AFFINE, header, dtype=dtype)
            image.set_qform(_AFFINE, code=1)
            found.append(image.to_bytes())
    image = nibabel.Nifti1Image(labels("i2"), _AFFINE)
    image.header.set_slope_inter(2, 1)
    image.header.set_xyzt_units("meter")
    return [*found, image.to_bytes(), nibabel.Nifti1Image(labels()[:, :, 0], np.eye(4)).to_bytes()]


def headed(suffix: str, **settings: Any) -> list[bytes]:
    """NRRD or MetaImage as SimpleITK writes them, plain and compressed."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for compressed in (False, True):
            for dtype in ("u1", "i2", "f4"):
                image = SimpleITK.GetImageFromArray(labels(dtype).T)
                image.SetSpacing((0.7, 0.9, 1.5))
                path = Path(folder) / f"a{suffix}"
                SimpleITK.WriteImage(image, str(path), compressed)
                found.append(path.read_bytes())
    return found


NRRD_TEXT = (
    b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 3 2\nspacings: 1 2\nencoding: ascii\n\n0 1 2\n0 1 0\n",
    b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 2 2\nendian: big\nencoding: hex\n"
    b"space directions: (1,0,0) (0,2,0) (0,0,3)\nspace origin: (1,2,3)\n\n00000001000200000001000200010000\n",
    b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 3 2\nencoding: raw\ndata file: voxels.raw\n",
    b"NRRD0004\ntype: uchar\ndimension: 2\nsizes: 3 2\nencoding: raw\nbyte skip: -1\ndata file: LIST\nvoxels.raw\n",
)
META_TEXT = (
    b"ObjectType = Image\nNDims = 2\nDimSize = 3 2\nElementType = MET_UCHAR\nElementSpacing = 1 2\n"
    b"ElementDataFile = LOCAL\n\0\1\2\0\1\0",
    b"NDims = 2\nBinaryData = False\nDimSize = 3 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n0 1 2 0 1 0\n",
    b"NDims = 3\nDimSize = 3 2 1\nElementType = MET_SHORT\nBinaryDataByteOrderMSB = True\nHeaderSize = -1\n"
    b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 1 2 3\nElementDataFile = voxels.raw\n",
    b"NDims = 3\nDimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = voxels%d.raw 0 1 1\n",
)


def pictures() -> dict[str, list[bytes]]:
    """PNG and TIFF: grey, palette, colour, one bit, sixteen, several pages, several kinds of compression."""
    grey = Image.fromarray(labels()[:, :, 0])
    pages = [Image.fromarray(labels()[:, :, index]) for index in range(3)]
    kinds = [grey, grey.convert("P"), grey.convert("RGB"), grey.convert("RGBA"), grey.convert("1"), grey.convert("LA")]
    kinds.append(Image.fromarray(labels("u2")[:, :, 0]))
    png = [_saved(kind, "PNG") for kind in kinds]
    tiff = [_saved(kind, "TIFF") for kind in kinds]
    tiff += [
        _saved(pages[0], "TIFF", compression=compression, save_all=True, append_images=pages[1:])
        for compression in ("tiff_deflate", "tiff_lzw", "packbits", "tiff_adobe_deflate")
    ]
    tiff.append(_saved(grey.convert("1"), "TIFF", compression="group4"))
    return {"png": png, "tiff": tiff}


def _saved(picture: Any, kind: str, **settings: Any) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **settings)
    return stream.getvalue()


def masks() -> dict[str, list[bytes]]:
    """NPY and NPZ."""
    npy, npz = [], []
    for array in (labels(), labels("f4"), labels(">i2"), labels() > 0, np.asfortranarray(labels("i8"))[:, :, 0]):
        stream = io.BytesIO()
        np.save(stream, array)
        npy.append(stream.getvalue())
    for arrays in (
        {"mask": labels()},
        {"seg": labels(), "spacing": [1.0, 2.0, 3.0]},
        {"x": labels(), "affine": _AFFINE},
    ):
        for save in (np.savez, np.savez_compressed):
            stream = io.BytesIO()
            save(stream, **arrays)
            npz.append(stream.getvalue())
    return {"npy": npy, "npz": npz}


TABLES = (
    b"id,age,sex\n0012,41,f\n0013,62,m\n0014,NA,f\n",
    b'id;bmi;note\nA;23,5;"a; b"\nB;18;d\n',
    b"sep=|\nid|size\nA|1,234.5\nB|> 89\nC|45 years\n",
    "id\tort\nA\tKöln\nB\tLinz\n".encode("utf-16"),
    'id,ort\nA,Köln\nB,="0012"\n'.encode("cp1252"),
    b'"","age"\n"1",-999\n"2",45\n"3",30%\n"4",045Y\n',
    b"Table 1\nid,age,site\nA,1 234,x\nB,2024-01-31,'=x\nC,#N/A,true\n",
)
JSON_TABLES = (
    b'[{"id": "A", "age": 4}, {"id": "B", "age": null, "sex": "f"}]',
    b'{"id": ["A", "B"], "age": [1.5, NaN]}',
    b'{"age": {"0": 1, "1": 2}, "sex": {"0": "f", "1": true}}',
)
SUMMARIES = (
    b'{"metric_per_case": [{"reference_file": "l/A.nii.gz", "prediction_file": "p/A.nii.gz", "metrics": {"1": {"Dice": 0.5,'
    b' "IoU": 0.3, "FN": 1, "FP": 2, "TN": 9, "TP": 3, "n_pred": 5, "n_ref": 4}, "(1, 2)": {"Dice": NaN}}}],'
    b' "mean": {"1": {"Dice": 0.5}}}',
    b'{"results": {"all": [{"reference": "l/A.nii.gz", "test": "p/A.nii.gz", "1": {"Dice": 0.5, "Hausdorff Distance": 3.0}}]}}',
)


def workbooks() -> list[bytes]:
    """XLSX: of two sheets, with texts, numbers, dates, truth values and a formula."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (["id", "age", "seen", "ok"], ["0012", 41, "=1+1", True], ["0013", 62.5, None, False]):
        sheet.append(row)
    sheet["C3"] = "2024-01-31"
    book.create_sheet("other").append(["a", "b"])
    stream = io.BytesIO()
    book.save(stream)
    return [stream.getvalue(), _with_shared_strings(stream.getvalue())]


def _with_shared_strings(book: bytes) -> bytes:
    """A workbook as Excel writes it: texts in a part of their own."""
    kinds = packing.member(book, "[Content_Types].xml").replace(
        b"</Types>",
        b'<Override PartName="/xl/sharedStrings.xml" ContentType="application/vnd.openxmlformats-officedocument.'
        b'spreadsheetml.sharedStrings+xml"/></Types>',
    )
    book = packing.in_archive(book, "[Content_Types].xml")(kinds)
    book = packing.in_archive(book, "xl/worksheets/sheet1.xml")(
        b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        b'<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
        b'<row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2"><v>41</v></c></row></sheetData></worksheet>'
    )
    return packing.in_archive(book, "xl/sharedStrings.xml")(
        b'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>id</t></si><si><r><t>a</t></r>'
        b"<r><t>ge</t></r></si><si><t>A</t></si></sst>"
    )


def json_bytes(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def _scores() -> Any:
    from segfair.rank.procedure import rank_scored
    from tests.rank_fixtures import CONFIG, made_up, noise

    return rank_scored(made_up({"one": 0.7 + noise(0)[:8], "two": 0.7 + noise(1)[:8]}), CONFIG)


def rank_tree() -> Any:
    """A ranking of two teams."""
    from segfair.rank.saved import case_tree

    ranking = _scores()
    return json.loads(json_bytes({**ranking.to_dict(), **case_tree(ranking)}))


def audit_tree(shift: float = 0.0) -> Any:
    """An audit of twelve cases."""
    return json.loads(json_bytes(_audit(shift).to_dict()))


def comparison_tree() -> Any:
    """A comparison of two audits."""
    from segfair.compare.procedure import run_comparison

    return json.loads(json_bytes(run_comparison(_audit(0.0), _audit(0.1)).to_dict()))


def _audit(shift: float) -> Any:
    from tests.score_fixtures import audit_of

    rng = np.random.default_rng(0)
    dice = (rng.uniform(0.4, 0.9, 12) + shift).round(3).tolist()
    columns = {"sex": list("FFFMMMFFFMMM"), "age": [30, 41, 52, 63, 35, 46, 57, 68, 33, 44, 55, 66]}
    return audit_of({"dsc": dice, "normhd": [0.3 - value / 4 for value in dice]}, columns)


MANIFEST: Any = {
    "format": 1,
    "written_by": "segfair",
    "command": "segfair audit p l m.csv",
    "written": "2026-01-01T00:00:00",
    "protocol": {"name": "default", "sha256": "0" * 64},
    "versions": {"segfair": "0.1.0"},
    "inputs": {"predictions": {"path": "p", "files": {"A.nii": "0" * 64}}, "labels": {"path": "l", "files": None}},
    "outputs": {"audit.json": "0" * 64, "report.html": "1" * 64},
}
DESCRIPTION: Any = {
    "backbone": {
        "name": "unet", "in_channels": 3, "out_channels": 1, "dims": 3,
        "options": {"channels": [8, 16], "residual_units": 1},
    },
    "preprocessing": {
        "phases": 3, "spacing_mm": [1.0, 1.0, 1.0], "normalise": "ct", "regions": {"each": [{"name": "", "values": [1], "written": 1}]},
        "intensities": {"low": [0.0], "high": [1.0], "mean": [0.5], "spread": [0.1]},
    },
    "window": [32, 32, 32], "flips": [0, 1], "keep_largest": True,
}  # fmt: skip
SPLITS: Any = {"seed": 0, "train": ["A", "B"], "validation": ["C"], "test": ["D"]}
FOLDS: Any = [{"train": ["A", "B"], "val": ["C"]}, {"train": ["C", "B"], "val": ["A"]}]
DATASET: Any = {
    "labels": {"background": 0, "tumour": 1, "whole": [1, 2], "ignore": 3}, "regions_class_order": [1, 2],
    "training": [{"image": "imagesTr/A.nii.gz", "label": "labelsTr/A.nii.gz"}], "test": ["imagesTs/C.nii.gz"],
    "channel_names": {"0": "T1"}, "file_ending": ".nii.gz", "numTraining": 2,
}  # fmt: skip
BOX: Any = {
    "primary_lesion": {"breast_coordinates": {"x_min": 0, "x_max": 9, "y_min": 1, "y_max": 8.0, "z_min": 2, "z_max": 7}}
}
CONFIGURATION = (
    b'seed = 1\nepochs = 2\nstrategies = ["fairmedseg"]\nbackbones = ["unet"]\nlr = 1e-3\nselect = "ema"\nfolds = 3\n'
    b'attributes = ["age"]\n[bins]\nage = [0, 40, 100]\n[network.unet]\nchannels = [8, 16]\n'
)
RECORD = b'title = "A model"\nmodel = "m"\ncohort = "c"\n[intended_use]\nrole = "triage"\n'


def gzipped_text(text: bytes) -> bytes:
    return gzip.compress(text, mtime=0)
