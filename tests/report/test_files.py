"""The page and the files beside it: what they say, what they never say, and what they leave alone."""

from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jinja2 import UndefinedError
from tests.report_fixtures import HOSTILE, make_result
from tests.score_fixtures import found_only_beforehand

import segfair.report.files
import segfair.report.rows
from segfair.audit.result import AuditResult, Verdict
from segfair.audit.words import Standing
from segfair.errors import ConfigError
from segfair.files.manifest import not_covered, verify
from segfair.handover.model_card import model_card
from segfair.report.audit import page_data
from segfair.report.files import FILES, render_page, template_folder, write_report
from segfair.report.rows import Column, Row, RowTable, encode_tables, script_json
from segfair.subgroups.lattice import SubgroupTable

ROOT = Path(__file__).resolve().parents[2]
GOLD = Path(__file__).parent / "gold" / "page.json"


FEW = {"age": ("young", "old"), "site": ("A", "B", "C")}


class Page(HTMLParser):
    """Elements, attributes and visible text of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.text: list[str] = []
        self.inside = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.inside = tag if tag in ("script", "style") else ""
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.inside != "style":
            self.text.append(data)

    @property
    def visible(self) -> str:
        return " ".join(" ".join(self.text).split())

    @property
    def payload(self) -> Any:
        return json.loads(self.scripts[0][1])


def draw(result: AuditResult) -> str:
    return render_page(page_data(result, written="2026-01-01", command="segfair audit", digests={"x": "0"}))


@pytest.fixture(scope="module")
def result() -> AuditResult:
    return make_result()


@pytest.fixture(scope="module")
def html(result: AuditResult) -> str:
    return draw(result)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_five_files_and_a_manifest_that_holds(tmp_path: Path) -> None:
    result = make_result(levels=FEW)
    (tmp_path / "metadata.csv").write_text("a,b\n")
    result = dataclasses.replace(result, inputs={"metadata": str(tmp_path / "metadata.csv"), "labels": "nowhere"})
    found = write_report(result, tmp_path / "a" / "out", command="segfair audit x")
    assert found == tmp_path / "a" / "out" / "report.html"
    assert {path.name for path in found.parent.iterdir()} == set(FILES)
    assert verify(found.parent, {"metadata": tmp_path / "metadata.csv"}) == []
    manifest = json.loads((found.parent / "manifest.json").read_text())
    assert manifest["command"] == "segfair audit x"
    assert manifest["protocol"]["sha256"] == result.config.protocol.digest
    assert manifest["inputs"]["labels"] == {"path": "nowhere", "files": None}
    assert AuditResult.load(found.parent / "audit.json").to_dict() == result.to_dict()


def test_the_tables_hold_every_case_and_every_subgroup(tmp_path: Path) -> None:
    result = make_result(levels=FEW, outcomes=("dsc", "normhd"))
    write_report(result, tmp_path)
    with (tmp_path / "cases.csv").open(newline="") as file:
        cases = list(csv.DictReader(file))
    assert [row["case"] for row in cases] == result.case_scores.column("case")
    assert [float(row["dsc"]) for row in cases] == result.case_scores.column("dsc")
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


@pytest.mark.parametrize("existed", [True, False])
def test_a_failure_leaves_nothing_half_written(result, tmp_path, monkeypatch, existed) -> None:
    out = tmp_path / "out"
    if existed:
        out.mkdir()

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(segfair.report.files, "write_csv", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        write_report(result, out)
    assert out.exists() is existed
    assert not existed or not list(out.iterdir())


def test_audit_json_keeps_to_its_schema() -> None:
    schema = json.loads((ROOT / "docs" / "reference" / "audit.schema.json").read_text("utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    results = [make_result(margin=0.1, primary=("site",), outcomes=("dsc", "normhd")), make_result(inference=False)]
    for result in results:
        tree = json.loads(json.dumps(result.to_dict()))
        validator.validate(tree)
        assert set(tree) == set(schema["properties"]), "every key is described"
        assert set(tree["config"]) == set(schema["properties"]["config"]["properties"])
        row = tree["subgroups"]["dsc"][0]
        assert set(row) == set(schema["$defs"]["subgroup"]["properties"])
        assert set(tree["attributes"][0]) == set(schema["$defs"]["attribute"]["properties"])
        for key in ("outcomes", "bins"):
            described = schema["properties"][key]["additionalProperties"]["properties"]
            assert all(set(entry) == set(described) for entry in tree[key].values())
    tree["subgroups"]["dsc"][0]["p_value"] = 1.5
    assert not validator.is_valid(tree), "the schema can fail"


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


def test_the_page_answers_in_order(page: Page) -> None:
    heads = [value for _, name, value in page.attributes if name == "id" and value.endswith("-title")]
    order = [
        "verdict",
        "worst",
        "alerts",
        "scores",
        "attributes",
        "subgroups",
        "maps",
        "why",
        "cases",
        "power",
        "method",
    ]
    assert [head.removesuffix("-title") for head in heads if head.removesuffix("-title") in order] == order


def test_the_worst_subgroup_is_told_with_its_numbers(page: Page, result: AuditResult) -> None:
    worst = next(row for row in result.subgroups["dsc"] if row.significant and not row.redundant)
    said = page.visible
    assert (
        f"{worst.n} of 300 cases: mean DSC {worst.mean:.3f}, against {worst.rest_mean:.3f} for everybody else" in said
    )
    assert f"adjusted p {'<0.001' if worst.p_adjusted < 0.001 else format(worst.p_adjusted, '.3f')}" in said
    assert "At equal lesion volume the difference to everybody else is" in said
    assert "can be a mediator" in said


@pytest.mark.parametrize("options", [{}, {"inference": False}, {"outcomes": ("dsc", "normhd"), "margin": 0.1}])
def test_the_word_is_nowhere_but_in_the_name_of_a_score(options: dict[str, Any]) -> None:
    page = Page(draw(make_result(levels=FEW, **options)))
    said = f"{page.visible} {page.scripts[0][1]} {' '.join(value for _, _, value in page.attributes)}"
    assert said.count("Fairness score") >= 1
    said = said.replace("Fairness score", "")
    assert not re.findall(r"\b(?:un)?fair(?:er|est|ly|ness)?\b", said, re.IGNORECASE)


def test_not_significant_never_stands_alone(page: Page) -> None:
    cells = re.findall(r"not significant.{0,60}", page.visible)
    assert cells
    assert all("gaps up to" in cell for cell in cells)
    states = dict(page.payload["states"])
    assert states["not significant"] == "gaps up to {} cannot be excluded"


def test_untested_subgroups_are_called_so() -> None:
    page = Page(draw(make_result(levels=FEW, inference=False)))
    assert "Not corrected for multiple testing" in page.visible
    assert "significantly" not in page.visible
    assert page.payload["states"] == [["not tested", "not corrected for multiple testing"]]


def test_penalised_cases_stand_with_their_effect(page: Page, result: AuditResult) -> None:
    said = page.visible
    score = result.scores["FS"]
    assert f"FS {score.value:.4f} {score.without_penalised:.4f} −0.0040" in said
    assert "case003 not on the label's grid" in said
    assert "case999 label: not a mask" in said


def test_chance_level_stands_with_fs(page: Page) -> None:
    assert "FS 0.930; a model with no disparity would score 0.962 (0.941 to 0.979) on this cohort." in page.visible
    stratified = make_result(levels=FEW)
    stratified = dataclasses.replace(stratified, config=dataclasses.replace(stratified.config, stratify="site"))
    assert "a model whose only disparity is that of site would score" in Page(draw(stratified)).visible


def test_primary_attributes_come_first_and_the_rest_is_exploratory() -> None:
    page = Page(draw(make_result(levels=FEW, primary=("site",))))
    assert "Fixed beforehand: site" in page.visible
    assert page.visible.index("Fixed beforehand") < page.visible.index("Alerts Unusable")
    assert "Subgroups exploratory" in page.visible


def test_a_significant_level_fixed_beforehand_is_named_before_what_chance_explains() -> None:
    result = found_only_beforehand()
    first = result.subgroups["dsc"].rows[0]
    assert first.subgroup.items != {("sex", "F")}, "the lattice alone would name another group"
    data = page_data(result, written="2026-01-01")
    worst = data["sections"]["worst"]
    assert [(item["attribute"], item["level"]) for item in worst["items"]] == [("sex", "F")]
    assert worst["evidence"].startswith("Significantly worse")
    assert worst["evidence"].endswith("Tested among the levels fixed beforehand.")
    assert "family" in worst["table"]["note"]
    facts = {entry["name"]: entry for entry in data["facts"]}
    assert "sex = F" in facts["Largest deficit"]["note"]
    assert facts["Subgroups tested"]["note"].startswith("0 beyond chance")
    assert facts["Subgroups tested"]["note"].endswith("; 2 of 2 levels fixed beforehand")
    card = model_card(result).partition("## Subgroups that are worst off")[2]
    assert card.index("sex = F") < card.index("noise")
    # A lattice that lacks the level gets it at its place.
    table = result.subgroups["dsc"]
    rows = tuple(row for row in table if len(row.subgroup) > 1)
    found = dataclasses.replace(result, subgroups={"dsc": dataclasses.replace(table, rows=rows)}).strongest_evidence()
    assert len(found) == len(rows) + 2
    place = next(index for index, row in enumerate(found) if row.subgroup.items == {("sex", "F")})
    assert all(row.divergence <= found.rows[place].divergence for row in found.rows[:place])


def test_all_rows_are_embedded_and_the_first_hundred_drawn(page: Page, html: str, result: AuditResult) -> None:
    (outcome,) = page.payload["outcomes"]
    table = result.subgroups["dsc"]
    assert len(outcome["rows"]) == len(table)
    items, attributes = page.payload["items"], page.payload["attributes"]
    for line, row in zip(outcome["rows"], table, strict=True):
        assert {(attributes[items[code][0]], items[code][1]) for code in line[0]} == row.subgroup.items
        assert line[1] == row.redundant
        assert line[4] == row.n
        assert line[5] == pytest.approx(row.mean, abs=0.0005)
    body = re.search(r'id="subgroup-table".*?<tbody>(.*?)</tbody>', html, re.S)
    assert body
    assert body[1].count("<tr>") == 100
    assert f"The first 100 of {sum(not row.redundant for row in table)} subgroups; subgroups.csv holds all." in html


def test_a_lattice_beyond_the_page_is_cut_and_said(monkeypatch: pytest.MonkeyPatch, result: AuditResult) -> None:
    monkeypatch.setattr(segfair.report.rows, "_BYTES", 5000)
    page = Page(draw(result))
    kept = page.payload["outcomes"][0]["rows"]
    assert 20 < len(kept) < 100
    n_left = len(result.subgroups["dsc"]) - len(kept)
    assert f"{n_left} subgroups beyond the room of this page are in subgroups.csv only." in page.visible
    assert not any(line[1] for line in kept), "redundant ones go first"


def test_findings_and_both_ends_of_a_table_find_room_first(monkeypatch: pytest.MonkeyPatch) -> None:
    column = Column("n", "count")
    findings = {0, 150, 151, 399}
    rows = [
        Row(
            (("a", str(index)),),
            index % 2 == 1,
            Standing("beyond chance" if index in findings else "open"),
            (index,),
            index in findings,
        )
        for index in range(400)
    ]
    whole, n_omitted = encode_tables([RowTable("DSC", 3, rows)], [column])
    assert n_omitted == 0
    assert [line[4] for line in json.loads(whole)["outcomes"][0]["rows"]] == list(range(400))
    monkeypatch.setattr(segfair.report.rows, "_BYTES", 40 * len("[[399],1,1,null,399],"))
    payload, n_omitted = encode_tables([RowTable("DSC", 3, rows)], [column])
    kept = [line[4] for line in json.loads(payload)["outcomes"][0]["rows"]]
    assert n_omitted == 400 - len(kept)
    assert kept == sorted(kept), "in the order of the table"
    assert findings <= set(kept)
    others = [index for index in kept if index not in findings]
    harmful, favoured = ([index for index in others if (index < 200) is first] for first in (True, False))
    assert all(index % 2 == 0 for index in others), "those folded away go first"
    assert harmful == list(range(2, 2 + 2 * len(harmful), 2))
    assert favoured == list(range(400 - 2 * len(favoured), 400, 2))
    assert len(harmful) == pytest.approx(3 * len(favoured), abs=3)


def test_the_page_of_a_large_cohort_stays_small() -> None:
    levels = {f"attribute_{index}": tuple(f"level {code}" for code in range(4)) for index in range(8)}
    result = make_result(n_cases=1506, levels=levels, min_support=0.005)
    table = result.subgroups["dsc"]
    assert len(table) > 3900
    table = dataclasses.replace(table, rows=table.rows[:4000])
    html = draw(dataclasses.replace(result, subgroups={"dsc": table}))
    assert len(html.encode()) < 2_000_000
    assert len(Page(html).payload["outcomes"][0]["rows"]) == len(table)


def test_hostile_metadata_is_text(page: Page) -> None:
    result = make_result(levels=HOSTILE)
    result = dataclasses.replace(
        result,
        verdict=Verdict("<b>", "<script>alert(3)</script>" * 1000),
        notices=("</p><script>alert(4)</script>",),
        left_out={"<iframe>": "'\"><svg onload=alert(5)>"},
        inputs={"<i>": "javascript:alert(6)"},
        record={"<u>": {"</dl>": ["<em>", 1, None]}},
        versions={"segfair": '"><script>'},
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


def test_json_in_a_script_cannot_end_it() -> None:
    tree = {"a": "</script><!--<script>\u2028\u2029&"}
    text = script_json(tree)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == tree
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json(float("nan"))


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


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": (), "power": (), "fairness": ()},
        {"scores": {}, "definitions": (), "alerts": ()},
        {"subgroups": {"dsc": SubgroupTable("dsc", "higher", 0, None, ())}},
        {"gates": (), "record": {}, "left_out": {}, "notices": (), "inputs": {}, "bins": {}},
    ],
)
def test_what_is_not_there_is_not_drawn(change: dict[str, Any]) -> None:
    page = Page(draw(dataclasses.replace(make_result(levels=FEW), **change)))
    assert "None" not in page.visible.replace("None: every case", "")
    assert "nan" not in page.visible.lower().split()


def test_a_cohort_without_attributes_still_has_a_page() -> None:
    page = Page(draw(make_result(n_cases=8, levels={})))
    assert "No subgroup is large enough to be described." in page.visible


@pytest.mark.parametrize("outcome", ["normhd", "hd95_mm"])
def test_of_metrics_where_lower_is_better_the_highest_is_worst(outcome: str) -> None:
    result = make_result(levels=FEW, outcomes=(outcome, "dsc"))
    data = page_data(result, written="")
    rows = [row for row in result.subgroups[outcome] if row.divergence > 0]
    assert data["sections"]["worst"]["sentence"].startswith(f"{rows[0].n} of 300 cases")
    values = result.case_scores.column(outcome)
    first = result.case_scores.column("case")[values.index(max(values))]
    assert data["sections"]["cases"]["table"]["rows"][0][0]["text"] == first


def test_without_rows_of_cases_there_are_no_maps_and_no_worst_cases() -> None:
    result = make_result(levels=FEW)
    bare = dataclasses.replace(result, case_scores=dataclasses.replace(result.case_scores, rows=()))
    sections = page_data(bare, written="")["sections"]
    assert sections["maps"] is None
    assert sections["cases"] is None
    assert sections["subgroups"]["rows"]


def test_templates_lie_where_they_are_looked_for() -> None:
    assert (template_folder() / "report.html.j2").is_file()


def scrub(value: Any) -> Any:
    """Page data without drawings, hashes and versions."""
    if isinstance(value, dict):
        return {key: "svg" if key in ("svg", "narrow") and entry else scrub(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [scrub(entry) for entry in value]
    return re.sub(r"\b[0-9a-f]{64}\b", "sha256", value) if isinstance(value, str) else value


def test_page_data_is_as_it_was() -> None:
    """Update the gold file with SEGFAIR_UPDATE_GOLD=1 and look at the difference."""
    result = make_result(n_cases=48, levels={"age": ("young", "old"), "sex": ("f", "m", "missing")}, min_support=0.1)
    data = page_data(result, written="2026-01-01", command="segfair audit", digests={"audit.json": "0" * 64})
    data["sections"]["subgroups"]["payload"] = json.loads(data["sections"]["subgroups"]["payload"])
    found = scrub(data)
    if os.environ.get("SEGFAIR_UPDATE_GOLD"):
        GOLD.parent.mkdir(exist_ok=True)
        GOLD.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
    assert found == json.loads(GOLD.read_text("utf-8"))
