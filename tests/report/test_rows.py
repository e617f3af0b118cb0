"""The rows that a page's script sorts: all of them, or those that matter first, as JSON that cannot end a script."""

from __future__ import annotations

import json
import re

import pytest
from tests.report.pages import Page, draw

import segfair.report.files
import segfair.report.rows
from segfair.audit.result import AuditResult
from segfair.audit.words import Standing
from segfair.report.rows import PAGE_ROWS, Column, Row, RowTable, encode_tables, script_json


def test_all_rows_are_embedded_and_the_first_page_drawn(page: Page, html: str, result: AuditResult) -> None:
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
    assert body[1].count("<tr>") == PAGE_ROWS
    assert (
        f"The first {PAGE_ROWS} of {sum(not row.redundant for row in table)} subgroups; subgroups.csv holds all."
        in html
    )


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


def test_json_in_a_script_cannot_end_it() -> None:
    tree = {"a": "</script><!--<script>\u2028\u2029&"}
    text = script_json(tree)
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == tree
    with pytest.raises(ValueError, match="not JSON compliant"):
        script_json(float("nan"))
