"""`phantom`: the embedded cohort. Scores nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.options import Debug


@app.command(epilog="Example: segfair phantom demo/ --cases 60 --seed 1")
def phantom(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the cohort to.")],
    cases: Annotated[int, typer.Option(help="Number of cases.", min=1)] = 60,
    size: Annotated[tuple[int, int, int], typer.Option(metavar="X Y Z", help="Voxels along each axis.")] = (
        64,
        64,
        48,
    ),
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same cohort.")] = 0,
    mechanism: Annotated[
        str,
        typer.Option(help="What is planted: faint, moderate, texture, three-attribute, rim, hidden (tutorial)."),
    ] = "faint",
    no_bias: Annotated[bool, typer.Option("--no-bias", help="A model that serves everybody alike.")] = False,
    debug: Debug = False,
) -> None:
    """Write a synthetic breast MRI cohort with predictions of a weak model and a planted bias."""
    from segfair.phantom import write_phantom

    write_phantom(directory, n_cases=cases, size=size, seed=seed, bias=not no_bias, mechanism=mechanism)
    typer.echo(f"{cases} cases in {directory}; audit them with:")
    typer.echo(f"  segfair audit {directory}/preds {directory}/labels {directory}/metadata.csv")
