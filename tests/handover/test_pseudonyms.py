"""Keyed pseudonyms: the same id and key give the same one, nothing else tells the id."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit, changed, planted

import segfair.handover.pseudonyms
from segfair.audit.result import AuditResult
from segfair.compare.procedure import run_comparison
from segfair.errors import AuditError, ConfigError, InputError
from segfair.handover.disclosure import share
from segfair.handover.pseudonyms import fingerprint, pseudonymise, pseudonyms, read_key


def test_a_pseudonym_is_the_shortened_hmac() -> None:
    expected = hmac.new(b"key", b"P001", hashlib.sha256).hexdigest()[:16]
    assert pseudonyms(["P001"], b"key") == {"P001": f"p{expected}"}
    assert pseudonyms(["P001"], b"other") != pseudonyms(["P001"], b"key")
    assert fingerprint(b"key") != fingerprint(b"other")


def test_a_collision_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segfair.handover.pseudonyms, "_LENGTH", 1)
    with pytest.raises(AuditError, match="two case ids have the same pseudonym"):
        pseudonyms(map(str, range(17)), b"key")


def test_a_key_is_made_once_and_only_for_the_user(tmp_path: Path) -> None:
    key = read_key(tmp_path / "key")
    assert len(key) == 64
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert read_key(tmp_path / "key") == key
    assert read_key(tmp_path / "other") != key


def test_keys_that_are_none_and_keys_inside_the_report_are_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("secret")
    with pytest.raises(ConfigError, match="6 bytes are too few"):
        read_key(tmp_path / "short")
    (tmp_path / "link").symlink_to(tmp_path / "out" / "key")
    for path in (tmp_path / "out" / "key", tmp_path / "x" / ".." / "out" / "key", tmp_path / "link"):
        with pytest.raises(ConfigError, match="lies inside"):
            read_key(path, outside=[tmp_path / "out"])
    with pytest.raises(ConfigError, match="cannot be written"):
        read_key(tmp_path / "no" / "folder" / "key")


@pytest.fixture(scope="module")
def two() -> tuple[AuditResult, AuditResult]:
    rng = np.random.default_rng(0)
    made = planted(rng, 100, 0.1)
    better = {**made, "dsc": np.clip(np.asarray(made["dsc"]) + rng.normal(0.05, 0.02, 100), 0, 1)}
    return audit(DEFAULT, **made), audit(DEFAULT, **better)


def test_audits_under_one_key_compare_as_they_do_with_ids(two: tuple[AuditResult, AuditResult]) -> None:
    plain = run_comparison(*two)
    hidden = run_comparison(*(pseudonymise(result, b"k" * 32) for result in two))
    assert hidden.n_paired == plain.n_paired == 100
    assert hidden.metrics["dsc"].difference == pytest.approx(plain.metrics["dsc"].difference)
    # Other rows first, so other random draws; what is not random agrees.
    by_items = {tuple(change.items.items()): change for change in hidden.subgroups["dsc"]}
    for change in plain.subgroups["dsc"]:
        assert by_items[tuple(change.items.items())].difference == pytest.approx(change.difference)


def test_digests_of_labels_are_keyed_and_shared_nowhere(two: tuple[AuditResult, AuditResult]) -> None:
    digests = {case: hashlib.sha256(case.encode()).hexdigest() for case in two[0].cases.scores.column("case")}
    one, other = (
        changed(result, cases={"counts": dataclasses.replace(result.cases.counts, label_sha256=digests)})
        for result in two
    )
    hidden = pseudonymise(one, b"k" * 32)
    assert set(hidden.cases.counts.label_sha256) == set(hidden.cases.scores.column("case"))
    assert not set(hidden.cases.counts.label_sha256.values()) & set(digests.values())
    assert run_comparison(hidden, pseudonymise(other, b"k" * 32)).n_paired == 100
    name = pseudonyms(["c0003"], b"k" * 32)["c0003"]
    moved = changed(
        other, cases={"counts": dataclasses.replace(other.cases.counts, label_sha256={**digests, "c0003": "0" * 64})}
    )
    with pytest.raises(InputError, match=f"case {name}: its label has other voxels"):
        run_comparison(hidden, pseudonymise(moved, b"k" * 32))
    assert share(one).cases.counts.label_sha256 == {}


def test_audits_under_other_keys_are_refused(two: tuple[AuditResult, AuditResult]) -> None:
    one, other = two
    for pair in ((pseudonymise(one, b"k" * 32), pseudonymise(other, b"j" * 32)), (one, pseudonymise(other, b"k" * 32))):
        with pytest.raises(InputError, match="same --pseudonymise key"):
            run_comparison(*pair)


def test_rows_keep_their_scores_and_lose_their_order(two: tuple[AuditResult, AuditResult]) -> None:
    rows = dataclasses.replace(two[0].cases.scores, subjects=tuple(index // 2 for index in range(100)))
    result = changed(two[0], cases={"scores": rows})
    hidden = pseudonymise(result, b"k" * 32)
    names = pseudonyms(result.cases.scores.column("case"), b"k" * 32)
    before = {names[row[0]]: row[1:] for row in result.cases.scores.rows}
    assert {row[0]: row[1:] for row in hidden.cases.scores.rows} == before
    assert list(hidden.cases.scores.column("case")) == sorted(names.values())
    subjects = dict(zip(hidden.cases.scores.column("case"), hidden.cases.scores.subjects, strict=True))
    assert subjects[names["c0000"]] == subjects[names["c0001"]] != subjects[names["c0002"]]
    assert hidden.scores == result.scores


def test_twice_is_refused(two: tuple[AuditResult, AuditResult]) -> None:
    with pytest.raises(ConfigError, match="pseudonyms already"):
        pseudonymise(pseudonymise(two[0], b"k" * 32), b"k" * 32)


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("no prediction", "no prediction"),
        ("another grid: label is 3x3, prediction is 4x4", "another grid than the label"),
        ("/home/m/preds/c0001.nii.gz: truncated", "the file cannot be used"),
    ],
)
def test_reasons_quote_no_file(two: tuple[AuditResult, AuditResult], reason: str, kept: str) -> None:
    counts = dataclasses.replace(
        two[0].cases.counts, penalised={"c0001": reason}, excluded={"lost": "no row in /m/x.csv"}
    )
    result = changed(two[0], cases={"counts": counts})
    hidden = pseudonymise(result, b"k" * 32)
    assert list(hidden.cases.counts.penalised.values()) == [kept]
    assert list(hidden.cases.counts.excluded.values()) == ["no row in the metadata"]
