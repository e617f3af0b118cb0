"""What the weights of nnU-Net's draws are made from, and where they are told. Imports no torch and no nnU-Net."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segfair.attributes.fit import AttributeTable, fit_attributes
from segfair.errors import ConfigError, MetadataError
from segfair.files.tables import load_table, write_csv
from segfair.mitigation.nnunet.settings import DrawSettings
from segfair.mitigation.weighting.feedback import BatchFeedback
from segfair.mitigation.weighting.one_shot import weighted_cohort
from segfair.protocol.rules import load_protocol

__all__ = ["training_attributes", "write_weights"]


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


def write_weights(feedback: BatchFeedback, path: Path) -> None:
    """Writes `case`, `dice` (running; nothing before the first), `weight` and the `subgroup` that set it."""
    weights = feedback.weights
    scores = [None] * len(weights) if feedback.scores is None else feedback.scores.tolist()
    rows = [
        {"case": case, "dice": score, "weight": weight, "subgroup": setter.name if setter else ""}
        for (case, weight), setter, score in zip(weights.items(), weights.setters, scores, strict=True)
    ]
    write_csv(rows, path)
