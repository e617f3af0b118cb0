"""The command line: parse, one library call, print. Computes nothing.

One module a family of commands; importing one registers its commands, in the order in which help lists them.
"""

from segfair.cli import auditing, handing_over, comparing, ranking, judging, trying_out, mitigating  # noqa: F401, I001
from segfair.cli.app import app, main

__all__ = ["app", "main"]
