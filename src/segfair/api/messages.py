"""What the rooms below say to users of the command line, in terms of Python. Raises what they raise, under its type."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from segfair.errors import SegfairError
from segfair.remote import shown

__all__ = ["in_python", "python_terms"]

# Options that are called otherwise in Python.
_NAMES: Mapping[str, str] = {"gap": "power_gap", "out": "folder"}
_LENGTHS = re.compile(r"--spacing ((?:X Y(?: Z)?|[\d.]+(?: [\d.]+)+)(?: \[Z\])?)")
# Words after an option that are its value; others go on with the sentence.
_VALUED = re.compile(r"--([a-z][a-z0-9-]*)[ =](?=[A-Z0-9'\"{]|(?:any|worst|drop|none|tree)\b)")
_FIRST = re.compile(r"^--([a-z][a-z0-9-]*) (?=[^ ])")
_OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")


def in_python(text: str) -> str:
    """A message with keywords in place of options: `--max-items 0` becomes `max_items=0`.

    >>> in_python("--primary age: not an attribute; give the size with --spacing X Y [Z], or leave out --strict")
    'primary=age: not an attribute; give the size with spacing=(X, Y, Z), or leave out strict'
    """

    def lengths(found: re.Match[str]) -> str:
        return f"spacing=({', '.join(found[1].replace('[', '').replace(']', '').split())})"

    text = _LENGTHS.sub(lengths, text)
    text = _FIRST.sub(lambda found: f"{_keyword(found[1])}=", text)
    text = _VALUED.sub(lambda found: f"{_keyword(found[1])}=", text)
    return _OPTION.sub(lambda found: _keyword(found[1]), text)


def _keyword(option: str) -> str:
    return _NAMES.get(option, option.replace("-", "_"))


@contextmanager
def python_terms() -> Iterator[None]:
    """Whatever segfair refuses within is refused in terms of Python, arrays by the names that they were given.

    Raises:
        SegfairError: Of the type that was raised.
    """
    try:
        yield
    except SegfairError as error:
        text = in_python(shown(str(error)))
        if text == str(error):
            raise
        raise type(error)(text) from error
