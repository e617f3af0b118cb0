"""Which metrics an audit judges: each has a better direction, or is judged by its absolute value. Computes no score.

A signed metric, such as the relative volume error, is best at zero: a group with the lower mean is not worse off. It is
described; what is judged in its place is its absolute value, `abs_NAME`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from segfair.audit.result import RESERVED_NAMES, AuditConfig
from segfair.errors import ConfigError, close_names
from segfair.scoring.calibration.cases import SOFT_METRICS
from segfair.scoring.metrics import Metric
from segfair.scoring.scores import CaseScore, ScoreTable, check_lesion_metric

__all__ = ["absolute_name", "resolve_outcomes", "with_absolute"]

_PREFIX = "abs_"


def absolute_name(name: str) -> str:
    """What the absolute value of a signed metric is called."""
    return f"{_PREFIX}{name}"


def resolve_outcomes(config: AuditConfig, metrics: Sequence[Metric]) -> tuple[AuditConfig, tuple[str, ...]]:
    """The settings with outcomes that can be judged, and what a reader has to know.

    Names are found in any letter case. A signed metric is replaced by its absolute value, in margins as well.

    Args:
        config: The settings.
        metrics: What is scored.

    Raises:
        ConfigError: An outcome or margin that is not scored, or that rates nothing; a column that audit.json names
            itself.
    """
    known = {metric.name: metric for metric in metrics}
    taken = RESERVED_NAMES.intersection(known)
    if taken:
        raise ConfigError(f"score column {min(taken)}: audit.json uses that name itself; rename the column")
    judged: dict[str, str] = {}
    for asked in (*config.outcomes, *config.margin):
        if asked not in known and config.unit == "case":
            check_lesion_metric(asked, config.protocol)
        name = _find(asked, known)
        direction = known[name].better
        if direction == "neither":
            rated = [metric.name for metric in metrics if metric.better != "neither"]
            raise ConfigError(f"outcome {asked}: rates no prediction; there are {', '.join(rated)}")
        judged[asked] = absolute_name(name) if direction == "signed" else name
    notices = tuple(
        f"{asked} is signed, and best at zero: it is described, and its absolute value ({name}) is judged"
        for asked, name in judged.items()
        if name not in known and asked in config.outcomes and asked.casefold() != name.casefold()
    )
    config = dataclasses.replace(
        config,
        outcomes=tuple(dict.fromkeys(judged[name] for name in config.outcomes)),
        margin={judged[name]: value for name, value in config.margin.items()},
    )
    return config, notices


def with_absolute(scores: ScoreTable, outcomes: Sequence[str]) -> ScoreTable:
    """The scores with a column for each outcome that is the absolute value of a signed one."""
    known = {metric.name: metric for metric in scores.metrics}
    signed = {name: name.removeprefix(_PREFIX) for name in outcomes if name not in known}
    if not signed:
        return scores
    metrics = tuple(
        dataclasses.replace(known[source], name=name, better="lower", definition=f"absolute/{known[source].definition}")
        for name, source in signed.items()
    )

    def extended(score: CaseScore) -> CaseScore:
        values = {name: score.values[source] for name, source in signed.items()}
        absolute = {name: None if value is None else abs(value) for name, value in values.items()}
        return dataclasses.replace(score, values={**score.values, **absolute})

    return dataclasses.replace(scores, metrics=(*scores.metrics, *metrics), scores=tuple(map(extended, scores.scores)))


def _find(asked: str, known: dict[str, Metric]) -> str:
    if asked in known:
        return asked
    folded = [name for name in known if name.casefold() == asked.casefold()]
    if len(folded) == 1:
        return folded[0]
    if asked.startswith(_PREFIX) and (source := asked.removeprefix(_PREFIX)) in known:
        return source
    if asked.casefold().removeprefix(_PREFIX) in SOFT_METRICS:
        raise ConfigError(
            f"outcome {asked}: takes the probabilities behind the masks; name their folder with --probabilities, or "
            "give the table of paths a column probabilities"
        )
    raise ConfigError(
        f"outcome {asked}: not among the scored metrics{close_names(asked, known)}; there are {', '.join(known)}"
    )
