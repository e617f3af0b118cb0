"""Ctrl-C, SIGTERM and SIGHUP end a command alike: what was begun is tidied up, and the exit code tells which it was.

Imports nothing that takes time: signals are heeded before anything else is loaded.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["exit_code", "heed_signals", "leave_signals_alone"]

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_heeded: list[signal.Signals] = []
_heard: list[int] = []


def heed_signals() -> None:
    """From now on each of the three raises KeyboardInterrupt once; what is ignored (`nohup`) stays ignored.

    A second one while the first is being obeyed changes nothing: tidying up is short, and half of it is worse.
    """
    _heard.clear()
    _heeded[:] = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    for number in _heeded:
        signal.signal(number, _stop)


def leave_signals_alone() -> None:
    """In a worker process: Ctrl-C is its parent's to obey, who ends it by SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def exit_code() -> int | None:
    """128 and the number of the signal that was heard; None: none was."""
    return 128 + _heard[0] if _heard else None


def _stop(number: int, frame: FrameType | None) -> None:
    _heard.append(number)
    for heeded in _heeded:
        signal.signal(heeded, signal.SIG_IGN)
    raise KeyboardInterrupt


def _as_by_default() -> None:
    """In a forked child, which others may have made: whoever ends it by SIGTERM (a pool, a loader) has to succeed."""
    for number in _heeded:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_as_by_default)
