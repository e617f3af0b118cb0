"""What the user says about the study (model, intended use, approver ...): a TOML file -> plain values for `audit.json`.

Interprets nothing: known keys come first, unknown ones are kept as they are.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from segfair.audit.words import clean, shorten
from segfair.documents import read_toml
from segfair.errors import ConfigError

__all__ = ["KNOWN_KEYS", "audited_name", "read_record", "text_of", "with_names"]

KNOWN_KEYS = (
    "title",
    "model",
    "version",
    "vendor",
    "device_id",
    "intended_use",
    "cohort",
    "period",
    "reference_standard",
    "approver",
    "role",
    "recommendation",
)

_LONGEST_NAME = 120


def read_record(path: Path) -> dict[str, Any]:
    """Reads the record of a study.

    Args:
        path: A TOML file; any keys and tables. Dates become ISO 8601 texts.

    Returns:
        The known keys in their usual order, then the others in the file's, without the table `[plan]`.

    Raises:
        ConfigError: The file is missing, no TOML, empty, or holds nan or infinity.
    """
    tree = read_toml(path, refusal=ConfigError, what=f"--record {path}")
    if not tree:  # what was planned is a part of its own (`segfair.plan`)
        raise ConfigError(f"--record {path}: empty; known keys are {', '.join(KNOWN_KEYS)}, others are kept")
    return _ordered({key: _plain(value, f"--record {path}, {key}") for key, value in tree.items() if key != "plan"})


def with_names(record: Mapping[str, Any], **names: str | None) -> dict[str, Any]:
    """A record with some of its keys said otherwise; None leaves a key as it is."""
    return _ordered({**record, **{key: name for key, name in names.items() if name is not None}})


def audited_name(record: Mapping[str, Any]) -> str:
    """What was audited, in a line for headings: the title, else model and cohort; empty where neither is known."""
    model = " ".join(filter(None, (text_of(record, "model"), text_of(record, "version"))))
    name = text_of(record, "title") or " · ".join(filter(None, (model, text_of(record, "cohort"))))
    return shorten(name, _LONGEST_NAME)


def text_of(record: Mapping[str, Any], key: str) -> str:
    """A known key as one line; of a table (`[model]`) its name, and its version behind it. Empty: not there."""
    value = record.get(key, "")
    if isinstance(value, Mapping):
        return " ".join(clean(value[part]) for part in ("name", "version") if part in value)
    if isinstance(value, list | tuple):
        return ", ".join(map(clean, value))
    return clean(value) if value != "" else ""


def _ordered(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in (*(key for key in KNOWN_KEYS if key in record), *record)}


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
