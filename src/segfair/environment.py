"""What the environment tells libraries and they would stumble over, settled before they are loaded. Loads none."""

from __future__ import annotations

import os
import sys
import warnings

__all__ = ["hush_libraries", "settle_environment"]

# Seconds of ten digits last until the year 2286; a date beyond all calendars is refused by whoever reads it.
_MOST_DIGITS = 10


def settle_environment() -> None:
    """Takes back what NumPy and matplotlib read as they are imported and refuse if it makes no sense.

    `MPLBACKEND`: no window is opened here. `SOURCE_DATE_EPOCH`: no date is written here, but its digits are read.
    """
    os.environ["MPLBACKEND"] = "agg"
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "0")
    if not (epoch.isascii() and epoch.isdecimal() and len(epoch) <= _MOST_DIGITS):
        del os.environ["SOURCE_DATE_EPOCH"]


def hush_libraries() -> None:
    """Keeps warnings of Python's and of libraries from the terminal; they are for whoever asks with --debug.

    They are meant for programmers, and whoever makes errors of them (`PYTHONWARNINGS=error`) wants that of their own.
    """
    if "--debug" not in sys.argv:
        warnings.simplefilter("ignore")
