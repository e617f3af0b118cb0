"""The rule of lesions in a protocol: presets, files, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from segfair.errors import ConfigError
from segfair.protocol.rules import LESION_RULES, LesionRule, Protocol, lesion_rule, load_protocol


def test_presets_are_what_their_authors_set() -> None:
    assert lesion_rule("brats") == LesionRule("brats", 26, dilation=3, min_size=50.0, penalty=374.0)
    assert lesion_rule("panoptica") == LesionRule("panoptica", 26, overlap=0.5)
    assert lesion_rule("voronoi") == LesionRule("voronoi", 26)


@pytest.mark.parametrize("name", LESION_RULES)
def test_a_protocol_with_lesions_comes_back(name: str) -> None:
    protocol = load_protocol("default").with_lesions(name)
    assert Protocol.from_dict(protocol.to_dict()) == protocol
    plain = dataclasses.replace(protocol.lesions, connectivity=6, penalty="diagonal")
    if name == "brats":
        plain = dataclasses.replace(plain, dilation=0, min_size=0.0)
    changed = protocol.replace(lesions=plain)
    assert Protocol.from_dict(changed.to_dict()).lesions == plain
    assert changed.digest != protocol.digest != load_protocol("default").digest


def test_a_file_sets_what_differs_and_scores_what_the_rule_has(tmp_path: Path) -> None:
    path = tmp_path / "met.toml"
    path.write_text('format = 1\nname = "met"\n[lesions]\nrule = "brats"\ndilation = 1\nmin_size = 2\n')
    protocol = load_protocol(path)
    assert protocol.lesions == LesionRule("brats", dilation=1, min_size=2.0, penalty=374.0)
    assert protocol.metrics[-5:] == protocol.lesions.metrics
    assert protocol.with_lesions("brats") is protocol, "what the file sets stays"
    other = protocol.with_lesions("panoptica")
    assert other.lesions == lesion_rule("panoptica")
    assert other.metrics.count("lesion_dsc") == 1
    path.write_text('format = 1\nname = "met"\nmetrics = ["dsc"]\n[lesions]\nrule = "brats"\n')
    assert load_protocol(path).metrics == ("dsc",)


@pytest.mark.parametrize(
    ("lesions", "told"),
    [
        ({"rule": "brats", "connectivity": 7}, r"\[lesions\] connectivity: expected 6, 18 or 26, got 7"),
        ({"rule": "brat"}, r"\[lesions\] rule: expected none or brats"),
        (
            {"rule": "voronoi", "dilation": 3},
            r"\[lesions\] dilation: belongs to the rule brats, and the rule is voronoi",
        ),
        ({"rule": "brats", "penalty": "x"}, r"\[lesions\] penalty: expected \"diagonal\" or a number above 0"),
        ({"rule": "brats", "penalty": 0}, r"\[lesions\] penalty: expected"),
        ({"rule": "brats", "dilation": -1}, r"\[lesions\] dilation: expected a whole number from 0 on"),
        ({"rule": "panoptica", "overlap": 0.3}, r"\[lesions\] overlap: expected a number from 0.5 to 1"),
        ({"rule": "panoptica", "iou": 0.5}, r"\[lesions\]: unknown key iou"),
        ("brats", r"\[lesions\]: expected a table"),
    ],
)
def test_what_cannot_be_meant(lesions: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        Protocol.from_dict({"name": "own", "lesions": lesions})


def test_no_such_rule() -> None:
    with pytest.raises(ConfigError, match=r"lesions brat: no such rule .did you mean brats"):
        load_protocol("default").with_lesions("brat")
