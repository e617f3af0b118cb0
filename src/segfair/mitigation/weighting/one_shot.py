"""Case weights from an audit, once and before a training, and their table: for loops that segfair does not run.

The audit tells which subgroups of its cases are served worse; the training cases get weights by the same items. Imports
no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segfair.attributes.binning import as_number
from segfair.attributes.fit import BinningPlan
from segfair.audit.result import AuditResult
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError
from segfair.files.cells import cell_text
from segfair.files.datalists import read_case_list
from segfair.files.tables import Table, load_table
from segfair.intake.case_rows import attach_metadata
from segfair.mitigation.weighting.weights import CaseWeights, assign, mean_one, tilt
from segfair.subgroups.lattice import Membership, Subgroup

__all__ = ["CAP", "TEMPERATURE", "one_shot_weights", "read_weights", "weighted_cohort"]

TEMPERATURE = 5.0
CAP = 8.0


def one_shot_weights(
    result: AuditResult,
    metadata: Path,
    *,
    cases: str | None = None,
    id_column: str | None = None,
    sheet: str | None = None,
) -> CaseWeights:
    """Weights exp(5 max deficit) of the cases, scaled to mean 1 and capped at 8.

    The deficit of a subgroup is how far its shrunken divergence on the audit's primary outcome is to its
    disadvantage; a case takes the largest of the subgroups it belongs to.

    Args:
        result: An audit of other cases (a validation set, an earlier model's predictions).
        metadata: Table of the cases to be weighted.
        cases: Which: a file of ids, or `splits_final.json:FOLD` for that fold's training cases; None: every row.
        id_column: Column of case ids; None: the one that matches `cases`.
        sheet: Sheet of an XLSX table; None: the one that holds most of `cases`.

    Returns:
        One weight a case, with the subgroup that set it; 1 for a case in no subgroup.

    Raises:
        InputError: The table has none of the cases, or the audit does not say how its attributes were made.
        ConfigError: Neither `cases` nor `id_column` says what the cases are called.
    """
    if not result.attributes.binning:
        raise InputError("audit.json: does not say how its attributes were made; audit again with this version")
    if cases is not None:
        wanted = read_case_list(cases, part="train")
        table = load_table(metadata, sheet=sheet, wanted_ids=wanted)
    else:
        table = load_table(metadata, sheet=sheet)
        if id_column is None or id_column not in table.columns:
            columns = ", ".join(table.columns)
            raise ConfigError(
                f"weights: name the cases with --cases, or the column of ids with --id-column ({columns})"
            )
        wanted = [text for value in table.raw[id_column] if (text := cell_text(value))]
    cohort = weighted_cohort(table, wanted, id_column=id_column)
    attributes = BinningPlan.from_dict(result.attributes.binning).apply(cohort)

    subgroups: list[Subgroup] = []
    deficits: list[float] = []
    audited = result.subgroups[result.subgroups.primary_outcome]
    harm = -1.0 if audited.better == "higher" else 1.0
    for row in audited:
        shrunken = row.divergence if row.divergence_shrunk is None else row.divergence_shrunk
        # Itemsets with the same members in the audit may part company among other cases.
        for subgroup in (row.subgroup, *row.aliases):
            subgroups.append(subgroup)
            deficits.append(max(0.0, harm * shrunken))
    nobody = Membership(tuple(subgroups), np.zeros((len(subgroups), 0), dtype=bool), {}, ())
    assigned = assign(nobody.apply(attributes).matrix, np.array(deficits))
    weights = mean_one(tilt(assigned.values, TEMPERATURE), outside=assigned.outside, cap=CAP)
    setters = [None if setter < 0 else subgroups[setter] for setter in assigned.setter]
    return CaseWeights.of(cohort.ids, weights, setters)


def weighted_cohort(table: Table, case_ids: Sequence[str], *, id_column: str | None) -> Cohort:
    """The cases that get weights, each with its row of the table.

    Raises:
        MetadataError: The table has no row of any case, or rows of one that contradict each other.
        InputError: A case has no row.
    """
    rows = attach_metadata(table, case_ids, id_column=id_column)
    if rows.absent:
        case, reason = next(iter(rows.absent.items()))
        raise InputError(
            f"{len(rows.absent)} of {len(case_ids)} cases cannot be weighted, for example {case}: {reason}"
        )
    return Cohort(
        tuple(Case(case, metadata=rows.rows[case]) for case in dict.fromkeys(case_ids)),
        columns=tuple(table.columns),
        subject_column=rows.subject_column,
    )


def read_weights(path: Path) -> dict[str, float]:
    """Case id -> weight, from the table that `segfair weights` wrote.

    Raises:
        InputError: Not such a table.
    """
    table = load_table(path)
    if not {"case", "weight"} <= set(table.columns):
        raise InputError(f"{path}: expected the columns case and weight, got {', '.join(table.columns)}")
    ids = [cell_text(value) for value in table.raw["case"]]
    numbers = [as_number(value) for value in table.column("weight")]
    if any(number is None or number < 0 for number in numbers):
        raise InputError(f"{path}, column weight: every weight has to be a number of at least 0")
    weights = {case: float(number or 0.0) for case, number in zip(ids, numbers, strict=True)}
    if not any(weights.values()):
        raise InputError(f"{path}, column weight: all are 0, so no case would ever be drawn")
    return weights
