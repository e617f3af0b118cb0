"""Ctrl-C, SIGTERM and SIGHUP end a command alike: what was begun is tidied up, and the exit code tells which it was.

Imports nothing that takes time: signals are heeded before anything else is loaded.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["exit_code", "heed_signals", "leave_signals_alone"]

_ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_heard: list[int] = []
_resets_children = False


def heed_signals() -> None:
    """From now on each of the three raises KeyboardInterrupt once; what is ignored (`nohup`) stays ignored.

    A second one while the first is being obeyed changes nothing: tidying up is short, and half of it is worse.
    """
    global _resets_children
    if not _resets_children and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_as_by_default)
        _resets_children = True
    _heard.clear()
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def leave_signals_alone() -> None:
    """In a worker process: Ctrl-C is its parent's to obey, who ends it by SIGTERM."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)


def exit_code() -> int | None:
    """128 and the number of the signal that was heard; None: none was."""
    return 128 + _heard[0] if _heard else None


def _as_by_default() -> None:
    """In a forked child, which others may have made: whoever ends it by SIGTERM (a pool, a loader) has to succeed."""
    for number in _ENDING:
        if signal.getsignal(number) is _stop or _heard:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def _stop(number: int, frame: FrameType | None) -> None:
    _heard.append(number)
    for other in _ENDING:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
