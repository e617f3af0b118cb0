"""Protocols read, written, overridden and refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import tomli_w

from segfair.errors import ConfigError
from segfair.protocol.rules import (
    PROTOCOL_NAMES,
    Protocol,
    load_protocol,
    parse_label_values,
    protocol_text,
)


@pytest.mark.parametrize("name", PROTOCOL_NAMES)
def test_a_protocol_survives_its_own_toml(name: str, tmp_path: Path) -> None:
    protocol = load_protocol(name)
    path = tmp_path / "copy.toml"
    path.write_text(tomli_w.dumps(protocol.to_dict()), "utf-8")
    assert load_protocol(path) == protocol
    assert load_protocol(path).digest == protocol.digest


def test_mama_mia_is_the_challenges() -> None:
    protocol = load_protocol("mama-mia")
    assert protocol.label.overlap == (1,)
    assert protocol.label.surface == "any"
    assert protocol.surface.image_border == "none"
    assert (protocol.normhd.unit, protocol.normhd.scale, protocol.normhd.clip) == ("voxels", 150.0, False)
    assert protocol.empty.both_dsc == 0.0
    assert protocol.grid.match == "shape"
    assert protocol.fairness.levels == "all"
    assert protocol.listed_only
    assert protocol.attributes["age"].labels == ("0-40", "41-50", "51-60", "61-70", "71+")
    assert protocol.attributes["menopause"].contains[0] == ("peri", "pre")


def test_a_file_changes_only_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('format = 1\nname = "mine"\n[normhd]\nscale = 100\n', "utf-8")
    mine, default = load_protocol(path), load_protocol("default")
    assert mine.normhd.scale == 100.0
    assert mine.normhd.clip == default.normhd.clip
    assert mine.metrics == default.metrics
    assert mine.digest != default.digest


def test_the_printed_text_is_the_protocol() -> None:
    assert tomllib.loads(protocol_text("mama-mia"))["name"] == "mama-mia"
    assert "#" in protocol_text("default"), "comments explain the keys"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 2", "format is 2"),
        ("format = 1\nname = 3", "broken.toml, name: expected a text, got 3"),
        ("format = 1\nsurprise = 1", "unknown key surprise"),
        ("format = 1\n[normhd]\nunit = 'feet'", "expected mm or voxels or px, got 'feet'"),
        ("format = 1\n[normhd]\nscale = 'big'", "expected a number above 0, got 'big'"),
        ("format = 1\n[normhd]\nclip = 1", "expected true or false, got 1"),
        ("format = 1\nmetrics = 'dsc'", "expected a list of texts"),
        ("format = 1\n[regions]\nall = 'any'", "name the label values"),
        ("format = 1\n[label]\noverlap = '0'", "0 is the background"),
        ("format = 1\n[attributes.listed.age]\nedges = [5, 1]", "must rise"),
        ("format = 1\n[attributes.listed.age]\nedges = [1, 5]\nlabels = ['a', 'b']", "make 1 bins, got 2 labels"),
        ("format = 1\n[gates]\nrequires = ['FS >= 0.8']", "unknown key requires; known are require"),
        ("format = 1\n[gates]\nrequire = 'FS >= 0.8'", "expected a list of texts"),
        ("format = 1\ngates = ['FS >= 0.8']", "expected a table"),
        ("format = ", "not TOML"),
    ],
)
def test_what_is_wrong_is_said(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        load_protocol(path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="default, mama-mia"):
        load_protocol("mamma-mia")


@pytest.mark.parametrize(("text", "values"), [("any", "any"), ("1", (1,)), ("1, 2", (1, 2)), (4, (4,))])
def test_label_values(text: str | int, values: object) -> None:
    assert parse_label_values(text) == values


def test_replace_leaves_the_original() -> None:
    protocol = load_protocol("default")
    assert protocol.replace(name="other").name == "other"
    assert protocol.name == "default"
    assert isinstance(protocol, Protocol)


def test_gates_are_kept_but_score_nothing(tmp_path: Path) -> None:
    path = tmp_path / "gated.toml"
    path.write_text('format = 1\n[gates]\nrequire = ["FS >= 0.85", "coverage >= 0.98"]\n', "utf-8")
    gated, default = load_protocol(path), load_protocol("default")
    assert gated.gates == ("FS >= 0.85", "coverage >= 0.98")
    assert gated.digest == default.digest
    assert Protocol.from_dict(gated.to_dict()) == gated
    assert "gates" not in default.to_dict()
