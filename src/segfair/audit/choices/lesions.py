"""Lesions in place of cases: each lesion of a label becomes a row, with its patient's attributes and its own.

The unit that is exchanged and resampled stays the patient. Scores nothing: what came of a lesion stands in its case's
score.
"""

from __future__ import annotations

import dataclasses

from segfair.audit.result import AuditConfig
from segfair.audit.words import plural
from segfair.cases import Case, Cohort
from segfair.errors import AuditError, ConfigError
from segfair.files.cells import is_missing
from segfair.protocol.rules import LESION_RULES, Protocol, format_label_values
from segfair.scoring.calibration.cases import metrics_of
from segfair.scoring.lesions.measures import Lesion
from segfair.scoring.metrics import METRICS, Metric
from segfair.scoring.scores import (
    LABEL_SIZES,
    LESION_UNIT,
    CaseScore,
    ScoreTable,
    counted_values,
    label_size_column,
)

__all__ = ["CASE_OF_LESION", "audited_metrics", "lesions_as_cases", "require_lesions"]

CASE_OF_LESION = "case_of_lesion"
"""Column of the case that a lesion is of, where no column tells the patients."""
# What speaks of a case as a whole.
_OF_WHOLE_CASE = ("label_voxels", "prediction_voxels")
_DEPTH = {"mm": "lesion_depth_mm", "vox": "lesion_depth_vox", "px": "lesion_depth_px"}


def require_lesions(config: AuditConfig) -> AuditConfig:
    """The settings with what an audit of lesions takes: their size and distances are scored, and become attributes.

    Raises:
        ConfigError: The protocol has no rule by which lesions are found.
    """
    if config.unit == "case":
        return config
    protocol = config.protocol
    if protocol.lesions.rule == "none":
        raise ConfigError(
            f"--unit lesion: protocol {protocol.name} has no rule by which lesions are found; name one with --lesions "
            f"{', '.join(LESION_RULES[:-1])} or {LESION_RULES[-1]}"
        )
    needed = []
    if not any(name in LABEL_SIZES for name in protocol.metrics):
        needed.append("volume")
    if not any(name in LESION_UNIT for name in protocol.metrics):
        needed.append("lesion_hd95_mm")
    protocol = protocol.replace(metrics=(*protocol.metrics, *needed))
    return dataclasses.replace(config, protocol=protocol, derive=True)


def audited_metrics(config: AuditConfig, cohort: Cohort) -> tuple[Metric, ...]:
    """The columns that an audit of masks has: those of the protocol and of probabilities, or those of a lesion.

    Raises:
        ConfigError: A metric that does not exist.
    """
    return metrics_of(cohort, config.protocol) if config.unit == "case" else _lesion_metrics(config.protocol)


def lesions_as_cases(cohort: Cohort, scores: ScoreTable, config: AuditConfig) -> tuple[Cohort, ScoreTable, AuditConfig]:
    """The lesions of the scored cases as rows of their own; an audit of cases stays as it is.

    A row is called CASE#NUMBER, in the order of the lesions' first voxels.

    Args:
        cohort: The cases.
        scores: Their scores, with their lesions.
        config: The settings; without a column that tells the patients, each case is one.

    Raises:
        AuditError: No label has a lesion that counts.
    """
    if config.unit == "case":
        return cohort, scores, config
    column = config.subject_column or CASE_OF_LESION
    by_id = {case.id: case for case in cohort}
    metrics = _lesion_metrics(config.protocol)
    cases: list[Case] = []
    rows: list[CaseScore] = []
    for score in scores.scores:
        case = by_id[score.case]
        patient = case.metadata.get(column)
        # Lesions of a case whose patient nobody knows are of one patient all the same.
        metadata = {**case.metadata, column: case.id if is_missing(patient) else patient}
        facts = {name: value for name, value in score.facts.items() if name not in _OF_WHOLE_CASE}
        for number, lesion in enumerate(score.lesions, 1):
            name = f"{score.case}#{number}"
            cases.append(dataclasses.replace(case, id=name, metadata=metadata))
            values = dict(zip((metric.name for metric in metrics), _values(lesion), strict=True))
            rows.append(dataclasses.replace(score, case=name, values=values, facts=facts, lesions=(lesion,)))
    if not rows:
        raise AuditError(
            f"no label of {plural(len(scores), 'case')} has a lesion that counts by the rule "
            f"{config.protocol.lesions.rule}; audit the cases (--unit case), or set [lesions] of a protocol"
        )
    columns = cohort.columns if config.subject_column else (*cohort.columns, column)
    of_lesions = dataclasses.replace(
        cohort, cases=tuple(cases), columns=columns, notices=(*cohort.notices, _notice(scores, len(rows)))
    )
    config = dataclasses.replace(config, subject_column=column)
    return of_lesions, ScoreTable(metrics, tuple(rows), scores.excluded), config


def _lesion_metrics(protocol: Protocol) -> tuple[Metric, ...]:
    """The columns of a lesion, in the order of `_values`."""
    size = METRICS[label_size_column(protocol.metrics) or "volume"]
    distance = next(name for name in protocol.metrics if name in LESION_UNIT)
    suffix = distance.rpartition("_")[2]
    unit = METRICS[distance].unit
    rule = f"of-a-lesion/{protocol.lesions.definition}/label-{format_label_values(counted_values(protocol))}"
    worst = protocol.lesions.penalty
    missed = "the image's diagonal" if worst == "diagonal" else f"{worst:g}"
    return (
        Metric("dsc", "", "higher", f"dsc/{rule}", "nothing predicted of it: 0"),
        Metric("iou", "", "higher", f"iou/{rule}", "nothing predicted of it: 0"),
        Metric(f"hd95_{suffix}", unit, "lower", f"hd95/{rule}/{suffix}", f"nothing predicted of it: {missed}"),
        Metric("lesion_missed", "", "lower", f"lesion-missed/not-found/{rule}", ""),
        dataclasses.replace(size, definition=f"{size.definition}/{rule}", empty_rule=""),
        Metric(_DEPTH[suffix], unit, "neither", f"depth/centre-to-nearest-face-of-image/{rule}", ""),
    )


def _values(lesion: Lesion) -> tuple[float, ...]:
    return lesion.dsc, lesion.iou, lesion.hd95, float(not lesion.found), lesion.size, lesion.depth


def _notice(scores: ScoreTable, n_lesions: int) -> str:
    n_without = sum(not score.lesions for score in scores.scores)
    without = f"; {plural(n_without, 'case')} without a lesion that counts have none" if n_without else ""
    return (
        f"each row is a lesion of a label: {plural(n_lesions, 'lesion')} of {plural(len(scores), 'case')}{without}. "
        "Predicted lesions that belong to none of the label's are no rows: they count in an audit of cases"
    )
