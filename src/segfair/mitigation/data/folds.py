"""Folds: each case is tested once, by a network that has seen no case of its patient; and their `splits.json`.

Folds are drawn here, or given (`given_splits`). Decides by ids and attributes only; reads no image.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from segfair.attributes.binning import natural_order
from segfair.attributes.fit import AttributeTable
from segfair.errors import ConfigError, InputError, some
from segfair.mitigation.data.splits import (
    Split,
    draw_folds,
    draw_part,
    joint_cells,
    patient_of,
    read_split_tree,
    split_of,
    without_drawn,
    write_split_tree,
)

__all__ = ["ONLY_TRAINS", "check_folds", "fold_splits", "folds_of", "load_folds", "refuse_twice", "save_folds"]

FORMAT = 2
"""Of a `splits.json` with folds; one split is format 1."""
ONLY_TRAINS = ""
"""In place of a fold's name, of a case that no fold tests."""


def fold_splits(
    table: AttributeTable,
    *,
    n_folds: int | None,
    seed: int,
    validation_share: float | None,
    subjects: Mapping[str, object] | None = None,
    given: Mapping[str, str] | None = None,
    train_only: Iterable[str] = (),
) -> tuple[Split, ...]:
    """One split a fold: its own cases test, the others train, without those that validate.

    Folds, and validation cases within a fold's others, are drawn by patient, so that the joint levels of all attributes
    spread alike over them (as in `split_cases`). Every case that can be tested is tested exactly once.

    Args:
        table: Attributes of all cases, the most important first.
        n_folds: Number of folds, at least 2; None: as many as are given.
        seed: Seed of the draw.
        validation_share: Share of a fold's other cases that validate; None: none does.
        subjects: Case id -> patient; a case without one, or with a missing one, is a patient of its own.
        given: Folds to take, as in `GivenFolds.of`; cases that they do not name are left out, and so, in the fold that
            tests a patient, are other cases of this patient.
        train_only: Cases that can only train, such as those without metadata; a case of a given fold is tested there.

    Raises:
        ConfigError: A number of folds that cannot be made, or that is not that of the given folds.
    """
    patients = {case: patient_of(case, subjects) for case in table.case_ids}
    if validation_share is not None and not 0 < validation_share < 1:
        raise ConfigError(f"folds: the share of validation cases is {validation_share:g}; it must lie in (0, 1)")
    bound = set(train_only)
    if given is not None:
        tests, origin = _given_tests(table.case_ids, patients, given, n_folds=n_folds)
        bound |= {case for case, name in given.items() if name == ONLY_TRAINS}
    else:
        free = [case for case in table.case_ids if case not in bound]
        tests = _drawn_tests(free, joint_cells(table), patients, n_folds=n_folds, seed=seed)
        origin = "drawn at random, by patient, balanced over joint attribute levels"
    named = set(table.case_ids if given is None else given)
    return tuple(
        _fold(
            test,
            table,
            named=named,
            bound=bound,
            patients=patients,
            validation_share=validation_share,
            origin=f"fold {number} of {len(tests)}, {origin}",
            seed=seed,
        )
        for number, test in enumerate(tests, start=1)
    )


def _drawn_tests(
    case_ids: Sequence[str],
    cells: Mapping[str, tuple[int, ...]],
    patients: Mapping[str, str],
    *,
    n_folds: int | None,
    seed: int,
) -> list[list[str]]:
    if n_folds is None or n_folds < 2:
        raise ConfigError(f"folds: {n_folds} is no number of folds; give 2 or more")
    n_patients = len({patients[case] for case in case_ids})
    if n_patients < n_folds:
        raise ConfigError(f"folds: {n_patients} patients that can be tested are too few for {n_folds} folds")
    return draw_folds(case_ids, n_folds, cells, patients, seed)


def _given_tests(
    case_ids: Sequence[str], patients: Mapping[str, str], given: Mapping[str, str], *, n_folds: int | None
) -> tuple[list[list[str]], str]:
    """The test cases of each given fold, and how the folds came about."""
    names = sorted({given.get(case, ONLY_TRAINS) for case in case_ids} - {ONLY_TRAINS}, key=natural_order)
    if len(names) < 2:
        raise ConfigError(f"folds: the given ones test cases in {len(names)} folds of these data; two are needed")
    if n_folds is not None and n_folds != len(names):
        raise ConfigError(
            f"folds: {n_folds} were asked for, and {len(names)} are given ({some(names, 5)}); say {len(names)}, or "
            "leave the given ones out"
        )
    tests = [[case for case in case_ids if given.get(case) == name] for name in names]
    times = Counter(patient for test in tests for patient in {patients[case] for case in test})
    shared = [patient for patient, n in times.items() if n > 1]
    origin = "as given"
    if shared:
        origin += (
            f"; {len(shared)} patients have cases in several folds ({some(shared)}): where one is tested, the others "
            "do not train"
        )
    return tests, origin


def _fold(
    test: Sequence[str],
    table: AttributeTable,
    *,
    named: Collection[str],
    bound: Collection[str],
    patients: Mapping[str, str],
    validation_share: float | None,
    origin: str,
    seed: int,
) -> Split:
    """One fold's split."""
    chosen, tested = set(test), {patients[case] for case in test}
    left_out = {case: "not named by the given folds" for case in table.case_ids if case not in named}
    left_out |= {
        case: f"{patients[case]} is tested"
        for case in table.case_ids
        if case in named and case not in chosen and patients[case] in tested
    }
    train = [case for case in table.case_ids if case not in chosen and case not in left_out]
    validation: list[str] = []
    if validation_share is not None:
        free = [case for case in train if case not in bound]
        validation = draw_part(free, validation_share * len(train), joint_cells(table), patients, seed + 1)
        train, lost = without_drawn(train, validation, bound, patients, "validates")
        left_out |= lost
        origin += "; validation cases were drawn from its training cases"
    if not train:
        raise ConfigError(f"{origin}: nothing is left to train on; use more data or fewer folds")
    return Split(
        tuple(sorted(train)),
        tuple(sorted(validation)),
        tuple(sorted(test)),
        origin,
        seed,
        dict(sorted(left_out.items())),
    )


# `splits.json` of a run with folds


def save_folds(splits: Sequence[Split], path: Path) -> None:
    """Writes the folds as `splits.json`, whole or not at all.

    Raises:
        InputError: It cannot be written.
    """
    write_split_tree({"format": FORMAT, "folds": [split.to_dict() for split in splits]}, path)


def load_folds(path: Path) -> tuple[Split, ...]:
    """Reads the folds of a `splits.json`.

    Raises:
        InputError: Not folds of this format, or a case that two of them test.
        ConfigError: A fold with a case in two parts, or without cases.
    """
    return folds_of(read_split_tree(path), path)


def folds_of(tree: Mapping[str, Any], path: Path) -> tuple[Split, ...]:
    """The folds that `save_folds` has written; `path` is where they came from, for messages. Raises as `load_folds`."""
    folds = tree.get("folds")
    if not isinstance(folds, list):
        raise InputError(f"{path}: holds one split and no folds; leave --folds out, or train into a new folder")
    if tree.get("format") != FORMAT:
        raise InputError(f"{path}: format is {tree.get('format')!r}, this version reads folds of format {FORMAT}")
    splits = tuple(split_of(fold, path) for fold in folds)
    refuse_twice([(case, str(number)) for number, split in enumerate(splits) for case in split.test], path)
    return splits


def check_folds(splits: Sequence[Split], case_ids: Collection[str], *, n_folds: int | None) -> None:
    """Refuses to go on with folds of other data, or with another number of them.

    Raises:
        ConfigError: A case of a fold is not among `case_ids`, or there are not `n_folds` of them.
    """
    if n_folds is not None and len(splits) != n_folds:
        raise ConfigError(f"folds: {n_folds} were asked for, and the run has {len(splits)}; train into a new folder")
    for split in splits:
        split.check_cases(case_ids)


def refuse_twice(pairs: Iterable[tuple[str, str]], path: Path) -> None:
    """Refuses (case, fold that tests it) where a case is there twice.

    Raises:
        InputError: With the case and its folds.
    """
    folds: dict[str, str] = {}
    for case, name in pairs:
        if case in folds:
            raise InputError(
                f"{path}: case {case} is tested by folds {folds[case]} and {name}; a case is tested once, take it out "
                "of one of them"
            )
        folds[case] = name
