"""The one orchestration: a cohort and a configuration in, an `AuditResult` out.

Calls every room in order; reads masks only through `scoring`, draws nothing and writes no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.binning import as_number
from segfair.attributes.fit import AttributeTable, BinningPlan, build_attributes, fit_attributes
from segfair.attributes.tree_bins import learn_edges, split_halves
from segfair.audit.certainty import CohortScores, GroupScores, resample
from segfair.audit.choices.labels import (
    check_label_occurs,
    check_many_values,
    check_predictions_coded_alike,
    check_regions_occur,
    label_notices,
    labels_are_named,
    resolve_protocol,
    value_alerts,
)
from segfair.audit.choices.outcomes import resolve_outcomes, with_absolute
from segfair.audit.choices.units import resolve_units
from segfair.audit.definitions import compare_definitions
from segfair.audit.describe import alerts, attribute_facts, case_counts, case_rows, column_facts, metric_facts, versions
from segfair.audit.design import Design, build_design, derive_columns, with_subjects, with_units
from segfair.audit.mask_facts import check_threshold, check_usable, mask_alerts
from segfair.audit.result.result import (
    TAUGHT_BINS,
    Alert,
    AuditConfig,
    AuditResult,
    Bins,
    OutcomeFacts,
    PowerFacts,
    Score,
    distinct_alerts,
)
from segfair.audit.significance import infer_subgroups, power_of_levels, reach_verdict
from segfair.audit.words import search_sentence
from segfair.cases import Cohort
from segfair.errors import AuditError, ConfigError, InputError
from segfair.fairness import EVERY_LEVEL, ChallengeScores, JudgingRule, challenge_scores, judged
from segfair.intake.cohorts import penalised_notice
from segfair.intake.mask_values import check_grey_levels, picture_notices, with_pictures
from segfair.protocol.rules import load_protocol
from segfair.scoring.cohort import score_cohort
from segfair.scoring.scores import ScoreTable, protocol_metrics
from segfair.subgroups.lattice import (
    Better,
    Membership,
    SubgroupTable,
    describe_divergences,
    divergences,
    global_item_divergence,
    level_membership,
    with_levels,
)
from segfair.subgroups.search import search_subgroups

__all__ = ["resolve_protocol", "run_audit"]


def run_audit(
    cohort: Cohort,
    config: AuditConfig | None = None,
    *,
    scores: ScoreTable | None = None,
    plan: BinningPlan | None = None,
    executor: Executor | None = None,
    on_done: Callable[[str], None] | None = None,
) -> AuditResult:
    """Audits a cohort: scores its masks, builds attributes and subgroups, and compares them.

    Args:
        cohort: The cases that count.
        config: Settings; the `default` protocol without them.
        scores: Per-case scores that exist already; the masks are then not read.
        plan: How attributes were made on other cases (such as those of a training); None: they are fitted here.
        executor: Where cases are scored; None: in this process.
        on_done: Called with each case id once it is scored.

    Returns:
        Everything that was found.

    Raises:
        AuditError: No case can be scored.
        ConfigError: A metric, attribute or column that is not there, an outcome in mm of masks without a voxel size,
            or a threshold outside of all probabilities.
        InputError: A file is unusable and the configuration says that this is an error; more than a fifth of the
            predictions are, and it does not say what that means; or some labels have a voxel size and others none.
    """
    config = config or AuditConfig(load_protocol("default"))
    asked, config = config, with_subjects(config, cohort)
    config = dataclasses.replace(config, protocol=resolve_protocol(config, cohort))
    config = resolve_units(config, cohort)
    cohort = _with_pictures(cohort, asked, config)
    metrics = protocol_metrics(config.protocol) if scores is None else scores.metrics
    config, outcome_notices = resolve_outcomes(config, metrics)
    if scores is None:
        scores = score_cohort(
            cohort,
            config.protocol,
            threshold=config.threshold,
            spacing_mm=config.spacing_mm,
            executor=executor,
            on_done=on_done,
            strict=config.strict,
        )
        check_threshold([scores], config.threshold)
        check_usable(scores, config)
    cohort = _without_excluded(cohort, scores)
    scores = with_absolute(_apply_missing_rule(scores, config), config.outcomes)
    excluded = {**cohort.excluded, **scores.excluded}
    if not scores.cases:
        examples = "; ".join(f"{case}: {reason}" for case, reason in list(excluded.items())[:3])
        raise AuditError(f"no case can be scored: {examples or 'the cohort is empty'}")
    check_label_occurs(scores)
    check_many_values(scores, labels_are_named=labels_are_named(asked, cohort))
    check_predictions_coded_alike(scores, config.protocol)
    check_regions_occur(scores, config)

    scored = dict.fromkeys(scores.cases)
    audited = dataclasses.replace(cohort, cases=tuple(case for case in cohort if case.id in scored))
    audited, scores, edges = _learn_bins(audited, scores, config)
    kept = set(audited.ids)
    excluded.update((case, TAUGHT_BINS) for case in scored if case not in kept)
    plan = plan or fit_attributes(
        audited,
        protocol=config.protocol,
        chosen=config.attributes,
        edges=edges,
        subject_column=config.subject_column,
        read_as=config.read_as,
    )
    patient_attributes = _name_teachers(plan.apply(audited), config, n_teachers=len(scored) - len(audited))
    described, terciles = derive_columns(audited, scores) if config.derive else (audited, {})
    attributes = _with_derived(patient_attributes, audited, described, terciles, config, scores)
    lattice, search = search_subgroups(attributes, config.bounds)
    membership = with_levels(lattice, attributes, min_cases=config.min_cases)

    outcomes: dict[str, OutcomeFacts] = {}
    subgroups: dict[str, SubgroupTable] = {}
    primary: SubgroupTable | None = None
    power: tuple[PowerFacts, ...] = ()
    for name in config.outcomes:
        where, values = scores.defined(name)
        members = membership.select(where)
        design = build_design(described, scores, where, config=config, outcome=name, attributes=attributes.attributes)
        table = describe_divergences(members, values, name=name, better=_better(scores, name))
        facts = OutcomeFacts(
            better=table.better,
            n_cases=len(values),
            mean=table.mean,
            primary=name == config.outcomes[0],
            global_divergence=_global_divergence(lattice.select(where), values, table.better),
        )
        subgroups[name], outcomes[name] = infer_subgroups(
            table, members, values, config=config, design=design, facts=facts, family=name
        )
        if not facts.primary:
            continue
        every_level = level_membership(attributes, [entry.name for entry in attributes.attributes]).select(where)
        power = power_of_levels(
            every_level,
            n_cases=len(values),
            sd=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
            config=config,
            critical=outcomes[name].critical,
        )
        if config.primary:
            levels = level_membership(attributes, config.primary).select(where)
            table = describe_divergences(levels, values, name=name, better=table.better)
            primary, _ = infer_subgroups(
                table, levels, values, config=config, design=design, facts=facts, family="primary"
            )

    search = dataclasses.replace(search, n_tested=outcomes[config.outcomes[0]].n_tested)
    # Derived attributes describe lesions, not patients: they are no part of FS.
    challenge = _challenge(scores, patient_attributes, config.judging, weight=config.protocol.fairness.weight)
    definitions = compare_definitions(scores, patient_attributes, protocol=config.protocol, min_cases=config.min_cases)
    design = build_design(
        described, scores, np.arange(len(scores.cases)), config=config, attributes=attributes.attributes
    )
    certainty = CohortScores(_groups(scores, patient_attributes, challenge, config, design), config, design)
    levels_of_attributes = attribute_facts(scores, attributes, config, challenge, design.subjects)
    point_scores = _scores(scores, patient_attributes, config, challenge)
    return AuditResult(
        config=config,
        inputs={role: str(path) for role, path in cohort.inputs.items()},
        versions=versions(),
        cases=case_counts(scores, excluded),
        case_scores=case_rows(scores, attributes, design.subjects),
        metrics=metric_facts(scores),
        bins={
            entry.name: Bins(entry.column, entry.binning, entry.edges, entry.levels) for entry in attributes.attributes
        },
        joined=cohort.joined,
        columns=column_facts(audited, attributes),
        binning=plan.to_dict(),
        left_out=attributes.left_out,
        notices=(
            *audited.notices,
            *label_notices(asked, cohort, config.protocol),
            *picture_notices(cohort, config.protocol),
            *outcome_notices,
            *attributes.notices,
        ),
        alerts=distinct_alerts(
            [
                *(Alert("swapped", notice) for notice in audited.notices if "look swapped" in notice),
                *(Alert(kind, text) for kind, text in audited.alerts),
                *(Alert("column", text) for text in attributes.alerts),
                *([Alert("search", search_sentence(search))] if search.is_cut else []),
                *mask_alerts(scores, config),
                *(Alert("labels", text) for text in value_alerts(scores, config.protocol, cohort)),
                *alerts(scores, attributes, levels_of_attributes, definitions, config, excluded),
            ]
        ),
        scores=certainty.scores(point_scores, _values(scores, "dsc"), _values(scores, "normhd"))
        if challenge
        else certainty.means({name: _values(scores, name) for name in ("dsc", "normhd") if name in scores.names}),
        definitions=definitions,
        attributes=certainty.attributes(levels_of_attributes),
        outcomes=outcomes,
        subgroups=subgroups,
        verdict=reach_verdict(config, subgroups[config.outcomes[0]], outcomes[config.outcomes[0]], primary),
        fairness=certainty.variants(),
        primary_subgroups=primary,
        search=search,
        power=power,
    )


def _without_excluded(cohort: Cohort, scores: ScoreTable) -> Cohort:
    """Takes back that a case has the worst score which turned out to have no usable label, and is excluded."""
    without = [case.id for case in cohort if case.prediction is None]
    penalised = [case for case in without if case not in scores.excluded]
    if len(penalised) == len(without):
        return cohort
    told = {penalised_notice(without): penalised_notice(penalised) if penalised else ""}
    return dataclasses.replace(cohort, notices=tuple(filter(None, (told.get(text, text) for text in cohort.notices))))


def _with_pictures(cohort: Cohort, asked: AuditConfig, config: AuditConfig) -> Cohort:
    """The cohort with the meaning of its PNG masks decided, and pictures in grey refused."""
    cohort = with_pictures(cohort, config.protocol)
    check_grey_levels(
        cohort.grey_levels or {},
        labels_are_named=labels_are_named(asked, cohort),
        with_threshold=config.threshold is not None,
        ignore_label=config.protocol.ignore_label,
    )
    return cohort


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


def _learn_bins(
    cohort: Cohort, scores: ScoreTable, config: AuditConfig
) -> tuple[Cohort, ScoreTable, dict[str, tuple[float, ...]]]:
    """Edges for all binned columns; those learned by a tree cost half of the cases, which taught them."""
    edges = {name: bins for name, bins in config.bins.items() if bins != "tree"}
    learned = [name for name, bins in config.bins.items() if bins == "tree"]
    if not learned:
        return cohort, scores, edges
    where, values = scores.defined(config.outcomes[0])
    subjects = build_design(cohort, scores, where, config=dataclasses.replace(config, stratify=None)).subjects
    teachers, rest = (
        where[half] for half in split_halves(len(where), rng=config.resampling.stream("bins"), subjects=subjects)
    )
    outcome = dict(zip(where.tolist(), values.tolist(), strict=True))
    for name in learned:
        if name not in cohort.columns:
            raise ConfigError(f"--bins {name}=tree: no such metadata column; there are {', '.join(cohort.columns)}")
        column = cohort.column(name)
        edges[name] = learn_edges(
            [as_number(column[index]) for index in teachers],
            np.array([outcome[index] for index in teachers]),
            min_cases=config.min_cases,
            name=name,
        )
    notice = (
        f"the bins of {', '.join(learned)} were learned on {len(teachers)} cases; the other {len(rest)} are audited"
    )
    kept = dataclasses.replace(
        cohort, cases=tuple(cohort.cases[index] for index in rest), notices=(*cohort.notices, notice)
    )
    return kept, dataclasses.replace(scores, scores=tuple(scores.scores[index] for index in rest)), edges


def _name_teachers(attributes: AttributeTable, config: AuditConfig, *, n_teachers: int) -> AttributeTable:
    """Says of the bins that were learned what taught them."""
    learned = {name for name, bins in config.bins.items() if bins == "tree"}
    words = f"a regression tree of {config.outcomes[0]} on {n_teachers:,} other cases, which are not audited"
    return dataclasses.replace(
        attributes,
        attributes=tuple(
            dataclasses.replace(entry, binning=words) if learned.intersection((entry.name, entry.column)) else entry
            for entry in attributes.attributes
        ),
    )


def _with_derived(
    attributes: AttributeTable,
    cohort: Cohort,
    with_facts: Cohort,
    terciles: Mapping[str, tuple[float, ...]],
    config: AuditConfig,
    scores: ScoreTable,
) -> AttributeTable:
    """The patients' attributes and, with `--derive`, behind them what the masks say; those join the lattice only."""
    if config.derive:
        new = [column for column in with_facts.columns if column not in cohort.columns]
        varying = [column for column in new if len(set(with_facts.column(column))) > 1]
        found = build_attributes(with_facts, protocol=config.protocol, chosen=varying, edges=terciles)
        derived = with_units(found, scores)
        constant = {column: "the same for every case" for column in new if column not in varying}
        attributes = dataclasses.replace(
            attributes,
            attributes=(*attributes.attributes, *derived.attributes),
            left_out={**attributes.left_out, **constant},
            notices=(*attributes.notices, *derived.notices),
        )
    names = [entry.name for entry in attributes.attributes]
    for name in config.primary:
        if name not in names:
            raise ConfigError(
                f"--primary {name}: not an attribute of this audit; there are {', '.join(names) or 'none'}"
            )
    return attributes


def _better(scores: ScoreTable, name: str) -> Better:
    direction = next(metric.better for metric in scores.metrics if metric.name == name)
    return "lower" if direction == "lower" else "higher"


def _global_divergence(
    membership: Membership, values: NDArray[np.float64], better: Better
) -> tuple[tuple[str, str, float], ...]:
    shares = global_item_divergence(membership, divergences(membership, values))
    harm = 1 if better == "higher" else -1
    return tuple((*item, share) for item, share in sorted(shares.items(), key=lambda entry: harm * entry[1]))


def _values(scores: ScoreTable, name: str) -> NDArray[np.float64]:
    return scores.defined(name)[1]


def _complete(scores: ScoreTable, name: str) -> bool:
    """Whether every case has a value."""
    return name in scores.names and len(scores.defined(name)[0]) == len(scores.cases)


def _challenge(
    scores: ScoreTable, attributes: AttributeTable, rule: JudgingRule, *, weight: float
) -> ChallengeScores | None:
    """The challenge's scores; None where DSC or NormHD is not there for every case."""
    if not (_complete(scores, "dsc") and _complete(scores, "normhd")):
        return None
    return challenge_scores(_values(scores, "dsc"), _values(scores, "normhd"), attributes, rule=rule, weight=weight)


def _scores(
    scores: ScoreTable, attributes: AttributeTable, config: AuditConfig, challenge: ChallengeScores | None
) -> dict[str, Score]:
    """The five scores, each with its value without the penalised cases and, for FS, over all levels."""
    if challenge is None:
        return {}
    weight = config.protocol.fairness.weight
    kept = [index for index, score in enumerate(scores.scores) if score.penalised is None]
    without = None
    if scores.penalised and kept:
        usable = dataclasses.replace(scores, scores=tuple(scores.scores[index] for index in kept))
        without = _challenge(usable, attributes.select(np.array(kept, dtype=np.intp)), config.judging, weight=weight)
    every = _challenge(scores, attributes, EVERY_LEVEL, weight=weight)
    table = {}
    for name in ("DSC", "NormHD", "PS", "FS", "TS"):
        value = getattr(challenge, name.lower())
        table[name] = Score(
            value,
            without_penalised=getattr(without, name.lower()) if without else None,
            all_levels=every.fs if every and name == "FS" else None,
            reason="" if value is not None else _no_fairness_reason(attributes, config),
        )
    return table


def _no_fairness_reason(attributes: AttributeTable, config: AuditConfig) -> str:
    if not attributes.attributes:
        return "no attribute could be made from the metadata"
    return f"no attribute has two levels of at least {config.min_cases} cases"


def _groups(
    scores: ScoreTable,
    attributes: AttributeTable,
    challenge: ChallengeScores | None,
    config: AuditConfig,
    design: Design,
) -> GroupScores | None:
    """Resampled level means of DSC and NormHD, or of DSC alone where that is all there is."""
    if challenge is not None:
        both = [_values(scores, "dsc"), _values(scores, "normhd")]
        return resample(both, judged(attributes.attributes, config.judging), config=config, design=design)
    if _complete(scores, "dsc"):
        dsc = _values(scores, "dsc")
        return resample([dsc], attributes.attributes, config=config, design=design)
    return None
