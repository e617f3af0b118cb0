"""The command line: parse, one library call, print.

Imports nothing heavy at module level, so that `segfair --help` answers at once; each command imports what it calls.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_type_hints

import typer
from typer.core import TyperCommand

from segfair import __version__
from segfair.errors import ConfigError, SegfairError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from segfair.attributes.binning import ReadAs
    from segfair.audit.gates import Gate
    from segfair.audit.result.result import AuditConfig, AuditResult, GateFacts
    from segfair.cases import Cohort
    from segfair.files.manifest import Origin
    from segfair.handover.deliver import Delivery
    from segfair.rank.result import Ranking
    from segfair.scoring.scores import ScoreTable

__all__ = ["app", "main"]

# Alerts that can turn a verdict round; the page has them all.
_TOLD_AT_ONCE = ("direction", "size", "labels", "copied", "column")
EXIT_INPUT, EXIT_INTERNAL, EXIT_INTERRUPTED = 2, 70, 130

app = typer.Typer(
    name="segfair",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="For whom is a segmentation model worse, is that real, and what makes it fairer?",
)

MissingRule = Literal["worst", "drop", "error"]
Platform = Literal["codabench", "grand-challenge"]
FigureFormat = Literal["svg", "png", "pdf"]
_WHICH, _RULES, _GROUPS, _TESTS, _HANDOVER, _RUN = (
    "Which cases",
    "How they are scored",
    "Which groups",
    "What counts as real",
    "What is handed over",
    "How it runs",
)


def _option(help_text: str, panel: str, *names: str, **settings: Any) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, **settings)


Out = Annotated[Path, _option("Folder the report is written to.", _RUN)]
Debug = Annotated[bool, _option("Show the traceback of an error.", _RUN, "--debug")]
Share = Annotated[
    Path | None,
    _option("Second folder that can be handed on: no ids, no rows of cases, no group of under 5.", _HANDOVER),
]
Figures = Annotated[FigureFormat | None, _option("Also write the figures as files, to figures/.", _HANDOVER)]
IdColumn = Annotated[str | None, _option("Metadata column with the case ids; found by itself.", _WHICH)]
SubjectColumn = Annotated[str | None, _option("Metadata column that tells which cases are of one patient.", _WHICH)]
Sheet = Annotated[str | None, _option("Sheet of an XLSX file; found by itself.", _WHICH)]
Cases = Annotated[str | None, _option("Only these: a file of ids, or splits_final.json:FOLD.", _WHICH)]
Where = Annotated[str | None, _option("Only cases whose metadata fulfil this, e.g. 'split == \"test\"'.", _WHICH)]
Attributes = Annotated[str | None, _option("Metadata columns to use, comma-separated.", _GROUPS)]
MinCases = Annotated[int, _option("Fewest cases of a group that is judged.", _GROUPS, min=1)]
Protocol = Annotated[str, _option("Scoring rules: default, mama-mia, or a TOML file.", _RULES)]
Seed = Annotated[int, _option("Seed of everything random.", _RUN, min=0)]
Label = Annotated[list[str] | None, _option("Voxels that count: 1, any, or NAME=1,2 (repeat for regions).", _RULES)]
Threshold = Annotated[float | None, _option("Predictions are probability maps; lesion from this value on.", _RULES)]
Spacing = Annotated[
    str | None,
    _option("Voxel size in mm of masks whose file does not say it (PNG).", _RULES, metavar="X Y [Z]"),
]
Images = Annotated[Path | None, _option("Folder of images, behind the outlines of the worst cases.", _RUN)]
Workers = Annotated[int | None, _option("Processes that score; all cores by default.", _RUN, min=1)]
Strict = Annotated[bool, _option("Stop at the first unusable file.", _RUN, "--strict")]
Categorical = Annotated[
    list[str] | None, _option("A column of which every value is a level, numbers too.", _GROUPS, metavar="COL")
]
Ordered = Annotated[
    list[str] | None, _option("The same, with levels in order; many become groups.", _GROUPS, metavar="COL")
]
Numeric = Annotated[list[str] | None, _option("A column of numbers, to be cut into ranges.", _GROUPS, metavar="COL")]
LowerIsBetter = Annotated[
    list[str] | None, _option("A column of which lower values are better.", _RULES, metavar="COL")
]
HigherIsBetter = Annotated[
    list[str] | None, _option("A column of which higher values are better.", _RULES, metavar="COL")
]


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """The options every audit shares; `_spread` turns the fields into command-line options."""

    out: Out = Path("segfair-report")
    protocol: Protocol = "default"
    id_column: IdColumn = None
    subject_column: SubjectColumn = None
    sheet: Sheet = None
    cases: Cases = None
    where: Where = None
    attributes: Attributes = None
    bins: Annotated[
        list[str] | None,
        _option("Edges of a number, e.g. age=0,40,50,60,70,100; or tree: learned on half of the cases.", _GROUPS),
    ] = None
    categorical: Categorical = None
    ordered: Ordered = None
    numeric: Numeric = None
    min_support: Annotated[float, _option("Smallest share of cases of a subgroup.", _GROUPS, min=1e-9, max=1.0)] = 0.05
    min_cases: MinCases = 10
    max_items: Annotated[
        int | None, _option("Most attributes of a combination; as many as can be searched by default.", _GROUPS, min=1)
    ] = None
    primary: Annotated[
        str | None, _option("Attributes fixed beforehand: a family of tests of their own, reported first.", _TESTS)
    ] = None
    margin: Annotated[list[str] | None, _option("Largest deficit that does not matter, e.g. dsc=0.05.", _TESTS)] = None
    stratify: Annotated[str | None, _option("Metadata column to compare within, e.g. site.", _TESTS)] = None
    adjust: Annotated[
        str | None,
        _option("Compare at equal values of these, comma-separated; lesion_volume by default, or none.", _TESTS),
    ] = None
    level: Annotated[float, _option("Family-wise error level.", _TESTS, min=1e-6, max=0.5)] = 0.05
    permutations: Annotated[int, _option("Permutations of the tests.", _TESTS, min=19)] = 2000
    bootstrap: Annotated[int, _option("Resamples of the intervals.", _TESTS, min=100)] = 2000
    power_gap: Annotated[
        float, _option("Gap for which the report says how many cases it takes.", _TESTS, "--gap", min=1e-6)
    ] = 0.05
    gate: Annotated[
        list[str] | None,
        _option("What the audit has to pass, e.g. 'FS >= 0.85'; exit code 1 if it fails, 3 if undecided.", _TESTS),
    ] = None
    record: Annotated[
        Path | None, _option("TOML file about the study, printed on page one; brings a model card.", _HANDOVER)
    ] = None
    share: Share = None
    pseudonymise: Annotated[
        Path | None,
        _option(
            "Key file, made if absent: keyed pseudonyms instead of ids, and no paths.", _HANDOVER, metavar="KEYFILE"
        ),
    ] = None
    figures: Figures = None
    failure_dsc: Annotated[float, _option("A case with a DSC below it counts as failed.", _RULES)] = 0.5
    seed: Seed = 0
    debug: Debug = False


@dataclass(frozen=True, slots=True)
class RankOptions:
    """The options every ranking shares."""

    out: Annotated[Path, _option("Folder the leaderboard is written to.", _RUN)] = Path("segfair-ranking")
    by: Annotated[str | None, _option("Score that decides: TS, PS, FS or a metric; TS where there is one.", _RULES)] = (
        None
    )
    protocol: Protocol = "default"
    private_labels: Annotated[
        bool,
        _option("Write what may be published to public/, without cases and attributes.", _RUN, "--private-labels"),
    ] = False
    export: Annotated[
        Platform | None, _option("Also write each team's scores for a platform to read.", _RUN, "--export")
    ] = None
    id_column: IdColumn = None
    subject_column: SubjectColumn = None
    sheet: Sheet = None
    cases: Cases = None
    where: Where = None
    attributes: Attributes = None
    bins: Annotated[list[str] | None, _option("Edges of a number, e.g. age=0,40,50,60,70,100.", _GROUPS)] = None
    categorical: Categorical = None
    ordered: Ordered = None
    numeric: Numeric = None
    min_cases: MinCases = 10
    permutations: Annotated[int, _option("Permutations of the chance level of FS.", _TESTS, min=19)] = 2000
    bootstrap: Annotated[int, _option("Resampled cohorts in which teams are ranked.", _TESTS, min=100)] = 2000
    seed: Seed = 0
    debug: Debug = False


class _WithSpacing(TyperCommand):
    """A command whose option `--spacing` takes two or three numbers, which click cannot say."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hands the numbers on as one value."""
        rest, joined = list(args), []
        while rest and rest[0] != "--":
            name, equals, first = rest.pop(0).partition("=")
            if name != "--spacing":
                joined.append(f"{name}{equals}{first}")
                continue
            lengths = [first] if equals else []
            while rest and len(lengths) < 3 and _is_number(rest[0]):
                lengths.append(rest.pop(0))
            joined.append(f"--spacing={' '.join(lengths)}")
        return super().parse_args(ctx, [*joined, *rest])


def _is_number(text: str) -> bool:
    """Whether a text is a number, or several with commas between them."""
    try:
        return bool(list(map(float, text.split(","))))
    except ValueError:
        return False


def _spread(command: Callable[..., None]) -> Callable[..., None]:
    """Replaces a command's parameter `options`, a dataclass, by one option for each of its fields."""
    signature = inspect.signature(command, eval_str=True)
    own = [parameter for parameter in signature.parameters.values() if parameter.name != "options"]
    kind = signature.parameters["options"].annotation
    hints = get_type_hints(kind, include_extras=True)
    shared = [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in dataclasses.fields(kind)
    ]

    @functools.wraps(command)
    def spread(**values: Any) -> None:
        options = kind(**{field.name: values.pop(field.name) for field in dataclasses.fields(kind)})
        command(**values, options=options)

    parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    spread.__signature__ = signature.replace(parameters=[*parameters, *shared])  # type: ignore[attr-defined]
    spread.__annotations__ = {parameter.name: parameter.annotation for parameter in (*parameters, *shared)}
    return spread


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """For whom is a segmentation model worse, is that real, and what makes it fairer?"""
    if version:
        typer.echo(f"segfair {__version__}")
        raise typer.Exit


@app.command(
    cls=_WithSpacing,
    epilog="Example: segfair audit preds/ labels/ metadata.csv --protocol mama-mia --out report/",
    rich_help_panel="Audit",
)
@_spread
def audit(
    predictions: Annotated[Path, typer.Argument(metavar="PREDS", help="Folder of predicted masks.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Folder of reference masks.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    options: AuditOptions,
    label: Label = None,
    outcome: Annotated[str, _option("Metrics whose subgroups are examined; the first is primary.", _GROUPS)] = "dsc",
    metrics: Annotated[str | None, _option("Metrics to compute, comma-separated.", _RULES)] = None,
    missing_prediction: Annotated[
        MissingRule | None,
        _option("What an unusable prediction means: the worst score, nothing, or an error.", _RULES),
    ] = None,
    threshold: Threshold = None,
    spacing: Spacing = None,
    derive: Annotated[
        bool, _option("Lesion volume, number of lesions and spacing become attributes.", _GROUPS, "--derive")
    ] = False,
    images: Images = None,
    labels2: Annotated[
        Path | None,
        _option("Second labels of the same cases (another rater): which gaps depend on them?", _GROUPS, "--labels2"),
    ] = None,
    workers: Workers = None,
    strict: Strict = False,
) -> None:
    """Score masks, find the subgroups they are worse for, and write a report."""
    from segfair.audit.procedure import run_audit
    from segfair.audit.second_labels import measure_again, with_labels
    from segfair.gallery.worst_cases import build_gallery, image_files
    from segfair.intake.cohorts import load_cohort

    config = _audit_config(
        options,
        outcome=outcome,
        metrics=metrics,
        labels=tuple(label or ()),
        missing_prediction=missing_prediction,
        threshold=threshold,
        spacing_mm=None if spacing is None else _parse_spacing(spacing),
        derive=derive,
        strict=strict,
    )
    gates = _read_gates([*config.protocol.gates, *(options.gate or ())])
    delivery = _prepare(options)
    cohort = load_cohort(
        predictions,
        labels,
        metadata,
        missing_prediction=missing_prediction,
        **_selection(options),
    )
    found_images = image_files(images, cohort) if images is not None else None
    _require_answerable(gates, config, cohort)
    if labels2 is not None:
        with_labels(cohort, labels2)  # a wrong folder is told before an hour of scoring
    with _scoring(len(cohort), workers) as (executor, on_done):
        result = run_audit(cohort, config, executor=executor, on_done=on_done)
        if labels2 is not None:
            result = measure_again(result, cohort, labels2, executor=executor)
    result = dataclasses.replace(
        result,
        gallery=build_gallery(result, cohort, images=found_images),
        inputs=result.inputs if images is None else {**result.inputs, "images": str(images)},
    )
    _finish(result, gates, delivery)


@app.command(
    "audit-scores",
    epilog="Example: segfair audit-scores fold_0/validation/summary.json metadata.csv",
    rich_help_panel="Audit",
)
@_spread
def audit_scores(
    scores: Annotated[
        Path, typer.Argument(metavar="SCORES", help="Table, one row a case; nnU-Net's summary.json or results.")
    ],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    options: AuditOptions,
    outcome: Annotated[
        str | None, _option("Score columns to examine; dsc or the first column by default.", _GROUPS)
    ] = None,
    lower_is_better: LowerIsBetter = None,
    higher_is_better: HigherIsBetter = None,
) -> None:
    """The same audit from per-case scores that exist already."""
    from segfair.audit.procedure import run_audit
    from segfair.intake.cohorts import load_score_cohort
    from segfair.intake.score_tables import default_outcome
    from segfair.protocol.rules import load_protocol

    protocol = load_protocol(options.protocol)
    gates = _read_gates([*protocol.gates, *(options.gate or ())])
    delivery = _prepare(options)
    cohort, table = load_score_cohort(
        scores,
        metadata,
        **_selection(options),
        lower_is_better=tuple(lower_is_better or ()),
        higher_is_better=tuple(higher_is_better or ()),
        protocol=protocol,
    )
    config = _audit_config(options, outcome=outcome or default_outcome(table))
    _require_answerable(gates, config, cohort, table)
    _finish(run_audit(cohort, config, scores=table), gates, delivery)


@app.command(epilog="Example: segfair report segfair-report/audit.json --out redrawn/", rich_help_panel="Audit")
def report(
    audit_json: Annotated[Path, typer.Argument(metavar="AUDIT.json", help="What segfair audit wrote.")],
    out: Out = Path("segfair-report"),
    share: Share = None,
    figures: Figures = None,
    debug: Debug = False,
) -> None:
    """Draw the report again without scoring again."""
    from segfair.audit.result.result import AuditResult
    from segfair.files.manifest import recorded_inputs, recorded_origin
    from segfair.handover.deliver import prepare

    result = AuditResult.load(audit_json)
    # What lies in the input folders by now is not what was audited.
    inputs = recorded_inputs(audit_json, result.inputs)
    origin = recorded_origin(audit_json)
    _write(result, prepare(out, share_out=share, figures=figures), inputs=inputs, origin=origin)


@app.command(epilog="Example: segfair card report/audit.json > model-card.md", rich_help_panel="Audit")
def card(
    audit_json: Annotated[Path, typer.Argument(metavar="AUDIT.json", help="What segfair audit wrote.")],
    debug: Debug = False,
) -> None:
    """Print a model card (Markdown) from the facts of an audit."""
    from segfair.audit.result.result import AuditResult
    from segfair.handover.model_card import model_card

    typer.echo(model_card(AuditResult.load(audit_json)), nl=False)


@app.command(epilog="Example: segfair verify report/ --inputs preds/ labels/ metadata.csv", rich_help_panel="Audit")
def verify(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a report.")],
    inputs: Annotated[
        tuple[Path, Path, Path] | None,
        typer.Option(metavar="PREDS LABELS METADATA", help="Check what was audited, too: where it lies now."),
    ] = None,
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="ROLE=PATH",
            help="Check one more input: images, labels2, or scores and teams of a ranking (repeatable).",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Say whether a report (or what it was made from) has changed: exit code 0 nothing, 1 something did."""
    from segfair.files import manifest as archive

    roles = dict(zip(("predictions", "labels", "metadata"), inputs, strict=True)) if inputs else {}
    roles |= dict(map(_parse_role, further or ()))
    changes = archive.verify(directory, roles)
    for change in changes:
        typer.echo(change)
    foreign = archive.not_covered(directory)
    if foreign:
        typer.echo(f"not covered by the manifest, and not written by segfair: {', '.join(foreign)}")
    if changes:
        raise typer.Exit(1)
    left = [role for role in archive.recorded_roles(directory) if role not in roles]
    if left:
        typer.echo(f"not checked: {', '.join(left)} (--inputs, --input ROLE=PATH)")
    digest = archive.hash_file(directory / archive.MANIFEST)
    typer.echo(f"nothing changed; SHA-256 of {archive.MANIFEST} itself: {digest}")


@app.command(epilog="Example: segfair compare old/audit.json new/audit.json --out comparison/", rich_help_panel="Audit")
def compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="audit.json of the first audit, or its folder.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="audit.json of the second, or its folder.")],
    out: Out = Path("segfair-comparison"),
    outcome: Annotated[
        str | None, typer.Option(help="Metric that decides who was harmed; the primary outcome of both by default.")
    ] = None,
    names: Annotated[
        str | None, typer.Option(help="What to call the two, comma-separated; their folders by default.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Say what changed from one audit to another of the same cases: who gained, and who was harmed."""
    from segfair.audit.result.result import AuditResult
    from segfair.compare.procedure import run_comparison
    from segfair.files.manifest import hash_file
    from segfair.report.comparison.files import write_comparison

    paths = [path / "audit.json" if path.is_dir() else path for path in (before, after)]
    results = [AuditResult.load(path) for path in paths]
    called = _split(names) if names else tuple(path.resolve().parent.name for path in paths)
    if len(called) != 2:
        raise ConfigError(f"--names {names}: expected two names, for example --names old,new")
    if called[0] == called[1]:
        called = ("before", "after") if names is None else called
    comparison = run_comparison(*results, names=(called[0], called[1]), outcome=outcome)
    digests = {f"{role}: {path}": hash_file(path) for role, path in zip(("before", "after"), paths, strict=True)}
    page = write_comparison(comparison, out, command=_command(), digests=digests)
    for notice in comparison.notices:
        typer.echo(notice)
    for name, change in comparison.scores.items():
        if change.before is not None and change.after is not None:
            typer.echo(f"{name} {change.before:.4f} -> {change.after:.4f} ({change.after - change.before:+.4f})")
    typer.echo(comparison.verdict.sentence)
    typer.echo(f"comparison: {page}")


@app.command(
    cls=_WithSpacing,
    epilog="Example: segfair rank teams/ labels/ metadata.csv --protocol mama-mia --out ranking/",
    rich_help_panel="Rank",
)
@_spread
def rank(
    teams: Annotated[Path, typer.Argument(metavar="TEAMS", help="Folder with one sub-folder of masks a team.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Folder of reference masks.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    options: RankOptions,
    label: Label = None,
    threshold: Threshold = None,
    spacing: Spacing = None,
    images: Images = None,
    workers: Workers = None,
    strict: Strict = False,
) -> None:
    """Score many teams on the same labels, and say who is first and what decides it."""
    from segfair.gallery.teams import with_galleries
    from segfair.gallery.worst_cases import image_files
    from segfair.rank.procedure import run_ranking
    from segfair.rank.teams import load_teams

    config = _rank_config(
        options,
        labels=tuple(label or ()),
        threshold=threshold,
        spacing_mm=None if spacing is None else _parse_spacing(spacing),
        strict=strict,
    )
    cohort, found = load_teams(
        teams,
        labels,
        metadata,
        **_selection(options),
    )
    if images is not None and options.private_labels:
        typer.echo(f"--images {images}: not used; with --private-labels there are no pictures of cases")
        images = None
    found_images = image_files(images, cohort) if images is not None else None
    if images is not None:
        cohort = dataclasses.replace(cohort, inputs={**cohort.inputs, "images": images})
    with _scoring(len(cohort), workers) as (executor, on_done):
        ranking = run_ranking(cohort, found, config, by=options.by, executor=executor, on_done=on_done)
        if not options.private_labels:
            ranking = with_galleries(ranking, found, images=found_images, executor=executor)
    _write_ranking(ranking, options)


@app.command(
    "rank-scores",
    epilog="Example: segfair rank-scores scores/ metadata.csv --by dsc --out ranking/",
    rich_help_panel="Rank",
)
@_spread
def rank_scores(
    scores: Annotated[Path, typer.Argument(metavar="SCORES", help="Folder with one table of scores a team.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    options: RankOptions,
    lower_is_better: LowerIsBetter = None,
    higher_is_better: HigherIsBetter = None,
) -> None:
    """The same ranking from per-case scores that exist already."""
    from segfair.rank.procedure import rank_scored
    from segfair.rank.team_tables import load_team_scores

    config = _rank_config(options)
    found = load_team_scores(
        scores,
        metadata,
        protocol=config.protocol,
        **_selection(options),
        lower_is_better=tuple(lower_is_better or ()),
        higher_is_better=tuple(higher_is_better or ()),
    )
    _write_ranking(rank_scored(found, config, by=options.by), options)


@app.command(epilog="Example: segfair gate report/audit.json --gate 'FS >= 0.85'", rich_help_panel="Audit")
def gate(
    audit_json: Annotated[Path, typer.Argument(metavar="AUDIT.json", help="What segfair audit wrote.")],
    gate: Annotated[
        list[str] | None, typer.Option(help="A gate (repeatable); without one, those the audit was made with.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Decide gates on an audit that exists: exit code 0 passed, 1 failed, 3 undecided."""
    from segfair.audit.gates import GRAMMAR, check_gates, exit_code
    from segfair.audit.result.result import AuditResult

    result = AuditResult.load(audit_json)
    gates = _read_gates(gate or [*result.config.protocol.gates, *(entry.gate for entry in result.gates)])
    if not gates:
        raise ConfigError(f"--gate: {audit_json} was made without one, so name at least one: {GRAMMAR}")
    decided = check_gates(result, gates)
    _say_gates(decided)
    raise typer.Exit(exit_code(decided))


@app.command(epilog="Example: segfair power metadata.csv --gap 0.05", rich_help_panel="Audit")
def power(
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    sd: Annotated[float, typer.Option(help="Standard deviation of the outcome over cases.", min=1e-6)] = 0.18,
    scores: Annotated[
        Path | None, typer.Option(help="Scores of a pilot (cases.csv); their spread replaces --sd.")
    ] = None,
    outcome: Annotated[str, typer.Option(help="Column of the pilot's scores.")] = "dsc",
    gap: Annotated[float, typer.Option(help="Gap for which the number of cases is wanted.", min=1e-6)] = 0.05,
    attributes: Annotated[str | None, typer.Option(help="Metadata columns to use, comma-separated.")] = None,
    bins: Annotated[list[str] | None, typer.Option(help="Edges of a number, e.g. age=0,40,50,60.")] = None,
    min_support: Annotated[float, typer.Option(help="Smallest share of a subgroup.", min=1e-9, max=1.0)] = 0.05,
    min_cases: Annotated[int, typer.Option(help="Fewest cases of a group that is judged.", min=1)] = 10,
    level: Annotated[float, typer.Option(help="Family-wise error level.", min=1e-6, max=0.5)] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0)] = 0,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an XLSX file.")] = None,
    debug: Debug = False,
) -> None:
    """Say which gaps a cohort could show, before anything is scored."""
    from segfair.audit.power import load_patients, pilot_spread, plan_power
    from segfair.audit.words import search_sentence

    options = AuditOptions(
        attributes=attributes, bins=bins, min_support=min_support, min_cases=min_cases, level=level, seed=seed
    )
    config = dataclasses.replace(_audit_config(options, outcome=outcome), power_gap=gap)
    cohort = load_patients(metadata, sheet=sheet)
    spread = sd if scores is None else pilot_spread(scores, outcome=outcome)
    levels, critical, search = plan_power(cohort, config, sd=spread)
    typer.echo(
        f"{len(cohort)} patients, standard deviation {spread:.3f}, 80 % power at a family-wise level of {level:g}"
    )
    if search.is_cut:
        typer.echo(search_sentence(search))
    if critical is None:
        typer.echo(f"insufficient evidence: no group has {min_cases} members and {min_cases} others")
    names = [f"{entry.attribute} = {entry.level}" for entry in levels]
    width = max(map(len, names), default=5)
    typer.echo(f"{'group':<{width}}  {'n':>6}  detectable gap  n for a gap of {gap:g}")
    for name, entry in zip(names, levels, strict=True):
        detectable = "-" if entry.detectable_gap is None else f"{entry.detectable_gap:.3f}"
        needed = "-" if entry.n_needed is None else f"{entry.n_needed:,}"
        small = "  insufficient evidence" if entry.n < min_cases else ""
        typer.echo(f"{name:<{width}}  {entry.n:>6}  {detectable:>14}  {needed:>10}{small}")


@app.command(epilog="Example: segfair phantom demo/ --cases 60 --seed 1", rich_help_panel="Try it out")
def phantom(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the cohort to.")],
    cases: Annotated[int, typer.Option(help="Number of cases.", min=1)] = 60,
    size: Annotated[tuple[int, int, int], typer.Option(metavar="X Y Z", help="Voxels along each axis.")] = (
        64,
        64,
        48,
    ),
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same cohort.")] = 0,
    no_bias: Annotated[bool, typer.Option("--no-bias", help="A model that serves everybody alike.")] = False,
    debug: Debug = False,
) -> None:
    """Write a synthetic breast MRI cohort with predictions of a weak model and a planted bias."""
    from segfair.phantom import write_phantom

    write_phantom(directory, n_cases=cases, size=size, seed=seed, bias=not no_bias)
    typer.echo(f"{cases} cases in {directory}; audit them with:")
    typer.echo(f"  segfair audit {directory}/preds {directory}/labels {directory}/metadata.csv")


@app.command(epilog="Example: segfair protocol mama-mia > mine.toml", rich_help_panel="Audit")
def protocol(
    name: Annotated[str, typer.Argument(metavar="NAME", help="default, mama-mia, or a TOML file.")],
    debug: Debug = False,
) -> None:
    """Print a scoring protocol as TOML, to read or to start your own from."""
    from segfair.protocol.rules import load_protocol, protocol_text

    load_protocol(name)
    typer.echo(protocol_text(name), nl=False)


_MODELS, _DATA = "What is trained", "Data"


@app.command(
    epilog="Example: segfair mitigate --backbone unet --strategy fairmedseg --strategy divergence-sampling",
    rich_help_panel="Mitigate",
)
def mitigate(
    data: Annotated[
        Path | None,
        typer.Argument(metavar="[DATA]", help="MAMA-MIA tree, nnU-Net raw or Decathlon; else the embedded phantom."),
    ] = None,
    backbone: Annotated[list[str] | None, _option("unet (default), segresnet, swinunetr; repeatable.", _MODELS)] = None,
    strategy: Annotated[
        list[str] | None, _option("fairmedseg (default), divergence-sampling, balanced, ...; repeatable.", _MODELS)
    ] = None,
    no_baseline: Annotated[
        bool, _option("Do not train the plain model beside them.", _MODELS, "--no-baseline")
    ] = False,
    alpha: Annotated[str | None, _option("FairMedSeg's balance (Eq. 4), 0.2 by default, or auto.", _MODELS)] = None,
    min_support: Annotated[
        float | None, _option("Smallest share of validation cases of a subgroup; 0.001.", _MODELS, min=1e-9, max=1.0)
    ] = None,
    loss: Annotated[Literal["dice-ce", "dice-focal"] | None, _option("Loss of a case; dice-ce.", _MODELS)] = None,
    outcome: Annotated[Literal["dsc", "ps"] | None, _option("Whose divergences count; dsc.", _MODELS)] = None,
    weights: Annotated[
        Path | None, _option("Case weights of segfair weights, for --strategy one-shot.", _MODELS)
    ] = None,
    metadata: Annotated[Path | None, _option("Metadata table; the one in DATA by default.", _DATA)] = None,
    attributes: Annotated[str | None, _option("Metadata columns to use, comma-separated.", _DATA)] = None,
    id_column: Annotated[str | None, _option("Metadata column with the case ids; found by itself.", _DATA)] = None,
    sheet: Annotated[str | None, _option("Sheet of an XLSX table; found by its content.", _DATA)] = None,
    subject_column: Annotated[str | None, _option("Column that tells which cases are of one patient.", _DATA)] = None,
    phases: Annotated[int | None, _option("Phases that become channels; 3.", _DATA, min=1)] = None,
    spacing: Annotated[
        tuple[float, float, float] | None, _option("Voxel size in mm; 1 1 1.", _DATA, metavar="X Y Z")
    ] = None,
    spatial_size: Annotated[
        tuple[int, int, int] | None, _option("Voxels that the network sees.", _DATA, metavar="X Y Z")
    ] = None,
    patch: Annotated[
        tuple[int, int, int] | None, _option("Train on patches of so many voxels.", _DATA, metavar="X Y Z")
    ] = None,
    samples_per_case: Annotated[int | None, _option("Patches a case, with --patch; 2.", _DATA, min=1)] = None,
    cache: Annotated[Path | None, _option("Folder of prepared volumes; OUT/cache by default.", _DATA)] = None,
    epochs: Annotated[int | None, _option("Epochs of every model.", _RUN, min=1)] = None,
    batch_size: Annotated[int | None, _option("Cases of a step.", _RUN, min=1)] = None,
    lr: Annotated[float | None, _option("Adam's learning rate.", _RUN, min=1e-9)] = None,
    device: Annotated[str | None, _option("auto (default), cpu or cuda.", _RUN)] = None,
    amp: Annotated[bool | None, _option("Half precision; on a GPU by default.", _RUN, "--amp/--no-amp")] = None,
    workers: Annotated[int | None, _option("Processes that prepare, load and score; 0.", _RUN, min=0)] = None,
    seed: Annotated[int | None, _option("Seed of everything random.", _RUN, min=0)] = None,
    resume: Annotated[bool, _option("Go on where an earlier run stopped.", _RUN, "--resume")] = False,
    config: Annotated[
        Path | None, _option("TOML file of settings, such as OUT/config.toml; options override it.", _RUN)
    ] = None,
    out: Annotated[Path, _option("Folder of everything.", _RUN)] = Path("segfair-mitigate"),
    debug: Debug = False,
) -> None:
    """Train networks that serve subgroups better, and compare them with the plain one."""
    _require_torch()
    from segfair.mitigation.experiment.procedure import load_settings, read_weights, run_mitigation

    if spatial_size and patch:
        raise ConfigError("--spatial-size and --patch: whole volumes or patches; give one of them")
    if samples_per_case and not (patch or config):
        raise ConfigError("--samples-per-case: belongs to --patch; give the size of a patch as well")
    given = {
        "data": data,
        "backbones": backbone and tuple(backbone),
        "strategies": strategy and tuple(strategy),
        "baseline": False if no_baseline else None,
        "alpha": alpha,
        "min_support": min_support,
        "loss": loss,
        "outcome": outcome,
        "metadata": metadata,
        "attributes": attributes and _split(attributes),
        "id_column": id_column,
        "sheet": sheet,
        "subject_column": subject_column,
        "phases": phases,
        "spacing_mm": spacing,
        "spatial_size": patch or spatial_size,
        "samples_per_case": samples_per_case or (2 if patch else None),
        "cache": cache,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "device": device,
        "amp": amp,
        "workers": workers,
        "seed": seed,
        "resume": resume or None,
        "one_shot_weights": read_weights(weights) if weights else None,
    }
    settings = load_settings(config, {name: value for name, value in given.items() if value is not None}, out=out)
    # Under torchrun every process does the same; the first one speaks for all.
    tell: Callable[[str], None] = typer.echo if os.environ.get("RANK", "0") == "0" else _say_nothing
    for name, value in settings.to_dict().items():
        tell(f"{name} = {value}")
    with _processes(settings.workers) as executor:
        comparison = run_mitigation(settings, executor=executor, tell=tell)
    for name, scores in comparison.get("models", {}).items():
        test, worst = scores["test"], scores["test"]["worst_subgroup"]
        line = "  ".join(
            f"{key} {test[key]:.3f}" for key in ("DSC", "NormHD", "PS", "FS", "TS") if test[key] is not None
        )
        typer.echo(
            f"{name:<22} {line}  worst subgroup {worst['dsc']:.3f} (n = {worst['n']})" if worst else f"{name}: {line}"
        )
    tell(f"comparison: {out / 'comparison.html'}")


@contextmanager
def _processes(n_workers: int) -> Iterator[Executor | None]:
    """So many processes, begun afresh: those forked from one that has used torch can hang. None for 0."""
    if not n_workers:
        yield None
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as executor:
        yield executor


def _say_nothing(_: str) -> None:
    """For the processes beside the first."""


@app.command(epilog="Example: segfair predict checkpoint_best.pt images/ masks/", rich_help_panel="Mitigate")
def predict(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="checkpoint_best.pt of a training.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of images.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder of masks; masks that exist are kept.")],
    boxes: Annotated[Path | None, typer.Option(help="Folder of breast boxes (patient_info_files).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    debug: Debug = False,
) -> None:
    """Predict masks in each image's own geometry; needs no metadata."""
    _require_torch()
    from segfair.files.image_files import describe_images, find_images
    from segfair.mitigation.data.boxes import find_boxes
    from segfair.mitigation.prediction.volumes import load_model, predict_images

    model = load_model(checkpoint, device=device)
    found = find_images(images, n_channels=model.preprocessing.phases)
    typer.echo(describe_images(images, found))
    report = predict_images(model, found, out, boxes=find_boxes(boxes) if boxes else None, device=device)
    for notice in report.notices:
        typer.echo(notice)
    for case, reason in report.failed.items():
        typer.echo(f"case {case}: not predicted: {reason}", err=True)
    typer.echo(
        f"{len(report.written)} masks written to {out}, {len(report.existing)} were there, {len(report.failed)} failed"
    )


@app.command(
    epilog="Example: segfair weights report/audit.json --metadata metadata.csv --cases splits_final.json:0",
    rich_help_panel="Mitigate",
)
def weights(
    audit_json: Annotated[Path, typer.Argument(metavar="AUDIT.json", help="What segfair audit wrote.")],
    metadata: Annotated[Path, typer.Option(help="Metadata of the cases to be weighted.")],
    cases: Annotated[
        str | None, typer.Option(help="Only these: a file of ids, or splits_final.json:FOLD (its training cases).")
    ] = None,
    id_column: Annotated[str | None, typer.Option(help="Metadata column with the case ids.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an XLSX table; found by its content.")] = None,
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("weights.csv"),
    debug: Debug = False,
) -> None:
    """Turn an audit into case weights for a training done elsewhere."""
    from segfair.audit.result.result import AuditResult
    from segfair.files.tables import write_csv
    from segfair.mitigation.weighting.one_shot import one_shot_weights

    found = one_shot_weights(AuditResult.load(audit_json), metadata, cases=cases, id_column=id_column, sheet=sheet)
    rows = [
        {"case": case, "weight": weight, "subgroup": setter.name if setter else ""}
        for (case, weight), setter in zip(found.items(), found.setters, strict=True)
    ]
    write_csv(rows, out)
    typer.echo(f"{len(rows)} weights from {found.array.min():.2f} to {found.array.max():.2f}, mean 1, in {out}")


def _require_torch() -> None:
    from importlib.util import find_spec

    missing = [name for name in ("torch", "monai") if find_spec(name) is None]
    if missing:
        raise ConfigError(f'{" and ".join(missing)} are not installed; pip install "segfair[mitigate]"')


def _selection(options: AuditOptions | RankOptions) -> dict[str, Any]:
    """What every loader of a cohort is told about the table and the cases that count."""
    return {
        "id_column": options.id_column,
        "sheet": options.sheet,
        "cases": options.cases,
        "where": options.where,
        "subject_column": options.subject_column,
    }


def _groups(options: AuditOptions | RankOptions) -> dict[str, Any]:
    """The settings of an audit that a ranking shares."""
    from segfair.attributes.fit import parse_bins

    return {
        "attributes": None if options.attributes is None else _split(options.attributes),
        "bins": dict(parse_bins(text) for text in options.bins or ()),
        "read_as": _read_as(options),
        "min_cases": options.min_cases,
        "permutations": options.permutations,
        "bootstrap": options.bootstrap,
        "subject_column": options.subject_column,
        "seed": options.seed,
    }


def _read_as(options: AuditOptions | RankOptions) -> dict[str, ReadAs]:
    """How columns are meant; a column that is named twice is a contradiction."""
    found: dict[str, ReadAs] = {}
    told: tuple[tuple[ReadAs, list[str] | None], ...] = (
        ("categorical", options.categorical),
        ("ordered", options.ordered),
        ("numeric", options.numeric),
    )
    for kind, columns in told:
        for column in (name for text in columns or () for name in _split(text)):
            if found.get(column, kind) != kind:
                raise ConfigError(f"--{found[column]} {column} and --{kind} {column}: one of them can hold")
            found[column] = kind
    return found


def _audit_config(options: AuditOptions, *, outcome: str, metrics: str | None = None, **settings: Any) -> AuditConfig:
    from segfair.audit.result.result import AuditConfig
    from segfair.protocol.rules import load_protocol
    from segfair.scoring.metrics import METRICS

    rules = load_protocol(options.protocol)
    outcomes = _split(outcome)
    if not outcomes:
        raise ConfigError("--outcome: name at least one metric, for example dsc")
    if metrics is not None:
        # An outcome has to be scored to be examined.
        wanted = dict.fromkeys([*_split(metrics), *(name for name in outcomes if name in METRICS)])
        unknown = [name for name in wanted if name not in METRICS]
        if unknown:
            raise ConfigError(f"--metrics {unknown[0]}: no such metric; known are {', '.join(METRICS)}")
        rules = rules.replace(metrics=tuple(wanted))
    adjust = None if options.adjust is None else tuple(name for name in _split(options.adjust) if name != "none")
    return AuditConfig(
        rules,
        **_groups(options),
        outcomes=outcomes,
        min_support=options.min_support,
        max_items=options.max_items,
        failure_dsc=options.failure_dsc,
        level=options.level,
        primary=_split(options.primary or ""),
        stratify=options.stratify,
        adjust=adjust,
        margin=dict(_parse_margin(text) for text in options.margin or ()),
        power_gap=options.power_gap,
        **settings,
    )


def _rank_config(options: RankOptions, **settings: Any) -> AuditConfig:
    from segfair.audit.result.result import AuditConfig
    from segfair.protocol.rules import load_protocol

    return AuditConfig(
        load_protocol(options.protocol),
        **_groups(options),
        **settings,
    )


def _parse_margin(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        margin = float(value)
    except ValueError:
        margin = -1.0
    if not name or not 0 < margin < float("inf"):
        raise ConfigError(f"--margin {text}: expected METRIC=NUMBER with a positive number, for example dsc=0.05")
    return name.strip(), margin


def _parse_spacing(text: str) -> tuple[float, ...]:
    lengths = text.replace(",", " ").split()
    if len(lengths) not in (2, 3) or not all(map(_is_number, lengths)):
        raise ConfigError(f"--spacing {text}: expected two or three numbers in mm, one an axis, such as 0.2 0.2")
    return tuple(map(float, lengths))


def _parse_role(text: str) -> tuple[str, Path]:
    role, _, path = text.partition("=")
    if not role.strip() or not path:
        raise ConfigError(f"--input {text}: expected ROLE=PATH, for example images=images/")
    return role.strip(), Path(path)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


@contextmanager
def _scoring(n_cases: int, workers: int | None) -> Iterator[tuple[Executor | None, Callable[[str], None]]]:
    """A pool of processes and a progress bar (on stderr, none when it is not a terminal)."""
    import os
    from concurrent.futures import ProcessPoolExecutor

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    progress = Progress(
        TextColumn("scoring"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    n_workers = min(workers or os.cpu_count() or 1, max(1, n_cases // 4))
    with progress:
        task = progress.add_task("scoring", total=n_cases, rate="")

        def on_done(_: str) -> None:
            progress.advance(task)
            speed = progress.tasks[0].speed
            progress.update(task, rate=f"{speed:.1f} cases/s" if speed else "")

        if n_workers == 1:
            yield None, on_done
        else:
            with ProcessPoolExecutor(n_workers) as executor:
                yield executor, on_done


def _read_gates(texts: Iterable[str]) -> tuple[Gate, ...]:
    """Reads gates before anything else is read or scored, so that a typo costs nothing."""
    from segfair.audit.gates import parse_gate

    return tuple(dict.fromkeys(map(parse_gate, texts)))


def _require_answerable(
    gates: Sequence[Gate], config: AuditConfig, cohort: Cohort, scores: ScoreTable | None = None
) -> None:
    """Refuses a gate about a metric or attribute that this audit will not have."""
    if not gates:
        return
    from segfair.audit.choices.labels import resolve_protocol
    from segfair.audit.choices.outcomes import resolve_outcomes
    from segfair.audit.choices.units import resolve_units
    from segfair.audit.gates import require_answerable
    from segfair.scoring.scores import protocol_metrics

    rules = resolve_units(dataclasses.replace(config, protocol=resolve_protocol(config, cohort)), cohort).protocol
    metrics = scores.metrics if scores is not None else protocol_metrics(rules)
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


def _prepare(options: AuditOptions) -> Delivery:
    from segfair.handover.deliver import prepare

    return prepare(
        options.out,
        share_out=options.share,
        keyfile=options.pseudonymise,
        figures=options.figures,
        record=options.record,
    )


def _finish(result: AuditResult, gates: Sequence[Gate], delivery: Delivery) -> None:
    """Decides the gates, writes and prints; leaves with their exit code."""
    from segfair.audit.gates import check_gates, exit_code

    result = dataclasses.replace(result, gates=check_gates(result, gates))
    _write(result, delivery)
    if result.gates:
        raise typer.Exit(exit_code(result.gates))


def _say_gates(gates: Sequence[GateFacts]) -> None:
    for entry in gates:
        typer.echo(f"{entry.state:<9}  {entry.gate}: {entry.reason}")


def _write(
    result: AuditResult,
    delivery: Delivery,
    *,
    inputs: Mapping[str, Any] | None = None,
    origin: Origin | None = None,
) -> None:
    from segfair.audit.words import plural, search_sentence
    from segfair.handover.deliver import deliver

    result, page = deliver(result, delivery, command=_command(), inputs=inputs, origin=origin)
    counts = result.cases
    for notice in result.notices:
        typer.echo(notice)
    for alert in result.alerts:
        if alert.kind in _TOLD_AT_ONCE:
            typer.echo(f"note well: {alert.text}")
    if result.search is not None and result.search.is_cut:
        typer.echo(search_sentence(result.search))
    tally = f"{len(counts.penalised)} penalised; {len(counts.unusable)} excluded"
    tally += f"; {counts.n_taught} taught the bins" if counts.n_taught else ""
    typer.echo(f"{plural(counts.n_scored, 'case')} scored, {tally}")
    scores = "  ".join(f"{name} {score.value:.4f}" for name, score in result.scores.items() if score.value is not None)
    if scores:
        typer.echo(scores)
    typer.echo(result.verdict.sentence)
    _say_gates(result.gates)
    typer.echo(f"report: {page}")
    if delivery.share is not None:
        typer.echo(f"to hand on: {delivery.share}")


def _write_ranking(ranking: Ranking, options: RankOptions) -> None:
    from segfair.report.ranking.files import write_ranking

    page = write_ranking(
        ranking,
        options.out,
        private_labels=options.private_labels,
        export=options.export,
        command=_command(),
    )
    for notice in ranking.notices:
        typer.echo(notice)
    for case, reason in ranking.scores.excluded.items():
        typer.echo(f"left out for every team: case {case}: {reason}")
    for alert in ranking.alerts:
        typer.echo(alert.text)
    typer.echo(ranking.verdict.sentence)
    typer.echo(f"leaderboard: {page}")


def _command() -> str:
    import shlex

    return shlex.join(["segfair", *sys.argv[1:]])


def main() -> None:
    """Runs the command line; the exit codes are 0, 1, 2, 3, 70 and 130."""
    debug = "--debug" in sys.argv
    try:
        app(standalone_mode=True)
    except SegfairError as error:
        if debug:
            raise
        typer.echo(f"segfair: {error}", err=True)
        sys.exit(EXIT_INPUT)
    except KeyboardInterrupt:
        typer.echo("segfair: interrupted", err=True)
        sys.exit(EXIT_INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        typer.echo(
            f"segfair: internal error: {type(error).__name__}: {error}; run again with --debug to see where",
            err=True,
        )
        sys.exit(EXIT_INTERNAL)
