"""Whether the masks of a folder are as expected: a problem is one of a case, and the others are still looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from segfair.audit.words import plural
from segfair.errors import InputError, in_words, some
from segfair.files.images.grids import Mask, align, describe_difference
from segfair.files.images.headers import leads_out
from segfair.files.images.masks import mask_suffix, read_mask
from segfair.files.layouts import find_predictions, pair_masks
from segfair.scoring.reading import OUTSIDE
from segfair.submission.expectation import Expectation, ExpectedCase

__all__ = ["Check", "Problem", "check_submission"]

Kind = Literal["folder", "missing", "extra", "name", "file", "size", "grid", "values", "empty"]
_MOST_VALUES = 8
_NAMES = ("the image", "the mask")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is not as expected.

    Attributes:
        case: Of which case; empty: of the whole submission.
        kind: Of which kind.
        what: What was found, what was expected, what to do.
    """

    case: str
    kind: Kind
    what: str


@dataclass(frozen=True, slots=True)
class Check:
    """What a check found.

    Attributes:
        n_expected: Cases that are expected.
        n_usable: Cases with a mask that is as expected.
        problems: What has to be mended.
        warnings: What may be meant: empty masks, files of no case, names in other spelling.
    """

    n_expected: int
    n_usable: int
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing has to be mended."""
        return not self.problems


def check_submission(folder: Path, expectation: Expectation) -> Check:
    """Looks at every expected case of a submission.

    Args:
        folder: In any layout of predictions (`segfair.files.layouts`); no file of it may lead out of it.
        expectation: What is expected.

    Raises:
        InputError: The folder does not exist, or is a file.
    """
    if not folder.is_dir():
        found = "is a file; unpack it, and name the folder" if folder.exists() else "does not exist"
        raise InputError(f"submission {folder}: {found}")
    n_expected = len(expectation.cases)
    try:
        masks = find_predictions(folder)
    except InputError as error:
        return Check(n_expected, 0, (Problem("", "folder", str(error)),), ())
    pairs = pair_masks(list(expectation.cases), list(masks.files))
    files = {case: masks.files[name] for case, name in pairs.partner.items()}
    problems = [*_missing(expectation, files), *_total(files, expectation)]
    warnings = [*_spellings(pairs.how, pairs.partner), *_extra(set(masks.files) - set(pairs.partner.values()))]
    n_usable = 0
    for case, path in files.items():
        noticed = tuple(_of_case(case, path, folder, expectation))
        own = [problem for problem in noticed if problem.kind != "empty"]
        n_usable += not own
        problems += own
        warnings += [problem for problem in noticed if problem.kind == "empty"]
    return Check(n_expected, n_usable, tuple(problems), tuple(warnings))


def _missing(expectation: Expectation, files: Mapping[str, Path]) -> Iterator[Problem]:
    for case in expectation.cases:
        if case not in files:
            yield Problem(case, "missing", "there is no mask of it; hand in one for each case, an empty one if need be")


def _total(files: Mapping[str, Path], expectation: Expectation) -> Iterator[Problem]:
    total = sum(_n_bytes(path) or 0 for path in files.values())
    if expectation.max_total_bytes is not None and total > expectation.max_total_bytes:
        yield Problem(
            "", "size", f"{total:,} bytes of masks, at most {expectation.max_total_bytes:,} are allowed; compress them"
        )


def _extra(names: set[str]) -> Iterator[Problem]:
    if names:
        yield Problem(
            "", "extra", f"{plural(len(names), 'mask')} of no case that is expected, passed over: {some(sorted(names))}"
        )


def _spellings(how: Mapping[str, str], partner: Mapping[str, str]) -> Iterator[Problem]:
    for case, way in how.items():
        if partner[case] != case:
            yield Problem(case, "name", f"its mask is called {partner[case]}, taken {way}; name it {case}")


def _n_bytes(path: Path) -> int | None:
    """Of a file; None where nobody may ask."""
    try:
        return path.stat().st_size
    except OSError:
        return None


def _of_case(case: str, path: Path, folder: Path, expectation: Expectation) -> Iterator[Problem]:
    """What is wrong with one mask; of a file that cannot be read nothing else is asked."""
    name = path.relative_to(folder) if path.is_relative_to(folder) else path
    n_bytes, suffix = _n_bytes(path), mask_suffix(path)
    if expectation.suffixes is not None and suffix not in expectation.suffixes:
        yield Problem(case, "file", f"{name}: {suffix} is not among {', '.join(expectation.suffixes)}")
        return
    if expectation.max_bytes is not None and n_bytes is not None and n_bytes > expectation.max_bytes:
        yield Problem(case, "size", f"{name}: {n_bytes:,} bytes, at most {expectation.max_bytes:,} are allowed")
        return
    if leads_out(path, folder):
        yield Problem(case, "file", f"{name}: {OUTSIDE}, by a link; hand in a copy of the file itself")
        return
    try:
        mask = read_mask(path, within=folder)
    except InputError as error:
        yield Problem(case, "file", str(error).replace(str(path), str(name)))
        return
    except OSError as error:
        yield Problem(case, "file", f"{name}: {in_words(error)}")
        return
    except MemoryError:
        yield Problem(case, "file", f"{name}: too large for the memory of this machine")
        return
    grid = expectation.cases[case].grid()
    if not _on_grid(mask, expectation.cases[case], expectation):
        yield Problem(case, "grid", f"{name}: {describe_difference(grid, mask, names=('the image', 'the mask'))}")
    values = np.unique(mask.part)
    allowed = {0, *(expectation.values or values.tolist())}
    foreign = [str(value) for value in values.tolist() if value not in allowed]
    if foreign:
        listed = ", ".join(foreign[:_MOST_VALUES]) + (", ..." if len(foreign) > _MOST_VALUES else "")
        yield Problem(case, "values", f"{name}: holds {listed}, and only {', '.join(map(str, sorted(allowed)))} may be")
    if not values.any():
        yield Problem(case, "empty", f"{name}: is empty")


def _on_grid(mask: Mask, expected: ExpectedCase, expectation: Expectation) -> bool:
    if expectation.match == "shape" or expected.affine is None:
        return mask.shape == expected.shape
    return align(mask, expected.grid(), tolerance=expectation.tolerance) is not None
