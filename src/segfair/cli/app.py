"""The command line itself: the one app, and the only place where errors become exit codes. Runs no command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from segfair import __version__
from segfair.errors import SegfairError
from segfair.remote import shown

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


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    """For whom is a segmentation model worse, is that real, and what makes it fairer?"""
    if version:
        typer.echo(f"segfair {__version__}")
        raise typer.Exit


def main() -> None:
    """Runs the command line; the exit codes are 0, 1, 2, 3, 70 and 130."""
    debug = "--debug" in sys.argv
    try:
        app(standalone_mode=True)
    except SegfairError as error:
        if debug:
            raise
        typer.echo(f"segfair: {shown(str(error))}", err=True)
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
