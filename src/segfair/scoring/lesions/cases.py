"""The lesions of a case under a protocol: the unit of their lengths, what one that is missed or invented is worth.

Says nan where a metric has no value; `segfair.scoring.pairs` makes None of it.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

from segfair.protocol.rules import Protocol
from segfair.scoring.lesions.measures import Lesion, Lesions, Place, find_lesions, lesion_scores
from segfair.scoring.metrics import MaskPair
from segfair.scoring.scores import LESION_UNIT, OF_LESIONS

__all__ = ["CaseLesions", "lesions_of"]


@dataclass(frozen=True, slots=True)
class CaseLesions:
    """The lesions of a case.

    Attributes:
        lesions: What came of them; None where the protocol has no rule for lesions.
        protocol: The rules.
        worst: Distance of a lesion that is missed or invented.
    """

    lesions: Lesions | None
    protocol: Protocol
    worst: float = math.inf

    def scores(self) -> dict[str, float]:
        """The protocol's metrics of lesions."""
        if self.lesions is None:
            return {}
        empty = self.protocol.empty.both_dsc
        found = lesion_scores(self.lesions, self.protocol.lesions, worst=self.worst, both_empty=empty)
        return {name: found[_without_unit(name)] for name in self.protocol.metrics if name in OF_LESIONS}

    def worst_scores(self) -> dict[str, float]:
        """What an unusable prediction gets: every lesion is missed, and what is invented nobody knows."""
        scores = self.scores()
        if "false_lesions" in scores:
            scores["false_lesions"] = math.nan
        if self.lesions is not None and not self.lesions.found:
            # As where something was predicted, so that no file that is broken counts as one that is empty.
            overlaps = {name for name in scores if name not in ("lesion_sensitivity", "false_lesions")}
            scores |= {name: self.worst if name in LESION_UNIT else 0.0 for name in overlaps}
        return scores

    @property
    def told(self) -> tuple[Lesion, ...]:
        """Each lesion of the label that counts, its distances finite."""
        if self.lesions is None:
            return ()
        return tuple(
            dataclasses.replace(
                lesion,
                hd95=self.worst if math.isinf(lesion.hd95) else lesion.hd95,
                assd=self.worst if lesion.assd == math.inf else lesion.assd,
            )
            for lesion in self.lesions.found
        )


def lesions_of(
    pair: MaskPair,
    protocol: Protocol,
    *,
    shape: tuple[int, ...],
    box: tuple[slice, ...],
    diagonal: Callable[[tuple[int, ...], str], float],
) -> CaseLesions:
    """The lesions of two masks, found by the rule of a protocol.

    Args:
        pair: The masks, cut out of an image.
        protocol: The rules.
        shape: Shape of the image.
        box: Where in it they lie.
        diagonal: The longest diagonal of an image of a shape, in mm or in voxels.
    """
    rule = protocol.lesions
    if rule.rule == "none":
        return CaseLesions(None, protocol)
    in_voxels = any(LESION_UNIT.get(name) == "voxels" for name in protocol.metrics)
    inside = pair.box or (slice(0, 0),) * pair.label.ndim
    place = Place(
        shape=shape,
        start=tuple((outer.start or 0) + inner.start for outer, inner in zip(box, inside, strict=True)),
        spacing=(1.0,) * len(shape) if in_voxels else pair.spacing_mm,
        axes=None if in_voxels else pair.axes_mm,
        voxel=pair.voxel_mm3,
    )
    found = find_lesions(
        pair.label[inside], pair.prediction[inside], rule, place, image_border=protocol.surface.image_border
    )
    worst = diagonal(shape, "voxels" if in_voxels else "mm") if rule.penalty == "diagonal" else rule.penalty
    return CaseLesions(found, protocol, worst)


def _without_unit(name: str) -> str:
    return name.rpartition("_")[0] if name in LESION_UNIT else name
