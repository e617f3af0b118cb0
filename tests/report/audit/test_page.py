"""The page of an audit as a whole: its order, its data as they were, and nothing that is not there."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests.audit.made_up_audits import changed
from tests.report.pages import FEW, Page, draw
from tests.report_fixtures import make_result

from segfair.report.audit import page_data
from segfair.subgroups.lattice import SubgroupTable

GOLD = Path(__file__).parent / "gold" / "page.txt"


def test_the_page_answers_in_order(page: Page) -> None:
    heads = [value for _, name, value in page.attributes if name == "id" and value.endswith("-title")]
    order = [
        "verdict",
        "worst",
        "alerts",
        "scores",
        "attributes",
        "cases",
        "subgroups",
        "maps",
        "why",
        "power",
        "method",
    ]
    assert [head.removesuffix("-title") for head in heads if head.removesuffix("-title") in order] == order


@pytest.mark.parametrize("options", [{}, {"inference": False}, {"outcomes": ("dsc", "normhd"), "margin": 0.1}])
def test_the_word_is_nowhere_but_in_the_name_of_a_score(options: dict[str, Any]) -> None:
    page = Page(draw(make_result(levels=FEW, **options)))
    said = f"{page.visible} {page.scripts[0][1]} {' '.join(value for _, _, value in page.attributes)}"
    assert said.count("Fairness score") >= 1
    said = said.replace("Fairness score", "")
    assert not re.findall(r"\b(?:un)?fair(?:er|est|ly|ness)?\b", said, re.IGNORECASE)


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": {"facts": ()}, "subgroups": {"power": ()}, "scores": {"variants": ()}},
        {"scores": {"by_name": {}, "definitions": ()}, "verdict": {"alerts": ()}},
        {"subgroups": {"tables": {"dsc": SubgroupTable("dsc", "higher", 0, None, ())}}},
        {
            "verdict": {"gates": ()},
            "about": {"record": {}, "notices": (), "inputs": {}},
            "attributes": {"left_out": {}, "bins": {}},
        },
    ],
)
def test_what_is_not_there_is_not_drawn(change: dict[str, Any]) -> None:
    page = Page(draw(changed(make_result(levels=FEW), **change)))
    assert "None" not in page.visible.replace("None: every case", "")
    assert "nan" not in page.visible.lower().split()


def test_a_cohort_without_attributes_still_has_a_page() -> None:
    page = Page(draw(make_result(n_cases=8, levels={})))
    assert "No subgroup is large enough to be described." in page.visible


def test_without_rows_of_cases_there_are_no_maps_and_no_worst_cases() -> None:
    result = make_result(levels=FEW)
    bare = changed(result, cases={"scores": dataclasses.replace(result.cases.scores, rows=())})
    sections = page_data(bare, written="")["sections"]
    assert sections["maps"] is None
    assert sections["cases"] is None
    assert sections["subgroups"]["rows"]


def on_one_line(value: Any) -> str | None:
    """A value as a reader of the gold file takes it in; None for what takes several lines."""
    match value:
        case {"text": text, "sub": sub, "tone": tone, "items": items}:
            named = ", ".join(f"{item['attribute']} = {item['level']}" for item in items)
            return f"{text or named}{f' ({sub})' if sub else ''}{f' <{tone}>' if tone else ''}"
        case {"title": title, "number": number}:
            return f"{title} #" if number else title
        case {"title": title, "kind": kind}:
            return f"{title} <{kind}>"
        case {"name": name, "value": setting, "code": code}:
            return f"{name} = {f'`{setting}`' if code else setting}"
        case {"attribute": attribute, "level": level}:
            return f"{attribute} = {level}"
        case {"id": section, "title": title}:
            return f"{section}: {title}"
        case str():
            return "<svg>" if value.startswith("<svg") else value
        case [{"text": _} | {"number": _} | {"kind": _}, *_]:
            return " | ".join(str(on_one_line(entry)) for entry in value)
        case [int() | [int(), *_], *_] | int() | float() | None:
            return json.dumps(value)
        case _:
            return None


def told(value: Any, indent: str = "") -> list[str]:
    """Page data line by line, without what is empty; drawings are named, not kept."""
    lines = []
    pairs = value.items() if isinstance(value, dict) else (("-", entry) for entry in value)
    for key, entry in pairs:
        head = f"{indent}-" if key == "-" else f"{indent}{key}:"
        if entry in ("", [], {}):
            continue
        if (line := on_one_line(entry)) is not None:
            lines.append(f"{head} {line}")
        else:
            lines += [head, *told(entry, f"{indent}  ")]
    return lines


def test_page_data_is_as_it_was() -> None:
    """Update the gold file with SEGFAIR_UPDATE_GOLD=1 and look at the difference."""
    levels = {"age": ("young", "old"), "sex": ("f", "m")}
    result = make_result(n_cases=8, levels=levels, min_support=0.1, min_cases=2)
    data = page_data(result, written="2026-01-01", command="segfair audit", digests={"audit.json": "0" * 64})
    del data["glossary"]
    data["sections"]["subgroups"]["payload"] = json.loads(data["sections"]["subgroups"]["payload"])
    found = told(data)
    if os.environ.get("SEGFAIR_UPDATE_GOLD"):
        GOLD.parent.mkdir(exist_ok=True)
        GOLD.write_text("\n".join(found) + "\n", "utf-8")
    assert found == GOLD.read_text("utf-8").splitlines()
