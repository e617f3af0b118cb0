"""Numbers of today kept in a file, so that whoever changes one by accident is told, and whoever means to sees which.

`SEGFAIR_UPDATE_GOLD=1 .venv/bin/python -m pytest tests/ROOM/test_numbers_stay.py` writes the files anew; then read
`git diff`: each changed line is a figure of an audit that a user will see change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

__all__ = ["assert_numbers_stay"]


def assert_numbers_stay(path: Path, numbers: Mapping[str, Any], *, rel: float = 1e-6) -> None:
    """Compares numbers, arrays and texts, by name, with those of a file; nan equals nan.

    Args:
        path: A JSON file below `tests/`.
        numbers: What was computed.
        rel: How much a number may differ, for other processors and libraries.
    """
    found = _flat(numbers)
    if os.environ.get("SEGFAIR_UPDATE_GOLD"):
        path.parent.mkdir(exist_ok=True)
        lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items())
        path.write_text(f"{{\n{lines}\n}}\n", "utf-8")
    expected = json.loads(path.read_text("utf-8"))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert len(found[name]) == len(values), name
        for ours, theirs in zip(map(_read, found[name]), map(_read, values), strict=True):
            if isinstance(theirs, float):
                theirs = pytest.approx(theirs, rel=rel, abs=1e-9, nan_ok=True)
            assert ours == theirs, name


def _flat(numbers: Any, name: str = "") -> dict[str, list[Any]]:
    """Names of places, and what stands there as a list."""
    if isinstance(numbers, Mapping):
        return {
            place: values
            for key, one in numbers.items()
            for place, values in _flat(one, f"{name}.{key}" if name else str(key)).items()
        }
    if isinstance(numbers, np.ndarray):
        flat = [_written(one) for one in numbers.ravel().tolist()]
        return {f"{name} {'x'.join(map(str, numbers.shape))}": flat}
    if isinstance(numbers, Sequence) and not isinstance(numbers, str):
        return {name: [_written(one) for one in np.asarray(numbers, dtype=object).ravel().tolist()]}
    return {name: [_written(numbers)]}


def _written(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.10g}") if np.isfinite(value) else str(value)
    return value if isinstance(value, str | bool | int | None) else str(value)


def _read(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value
