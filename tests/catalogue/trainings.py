"""What a training is told, and what it is given: settings, networks, data sets, lists, splits, images; phantom folders."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.catalogue.cause import Cause, Make, change, written

__all__ = ["CAUSES"]

_OUT = ("--out", "out", "--epochs", "1")
_CONFIG = ("mitigate", "{base}", "--config", "s.toml", *_OUT)
_PLAIN = ("mitigate", "{base}", *_OUT, "--spacing", "8", "8", "8", "--spatial-size", "16", "16", "16")
_DATA = ("mitigate", "data", *_OUT, "--spacing", "8", "8", "8", "--spatial-size", "16", "16", "16")

_TEXTS: tuple[tuple[str, str | bytes, str], ...] = (
    ("no TOML", "epochs = = 3", "TOML"),
    ("JSON", '{"epochs": 3}', "TOML"),
    ("binary", b"\xff\xfe\x00", "UTF-8"),
    ("deep", "a = " + "[" * 100_000, "nested"),
    ("a number of 5,000 digits", "epochs = " + "1" * 5000, "digits"),
    ("a key twice", "epochs = 3\nepochs = 4", "TOML"),
    ("an unknown key", "colour = 3", "colour"),
    ("an unknown table", "[optimizer]\nlr = 3", "optimizer"),
    ("epochs a text", 'epochs = "ten"', "epochs"),
    ("epochs 0", "epochs = 0", "epochs"),
    ("epochs half", "epochs = 2.5", "epochs"),
    ("epochs true", "epochs = true", "epochs"),
    ("lr of NaN", "lr = nan", "lr"),
    ("lr of infinity", "lr = inf", "lr"),
    ("lr negative", "lr = -1.0", "lr"),
    ("lr a list", "lr = [0.1]", "lr"),
    ("batch_size 0", "batch_size = 0", "batch_size"),
    ("alpha 2", "alpha = 2.0", "alpha"),
    ("alpha a word", 'alpha = "much"', "alpha"),
    ("backbones a text", 'backbones = "unet"', "backbones"),
    ("backbones empty", "backbones = []", "backbones"),
    ("backbones of numbers", "backbones = [1]", "backbones"),
    ("backbones unknown", 'backbones = ["resnet"]', "resnet"),
    ("strategies empty", "strategies = []", "strategies"),
    ("strategies unknown", 'strategies = ["magic"]', "magic"),
    ("spatial_size of one side", "spatial_size = [16]", "spatial_size"),
    ("spatial_size of four sides", "spatial_size = [16, 16, 16, 16]", "spatial_size"),
    ("spatial_size of 0", "spatial_size = [0, 16, 16]", "spatial_size"),
    ("spatial_size of texts", 'spatial_size = ["a", "b", "c"]', "spatial_size"),
    ("spatial_size beyond all memory", "spatial_size = [65536, 65536, 65536]", "step needs"),
    ("spatial_size beyond all bounds", "spatial_size = [1000000000, 16, 16]", "spatial"),
    ("spacing_mm of 0", "spacing_mm = [0.0, 1.0, 1.0]", "spacing_mm"),
    ("spacing_mm of NaN", "spacing_mm = [nan, 1.0, 1.0]", "spacing_mm"),
    ("spacing_mm a number", "spacing_mm = 1.0", "spacing_mm"),
    ("folds 1", "folds = 1", "folds"),
    ("seeds 0", "seeds = 0", "seeds"),
    ("seeds without folds", "seeds = 3", "seeds"),
    ("seed negative", "seed = -1", "seed"),
    ("workers negative", "workers = -1", "workers"),
    ("min_support 0", "min_support = 0.0", "min_support"),
    ("average 2", "average = 2.0", "average"),
    ("average 0 and select ema", 'average = 0.0\nselect = "ema"', "average"),
    ("select unknown", 'select = "best"', "select"),
    ("recipe unknown", 'recipe = "weak"', "recipe"),
    ("optimiser unknown", 'optimiser = "magic"', "optimiser"),
    ("schedule unknown", 'schedule = "magic"', "schedule"),
    ("augmentation unknown", 'augmentation = "wild"', "augmentation"),
    ("flip_axes unknown", 'flip_axes = ["w"]', "flip_axes"),
    ("modality unknown", 'modality = "mri"', "modality"),
    ("normalise unknown", 'normalise = "much"', "normalise"),
    ("loss unknown", 'loss = "magic"', "loss"),
    ("outcome unknown", 'outcome = "hd95"', "outcome"),
    ("protocol unknown", 'protocol = "magic"', "magic"),
    ("label a number", "label = 1", "label"),
    ("label of nobody", 'label = ["x="]', "x="),
    ("bins of nothing", 'bins = ["age"]', "age"),
    ("bins that fall", 'bins = ["age=50,40"]', "age"),
    ("bins learned", 'bins = ["age=tree"]', "age"),
    ("join of nothing", 'join = ["site"]', "site"),
    ("where of nonsense", 'where = "age >>> 3"', "where"),
    ("cases nowhere", 'cases = "nowhere.txt"', "nowhere.txt"),
    ("attributes unknown", 'attributes = ["colour"]', "colour"),
    ("subject column unknown", 'subject_column = "colour"', "colour"),
    ("id column unknown", 'id_column = "colour"', "colour"),
    ("metadata nowhere", 'metadata = "nowhere.csv"', "nowhere.csv"),
    ("log unknown", 'log = ["paper"]', "paper"),
    ("device unknown", 'device = "tpu"', "tpu"),
    ("half precision without a GPU", 'device = "cpu"\namp = true', "amp"),
    ("phases 0", "phases = 0", "phases"),
    ("more phases than there are", "phases = 7", "phases"),
    ("oracle without its strategy", '[oracle]\nsite = "C"', "oracle"),
    ("the strategy oracle untold", 'strategies = ["oracle"]', "oracle"),
    ("the strategy one-shot without weights", 'strategies = ["one-shot"]', "weights"),
    ("an oracle of a column that is not there", 'strategies = ["oracle"]\n[oracle]\ncolour = "red"', "colour"),
    ("an oracle of a level that is not there", 'strategies = ["oracle"]\n[oracle]\nsite = "Z"', "site"),
    ("network a number", "network = 3", "network"),
    ("network of an unknown backbone", "[network.resnet]\nchannels = [4, 8]", "resnet"),
    ("network channels a text", '[network.unet]\nchannels = "wide"', "channels"),
    ("network channels of one level", "[network.unet]\nchannels = [4]\n", "channels"),
    ("network channels negative", "[network.unet]\nchannels = [-4, 8]", "channels"),
    ("network channels beyond all memory", "[network.unet]\nchannels = [1000000, 10000000]", "step needs"),
    ("network dropout 1", "[network.unet]\ndropout = 1.0", "dropout"),
    ("network with an unknown width", "[network.unet]\nwidth = 3", "width"),
    ("weights of an unknown key", "[weights]\ncolour = 3", "colour"),
    ("weights of a text", '[weights]\nlargest = "much"', "weights"),
    ("resume and overwrite", "resume = true\noverwrite = true", "resume"),
)
SETTINGS = [
    Cause(f"mitigate --config: {name}", _with, (says,), written("s.toml", text))
    for name, text, says in _TEXTS
    for _with in [
        (*_CONFIG[:4], "--out", "out")
        if "epochs" in name or "key twice" in name
        else (*_CONFIG, "--backbone", "unet")
        if "network" in name and "unet" in str(text)
        else _CONFIG
    ]
] + [
    Cause("mitigate --config: no such file", _CONFIG, ("s.toml", "no such file")),
    Cause("mitigate --config: a folder", _CONFIG, ("s.toml", "folder"), lambda case, base: (case / "s.toml").mkdir()),
]

OPTIONS = [
    Cause(f"mitigate {' '.join(words)}", ("mitigate", "{base}", *_OUT, *words), says)
    for words, says in (
        (("--spatial-size", "16", "16", "16", "--patch", "16", "16", "16"), ("--patch",)),
        (("--samples-per-case", "2"), ("--samples-per-case", "--patch")),
        (("--spatial-size", "17", "16", "16", "--backbone", "unet"), ("17 x 16 x 16", "next size")),
        (("--spatial-size", "16", "16"), ("16",)),
        (("--patch", "0", "0", "0"), ("--patch",)),
        (("--patch", "-16", "16", "16"), ("--patch",)),
        (("--patch", "big"), ("big",)),
        (("--patch", "4096", "4096", "4096"), ("step needs",)),
        (("--batch-size", "10000", "--spacing", "8", "8", "8", "--patch", "64", "64", "64"), ("step needs", "--batch-size")),
        (("--spacing", "0.001", "0.001", "0.001", "--patch", "16", "16", "16"), ("spacing",)),
        (("--spacing", "0", "1", "1"), ("spacing",)),
        (("--oracle", "site"), ("--oracle", "COLUMN=LEVEL")),
        (("--oracle", "site=A", "--oracle", "site=B"), ("--oracle", "site")),
        (("--aggregate", "magic"), ("aggregate",)),
        (("--feedback", "nobody"), ("feedback",)),
        (("--alpha", "much"), ("--alpha",)),
        (("--alpha", "-1"), ("--alpha",)),
        (("--weights", "nowhere.csv"), ("nowhere.csv",)),
        (("--metadata", "nowhere.csv"), ("nowhere.csv",)),
        (("--cases", "nowhere.txt"), ("nowhere.txt",)),
        (("--splits", "nowhere.json"), ("nowhere.json",)),
        (("--splits", "colour"), ("colour",)),
        (("--label", "9"), ("9",)),
        (("--label", "x"), ("x",)),
        (("--seeds", "2"), ("--seeds", "--folds")),
        (("--folds", "25"), ("folds", "24")),
        (("--where", "age > 200"), ("age > 200",)),
        (("--where", "age >"), ("age >",)),
        (("--network", "nowhere:make", "--spacing", "8", "8", "8"), ("nowhere",)),
        (("--network", "os:getcwd", "--spacing", "8", "8", "8"), ("os:getcwd",)),
        (("--network", "math:pi", "--spacing", "8", "8", "8"), ("math:pi",)),
        (("--network", "json:JSONDecoder", "--spacing", "8", "8", "8"), ("json:JSONDecoder",)),
        (("--network", ":make"), (":make",)),
        (("--network", "json:"), ("json:",)),
        (("--out", "/proc/out"), ("/proc/out",)),
        (("--out", "/dev/null"), ("/dev/null",)),
        (("--cache", "/proc/cache", "--spacing", "8", "8", "8"), ("/proc/cache",)),
    )
] + [
    Cause("mitigate without DATA: --folds", ("mitigate", "--folds", "3", "--out", "out"), ("--folds", "DATA")),
    Cause("mitigate without DATA: --metadata", ("mitigate", "--metadata", "m.csv", "--out", "out"), ("--metadata", "DATA")),
    Cause("mitigate without DATA: --phases 2", ("mitigate", "--phases", "2", "--out", "out"), ("--phases",)),
]  # fmt: skip

_NETWORK = ("mitigate", "{base}", *_OUT, "--spacing", "8", "8", "8", "--spatial-size", "16", "16", "16", "--network")


def _module(text: str) -> Make:
    return written("mine.py", text)


NETWORKS = [
    Cause(f"mitigate --network: {name}", (*_NETWORK, "mine:make"), says, _module(text), environment={"PYTHONPATH": "."})
    for name, text, says in (
        ("a module that is no Python", "def make(:\n", ("mine",)),
        ("a module that raises", "raise RuntimeError('not today')", ("mine", "not today")),
        ("a module that leaves", "import sys; sys.exit(3)", ("mine",)),
        ("no such function", "x = 1", ("mine",)),
        ("a function of no argument", "def make(): pass", ("mine:make", "keywords")),
        ("a function that raises", "def make(**_):\n    raise ValueError('too small')", ("mine:make", "too small")),
        ("a function that gives a number", "def make(**_): return 3", ("mine:make", "Module")),
        ("a function that gives a class", "import torch\ndef make(**_): return torch.nn.Conv3d", ("mine:make", "Module")),
        (
            "a network without weights",
            "import torch\ndef make(**_): return torch.nn.Identity()",
            ("mine:make",),
        ),
        (
            "a network of other channels",
            "import torch\ndef make(**_): return torch.nn.Conv3d(1, 2, 3, padding=1)",
            ("mine:make",),
        ),
        (
            "a network of other outputs",
            "import torch\ndef make(in_channels, **_): return torch.nn.Conv3d(in_channels, 7, 3, padding=1)",
            ("mine:make",),
        ),
        (
            "a network that shrinks its image",
            "import torch\ndef make(in_channels, out_channels, **_): return torch.nn.Conv3d(in_channels, out_channels, 3)",
            ("mine:make",),
        ),
    )
]  # fmt: skip


def _set(prepare: Callable[[Path], object]) -> Make:
    """`data`, a copy of the good data set whose images are links, changed."""

    def make(case: Path, base: Path) -> None:
        data = case / "data"
        data.mkdir()
        for name in ("labels", "images"):
            shutil.copytree(base / name, data / name)
        for name in ("metadata.csv", "dataset.json"):
            shutil.copy(base / name, data)
        prepare(data)

    return make


def _listed(place: str, value: Any) -> Make:
    def prepare(data: Path) -> None:
        tree = json.loads((data / "dataset.json").read_text())
        change(tree, place, value)
        (data / "dataset.json").write_text(json.dumps(tree))

    return _set(prepare)


def _content(name: str, content: str | bytes) -> Make:
    return _set(lambda data: (data / name).write_bytes(content if isinstance(content, bytes) else content.encode()))


def _all(folder: str, prepare: Callable[[Path], object]) -> Make:
    return _set(lambda data: [prepare(path) for path in sorted((data / folder).iterdir())])


def _few(n: int) -> Make:
    def prepare(data: Path) -> None:
        for path in sorted((data / "labels").iterdir())[n:]:
            path.unlink()
            (data / "images" / path.name).unlink()
        (data / "dataset.json").unlink()

    return _set(prepare)


def _saved(path: Path, shape: tuple[int, ...], value: float) -> None:
    import nibabel
    import numpy as np

    spacing = np.diag([8.0, 8, 8, 1])
    nibabel.save(nibabel.Nifti1Image(np.full(shape, value, np.float32), spacing), path)


LISTS = [
    Cause(f"mitigate: dataset.json {name}", _DATA, ("dataset.json", *says), make)
    for name, make, says in (
        ("is no JSON", _content("dataset.json", "{"), ()),
        ("is empty", _content("dataset.json", ""), ()),
        ("is a list", _content("dataset.json", "[]"), ()),
        ("is binary", _content("dataset.json", b"\xff\x00"), ()),
        ("is deep", _content("dataset.json", "[" * 100_000), ()),
        ("labels is a list", _listed("labels", ["tumour"]), ("labels",)),
        ("labels is a number", _listed("labels", 3), ("labels",)),
        ("a label is a half", _listed("labels", {"background": 0, "tumour": 1.5}), ("tumour",)),
        ("a region holds the background", _listed("labels", {"background": 0, "tumour": [0, 1]}), ("tumour",)),
        ("two ignore labels", _listed("labels", {"tumour": 1, "ignore": [2, 3]}), ("ignore",)),
        ("an entry is a number", _listed("training.3", 5), ("training",)),
        ("an entry is a list", _listed("training.3", ["a", "b"]), ("training",)),
        ("an image is a number", _listed("training.3.image", 5), ("training",)),
        ("a label is a list", _listed("training.3.label", ["a"]), ("training",)),
        ("regions_class_order is a text", _listed("regions_class_order", "1"), ("regions_class_order",)),
    )
]

DATA = [
    Cause(f"mitigate: {name}", _DATA, says, make)
    for name, make, says in (
        ("an empty folder", lambda case, base: (case / "data").mkdir(), ("data",)),
        ("a file as DATA", written("data", "x"), ("data",)),
        ("no images", _set(lambda data: shutil.rmtree(data / "images")), ("images",)),
        ("no labels", _set(lambda data: shutil.rmtree(data / "labels")), ("label",)),
        ("no table", _set(lambda data: (data / "metadata.csv").unlink()), ("metadata",)),
        ("an empty table", _content("metadata.csv", ""), ("metadata.csv",)),
        ("a table of one column", _content("metadata.csv", "patient_id\nPH0001\n"), ("too few",)),
        ("a table of other cases", _content("metadata.csv", "patient_id,site\nX1,A\nX2,B\n"), ("metadata.csv",)),
        ("a table that is binary", _content("metadata.csv", bytes(range(256)) * 4), ("metadata.csv",)),
        ("a folder as table", _set(lambda data: [(data / "metadata.csv").unlink(), (data / "metadata.csv").mkdir()]), ("metadata",)),
        ("every image broken", _all("images", lambda path: path.write_bytes(b"x")), ("images",)),
        ("every image empty", _all("images", lambda path: path.write_bytes(b"")), ("images",)),
        ("every label broken", _all("labels", lambda path: path.write_bytes(b"x")), ("PH0001",)),
        ("every label empty of lesions", _all("labels", lambda path: _saved(path, (16, 16, 16), 0)), ("no label of 24",)),
        ("every label of values that nobody named", _all("labels", lambda path: _saved(path, (16, 16, 16), 9)), ("label",)),
        ("every label of another grid", _all("labels", lambda path: _saved(path, (5, 5, 5), 1)), ("PH0001",)),
        ("every label flat", _all("labels", lambda path: _saved(path, (16, 16), 1)), ("PH0001",)),
        ("every image of NaN", _all("images", lambda path: _saved(path, (16, 16, 16, 3), float("nan"))), ("PH0001",)),
        ("every image of five axes", _all("images", lambda path: _saved(path, (4, 4, 4, 3, 2), 1)), ("images",)),
        ("one case", _few(1), ("1 ",)),
        ("two cases", _few(2), ("2 ",)),
    )
]  # fmt: skip

_SPLITS = (*_PLAIN, "--splits")


def _ids(*numbers: int) -> list[str]:
    return [f"PH{number:04d}" for number in numbers]


_ALL = range(1, 25)
SPLITS = [
    Cause(f"mitigate --splits: {name}", (*_SPLITS, file), (file, *says), written(file, content))
    for name, file, content, says in (
        ("no JSON", "s.json", "{", ()),
        ("a number", "s.json", "3", ()),
        ("an empty list", "s.json", "[]", ()),
        ("an empty object", "s.json", "{}", ()),
        ("deep", "s.json", "[" * 100_000, ()),
        ("binary", "s.json", b"\xff\x00", ()),
        ("a list of numbers", "s.json", "[1, 2]", ()),
        ("folds without cases", "s.json", '[{"train": [], "val": []}]', ()),
        ("folds without val", "s.json", '[{"train": ["PH0001"]}]', ()),
        ("folds of numbers", "s.json", '[{"train": 1, "val": 2}]', ()),
        ("folds of others' cases", "s.json", '[{"train": ["a"], "val": ["b"]}, {"train": ["b"], "val": ["a"]}]', ()),
        ("one fold", "s.json", json.dumps([{"train": _ids(*range(5, 25)), "val": _ids(*range(1, 5))}]), ()),
        (
            "a case tested twice",
            "s.json",
            json.dumps([{"train": _ids(*range(5, 25)), "val": _ids(1, 2, 3, 4)}] * 2),
            ("PH0001",),
        ),
        ("folds of a format to come", "s.json", '{"format": 9, "folds": []}', ()),
        ("folds that are a text", "s.json", '{"format": 2, "folds": "all"}', ()),
        ("an empty table", "s.csv", "", ()),
        ("a table without a column", "s.csv", "id,colour\nPH0001,red\n", ()),
        ("a table of others' cases", "s.csv", "id,fold\na,1\nb,2\n", ()),
        ("a table of one fold", "s.csv", "id,fold\n" + "".join(f"{case},1\n" for case in _ids(*_ALL)), ()),
        ("a table of unknown parts", "s.csv", "id,split\n" + "".join(f"{case},maybe\n" for case in _ids(*_ALL)), ("maybe",)),
    )
]  # fmt: skip

PHANTOM = [
    Cause(f"phantom: {name}", ("phantom", "made", *more), says, make)
    for name, more, says, make in (
        ("a folder of somebody else", (), ("made",), written("made/notes.txt", "mine")),
        ("a truth.json of somebody else", (), ("made",), written("made/truth.json", '{"kind": "theirs"}')),
        ("a truth.json that is empty", (), ("made",), written("made/truth.json", "")),
        ("a truth.json that is binary", (), ("made",), written("made/truth.json", b"\xff\x00")),
        ("a truth.json that is a list", (), ("made",), written("made/truth.json", "[]")),
        ("a truth.json without cases", (), ("made",), written("made/truth.json", '{"kind": "segfair phantom"}')),
        ("a truth.json of 5,000 digits", (), ("made",), written("made/truth.json", '{"kind": ' + "1" * 5000 + "}")),
        ("a truth.json that is deep", (), ("made",), written("made/truth.json", "[" * 100_000)),
        ("a million cases", ("--cases", "1000001"), ("--cases",), lambda case, base: None),
        ("512 x 512 x 513 voxels", ("--size", "512", "512", "513"), ("--size",), lambda case, base: None),
    )
] + [
    Cause("phantom: in /proc", ("phantom", "/proc/made"), ("/proc/made",)),
    Cause("phantom: DIR is /dev/null", ("phantom", "/dev/null"), ("/dev/null",)),
    Cause("phantom: DIR of 5,000 characters", ("phantom", "d" * 5000), ("ddd",)),
    Cause(
        "phantom: files of 100 bytes at most",
        ("phantom", "made", "--cases", "2", "--size", "16", "16", "16"),
        ("made",),
        limits={"RLIMIT_FSIZE": 100},
    ),
]

CAUSES = [*SETTINGS, *OPTIONS, *NETWORKS, *LISTS, *DATA, *SPLITS, *PHANTOM]
