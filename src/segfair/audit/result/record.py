"""What the user says about the study (model, intended use, approver ...): a TOML file -> plain values for `audit.json`.

Interprets nothing: known keys come first, unknown ones are kept as they are.
"""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

from segfair.documents import read_toml
from segfair.errors import ConfigError

__all__ = ["KNOWN_KEYS", "read_record"]

KNOWN_KEYS = (
    "model",
    "version",
    "vendor",
    "device_id",
    "intended_use",
    "cohort",
    "period",
    "reference_standard",
    "approver",
)


def read_record(path: Path) -> dict[str, Any]:
    """Reads the record of a study.

    Args:
        path: A TOML file; any keys and tables. Dates become ISO 8601 texts.

    Returns:
        The known keys in their usual order, then the others in the file's.

    Raises:
        ConfigError: The file is missing, no TOML, empty, or holds nan or infinity.
    """
    tree = read_toml(path, refusal=ConfigError, what=f"--record {path}")
    if not tree:
        raise ConfigError(f"--record {path}: empty; known keys are {', '.join(KNOWN_KEYS)}, others are kept")
    plain = {key: _plain(value, f"--record {path}, {key}") for key, value in tree.items()}
    return {key: plain[key] for key in (*(key for key in KNOWN_KEYS if key in plain), *plain)}


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry, f"{where}.{key}") for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry, where) for entry in value]
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {value} is no number that audit.json can hold; leave it out")
    return value
