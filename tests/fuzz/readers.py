"""The readers that are fuzzed: name -> its forms, made when they are asked for, since some need much to be imported."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from segfair.errors import InputError
from tests.fuzz import packing, seeds
from tests.fuzz.forms import Form

__all__ = ["READERS"]

_CASES = ("A", "B", "C", "D", "0012")


def nifti() -> Iterable[Form]:
    """Masks and images in NIfTI."""
    plain = tuple(seeds.volumes())
    yield Form("a.nii", _read_mask, plain)
    yield Form("a.nii.gz", _read_mask, plain, packing.gzipped)
    yield Form("a.nii.gz", _read_mask, tuple(map(packing.gzipped, plain)))
    yield Form("a.nii", _read_image, plain)


def headers() -> Iterable[Form]:
    """The text headers of NRRD and MetaImage, with their voxels behind them or in a file beside them."""
    nrrd = (*seeds.headed(".nrrd"), *seeds.NRRD_TEXT)
    meta = (*seeds.headed(".mha"), *seeds.META_TEXT)
    yield Form("a.nrrd", _read_beside, nrrd)
    packed = tuple(seed.replace(b"encoding: raw", b"encoding: gzip") for seed in nrrd[:3])
    yield Form("a.nrrd", _read_beside, packed, packing.attached(b"\n\n", packing.gzipped))
    yield Form("a.mha", _read_beside, meta)
    packed = tuple(seed.replace(b"CompressedData = False", b"CompressedData = True") for seed in meta[:3])
    yield Form("a.mha", _read_beside, packed, packing.attached(b"LOCAL\n", zlib.compress))
    yield Form("a.mhd", _read_beside, meta)


def pixels() -> Iterable[Form]:
    """Pictures, stacks of them and arrays of NumPy."""
    pictures, masks = seeds.pictures(), seeds.masks()
    yield Form("a.png", _read_mask, tuple(pictures["png"]), packing.with_checksums)
    yield Form("a.png", _read_image, (b"\0\0\0\5\0\0\0\4\x08\0\0\0\0" + b"\0\1\2\1\0\1" * 4,), packing.picture)
    yield Form("a.tif", _read_mask, tuple(pictures["tiff"]))
    yield Form("a.npy", _read_mask, tuple(masks["npy"]))
    yield Form("a.npz", _read_mask, tuple(masks["npz"]))
    empty = _nothing()
    yield Form("a.npz", _read_mask, tuple(masks["npy"]), packing.in_archive(empty, "mask.npy"))
    spaced = masks["npz"][2]
    yield Form("a.npz", _read_mask, (packing.member(spaced, "spacing.npy"),), packing.in_archive(spaced, "spacing.npy"))


def tables() -> Iterable[Form]:
    """Tables and files of scores."""
    yield Form("t.csv", _read_table, seeds.TABLES)
    yield Form("t.tsv", _read_table, seeds.TABLES)
    yield Form("t.json", _read_table, (*seeds.JSON_TABLES, *seeds.SUMMARIES))
    yield Form("summary.json", _read_scores, (*seeds.SUMMARIES, *seeds.JSON_TABLES))
    yield Form("t.jsonl", _read_table, (b'{"id": "A", "age": 3}\n{"id": "B", "sex": null}\n',))
    yield Form("a.csv", _read_paths, (b"id,prediction,label,age\nA,p/A.nii,l/A.nii,3\nB,p/B.nii,l/B.nii,4\n",))
    inline, book = seeds.workbooks()
    yield Form("t.xlsx", _read_table, (inline, book))
    for member in ("xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml", "xl/styles.xml"):
        yield Form("t.xlsx", _read_table, (packing.member(book, member),), packing.in_archive(book, member))


def documents() -> Iterable[Form]:
    """JSON and TOML with what they have to hold: audits, manifests, rankings, comparisons, protocols, records, lists."""
    from segfair.attributes.fit import BinningPlan
    from segfair.audit.result import AuditResult
    from segfair.audit.result.record import read_record
    from segfair.compare.schema import comparison_schema
    from segfair.documents import check_tree, read_json, read_toml
    from segfair.files.datalists import read_case_list, read_dataset
    from segfair.files.manifest import not_covered, recorded_inputs, verify, written_files
    from segfair.protocol.rules import load_protocol, protocol_text
    from segfair.rank.saved import load_audited

    schema = comparison_schema()
    audit = seeds.audit_tree()

    def manifest(path: Path) -> None:
        verify(path.parent)
        written_files(path.parent)
        not_covered(path.parent)
        recorded_inputs(path.parent / "audit.json", {"labels": "l"})

    yield Form("audit.json", lambda path: AuditResult.load(path).to_dict(), (seeds.json_bytes(audit),))
    yield Form("rank.json", lambda path: load_audited(Path(f"{path}:one")), (seeds.json_bytes(seeds.rank_tree()),))
    yield Form("manifest.json", manifest, (seeds.json_bytes(seeds.MANIFEST),))
    yield Form(
        "comparison.json", lambda path: check_tree(read_json(path), schema, str(path)),
        (seeds.json_bytes(seeds.comparison_tree()),),
    )  # fmt: skip
    yield Form(
        "p.toml", lambda path: load_protocol(path).to_dict(),
        tuple(protocol_text(name).encode() for name in ("default", "mama-mia")),
    )  # fmt: skip
    yield Form(
        "plan.json", lambda path: _round(BinningPlan.from_dict(_object(path))),
        (seeds.json_bytes(audit["binning"]),),
        named=("bins",),
    )  # fmt: skip
    yield Form("r.toml", read_record, (seeds.RECORD,))
    yield Form("any.toml", read_toml, (b'a = [1, {b = "c"}]\n[d.e]\nf = 1979-05-27T07:32:00Z\n[[g]]\nh = 0x1f\n',))
    yield Form("any.json", read_json, (b'{"a": [1, -2.5e3, "\\u00e9\\ud83d\\ude00", null, true], "b": {}}',))
    yield Form("dataset.json", read_dataset, (seeds.json_bytes(seeds.DATASET),))
    yield Form("splits.json", lambda path: read_case_list(f"{path}:0"), (seeds.json_bytes(seeds.FOLDS),))
    yield Form("cases.txt", lambda path: read_case_list(str(path)), (b"# ids\nA\nB.nii.gz\n\n0012\n",))


def models() -> Iterable[Form]:
    """What a training and a prediction read: settings, descriptions of checkpoints, splits, breast boxes."""
    from segfair.documents import read_json
    from segfair.mitigation.data.boxes import read_box
    from segfair.mitigation.data.given_splits import given_splits
    from segfair.mitigation.data.splits import load_split
    from segfair.mitigation.experiment.settings import load_settings
    from segfair.mitigation.prediction.volumes import read_description

    split = {"format": 1, "origin": "drawn", "left_out": {"E": "no label"}, **seeds.SPLITS}
    yield Form(
        "model.json", lambda path: read_description(read_json(path), path), (seeds.json_bytes(seeds.DESCRIPTION),)
    )
    yield Form(
        "config.toml", lambda path: load_settings(path, {}, out=path.parent / "out").to_dict(),
        (tomli_w.dumps(load_settings(None, {}, out=Path("out")).to_dict()).encode(), seeds.CONFIGURATION),
        named=("--",),
    )  # fmt: skip
    yield Form("splits.json", load_split, (seeds.json_bytes(split),))
    yield Form(
        "given.json", lambda path: given_splits(str(path), {}, _CASES),
        (seeds.json_bytes(split), seeds.json_bytes(seeds.FOLDS)),
    )  # fmt: skip
    yield Form("box.json", read_box, (seeds.json_bytes(seeds.BOX),))


def expressions() -> Iterable[Form]:
    """What is typed behind `--where`, `--gate`, `--bins`, `--join`, `--margin`, `--spacing` and `--label`."""
    from segfair.attributes.fit import parse_bins
    from segfair.attributes.joins import parse_join
    from segfair.audit.judging.gates import parse_gate
    from segfair.cli.settings import parse_margin, parse_spacing
    from segfair.intake.where import fulfilled
    from segfair.protocol.rules import parse_label_values

    rows = (
        {"split": "test", "age": 50, "time to event": 3.5, "ok": True, "when": None},
        {"split": "NA", "age": float("nan"), "time to event": None, "ok": False},
        {"split": "10", "age": 2**60, "time to event": 1e308, "ok": None},
    )
    columns = ("split", "age", "time to event", "ok", "when")

    def joined(text: str) -> None:
        join = parse_join(text)
        assert parse_join(str(join)) == join

    for option, parse, known in (
        ("--where", lambda text: fulfilled(text, rows, columns=columns), (
            'split == "test" and age > 50', "not (split in ['a', 'b']) or `time to event` / 12 >= -2", "40 <= age < 50",
            'col["time to event"] is not None', "age is None", "ok", "age not in [1, -2] and age * 2 != 3 - 1",
        )),
        ("gate", parse_gate, (
            "FS >= 0.85", "worst(dsc) > 0.5", "within(age, dsc) 0.1", "significant(site) == 0", "coverage >= 0.98",
            "within_margin(sex)", "NormHD < 0.2",
        )),
        ("bins", parse_bins, ("age=0,40,50", "age=tree", "a=b=-inf,1e3,inf")),
        ("--join", joined, ('menopause: pre, "pre (< 6 months)" = pre', 'site: "Bonn, ""N""" = Bonn')),
        ("--margin", parse_margin, ("dsc=0.05",)),
        ("--spacing", parse_spacing, ("0.2 0.2", "1,2,3")),
        ("label", parse_label_values, ("any", "1,2")),
    ):  # fmt: skip
        yield Form(
            "expression", lambda path, parse=parse: parse(path.read_bytes().decode("utf-8", "surrogateescape")),
            tuple(text.encode() for text in known), named=(option,),
        )  # fmt: skip


READERS: Mapping[str, Callable[[], Iterable[Form]]] = {
    "NIfTI": nifti,
    "NRRD, MetaImage": headers,
    "PNG, TIFF, NPY, NPZ": pixels,
    "tables and scores": tables,
    "JSON and TOML": documents,
    "models and trainings": models,
    "expressions": expressions,
}
"""In the words of the table in `docs/reliability.md`."""


def _read_mask(path: Path) -> None:
    from segfair.files.images.contents import content_digest
    from segfair.files.images.masks import has_size, read_mask

    mask = read_mask(path)
    assert mask.array.dtype.kind in "iu"
    assert mask.array.shape == mask.shape
    _is_sound(mask)
    assert has_size(path) is mask.has_size
    assert len(content_digest(path)) == 64


def _read_image(path: Path) -> None:
    from segfair.files.images.masks import count_channels, read_channels, read_image

    channels = read_channels(path)
    assert count_channels(path) in (1, len(channels))
    image = read_image(path)
    assert image.array.dtype == np.float32
    _is_sound(image)


def _is_sound(mask: Any) -> None:
    from segfair.files.images.grids import describe_grid

    assert mask.ndim in (2, 3)
    assert np.isfinite(mask.affine).all()
    assert all(side > 0 for side in mask.spacing_mm)
    assert describe_grid(mask)
    assert mask.axes_mm is None or np.isfinite(mask.axes_mm).all()


def _read_beside(path: Path) -> None:
    """A mask whose header may name files that are there."""
    for name in ("voxels.raw", "voxels0.raw", "voxels1.raw"):
        beside = path.with_name(name)
        if not beside.exists():
            beside.write_bytes(bytes([0, 1, 2, 0, 1, 0, 1, 1, 0, 0, 0, 1]))
    _read_mask(path)


def _read_table(path: Path) -> None:
    from segfair.files.tables import load_table

    table = load_table(path)
    assert len(table) > 0
    assert table.columns
    for name in table.columns:
        assert len(table.column(name)) == len(table.raw[name]) == len(table)


def _read_scores(path: Path) -> None:
    from segfair.files.score_files import read_scores

    assert len(read_scores(path).table) > 0


def _read_paths(path: Path) -> None:
    from segfair.files.datalists import is_path_table, read_path_table

    if is_path_table(path):
        read_path_table(path)


def _object(path: Path) -> Mapping[str, Any]:
    from segfair.documents import read_json

    tree = read_json(path)
    if not isinstance(tree, dict):
        raise InputError("bins: expected an object")
    return tree


def _round(plan: Any) -> None:
    assert type(plan).from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def _nothing() -> bytes:
    """A ZIP archive with nothing in it."""
    return b"PK\5\6" + bytes(18)
