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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.documents import check_tree, named_type, read_json
from segfair.errors import ConfigError, InputError, some
from segfair.files.datalists import Part
from segfair.files.placing import told_unwritable, write_text

__all__ = [
    "FORMAT",
    "Part",
    "Split",
    "draw_folds",
    "draw_part",
    "joint_cells",
    "load_split",
    "patient_of",
    "read_split_tree",
    "split_cases",
    "split_of",
    "without_drawn",
    "write_split_tree",
]

FORMAT = 1
PARTS = ("train", "validation", "test")
_IDS = {"type": "array", "items": {"type": ["string", "integer"]}}
_SCHEMA = {
    "type": "object",
    "required": [*PARTS, "origin", "seed", "left_out"],
    "properties": {
        **dict.fromkeys(PARTS, _IDS),
        "origin": {"type": "string"},
        "seed": {"type": "integer"},
        "left_out": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}


@dataclass(frozen=True, slots=True)
class Split:
    """Which cases train, validate and test.

    Attributes:
        train, validation, test: Case ids, sorted; no case is in two of them. Nothing has to validate: a fold that
            trains for a fixed number of epochs chooses nothing.
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
        empty = [part for part in ("train", "test") if not getattr(self, part)]
        if empty:
            raise ConfigError(f"split: no case for {' and '.join(empty)}; more cases or larger shares are needed")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for `splits.json`."""
        return {
            "origin": self.origin,
            "seed": self.seed,
            **{part: list(getattr(self, part)) for part in PARTS},
            "left_out": dict(self.left_out),
        }

    def save(self, path: Path) -> None:
        """Writes `splits.json`, whole or not at all.

        Raises:
            InputError: It cannot be written.
        """
        write_split_tree({"format": FORMAT, **self.to_dict()}, path)

    def check_cases(self, case_ids: Collection[str]) -> None:
        """Refuses a split of other data.

        Raises:
            ConfigError: A case of the split is not among `case_ids`.
        """
        known = set(case_ids)
        absent = [case for part in PARTS for case in getattr(self, part) if case not in known]
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
    tree = read_split_tree(path)
    if "folds" in tree:
        raise InputError(f"{path}: holds folds, not one split; go on with --folds, or train into a new folder")
    if tree.get("format") != FORMAT:
        raise InputError(f"{path}: format is {tree.get('format')!r}, this version reads format {FORMAT}")
    return split_of(tree, path)


def split_of(tree: Mapping[str, Any], path: Path) -> Split:
    """The split that `Split.to_dict` has written; `path` is where it came from, for messages.

    Raises:
        InputError: Not a split.
        ConfigError: A case in two parts, or a part without cases.
    """
    check_tree(tree, _SCHEMA, f"{path}: cannot be read as a split")
    train, validation, test = (tuple(map(str, tree[part])) for part in PARTS)
    try:
        return Split(train, validation, test, tree["origin"], int(tree["seed"]), dict(tree["left_out"]))
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_split_tree(path: Path) -> dict[str, Any]:
    """What a `splits.json` holds.

    Raises:
        InputError: It cannot be read, or holds no JSON object.
    """
    tree = read_json(path)
    if not isinstance(tree, dict):
        raise InputError(f"{path}: cannot be read as a split (expected a JSON object, got {named_type(tree)})")
    return tree


def write_split_tree(tree: Mapping[str, Any], path: Path) -> None:
    """Writes a `splits.json`, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    with told_unwritable(path):
        write_text(path, json.dumps(tree, indent=2, ensure_ascii=False) + "\n")


def split_cases(
    table: AttributeTable,
    *,
    seed: int,
    test_share: float = 0.2,
    validation_share: float | None = 0.2,
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
        validation_share: Share of the cases that validate; None: none is drawn.
        subjects: Case id -> patient; a case without one, or with a missing one, is a patient of its own.
        given: The data set's own parts: its test cases test and its validation cases validate. A part that it lacks is
            drawn from its training cases. Cases that it does not name are left out, and so are those of patients that
            test, or validate, in another part: a patient is never divided.
        train_only: Cases that can only train, such as those without metadata; a given test case stays one.

    Raises:
        ConfigError: Shares that leave nothing to train on, or too few patients.
    """
    shares = [test_share, *([] if validation_share is None else [validation_share])]
    if min(shares) <= 0 or sum(shares) >= 1:
        raise ConfigError(
            f"split: shares of test and validation, {' and '.join(f'{share:g}' for share in shares)}, must lie in "
            "(0, 1) and leave something to train on"
        )
    cells = joint_cells(table)
    patients = {case: patient_of(case, subjects) for case in table.case_ids}
    bound = set(train_only)
    parts, left_out = _given_parts(table.case_ids, patients, given or dict.fromkeys(table.case_ids, "train"))
    pool, n_cases = parts["train"], len(parts["train"])
    own = [part for part in ("test", "validation") if parts[part]]

    def drawn(share: float, seed: int, reason: str) -> list[str]:
        nonlocal pool
        found = draw_part([case for case in pool if case not in bound], share * n_cases, cells, patients, seed)
        pool, lost = without_drawn(pool, found, bound, patients, reason)
        left_out.update(lost)
        return found

    test = parts["test"] or drawn(test_share, seed, "is tested")
    validation = parts["validation"]
    if not validation and validation_share is not None:
        validation = drawn(validation_share, seed + 1, "validates")
    train = pool
    if not train:
        raise ConfigError(f"split: {len(set(patients.values()))} patients are too few for three sets; use more data")
    return Split(
        tuple(sorted(train)),
        tuple(sorted(validation)),
        tuple(sorted(test)),
        _origin(own, {"test": test, "validation": validation}),
        seed,
        dict(sorted(left_out.items())),
    )


def _origin(own: Sequence[str], parts: Mapping[str, Sequence[str]]) -> str:
    """How a split came about whose parts `own` are those of the data set."""
    others = [part for part in parts if part not in own and parts[part]]
    if not own:
        names = " and ".join(others)
        return f"{names} cases were drawn at random, by patient, balanced over joint attribute levels"
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


def without_drawn(
    case_ids: Sequence[str], drawn: Sequence[str], bound: Collection[str], patients: Mapping[str, str], reason: str
) -> tuple[list[str], dict[str, str]]:
    """The cases that were not drawn, and those left out: bound to train, but their patient was drawn elsewhere."""
    chosen, taken = set(drawn), {patients[case] for case in drawn}
    left_out = {case: f"{patients[case]} {reason}" for case in case_ids if case in bound and patients[case] in taken}
    return [case for case in case_ids if case not in left_out and case not in chosen], left_out


def draw_part(
    case_ids: Sequence[str],
    n_wanted: float,
    cells: Mapping[str, tuple[int, ...]],
    patients: Mapping[str, str],
    seed: int,
) -> list[str]:
    """About `n_wanted` of the cases, whole patients, with the same mixture of cells as the rest.

    Raises:
        ConfigError: Fewer than two patients.
    """
    n_patients = len({patients[case] for case in case_ids})
    if n_patients < 2:
        raise ConfigError(f"split: {n_patients} patients are too few to draw a set from; use more data")
    n_folds = int(np.clip(round(len(case_ids) / n_wanted), 2, n_patients))
    return draw_folds(case_ids, n_folds, cells, patients, seed)[0]


def draw_folds(
    case_ids: Sequence[str],
    n_folds: int,
    cells: Mapping[str, tuple[int, ...]],
    patients: Mapping[str, str],
    seed: int,
) -> list[list[str]]:
    """The cases in so many parts of whole patients, with the same mixture of cells in each.

    Args:
        case_ids: Cases of at least `n_folds` patients.
        n_folds: Number of parts.
        cells: Case -> its joint levels; see `joint_cells`.
        patients: Case -> patient.
        seed: Seed of the draw.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    strata = _strata([cells[case] for case in case_ids], n_folds)
    groups = [patients[case] for case in case_ids]
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # The pooled rest may still be smaller than the number of folds; it then lies in some of them.
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = [chosen for _, chosen in folds.split(np.zeros(len(case_ids)), strata, groups)]
    return [[case_ids[index] for index in part] for part in parts]


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


def joint_cells(table: AttributeTable) -> dict[str, tuple[int, ...]]:
    """Case -> its level of every attribute."""
    codes = np.array([attribute.codes for attribute in table.attributes], dtype=int).reshape(-1, len(table.case_ids))
    return {case: tuple(int(code) for code in codes[:, index]) for index, case in enumerate(table.case_ids)}


def patient_of(case: str, subjects: Mapping[str, object] | None) -> str:
    """The patient of a case, as messages name it; a case without one is a patient of its own."""
    subject = (subjects or {}).get(case)
    # A prefix keeps a case id from being taken for somebody else's patient number.
    return f"patient {subject}" if subject is not None and str(subject).strip() else f"case {case}"
