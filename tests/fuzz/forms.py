"""What a fuzzed reader is: how bytes become its file, how the file is read, and what may come of it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segfair.errors import SegfairError

__all__ = ["Form", "Outcome", "attempt"]

Outcome = Literal["read", "refused"]

# Words of Python's, of which nobody can make anything.
_PYTHON = re.compile(
    r"Traceback|\b(Type|Value|Key|Index|Attribute|Overflow|Unicode\w*|Recursion|ClassValidation|Memory)Error\b|NoneType|<class "
)
_LONGEST = 3000


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of input to a reader.

    Attributes:
        name: Of the file; for an expression, the option that takes it.
        read: Reads the file, looks at what came of it, and returns it.
        seeds: Small valid inputs.
        pack: Makes the content of the file from an input: compresses it, or puts it where the format has it, so that
            not every change is caught by a checksum.
        named: What a refusal may name in place of the file, such as the option that takes the text.
    """

    name: str
    read: Callable[[Path], object]
    seeds: tuple[bytes, ...]
    pack: Callable[[bytes], bytes] = bytes
    named: tuple[str, ...] = ()


def attempt(form: Form, content: bytes, folder: Path) -> Outcome:
    """Has an input read.

    Args:
        form: What it is.
        content: The input.
        folder: Where the file is put.

    Raises:
        AssertionError: It was refused in words of Python's or without a word of the file, or memory was taken for
            what a file only claims.
        Exception: Whatever else left the reader; each is a fault.
    """
    path = folder / form.name
    path.write_bytes(form.pack(content))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a third party warns of helps nobody
            form.read(path)
    except SegfairError as error:
        told = str(error)
        assert not any(isinstance(cause, MemoryError) for cause in _causes(error)), f"memory ran out: {told}"
        assert any(name in told for name in (form.name, *form.named)), f"does not say which file: {told}"
        assert len(told) < _LONGEST, f"{len(told)} characters: {told[:200]}"
        assert not _PYTHON.search(told.replace(form.name, "")), f"words of Python's: {told}"
        return "refused"
    return "read"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
