"""Everything that is written beside the report, and that it is written in the safe order."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit, changed, planted

from segfair.audit.result import AuditResult
from segfair.errors import ConfigError
from segfair.files.manifest import verify
from segfair.handover.deliver import deliver, prepare
from segfair.report.files import FILES


def told(secrets: list[str], text: str) -> list[str]:
    """The secrets that stand in the text as words: an id such as c0048 is also part of a digest, by chance."""
    return [secret for secret in secrets if re.search(rf"(?<![0-9A-Za-z]){re.escape(secret)}(?![0-9A-Za-z])", text)]


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return audit(DEFAULT, **planted(np.random.default_rng(0), 120, 0.1))


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_without_wishes_there_are_the_six_files(result: AuditResult, tmp_path: Path) -> None:
    _, page = deliver(result, prepare(tmp_path / "out"))
    assert page == tmp_path / "out" / "report.html"
    assert names(tmp_path / "out") == set(FILES)


def test_a_record_is_kept_printed_and_brings_a_model_card(result: AuditResult, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text('model = "FancyNet"\nown_key = 3\n')
    deliver(result, prepare(tmp_path / "out", record=tmp_path / "study.toml"))
    loaded = AuditResult.load(tmp_path / "out" / "audit.json")
    assert loaded.about.record == {"model": "FancyNet", "own_key": 3}
    assert (tmp_path / "out" / "model-card.md").read_text("utf-8").count("# Model Card for FancyNet") == 1
    assert "FancyNet" in (tmp_path / "out" / "report.html").read_text("utf-8").split('id="alerts"')[0], "page one"
    deliver(loaded, prepare(tmp_path / "again"))
    assert (tmp_path / "again" / "model-card.md").read_bytes() == (tmp_path / "out" / "model-card.md").read_bytes()
    assert verify(tmp_path / "out") == []


def test_figures_become_files_the_same_each_time_and_leave_with_the_next_report(
    result: AuditResult, tmp_path: Path
) -> None:
    earlier: dict[str, bytes] = {}
    for kind, start in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        deliver(result, prepare(tmp_path, figures=kind))  # type: ignore[arg-type]
        drawn = {name: (tmp_path / name).read_bytes() for name in names(tmp_path) if name.startswith("figures/")}
        drawn.pop("figures/mine.txt", None)
        assert {f"figures/scores.{kind}", f"figures/attribute0-sex.{kind}"} <= set(drawn)
        assert all(name.endswith(f".{kind}") for name in drawn), "those of the last report are gone"
        assert all(content.startswith(start) for content in drawn.values())
        assert verify(tmp_path) == []
        (tmp_path / "figures" / "mine.txt").write_text("mine")
        assert all(drawn[name] == earlier[name] for name in drawn.keys() & earlier.keys())
        earlier |= drawn
    assert set(drawn) < set(earlier), "the last ones were drawn before"
    deliver(result, prepare(tmp_path))
    assert {name for name in names(tmp_path) if name.startswith("figures/")} == {"figures/mine.txt"}


def test_a_shared_folder_holds_no_id_path_or_user(result: AuditResult, tmp_path: Path) -> None:
    home = f"{tmp_path}/home/mallory"
    full = changed(
        result,
        about={
            "inputs": {"predictions": f"{home}/preds", "labels": f"{home}/labels"},
            "notices": (f"labels: 120 masks in {home}/labels",),
        },
        cases={
            "counts": dataclasses.replace(
                result.cases.counts, penalised={"c0003": f"{home}/preds/c0003.nii.gz: truncated"}
            )
        },
    )
    wishes = prepare(tmp_path / "out", share_out=tmp_path / "handed-on")
    deliver(full, wishes, command=f"segfair audit {home}/preds")
    assert names(tmp_path / "handed-on") == {*FILES} - {"cases.csv"}
    secrets = [*full.cases.scores.column("case"), str(tmp_path), "mallory", "/preds"]
    for name in names(tmp_path / "handed-on"):
        text = (tmp_path / "handed-on" / name).read_text("utf-8")
        assert told(secrets, text) == [], name
    assert "c0003" in (tmp_path / "out" / "report.html").read_text("utf-8"), "the full one tells it"
    assert verify(tmp_path / "handed-on") == []
    again = AuditResult.load(tmp_path / "handed-on" / "audit.json")
    assert again.about.shared
    deliver(again, prepare(tmp_path / "redrawn"), command=f"segfair report {home}/audit.json")
    assert "mallory" not in (tmp_path / "redrawn" / "report.html").read_text("utf-8")
    assert "mallory" not in (tmp_path / "redrawn" / "manifest.json").read_text("utf-8")


def test_pseudonyms_stand_everywhere(result: AuditResult, tmp_path: Path) -> None:
    home = f"{tmp_path}/home"
    full = changed(
        result,
        about={"inputs": {"labels": f"{home}/labels"}},
        cases={
            "counts": dataclasses.replace(
                result.cases.counts,
                penalised={"c0003": "no prediction"},
                missing_predictions=("c0003",),
                excluded={"c9": "x"},
            )
        },
    )
    key = tmp_path / "key"
    deliver(full, prepare(tmp_path / "out", keyfile=key), command=f"segfair audit {home}")
    assert key.stat().st_mode & 0o777 == 0o600
    for name in names(tmp_path / "out"):
        text = (tmp_path / "out" / name).read_text("utf-8")
        secrets = [*result.cases.scores.column("case"), str(tmp_path), key.read_text().strip()]
        assert told(secrets, text) == [], name
    cases = json.loads((tmp_path / "out" / "audit.json").read_text("utf-8"))["cases"]
    assert cases["missing_predictions"] == [cases["penalised"][0]["case"]]


def test_folders_within_each_other_are_refused(tmp_path: Path) -> None:
    for one, other in (("out", "out"), ("out", "out/share"), ("share/out", "share")):
        with pytest.raises(ConfigError, match="--share"):
            prepare(tmp_path / one, share_out=tmp_path / other)
    for folder in ("out", "share"):
        with pytest.raises(ConfigError, match="lies inside"):
            prepare(tmp_path / "out", share_out=tmp_path / "share", keyfile=tmp_path / folder / "key")
    assert not list(tmp_path.iterdir()), "nothing was made"


def test_an_audit_that_cannot_be_shared_is_there_for_its_owner(tmp_path: Path) -> None:
    tiny = audit(dsc=np.linspace(0.1, 0.9, 4), sex=["f", "m"] * 2)
    with pytest.raises(ConfigError, match=r"too few.*; the report itself is in .*out$"):
        deliver(tiny, prepare(tmp_path / "out", share_out=tmp_path / "share"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert verify(tmp_path / "out") == []
