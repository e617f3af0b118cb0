"""Which epochs of a training are audited. Knows no loop."""

from __future__ import annotations

from segfair.errors import ConfigError

__all__ = ["Schedule"]


class Schedule:
    """Every N-th epoch; where an epoch is not validated, the next one that is takes its place.

    Args:
        every: N.

    Raises:
        ConfigError: No whole number from 1 on.
    """

    def __init__(self, every: int) -> None:
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ConfigError(f"every={every!r}: a whole number from 1 on is meant")
        self._every = every
        self._last = 0

    def is_due(self, epoch: int) -> bool:
        """Whether a validated epoch, counted from 1, is audited; a training that begins anew starts over."""
        last = self._last if self._last < epoch else 0
        self._last = epoch
        return epoch // self._every > last // self._every
