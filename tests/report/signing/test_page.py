"""The page of the summary: complete, safe, in its language, and one to two pages on paper."""

from __future__ import annotations

import dataclasses
import io
import json
import re
from html import unescape
from pathlib import Path

import pytest
from pypdf import PdfReader
from tests.audit.made_up_audits import changed
from tests.report.pages import Page
from tests.report_fixtures import HOSTILE, make_result

from segfair.audit.result import AuditConfig, AuditResult
from segfair.errors import ConfigError
from segfair.files.manifest import hash_file, verify
from segfair.protocol.rules import load_protocol
from segfair.report.files import render_summary, write_report
from segfair.report.signing import paper
from segfair.report.signing.language import language_of
from segfair.report.signing.page import summary_data

FEW = {"sex": ("f", "m"), "site": ("A", "B", "C")}
RECORD = {
    "model": {"name": "nnU-Net", "version": "2.1"},
    "cohort": "MAMA-MIA",
    "reference_standard": "two readers",
    "approver": "A. B.",
    "role": "radiologist",
    "recommendation": "not for screening",
}


def draw(result: AuditResult, code: str = "en") -> str:
    words = language_of(code)
    return render_summary(summary_data(result, words, audited="2026-01-01 00:00 UTC", digest="0123456789abcdef"), words)


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", html[html.index("<body>") :])))


def on_paper(html: str) -> PdfReader:
    return PdfReader(io.BytesIO(paper.to_pdf(html)))


def test_it_names_what_was_audited_and_leaves_room_to_sign() -> None:
    html = draw(changed(make_result(levels=FEW), about={"record": RECORD}))
    text = text_of(html)
    assert "<title>nnU-Net 2.1 · MAMA-MIA: summary of the audit</title>" in html
    for part in (
        *("Model nnU-Net 2.1", "Cohort MAMA-MIA", "Reference standard two readers", "Audited on 2026-01-01 00:00 UTC"),
        *("Recommendation: not for screening", "Name A. B.", "Role radiologist", "Date", "Signature", "rejected"),
        "SHA-256 of audit.json 0123456789ab … ",
    ):
        assert part in text, part


def test_what_is_not_known_is_said_to_be_so() -> None:
    bare = changed(make_result(levels=FEW), about={"record": {}})
    text = text_of(draw(bare))
    assert text.count("not stated") == 3
    assert "Summary of a segmentation audit" in text
    assert "None was set." in text_of(draw(changed(bare, verdict={"gates": ()})))


def test_patients_are_counted_where_they_have_several_cases() -> None:
    result = make_result(n_cases=60, levels=FEW)
    subjects = tuple(index // 2 for index in range(60))
    rows = dataclasses.replace(result.cases.scores, subjects=subjects)
    assert "Cases 60, of 30 patients" in text_of(draw(changed(result, cases={"scores": rows})))
    assert "Cases 60 " in text_of(draw(result))


def test_the_rules_are_named_in_words() -> None:
    def rules(protocol: str, **settings: object) -> str:
        config = AuditConfig(load_protocol(protocol), **settings)  # type: ignore[arg-type]
        text = text_of(draw(changed(make_result(levels=FEW), about={"config": config})))
        return text.partition("Rules of scoring ")[2][:110]

    assert rules("default").startswith("those of segfair (default); an unusable prediction counts with the worst score")
    assert rules("mama-mia").startswith("those of the MAMA-MIA challenge (mama-mia);")
    assert "an unusable prediction does not count" in rules("default", missing_prediction="drop")


def test_scores_that_were_handed_in_are_not_said_to_be_of_predictions() -> None:
    result = changed(make_result(levels=FEW), about={"inputs": {"scores": "scores.csv"}})
    assert "unusable prediction" not in text_of(draw(result)).partition("Rules of scoring")[2][:90]


@pytest.mark.parametrize("code", ["en", "de"])
def test_hostile_names_are_text(code: str) -> None:
    record = {"title": '"><script>alert(3)</script> \\22 }', "cohort": "</style><b>"}
    html = draw(changed(make_result(levels=HOSTILE), about={"record": record}), code)
    page = Page(html)
    assert page.scripts == []
    assert not [tag for tag, _, _ in page.attributes if tag in ("script", "img", "b")]
    assert html.count("</style>") == 1
    assert "\u202e" not in html
    assert "default-src 'none'; style-src 'unsafe-inline'" in unescape(html)
    assert f'<html lang="{code}">' in html


def test_the_foot_of_the_print_bears_the_name() -> None:
    html = draw(changed(make_result(levels=FEW), about={"record": {"title": 'Net "7"'}}))
    assert r'content: "Net\20 \22 7\22 \3a \20 summary' in html
    words = [page.extract_text() for page in on_paper(html).pages]
    assert all('Net "7": summary of the audit' in text[-200:] or 'Net "7": summary' in text for text in words)


@pytest.mark.parametrize("code", ["en", "de"])
@pytest.mark.parametrize(
    "made",
    [
        {"n_cases": 60},
        {"n_cases": 60, "primary": ("site", "age_group"), "outcomes": ("dsc", "normhd")},
        {"n_cases": 1506, "levels": {f"attribute_{index}": tuple("abcd") for index in range(6)}},
        {"levels": HOSTILE},
        {"inference": False},
    ],
)
def test_it_is_at_most_two_pages(made: dict[str, object], code: str) -> None:
    result = changed(make_result(**made), about={"record": RECORD})  # type: ignore[arg-type]
    assert 1 <= len(on_paper(draw(result, code)).pages) <= 2


def test_an_audit_of_format_1_and_one_without_rows_have_a_summary() -> None:
    tree = make_result(n_cases=60, levels=FEW).to_dict()
    for row in [row for rows in tree["subgroups"].values() for row in rows]:
        del row["estimate"]
    for key in ("findings", "worst_off", "search", "gallery"):
        tree.pop(key, None)
    old = AuditResult.from_dict(json.loads(json.dumps({**tree, "format": 1})))
    assert "The difference is" in text_of(draw(old))


def test_the_files_have_the_summary_and_its_digest(tmp_path: Path) -> None:
    result = changed(make_result(n_cases=60, levels=FEW), about={"inputs": {}})
    write_report(result, tmp_path, language="de", pdf=True)
    html = (tmp_path / "summary.html").read_text("utf-8")
    assert hash_file(tmp_path / "audit.json")[:12] in html
    assert "Ein Unterschied wurde gefunden" in html
    assert {"summary.html", "summary.pdf"} <= json.loads((tmp_path / "manifest.json").read_text())["outputs"].keys()
    assert verify(tmp_path) == []
    read = PdfReader(tmp_path / "summary.pdf")
    assert "Ein Unterschied wurde gefunden" in re.sub(r"\s+", " ", read.pages[0].extract_text())
    assert len(read.pages) <= 2
    write_report(result, tmp_path)
    assert not (tmp_path / "summary.pdf").exists(), "it would be that of an earlier report"


def test_an_unknown_language_or_a_missing_library_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no such catalogue"):
        write_report(make_result(levels=FEW), tmp_path / "out", language="fr")  # type: ignore[arg-type]
    monkeypatch.setitem(__import__("sys").modules, "weasyprint", None)
    with pytest.raises(ConfigError, match=r"pip install 'segfair\[pdf\]'"):
        write_report(make_result(levels=FEW), tmp_path / "out", pdf=True)
    assert not (tmp_path / "out").exists()
