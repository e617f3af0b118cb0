"""From the Dice of batches to the weights of the next epoch. Imports no torch and no nnU-Net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable, fit_attributes
from segfair.errors import ConfigError, MetadataError
from segfair.files.tables import load_table, write_csv
from segfair.mitigation.nnunet.settings import DrawSettings
from segfair.mitigation.weighting.one_shot import weighted_cohort
from segfair.mitigation.weighting.reweighter import ADAPTIVE, DivergenceReweighter, WeightRule
from segfair.mitigation.weighting.running import RunningScores
from segfair.mitigation.weighting.weights import CaseWeights
from segfair.protocol.rules import load_protocol

__all__ = ["BatchFeedback", "training_attributes"]


def training_attributes(settings: DrawSettings, case_ids: Sequence[str]) -> AttributeTable:
    """Attributes of the training cases, fitted on them as an audit would with its default protocol.

    Raises:
        InputError: The table cannot be read, or a case has no row.
        MetadataError: A column that does not exist or cannot be used, or none that can.
        ConfigError: There is no table.
    """
    if settings.metadata is None:
        raise ConfigError("nnU-Net's draws: no table of the training cases; set SEGFAIR_METADATA=metadata.csv")
    table = load_table(settings.metadata, wanted_ids=case_ids)
    cohort = weighted_cohort(table, case_ids, id_column=settings.id_column)
    plan = fit_attributes(
        cohort,
        protocol=load_protocol("default"),
        chosen=settings.attributes,
        subject_column=cohort.subject_column or None,
    )
    attributes = plan.apply(cohort)
    if not attributes.attributes:
        reasons = "; ".join(f"{column}: {reason}" for column, reason in list(plan.left_out.items())[:5])
        raise MetadataError(f"{settings.metadata}: no column can be an attribute of the training cases ({reasons})")
    return attributes


class BatchFeedback:
    """Case weights that follow each training case's Dice in the batches that it is in.

    Args:
        attributes: Attributes of the training cases.
        rule: From the divergences of subgroups to weights.
    """

    def __init__(self, attributes: AttributeTable, *, rule: WeightRule = ADAPTIVE) -> None:
        self._case_ids = attributes.case_ids
        self._running = RunningScores(self._case_ids)
        self._reweighter = DivergenceReweighter(attributes, attributes, rule=rule)
        self._scores: NDArray[np.float64] | None = None

    @property
    def weights(self) -> CaseWeights:
        """Of the next epoch; equal before the first one has ended."""
        return self._reweighter.weights

    def observe(self, case_ids: Sequence[str], dice: NDArray[np.float64]) -> None:
        """Takes the (B,) Dice of the patches of a batch, nan where a patch has none, and the cases they are of."""
        self._running.observe(case_ids, dice)

    def end_epoch(self) -> CaseWeights:
        """The weights of the next epoch; those of this one where no patch had a Dice yet."""
        self._scores = self._running.end_epoch()
        return self.weights if self._scores is None else self._reweighter.update_array(self._scores)

    def write(self, path: Path) -> None:
        """Writes `case`, `dice` (running; nothing before the first), `weight` and the `subgroup` that set it."""
        scores = [None] * len(self._case_ids) if self._scores is None else self._scores.tolist()
        rows = [
            {"case": case, "dice": score, "weight": weight, "subgroup": setter.name if setter else ""}
            for (case, weight), setter, score in zip(self.weights.items(), self.weights.setters, scores, strict=True)
        ]
        write_csv(rows, path)

    def state_dict(self) -> dict[str, Any]:
        """What `load_state_dict` needs to go on: plain lists and numbers."""
        return {
            "case_ids": list(self._case_ids),
            "running": self._running.state_dict(),
            "reweighter": self._reweighter.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`.

        Raises:
            ConfigError: It is of other cases.
            InputError: It is of other subgroups.
        """
        if tuple(state["case_ids"]) != self._case_ids:
            raise ConfigError(
                f"resume: the training began with {len(state['case_ids'])} training cases, and now has other ones "
                f"({len(self._case_ids)}); resume with the same splits_final.json"
            )
        self._running.load_state_dict(state["running"])
        self._reweighter.load_state_dict(state["reweighter"])
