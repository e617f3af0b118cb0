"""Ctrl-C, SIGTERM and SIGHUP end a command alike: what was begun is tidied up, and the exit code tells which it was.

Imports nothing that takes time: signals are heeded before anything else is loaded.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType
from typing import Any

__all__ = ["ENDING", "Ended", "as_worker", "exit_code", "heed_signals", "note_signal", "obeyed"]

ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""The signals that end a command."""
_TIDYING_S = 10
_heeded: list[signal.Signals] = []
_heard: list[int] = []
_raised: list[int] = []


class Ended(KeyboardInterrupt):
    """A signal that ends a command was heard.

    Of its own kind: Python dies by SIGINT, whatever the exit code, where a plain KeyboardInterrupt has come through a
    text that `exec` runs, as those of data classes are while modules are imported.
    """


def heed_signals() -> None:
    """From now on each of the three raises a KeyboardInterrupt; what is ignored (`nohup`) stays ignored.

    Another one while the first is being obeyed changes nothing: tidying up is short, and half of it is worse. Where
    the first was lost in somebody else's code that catches everything, as modules that are imported may, it is raised
    again until `obeyed` says that it has come through.
    """
    _heard.clear()
    _raised.clear()
    _heeded[:] = [number for number in ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    for number in _heeded:
        signal.signal(number, _stop)


def as_worker() -> None:
    """In a worker process: Ctrl-C is its parent's to obey, who ends it by SIGTERM; and where that dies, it ends too."""
    import multiprocessing

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def note_signal(number: int) -> None:
    """A signal that somebody else obeys; the exit code of a command is that of the first."""
    if number in _heeded:
        _heard.append(number)


def obeyed() -> None:
    """The command is at its end: whatever comes now changes nothing."""
    if _raised and hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)


def exit_code() -> int | None:
    """128 and the number of the signal that was heard; None: none was."""
    return 128 + _heard[0] if _heard else None


def _stop(number: int, frame: FrameType | None) -> None:
    note_signal(number)
    if not _raised:
        _raised.append(number)
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, _again)
            signal.setitimer(signal.ITIMER_REAL, _TIDYING_S, _TIDYING_S)
        raise Ended


def _again(number: int, frame: FrameType | None) -> None:
    raise Ended


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _as_by_default() -> None:
    """In a forked child, which others may have made: whoever ends it by SIGTERM (a pool, a loader) has to succeed."""
    for number in _heeded:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_as_by_default)
