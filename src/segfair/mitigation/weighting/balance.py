"""How often cases are drawn so that groups of different size count alike. Numpy only; looks at no score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.mitigation.weighting.weights import joint_codes, mean_one

__all__ = ["Over", "balanced_weights", "members_of"]

Over = Literal["cells", "attributes"]


def balanced_weights(table: AttributeTable, *, exponent: float, over: Over) -> NDArray[np.float64]:
    """Weights n^-exponent of cases whose group has n cases, mean 1.

    Args:
        table: The cases' attributes; no value of an attribute counts as one more level.
        exponent: 1 draws every group equally often, 0.5 is half way there, 0 draws every case once.
        over: The groups are the joint "cells" of all attributes, or the levels of each of the "attributes"; of the
            latter a case has the mean of its weights over the attributes.

    Returns:
        (n_cases,) weights; all 1 without attributes.

    References:
        Puyol-Anton et al. Fairness in Cardiac MR Image Analysis. MICCAI 2021 (stratified batches, exponent 1).
    """
    n_cases = len(table.case_ids)
    if over == "cells" or not table.attributes:
        groups = [joint_codes(table)]
    else:
        groups = [(attribute.codes + 1).astype(np.intp) for attribute in table.attributes]
    if not n_cases:
        return np.zeros(0)
    sizes = [np.bincount(codes)[codes].astype(np.float64) for codes in groups]
    weights: NDArray[np.float64] = np.mean([mean_one(size**-exponent) for size in sizes], axis=0)
    return weights


def members_of(table: AttributeTable, items: Mapping[str, str]) -> NDArray[np.bool_]:
    """(n_cases,) who has every one of these levels; nobody where an attribute or a level is unknown."""
    members = np.ones(len(table.case_ids), dtype=bool)
    by_name = {attribute.name: attribute for attribute in table.attributes}
    for name, level in items.items():
        attribute = by_name.get(name)
        code = attribute.levels.index(level) if attribute is not None and level in attribute.levels else None
        members &= False if attribute is None or code is None else attribute.codes == code
    return members
