"""Which cases are audited, and by which scores: masks are scored here, unusable predictions get their meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Executor

from segfair.attributes.fit import check_attributes
from segfair.attributes.joins import check_joins
from segfair.audit.choices.labels import (
    check_label_occurs,
    check_many_values,
    check_predictions_coded_alike,
    check_regions_occur,
    labels_are_named,
    resolve_protocol,
)
from segfair.audit.choices.lesions import audited_metrics, require_lesions
from segfair.audit.choices.outcomes import resolve_outcomes, with_absolute
from segfair.audit.choices.units import resolve_units
from segfair.audit.design import check_named, subject_notice, with_subjects
from segfair.audit.mask_facts import check_maps, check_threshold, check_usable
from segfair.audit.result import AuditConfig
from segfair.cases import Cohort
from segfair.errors import AuditError, ConfigError, InputError
from segfair.intake.cohorts import penalised_notice
from segfair.intake.mask_values import check_grey_levels, with_pictures
from segfair.scoring.cohort import score_cohort
from segfair.scoring.score_cache import ScoreCache
from segfair.scoring.scores import ScoreTable

__all__ = ["check_columns", "score_cases", "settle", "settle_pictures"]


def check_columns(cohort: Cohort, config: AuditConfig) -> None:
    """Refuses joins, attributes, bins, readings and units of what is not there, before an hour of scoring.

    Raises:
        MetadataError: A column that the metadata lack, or a text to be joined that no case has.
        ConfigError: Options about one column that contradict each other, or a unit of comparison that is not there.
    """
    check_joins(cohort, config.join)
    check_attributes(
        cohort, protocol=config.protocol, chosen=config.attributes, bins=config.bins, read_as=config.read_as
    )
    check_named(cohort, config)


def settle(
    asked: AuditConfig, cohort: Cohort, scores: ScoreTable | None
) -> tuple[AuditConfig, Cohort, tuple[str, ...]]:
    """Settles what was left open: which voxels count, in which unit, which metrics are judged, who is a patient.

    Args:
        asked: The settings as asked for.
        cohort: The cases.
        scores: Scores that exist already; None: masks will be scored.

    Returns:
        The settings that hold, the cohort with the meaning of its PNG masks, and notices about the outcomes.

    Raises:
        ConfigError: A metric that is not there, one in mm of masks without a voxel size, or other tools where there
            is nothing that they score.
        InputError: PNG labels that are pictures in grey.
    """
    _check_tools(asked, scores)
    config = with_subjects(asked, cohort)
    config = dataclasses.replace(config, protocol=resolve_protocol(config, cohort))
    config = resolve_units(require_lesions(config), cohort)
    cohort = settle_pictures(cohort, config, labels_named=labels_are_named(asked, cohort))
    metrics = audited_metrics(config, cohort) if scores is None else scores.metrics
    config, notices = resolve_outcomes(config, metrics)
    return config, cohort, (*subject_notice(asked, config, cohort), *notices)


def _check_tools(config: AuditConfig, scores: ScoreTable | None) -> None:
    """Refuses other tools where there are no masks, or no cases that they could be asked of."""
    if not config.other_tools:
        return
    if scores is not None:
        raise ConfigError("--other-tools: looks at the masks, and scores have none; audit the masks")
    if config.unit == "lesion":
        raise ConfigError("--other-tools: other tools score cases, and --unit lesion compares lesions; leave out one")


def score_cases(
    cohort: Cohort,
    config: AuditConfig,
    *,
    labels_named: bool,
    scores: ScoreTable | None = None,
    executor: Executor | None = None,
    cache: ScoreCache | None = None,
    on_done: Callable[[str], None] | None = None,
) -> tuple[Cohort, ScoreTable]:
    """Scores the masks of a cohort, and refuses what cannot be meant.

    Args:
        cohort: The cases.
        config: The settings that hold.
        labels_named: Whether somebody has said which values of a label count.
        scores: Scores that exist already; the masks are then not read.
        executor: Where cases are scored; None: in this process.
        cache: See `segfair.scoring.cohort.score_cohort`.
        on_done: Called with each case id once it is scored.

    Returns:
        The cohort, its notices true of what was scored, and the scores, at least one.

    Raises:
        AuditError: No case can be scored.
        InputError: A file is unusable and the settings say that this is an error; more than a fifth of the predictions
            are, and they do not say what that means; labels or predictions that mean something else.
    """
    if scores is None:
        scores = score_cohort(
            cohort,
            config.protocol,
            threshold=config.threshold,
            spacing_mm=config.spacing_mm,
            other_tools=config.other_tools,
            executor=executor,
            cache=cache,
            on_done=on_done,
            strict=config.strict,
        )
        check_threshold([scores], config.threshold)
        check_usable(scores, config)
        check_maps(scores, config)
    cohort = _without_excluded(cohort, scores)
    scores = with_absolute(_apply_missing_rule(scores, config), config.outcomes)
    if not scores.cases:
        excluded = {**cohort.excluded, **scores.excluded}
        examples = "; ".join(f"{case}: {reason}" for case, reason in list(excluded.items())[:3])
        raise AuditError(f"no case can be scored: {examples or 'the cohort is empty'}")
    check_label_occurs(scores)
    check_many_values(scores, labels_are_named=labels_named)
    check_predictions_coded_alike(scores, config.protocol)
    check_regions_occur(scores, config)
    return cohort, scores


def settle_pictures(cohort: Cohort, config: AuditConfig, *, labels_named: bool) -> Cohort:
    """The cohort with the meaning of its PNG masks decided.

    Args:
        cohort: The cases.
        config: The settings that hold.
        labels_named: Whether somebody has said which values of a label count.

    Raises:
        InputError: Pictures in grey.
    """
    cohort = with_pictures(cohort, config.protocol)
    check_grey_levels(
        cohort.grey_levels or {},
        labels_are_named=labels_named,
        with_threshold=config.threshold is not None,
        ignore_label=config.protocol.ignore_label,
    )
    return cohort


def _without_excluded(cohort: Cohort, scores: ScoreTable) -> Cohort:
    """Takes back that a case has the worst score which turned out to have no usable label, and is excluded."""
    without = [case.id for case in cohort if case.prediction is None]
    penalised = [case for case in without if case not in scores.excluded]
    if len(penalised) == len(without):
        return cohort
    told = {penalised_notice(without): penalised_notice(penalised) if penalised else ""}
    return dataclasses.replace(cohort, notices=tuple(filter(None, (told.get(text, text) for text in cohort.notices))))


def _apply_missing_rule(scores: ScoreTable, config: AuditConfig) -> ScoreTable:
    """`--missing-prediction` governs every unusable prediction, whatever is wrong with it."""
    if not scores.penalised or config.missing_prediction in (None, "worst"):
        return scores
    if config.missing_prediction == "error":
        case, reason = next(iter(scores.penalised.items()))
        raise InputError(
            f"{len(scores.penalised)} predictions cannot be used, the first is case {case}: {reason}; "
            "mend them, or choose --missing-prediction worst or drop"
        )
    dropped = {case: f"dropped: {reason}" for case, reason in scores.penalised.items()}
    return dataclasses.replace(
        scores,
        scores=tuple(score for score in scores.scores if score.penalised is None),
        excluded={**scores.excluded, **dropped},
    )
