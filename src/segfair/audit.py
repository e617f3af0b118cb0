"""The one orchestration: a cohort and a configuration in, an `AuditResult` out.

Calls every room in order; reads masks only through `scoring`, draws nothing and writes no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from importlib import metadata

import numpy as np
from numpy.typing import NDArray

from segfair.attributes import AttributeTable, build_attributes
from segfair.cases import Cohort
from segfair.challenge import ChallengeScores, challenge_scores, level_means
from segfair.definitions import compare_definitions
from segfair.errors import AuditError, ConfigError, InputError
from segfair.protocol import LabelRule, Protocol, load_protocol, parse_label_values
from segfair.results import (
    Alert,
    AttributeFacts,
    AuditConfig,
    AuditResult,
    Bins,
    CaseCounts,
    CaseScores,
    Definition,
    LevelFacts,
    MetricFacts,
    OutcomeFacts,
    Score,
    Verdict,
)
from segfair.scoring import ScoreTable, score_cohort
from segfair.subgroups import (
    Better,
    Membership,
    SubgroupTable,
    describe_divergences,
    divergences,
    global_item_divergence,
    mine_subgroups,
)

__all__ = ["run_audit"]

NO_PREDICTION = "no prediction"


def run_audit(
    cohort: Cohort,
    config: AuditConfig | None = None,
    *,
    scores: ScoreTable | None = None,
    executor: Executor | None = None,
    on_done: Callable[[str], None] | None = None,
) -> AuditResult:
    """Audits a cohort: scores its masks, builds attributes and subgroups, and compares them.

    Args:
        cohort: The cases that count.
        config: Settings; the `default` protocol without them.
        scores: Per-case scores that exist already; the masks are then not read.
        executor: Where cases are scored; None: in this process.
        on_done: Called with each case id once it is scored.

    Returns:
        Everything that was found.

    Raises:
        AuditError: No case can be scored.
        ConfigError: An outcome that the protocol does not have.
        InputError: A file is unusable and the configuration says that this is an error.
    """
    config = config or AuditConfig(load_protocol("default"))
    config = dataclasses.replace(config, protocol=resolve_protocol(config, cohort))
    if scores is None:
        scores = score_cohort(cohort, config.protocol, executor=executor, on_done=on_done, strict=config.strict)
    scores = _apply_missing_rule(scores, config)
    excluded = {**cohort.excluded, **scores.excluded}
    if not scores.cases:
        examples = "; ".join(f"{case}: {reason}" for case, reason in list(excluded.items())[:3])
        raise AuditError(f"no case can be scored: {examples or 'the cohort is empty'}")
    _check_outcomes(scores, config)

    scored = set(scores.cases)
    audited = dataclasses.replace(cohort, cases=tuple(case for case in cohort if case.id in scored))
    attributes = build_attributes(audited, protocol=config.protocol, chosen=config.attributes, edges=config.bins)
    membership = mine_subgroups(attributes, min_support=config.min_support)

    outcomes: dict[str, OutcomeFacts] = {}
    subgroups: dict[str, SubgroupTable] = {}
    for name in config.outcomes:
        where, values = scores.defined(name)
        members = membership.select(where)
        better = _better(scores, name)
        subgroups[name] = describe_divergences(members, values, name=name, better=better)
        outcomes[name] = OutcomeFacts(
            better=better,
            n_cases=len(values),
            mean=subgroups[name].mean,
            primary=name == config.outcomes[0],
            global_divergence=_global_divergence(members, values, better),
        )

    challenge = _challenge(scores, attributes, config)
    counts = _count_cases(scores, excluded)
    definitions = compare_definitions(scores, attributes, protocol=config.protocol, min_cases=config.min_cases)
    facts = _attribute_facts(scores, attributes, config, challenge)
    return AuditResult(
        config=config,
        inputs={role: str(path) for role, path in cohort.inputs.items()},
        versions=_versions(),
        cases=counts,
        case_scores=_case_rows(scores, attributes),
        metrics=_metric_facts(scores),
        bins={
            entry.name: Bins(entry.column, entry.binning, entry.edges, entry.levels)
            for entry in attributes.attributes
        },
        left_out=attributes.left_out,
        notices=cohort.notices,
        alerts=_alerts(scores, attributes, facts, definitions, config),
        scores=_scores(scores, attributes, config, challenge),
        definitions=definitions,
        attributes=facts,
        outcomes=outcomes,
        subgroups=subgroups,
        verdict=_verdict(subgroups[config.outcomes[0]], config),
    )


def resolve_protocol(config: AuditConfig, cohort: Cohort) -> Protocol:
    """The protocol with the labels that count here: those asked for, else those the data set names itself.

    Raises:
        ConfigError: Labels that contradict each other.
    """
    protocol = config.protocol
    if config.labels:
        named = [text.partition("=") for text in config.labels if "=" in text]
        plain = [text for text in config.labels if "=" not in text]
        if len(plain) > 1 or (plain and named):
            raise ConfigError(
                f"--label {' --label '.join(config.labels)}: give one plain label, or regions as NAME=1,2"
            )
        if plain:
            rule = LabelRule(parse_label_values(plain[0]), protocol.label.surface)
            return protocol.replace(label=rule, regions={}, ignore_label=cohort.ignore_label)
        regions: dict[str, tuple[int, ...]] = {}
        for name, _, text in named:
            values = parse_label_values(text)
            if values == "any" or not name.strip():
                raise ConfigError(f"--label {name}={text}: name a region and its values, for example tumour=1,2")
            regions[name.strip()] = values
        return protocol.replace(regions=regions, ignore_label=cohort.ignore_label)
    if cohort.label_names and not protocol.regions and protocol.label == LabelRule():
        if len(cohort.label_names) == 1:
            (values,) = cohort.label_names.values()
            return protocol.replace(label=LabelRule(values), ignore_label=cohort.ignore_label)
        return protocol.replace(regions=dict(cohort.label_names), ignore_label=cohort.ignore_label)
    return protocol


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


def _check_outcomes(scores: ScoreTable, config: AuditConfig) -> None:
    unknown = [name for name in (*config.outcomes, *config.margin) if name not in scores.names]
    if unknown:
        raise ConfigError(f"outcome {unknown[0]}: not among the scored metrics ({', '.join(scores.names)})")


def _better(scores: ScoreTable, name: str) -> Better:
    direction = next(metric.better for metric in scores.metrics if metric.name == name)
    return "lower" if direction == "lower" else "higher"


def _global_divergence(
    membership: Membership, values: NDArray[np.float64], better: Better
) -> tuple[tuple[str, str, float], ...]:
    shares = global_item_divergence(membership, divergences(membership, values))
    harm = 1 if better == "higher" else -1
    return tuple((*item, share) for item, share in sorted(shares.items(), key=lambda entry: harm * entry[1]))


def _challenge(
    scores: ScoreTable, attributes: AttributeTable, config: AuditConfig, *, all_levels: bool = False
) -> ChallengeScores | None:
    """The challenge's scores; None where DSC or NormHD is not there for every case."""
    if not {"dsc", "normhd"} <= set(scores.names):
        return None
    (_, dsc), (_, normhd) = scores.defined("dsc"), scores.defined("normhd")
    if not len(dsc) == len(normhd) == len(scores.cases):
        return None
    rule = config.protocol.fairness
    return challenge_scores(
        dsc,
        normhd,
        attributes,
        levels="all" if all_levels else rule.levels,
        min_cases=config.min_cases,
        weight=rule.weight,
    )


def _scores(
    scores: ScoreTable, attributes: AttributeTable, config: AuditConfig, challenge: ChallengeScores | None
) -> dict[str, Score]:
    """The five scores, each with its value without the penalised cases and, for FS, over all levels."""
    if challenge is None:
        return {}
    kept = [index for index, score in enumerate(scores.scores) if score.penalised is None]
    usable = dataclasses.replace(scores, scores=tuple(scores.scores[index] for index in kept))
    without = (
        _challenge(usable, attributes.select(np.array(kept, dtype=np.intp)), config)
        if scores.penalised and kept
        else None
    )
    every = _challenge(scores, attributes, config, all_levels=True)
    table = {}
    for name in ("DSC", "NormHD", "PS", "FS", "TS"):
        key = name.lower()
        value = getattr(challenge, key)
        table[name] = Score(
            value,
            without_penalised=getattr(without, key) if without else None,
            all_levels=every.fs if every and name == "FS" else None,
            reason="" if value is not None else _no_fairness_reason(attributes, config),
        )
    return table


def _no_fairness_reason(attributes: AttributeTable, config: AuditConfig) -> str:
    if not attributes.attributes:
        return "no attribute could be made from the metadata"
    return f"no attribute has two levels of at least {config.min_cases} cases"


def _attribute_facts(
    scores: ScoreTable, attributes: AttributeTable, config: AuditConfig, challenge: ChallengeScores | None
) -> tuple[AttributeFacts, ...]:
    facts = []
    for index, attribute in enumerate(attributes.attributes):
        levels = []
        for code, level in enumerate(attribute.levels):
            members = np.flatnonzero(attribute.codes == code)
            values = {name: _defined_among(scores, name, members) for name in scores.names}
            levels.append(
                LevelFacts(
                    level=level,
                    n=len(members),
                    small=len(members) < config.min_cases,
                    mean={name: float(np.mean(found)) if len(found) else None for name, found in values.items()},
                    median={
                        name: float(np.median(found)) if len(found) else None for name, found in values.items()
                    },
                )
            )
        facts.append(
            AttributeFacts(
                name=attribute.name,
                disparity=challenge.disparities[index] if challenge else None,
                levels=tuple(levels),
                primary=attribute.name in config.primary,
            )
        )
    return tuple(facts)


def _defined_among(scores: ScoreTable, name: str, members: NDArray[np.intp]) -> NDArray[np.float64]:
    where, values = scores.defined(name)
    return values[np.isin(where, members, assume_unique=True)]


def _count_cases(scores: ScoreTable, excluded: Mapping[str, str]) -> CaseCounts:
    return CaseCounts(
        n_scored=len(scores.cases),
        penalised=scores.penalised,
        missing_predictions=tuple(case for case, reason in scores.penalised.items() if reason == NO_PREDICTION),
        excluded=excluded,
    )


def _case_rows(scores: ScoreTable, attributes: AttributeTable) -> CaseScores:
    levels = attributes.labels()
    columns = ("case", *scores.names, "penalised", *levels)
    rows = tuple(
        (
            score.case,
            *(score.values[name] for name in scores.names),
            score.penalised or "",
            *(levels[name][index] for name in levels),
        )
        for index, score in enumerate(scores.scores)
    )
    return CaseScores(columns, rows, scores.names, tuple(levels))


def _metric_facts(scores: ScoreTable) -> tuple[MetricFacts, ...]:
    return tuple(
        MetricFacts(
            metric.name,
            metric.unit,
            metric.better,
            metric.definition,
            metric.empty_rule,
            len(scores.cases) - len(scores.defined(metric.name)[0]),
        )
        for metric in scores.metrics
    )


def _alerts(
    scores: ScoreTable,
    attributes: AttributeTable,
    facts: tuple[AttributeFacts, ...],
    definitions: tuple[Definition, ...],
    config: AuditConfig,
) -> tuple[Alert, ...]:
    """What a reader must know before believing a number, most serious first."""
    alerts = []
    if scores.penalised:
        alerts.append(
            Alert(
                "penalised",
                f"{len(scores.penalised)} of {len(scores.cases)} predictions could not be used and "
                "count with the worst score.",
            )
        )
    if scores.excluded:
        alerts.append(Alert("excluded", f"{len(scores.excluded)} cases are in no mean."))
    empty_labels = sum(score.facts.get("label_voxels") == 0 for score in scores.scores)
    if empty_labels:
        alerts.append(
            Alert(
                "empty",
                f"{empty_labels} labels are empty; under the protocol {config.protocol.name} an empty "
                f"prediction then has a DSC of {config.protocol.empty.both_dsc:g}.",
            )
        )
    alerts.extend(Alert("case", f"case {score.case}: {text}") for score in scores.scores for text in score.alerts)
    small = [
        f"{entry.name} = {level.level} (n = {level.n})" for entry in facts for level in entry.levels if level.small
    ]
    if small:
        alerts.append(Alert("small", f"Fewer than {config.min_cases} cases, too few to judge: {', '.join(small)}."))
    for definition in definitions:
        alerts.extend(
            Alert("definition", f"Were NormHD measured in {definition.name}: {change}.")
            for change in definition.changes
        )
    for rule in config.protocol.attributes:
        if rule in attributes.left_out:
            alerts.append(
                Alert("attribute", f"The protocol's attribute {rule} is missing: {attributes.left_out[rule]}.")
            )
    return tuple(alerts)


def _verdict(table: SubgroupTable, config: AuditConfig) -> Verdict:
    worst = table.worst(1)
    if not worst:
        return Verdict(
            "insufficient evidence",
            f"Insufficient evidence: no subgroup holds {config.min_support:.0%} of the {table.n_cases} cases.",
        )
    row = worst[0]
    return Verdict(
        "not tested",
        f"{table.outcome.upper()} is lowest for {row.subgroup.name} (n = {row.n}): mean {row.mean:.3f} against "
        f"{row.rest_mean or 0:.3f} in the rest; not corrected for multiple testing.",
    )


def _versions() -> dict[str, str]:
    names = ("segfair", "numpy", "scipy", "pandas", "divexplorer", "nibabel", "SimpleITK")
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # bare PYTHONPATH: segfair itself is not installed
            from segfair import __version__

            found[name] = __version__
    return found
