"""The page and the files beside it: what they say, what they never say, and what they leave alone."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

import pytest
from jinja2 import UndefinedError
from tests.audit.made_up_audits import changed
from tests.report.pages import FEW, Page, draw
from tests.report_fixtures import HOSTILE, make_result

import segfair.report.files
import segfair.report.rows
from segfair.audit.result import AuditResult
from segfair.errors import ConfigError
from segfair.files.manifest import not_covered, verify
from segfair.handover.disclosure import share
from segfair.report.audit import page_data
from segfair.report.files import FILES, render_page, template_folder, write_report


def test_six_files_and_a_manifest_that_holds(tmp_path: Path) -> None:
    result = make_result(levels=FEW)
    (tmp_path / "metadata.csv").write_text("a,b\n")
    result = changed(result, about={"inputs": {"metadata": str(tmp_path / "metadata.csv"), "labels": "nowhere"}})
    found = write_report(result, tmp_path / "a" / "out", command="segfair audit x")
    assert found == tmp_path / "a" / "out" / "report.html"
    assert {path.name for path in found.parent.iterdir()} == set(FILES)
    assert verify(found.parent, {"metadata": tmp_path / "metadata.csv"}) == []
    manifest = json.loads((found.parent / "manifest.json").read_text())
    assert manifest["command"] == "segfair audit x"
    assert manifest["protocol"]["sha256"] == result.about.config.protocol.digest
    assert manifest["inputs"]["labels"] == {"path": "nowhere", "files": None}
    assert AuditResult.load(found.parent / "audit.json").to_dict() == result.to_dict()


def test_the_tables_hold_every_case_and_every_subgroup(tmp_path: Path) -> None:
    result = make_result(levels=FEW, outcomes=("dsc", "normhd"))
    write_report(result, tmp_path)
    with (tmp_path / "cases.csv").open(newline="") as file:
        cases = list(csv.DictReader(file))
    assert [row["case"] for row in cases] == result.cases.scores.column("case")
    assert [float(row["dsc"]) for row in cases] == result.cases.scores.column("dsc")
    assert list(cases[0]) == ["case", "dsc", "normhd", "hd95_mm", "volume", "penalised", *FEW]
    with (tmp_path / "subgroups.csv").open(newline="") as file:
        subgroups = list(csv.DictReader(file))
    assert len(subgroups) == sum(map(len, result.subgroups.values()))
    assert {row["redundant"] for row in subgroups} == {"True", "False"}


def test_drawing_again_says_the_same(result: AuditResult, html: str, tmp_path: Path) -> None:
    result.save(tmp_path / "audit.json")
    assert draw(AuditResult.load(tmp_path / "audit.json")) == html


def test_an_earlier_report_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"written_by": "segfair"}')
    (tmp_path / "report.html").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    write_report(make_result(levels=FEW), tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}
    assert verify(tmp_path) == []
    assert not_covered(tmp_path) == ("notes.txt",)


@pytest.mark.parametrize("name", FILES)
def test_files_of_somebody_else_are_not_overwritten(result: AuditResult, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"mine": true}')
    with pytest.raises(ConfigError, match=f"holds {name} that segfair did not write; choose another folder"):
        write_report(result, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == '{"mine": true}'


def test_a_file_is_no_folder(result: AuditResult, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        write_report(result, tmp_path / "out")


def fail(error: Exception) -> Callable[..., None]:
    def failing(*_: object, **__: object) -> None:
        raise error

    return failing


@pytest.mark.parametrize("existed", [True, False])
def test_what_cannot_be_written_at_all_leaves_nothing(result, tmp_path, monkeypatch, existed) -> None:
    out = tmp_path / "deep" / "out"
    if existed:
        out.mkdir(parents=True)
    monkeypatch.setattr(AuditResult, "save", fail(OSError("No space left on device")))
    with pytest.raises(ConfigError, match=r"cannot be written .No space left on device.; choose another folder"):
        write_report(result, out)
    assert out.exists() is existed is out.parent.exists()
    assert not existed or not list(out.iterdir())


@pytest.mark.parametrize(
    ("what", "error", "kept", "told"),
    [
        ("write_csv", OSError(28, "No space left on device"), {"audit.json"}, "(No space left on device)"),
        ("page_data", MemoryError(), {"audit.json", "cases.csv", "subgroups.csv"}, "(not enough memory)"),
        ("summary_data", ImportError("no fonts"), {"audit.json", "cases.csv", "subgroups.csv"}, "(no fonts)"),
        ("to_pdf", ConfigError("no Pango"), {"audit.json", "cases.csv", "subgroups.csv"}, "no Pango; "),
    ],
)
def test_what_cannot_be_drawn_leaves_what_was_found(result, tmp_path, monkeypatch, what, error, kept, told) -> None:
    write_report(result, tmp_path, extras={"old.txt": b"of an earlier call"})
    monkeypatch.setattr(segfair.report.files, what, fail(error))
    monkeypatch.setattr(segfair.report.files, "require_paper", lambda: None)
    with pytest.raises(ConfigError) as refused:
        write_report(result, tmp_path, pdf=True)
    assert told in str(refused.value)
    assert f"holds {', '.join(sorted(kept))}: mend that, and segfair report {tmp_path}" in str(refused.value)
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "manifest.json"}, "and no page of an earlier call"
    assert verify(tmp_path) == []
    monkeypatch.undo()
    write_report(AuditResult.load(tmp_path / "audit.json"), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)


def test_a_fault_of_the_program_stays_one_and_what_was_found_stays(result, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(segfair.report.files, "page_data", fail(KeyError("dsc")))
    with pytest.raises(KeyError) as fault:
        write_report(result, tmp_path)
    assert f"{tmp_path} holds audit.json, cases.csv, subgroups.csv" in fault.value.__notes__[0]
    assert verify(tmp_path) == []


def test_extras_are_drawn_once_the_tables_are_there(result, tmp_path, monkeypatch) -> None:
    with pytest.raises(ConfigError, match=r"what is drawn cannot be written .no fonts."):
        write_report(result, tmp_path, extras=fail(OSError("no fonts")))
    assert verify(tmp_path) == []
    write_report(result, tmp_path, extras=lambda: {"figures/a.svg": b"<svg/>"})
    assert (tmp_path / "figures" / "a.svg").read_bytes() == b"<svg/>"


def test_nothing_is_fetched_and_only_our_script_runs(page: Page, html: str) -> None:
    policy = next(value for tag, name, value in page.attributes if tag == "meta" and "default-src" in value)
    (kind, _), (plain, script) = page.scripts
    assert kind["type"] == "application/json"
    assert plain == {}
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert not [value for _, name, value in page.attributes if name in ("src", "action", "srcset", "data")]
    links = [value for _, name, value in page.attributes if name.rpartition(":")[2] == "href"]
    assert links
    assert all(link.startswith("#") for link in links)
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)


def test_every_id_is_unique_and_every_link_leads_somewhere(page: Page) -> None:
    ids = [value for _, name, value in page.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value[1:] for tag, name, value in page.attributes if tag == "a" and name == "href"} <= set(ids)


def test_the_page_of_a_large_cohort_stays_small() -> None:
    levels = {f"attribute_{index}": tuple(f"level {code}" for code in range(4)) for index in range(8)}
    result = make_result(n_cases=1506, levels=levels, min_support=0.005)
    table = result.subgroups["dsc"]
    assert len(table) > 3900
    table = dataclasses.replace(table, rows=table.rows[:4000])
    html = draw(changed(result, subgroups={"tables": {"dsc": table}}))
    assert len(html.encode()) < 2_000_000
    assert len(Page(html).payload["outcomes"][0]["rows"]) == len(table)


def test_hostile_metadata_is_text(page: Page) -> None:
    result = make_result(levels=HOSTILE)
    result = changed(
        result,
        verdict={"kind": "<b>", "sentence": "<script>alert(3)</script>" * 1000},
        attributes={"left_out": {"<iframe>": "'\"><svg onload=alert(5)>"}},
        about={
            "notices": ("</p><script>alert(4)</script>",),
            "inputs": {"<i>": "javascript:alert(6)"},
            "record": {"<u>": {"</dl>": ["<em>", 1, None]}},
            "versions": {"segfair": '"><script>'},
        },
    )
    html = draw(result)
    plain, page = page, Page(html)
    assert set(page.tags) <= set(plain.tags)
    assert len(page.scripts) == 2
    assert page.scripts[1] == plain.scripts[1]
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in page.visible
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u2028\x00\x1b]", html)
    assert "x" * 200 not in html, "a name of 10 kB is cut"
    assert len(html) < 1_000_000
    assert "<" not in page.scripts[0][1]


def test_a_missing_fact_is_an_error_not_a_blank() -> None:
    data = page_data(make_result(levels=FEW), written="")
    del data["sections"]["verdict"]["sentence"]
    with pytest.raises(UndefinedError, match="sentence"):
        render_page(data)


def test_formulas_are_defused(tmp_path: Path) -> None:
    result = make_result(n_cases=40, levels={"=cmd": ("=HYPERLINK(1)", "+1+1"), "b": ("@x", "-y")})
    write_report(result, tmp_path)
    for name in ("cases.csv", "subgroups.csv"):
        with (tmp_path / name).open(newline="") as file:
            texts = [cell for row in csv.reader(file) for cell in row]
        assert not [text for text in texts if text[:1] in "=+@" and text]
        assert any("=HYPERLINK" in text for text in texts)
        assert "-y" not in texts, "a minus is a formula where no number follows"
        assert any(text.endswith("-y") for text in texts)


def test_templates_lie_where_they_are_looked_for() -> None:
    assert (template_folder() / "report.html.j2").is_file()


def test_the_page_leads_to_the_files_that_lie_beside_it_and_to_no_other(tmp_path: Path) -> None:
    result = make_result(levels=FEW)
    extras = {"figures/scores.svg": b"<svg/>", "more #1.txt": b"text"}
    write_report(result, tmp_path, extras=extras)
    found = Page((tmp_path / "report.html").read_text("utf-8"))
    links = [value for tag, name, value in found.attributes if tag == "a" and name == "href" and value[0] != "#"]
    files = {unquote(link) for link in links}
    assert files == {"summary.html", "audit.json", "cases.csv", "subgroups.csv", "manifest.json", *extras}
    assert all((tmp_path / name).is_file() for name in files)


def test_a_copy_made_to_be_shared_says_so_and_tells_no_case(tmp_path: Path) -> None:
    result = make_result(n_cases=300, levels=FEW)
    shared = share(result)
    write_report(shared, tmp_path)
    found = Page((tmp_path / "report.html").read_text("utf-8"))
    assert found.visible.partition("segfair")[0].count("Redacted copy") == 1
    assert found.payload["cases"] is None
    assert "cases.csv" not in [value for _, name, value in found.attributes if name == "href"]
    assert not [value for _, name, value in found.attributes if name == "id" and value in ("all-cases", "case-search")]
    assert "case00" not in (tmp_path / "report.html").read_text("utf-8")
    assert "Redacted copy" not in draw(result)


def test_folded_parts_hold_no_folded_part_of_their_own(html: str) -> None:
    """A noscript element ends at the first end of one."""
    assert "<noscript>" in html
    depth = 0
    for tag in re.findall(r"</?noscript>", html):
        depth += 1 if tag == "<noscript>" else -1
        assert depth in (0, 1)
    assert depth == 0


def test_every_table_bears_the_name_under_which_the_address_knows_it(page: Page) -> None:
    names = [value for tag, name, value in page.attributes if tag == "table" and name == "data-table"]
    assert page.tags.count("table") == len(names)
    assert {"scores-of-the-cohort", "levels-of-age-group", "subgroups", "cases"} <= set(names)
    assert all(re.fullmatch(r"[\w-]+", name) for name in names)
