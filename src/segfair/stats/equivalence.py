"""Whether a deficit beyond a declared margin is shown, ruled out, or neither.

A margin bounds how far the members of a group may stand behind everybody else, so it is compared with differences to
the rest. Divergences are measured from a mean that holds the members themselves and are smaller by the share of the
rest: a margin on them would forgive half of a cohort twice the deficit that it allows a small group.

References:
    Schuirmann 1987; Berger and Hsu 1996 (equivalence from confidence bounds).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Standing", "margin_standing"]

Standing = Literal["within margin", "beyond margin", "insufficient evidence"]


def margin_standing(
    simultaneous: NDArray[np.float64], margin: float, *, better: Literal["higher", "lower"] = "higher"
) -> list[Standing]:
    """Each subgroup's standing against the largest deficit that does not matter.

    Args:
        simultaneous: (n_subgroups, 2) simultaneous bounds of the differences to the rest, from
            `MaxT.simultaneous_difference`; NaN where there are none.
        margin: Largest deficit that does not matter, above 0, on the same scale.
        better: Whether higher or lower outcomes are better, which decides what a deficit is.

    Returns:
        "within margin" where even the worst bound is a smaller deficit, "beyond margin" where even the best bound
        is a larger one, else "insufficient evidence".
    """
    worst, best = (
        (simultaneous[:, 0], simultaneous[:, 1])
        if better == "higher"
        else (
            -simultaneous[:, 1],
            -simultaneous[:, 0],
        )
    )
    with np.errstate(invalid="ignore"):
        return [
            "within margin" if within else "beyond margin" if beyond else "insufficient evidence"
            for within, beyond in zip(worst > -margin, best < -margin, strict=True)
        ]
