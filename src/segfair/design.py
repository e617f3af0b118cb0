"""How the cases of an audit were sampled: strata, patients, covariates, and what the masks themselves derive.

Turns metadata columns and mask facts into the arrays that the tests need; tests nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segfair import stats
from segfair.attributes import MISSING, AttributeTable
from segfair.binning import as_number, readable_edges
from segfair.cases import Cohort
from segfair.errors import ConfigError
from segfair.results import AuditConfig
from segfair.scoring import ScoreTable

__all__ = ["Covariates", "Design", "build_design", "derive_columns", "with_units"]

LESION_VOLUME = "lesion_volume"
_MM3_PER_ML = 1000.0
_UNITS = {LESION_VOLUME: "ml", "slice_spacing_mm": "mm"}


@dataclass(frozen=True, slots=True, eq=False)
class Covariates:
    """What outcomes are compared at equal values of.

    Attributes:
        names: Covariate names.
        values: (n_cases, n_covariates) finite.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Design:
    """How the cases of one outcome were sampled.

    Attributes:
        strata: (n_cases,) codes within which outcomes are exchangeable; None: over all cases.
        subjects: (n_cases,) codes of the patients; None: every case is a patient.
        covariates: For the adjusted difference; None: no adjustment.
    """

    strata: NDArray[np.intp] | None = None
    subjects: NDArray[np.intp] | None = None
    covariates: Covariates | None = None


def build_design(
    cohort: Cohort, scores: ScoreTable, where: NDArray[np.intp], *, config: AuditConfig, outcome: str = ""
) -> Design:
    """The design for the cases `where` of the scored cohort.

    Args:
        cohort: The scored cases, in the order of `scores`.
        scores: Their scores and mask facts.
        where: Indices of the cases with a defined outcome.
        config: Names the columns.
        outcome: The outcome that is compared; decides the default covariate. Empty: no covariates.

    Raises:
        ConfigError: A column that does not exist, or a covariate that is not a number for every case.
    """
    return Design(
        strata=_codes(cohort, config.stratify, where, "--stratify"),
        subjects=_codes(cohort, config.subject_column, where, "--subject-column"),
        covariates=_covariates(cohort, scores, where, config=config, outcome=outcome) if outcome else None,
    )


def derive_columns(cohort: Cohort, scores: ScoreTable) -> tuple[Cohort, dict[str, tuple[float, ...]]]:
    """Adds what the masks say about a case as metadata columns: volume, number of lesions, spacing, anisotropy.

    Returns:
        The cohort with the columns (volumes in ml, spacing in mm), and the bin edges of the lesion volume's terciles.
        Without masks: unchanged.
    """
    facts = {score.case: score.facts for score in scores.scores}
    volumes = dict(zip(scores.cases, scores.column("volume") if "volume" in scores.names else (), strict=False))
    known = [value for value in volumes.values() if value is not None]
    if not known:
        return cohort, {}
    derived = (LESION_VOLUME, "n_lesions", "slice_spacing_mm", "anisotropy")
    cases = []
    for case in cohort:
        entry = facts[case.id]
        values = {
            LESION_VOLUME: None if (volume := volumes[case.id]) is None else volume / _MM3_PER_ML,
            "n_lesions": _lesion_count(entry.get("n_lesions")),
            "slice_spacing_mm": entry.get("spacing_max_mm"),
            "anisotropy": entry.get("anisotropy"),
        }
        cases.append(dataclasses.replace(case, metadata={**case.metadata, **values}))
    numbers = np.array(known, dtype=float) / _MM3_PER_ML
    thirds = np.unique(np.quantile(numbers, [1 / 3, 2 / 3], method="inverted_cdf"))
    inner = thirds[thirds < numbers.max()]
    edges = {LESION_VOLUME: (-np.inf, *readable_edges(inner, numbers), np.inf)} if len(inner) else {}
    return dataclasses.replace(cohort, cases=tuple(cases), columns=(*cohort.columns, *derived)), edges


def with_units(derived: AttributeTable) -> AttributeTable:
    """The attributes that masks derive, with the unit in the names of their levels."""
    return dataclasses.replace(
        derived,
        attributes=tuple(
            dataclasses.replace(
                entry,
                levels=tuple(level if level == MISSING else f"{level} {unit}" for level in entry.levels),
                binning=f"thirds of the cases, in {unit}" if entry.name == LESION_VOLUME else f"in {unit}",
            )
            if (unit := _UNITS.get(entry.name))
            else entry
            for entry in derived.attributes
        ),
    )


def _lesion_count(count: float | None) -> str | None:
    if count is None:
        return None
    return str(int(count)) if count < 3 else "3 or more"


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
    cohort: Cohort, scores: ScoreTable, where: NDArray[np.intp], *, config: AuditConfig, outcome: str
) -> Covariates | None:
    if config.adjust is None:
        # The default: DSC depends on lesion size, and where masks were scored the size is known.
        has_masks = "volume" in scores.names and all(score.facts for score in scores.scores)
        names: Sequence[str] = (LESION_VOLUME,) if outcome.partition("_")[0] == "dsc" and has_masks else ()
    else:
        names = config.adjust
    columns = [_covariate(cohort, scores, name)[where] for name in names]
    return Covariates(tuple(names), np.column_stack(columns)) if columns else None


def _covariate(cohort: Cohort, scores: ScoreTable, name: str) -> NDArray[np.float64]:
    if name == LESION_VOLUME and "volume" in scores.names:
        volumes = np.array(scores.column("volume"), dtype=float)
        voxels = np.array([score.facts.get("voxel_volume_mm3", np.nan) for score in scores.scores])
        if np.isfinite(volumes).all() and np.isfinite(voxels).all():
            logged: NDArray[np.float64] = stats.log_volume(volumes, voxel=voxels)
            return logged
        raise ConfigError("--adjust lesion_volume: the label's volume is not known for every case")
    _require_column(cohort, name, "--adjust")
    raw = cohort.column(name)
    values = np.array([np.nan if number is None else number for number in map(as_number, raw)])
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        raise ConfigError(
            f"--adjust {name}: {n_bad} of {len(raw)} cases have no number there; adjust for complete columns of numbers"
        )
    return values


def _require_column(cohort: Cohort, column: str, option: str) -> None:
    if column not in cohort.columns:
        known = ", ".join(cohort.columns) or "none"
        raise ConfigError(f"{option} {column}: no such metadata column; there are {known}")
