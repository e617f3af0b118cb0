"""The comparison as a page: what it says, that it needs nothing, that names from outside are text; and its figures."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.audit.made_up_audits import changed
from tests.report.comparison.pages import N, cohort, draw
from tests.report.pages import Page
from tests.report_fixtures import HOSTILE, make_result
from tests.score_fixtures import audit_of, with_scores

from segfair.compare.procedure import run_comparison
from segfair.compare.result import Comparison
from segfair.errors import ConfigError
from segfair.report.comparison.files import FILES, address_of, write_comparison


def test_it_needs_nothing_from_anywhere(html: str) -> None:
    page = Page(html)
    assert [kind for kind, _ in page.scripts] == [{"type": "application/json", "id": "subgroup-data"}, {}]
    policy = next(value for _, name, value in page.attributes if name == "content" and "script-src" in value)
    digest = base64.b64encode(hashlib.sha256(page.scripts[1][1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    loads = [(tag, value) for tag, name, value in page.attributes if name in ("src", "srcset", "action", "data")]
    assert not loads
    links = [value for tag, name, value in page.attributes if name == "href"]
    assert all(value.startswith("#") for value in links)
    assert not [tag for tag, name, _ in page.attributes if name.startswith("on")]


def test_names_from_outside_are_text(html: str) -> None:
    base = make_result(levels=HOSTILE, n_cases=120)
    base = changed(
        base,
        about={
            "config": dataclasses.replace(base.about.config, permutations=99, bootstrap=100),
            "inputs": {"<i>": "javascript:alert(6)"},
        },
    )
    dice = np.array(base.cases.scores.column("dsc"), dtype=float) - 0.2
    attack = "</title><script>alert(9)</script>"
    comparison = run_comparison(base, with_scores(base, {"dsc": dice}), names=(attack, "\u202enew"))
    comparison = dataclasses.replace(comparison, notices=("</p><script>alert(4)</script>",))
    hostile, plain = Page(draw(comparison)), Page(html)
    assert set(hostile.tags) <= set(plain.tags)
    assert len(hostile.scripts) == 2 and hostile.scripts[1] == plain.scripts[1]
    text = "".join(hostile.text)
    assert "<script>alert(4)</script>" in text and "<script>alert(9)</script>" in text
    assert "\u202e" not in text and "⟨U+202E⟩new" in text


def test_ids_are_unique(html: str) -> None:
    ids = [value for _, name, value in Page(html).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_writing_replaces_its_own_and_nothing_else(levelled: Comparison, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for _ in range(2):
        page = write_comparison(levelled, tmp_path)
    assert page == tmp_path / "comparison.html"
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}
    assert json.loads((tmp_path / "comparison.json").read_text("utf-8")) == levelled.to_dict()
    (tmp_path / "comparison.json").write_text("{}")
    with pytest.raises(ConfigError, match="did not write; choose another folder"):
        write_comparison(levelled, tmp_path)
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        write_comparison(levelled, tmp_path / "notes.txt")
    (tmp_path / "blocked").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_comparison(levelled, tmp_path / "blocked" / "inside")


def test_compare_on_the_command_line(call_cli, tmp_path: Path) -> None:
    female = cohort()["sex"] == "F"
    base = audit_of({"dsc": np.random.default_rng(0).normal(0.7, 0.05, N)}, cohort())
    worse = np.array(base.cases.scores.column("dsc"), dtype=float) - 0.1 * female
    for name, result in (("old", base), ("new", with_scores(base, {"dsc": worse}))):
        (tmp_path / name).mkdir()
        result.save(tmp_path / name / "audit.json")
    out = tmp_path / "out"
    done = call_cli("compare", tmp_path / "old", tmp_path / "new" / "audit.json", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "subgroups were harmed, most of all" in done.stdout and str(out / "comparison.html") in done.stdout
    page = (out / "comparison.html").read_text("utf-8")
    digest = hashlib.sha256((tmp_path / "old" / "audit.json").read_bytes()).hexdigest()
    assert digest in page and "segfair compare" in page
    tree = json.loads((out / "comparison.json").read_text("utf-8"))
    assert [tree["audits"][side]["name"] for side in ("before", "after")] == ["old", "new"]
    named = call_cli("compare", tmp_path / "old", tmp_path / "old", "--out", out, "--names", "A,B")
    assert named.returncode == 0 and "nothing changed" in named.stdout
    wrong = call_cli("compare", tmp_path / "old", tmp_path / "gone", "--out", out)
    assert wrong.returncode == 2 and "gone" in wrong.stderr
    wrong = call_cli("compare", tmp_path / "old", tmp_path / "new", "--out", out, "--names", "A")
    assert wrong.returncode == 2 and "expected 2 different names" in wrong.stderr


def test_it_links_to_both_reports_where_they_lie(levelled: Comparison, tmp_path: Path) -> None:
    old = tmp_path / "old audit" / "report.html"
    old.parent.mkdir()
    old.write_text("an audit")
    page = write_comparison(levelled, tmp_path / "out", reports=(old, tmp_path / "gone" / "report.html"))
    text = page.read_text("utf-8")
    assert text.count('href="../old%20audit/report.html"') == 2, "above, and with the inputs"
    assert "gone" not in text
    assert 'href="comparison.json"' in text


def test_a_page_in_a_folder_of_any_bytes_has_an_address(tmp_path: Path) -> None:
    page = tmp_path / os.fsdecode(b"caf\xe9 1") / "report.html"
    page.parent.mkdir()
    page.touch()
    assert address_of(page, tmp_path / "out") == "../caf%E9%201/report.html"
    assert address_of(tmp_path / "gone.html", tmp_path) == address_of(None, tmp_path) == ""
