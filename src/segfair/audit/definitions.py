"""What the scores would be under another definition of NormHD, and whether that changes an order.

HD95 / 150 can mean voxels or millimetres, clipped to [0, 1] or not; the order of models has turned on the choice.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.result import Definition
from segfair.fairness import ChallengeScores, Disparity, JudgingRule, challenge_scores
from segfair.protocol.rules import Protocol
from segfair.scoring.scores import CaseScore, ScoreTable

__all__ = ["compare_definitions", "normhd_variants"]

_COLUMNS = {"mm": "hd95_mm", "voxels": "hd95_vox", "px": "hd95_px"}


def compare_definitions(
    scores: ScoreTable, attributes: AttributeTable, *, protocol: Protocol, min_cases: int
) -> tuple[Definition, ...]:
    """The scores under each definition of NormHD that the columns allow, the used one first.

    Returns:
        One entry a definition; `changes` names every attribute whose worst or best level for NormHD differs from
        the one under the used definition. Empty where there is no DSC, NormHD or HD95.
    """
    if not {"dsc", "normhd"} <= set(scores.names):
        return ()
    _, dsc = scores.defined("dsc")
    _, normhd = scores.defined("normhd")
    variants = normhd_variants(scores, protocol=protocol)
    rule = protocol.normhd
    used_name = f"{rule.unit}, {'clipped' if rule.clip else 'not clipped'}"
    if len(dsc) != len(scores.cases) or len(normhd) != len(dsc) or not variants:
        return ()

    def under(values: NDArray[np.float64]) -> ChallengeScores:
        return challenge_scores(
            dsc,
            values,
            attributes,
            rule=JudgingRule.of(protocol.fairness.levels, min_cases=min_cases),
            weight=protocol.fairness.weight,
        )

    used = under(normhd)
    definitions = [Definition(used_name, used.normhd, used.ps, used.fs, used.ts, (), True)]
    for name, values in variants.items():
        if name != used_name:
            other = under(values)
            changes = tuple(itertools.chain.from_iterable(map(_changes, used.disparities, other.disparities)))
            definitions.append(Definition(name, other.normhd, other.ps, other.fs, other.ts, changes, False))
    return tuple(definitions)


def normhd_variants(scores: ScoreTable, *, protocol: Protocol) -> dict[str, NDArray[np.float64]]:
    """NormHD of every case under each definition that the HD95 columns allow.

    Where NormHD is 1 by rule (a missed or invented lesion, an unusable prediction) it stays 1 under all of them.

    Returns:
        "mm, clipped", "mm, not clipped", and the same in voxels and px -> (n_cases,).
    """
    normhd = scores.column("normhd")
    variants = {}
    for unit, column in _COLUMNS.items():
        if column not in scores.names:
            continue
        raw = np.array(
            [
                (1.0 if norm is None else norm)
                if _ruled(case) or distance is None
                else distance / protocol.normhd.scale
                for case, norm, distance in zip(scores.scores, normhd, scores.column(column), strict=True)
            ]
        )
        variants[f"{unit}, clipped"] = np.clip(raw, 0.0, 1.0)
        variants[f"{unit}, not clipped"] = raw
    return variants


def _ruled(case: CaseScore) -> bool:
    """Whether a rule set the distance, not a measurement."""
    empty = [case.facts.get(name) == 0 for name in ("label_voxels", "prediction_voxels")]
    return case.penalised is not None or empty[0] != empty[1]


def _changes(used: Disparity, other: Disparity) -> list[str]:
    changes = []
    for which, before, after in (
        ("highest", used.normhd_high, other.normhd_high),
        ("lowest", used.normhd_low, other.normhd_low),
    ):
        if before and after and before.level != after.level:
            changes.append(
                f"{used.attribute}: the level with the {which} NormHD is {after.level} (n = {after.n}), "
                f"not {before.level} (n = {before.n})"
            )
    return changes
