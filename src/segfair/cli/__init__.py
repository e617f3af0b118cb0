"""The command line: parse, one library call, print. Computes nothing.

One module a family of commands; `app` lists them all, and imports the one that is called.
"""

from segfair.cli.app import app, main

__all__ = ["app", "main"]
