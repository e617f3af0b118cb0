"""Training, validation and test: three disjoint sets of patients, alike in their attributes, kept in a file.

Training cases set the weights of the network, validation cases those of the loss and the choice of the checkpoint,
test cases the numbers that are reported. Decides by ids and attributes only; reads no image.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.errors import ConfigError, InputError, some

__all__ = ["Split", "load_split", "split_cases"]

FORMAT = 1
PARTS = ("train", "validation", "test")

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class Split:
    """Which cases train, validate and test.

    Attributes:
        train, validation, test: Case ids, sorted; no case is in two of them.
        origin: How the split came about, one sentence.
        seed: Seed of what was drawn.
        left_out: Case id -> why it is in none of them.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    origin: str
    seed: int
    left_out: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = Counter((*self.train, *self.validation, *self.test))
        twice = sorted(case for case, n in counts.items() if n > 1)
        if twice:
            raise ConfigError(f"split: {len(twice)} cases are in two of {', '.join(PARTS)}: {some(twice)}")
        empty = [part for part in PARTS if not getattr(self, part)]
        if empty:
            raise ConfigError(f"split: no case for {' and '.join(empty)}; more cases or larger shares are needed")

    def save(self, path: Path) -> None:
        """Writes `splits.json`, whole or not at all.

        Raises:
            InputError: It cannot be written.
        """
        tree: dict[str, Any] = {
            "format": FORMAT,
            "origin": self.origin,
            "seed": self.seed,
            **{part: list(getattr(self, part)) for part in PARTS},
            "left_out": dict(self.left_out),
        }
        temporary = path.with_name(f".{path.name}.tmp")
        try:
            temporary.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror or error})") from error

    def check_cases(self, case_ids: Collection[str]) -> None:
        """Refuses a split of other data.

        Raises:
            ConfigError: A case of the split is not among `case_ids`.
        """
        absent = [case for part in PARTS for case in getattr(self, part) if case not in set(case_ids)]
        if absent:
            raise ConfigError(
                f"split: {len(absent)} of its cases cannot be used now: {some(absent)}; the data have changed "
                "since, train into a new folder"
            )


def load_split(path: Path) -> Split:
    """Reads `splits.json`.

    Raises:
        InputError: Not a split of this format.
        ConfigError: A case in two parts, or a part without cases.
    """
    try:
        tree = json.loads(path.read_text("utf-8"))
        if tree["format"] != FORMAT:
            raise InputError(f"{path}: format is {tree['format']!r}, this version reads format {FORMAT}")
        train, validation, test = (tuple(map(str, tree[part])) for part in PARTS)
        return Split(train, validation, test, str(tree["origin"]), int(tree["seed"]), dict(tree["left_out"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as a split ({error!r})") from error


def split_cases(
    table: AttributeTable,
    *,
    seed: int,
    test_share: float = 0.2,
    validation_share: float = 0.2,
    subjects: Mapping[str, object] | None = None,
    given: Mapping[str, Part] | None = None,
    train_only: Iterable[str] = (),
) -> Split:
    """Splits cases by patient, so that the joint levels of all attributes spread alike over the three sets.

    Folds are drawn by scikit-learn's StratifiedGroupKFold, so shares are one over a whole number: 0.2 is a fifth.
    Joint levels too rare to be in every fold are merged over the last attribute, then over the last two, and so on.
    No outcome is looked at.

    Args:
        table: Attributes of all cases, the most important first. Bins may have been fitted on all of them: these
            serve the balance only, and attributes of the training are fitted on the training cases afterwards.
        seed: Seed of the draw.
        test_share: Share of the cases that test.
        validation_share: Share of the cases that validate.
        subjects: Case id -> patient; a case without one, or with a missing one, is a patient of its own.
        given: The data set's own parts: its test cases test and its validation cases validate. A part that it lacks is
            drawn from its training cases. Cases that it does not name are left out, and so are those of patients that
            test, or validate, in another part: a patient is never divided.
        train_only: Cases that can only train, such as those without metadata; a given test case stays one.

    Raises:
        ConfigError: Shares that leave nothing to train on, or too few patients.
    """
    if not (0 < test_share < 1 and 0 < validation_share < 1 and test_share + validation_share < 1):
        raise ConfigError(
            f"split: shares of test {test_share:g} and validation {validation_share:g} must lie in (0, 1) and "
            "leave something to train on"
        )
    cells = _cells(table)
    patients = {case: _patient(case, subjects) for case in table.case_ids}
    bound = set(train_only)
    parts, left_out = _given_parts(table.case_ids, patients, given or dict.fromkeys(table.case_ids, "train"))
    pool, n_cases = parts["train"], len(parts["train"])
    own = [part for part in ("test", "validation") if parts[part]]

    def drawn(share: float, seed: int, reason: str) -> list[str]:
        nonlocal pool
        found = _draw([case for case in pool if case not in bound], share * n_cases, cells, patients, seed)
        pool, lost = _without(pool, found, bound, patients, reason)
        left_out.update(lost)
        return found

    test = parts["test"] or drawn(test_share, seed, "is tested")
    validation = parts["validation"] or drawn(validation_share, seed + 1, "validates")
    train = pool
    if not train:
        raise ConfigError(f"split: {len(set(patients.values()))} patients are too few for three sets; use more data")
    return Split(
        tuple(sorted(train)),
        tuple(sorted(validation)),
        tuple(sorted(test)),
        _origin(own),
        seed,
        dict(sorted(left_out.items())),
    )


def _origin(own: Sequence[str]) -> str:
    """How a split came about whose parts `own` are those of the data set."""
    if not own:
        return "test and validation cases were drawn at random, by patient, balanced over joint attribute levels"
    others = [part for part in ("test", "validation") if part not in own]
    drawn = f"; {others[0]} cases were drawn from its training cases" if others else ""
    return f"{' and '.join(own)} cases are the data set's own{drawn}"


def _given_parts(
    case_ids: Sequence[str], patients: Mapping[str, str], given: Mapping[str, Part]
) -> tuple[dict[Part, list[str]], dict[str, str]]:
    """The data set's own parts, and why other cases are in none of them.

    Published splits may go by scan: a patient with a test case must not be learned from, nor validated on, in another
    one, and a patient who validates must not be learned from.
    """
    parts: dict[Part, list[str]] = {}
    left_out = {case: "not named by the data set's own split" for case in case_ids if case not in given}
    taken: dict[str, str] = {}
    reasons: dict[Part, str] = {"test": "is tested", "validation": "validates", "train": ""}
    for part, reason in reasons.items():
        named = [case for case in case_ids if given.get(case) == part]
        divided = {case: f"{patients[case]} {taken[patients[case]]}" for case in named if patients[case] in taken}
        left_out |= divided
        parts[part] = [case for case in named if case not in divided]
        taken |= {patients[case]: reason for case in parts[part]}
    if not parts["train"] or (set(given.values()) - {"train"} and not parts["test"] and not parts["validation"]):
        raise ConfigError("split: none of the cases that can be used is a training (or a test) case of the data set")
    return parts, left_out


def _without(
    case_ids: Sequence[str], drawn: Sequence[str], bound: Collection[str], patients: Mapping[str, str], reason: str
) -> tuple[list[str], dict[str, str]]:
    """The cases that were not drawn, and those left out: bound to train, but their patient was drawn elsewhere."""
    chosen, taken = set(drawn), {patients[case] for case in drawn}
    left_out = {case: f"{patients[case]} {reason}" for case in case_ids if case in bound and patients[case] in taken}
    return [case for case in case_ids if case not in left_out and case not in chosen], left_out


def _draw(
    case_ids: Sequence[str],
    n_wanted: float,
    cells: Mapping[str, tuple[int, ...]],
    patients: Mapping[str, str],
    seed: int,
) -> list[str]:
    """About `n_wanted` of the cases, whole patients, with the same mixture of cells as the rest."""
    from sklearn.model_selection import StratifiedGroupKFold

    n_patients = len({patients[case] for case in case_ids})
    if n_patients < 2:
        raise ConfigError(f"split: {n_patients} patients are too few to draw a set from; use more data")
    n_folds = int(np.clip(round(len(case_ids) / n_wanted), 2, n_patients))
    strata = _strata([cells[case] for case in case_ids], n_folds)
    groups = [patients[case] for case in case_ids]
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # The pooled rest may still be smaller than the number of folds; it then lies in some of them.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        _, chosen = next(folds.split(np.zeros(len(case_ids)), strata, groups))
    return [case_ids[index] for index in chosen]


def _strata(cells: Sequence[tuple[int, ...]], n_folds: int) -> NDArray[np.intp]:
    """(n_cases,) number of the finest group of cells that has a case for each fold."""
    depth = max((len(cell) for cell in cells), default=0)
    strata = np.full(len(cells), -1, dtype=np.intp)
    n_strata = 0
    for n_kept in range(depth, 0, -1):
        open_cases = [index for index in range(len(cells)) if strata[index] < 0]
        counts = Counter(cells[index][:n_kept] for index in open_cases)
        numbers = {cell: n_strata + rank for rank, cell in enumerate(c for c in counts if counts[c] >= n_folds)}
        for index in open_cases:
            strata[index] = numbers.get(cells[index][:n_kept], -1)
        n_strata += len(numbers)
    rest = strata < 0
    # A rest smaller than the number of folds joins the largest stratum: it could not be spread anyway.
    strata[rest] = n_strata if rest.sum() >= n_folds or not n_strata else np.bincount(strata[~rest]).argmax()
    return strata


def _cells(table: AttributeTable) -> dict[str, tuple[int, ...]]:
    codes = np.array([attribute.codes for attribute in table.attributes], dtype=int).reshape(-1, len(table.case_ids))
    return {case: tuple(int(code) for code in codes[:, index]) for index, case in enumerate(table.case_ids)}


def _patient(case: str, subjects: Mapping[str, object] | None) -> str:
    subject = (subjects or {}).get(case)
    # A prefix keeps a case id from being taken for somebody else's patient number.
    return f"patient {subject}" if subject is not None and str(subject).strip() else f"case {case}"
