"""Every level of every attribute of a team's cases against everybody else: one family of tests. Mines no subgroups."""

from __future__ import annotations

import numpy as np

from segfair.attributes.fit import AttributeTable
from segfair.audit.design import build_design
from segfair.audit.result import AuditConfig, OutcomeFacts
from segfair.audit.significance import compare_with_rest, infer_subgroups
from segfair.cases import Cohort
from segfair.scoring.scores import ScoreTable
from segfair.subgroups.lattice import SubgroupTable, describe_divergences, level_membership

__all__ = ["compare_levels"]


def compare_levels(
    cohort: Cohort, scores: ScoreTable, attributes: AttributeTable, config: AuditConfig, *, metric: str
) -> SubgroupTable:
    """The levels of a team's cases, most harmful first; empty without an attribute.

    Args:
        cohort: The scored cases.
        scores: The team's scores of them.
        attributes: Their attributes.
        config: Settings.
        metric: What is compared; cases without a value of it are left out.
    """
    where, values = scores.defined(metric)
    better = scores.better(metric)
    mean = float(values.mean()) if len(values) else None
    names = [attribute.name for attribute in attributes.attributes]
    if not names or not len(values):
        return SubgroupTable(metric, better, len(values), mean, ())
    family = compare_with_rest(
        "ranking/levels",
        level_membership(attributes, names).select(where),
        values,
        metric=metric,
        config=config,
        design=build_design(cohort, scores, np.asarray(where), config=config),
    )
    table = describe_divergences(family.membership, family.outcome, name=metric, better=better)
    facts = OutcomeFacts(better=better, n_cases=len(values), mean=mean, primary=True)
    found, _ = infer_subgroups(table, family, config=config, facts=facts)
    return found
