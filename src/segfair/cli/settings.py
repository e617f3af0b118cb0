"""From options to the settings of an audit or a ranking. Prints nothing.

Imports nothing heavy at module level, so that `segfair --help` answers at once; each function imports what it calls.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segfair.cli.options import AuditOptions, MaskFiles, RankOptions, Running, is_number, split, split_all
from segfair.errors import ConfigError, close_names, cut_text

if TYPE_CHECKING:
    from segfair.audit.judging.gates import Gate
    from segfair.audit.result import AuditConfig, AuditResult
    from segfair.cases import Cohort
    from segfair.cli.terminal.voice import Voice
    from segfair.handover.deliver import Delivery
    from segfair.plan.study_plan import StudyPlan
    from segfair.protocol.rules import Protocol
    from segfair.scoring.score_cache import ScoreCache
    from segfair.scoring.scores import ScoreTable


def selection(options: AuditOptions | RankOptions, plan: StudyPlan | None = None) -> dict[str, Any]:
    """What every loader of a cohort is told about the table and the cases that count."""
    asked = dataclasses.asdict(options.selection)
    if plan is None:
        return asked
    planned = {"where": plan.where, "subject_column": plan.config.subject_column}
    return {**asked, **{name: value for name, value in planned.items() if asked[name] is None}}


def study_plan(options: AuditOptions) -> StudyPlan | None:
    """What was fixed beforehand; None: nothing was.

    Raises:
        ConfigError: The file holds no plan.
    """
    if options.testing.plan is None:
        return None
    from segfair.plan.study_plan import read_plan

    return read_plan(options.testing.plan)


def all_gates(options: AuditOptions, protocol: Protocol, plan: StudyPlan | None) -> tuple[Gate, ...]:
    """Those of the protocol, of the plan and of the command line."""
    planned = () if plan is None else (gate.text for gate in plan.gates)
    return read_gates([*protocol.gates, *planned, *(options.testing.gate or ())])


def planned(
    result: AuditResult, plan: StudyPlan | None, options: AuditOptions, *, asked: AuditConfig, gates: Sequence[Gate]
) -> AuditResult:
    """The audit with what it did otherwise than planned, where there was a plan."""
    if plan is None:
        return result
    from segfair.plan.adherence import with_plan

    return with_plan(result, plan, asked=asked, gates=gates, selection=selection(options, plan))


def mask_places(
    predictions: Path, labels: Path | None, metadata: Path | None, files: MaskFiles
) -> tuple[Path, Path | None, Path | None]:
    """Predictions, labels and metadata as a loader takes them, patterns behind their folders.

    Raises:
        ConfigError: A pattern that cannot be meant, or without a folder.
        InputError: No table of attributes, none that the folders bring along, and none to be made of DICOM headers.
    """
    from segfair.files.datalists import is_path_table
    from segfair.files.finding.patterns import with_pattern
    from segfair.intake.sources import metadata_of

    if labels is None and (files.pattern is not None or files.label_pattern is not None):
        option = "--pattern" if files.pattern is not None else "--label-pattern"
        raise ConfigError(
            f"{option}: stands for a folder of predictions and one of labels; a table names its files itself"
        )
    if labels is None or is_path_table(predictions):
        return predictions, labels, metadata  # what is too much or too little is told where a table is read
    predictions = with_pattern(predictions, files.pattern)
    labels = with_pattern(labels, files.label_pattern, option="--label-pattern")
    if metadata is None and files.dicom_attributes is not None:
        return predictions, labels, None
    return predictions, labels, metadata or metadata_of(labels, predictions)


def _groups(options: AuditOptions | RankOptions) -> dict[str, Any]:
    """The settings of an audit that a ranking shares."""
    from segfair.attributes.binning import readings_of
    from segfair.attributes.fit import parse_bins
    from segfair.attributes.joins import parse_join

    reading = options.reading
    return {
        "attributes": None if options.attributes is None else split(options.attributes),
        "bins": dict(parse_bins(text) for text in options.bins or ()),
        "read_as": readings_of(
            categorical=split_all(reading.categorical),
            ordered=split_all(reading.ordered),
            numeric=split_all(reading.numeric),
        ),
        "join": tuple(map(parse_join, reading.join or ())),
        "subject_column": options.selection.subject_column,
        "seed": options.seed,
    }


def audit_config(
    options: AuditOptions,
    *,
    outcome: str = "dsc",
    metrics: str | None = None,
    lesions: str | None = None,
    **settings: Any,
) -> AuditConfig:
    """The settings of an audit."""
    from segfair.audit.result import AuditConfig
    from segfair.protocol.rules import load_protocol
    from segfair.scoring.metrics import METRICS

    rules = load_protocol(options.protocol)
    if lesions is not None:
        rules = rules.with_lesions(lesions)
    outcomes = split(outcome)
    if not outcomes:
        raise ConfigError("--outcome: name at least one metric, for example dsc")
    if metrics is not None:
        # An outcome has to be scored to be examined.
        wanted = dict.fromkeys([*split(metrics), *(name for name in outcomes if name in METRICS)])
        unknown = [name for name in wanted if name not in METRICS]
        if unknown:
            meant = close_names(unknown[0], METRICS)
            raise ConfigError(f"--metrics {unknown[0]}: no such metric{meant}; known are {', '.join(METRICS)}")
        rules = rules.replace(metrics=tuple(wanted))
    adjust = (
        None
        if options.testing.adjust is None
        else tuple(name for name in split(options.testing.adjust) if name != "none")
    )
    return AuditConfig(
        rules,
        **_groups(options),
        permutations=options.testing.permutations,
        bootstrap=options.testing.bootstrap,
        outcomes=outcomes,
        min_support=options.search.min_support,
        min_cases=options.search.min_cases,
        max_items=options.search.max_items,
        failure_dsc=options.failure_dsc,
        level=options.testing.level,
        primary=split(options.testing.primary or ""),
        stratify=options.testing.stratify,
        adjust=adjust,
        margin=dict(parse_margin(text) for text in options.testing.margin or ()),
        power_gap=options.testing.power_gap,
        **settings,
    )


def rank_config(options: RankOptions, **settings: Any) -> AuditConfig:
    """The settings of a ranking."""
    from segfair.audit.result import AuditConfig
    from segfair.protocol.rules import load_protocol

    return AuditConfig(
        load_protocol(options.protocol),
        **_groups(options),
        min_cases=options.min_cases,
        permutations=options.permutations,
        bootstrap=options.bootstrap,
        **settings,
    )


def parse_margin(text: str) -> tuple[str, float]:
    """METRIC=NUMBER."""
    name, _, value = text.partition("=")
    try:
        margin = float(value)
    except ValueError:
        margin = -1.0
    if not name or not 0 < margin < float("inf"):
        raise ConfigError(
            f"--margin {cut_text(text, 300)}: expected METRIC=NUMBER with a positive number, for example dsc=0.05"
        )
    return name.strip(), margin


def parse_spacing(text: str) -> tuple[float, ...]:
    """Two or three numbers in mm."""
    lengths = text.replace(",", " ").split()
    if len(lengths) not in (2, 3) or not all(map(is_number, lengths)):
        raise ConfigError(
            f"--spacing {cut_text(text, 300)}: expected two or three numbers in mm, one an axis, such as 0.2 0.2"
        )
    return tuple(map(float, lengths))


def parse_values(text: str) -> tuple[int, ...]:
    """Label values with commas between them."""
    try:
        return tuple(map(int, split(text)))
    except ValueError:
        raise ConfigError(f"--values {text}: expected whole numbers with commas between them, such as 1,2") from None


def read_gates(texts: Iterable[str]) -> tuple[Gate, ...]:
    """Reads gates before anything else is read or scored, so that a typo costs nothing."""
    from segfair.audit.judging.gates import parse_gate

    return tuple(dict.fromkeys(map(parse_gate, texts)))


def require_answerable(
    gates: Sequence[Gate], config: AuditConfig, cohort: Cohort, scores: ScoreTable | None = None
) -> None:
    """Refuses a gate about a metric or attribute that this audit will not have."""
    if not gates:
        return
    from segfair.audit.choices.labels import resolve_protocol
    from segfair.audit.choices.lesions import audited_metrics, require_lesions
    from segfair.audit.choices.outcomes import resolve_outcomes
    from segfair.audit.choices.units import resolve_units
    from segfair.audit.judging.gates import require_answerable

    config = require_lesions(dataclasses.replace(config, protocol=resolve_protocol(config, cohort)))
    config = resolve_units(config, cohort)
    rules = config.protocol
    metrics = scores.metrics if scores is not None else audited_metrics(config, cohort)
    config, _ = resolve_outcomes(config, metrics)
    listed = tuple(rules.attributes)
    possible = config.attributes or (listed if rules.listed_only else (*listed, *cohort.columns))
    require_answerable(
        gates,
        config,
        directions=dict.fromkeys(config.outcomes, "lower") | {metric.name: metric.better for metric in metrics},
        # What masks derive becomes an attribute only once they are scored.
        attributes=None if config.derive else possible,
    )


def refuse_with_lesions(options: AuditOptions, labels2: Sequence[Path] | None) -> None:
    """Refuses, before anything is read, what an audit of lesions cannot do.

    Raises:
        ConfigError: A folder to hand on, pseudonyms, or second labels.
    """
    asked = {
        "--share": options.handover.share,
        "--pseudonymise": options.handover.pseudonymise,
        "--labels2": next(iter(labels2 or ()), None),
    }
    for name, value in asked.items():
        if value is not None:
            raise ConfigError(
                f"{name} {value}: speaks of cases, and --unit lesion counts lesions, of which a patient may have many; "
                "leave out one of them"
            )


def score_cache(running: Running, out: Path) -> ScoreCache | None:
    """Where scores are kept from run to run; None: nowhere.

    Beside the report and not in it: audits and rankings whose reports lie side by side share it.

    Raises:
        ConfigError: A folder, and that there shall be none.
    """
    from segfair.scoring.score_cache import ScoreCache

    if running.no_cache:
        if running.cache is not None:
            raise ConfigError(f"--cache {running.cache}: contradicts --no-cache; leave out one of them")
        return None
    return ScoreCache(running.cache or out.resolve().parent / ".segfair-cache")


def prepare(options: AuditOptions, voice: Voice) -> Delivery:
    """What will be handed over, refused now where it cannot be; says so where a record was not asked for but found."""
    from segfair.handover.deliver import prepare

    beside, plan = Path("study.toml"), options.testing.plan
    if options.handover.record is None and plan is None and beside.is_file():
        voice.note(f"about the study: {beside} of this folder")
    return prepare(
        options.out,
        share_out=options.handover.share,
        keyfile=options.handover.pseudonymise,
        figures=options.handover.figures,
        record=options.handover.record or plan or (beside if beside.is_file() else None),
        **dataclasses.asdict(options.handover.naming),
    )
