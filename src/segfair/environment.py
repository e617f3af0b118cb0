"""What the environment tells libraries and they would stumble over, settled before they are loaded. Loads none."""

from __future__ import annotations

import os
import sys
import warnings

__all__ = ["TORCH_BYTES", "hush_libraries", "memory_limit", "settle_environment", "too_little_memory"]

# Seconds of ten digits last until the year 2286; a date beyond all calendars is refused by whoever reads it.
_MOST_DIGITS = 10
_LEAST_BYTES = 320_000_000
TORCH_BYTES = 2_000_000_000
"""What torch, MONAI and the smallest training take of addresses; with fewer a library of theirs crashes as it loads."""


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


def memory_limit() -> int | None:
    """The bytes of addresses that the process may have (`ulimit -v`); None without a limit, and on Windows."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return None if limit == resource.RLIM_INFINITY else limit


def too_little_memory(least: int = _LEAST_BYTES) -> str:
    """What to say where the process may not have the memory that a command takes at least; empty where it may.

    Args:
        least: Bytes of addresses; by default those without which OpenBLAS asks for the same memory for ever, while
            SciPy is loaded and no signal is heeded.
    """
    limit = memory_limit()
    if limit is None or limit >= least:
        return ""
    return (
        f"not enough memory for this: {limit // 1_000_000:,} MB are allowed, and it takes at least"
        f" {least // 1_000_000:,} MB; allow more (ulimit -v)"
    )
