"""The command line: parse, one library call, print.

Imports nothing heavy at module level, so that `segfair --help` answers at once; each command imports what it calls.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segfair import __version__
from segfair.errors import ConfigError, SegfairError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from segfair.results import AuditConfig, AuditResult

__all__ = ["app", "main"]

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
_WHICH, _RULES, _GROUPS, _RUN = "Which cases", "How they are scored", "Which groups", "How it runs"

Out = Annotated[Path, typer.Option("--out", help="Folder the report is written to.", rich_help_panel=_RUN)]
ProtocolName = Annotated[
    str, typer.Option(help="Scoring rules: default, mama-mia, or a TOML file.", rich_help_panel=_RULES)
]
IdColumn = Annotated[
    str | None, typer.Option(help="Metadata column with the case ids; found by itself.", rich_help_panel=_WHICH)
]
SubjectColumn = Annotated[
    str | None,
    typer.Option(help="Metadata column that tells which cases are of one patient.", rich_help_panel=_WHICH),
]
Sheet = Annotated[str | None, typer.Option(help="Sheet of an XLSX file; found by itself.", rich_help_panel=_WHICH)]
Cases = Annotated[
    str | None,
    typer.Option(help="Only these cases: a file of ids, or splits_final.json:FOLD.", rich_help_panel=_WHICH),
]
Where = Annotated[
    str | None,
    typer.Option(help="Only cases whose metadata fulfil this, e.g. 'split == \"test\"'.", rich_help_panel=_WHICH),
]
Attributes = Annotated[
    str | None, typer.Option(help="Metadata columns to use, comma-separated.", rich_help_panel=_GROUPS)
]
BinsOption = Annotated[
    list[str] | None,
    typer.Option("--bins", help="Edges of a numeric column, e.g. age=0,40,50,60,70,100.", rich_help_panel=_GROUPS),
]
Outcome = Annotated[
    str, typer.Option(help="Metrics whose subgroups are examined; the first is primary.", rich_help_panel=_GROUPS)
]
MinSupport = Annotated[
    float, typer.Option(help="Smallest share of cases of a subgroup.", min=1e-9, max=1.0, rich_help_panel=_GROUPS)
]
MinCases = Annotated[
    int, typer.Option(help="Fewest cases of a group that is judged.", min=1, rich_help_panel=_GROUPS)
]
Seed = Annotated[int, typer.Option(help="Seed of everything random.", rich_help_panel=_RUN)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_RUN)]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """For whom is a segmentation model worse, is that real, and what makes it fairer?"""
    if version:
        typer.echo(f"segfair {__version__}")
        raise typer.Exit


@app.command(
    epilog="Example: segfair audit preds/ labels/ metadata.csv --protocol mama-mia --out report/",
    rich_help_panel="Audit",
)
def audit(
    predictions: Annotated[Path, typer.Argument(metavar="PREDS", help="Folder of predicted masks.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="Folder of reference masks.")],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    out: Out = Path("segfair-report"),
    protocol: ProtocolName = "default",
    id_column: IdColumn = None,
    subject_column: SubjectColumn = None,
    sheet: Sheet = None,
    cases: Cases = None,
    where: Where = None,
    attributes: Attributes = None,
    bins: BinsOption = None,
    label: Annotated[
        list[str] | None,
        typer.Option(help="Voxels that count: 1, any, or NAME=1,2 (repeat for regions).", rich_help_panel=_RULES),
    ] = None,
    outcome: Outcome = "dsc",
    metrics: Annotated[
        str | None, typer.Option(help="Metrics to compute, comma-separated.", rich_help_panel=_RULES)
    ] = None,
    min_support: MinSupport = 0.05,
    min_cases: MinCases = 10,
    missing_prediction: Annotated[
        MissingRule | None,
        typer.Option(
            help="What an unusable prediction means: the worst score, nothing, or an error.", rich_help_panel=_RULES
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Predictions are probability maps; lesion from this value on.", rich_help_panel=_RULES),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that score; all cores by default.", min=1, rich_help_panel=_RUN)
    ] = None,
    seed: Seed = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first unusable file.", rich_help_panel=_RUN)
    ] = False,
    debug: Debug = False,
) -> None:
    """Score masks, find the subgroups they are worse for, and write a report."""
    from segfair.audit import run_audit
    from segfair.intake import load_cohort

    config = _audit_config(
        protocol=protocol,
        labels=tuple(label or ()),
        attributes=attributes,
        bins=bins,
        outcome=outcome,
        metrics=metrics,
        min_support=min_support,
        min_cases=min_cases,
        missing_prediction=missing_prediction,
        threshold=threshold,
        subject_column=subject_column,
        seed=seed,
        strict=strict,
    )
    cohort = load_cohort(
        predictions,
        labels,
        metadata,
        id_column=id_column,
        sheet=sheet,
        cases=cases,
        where=where,
        missing_prediction=missing_prediction,
        subject_column=subject_column,
    )
    with _scoring(len(cohort), workers) as (executor, on_done):
        result = run_audit(cohort, config, executor=executor, on_done=on_done)
    _write(result, out)


@app.command(
    "audit-scores",
    epilog="Example: segfair audit-scores fold_0/validation/summary.json metadata.csv",
    rich_help_panel="Audit",
)
def audit_scores(
    scores: Annotated[
        Path, typer.Argument(metavar="SCORES", help="Table of one row a case, or nnU-Net's summary.json.")
    ],
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    out: Out = Path("segfair-report"),
    protocol: ProtocolName = "default",
    id_column: IdColumn = None,
    subject_column: SubjectColumn = None,
    sheet: Sheet = None,
    cases: Cases = None,
    where: Where = None,
    attributes: Attributes = None,
    bins: BinsOption = None,
    outcome: Annotated[
        str | None,
        typer.Option(help="Score columns to examine; dsc or the first column by default.", rich_help_panel=_GROUPS),
    ] = None,
    lower_is_better: Annotated[
        list[str] | None,
        typer.Option(metavar="COL", help="A column of which lower values are better.", rich_help_panel=_RULES),
    ] = None,
    min_support: MinSupport = 0.05,
    min_cases: MinCases = 10,
    seed: Seed = 0,
    debug: Debug = False,
) -> None:
    """The same audit from per-case scores that exist already."""
    from segfair.audit import run_audit
    from segfair.intake import load_score_cohort

    cohort, table = load_score_cohort(
        scores,
        metadata,
        id_column=id_column,
        sheet=sheet,
        cases=cases,
        where=where,
        subject_column=subject_column,
        lower_is_better=tuple(lower_is_better or ()),
    )
    config = _audit_config(
        protocol=protocol,
        attributes=attributes,
        bins=bins,
        outcome=outcome or ("dsc" if "dsc" in table.names else table.names[0]),
        min_support=min_support,
        min_cases=min_cases,
        subject_column=subject_column,
        seed=seed,
    )
    _write(run_audit(cohort, config, scores=table), out)


@app.command(epilog="Example: segfair report segfair-report/audit.json --out redrawn/", rich_help_panel="Audit")
def report(
    audit_json: Annotated[Path, typer.Argument(metavar="AUDIT.json", help="What segfair audit wrote.")],
    out: Out = Path("segfair-report"),
    debug: Debug = False,
) -> None:
    """Draw the report again without scoring again."""
    from segfair.results import AuditResult

    _write(AuditResult.load(audit_json), out)


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
    from segfair.protocol import load_protocol, protocol_text

    load_protocol(name)
    typer.echo(protocol_text(name), nl=False)


def _audit_config(
    *,
    protocol: str,
    attributes: str | None,
    bins: list[str] | None,
    outcome: str,
    metrics: str | None = None,
    **settings: object,
) -> AuditConfig:
    from segfair.attributes import parse_bins
    from segfair.metrics import METRICS
    from segfair.protocol import load_protocol
    from segfair.results import AuditConfig

    rules = load_protocol(protocol)
    outcomes = _split(outcome)
    if metrics is not None:
        # DSC and NormHD carry PS, FS and TS, and an outcome has to be scored to be examined.
        wanted = dict.fromkeys([*_split(metrics), *(name for name in outcomes if name in METRICS)])
        unknown = [name for name in wanted if name not in METRICS]
        if unknown:
            raise ConfigError(f"--metrics {unknown[0]}: no such metric; known are {', '.join(METRICS)}")
        rules = rules.replace(metrics=tuple(wanted))
    return AuditConfig(
        rules,
        attributes=_split(attributes) if attributes is not None else None,
        bins=dict(parse_bins(text) for text in bins or ()),
        outcomes=outcomes,
        **settings,  # type: ignore[arg-type]
    )


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


def _write(result: AuditResult, out: Path) -> None:
    from segfair.report import write_report

    page = write_report(result, out, command=_command())
    counts = result.cases
    for notice in result.notices:
        typer.echo(notice)
    typer.echo(
        f"{counts.n_scored} cases scored, {len(counts.penalised)} of them penalised, {len(counts.excluded)} excluded"
    )
    scores = "  ".join(
        f"{name} {score.value:.4f}" for name, score in result.scores.items() if score.value is not None
    )
    if scores:
        typer.echo(scores)
    typer.echo(result.verdict.sentence)
    typer.echo(f"report: {page}")


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
