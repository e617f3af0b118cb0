"""Settings in terms of Python: what they become, and what cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_type_hints

import pytest

from segfair.api.options import AuditOptions, MaskOptions, RankOptions, audit_config, default_of, names_of, selection
from segfair.audit.result import AuditConfig
from segfair.errors import ConfigError
from segfair.protocol.rules import load_protocol


def test_nothing_said_is_the_default() -> None:
    assert audit_config({}) == AuditConfig(load_protocol("default"))


def test_the_defaults_that_a_signature_shows_hold() -> None:
    shown = {name: default_of(name) for name in get_type_hints(MaskOptions, localns={"Protocol": Any})}
    assert audit_config(shown) == audit_config({})
    assert (shown["min_cases"], shown["permutations"], shown["min_support"]) == (10, 2000, 0.05)
    assert selection(shown) == {}


def test_a_text_is_a_list_of_one() -> None:
    config = audit_config(
        {
            "attributes": "site",
            "primary": "age",
            "outcome": "iou",
            "numeric": "age",
            "adjust": (),
            "join": "site: a, b = c",
        }
    )
    assert config.attributes == ("site",)
    assert config.primary == ("age",)
    assert config.outcomes == ("iou",)
    assert config.read_as == {"age": "numeric"}
    assert config.adjust == ()
    assert config.join[0].texts == ("a", "b")
    assert names_of(("a", "b"), "x") == names_of(["a", "b"], "x") == ("a", "b")


def test_metrics_hold_the_outcome() -> None:
    assert audit_config({"metrics": "iou"}).protocol.metrics == ("iou", "dsc")
    assert audit_config({"protocol": load_protocol("mama-mia")}).protocol == load_protocol("mama-mia")


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("min_support", 5, "min_support=5: a share of the cases, from 0 to 1, is meant"),
        ("min_support", 0, "share"),
        ("min_support", "0.1", "share"),
        ("level", 5, "level=5: a probability"),
        ("min_cases", 0, "min_cases=0: a whole number from 1 on is meant"),
        ("min_cases", 2.5, "whole number"),
        ("min_cases", True, "whole number"),
        ("max_items", 0, "whole number"),
        ("permutations", 5, "from 19 on"),
        ("bootstrap", 5, "from 100 on"),
        ("seed", -1, "from 0 on"),
        ("failure_dsc", 50, "a DSC from 0 to 1"),
        ("power_gap", -1, "positive"),
        ("threshold", "half", "a number is meant"),
        ("missing_prediction", "keep", '"worst", "drop" or "error" is meant'),
        ("margin", 0.05, "a dictionary of positive numbers"),
        ("margin", {"dsc": -1}, "positive"),
        ("bins", [0, 1], "a dictionary is meant"),
        ("bins", {"age": [50, 0]}, "rising numbers"),
        ("bins", {"age": "0,50"}, "rising numbers"),
        ("outcome", (), "at least one metric"),
        ("attributes", [1], r"attributes=\[1\]: holds 1; a name is meant"),
        ("metrics", "dcs", r"metrics='dcs': no such metric \(did you mean dsc"),
        ("protocol", "nonsense", "protocol"),
    ],
)
def test_what_cannot_be_meant_is_refused(name: str, value: Any, meant: str) -> None:
    with pytest.raises(ConfigError, match=meant):
        audit_config({name: value})


def test_every_setting_becomes_one_of_the_audit(tmp_path: Path) -> None:
    """No name is taken and then forgotten."""
    values: dict[str, Any] = {
        "protocol": "mama-mia", "attributes": ["a"], "bins": {"a": [0, 1]}, "categorical": "b", "ordered": "c", "numeric": "d",
        "join": "a: b = c", "min_cases": 4, "permutations": 20, "bootstrap": 101, "seed": 3, "primary": "a", "margin": {"dsc": 1},
        "stratify": "e", "adjust": "f", "min_support": 0.2, "max_items": 2, "level": 0.1, "failure_dsc": 0.2, "power_gap": 0.2,
        "outcome": "iou", "metrics": "iou", "label": 2, "missing_prediction": "drop", "threshold": 0.5, "derive": True,
        "strict": True, "subject_column": "g", "lesions": "brats", "unit": "lesion", "other_tools": True,
    }  # fmt: skip
    plan = tmp_path / "study.toml"
    plan.write_text("[plan]\nseed = 9\n", "utf-8")
    values["plan"] = plan
    chosen = {"id_column": "h", "sheet": "i", "cases": "j", "where": "k", "subject_column": "g"}
    of_files = {"dicom_series", "dicom_attributes"}
    assert values.keys() | chosen.keys() | of_files == get_type_hints(MaskOptions, localns={"Protocol": Any}).keys()
    default = audit_config({})
    for name, value in values.items():
        assert audit_config({name: value}) != default, name
    assert selection({**values, **chosen}) == chosen
    assert RankOptions.__annotations__.keys() < AuditOptions.__annotations__.keys() < MaskOptions.__annotations__.keys()
