"""The one orchestration: a cohort and a configuration in, an `AuditResult` out.

Calls every room in order; reads masks only through `scoring`, draws nothing and writes no file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import BinningPlan
from segfair.attributes.joins import join_levels
from segfair.audit.calibration.levels import calibration_facts
from segfair.audit.certainty import CohortScores, challenge_of, point_scores
from segfair.audit.choices.cases import check_columns, score_cases, settle
from segfair.audit.choices.groups import Study, form_groups
from segfair.audit.choices.labels import label_notices, labels_are_named, value_alerts
from segfair.audit.choices.lesions import lesions_as_cases
from segfair.audit.definitions import compare_definitions, compare_tools, tool_alerts
from segfair.audit.describe import (
    alerts,
    attribute_facts,
    bins_of,
    case_counts,
    case_rows,
    cohort_alerts,
    column_facts,
    metric_facts,
    versions,
)
from segfair.audit.judging.causes import check_causes
from segfair.audit.judging.findings import explain_subgroups, name_worst
from segfair.audit.judging.power import power_of_levels
from segfair.audit.judging.verdict import reach_verdict
from segfair.audit.level_alerts import level_alerts
from segfair.audit.mask_facts import mask_alerts
from segfair.audit.result import (
    TAUGHT_BINS,
    About,
    Alert,
    Attributes,
    AuditConfig,
    AuditResult,
    Cases,
    OutcomeFacts,
    Scores,
    Subgroups,
    Verdict,
    distinct_alerts,
)
from segfair.audit.significance import FamilyOfTests, compare_with_rest, infer_subgroups
from segfair.cases import Cohort
from segfair.intake.mask_values import picture_notices
from segfair.protocol.rules import load_protocol
from segfair.remote import shown
from segfair.scoring.score_cache import ScoreCache
from segfair.scoring.scores import ScoreTable
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

__all__ = ["run_audit"]


def run_audit(
    cohort: Cohort,
    config: AuditConfig | None = None,
    *,
    scores: ScoreTable | None = None,
    plan: BinningPlan | None = None,
    executor: Executor | None = None,
    cache: ScoreCache | None = None,
    on_done: Callable[[str], None] | None = None,
) -> AuditResult:
    """Audits a cohort: scores its masks, builds attributes and subgroups, and compares them.

    Args:
        cohort: The cases that count.
        config: Settings; the `default` protocol without them.
        scores: Per-case scores that exist already; the masks are then not read.
        plan: How attributes were made on other cases (such as those of a training); None: they are fitted here.
        executor: Where cases are scored; None: in this process.
        cache: Where scores of earlier runs lie, and those of this one are kept; None: nowhere.
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
    asked = config or AuditConfig(load_protocol("default"))
    config, cohort, outcome_notices = settle(asked, cohort, scores)
    if plan is None:  # a plan of other cases may join what these do not have
        check_columns(cohort, config)
    cohort = join_levels(cohort, config.join)
    cohort, scores = score_cases(
        cohort,
        config,
        labels_named=labels_are_named(asked, cohort),
        scores=scores,
        executor=executor,
        cache=cache,
        on_done=on_done,
    )
    excluded = {**cohort.excluded, **scores.excluded}
    cohort, scores, config = lesions_as_cases(cohort, scores, config)
    study = form_groups(cohort, scores, config, plan)
    excluded |= dict.fromkeys(study.taught, TAUGHT_BINS)
    scores, attributes, panel = study.scores, study.attributes, study.panel()
    # Derived attributes describe lesions, not patients: they are no part of FS.
    challenge = challenge_of(panel, study.patients)
    definitions = compare_definitions(scores, study.patients, protocol=config.protocol, min_cases=config.min_cases)
    certainty = CohortScores.of(panel, study.patients)
    levels = attribute_facts(scores, attributes, config, challenge, panel.units.subjects)
    found = examine_subgroups(study)
    verdict = check_causes(study, reach_verdict(config, found), _conclude)
    tools = compare_tools(study, _conclude)
    return AuditResult(
        About(
            config,
            inputs={role: shown(str(path)) for role, path in cohort.inputs.items()},
            versions=versions(),
            notices=(
                *study.cohort.notices,
                *label_notices(asked, cohort, config.protocol),
                *picture_notices(cohort, config.protocol),
                *outcome_notices,
                *attributes.notices,
            ),
            joined=cohort.joined,
        ),
        Cases(case_counts(scores, excluded), case_rows(scores, attributes, panel.units.subjects), metric_facts(scores)),
        Attributes(
            certainty.attributes(levels),
            bins_of(attributes),
            attributes.left_out,
            columns=column_facts(study.cohort, attributes),
            binning=study.plan.to_dict(),
        ),
        Scores(
            certainty.scores(point_scores(panel, study.patients, challenge)) if challenge else certainty.means(),
            definitions,
            certainty.variants(),
            calibration_facts(scores, attributes, config, panel.units.subjects),
            tools,
        ),
        found,
        dataclasses.replace(
            verdict,
            alerts=distinct_alerts(
                [
                    *cohort_alerts(study.cohort, attributes, found.search),
                    *level_alerts(study.patients, study.cohort, min_cases=config.min_cases),
                    *mask_alerts(scores, config),
                    *(Alert("labels", text) for text in value_alerts(scores, config.protocol, cohort)),
                    *alerts(scores, attributes, levels, definitions, config, excluded),
                    *tool_alerts(tools, config.outcomes),
                ]
            ),
        ),
    )


def examine_subgroups(study: Study) -> Subgroups:
    """Mines the subgroups once, and tests them for every outcome."""
    config, attributes = study.config, study.attributes
    lattice, search = search_subgroups(attributes, config.bounds)
    membership = with_levels(lattice, attributes, min_cases=config.min_cases)
    outcomes: dict[str, OutcomeFacts] = {}
    subgroups: dict[str, SubgroupTable] = {}
    families: dict[str, FamilyOfTests] = {}
    for name in config.outcomes:
        where, values = study.scores.defined(name)
        better = study.scores.better(name)
        facts = OutcomeFacts(
            better=better,
            n_cases=len(values),
            mean=float(values.mean()) if len(values) else None,
            primary=name == config.outcomes[0],
            global_divergence=_global_divergence(lattice.select(where), values, better),
        )
        families[name] = _test(study, membership, name, family=name)
        subgroups[name], outcomes[name] = _infer(families[name], name, facts, config)
    first = config.outcomes[0]
    where, values = study.scores.defined(first)
    power = power_of_levels(
        level_membership(attributes, [entry.name for entry in attributes.attributes]).select(where),
        n_cases=len(values),
        sd=float(values.std(ddof=1)) if len(values) > 1 else 0.0,
        config=config,
        critical=outcomes[first].critical,
    )
    primary, to_explain = None, [families[first]]
    if config.primary:
        levels = level_membership(attributes, config.primary)
        to_explain = [_test(study, levels, first, family="primary"), families[first]]
        primary, _ = _infer(to_explain[0], first, outcomes[first], config)
    better = outcomes[first].better
    return Subgroups(
        subgroups,
        outcomes,
        primary,
        power,
        search=dataclasses.replace(search, n_tested=outcomes[first].n_tested),
        findings=explain_subgroups(to_explain, attributes.select(where), config, better=better),
        worst_off=name_worst(families[first], config, better=better),
    )


def _conclude(study: Study) -> Verdict:
    """The verdict for the primary outcome of some cases."""
    config = dataclasses.replace(study.config, outcomes=study.config.outcomes[:1])
    return reach_verdict(config, examine_subgroups(dataclasses.replace(study, config=config)))


def _test(study: Study, membership: Membership, outcome: str, *, family: str) -> FamilyOfTests:
    """One family of tests of one outcome."""
    where, values = study.scores.defined(outcome)
    return compare_with_rest(
        family,
        membership.select(where),
        values,
        metric=outcome,
        config=study.config,
        design=study.design(where, outcome=outcome),
        declared=family == "primary",
    )


def _infer(
    family: FamilyOfTests, outcome: str, facts: OutcomeFacts, config: AuditConfig
) -> tuple[SubgroupTable, OutcomeFacts]:
    table = describe_divergences(family.membership, family.outcome, name=outcome, better=facts.better)
    return infer_subgroups(table, family, config=config, facts=facts)


def _global_divergence(
    membership: Membership, values: NDArray[np.float64], better: Better
) -> tuple[tuple[str, str, float], ...]:
    shares = global_item_divergence(membership, divergences(membership, values))
    harm = 1 if better == "higher" else -1
    return tuple((*item, share) for item, share in sorted(shares.items(), key=lambda entry: harm * entry[1]))
