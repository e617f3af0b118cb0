"""Probabilities without labels -> the DSC that they expect, level by level: an estimate, never judged.

The model grades itself. Where it is as wrong as it is sure, and that is in the groups it serves badly, the estimate
hides the gap: no verdict, finding or gate is made of it, and no interval, for that would look like evidence.

References:
    Li et al. Estimating model performance under domain shifts with class-specific confidence scores. MICCAI 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segfair.attributes.fit import fit_attributes
from segfair.audit.result import AuditConfig
from segfair.cases import Case, Cohort
from segfair.errors import AuditError, InputError
from segfair.files.finding.patterns import local_masks
from segfair.files.images.probabilities import read_probabilities
from segfair.files.layouts import find_probabilities
from segfair.intake.case_rows import attach_metadata, read_metadata
from segfair.remote import shown
from segfair.scoring.calibration.measures import expected_dice
from segfair.scoring.scores import counted_values
from segfair.subgroups.lattice import Subgroup, level_membership

__all__ = ["WARNING", "Expectation", "ExpectedGroup", "expect"]

WARNING = (
    "ESTIMATES by the model itself: no label was seen, and nothing here is judged. A model that is sure where it is "
    "wrong hides the groups it fails; only labels show a gap, or that there is none."
)


@dataclass(frozen=True, slots=True)
class ExpectedGroup:
    """The DSC that probabilities expect of some cases: all, or those of one level.

    Attributes:
        items: Who; no item for all cases.
        n: Cases.
        expected_dsc: Its mean.
    """

    items: Subgroup
    n: int
    expected_dsc: float


@dataclass(frozen=True, slots=True)
class Expectation:
    """What probabilities expect without labels.

    Attributes:
        threshold: From which probability on a voxel is in the mask that is estimated.
        overall: All cases.
        groups: Every level of every attribute.
        cases: Case -> expected DSC.
        left_out: Case -> why it has none.
    """

    threshold: float
    overall: ExpectedGroup
    groups: tuple[ExpectedGroup, ...]
    cases: Mapping[str, float]
    left_out: Mapping[str, str]


def expect(
    probabilities: Path,
    metadata: Path,
    config: AuditConfig,
    *,
    threshold: float = 0.5,
    id_column: str | None = None,
    sheet: str | None = None,
) -> Expectation:
    """The expected DSC of every level.

    Args:
        probabilities: Folder of maps, or of nnU-Net's `.npz`.
        metadata: Table of patient attributes.
        config: Which attributes, which bins, which label values count.
        threshold: From which probability on a voxel is in the mask.
        id_column: Column of case ids; None: the one that holds most of them.
        sheet: Sheet of an XLSX file; None: the one that holds most of the case ids.

    Raises:
        InputError: No map, or a table that cannot be used.
        MetadataError: A table of other cases, or a column that is not there.
        AuditError: No map can be used.
    """
    maps = find_probabilities(local_masks(probabilities)).files
    table = read_metadata(metadata, sheet=sheet, case_ids=sorted(maps))
    rows = attach_metadata(table, sorted(maps), id_column=id_column, subject_column=config.subject_column)
    left_out, cases = dict(rows.absent), dict[str, float]()
    values, both_empty = counted_values(config.protocol), config.protocol.empty.both_dsc
    for case, path in maps.items():
        if case in left_out:
            continue
        try:
            map_ = read_probabilities(path, values).array
        except InputError as error:
            left_out[case] = shown(str(error))
            continue
        cases[case] = expected_dice(map_, map_ >= threshold, both_empty=both_empty)
    if not cases:
        case, reason = next(iter(left_out.items()))
        raise AuditError(f"none of {len(maps)} probability maps can be used, such as that of case {case}: {reason}")
    cohort = Cohort(tuple(Case(case, metadata=rows.of(case)) for case in cases), rows.columns, rows.id_column)
    plan = fit_attributes(
        cohort,
        protocol=config.protocol,
        chosen=config.attributes,
        edges={name: edges for name, edges in config.bins.items() if edges != "tree"},
        subject_column=config.subject_column,
        read_as=config.read_as,
        joins=config.join,
    )
    attributes = plan.apply(cohort)
    membership = level_membership(attributes, [entry.name for entry in attributes.attributes])
    found = np.array(list(cases.values()))
    return Expectation(
        threshold,
        ExpectedGroup(Subgroup(frozenset()), len(found), float(found.mean())),
        tuple(
            ExpectedGroup(group, int(inside.sum()), float(found[inside].mean()))
            for group, inside in zip(membership.subgroups, membership.matrix, strict=True)
            if inside.any()
        ),
        cases,
        left_out,
    )
