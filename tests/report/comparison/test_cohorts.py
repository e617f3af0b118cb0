"""The commands on audits of different patients, from folders to pages."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import segfair


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three quarters; site C is worse in the last."""
    folders = []
    for place, deficit in enumerate((0.0, 0.0, 0.2)):
        rng = np.random.default_rng(place)
        site = rng.choice(list("ABC"), 120)
        dsc = rng.normal(0.8, 0.05, 120) - deficit * (site == "C")
        frame = pd.DataFrame({"case": [f"{place}-{row}" for row in range(120)], "dsc": dsc.clip(0, 1), "site": site})
        folders.append(tmp_path_factory.mktemp("quarters") / f"q{place + 1}")
        segfair.audit_scores(frame, permutations=99, bootstrap=200).report(folders[-1])
    return folders


def test_audits_without_a_case_in_common_are_compared_as_cohorts(
    call_cli, quarters: list[Path], tmp_path: Path
) -> None:
    done = call_cli("compare", quarters[0], quarters[2], "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["verdict"]["kind"] == "worse for some"
    assert {"site": "C"} in told["worse"]
    page = (tmp_path / "cohorts.html").read_text("utf-8")
    assert "Worse for some" in page and "What changed in the mix" in page
    assert "q1/report.html" in page and "q3/report.html" in page
    assert json.loads((tmp_path / "cohorts.json").read_text("utf-8"))["kind"] == "cohorts"
    again = call_cli("compare", quarters[0], quarters[2], "--out", tmp_path)
    assert again.returncode == 0, "its own files may be written again"


def test_one_audit_against_itself_is_paired_unless_it_is_said_otherwise(
    call_cli, quarters: list[Path], tmp_path: Path
) -> None:
    assert call_cli("compare", quarters[0], quarters[0], "--names", "a,b", "--out", tmp_path / "one").returncode == 0
    assert (tmp_path / "one" / "comparison.html").is_file()
    done = call_cli("compare", quarters[0], quarters[0], "--names", "a,b", "--unpaired", "--out", tmp_path / "two")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "two" / "cohorts.html").is_file()
    assert "120 cases of the same name in both audits" in done.stderr + done.stdout
    refused = call_cli("compare", *quarters, "--unpaired", "--out", tmp_path / "three")
    assert refused.returncode == 2 and "segfair monitor" in refused.stderr


def test_a_series_names_the_first_audit_of_a_drift(call_cli, quarters: list[Path], tmp_path: Path) -> None:
    done = call_cli("monitor", *quarters, "--out", tmp_path, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    site = next(entry for entry in told["drifting"] if entry["items"] == {"site": "C"})
    assert site == {"items": {"site": "C"}, "first": "q3", "to_worse": True}
    page = (tmp_path / "monitor.html").read_text("utf-8")
    assert "Drift found" in page and "<svg" in page
    assert json.loads((tmp_path / "monitor.json").read_text("utf-8"))["kind"] == "series"


def test_what_no_series_can_be_made_of(call_cli, quarters: list[Path], tmp_path: Path) -> None:
    for words, says in (
        (["monitor", quarters[0]], "two audits or more"),
        (["monitor", *quarters[:2], "--baseline", 2], "has to follow the baseline"),
        (["monitor", *quarters[:2], "--names", "a"], "expected 2 different names"),
        (["monitor", quarters[0], tmp_path / "nowhere"], "nowhere"),
    ):
        done = call_cli(*words, "--out", tmp_path / "out")
        assert done.returncode == 2 and says in done.stderr
    (tmp_path / "monitor.html").write_text("somebody's", "utf-8")
    done = call_cli("monitor", *quarters[:2], "--out", tmp_path)
    assert done.returncode == 2 and "monitor.html" in done.stderr


@pytest.mark.parametrize(
    ("command", "facts", "work"),
    [
        (("compare", "--unpaired"), "cohorts.json", "procedure.compare_cohorts"),
        (("monitor",), "monitor.json", "series.follow"),
    ],
)
def test_a_folder_that_cannot_be_used_is_told_before_anything_is_resampled(
    call_cli, monkeypatch: pytest.MonkeyPatch, quarters: list[Path], tmp_path: Path, command, facts: str, work: str
) -> None:
    (tmp_path / facts).write_text("mine")
    module, name = work.split(".")  # `segfair.compare` is the function
    found = import_module(f"segfair.compare.cohorts.{module}")
    monkeypatch.setattr(found, name, lambda *_, **__: pytest.fail("it was computed"))
    done = call_cli(*command, quarters[0], quarters[2], "--out", tmp_path)
    assert done.returncode == 2
    assert f"holds {facts} that segfair {command[0]} did not write" in " ".join(done.stderr.split())
    assert (tmp_path / facts).read_text() == "mine"


@pytest.mark.parametrize(
    ("command", "facts"),
    [(("compare", "--unpaired"), "cohorts.json"), (("monitor",), "monitor.json")],
)
def test_what_was_found_stays_where_its_page_fails(
    call_cli, monkeypatch: pytest.MonkeyPatch, quarters: list[Path], tmp_path: Path, command, facts: str
) -> None:
    def fail(*_: object, **__: object) -> str:
        raise MemoryError

    monkeypatch.setattr("segfair.report.comparison.files.render_page", fail)
    done = call_cli(*command, quarters[0], quarters[2], "--out", tmp_path)
    assert done.returncode == 2
    assert f"holds {facts}: mend that" in " ".join(done.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == [facts]
    assert json.loads((tmp_path / facts).read_text("utf-8"))["format"] == 1
