"""Ids and places in texts and in names of levels: found however they are written, and nothing else is."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit, changed

from segfair.audit.result import AuditResult
from segfair.handover.deliver import deliver, prepare
from segfair.handover.disclosure import share
from segfair.handover.pseudonyms import pseudonymise, pseudonyms
from segfair.handover.redaction import NO_PLACE, CaseIds, rename_each, rewrite, without_places

KEY = b"k" * 32


@pytest.mark.parametrize(
    "place",
    [
        "/home/alice/data",
        "/home/Alice Smith/my data/x.nii.gz",
        "/mnt/pacs-3",
        "~/data",
        "~alice/data",
        "$HOME/data",
        "${HOME}/data",
        "home/alice/data",
        r"C:\Users\Alice Smith\data",
        "D:/studies/alice",
        r"\\pacs\share\alice",
        r"\\\\pacs\\share\\alice",
        r"%USERPROFILE%\alice",
        "file:///home/alice/x",
        "smb://pacs/alice",
        "s3://bucket/alice/x",
    ],
)
@pytest.mark.parametrize("frame", ["{}", "stored in {}", "see ({}), 2024", "path:{}; and more", '"{}" of 2024'])
def test_a_place_is_replaced_and_what_stands_around_it_stays(place: str, frame: str) -> None:
    assert without_places(frame.format(place)) == frame.format(NO_PLACE)


@pytest.mark.parametrize(
    "text",
    [
        "1/2 of the cases",
        "score 3 /5",
        "5 mm/s",
        "and/or",
        "w/ contrast",
        "male / female",
        "https://example.org/~alice/model?x=1",
        "nnU-Net 2.5.1, fold 0",
        "ratio 3:4",
        "2024-01-31T10:00:00",
        "doi:10.1000/182",
        "",
    ],
)
def test_what_is_no_place_stays(text: str) -> None:
    assert without_places(text) == text


def test_ids_are_found_whatever_their_case_and_not_within_others() -> None:
    ids = CaseIds.of({"NAME-03": "p3", "NAME-03-L": "p3l", "P100": "p100", "alice": "pa", "1234": "pn", "F": "pf"})
    assert ids.replaced("NAME-03 withdrawn, name-03, NAME-03-L, NAME-03_0000") == "p3 withdrawn, p3, p3l, p3_0000"
    assert ids.replaced("xP100, P1000, alices, alice") == "xp100, P1000, alices, pa"
    assert ids.replaced("12345 1234 F") == "12345 pn F"
    assert not CaseIds.of({}).stand_in("anything")


def test_every_text_of_a_record_is_changed() -> None:
    changed = rewrite({"a": [1234, {"b 1234": True}], "c": 1.5}, CaseIds.of({"1234": "p"}).replaced)
    assert changed == {"a": ["p", {"b p": True}], "c": 1.5}


@pytest.fixture(scope="module")
def quoting() -> AuditResult:
    """Levels of family name cases, one of which is served worse; the record names a case and foreign places."""
    rng = np.random.default_rng(0)
    family = rng.choice(["FAM0-c0003", "FAM1-C0004", "none"], 150)
    dsc = np.clip(rng.normal(0.8, 0.05, 150) - 0.3 * (family == "FAM0-c0003"), 0, 1)
    config = dataclasses.replace(DEFAULT, primary=("family",))
    result = audit(config, dsc=dsc, family=family.tolist(), sex=rng.choice(["f", "m"], 150).tolist())
    record = {
        "model": "net",
        "cohort": r"c0005 withdrawn, /home/alice/data, C:\Users\alice\x",
        "own": ["C0006", "~bob/y"],
    }
    return changed(result, about={"record": record})


def secrets_in(text: str) -> list[str]:
    return [secret for secret in ("c0003", "C0004", "c0005", "C0006", "alice", "~bob") if secret in text]


def test_pseudonyms_stand_in_record_and_levels(quoting: AuditResult, tmp_path: Path) -> None:
    assert "family = FAM0-c0003" in quoting.verdict.sentence
    (tmp_path / "key").write_bytes(KEY)
    hidden, _ = deliver(quoting, prepare(tmp_path / "out", keyfile=tmp_path / "key"))
    for file in (tmp_path / "out").iterdir():
        assert secrets_in(file.read_text("utf-8")) == [], file.name
    names = pseudonyms(quoting.cases.scores.column("case"), KEY)
    assert hidden.about.record["cohort"] == f"{names['c0005']} withdrawn, {NO_PLACE}, {NO_PLACE}"
    assert hidden.about.record["own"] == [names["c0006"], NO_PLACE]
    assert f"family = FAM0-{names['c0003']}" in hidden.verdict.sentence
    assert [alert.text for alert in hidden.verdict.alerts if "family" in alert.text and alert.kind == "levels"]
    # Nothing but names has changed.
    back = {f"FAM0-{names['c0003']}": "FAM0-c0003", f"FAM1-{names['c0004']}": "FAM1-C0004"}
    table, plain = (result.subgroups["dsc"].rows for result in (hidden, quoting))
    assert [
        (frozenset((name, back.get(level, level)) for name, level in row.subgroup.items), row.n, row.mean)
        for row in table
    ] == [(row.subgroup.items, row.n, row.mean) for row in plain]
    levels = {back.get(entry.level, entry.level): entry.n for entry in hidden.attributes.facts[0].levels}
    assert levels == {entry.level: entry.n for entry in quoting.attributes.facts[0].levels}
    assert AuditResult.load(tmp_path / "out" / "audit.json") == hidden


@pytest.mark.parametrize("first", [False, True])
def test_what_is_shared_has_neither_ids_nor_places_and_numbers_such_levels(
    quoting: AuditResult, first: bool, tmp_path: Path
) -> None:
    result = pseudonymise(quoting, KEY) if first else quoting
    text = json.dumps(share(result).to_dict())
    assert secrets_in(text) == []
    assert not [name for name in pseudonyms(quoting.cases.scores.column("case"), KEY).values() if name in text]
    shared = share(result)
    assert {level.level for level in shared.attributes.facts[0].levels} == {"level 1", "level 2", "level 3"}
    assert "family = level " in shared.verdict.sentence
    assert [alert.text for alert in shared.verdict.alerts if "family" in alert.text and alert.kind == "levels"]
    assert {level.level for level in shared.attributes.facts[1].levels} == {"f", "m"}


def test_levels_that_differ_by_capitals_alone_stay_apart() -> None:
    renamed = rename_each(["A-c0003", "A-C0003", "a"], CaseIds.of({"c0003": "p"}))
    assert renamed == {"A-c0003": "A-p", "A-C0003": "A-p (2)", "a": "a"}


def test_an_alert_that_quotes_a_folder_loses_it(quoting: AuditResult) -> None:
    from segfair.audit.result import Alert

    result = changed(quoting, verdict={"alerts": (Alert("swapped", "the labels folder /home/alice/labels holds x"),)})
    assert secrets_in(str(pseudonymise(result, KEY).verdict.alerts)) == []
