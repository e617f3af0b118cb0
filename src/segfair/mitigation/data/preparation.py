"""Training cases -> prepared cases: preprocessed once and cached by what went into them. Never augments.

A cache key is made of the bytes of the files and of all settings. MONAI's persistent dataset keys by file names and
only on request by transforms, of which it may know the class names only: a label that was corrected, or another
spacing, could go unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any, cast

import monai
import numpy as np
import torch

from segfair.errors import ConfigError, InputError, SegfairError, in_words
from segfair.files.placing import placed_whole
from segfair.mitigation.data.boxes import box_notice
from segfair.mitigation.data.datasets import PreparedCase, PreparedData, lesion_extent, marked
from segfair.mitigation.data.outputs import Reference
from segfair.mitigation.data.preprocessing import Grid, Preprocessing, load_volume
from segfair.mitigation.data.sources import TrainingCase
from segfair.mitigation.networks.backbones import Size
from segfair.scoring.executors import outcomes_in_order

__all__ = ["CacheError", "prepare"]

CACHE_FORMAT = 2
"""Part of every cache key; to be raised when preprocessing itself changes."""


class CacheError(InputError):
    """The cache cannot be written; whatever is wrong with it is wrong for every case."""


def prepare(
    cases: Sequence[TrainingCase],
    preprocessing: Preprocessing,
    *,
    cache: Path | None,
    executor: Executor | None = None,
    on_done: Callable[[str], None] | None = None,
) -> PreparedData:
    """Preprocesses cases, or finds them in the cache.

    Args:
        cases: What to prepare.
        preprocessing: How.
        cache: Folder for the volumes, made if need be; None keeps them in memory.
        executor: Where the work is done; None: in this process.
        on_done: Called with each case id once it is prepared or skipped.

    Returns:
        The prepared cases in the order given; cases whose files cannot be used are skipped with their reason.

    Raises:
        InputError: None of the cases can be used, or no label holds a lesion.
        CacheError: The disk cannot hold them; what is prepared stays where it is.
        ConfigError: The spacing is kept as stored, and the cases have different ones.
    """
    if cache is not None:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CacheError(f"cache {cache}: cannot be made ({in_words(error)})") from error
    prepared: dict[str, PreparedCase] = {}
    skipped: dict[str, str] = {}
    for case, result in zip(cases, _prepare_all(cases, preprocessing, cache, executor), strict=True):
        if isinstance(result, str):
            skipped[case.id] = result
        else:
            if cache is not None and not prepared:
                _check_disk(result, cache, len(cases) - len(skipped) - 1)
            prepared[case.id] = result
        if on_done is not None:
            on_done(case.id)
    if not prepared:
        example = next((f"; for example {name}: {reason}" for name, reason in skipped.items()), "")
        raise InputError(f"none of {len(cases)} cases can be trained on{example}")
    if not any(case.n_lesion for case in prepared.values()):
        raise InputError(
            f"no label of {len(prepared)} cases, such as {next(iter(prepared))}, holds what is trained "
            f"({preprocessing.regions.describe()}): the masks are coded otherwise, or the wrong ones; name the values "
            "with --label, or under labels in dataset.json"
        )
    return PreparedData(prepared, _common_spacing(prepared.values()), skipped, preprocessing.regions)


def _prepare_all(
    cases: Sequence[TrainingCase], preprocessing: Preprocessing, cache: Path | None, executor: Executor | None
) -> Iterator[PreparedCase | str]:
    jobs = ((case.id, (case, preprocessing, cache)) for case in cases)
    with outcomes_in_order(_prepare_case, jobs, executor) as outcomes:
        yield from (outcome for _, outcome in outcomes)


def _prepare_case(case: TrainingCase, preprocessing: Preprocessing, cache: Path | None) -> PreparedCase | str:
    """The prepared case, or why it cannot be used."""
    try:
        path = None if cache is None else cache / f"{_key(case, preprocessing)}.pt"
        found = None if path is None else _cached(case, path)
        return found or _compute(case, preprocessing, path)
    except CacheError:
        raise
    except SegfairError as error:
        return str(error)


def _compute(case: TrainingCase, preprocessing: Preprocessing, path: Path | None) -> PreparedCase:
    volume = load_volume(case.images, preprocessing, label=case.label, white_is_one=case.white_is_one, box=case.box)
    assert volume.label is not None
    notices = list(volume.notices)
    if case.box is not None and (missed := box_notice(case.id, case.box, case.label, preprocessing.regions)):
        notices.append(missed)
    spacing = np.linalg.norm(volume.grid.affine[:3, :3], axis=0)
    facts: dict[str, Any] = {
        "shape": list(volume.grid.shape),
        # Resampled spacings are what was asked for; the affine has it up to rounding.
        "spacing_mm": [round(float(side), 5) for side in spacing],
        "n_lesion": int(marked(volume.label).sum()) + volume.n_cropped,
        "n_cropped": volume.n_cropped,
        "extent": [list(pair) for pair in lesion_extent(volume.label)],
        "notices": notices,
        "affine": volume.grid.affine.tolist(),
        "source": {"shape": list(volume.source.shape), "affine": volume.source.affine.tolist()},
    }
    if path is None:
        return _from_facts(case, facts, None, (volume.image, volume.label))
    try:
        with placed_whole(path) as unfinished:
            torch.save({"image": volume.image, "label": volume.label, "facts": facts}, unfinished)
    except (OSError, RuntimeError) as error:
        raise CacheError(
            f"cache {path.parent}: cannot be written ({in_words(error)}); is the disk full? What was prepared is kept: "
            "make room, or name another folder with --cache, and start again"
        ) from error
    return _from_facts(case, facts, path, None)


def _cached(case: TrainingCase, path: Path) -> PreparedCase | None:
    """The case as cached before; None where it was not, or the file is damaged."""
    if not path.is_file():
        return None
    try:
        stored = torch.load(path, mmap=True, weights_only=True)
        return _from_facts(case, stored["facts"], path, None)
    except Exception:
        # Whatever is wrong with the file, the remedy is to make it again.
        return None


def _from_facts(
    case: TrainingCase, facts: Mapping[str, Any], path: Path | None, tensors: tuple[torch.Tensor, torch.Tensor] | None
) -> PreparedCase:
    shape, source = cast(Size, tuple(facts["shape"])), facts["source"]
    return PreparedCase(
        case.id,
        shape,
        cast(tuple[float, float, float], tuple(facts["spacing_mm"])),
        facts["n_lesion"],
        facts["n_cropped"],
        tuple((start, stop) for start, stop in facts["extent"]),
        path,
        tensors,
        tuple(facts["notices"]),
        Reference(
            case.label,
            case.white_is_one,
            Grid(shape, np.array(facts["affine"])),
            Grid(cast(Size, tuple(source["shape"])), np.array(source["affine"])),
            case.box,
        ),
    )


def _key(case: TrainingCase, preprocessing: Preprocessing) -> str:
    """SHA-256 of everything that the prepared volume depends on."""
    parts: dict[str, Any] = {
        "format": CACHE_FORMAT,
        "images": [_digest(path) for path in case.images[: preprocessing.phases]],
        "label": _digest(case.label),
        "preprocessing": preprocessing.digest,
        "white_is_one": case.white_is_one,
        "box": None if case.box is None else case.box.ranges,
        # Resampling is theirs.
        "monai": str(monai.__version__),
        "torch": str(torch.__version__),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({in_words(error)})") from error


def _check_disk(case: PreparedCase, cache: Path, n_left: int) -> None:
    """Forecasts from the first prepared case whether the rest will fit; what is cached already needs no room."""
    assert case.path is not None
    n_new = n_left - (len(list(cache.glob("*.pt"))) - 1)
    needed, free = case.path.stat().st_size * n_new, shutil.disk_usage(cache).free
    if needed > free:
        raise CacheError(
            f"cache {cache}: {n_new} more cases need about {needed / 2**30:.0f} GB, and {free / 2**30:.0f} GB are "
            "free; name another folder with --cache or choose a coarser --spacing"
        )


def _common_spacing(cases: Iterable[PreparedCase]) -> tuple[float, float, float]:
    first, *rest = cases
    # The slice of a picture may be as thick as it likes.
    axes = slice(2) if all(case.shape[2] == 1 for case in (first, *rest)) else slice(3)
    for case in rest:
        if not np.allclose(case.spacing_mm[axes], first.spacing_mm[axes], rtol=1e-2):
            raise ConfigError(
                f"spacing: case {first.id} has voxels of {first.spacing_mm} mm, case {case.id} of "
                f"{case.spacing_mm}; give the one to resample to, such as --spacing 1 1 1"
            )
    return first.spacing_mm
