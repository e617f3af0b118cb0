"""The cases whose gaps are explained: who they are, how their lesions look, and the Dice that each model gave them.

Reads the images as they were prepared for training. What is made of the numbers stands in `diagnosis`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.mitigation.data.datasets import PreparedCase, PreparedData, marked
from segfair.mitigation.data.regions import IGNORED
from segfair.mitigation.experiment.diagnosis import Appearance, Deficit, HeldOut, Lesions, appearance_of, deficit_of
from segfair.mitigation.weighting.balance import members_of

__all__ = ["JudgedCases", "lesions_of"]


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCases:
    """The cases that a run reports.

    Attributes:
        attributes: Of these cases.
        lesions: Theirs, in the same order.
        held_out: What the cases are called that tell whether a subgroup was learned.
        dsc: Model -> (n_cases,) Dice, averaged over the seeds.
    """

    attributes: AttributeTable
    lesions: Lesions
    held_out: HeldOut
    dsc: Mapping[str, NDArray[np.float64]]

    def deficit(self, model: str, items: Mapping[str, str]) -> Deficit:
        """What the deficit of a subgroup by a model is made of."""
        return deficit_of(members_of(self.attributes, items), self.dsc[model], self.lesions)


def lesions_of(
    prepared: PreparedData, case_ids: Sequence[str], *, subjects: NDArray[np.integer[Any]] | None = None
) -> Lesions:
    """How lesions look in the images that were trained on; of each case a box around its lesion is read.

    Args:
        prepared: Volumes of all cases.
        case_ids: Whose.
        subjects: (n_cases,) codes of patients; None: every case is one.

    Raises:
        InputError: A cached volume has gone.
    """
    cases = [prepared.cases[case] for case in case_ids]
    return Lesions.of(
        case_ids,
        [case.volume_mm3 for case in cases],
        [float(np.prod(case.spacing_mm)) for case in cases],
        [_appearance(case) for case in cases],
        subjects=subjects,
    )


def _appearance(case: PreparedCase) -> Appearance | None:
    if not case.n_lesion:
        return None
    image, label = case.load()
    lesion, ignored = marked(label).numpy(), (label == IGNORED).any(dim=0).numpy()
    return appearance_of(image.numpy(), lesion, case.spacing_mm, ignored=ignored)
