"""What an organiser expects of a submission: a JSON file that can be handed out, for it tells nothing of the labels."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from segfair.documents import check_tree, read_json
from segfair.errors import ConfigError, InputError, in_words
from segfair.files.image_files import find_images
from segfair.files.images.grids import Mask, Place
from segfair.files.images.masks import MASK_SUFFIXES, read_channels
from segfair.files.placing import write_json

__all__ = ["Expectation", "ExpectedCase", "expect_like", "read_expectation", "write_expectation"]

FORMAT = 1
_NUMBER = {"type": "number"}
_COUNT = {"type": ["integer", "null"], "minimum": 1}
_SCHEMA = {
    "type": "object",
    "required": ["format", "cases"],
    "additionalProperties": False,
    "properties": {
        "format": {"const": FORMAT},
        "cases": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["shape"],
                "additionalProperties": False,
                "properties": {
                    "shape": {
                        "type": "array",
                        "minItems": 2,
                        "maxItems": 3,
                        "items": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
                    },
                    "affine": {
                        "type": ["array", "null"],
                        "minItems": 4,
                        "maxItems": 4,
                        "items": {"type": "array", "minItems": 4, "maxItems": 4, "items": _NUMBER},
                    },
                },
            },
        },
        "values": {"type": ["array", "null"], "minItems": 1, "items": {"type": "integer"}},
        "suffixes": {"type": ["array", "null"], "minItems": 1, "items": {"enum": list(MASK_SUFFIXES)}},
        "max_bytes": _COUNT,
        "max_total_bytes": _COUNT,
        "match": {"enum": ["affine", "shape"]},
        "tolerance": {"type": "number", "minimum": 0},
    },
}


@dataclass(frozen=True, slots=True)
class ExpectedCase:
    """The grid of one case: voxels along each axis, and (4, 4) voxel index -> RAS+ mm; None: it has no size."""

    shape: tuple[int, ...]
    affine: tuple[tuple[float, ...], ...] | None = None

    def grid(self) -> Mask:
        """An empty mask on that grid."""
        return Mask(
            np.zeros((1,) * len(self.shape), np.uint8),
            np.eye(4) if self.affine is None else np.array(self.affine),
            has_size=self.affine is not None,
            place=Place(self.shape, (0,) * len(self.shape)),
        )


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a submission has to look like.

    Attributes:
        cases: Case id -> its grid.
        values: Label values that a mask may hold besides 0; None: any.
        suffixes: File formats; None: any that is read here.
        max_bytes, max_total_bytes: Largest file, and largest sum of files; None: any size.
        match: Whether masks have to lie where the images lie, or equal shape is enough.
        tolerance: How far two grids may be apart, as a share of the shortest voxel edge (see `GridRule`).
    """

    cases: Mapping[str, ExpectedCase]
    values: tuple[int, ...] | None = None
    suffixes: tuple[str, ...] | None = None
    max_bytes: int | None = None
    max_total_bytes: int | None = None
    match: Literal["affine", "shape"] = "affine"
    tolerance: float = 0.01

    def to_tree(self) -> dict[str, Any]:
        """Plain values, as in the file."""
        return {"format": FORMAT, **dataclasses.asdict(self)}


def read_expectation(path: Path) -> Expectation:
    """Reads what `write_expectation` wrote, or somebody by hand.

    Raises:
        ConfigError: No such file, or another layout: the place, what is expected there and what was found.
    """
    tree = read_json(path, refusal=ConfigError, what=f"--expect {path}")
    check_tree(tree, _SCHEMA, f"--expect {path}", refusal=ConfigError)
    cases = {
        case: ExpectedCase(tuple(grid["shape"]), _affine(grid.get("affine"), f"--expect {path}: cases.{case}.affine"))
        for case, grid in tree["cases"].items()
    }
    given = {key: value for key, value in tree.items() if key not in ("format", "cases")}
    lists = {key: tuple(given[key]) for key in ("values", "suffixes") if given.get(key) is not None}
    return Expectation(cases, **{**given, **lists})


def _affine(rows: Any, where: str) -> tuple[tuple[float, ...], ...] | None:
    if rows is None:
        return None
    if abs(np.linalg.det(np.array(rows, dtype=float)[:3, :3])) < 1e-12:
        raise ConfigError(f"{where}: its axes do not span a volume; it is voxel index -> mm")
    return tuple(tuple(map(float, row)) for row in rows)


def expect_like(folder: Path, **rules: Any) -> Expectation:
    """The names and grids of a folder of images, or of masks, and nothing of what is in them.

    Args:
        folder: In any layout of images (`segfair.files.image_files.find_images`).
        **rules: The other fields of `Expectation`.

    Raises:
        InputError: No image in it, or one that cannot be read.
        ConfigError: A format that is not read here, or 0 among the values.
    """
    unknown = [suffix for suffix in rules.get("suffixes") or () if suffix not in MASK_SUFFIXES]
    if unknown:
        raise ConfigError(f"suffix {unknown[0]}: no format of masks; there are {', '.join(MASK_SUFFIXES)}")
    if 0 in (rules.get("values") or ()):
        raise ConfigError("values: 0 is the background, which every mask may hold; leave it out")
    cases = {}
    for case, files in find_images(folder).items():
        image = read_channels(files[0])[0]
        affine = tuple(tuple(map(float, row)) for row in image.affine) if image.has_size else None
        cases[case] = ExpectedCase(image.shape, affine)
    return Expectation(cases, **rules)


def write_expectation(expectation: Expectation, path: Path) -> None:
    """Writes it as JSON.

    Raises:
        InputError: The path is a folder.
        ConfigError: It cannot be written.
    """
    if path.is_dir():
        raise InputError(f"--write {path}: is a folder; name a file in it")
    try:
        write_json(path, expectation.to_tree())
    except OSError as error:
        raise ConfigError(f"--write {path}: cannot be written ({in_words(error)}); name a file elsewhere") from error
