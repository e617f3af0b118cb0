"""Which voxels count: the option, the protocol file, dataset.json, the named protocol, in that order."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import segfair
from segfair.audit.choices.labels import label_notices, resolve_protocol
from segfair.audit.result import AuditConfig
from segfair.cases import Cohort
from segfair.errors import ConfigError
from segfair.protocol.rules import Protocol, load_protocol

LESION = {"lesion": (2,)}
NESTED = {"whole": (1, 2), "core": (2,)}


def file(tmp_path: Path, text: str) -> Protocol:
    path = tmp_path / "ours.toml"
    path.write_text(f'format = 1\nname = "ours"\n{text}')
    return load_protocol(path)


def resolved(
    protocol: Protocol, *labels: str, names: dict[str, tuple[int, ...]] | None = None, ignore: int | None = None
):
    found = resolve_protocol(
        AuditConfig(protocol, labels=labels), Cohort((), label_names=names or {}, ignore_label=ignore)
    )
    return found.label.overlap, dict(found.regions), found.ignore_label, found.label.surface


DEFAULT, MAMA_MIA = load_protocol("default"), load_protocol("mama-mia")


@pytest.mark.parametrize(
    ("text", "labels", "names", "ignore", "expected"),
    [
        # the ignore label holds whatever says which values count
        ("[label]\nignore = 9", (), {}, None, ((1,), {}, 9, "overlap")),
        ("[label]\nignore = 9", ("1",), {}, None, ((1,), {}, 9, "overlap")),
        ("[label]\nignore = 9", ("les=1",), {}, None, ((1,), {"les": (1,)}, 9, "overlap")),
        ("[label]\nignore = 9", (), {"lesion": (1,)}, None, ((1,), {}, 9, "overlap")),
        ("", (), {"lesion": (1,)}, 9, ((1,), {}, 9, "overlap")),
        ("", ("any",), {"lesion": (1,)}, 9, ("any", {}, 9, "overlap")),
        ('[regions]\nlesion = "1"', (), {"lesion": (1,)}, 9, ((1,), {"lesion": (1,)}, 9, "overlap")),
        ('[label]\noverlap = "any"', (), {"lesion": (1,)}, 9, ("any", {}, 9, "overlap")),
        ('[label]\nsurface = "any"', (), {"lesion": (1,)}, 9, ((1,), {}, 9, "any")),
        ("[label]\nignore = 8", (), {"lesion": (1,)}, 9, ((1,), {}, 8, "overlap")),
        # option, file, data set, named protocol
        ('[label]\noverlap = "3"', ("4",), LESION, None, ((4,), {}, None, "overlap")),
        ('[label]\noverlap = "3"', (), LESION, None, ((3,), {}, None, "overlap")),
        ('[label]\noverlap = "1"', (), LESION, None, ((1,), {}, None, "overlap")),
        ("", (), LESION, None, ((2,), {}, None, "overlap")),
        ("", (), NESTED, None, ((1,), NESTED, None, "overlap")),
        ("[regions]", (), NESTED, None, ((1,), NESTED, None, "overlap")),
        ('[regions]\na = "1"', ("5",), NESTED, None, ((5,), {}, None, "overlap")),
        ("", (), {}, None, ((1,), {}, None, "overlap")),
    ],
)
def test_who_decides(tmp_path: Path, text: str, labels, names, ignore, expected) -> None:
    assert resolved(file(tmp_path, text), *labels, names=names, ignore=ignore) == expected


def test_the_named_protocols_give_way_to_the_data_set() -> None:
    assert resolved(MAMA_MIA, names={"tumour": (1,)}, ignore=9) == ((1,), {}, 9, "any")
    assert resolved(MAMA_MIA, names=LESION) == ((2,), {}, None, "any")
    assert resolved(DEFAULT, names=LESION) == ((2,), {}, None, "overlap")


def test_what_is_ignored_is_not_scored(tmp_path: Path) -> None:
    for protocol, labels in ((DEFAULT, ("9",)), (DEFAULT, ("a=1,9",)), (file(tmp_path, '[label]\noverlap = "9"'), ())):
        with pytest.raises(ConfigError, match="label 9: is the ignore label"):
            resolved(protocol, *labels, ignore=9)


@pytest.mark.parametrize(
    ("text", "labels", "notices"),
    [
        ("", (), ("labels: lesion = 2, as dataset.json names them", "voxels of label 9 count nowhere, as dataset.json says")),
        ("", ("2",), ("voxels of label 9 count nowhere, as dataset.json says",)),
        (
            '[label]\noverlap = "1"\nignore = 7',
            (),
            (
                "labels: 1, as the protocol ours says; dataset.json names lesion = 2",
                "voxels of label 7 count nowhere, as the protocol ours says",
            ),
        ),
    ],
)  # fmt: skip
def test_who_decided_is_said(tmp_path: Path, text: str, labels: tuple[str, ...], notices: tuple[str, ...]) -> None:
    config = AuditConfig(file(tmp_path, text), labels=labels)
    cohort = Cohort((), label_names=LESION, ignore_label=9)
    assert label_notices(config, cohort, resolve_protocol(config, cohort)) == notices


def test_a_saved_protocol_equals_the_one_it_was_made_from() -> None:
    assert Protocol.from_dict(MAMA_MIA.to_dict()) == MAMA_MIA
    assert not MAMA_MIA.chosen


def test_a_region_given_twice_is_refused() -> None:
    """The second would silently take the place of the first."""
    config = AuditConfig(load_protocol("default"), labels=("a=1", "a=2"))
    with pytest.raises(ConfigError, match="--label a=2: region a is given twice"):
        resolve_protocol(config, Cohort(()))


def test_a_region_that_no_label_holds_is_refused(embedded: Cohort) -> None:
    few = dataclasses.replace(embedded, cases=embedded.cases[:12])
    config = AuditConfig(load_protocol("default"), labels=("whole=1", "other=2"))
    with pytest.raises(ConfigError, match="--label other=2: no label holds it"):
        segfair.run_audit(few, config)
