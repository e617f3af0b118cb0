"""Ctrl-C, SIGTERM and SIGHUP as a wish that a training grants after the step at hand, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from segfair.mitigation.training.ranks import Ranks
from segfair.signals import ENDING, note_signal

__all__ = ["Interrupted", "StopWish", "interruptible"]


_ALWAYS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 - not an error: the user asked for it
    """The training stands after a finished step and should be saved."""


class StopWish:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.wished = False

    def check(self, ranks: Ranks) -> None:
        """Raises Interrupted in every process once one of them was asked to stop."""
        if any(ranks.gather(self.wished)):
            raise Interrupted


@contextmanager
def interruptible() -> Iterator[StopWish]:
    """Catches the first signal that ends a command as a wish; the second does what it always does.

    A hang-up that is ignored (`nohup`) stays ignored. Outside of the main thread signals are left alone.
    """
    stop = StopWish()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    # A handler that was not installed from Python reads as None.
    handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in ENDING}
    before = {
        number: handler for number, handler in handlers.items() if number in _ALWAYS or handler is not signal.SIG_IGN
    }

    def wish(number: int, frame: FrameType | None) -> None:
        stop.wished = True
        note_signal(number)
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, wish)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
