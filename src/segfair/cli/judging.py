"""`plan`, `gate`, `power` and `protocol`: what needs no masks. Writes no files."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command, brief
from segfair.cli.options import LARGEST_SEED, AuditFile, AuditOptions, Debug, HelpAll, Saying, Search, Testing, spread
from segfair.cli.settings import audit_config, read_gates
from segfair.cli.terminal.results import say_gates, say_plan, say_power, say_search
from segfair.cli.terminal.voice import Voice
from segfair.errors import ConfigError


@app.command(cls=Command, epilog="Example: segfair gate report/ --gate 'FS >= 0.85'")
@spread
def gate(
    audit_json: AuditFile,
    gate: Annotated[
        list[str] | None, typer.Option(help="A gate (repeatable); without one, those the audit was made with.")
    ] = None,
    *,
    saying: Saying,
) -> None:
    """Decide gates on an audit that exists.

    Exit code 0: all passed, 1: one failed, 3: one is undecided.
    """
    from segfair.audit.judging.gates import GRAMMAR, check_gates, exit_code
    from segfair.audit.result import AuditResult

    voice = Voice("gate", saying)
    result = AuditResult.load(audit_json)
    gates = read_gates(gate or [*result.about.config.protocol.gates, *(entry.gate for entry in result.verdict.gates)])
    if not gates:
        raise ConfigError(f"--gate: {audit_json} was made without one, so name at least one: {GRAMMAR}")
    decided = check_gates(result, gates)
    say_gates(decided, voice, exit_code=exit_code(decided))
    raise typer.Exit(exit_code(decided))


@app.command(
    cls=brief("sd", "scores", "gap", "attributes", "bins", "min_cases"),
    epilog="Example: segfair power metadata.csv --gap 0.05",
)
@spread
def power(
    metadata: Annotated[Path, typer.Argument(metavar="METADATA", help="Table of patient attributes.")],
    sd: Annotated[float, typer.Option(help="Standard deviation of the outcome over cases.", min=1e-6, max=1e6)] = 0.18,
    scores: Annotated[
        Path | None, typer.Option(help="Scores of a pilot (cases.csv); their spread replaces --sd.")
    ] = None,
    outcome: Annotated[str, typer.Option(help="Column of the pilot's scores.")] = "dsc",
    gap: Annotated[float, typer.Option(help="Gap for which the number of cases is wanted.", min=1e-6, max=1e6)] = 0.05,
    attributes: Annotated[str | None, typer.Option(help="Metadata columns to use, comma-separated.")] = None,
    bins: Annotated[list[str] | None, typer.Option(help="Edges of a number, e.g. age=0,40,50,60.")] = None,
    min_support: Annotated[float, typer.Option(help="Smallest share of a subgroup.", min=1e-9, max=1.0)] = 0.05,
    min_cases: Annotated[int, typer.Option(help="Fewest cases of a group that is judged.", min=1)] = 10,
    level: Annotated[float, typer.Option(help="Family-wise error level.", min=1e-6, max=0.5)] = 0.05,
    seed: Annotated[int, typer.Option(help="Seed of everything random.", min=0, max=LARGEST_SEED)] = 0,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an XLSX file.")] = None,
    help_all: HelpAll = False,
    *,
    saying: Saying,
) -> None:
    """Say which gaps a cohort could show, before anything is scored."""
    from segfair.audit.judging.power import load_patients, pilot_spread, plan_power

    voice = Voice("power", saying)
    options = AuditOptions(
        attributes=attributes,
        bins=bins,
        search=Search(min_support=min_support, min_cases=min_cases),
        testing=Testing(level=level),
        seed=seed,
    )
    config = dataclasses.replace(audit_config(options, outcome=outcome), power_gap=gap)
    cohort = load_patients(metadata, sheet=sheet)
    deviation = sd if scores is None else pilot_spread(scores, outcome=outcome)
    levels, critical, search = plan_power(cohort, config, sd=deviation)
    voice.note(
        f"{len(cohort)} patients, standard deviation {deviation:.3f}, 80 % power at a family-wise level of {level:g}"
    )
    say_search(search, voice)
    if critical is None:
        voice.note(f"too few cases: no group has {min_cases} members and {min_cases} others")
    head = {"n_patients": len(cohort), "sd": deviation, "power": 0.8, "level": level, "gap": gap}
    say_power(levels, voice, head=head, min_cases=min_cases)


@app.command(cls=Command, epilog="Example: segfair plan study.toml patients.csv")
@spread
def plan(
    study: Annotated[Path, typer.Argument(metavar="STUDY", help="TOML file with a table [plan].")],
    metadata: Annotated[
        Path | None,
        typer.Argument(metavar="[METADATA]", help="Table of such patients: how large the planned groups are."),
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Sheet of an XLSX file.")] = None,
    *,
    saying: Saying,
) -> None:
    """Fix a study before it is seen, and how many cases it takes.

    Prints the plan, and the hash that tells it from any other.

    `segfair audit --plan STUDY` then audits as planned, and its report says so, or what differs.
    """
    from segfair.audit.judging.power import load_patients
    from segfair.errors import ConfigError
    from segfair.plan.sample_size import expected_widths
    from segfair.plan.study_plan import read_plan

    voice = Voice("plan", saying)
    planned = read_plan(study)
    if metadata is not None and planned.sample_size is None:
        raise ConfigError(f"{study}: METADATA is for [plan.sample_size], and there is none; add sd, and cases or width")
    patients = None if metadata is None else load_patients(metadata, sheet=sheet)
    widths = None
    if patients is not None or planned.tells_shares:
        widths = expected_widths(planned, patients)
    elif planned.sample_size is not None:
        voice.note("how large the groups will be is not said: add shares, or hand in METADATA, for what cases come to")
    say_plan(planned, widths, voice)


@app.command(cls=Command, epilog="Example: segfair protocol mama-mia > mine.toml")
def protocol(
    name: Annotated[str, typer.Argument(metavar="NAME", help="default, mama-mia, or a TOML file.")],
    debug: Debug = False,
) -> None:
    """Print a scoring protocol as TOML, to read or to start from."""
    from segfair.protocol.rules import load_protocol, protocol_text

    load_protocol(name)
    typer.echo(protocol_text(name), nl=False)
