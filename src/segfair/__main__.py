"""`python -m segfair`, and `segfair`: signals are heeded before the command line is loaded."""

import sys

from segfair.environment import hush_libraries, settle_environment
from segfair.signals import exit_code, heed_signals, obeyed


def main() -> None:
    """Runs the command line."""
    heed_signals()
    settle_environment()
    hush_libraries()
    try:
        from segfair.cli.app import main as command_line

        command_line()
    except KeyboardInterrupt:
        obeyed()
        sys.exit(exit_code())


if __name__ == "__main__":
    main()
