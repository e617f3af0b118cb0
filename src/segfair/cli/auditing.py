"""`audit`, `audit-scores`, `expect` and `report`. Tests and draws nothing itself."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command, brief
from segfair.cli.options import (
    GROUPS,
    RULES,
    Attributes,
    AuditFile,
    AuditOptions,
    Besides,
    Figures,
    HelpAll,
    HigherIsBetter,
    IdColumn,
    Images,
    Label,
    Lesions,
    LowerIsBetter,
    MaskFiles,
    MissingRule,
    Naming,
    OtherRaters,
    Out,
    Running,
    Saying,
    Share,
    Sheet,
    Strict,
    option,
    spread,
)
from segfair.cli.settings import (
    all_gates,
    audit_config,
    mask_places,
    parse_spacing,
    planned,
    prepare,
    refuse_with_lesions,
    require_answerable,
    score_cache,
    selection,
    study_plan,
)
from segfair.cli.terminal.progress import progress, workers
from segfair.cli.terminal.results import finish, say_cache, say_expectation, write
from segfair.cli.terminal.voice import Voice
from segfair.errors import ConfigError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from segfair.audit.raters.procedure import Rating
    from segfair.audit.result import AuditResult
    from segfair.cases import Cohort
    from segfair.scoring.score_cache import ScoreCache


@app.command(
    cls=brief("attributes", "outcome", "primary", "gate", "out"),
    epilog="Example: segfair audit preds/ labels/ metadata.csv --out report/",
)
@spread
def audit(
    predictions: Annotated[
        Path,
        typer.Argument(metavar="PREDS", help="Folder of masks, or table of paths."),
    ],
    labels: Annotated[
        Path | None, typer.Argument(metavar="LABELS", help="Folder of reference masks.", show_default=False)
    ] = None,
    metadata: Annotated[
        Path | None, typer.Argument(metavar="METADATA", help="Table of patient attributes.", show_default=False)
    ] = None,
    label: Label = None,
    outcome: Annotated[
        str, option("Metrics to examine, the first is primary; dsc.", GROUPS, show_default=False)
    ] = "dsc",
    metrics: Annotated[str | None, option("Metrics to compute, comma-separated.", RULES)] = None,
    missing_prediction: Annotated[
        MissingRule | None,
        option("What an unusable prediction means: the worst score, nothing, or an error.", RULES),
    ] = None,
    images: Images = None,
    strict: Strict = False,
    *,
    raters: OtherRaters,
    files: MaskFiles,
    lesions: Lesions,
    besides: Besides,
    running: Running,
    options: AuditOptions,
) -> None:
    """Score masks, find whom they are worse for, and write a report."""
    from segfair.audit.raters.procedure import rating
    from segfair.gallery.worst_cases import with_gallery, with_images
    from segfair.intake.cohorts import load_cohort

    voice = Voice("audit", options.saying)
    if lesions.unit == "lesion":
        refuse_with_lesions(options, raters.labels2)
    config = audit_config(
        options,
        outcome=outcome,
        metrics=metrics,
        **dataclasses.asdict(lesions),
        labels=tuple(label or ()),
        missing_prediction=missing_prediction,
        threshold=files.threshold,
        spacing_mm=None if files.spacing is None else parse_spacing(files.spacing),
        other_tools=besides.other_tools,
        strict=strict,
    )
    plan = study_plan(options)
    config = config if plan is None else plan.applied(config)
    if besides.reasons:
        from segfair.audit.reasons.procedure import require_dsc

        require_dsc(config)
    gates = all_gates(options, config.protocol, plan)
    delivery = prepare(options, voice)
    cohort = load_cohort(
        *mask_places(predictions, labels, metadata, files),
        missing_prediction=config.missing_prediction,
        dicom_series=files.dicom_series,
        dicom_attributes=files.dicom_attributes,
        probabilities=besides.probabilities,
        **selection(options, plan),
    )
    cohort, found_images = with_images(cohort, images)
    require_answerable(gates, config, cohort)
    cache = score_cache(running, options.out)
    with rating(cohort, raters.labels2 or (), reference=raters.reference, cache=cache) as rated:
        with workers(len(cohort), running) as executor:
            with progress(len(cohort), voice) as on_done:
                result, cohort = rated.run(config, executor=executor, cache=cache, on_done=on_done)
            if besides.reasons:
                result = _taken_apart(result, cohort, rated, voice, executor=executor, cache=cache)
        say_cache(cache, "cases" if rated.kind == "one" else "pairs of masks", voice)
        result = planned(result, plan, options, asked=config, gates=gates)
        finish(with_gallery(result, cohort, images=found_images), gates, delivery, voice)


def _taken_apart(
    result: AuditResult,
    cohort: Cohort,
    rated: Rating,
    voice: Voice,
    *,
    executor: Executor | None,
    cache: ScoreCache | None,
) -> AuditResult:
    """The audit with what its gaps are made of, while a bar shows how far that has come."""
    from segfair.audit.reasons.procedure import n_readings, with_reasons

    with progress(n_readings(result), voice, what="reasons", then="resampling") as on_done:
        return with_reasons(
            result,
            cohort,
            rated.raters,
            measured_with=rated.drawn_by,
            executor=executor,
            cache=cache,
            on_done=on_done,
        )


@app.command(
    "audit-scores",
    cls=brief("protocol", "attributes", "outcome", "primary", "gate", "out"),
    epilog="Example: segfair audit-scores fold_0/validation/summary.json metadata.csv",
)
@spread
def audit_scores(
    scores: Annotated[
        Path, typer.Argument(metavar="SCORES", help="Table, one row a case; nnU-Net's summary.json or results.")
    ],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    outcome: Annotated[
        str | None, option("Score columns to examine; dsc or the first column by default.", GROUPS)
    ] = None,
    lower_is_better: LowerIsBetter = None,
    higher_is_better: HigherIsBetter = None,
    reasons: Annotated[bool, typer.Option("--reasons", hidden=True, help="Needs masks.")] = False,
    other_tools: Annotated[bool, typer.Option("--other-tools", hidden=True, help="Needs masks.")] = False,
    *,
    options: AuditOptions,
) -> None:
    """The same audit from per-case scores that exist already."""
    for name, is_asked in (("--reasons", reasons), ("--other-tools", other_tools)):
        if is_asked:
            raise ConfigError(f"{name}: looks at the masks, and scores have none; audit the masks with segfair audit")
    from segfair.audit.procedure import run_audit
    from segfair.intake.cohorts import load_score_cohort
    from segfair.intake.score_tables import default_outcome
    from segfair.protocol.rules import load_protocol

    voice = Voice("audit-scores", options.saying)
    plan = study_plan(options)
    protocol = load_protocol(options.protocol) if plan is None else plan.applied(audit_config(options)).protocol
    gates = all_gates(options, protocol, plan)
    delivery = prepare(options, voice)
    with _uncollected():
        cohort, table = load_score_cohort(
            scores,
            metadata,
            **selection(options, plan),
            lower_is_better=tuple(lower_is_better or ()),
            higher_is_better=tuple(higher_is_better or ()),
            protocol=protocol,
        )
        config = audit_config(options, outcome=outcome or (default_outcome(table) if plan is None else "dsc"))
        config = config if plan is None else plan.applied(config)
        require_answerable(gates, config, cohort, table)
        result = planned(run_audit(cohort, config, scores=table), plan, options, asked=config, gates=gates)
        finish(result, gates, delivery, voice)


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without the search for cycles: a million rows hold next to none, and looking takes a sixth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@app.command(cls=brief("threshold", "attributes", "bins"), epilog="Example: segfair expect probabilities/ metadata.csv")
@spread
def expect(
    probabilities: Annotated[
        Path, typer.Argument(metavar="PROBABILITIES", help="Folder of probability maps, or of nnU-Net's .npz.")
    ],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    threshold: Annotated[
        float, typer.Option(help="A voxel is in the mask from this value on.", min=1e-9, max=1.0)
    ] = 0.5,
    label: Label = None,
    attributes: Attributes = None,
    bins: Annotated[list[str] | None, typer.Option(help="Edges of a number, e.g. age=0,40,50,60.")] = None,
    id_column: IdColumn = None,
    sheet: Sheet = None,
    help_all: HelpAll = False,
    *,
    saying: Saying,
) -> None:
    """Estimate DSC without labels, from probabilities; never judged.

    The model grades itself, and where it is sure and wrong the estimate hides it.
    """
    from segfair.audit.calibration.expected import expect
    from segfair.audit.choices.labels import resolve_protocol
    from segfair.cases import Cohort

    voice = Voice("expect", saying)
    config = audit_config(AuditOptions(attributes=attributes, bins=bins), labels=tuple(label or ()))
    config = dataclasses.replace(config, protocol=resolve_protocol(config, Cohort(())))
    say_expectation(
        expect(probabilities, metadata, config, threshold=threshold, id_column=id_column, sheet=sheet), voice
    )


@app.command(cls=Command, epilog="Example: segfair report segfair-report/ --out redrawn/")
@spread
def report(
    audit_json: AuditFile,
    out: Out = Path("segfair-report"),
    share: Share = None,
    figures: Figures = None,
    *,
    naming: Naming,
    saying: Saying,
) -> None:
    """Draw the report again without scoring again."""
    from segfair.audit.result import AuditResult, audit_file
    from segfair.files.manifest import recorded_inputs, recorded_origin
    from segfair.handover.deliver import prepare

    voice = Voice("report", saying)
    audit_json = audit_file(audit_json)
    result = AuditResult.load(audit_json)
    # What lies in the input folders by now is not what was audited.
    inputs = recorded_inputs(audit_json, result.about.inputs)
    origin = recorded_origin(audit_json)
    delivery = prepare(out, share_out=share, figures=figures, **dataclasses.asdict(naming))
    write(result, delivery, voice, inputs=inputs, origin=origin)
