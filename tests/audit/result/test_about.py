"""Settings take a name for what it names, and refuse a share that is none."""

from __future__ import annotations

from typing import Any

import pytest

from segfair.audit.result import AuditConfig
from segfair.errors import ConfigError
from segfair.protocol.rules import load_protocol


def test_nothing_said_is_the_default_protocol() -> None:
    assert AuditConfig() == AuditConfig(load_protocol("default"))


def test_a_name_stands_for_what_it_names() -> None:
    named: dict[str, Any] = {
        "attributes": "site",
        "primary": ["site"],
        "outcomes": "iou",
        "adjust": "age",
        "labels": "2",
    }
    config = AuditConfig("mama-mia", **named)  # type: ignore[arg-type]
    assert config.protocol == load_protocol("mama-mia")
    assert (config.attributes, config.primary, config.outcomes) == (("site",), ("site",), ("iou",))
    assert (config.adjust, config.labels) == (("age",), ("2",))


@pytest.mark.parametrize(
    ("setting", "value"), [("min_support", 5), ("min_support", 0), ("level", 5), ("level", "0.05")]
)
def test_what_is_no_share_is_refused(setting: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"{setting}=.* is meant"):
        AuditConfig(**{setting: value})
    with pytest.raises(ConfigError, match="nonsense"):
        AuditConfig("nonsense")  # type: ignore[arg-type]
