"""`phantom`: the embedded cohort. Scores nothing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from segfair.cli.app import app
from segfair.cli.commands import Command
from segfair.cli.options import LARGEST_SEED, Saying, spread
from segfair.cli.terminal.voice import Answer, Voice
from segfair.errors import ConfigError, InputError, in_words

MOST_VOXELS = 512**3
"""Ten volumes of as many numbers are held while a case is made: some 10 GB."""


@app.command(cls=Command, epilog="Example: segfair phantom demo/ --cases 60 --seed 1")
@spread
def phantom(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write the cohort to.")],
    cases: Annotated[int, typer.Option(help="Number of cases.", min=1, max=1_000_000)] = 60,
    size: Annotated[tuple[int, int, int], typer.Option(metavar="X Y Z", help="Voxels along each axis.")] = (
        64,
        64,
        48,
    ),
    seed: Annotated[int, typer.Option(help="Seed; the same seed gives the same cohort.", min=0, max=LARGEST_SEED)] = 0,
    mechanism: Annotated[
        str,
        typer.Option(help="What is planted: faint, moderate, texture, three-attribute, rim, hidden (tutorial)."),
    ] = "faint",
    no_bias: Annotated[bool, typer.Option("--no-bias", help="A model that serves everybody alike.")] = False,
    *,
    saying: Saying,
) -> None:
    """Write a synthetic cohort with a weak model and a planted bias."""
    from segfair.phantom import write_phantom

    voice = Voice("phantom", saying)
    if math.prod(map(abs, size)) > MOST_VOXELS:
        raise ConfigError(f"--size {' '.join(map(str, size))}: at most {MOST_VOXELS:,} voxels a case are made")
    try:
        write_phantom(directory, n_cases=cases, size=size, seed=seed, bias=not no_bias, mechanism=mechanism)
    except InputError as error:
        if (cause := error.__cause__) is None:
            raise
        raise InputError(f"{directory}: cannot be written ({in_words(cause)}); name another folder") from error
    except RecursionError as error:
        raise InputError(f"{directory}/truth.json: is none of ours, nested too deep; name another folder") from error
    inputs = {name: f"{directory}/{name}" for name in ("preds", "labels", "metadata.csv")}
    lines = (f"{cases} cases in {directory}; audit them with:", f"  segfair audit {' '.join(inputs.values())}")
    voice.answer(Answer({"n_cases": cases, "files": inputs}, lines))
