"""Checkpoints that are none, that say nonsense of themselves, or do not fit; and what `predict` is given beside them."""

from __future__ import annotations

import functools
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.catalogue.cause import Cause, Make, change, written

__all__ = ["CAUSES", "checkpoint"]

_PREDICT = ("predict", "c.pt", "{base}/images", "masks")
_INIT = ("mitigate", "{base}", "--init", "c.pt", "--out", "out", "--epochs", "1", "--spacing", "8", "8", "8")
_SMALL = (*_INIT, "--spatial-size", "16", "16", "16", "--backbone", "unet", "--attributes", "age_group", "--config")


@functools.cache
def _good() -> bytes:
    """A checkpoint of a small network that fits the good example."""
    import torch

    from segfair.mitigation.data.preprocessing import Preprocessing
    from segfair.mitigation.networks.backbones import NetworkConfig, build_network
    from segfair.mitigation.prediction.volumes import describe

    config = NetworkConfig("unet", in_channels=3, out_channels=2, options={"channels": (4, 8), "residual_units": 2})
    preprocessing = Preprocessing(phases=3, spacing_mm=(8.0, 8.0, 8.0))
    written_to = io.BytesIO()
    tree = {"format": 1, "epoch": 1, "scores": {}, "description": describe(config, preprocessing, (16, 16, 16))}
    torch.save({**tree, "network": build_network(config).state_dict()}, written_to)
    return written_to.getvalue()


def checkpoint(edit: Callable[[dict[str, Any]], object] = lambda tree: None) -> Make:
    """`c.pt`, changed in place or for what is returned."""

    def make(case: Path, base: Path) -> None:
        import torch

        tree = torch.load(io.BytesIO(_good()), weights_only=True)
        changed = edit(tree)
        torch.save(tree if changed is None else changed, case / "c.pt")

    return make


def _described(place: str, value: Any) -> Make:
    return checkpoint(lambda tree: change(tree["description"], place, value))


def _bytes(content: Callable[[bytes], bytes]) -> Make:
    return lambda case, base: (case / "c.pt").write_bytes(content(_good()))


def _zip(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


class _Code:
    """What runs code where it is unpickled carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch was-run",)


FILES = [
    Cause(f"predict: a checkpoint that {name}", _PREDICT, ("c.pt", *says), make)
    for name, make, says in (
        ("is empty", written("c.pt", b""), ("cannot be read",)),
        ("is a text", written("c.pt", "hello\n"), ("cannot be read",)),
        ("is random bytes", written("c.pt", bytes(range(256)) * 20), ("cannot be read",)),
        ("is JSON", written("c.pt", '{"network": 1}'), ("cannot be read",)),
        ("is a zip of something else", written("c.pt", _zip("a.txt", b"a")), ("cannot be read",)),
        ("is a zip whose pickle is cut off", written("c.pt", _zip("c/data.pkl", b"\x80\x02}")), ("cannot be read",)),
        ("is cut in half", _bytes(lambda good: good[: len(good) // 2]), ("cannot be read",)),
        ("lacks its last byte", _bytes(lambda good: good[:-1]), ("cannot be read",)),
        ("lacks its first bytes", _bytes(lambda good: good[100:]), ("cannot be read",)),
        ("holds code", checkpoint(lambda tree: {**tree, "description": _Code()}), ("cannot be read",)),
        ("is nothing but code", checkpoint(lambda tree: _Code()), ("cannot be read",)),
        ("is a list", checkpoint(lambda tree: [tree]), ("not written by segfair",)),
        ("is a number", checkpoint(lambda tree: 3), ("not written by segfair",)),
        ("is the weights alone", checkpoint(lambda tree: tree["network"]), ("not written by segfair",)),
        ("has no format", checkpoint(lambda tree: change(tree, "format", ...)), ("format",)),
        ("is of a format to come", checkpoint(lambda tree: change(tree, "format", 99)), ("format is 99",)),
        ("has a format of text", checkpoint(lambda tree: change(tree, "format", "1")), ("format",)),
        ("is a folder without one", lambda case, base: (case / "c.pt").mkdir(), ("checkpoint_best.pt",)),
    )
]

WEIGHTS = [
    Cause(f"predict: weights that are {name}", _PREDICT, ("c.pt", *says), checkpoint(edit))
    for name, edit, says in (
        ("a list", lambda tree: change(tree, "network", [1, 2]), ("weights",)),
        ("a number", lambda tree: change(tree, "network", 3), ("weights",)),
        ("nothing", lambda tree: change(tree, "network", None), ("weights",)),
        ("empty", lambda tree: change(tree, "network", {}), ("weights",)),
        ("texts", lambda tree: change(tree, "network", dict.fromkeys(tree["network"], "w")), ("weights",)),
        ("keyed by numbers", lambda tree: change(tree, "network", dict(enumerate(tree["network"]))), ("weights",)),
        ("too few", lambda tree: tree["network"].popitem() and None, ("weights",)),
        ("too many", lambda tree: tree["network"].update(more=tree["epoch"]), ("weights",)),
        (
            "of other shapes",
            lambda tree: change(tree, "network", {name: value[..., None] for name, value in tree["network"].items()}),
            ("weights",),
        ),
        (
            "not numbers",
            lambda tree: change(
                tree, "network", {name: value * float("nan") for name, value in tree["network"].items()}
            ),
            ("weights", "no numbers"),
        ),
        (
            "infinite, one of them",
            lambda tree: next(iter(tree["network"].values())).view(-1)[:1].fill_(float("inf")) and None,
            ("weights", "no numbers"),
        ),
    )
]

_DESCRIPTIONS: list[tuple[str, str, Any]] = [
    ("backbone is a text", "backbone", "unet"),
    ("backbone is a list", "backbone", []),
    ("backbone is missing", "backbone", ...),
    ("the name is missing", "backbone.name", ...),
    ("the name is a number", "backbone.name", 3),
    ("the name is nobody's", "backbone.name", "resnet"),
    ("the name is empty", "backbone.name", ""),
    ("the network is code that was not named", "backbone.name", "os:system"),
    ("in_channels is 0", "backbone.in_channels", 0),
    ("in_channels is negative", "backbone.in_channels", -3),
    ("in_channels is a text", "backbone.in_channels", "three"),
    ("in_channels is beyond all bounds", "backbone.in_channels", 10**9),
    ("in_channels is another number than phases", "backbone.in_channels", 2),
    ("out_channels is missing", "backbone.out_channels", ...),
    ("out_channels is null", "backbone.out_channels", None),
    ("out_channels is 0", "backbone.out_channels", 0),
    ("dims is 4", "backbone.dims", 4),
    ("dims is a text", "backbone.dims", "3-D"),
    ("options is a list", "backbone.options", [1]),
    ("options is missing", "backbone.options", ...),
    ("an option that is unknown", "backbone.options", {"colour": 3}),
    ("channels is a text", "backbone.options.channels", "wide"),
    ("channels is empty", "backbone.options.channels", []),
    ("channels is negative", "backbone.options.channels", [-4, -8]),
    ("channels is beyond all bounds", "backbone.options.channels", [10**6, 10**7]),
    ("channels is of a thousand levels", "backbone.options.channels", [4] * 1000),
    ("dropout is 2", "backbone.options.dropout", 2.0),
    ("dropout is NaN", "backbone.options.dropout", float("nan")),
    ("preprocessing is missing", "preprocessing", ...),
    ("preprocessing is a text", "preprocessing", "none"),
    ("phases is 0", "preprocessing.phases", 0),
    ("phases is a text", "preprocessing.phases", "three"),
    ("spacing of NaN", "preprocessing.spacing_mm", [float("nan"), 8.0, 8.0]),
    ("spacing of 0", "preprocessing.spacing_mm", [0, 8.0, 8.0]),
    ("spacing of infinity", "preprocessing.spacing_mm", [float("inf"), 8.0, 8.0]),
    ("spacing of one number", "preprocessing.spacing_mm", [8.0]),
    ("spacing of texts", "preprocessing.spacing_mm", ["8", "8", "8"]),
    ("normalise is unknown", "preprocessing.normalise", "much"),
    ("normalise is ct without values", "preprocessing.normalise", "ct"),
    ("regions is a list", "preprocessing.regions", []),
    ("regions are empty", "preprocessing.regions.each", []),
    ("a region without values", "preprocessing.regions.each.0.values", []),
    ("a region of texts", "preprocessing.regions.each.0.values", ["tumour"]),
    ("a region written as nothing", "preprocessing.regions.each.0.written", None),
    ("a region written as -1", "preprocessing.regions.each.0.written", -1),
    ("window is missing", "window", ...),
    ("window of -1", "window", [-1, 16, 16]),
    ("window of 0", "window", [0, 16, 16]),
    ("window of texts", "window", ["a", "b", "c"]),
    ("window of one side", "window", [16]),
    ("window of two sides for volumes", "window", [16, 16]),
    ("window of halves", "window", [16.5, 16, 16]),
    ("window of odd sides", "window", [15, 15, 15]),
    ("flips along a fourth axis", "flips", [3]),
    ("flips is a text", "flips", "x"),
    ("keep_largest is a text", "keep_largest", "yes"),
]
DESCRIPTIONS = [
    Cause(f"predict: a checkpoint whose {name}", _PREDICT, ("c.pt",), _described(place, value))
    for name, place, value in _DESCRIPTIONS
] + [
    Cause("predict: a checkpoint without description", _PREDICT, ("c.pt",), checkpoint(lambda tree: change(tree, "description", ...))),
    Cause("predict: a checkpoint whose description is a list", _PREDICT, ("c.pt",), checkpoint(lambda tree: change(tree, "description", [1]))),
    Cause("predict: a checkpoint whose description is a text", _PREDICT, ("c.pt",), checkpoint(lambda tree: change(tree, "description", "unet"))),
]  # fmt: skip


def _folder(*names: str) -> Make:
    """A model's folder with checkpoints in these places."""

    def make(case: Path, base: Path) -> None:
        for name in names:
            (case / "model" / name).parent.mkdir(parents=True, exist_ok=True)
            (case / "model" / name).write_bytes(_good())

    return make


def _two(case: Path, base: Path) -> None:
    _folder("fold-1/checkpoint_best.pt", "fold-2/checkpoint_best.pt")(case, base)
    _described("window", [32, 32, 32])(case, base)
    shutil.move(case / "c.pt", case / "model" / "fold-2" / "checkpoint_best.pt")


def _images(prepare: Callable[[Path], object]) -> Make:
    def make(case: Path, base: Path) -> None:
        checkpoint()(case, base)
        (case / "images").mkdir()
        prepare(case / "images")

    return make


_ON_IMAGES = ("predict", "c.pt", "images", "masks")


def _volume(folder: Path, name: str, shape: tuple[int, ...], value: float = 1.0) -> None:
    import nibabel
    import numpy as np

    nibabel.save(nibabel.Nifti1Image(np.full(shape, value, np.float32), np.diag([8.0, 8, 8, 1])), folder / name)


BESIDE = [
    Cause(
        "predict: a checkpoint whose spacing is so fine that no memory holds it",
        _PREDICT,
        ("spacing", "voxels"),
        _described("preprocessing.spacing_mm", [1e-3, 1e-3, 1e-3]),
    ),
    Cause("predict: folds of two builds", ("predict", "model", "{base}/images", "masks"), ("fold-2", "build"), _two),
    Cause(
        "predict: a fold that is not finished",
        ("predict", "model", "{base}/images", "masks"),
        ("fold-2", "not finished"),
        _folder("fold-1/checkpoint_best.pt", "fold-2/checkpoint_last.pt"),
    ),
    Cause(
        "predict: a training before its first epoch",
        ("predict", "model", "{base}/images", "masks"),
        ("checkpoint_best.pt",),
        _folder("checkpoint_last.pt"),
    ),
    *(
        Cause(f"predict {option} {value}", (*_PREDICT, option, value), says, checkpoint())
        for option, value, says in (
            ("--device", "tpu", ("--device",)),
            ("--device", "cuda:99", ("--device",)),
            ("--device", "", ("--device",)),
            ("--boxes", "nowhere", ("nowhere",)),
        )
    ),
    Cause("predict: a file as images", ("predict", "c.pt", "c.pt", "masks"), ("c.pt",), checkpoint()),
    Cause("predict: no images", _ON_IMAGES, ("images",), _images(lambda folder: None)),
    Cause(
        "predict: images that are none", _ON_IMAGES, ("a",), _images(lambda folder: (folder / "a.nii.gz").write_bytes(b"x"))
    ),
    Cause(
        "predict: images of one phase", _ON_IMAGES, ("a", "3"), _images(lambda folder: _volume(folder, "a.nii.gz", (8, 8, 8)))
    ),
    Cause(
        "predict: images of NaN", _ON_IMAGES, ("a",), _images(lambda folder: _volume(folder, "a.nii.gz", (8, 8, 8, 3), float("nan")))
    ),
    Cause(
        "predict: images of five axes", _ON_IMAGES, ("a",), _images(lambda folder: _volume(folder, "a.nii.gz", (4, 4, 4, 3, 2)))
    ),
    Cause("predict: OUT is a file", (*_PREDICT[:3], "f"), ("f",), lambda case, base: [checkpoint()(case, base), written("f", "x")(case, base)]),
    Cause("predict: OUT below a file", (*_PREDICT[:3], "f/masks"), ("f",), lambda case, base: [checkpoint()(case, base), written("f", "x")(case, base)]),
    Cause("predict: OUT in /proc", (*_PREDICT[:3], "/proc/masks"), ("/proc/masks",), checkpoint()),
    Cause("predict: files of 100 bytes at most", _PREDICT, ("masks",), checkpoint(), limits={"RLIMIT_FSIZE": 100}),
    Cause(
        "predict: one image of two is broken",
        _ON_IMAGES,
        ("1 masks written", "1 failed", "b"),
        _images(lambda folder: [_volume(folder, "a.nii.gz", (8, 8, 8, 3)), (folder / "b.nii.gz").write_bytes(b"x")]),
        code=0,
    ),
]  # fmt: skip


def _other(edit: Callable[[dict[str, Any]], object]) -> Make:
    """`c.pt`, and settings of the network that it has."""

    def make(case: Path, base: Path) -> None:
        checkpoint(edit)(case, base)
        (case / "s.toml").write_text('normalise = "case"\n[network.unet]\nchannels = [4, 8]\nresidual_units = 2\n')

    return make


INIT = [
    Cause("mitigate --init: no such file", _INIT, ("c.pt",)),
    Cause("mitigate --init: a folder", _INIT, ("c.pt",), lambda case, base: (case / "c.pt").mkdir()),
    Cause("mitigate --init: a text", _INIT, ("c.pt",), written("c.pt", "hello")),
    Cause("mitigate --init: code", _INIT, ("c.pt",), checkpoint(lambda tree: _Code())),
    Cause("mitigate --init: cut off", _INIT, ("c.pt",), _bytes(lambda good: good[:1000])),
    Cause(
        "mitigate --init: of another backbone",
        (*_INIT, "--backbone", "segresnet", "--spatial-size", "16", "16", "16", "--attributes", "age_group"),
        ("--init", "c.pt", "unet", "segresnet"),
        checkpoint(),
    ),
    *(
        Cause(f"mitigate --init: {name}", (*_SMALL, "s.toml"), ("c.pt", *says), _other(edit))
        for name, edit, says in (
            ("weights are a list", lambda tree: change(tree, "network", [1]), ()),
            ("weights are nothing", lambda tree: change(tree, "network", None), ()),
            (
                "weights are no numbers",
                lambda tree: change(tree, "network", {key: value * float("nan") for key, value in tree["network"].items()}),
                ("no numbers",),
            ),
            ("description is a list", lambda tree: change(tree, "description", [1]), ()),
            ("preprocessing is a text", lambda tree: change(tree, "description.preprocessing", "none"), ()),
            ("another spacing", lambda tree: change(tree, "description.preprocessing.spacing_mm", [2.0, 2.0, 2.0]), ("spacing_mm",)),
            ("another normalisation", lambda tree: change(tree, "description.preprocessing.normalise", "phase"), ("normalise",)),
            ("other labels", lambda tree: change(tree, "description.preprocessing.regions.each.0.values", [2]), ("regions",)),
        )
    ),
]  # fmt: skip


def _run(edit: Callable[[Path], object]) -> Make:
    """The folder of a run that has begun with one model."""

    def make(case: Path, base: Path) -> None:
        out = case / "out"
        (out / "erm").mkdir(parents=True)
        ids = [f"PH{number:04d}" for number in range(1, 25)]
        split = {"train": ids[:14], "validation": ids[14:19], "test": ids[19:]}
        told = {"format": 1, **split, "origin": "drawn", "seed": 0, "left_out": {}}
        (out / "splits.json").write_text(json.dumps(told))
        (out / "config.toml").write_text(
            f'data = "{base}"\nbackbones = ["unet"]\nstrategies = ["erm"]\nepochs = 1\nbatch_size = 4\nlr = 0.01\nselect = "dice"\n'
            'recipe = "paper"\nspatial_size = [16, 16, 16]\nspacing_mm = [8.0, 8.0, 8.0]\nnormalise = "case"\n'
            'augmentation = "light"\nflip_axes = ["x"]\nattributes = ["age_group"]\ntest_flips = false\n'
            "[network.unet]\nchannels = [4, 8]\nresidual_units = 2\ndropout = 0.0\n"
        )
        (out / "erm" / "checkpoint_last.pt").write_bytes(_good())
        shutil.copy(out / "config.toml", case / "s.toml")
        edit(out)

    return make


_RESUME = ("mitigate", "{base}", "--config", "s.toml", "--out", "out", "--resume")


def _replaced(name: str, content: str | bytes) -> Callable[[Path], object]:
    return lambda out: (out / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def _split(place: str, value: Any) -> Callable[[Path], object]:
    def edit(out: Path) -> None:
        tree = json.loads((out / "splits.json").read_text())
        change(tree, place, value)
        (out / "splits.json").write_text(json.dumps(tree))

    return edit


RESUMED = [
    Cause("mitigate: OUT holds a training", _RESUME[:-1], ("out", "erm", "--resume"), _run(lambda out: None)),
    Cause("mitigate: --resume and --overwrite", (*_RESUME, "--overwrite"), ("--resume", "--overwrite"), _run(lambda out: None)),
    *(
        Cause(f"mitigate --resume: {name}", (*_RESUME, *more), says, _run(edit))
        for name, edit, more, says in (
            ("a checkpoint that is none of a training", lambda out: None, (), ("checkpoint_last.pt", "training")),
            ("a checkpoint that is cut off", _replaced("erm/checkpoint_last.pt", b"PK"), (), ("checkpoint_last.pt",)),
            ("a checkpoint that is empty", _replaced("erm/checkpoint_last.pt", b""), (), ("checkpoint_last.pt",)),
            ("other settings", lambda out: None, ("--lr", "0.5"), ("lr", "0.01", "0.5")),
            ("another seed", lambda out: None, ("--seed", "7"), ("seed",)),
            ("folds, where there was one split", lambda out: None, ("--folds", "3"), ("folds",)),
            ("config.toml is no TOML", _replaced("config.toml", "a = = 1"), (), ("config.toml",)),
            ("config.toml is binary", _replaced("config.toml", b"\xff\x00"), (), ("config.toml",)),
            ("config.toml of tomorrow", _replaced("config.toml", "colour = 3\n"), (), ("config.toml", "colour")),
            ("splits.json is no JSON", _replaced("splits.json", "{"), (), ("splits.json",)),
            ("splits.json is a list", _replaced("splits.json", "[]"), (), ("splits.json",)),
            ("splits.json is deep", _replaced("splits.json", "[" * 100_000), (), ("splits.json",)),
            ("splits.json of tomorrow", _split("format", 9), (), ("splits.json", "9")),
            ("splits.json without test cases", _split("test", []), (), ("test",)),
            ("splits.json with a number for cases", _split("train", 3), (), ("splits.json",)),
            ("splits.json with a case twice", _split("train.0", "PH0020"), (), ("PH0020",)),
            ("splits.json of other cases", _split("train.0", "nobody"), (), ("nobody",)),
            ("splits.json without its seed", _split("seed", ...), (), ("splits.json",)),
        )
    ),
]  # fmt: skip

CAUSES = [*FILES, *WEIGHTS, *DESCRIPTIONS, *BESIDE, *INIT, *RESUMED]
