"""The exceptions that segfair raises on purpose.

    SegfairError
    ├── InputError          a file, folder or table that was handed in cannot be used
    │   ├── PairingError    predictions and labels do not belong together
    │   ├── GeometryError   two masks lie on different grids
    │   └── MetadataError   the metadata table cannot be read as attributes
    ├── ConfigError         settings that contradict each other or do not exist
    └── AuditError          the audit cannot be carried out on this cohort

A message says what, where, got, and what to do. Only `segfair.cli.main` catches `SegfairError`; `segfair.api` words it
in terms of Python, and raises it again.
"""

import difflib
from collections.abc import Iterable


class SegfairError(Exception):
    """Anything segfair refuses on purpose; the message is meant for the user."""


class InputError(SegfairError):
    """A file, folder or table that was handed in cannot be used."""


class PairingError(InputError):
    """Predictions and labels do not belong together."""


class GeometryError(InputError):
    """Two masks lie on different grids."""


class MetadataError(InputError):
    """The metadata table cannot be read as attributes of these cases."""


class ConfigError(SegfairError):
    """Settings that contradict each other or do not exist."""


class AuditError(SegfairError):
    """The audit cannot be carried out on this cohort."""


def close_names(name: str, names: Iterable[str]) -> str:
    """` (did you mean age?)` where a name is close to known ones, in any case; else empty."""
    by_lower = {known.casefold(): known for known in names}
    close = difflib.get_close_matches(name.casefold(), by_lower, n=3, cutoff=0.6)
    return f" (did you mean {' or '.join(by_lower[match] for match in close)}?)" if close else ""


def some(texts: Iterable[object], n_shown: int = 3) -> str:
    """The first few, each cut to a readable length, and how many more there are."""
    listed = [cut_text(str(text)) for text in texts]
    more = len(listed) - n_shown
    return ", ".join(listed[:n_shown]) + (f" and {more} more" if more > 0 else "")


def in_words(error: BaseException) -> str:
    """Why something failed, as a person may read it: one line, no number of a system call, no list of a library's."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return cut_text(next(iter(told.strip().splitlines()), "") or type(error).__name__, 200)


def damage_of(error: BaseException) -> str:
    """Why a file cannot be read: as its reader says it, unless the reader stumbled and speaks of its own code."""
    stumbled = isinstance(error, TypeError | LookupError | AttributeError | ArithmeticError | AssertionError)
    return "damaged" if stumbled else in_words(error)


def cut_text(text: str, length: int = 60) -> str:
    """At most `length` characters; dots mark a cut."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def quoted(text: str) -> str:
    """What somebody typed, between quotes, at most as much as a message can hold."""
    return cut_text(repr(text), 300)
