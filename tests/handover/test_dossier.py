"""The dossier holds every item of the checklists, points to what is there, and turns when a fact goes."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.audit.made_up_audits import changed
from tests.report_fixtures import HOSTILE, make_result

from segfair.audit.result import AuditResult
from segfair.errors import ConfigError
from segfair.handover.audit_facts import FACTS, RECORD, fact_of
from segfair.handover.disclosure import share
from segfair.handover.dossier import Answer, checklists, dossier
from segfair.handover.dossier_files import FILES, write_dossier

FEW = {"sex": ("f", "m"), "site": ("A", "B", "C")}


def answers(result: AuditResult) -> list[Answer]:
    return [answer for section in dossier(result).sections for answer in section.answers]


def test_the_checklists_are_whole() -> None:
    found = {checklist.key: checklist for checklist in checklists()}
    assert list(found) == ["fda-ai-dsf", "standing-together", "claim-2024", "tripod-ai", "eu-ai-act", "nice-esf"]
    assert [item.number for item in found["claim-2024"].items] == [str(number) for number in range(1, 45)]
    assert [item.number for item in found["nice-esf"].items] == [str(number) for number in range(1, 22)]
    tripod = [item.number for item in found["tripod-ai"].items]
    assert len(tripod) == len(set(tripod)) == 52
    assert [int(re.sub(r"\D", "", number)) for number in tripod] == sorted(int(re.sub(r"\D", "", n)) for n in tripod)
    assert {int(re.sub(r"\D", "", number)) for number in tripod} == set(range(1, 28))
    for checklist in found.values():
        assert checklist.source and checklist.version and checklist.numbering
        for item in checklist.items:
            assert item.who and item.topic, item
            assert item.facts or item.remains, "what nobody can say has to be said to be missing"
            assert all(fact_of(name).remedy for name in item.facts)
            assert len(item.topic) < 160, "a paraphrase, not the text"


def test_every_fact_serves_an_item() -> None:
    used = {name for checklist in checklists() for item in checklist.items for name in item.facts}
    assert set(FACTS) == {name for name in used if not name.startswith(RECORD)}


def test_every_item_is_in_the_dossier_in_its_order() -> None:
    found = dossier(make_result(levels=FEW))
    wanted = [(checklist.key, item.number, item.topic) for checklist in checklists() for item in checklist.items]
    assert [(row["checklist"], row["item"], row["topic"]) for row in found.records()] == wanted
    tree = found.to_dict()
    assert [
        (one["key"], item["number"], item["topic"]) for one in tree["checklists"] for item in one["items"]
    ] == wanted


@pytest.mark.parametrize("is_shared", [False, True])
def test_what_is_told_points_to_what_is_there(is_shared: bool) -> None:
    result = make_result(levels=FEW, primary=("site",))
    result = share(result) if is_shared else result
    tree = result.to_dict()
    told = [(place, text) for answer in answers(result) for place, text in answer.told]
    assert len(told) > 100
    for place, text in told:
        assert text
        held = [_at(tree, name) for name in place.split(", ")]
        assert any(held), (place, text)


def _at(tree: Any, place: str) -> Any:
    for name in place.split("."):
        tree = tree.get(name)
    return tree


def test_standing_follows_from_what_is_there() -> None:
    result = make_result(levels=FEW)
    for answer in answers(result):
        there = [name for name in answer.item.facts if fact_of(name).tell(result)]
        assert len(there) == len(answer.told)
        if not there:
            assert answer.standing == "missing"
        elif len(there) == len(answer.item.facts) and not answer.item.remains:
            assert (answer.standing, answer.missing) == ("answered", ())
        else:
            assert answer.standing == "partly"
            assert answer.missing
    assert {answer.standing for answer in answers(result)} == {"answered", "partly", "missing"}


@pytest.mark.parametrize(
    ("fact", "gone"),
    [
        ("power", {"subgroups": {"power": ()}}),
        ("gates", {"verdict": {"gates": ()}}),
        ("definitions", {"scores": {"definitions": ()}}),
        ("metrics", {"cases": {"metrics": ()}}),
        ("binning", {"attributes": {"bins": {}}}),
        ("group_sizes", {"attributes": {"facts": ()}}),
        ("alerts", {"verdict": {"alerts": ()}}),
        ("record.model", {"about": {"record": {}}}),
    ],
)
def test_a_fact_that_goes_turns_its_items(fact: str, gone: dict[str, Any]) -> None:
    result = make_result(levels=FEW)
    assert fact_of(fact).tell(result)
    before, after = answers(result), answers(changed(result, **gone))
    touched = [(old, new) for old, new in zip(before, after, strict=True) if fact in old.item.facts]
    assert touched
    for old, new in touched:
        assert len(new.told) < len(old.told)
        assert len(new.missing) >= len(old.missing)
        assert new.standing == ("missing" if not new.told else "partly")


def test_what_the_record_lacks_is_asked_for_by_its_key() -> None:
    result = changed(make_result(levels=FEW), about={"record": {"period": "2020 to 2022"}})
    claim = next(section for section in dossier(result).sections if section.checklist.key == "claim-2024")
    seven = claim.answers[6]
    assert (seven.standing, seven.told) == ("partly", (("record.period", "2020 to 2022"),))
    assert seven.missing == ("in the record of the study: cohort",)


def test_nothing_is_told_of_a_case_and_nothing_leaves_a_shared_audit(tmp_path: Path) -> None:
    result = make_result(levels=FEW)
    ids = set(result.cases.scores.column("case")) | {"case999"}
    for audit in (result, share(result)):
        text = json.dumps(dossier(audit).to_dict(), ensure_ascii=False)
        assert not [case for case in ids if case in text]
        assert "cohort/" not in text
    shared = share(result)
    text = json.dumps(dossier(shared).to_dict())
    assert "N. N." not in text
    # All that is told of the shared audit can be told from its file alone.
    shared.save(tmp_path / "audit.json")
    assert dossier(AuditResult.load(tmp_path / "audit.json")) == dossier(shared)


def test_it_never_says_that_anything_complies(tmp_path: Path) -> None:
    write_dossier(dossier(make_result(levels=FEW)), make_result(levels=FEW), tmp_path, digest="ab" * 32)
    page = (tmp_path / "dossier.html").read_text("utf-8")
    body = page[page.index("<main") :]
    assert "does not say that anything complies" in body
    assert not re.search(r"complian|conform|fulfil|satisf|certif", body, re.IGNORECASE)


def test_the_files_agree_and_need_no_network(tmp_path: Path) -> None:
    result = make_result(levels=HOSTILE, n_cases=80)
    found = dossier(result)
    page = write_dossier(found, result, tmp_path, digest="ab" * 32)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    text = page.read_text("utf-8")
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert not re.findall(r"(?:src|href)=\"(?!#)", text)
    assert text.count('<th scope="row">') == len(found.records()) + len(found.sections)
    with (tmp_path / "dossier.csv").open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["item"], row["standing"]) for row in rows] == [
        (row["item"], row["standing"]) for row in found.records()
    ]
    tree = json.loads((tmp_path / "dossier.json").read_text("utf-8"))
    assert tree["audit_sha256"] == "ab" * 32
    write_dossier(found, result, tmp_path, digest="cd" * 32)
    (tmp_path / "dossier.json").write_text("{}")
    with pytest.raises(ConfigError, match="segfair dossier did not write"):
        write_dossier(found, result, tmp_path, digest="ab" * 32)


def test_the_pages_of_the_docs_say_what_the_file_holds() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    keys = {
        name.removeprefix(RECORD)
        for checklist in checklists()
        for item in checklist.items
        for name in item.facts
        if name.startswith(RECORD)
    }
    how_to = (docs / "how-to" / "hand-over.md").read_text("utf-8")
    assert keys == {key for key in keys if f"`{key}`" in how_to}
    rows = re.findall(
        r"^\| .+ \| .+ \| (\d+)[^|]* \| [^|]+ \|$", (docs / "reference" / "standards.md").read_text("utf-8"), re.M
    )
    assert [int(number) for number in rows] == [len(checklist.items) for checklist in checklists()]
