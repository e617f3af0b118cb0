"""Whether a verdict rests on cases of one kind: unusable predictions, or labels without a lesion."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from segfair.audit.certainty import challenge_of
from segfair.audit.choices.groups import Study
from segfair.audit.result import AuditConfig, Cause, Verdict
from segfair.audit.words import format_number
from segfair.protocol.rules import PROTOCOL_NAMES
from segfair.scoring.scores import label_size_column

__all__ = ["check_causes", "is_chosen"]

PENALISED, EMPTY = "unusable predictions", "cases with an empty label"
_DRAWS = 200
"""Resamples of a verdict that is only compared with another."""


def check_causes(study: Study, verdict: Verdict, conclude: Callable[[Study], Verdict]) -> Verdict:
    """The verdict with what it would be without the cases of each kind; where it turns, its first sentence says so.

    Args:
        study: The audited cases.
        verdict: Of all of them.
        conclude: The verdict of some cases.
    """
    kinds = [(what, left_out) for what, left_out in _kinds(study) if left_out.any() and not left_out.all()]
    if not kinds:
        return verdict
    causes, fs = [], _fairness(study)
    brief = dataclasses.replace(study.config, bootstrap=min(_DRAWS, study.config.bootstrap), adjust=())
    for what, left_out in kinds:
        rest = dataclasses.replace(study.select(np.flatnonzero(~left_out)), config=brief)
        other = conclude(rest)
        turns = other.kind != verdict.kind or any(group not in other.groups for group in verdict.groups[:1])
        causes.append(Cause(what, int(left_out.sum()), other.kind, other.sentence, turns, fs, _fairness(rest)))
    lead = " ".join(map(_lead, filter(lambda cause: cause.turns, causes)))
    sentence = f"{lead} {verdict.sentence}" if lead else verdict.sentence
    return dataclasses.replace(verdict, sentence=sentence, causes=tuple(causes))


def is_chosen(cause: Cause, config: AuditConfig) -> bool:
    """Whether the user has said what such cases are worth, so that a verdict may rest on them."""
    if cause.what == PENALISED:
        return config.missing_prediction is not None
    return config.protocol.name not in PROTOCOL_NAMES


def _kinds(study: Study) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """(n_cases,) whether a case is of each kind; a kind that the scores cannot tell is left out."""
    yield PENALISED, study.panel().penalised
    column = label_size_column(study.scores.names)
    if column is not None:
        yield EMPTY, np.array([value == 0 for value in study.scores.column(column)], dtype=bool)


def _fairness(study: Study) -> float | None:
    challenge = challenge_of(study.panel(), study.patients)
    return None if challenge is None else challenge.fs


def _lead(cause: Cause) -> str:
    scores = ""
    if cause.fs is not None and cause.fs_without is not None:
        scores = f" (FS {format_number(cause.fs)} becomes {format_number(cause.fs_without)})"
    return f"The verdict rests on {cause.n_cases:,} {cause.what}; without them it is: {cause.kind}{scores}."
