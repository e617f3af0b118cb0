"""Standard output and standard error: any text gets through, and what cannot be written is told once, as an error."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterable

from segfair.errors import SegfairError, in_words

__all__ = ["OutletError", "close_outlets", "open_outlets"]


class OutletError(SegfairError):
    """What was to be said could not be written where it was sent."""


class _Outlet(io.TextIOWrapper):
    """A stream that has no doubts about characters, and errors of its own."""

    def write(self, text: str) -> int:
        try:
            return super().write(text)
        except OSError as error:
            raise _refusal(error) from error

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        try:
            super().flush()
        except OSError as error:
            raise _refusal(error) from error


def _refusal(error: OSError) -> OutletError:
    if error.errno == errno.EPIPE:
        return OutletError("standard output: closed by its reader before everything was said")
    return OutletError(f"standard output: cannot be written ({in_words(error)}); send it elsewhere")


def open_outlets() -> None:
    """Makes both streams outlets; a terminal that knows no minus sign gets a question mark.

    What has no UTF-8 (names of files may hold any bytes) is a question mark as well.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if type(stream) is io.TextIOWrapper:
            encoding, buffered = stream.encoding, not stream.line_buffering
            setattr(sys, name, _Outlet(stream.detach(), encoding, "replace", line_buffering=not buffered))


def close_outlets() -> None:
    """Writes what is left.

    Raises:
        OutletError: It cannot be written. What Python would try again at its end then goes nowhere.
    """
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            if stream is not None:
                stream.flush()
        except OutletError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
            if number == 1:
                raise
