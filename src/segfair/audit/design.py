"""How the cases of an audit were sampled: strata, patients, covariates, and what the masks themselves derive.

Turns metadata columns and mask facts into the arrays that the tests need; tests nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes.binning import as_number, fold, readable_edges
from segfair.attributes.fit import MISSING, Attribute, AttributeTable
from segfair.audit.result import AuditConfig
from segfair.cases import Cohort
from segfair.errors import ConfigError, close_names
from segfair.files.cells import is_missing
from segfair.files.column_names import is_subject
from segfair.intake.case_rows import NO_SUBJECTS
from segfair.scoring.scores import ScoreTable, label_size_column

__all__ = [
    "Covariates",
    "Design",
    "Units",
    "build_design",
    "check_named",
    "derive_columns",
    "subject_notice",
    "with_subjects",
    "with_units",
]

LESION_VOLUME = "lesion_volume"
LESION_DEPTH = "lesion_depth"
DERIVED = (LESION_VOLUME, "n_lesions", "slice_spacing_mm", "anisotropy")
_FEW_CASES = 10
"""So small a cohort answers nothing anyway; its report says so rather than that the strata are too many."""
_MOST_CASES = 20
"""Cases that a patient has on average, at most; a column of fewer names is one of groups."""
_LEAST_PER_LEVEL = 5
"""Fewest cases a level on average of a covariate of text."""
_SIZE_UNITS = {"volume": ("ml", 1000.0), "area_mm2": ("mm²", 1.0), "area_px": ("px²", 1.0), "size_vox": ("voxels", 1.0)}
"""Metric that is the size of a label -> the unit in which it becomes an attribute, and how much of it is one."""


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """What outcomes are compared at equal values of.

    Attributes:
        names: Covariate names, those that vary.
        values: (n_cases, n_columns) finite. A column of numbers gives one, and an indicator if some are missing; a
            column of text one for each of its levels but the first, `missing` being a level like any other.
        own: Attributes that a covariate is made of; they are never adjusted for themselves.
        notes: What the reader must know: what was missing, what could not be used.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    own: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What may change places with what.

    Attributes:
        strata: (n_cases,) codes within which outcomes are exchangeable; None: over all cases.
        subjects: (n_cases,) codes of the patients; None: every case is a patient.
    """

    strata: NDArray[np.intp] | None = None
    subjects: NDArray[np.intp] | None = None

    @property
    def are_cases(self) -> bool:
        """Whether any case may change places with any other: there are no strata, and no patient has two cases."""
        single = self.subjects is None or len(np.unique(self.subjects)) == len(self.subjects)
        return self.strata is None and single

    def select(self, where: NDArray[np.intp]) -> Units:
        """Those of the cases `where`."""
        return Units(
            None if self.strata is None else self.strata[where],
            None if self.subjects is None else self.subjects[where],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """How the cases of one outcome were sampled.

    Attributes:
        units: Strata and patients.
        covariates: For the adjusted difference; None: no adjustment.
    """

    units: Units = Units()
    covariates: Covariates | None = None


def build_design(
    cohort: Cohort,
    scores: ScoreTable,
    where: NDArray[np.intp],
    *,
    config: AuditConfig,
    outcome: str = "",
    attributes: Sequence[Attribute] = (),
) -> Design:
    """The design for the cases `where` of the scored cohort.

    Args:
        cohort: The scored cases, in the order of `scores`.
        scores: Their scores and mask facts.
        where: Indices of the cases with a defined outcome.
        config: Names the columns.
        outcome: The outcome that is compared; decides the default covariate. Empty: no covariates.
        attributes: Those of the audit, to tell which of them a covariate is made of.

    Raises:
        ConfigError: A column that does not exist, or a covariate of text with too many levels.
    """
    return Design(
        Units(
            _strata(cohort, config.stratify, where, attributes, _with_edges(config)),
            _codes(cohort, config.subject_column, where, "--subject-column"),
        ),
        _covariates(cohort, scores, where, config=config, outcome=outcome, attributes=attributes) if outcome else None,
    )


def _with_edges(config: AuditConfig) -> frozenset[str]:
    """Columns and attributes whose edges were asked for, by the user, the protocol, or with --derive."""
    return frozenset((*config.bins, *config.protocol.attributes, *((*DERIVED, LESION_DEPTH) if config.derive else ())))


def with_subjects(config: AuditConfig, cohort: Cohort) -> AuditConfig:
    """The settings with the column that tells the patients.

    It is the one asked for, else the one by which rows were joined, else a column of patients whose values repeat:
    were their cases exchanged one by one, two in five audits without any disparity would find one. The name `none`
    asks for no such column.
    """
    asked = config.subject_column
    if asked == NO_SUBJECTS and NO_SUBJECTS not in cohort.columns:
        return dataclasses.replace(config, subject_column=None)
    found = asked or cohort.subject_column or _repeated_subjects(config, cohort)
    return dataclasses.replace(config, subject_column=found)


def subject_notice(asked: AuditConfig, config: AuditConfig, cohort: Cohort) -> tuple[str, ...]:
    """A sentence where a column of patients became the unit unasked; none where it was asked for, or joined by.

    Args:
        asked: The settings as asked for.
        config: Those of `with_subjects`.
        cohort: The cases.
    """
    column = config.subject_column
    if column is None or asked.subject_column or column == cohort.subject_column:
        return ()
    n_patients = len(set(_names_of(cohort, column)))
    return (
        f"{column}: {n_patients:,} patients have {len(cohort):,} cases; patients are the units "
        "that are compared, exchanged and counted (--subject-column none takes every case for itself)",
    )


def _names_of(cohort: Cohort, column: str) -> list[str]:
    return [fold(value) for value in cohort.column(column) if not is_missing(value)]


def _repeated_subjects(config: AuditConfig, cohort: Cohort) -> str | None:
    """The column that names patients, some of them more than once; of several the one of fewest patients."""
    asked = {*(config.attributes or ()), *config.bins, *config.read_as, config.stratify}
    counts = {}
    for column in cohort.columns:
        if column in asked or not is_subject(column):
            continue
        names = _names_of(cohort, column)
        n_subjects = len(set(names))
        # Few names in many cases are groups, whatever they are called.
        if max(config.min_cases, len(names) / _MOST_CASES) <= n_subjects < len(names):
            counts[column] = n_subjects
    return min(counts, key=lambda column: counts[column], default=None)


def derive_columns(cohort: Cohort, scores: ScoreTable) -> tuple[Cohort, dict[str, tuple[float, ...]]]:
    """Adds what the masks say about a case as metadata columns: size, number of lesions, spacing, anisotropy.

    Of a lesion its depth as well.

    Returns:
        The cohort with the columns (sizes in ml; of pictures in mm² or px², of voxels without a size in voxels;
        spacing in mm, where it is known), and the bin edges of the thirds of size and depth. Without masks: unchanged.
    """
    facts = {score.case: score.facts for score in scores.scores}
    column = label_size_column(scores.names)
    volumes = dict(zip(scores.cases, scores.column(column) if column else (), strict=False))
    known = [value for value in volumes.values() if value is not None]
    if not known or column is None:
        return cohort, {}
    _, unit = _SIZE_UNITS[column]
    has_sizes = any("spacing_max_mm" in entry for entry in facts.values())
    derived = DERIVED if has_sizes else (LESION_VOLUME, "n_lesions")
    depth = next((name for name in scores.names if name.startswith(LESION_DEPTH)), None)
    depths = dict(zip(scores.cases, scores.column(depth) if depth else (), strict=False))
    derived = (*derived, LESION_DEPTH) if depth else derived
    cases = []
    for case in cohort:
        entry = facts[case.id]
        values = {
            LESION_VOLUME: None if (volume := volumes[case.id]) is None else volume / unit,
            "n_lesions": _lesion_count(entry.get("n_lesions")),
            "slice_spacing_mm": entry.get("spacing_max_mm"),
            "anisotropy": entry.get("anisotropy"),
            LESION_DEPTH: depths.get(case.id),
        }
        kept = {name: values[name] for name in derived}
        cases.append(dataclasses.replace(case, metadata={**case.metadata, **kept}))
    numbers = {LESION_VOLUME: np.array(known, dtype=float) / unit}
    if depth:
        numbers[LESION_DEPTH] = np.array(list(depths.values()), dtype=float)
    edges = {name: found for name, values in numbers.items() if (found := _thirds(values))}
    return dataclasses.replace(cohort, cases=tuple(cases), columns=(*cohort.columns, *derived)), edges


def _thirds(numbers: NDArray[np.float64]) -> tuple[float, ...]:
    """Bin edges that part some numbers in thirds; none where they are all the same."""
    thirds = np.unique(np.quantile(numbers, [1 / 3, 2 / 3], method="inverted_cdf"))
    inner = thirds[thirds < numbers.max()]
    return (-np.inf, *readable_edges(inner, numbers), np.inf) if len(inner) else ()


def with_units(derived: AttributeTable, scores: ScoreTable) -> AttributeTable:
    """The attributes that masks derive, with the unit in the names of their levels."""
    column = label_size_column(scores.names)
    units = {"slice_spacing_mm": "mm", **({LESION_VOLUME: _SIZE_UNITS[column][0]} if column else {})}
    depth = next((metric for metric in scores.metrics if metric.name.startswith(LESION_DEPTH)), None)
    units |= {LESION_DEPTH: depth.unit} if depth else {}
    rows = "lesions" if depth else "cases"
    return dataclasses.replace(
        derived,
        attributes=tuple(
            dataclasses.replace(
                entry,
                levels=tuple(level if level == MISSING else f"{level} {unit}" for level in entry.levels),
                binning=f"thirds of the {rows}, in {unit}"
                if entry.name in (LESION_VOLUME, LESION_DEPTH)
                else f"in {unit}",
            )
            if (unit := units.get(entry.name))
            else entry
            for entry in derived.attributes
        ),
    )


def _lesion_count(count: float | None) -> str | None:
    if count is None:
        return None
    return str(int(count)) if count < 3 else "3 or more"


def _strata(
    cohort: Cohort,
    column: str | None,
    where: NDArray[np.intp],
    attributes: Sequence[Attribute],
    bins: Set[str],
) -> NDArray[np.intp] | None:
    """Codes of what is compared within: a number's bins where edges were asked for, else the values as they are."""
    for entry in attributes:
        asked = not bins.isdisjoint((column, entry.name)) or column not in cohort.columns
        if column in (entry.name, entry.column) and asked:
            return np.asarray(np.unique(entry.codes[where], return_inverse=True)[1], dtype=np.intp)
    codes = _codes(cohort, column, where, "--stratify")
    if codes is not None and len(codes) > _FEW_CASES and int(codes.max()) + 1 > len(codes) / 2:
        raise ConfigError(
            f"--stratify {column}: {int(codes.max()) + 1} different values in {len(codes)} cases leave nothing to "
            "compare within; choose a column with fewer values, or bin it (--bins)"
        )
    return codes


def _codes(cohort: Cohort, column: str | None, where: NDArray[np.intp], option: str) -> NDArray[np.intp] | None:
    """Codes of a metadata column; a missing value is a group of its own (a patient of its own for subjects)."""
    if column is None:
        return None
    _require_column(cohort, column, option)
    values = [str(value) if value is not None else None for value in cohort.column(column)]
    names = [
        value if value is not None else ("" if option == "--stratify" else f"\0{index}")
        for index, value in enumerate(values)
    ]
    codes: NDArray[np.intp] = np.unique(np.array(names)[where], return_inverse=True)[1].astype(np.intp)
    return codes


def _covariates(
    cohort: Cohort,
    scores: ScoreTable,
    where: NDArray[np.intp],
    *,
    config: AuditConfig,
    outcome: str,
    attributes: Sequence[Attribute],
) -> Covariates | None:
    if config.adjust is None:
        # The default: DSC depends on lesion size, and where masks were scored the size is known.
        has_masks = label_size_column(scores.names) is not None and all(score.facts for score in scores.scores)
        names: Sequence[str] = (LESION_VOLUME,) if outcome.partition("_")[0] == "dsc" and has_masks else ()
    else:
        names = config.adjust
    if not names or not len(where):
        return None
    used, columns, notes = [], [], []
    for name in dict.fromkeys(names):
        if name == LESION_VOLUME and label_size_column(scores.names) is not None:
            found, note = _numbers(name, _log_volumes(scores)[where])
        else:
            _require_column(cohort, name, "--adjust")
            column = cohort.column(name)
            found, note = _column(name, [column[index] for index in where])
        notes.extend([note] if note else [])
        if found.shape[1]:
            used.append(name)
            columns.append(found)
    own = {*used, *(entry.name for entry in attributes if entry.column in used)}
    if LESION_VOLUME in used:
        own.add("n_lesions")
    values = np.column_stack(columns) if columns else np.empty((len(where), 0))
    return Covariates(tuple(used), values, frozenset(own), tuple(notes))


def _log_volumes(scores: ScoreTable) -> NDArray[np.float64]:
    column = label_size_column(scores.names) or ""
    volumes = np.array(scores.column(column), dtype=float)
    counted = column in ("area_px", "size_vox")  # and a voxel is one
    voxels = [1.0 if counted else score.facts.get("voxel_volume_mm3", np.nan) for score in scores.scores]
    logged: NDArray[np.float64] = stats.log_volume(volumes, voxel=np.array(voxels, dtype=float))
    return logged


def _column(name: str, values: Sequence[object]) -> tuple[NDArray[np.float64], str]:
    """Columns of a covariate from the table, and a note; none where it does not vary."""
    numbers = [as_number(value) for value in values]
    texts = [value for value, number in zip(values, numbers, strict=True) if number is None and not is_missing(value)]
    if not texts:
        return _numbers(name, np.array([np.nan if number is None else number for number in numbers]))
    kinds = np.array([MISSING if is_missing(value) else fold(value) for value in values])
    levels, codes, counts = np.unique(kinds, return_inverse=True, return_counts=True)
    if len(levels) * _LEAST_PER_LEVEL > len(values):
        raise ConfigError(
            f"--adjust {name}: {len(levels)} different texts in {len(values)} cases leave too little to compare "
            f"(the first is {str(texts[0])[:40]!r}); adjust for numbers, or for a column with fewer levels"
        )
    n_missing = sum(map(is_missing, values))
    note = (
        f"adjusted for {name}: missing for {n_missing} of {len(values)} cases, which are compared among themselves"
        if n_missing
        else ""
    )
    if len(levels) == 1:
        return np.empty((len(values), 0)), f"not adjusted for {name}: it is the same for every case"
    rest = np.delete(np.arange(len(levels)), np.argmax(counts))
    return np.asarray(codes[:, None] == rest, dtype=np.float64), note


def _numbers(name: str, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], str]:
    """Missing numbers become the median and bear an indicator, so that the median itself does not matter."""
    missing = ~np.isfinite(values)
    n_missing = int(missing.sum())
    if n_missing == len(values):
        return np.empty((len(values), 0)), f"not adjusted for {name}: no case has a number there"
    if np.ptp(values[~missing]) == 0 and not n_missing:
        return np.empty((len(values), 0)), f"not adjusted for {name}: it is the same for every case"
    if not n_missing:
        return values[:, None], ""
    filled = np.where(missing, np.median(values[~missing]), values)
    return np.column_stack([filled, missing]).astype(np.float64), (
        f"adjusted for {name}: missing for {n_missing} of {len(values)} cases; they bear the median and an indicator "
        "of their own, and so are compared among themselves"
    )


def check_named(cohort: Cohort, config: AuditConfig) -> None:
    """Refuses columns that nothing can be compared by, for there are none of that name, before an hour of scoring.

    Raises:
        ConfigError: There is neither a column nor an attribute of the protocol of that name, nor do masks say it.
    """
    from_masks = DERIVED if config.derive else ()
    named = {
        "--primary": (config.primary, (*config.protocol.attributes, *from_masks)),
        "--stratify": ((config.stratify,), (*config.protocol.attributes, *from_masks)),
        "--adjust": (config.adjust or (), (LESION_VOLUME, *from_masks)),
        "--subject-column": ((config.subject_column,), ()),
    }
    for option, (names, others) in named.items():
        for name in names:
            if name is not None and name not in others:
                _require_column(cohort, name, option)


def _require_column(cohort: Cohort, column: str, option: str) -> None:
    if column not in cohort.columns:
        known = ", ".join(cohort.columns) or "none"
        meant = close_names(column, cohort.columns)
        raise ConfigError(f"{option} {column}: no such metadata column{meant}; there are {known}")
