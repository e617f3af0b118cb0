"""The section that says why a gap remains, and what follows from it at the top of the page."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from tests.mitigation.toy_folds import conclude_folds
from tests.mitigation.toy_models import LESIONS, conclude, model

from segfair.mitigation.experiment.diagnosis import Part, deficit_of, diagnose
from segfair.mitigation.experiment.pages.diagnosis_page import why_section
from segfair.mitigation.experiment.pages.summary_page import write_mitigation_page


def texts(row: list[dict[str, str]]) -> list[str]:
    return [entry["text"] for entry in row]


def test_every_model_has_its_reasons_and_its_numbers() -> None:
    section = why_section([model("erm", women=0.5), model("balanced", women=0.8)])
    assert section is not None
    assert [entry["name"] for entry in section["reasons"]] == ["erm", "balanced"]
    assert section["reasons"][0]["value"].endswith("is low in itself). Draw it more often, or train longer.")
    plain, balanced = section["learning"]["rows"]
    assert texts(plain)[2:] == ["rare and under-learned", "0.200", "0.900", "0.200", "0.900", "3.0 %"]
    assert plain[3]["sub"] == "n = 4"
    # Lesions are alike: what is left is what there was.
    raw, size, left, raw_again, looks, left_again, failures = texts(section["deficit"]["rows"][0])[1:]
    assert raw == raw_again
    assert float(raw.replace("−", "-")) < -0.39
    assert abs(float(size.replace("−", "-")) + 0.4) < 0.02
    assert abs(float(looks.replace("−", "-")) + 0.4) < 0.02
    assert left == left_again == "remains"
    assert int(failures) > 15
    assert section["deficit"]["rows"][0][-1]["sub"] == "of 30; not a few"
    assert "the test cases" in section["deficit"]["caption"]
    assert texts(balanced)[0] == "balanced"
    # Both are explained on one subgroup, whose lesions are told of once.
    assert len(section["lesions"]["rows"]) == 1
    assert len(section["rules"]) == 2


def test_failures_are_named_where_they_are_a_few() -> None:
    plain = model("erm", women=0.9)
    women = np.arange(120) % 4 == 0
    dice = np.full(120, 0.9)
    dice[[0, 4, 8]] = 0.1
    found = diagnose(Part(30, 0.9, 0.9), Part(30, 0.82, 0.9), share=0.25, deficit=deficit_of(women, dice, LESIONS))
    section = why_section([dataclasses.replace(plain, diagnosis={"subgroup": {"sex": "F"}, **found.to_dict()})])
    assert section is not None
    assert "2 of 30 cases hold two thirds of the deficit" in section["reasons"][0]["value"]
    assert "Look at these cases first: c000, c004." in section["reasons"][0]["value"]
    assert section["deficit"]["rows"][0][-1]["sub"] == "of 30; a few failures"


def test_without_lesions_and_without_a_subgroup_there_are_no_tables_of_them() -> None:
    (plain, other) = conclude_folds(2, {"balanced": {"gain": 0.0}}).models
    section = why_section([plain, other])
    assert section is not None
    assert section["deficit"] is section["lesions"] is None
    assert len(section["rules"]) == 1
    assert "Out-of-fold Dice" in [column["title"] for column in section["learning"]["columns"]]
    assert why_section([dataclasses.replace(plain, diagnosis=None)]) is None


def test_the_page_says_at_the_top_what_follows(tmp_path: Path) -> None:
    nothing = conclude(model("erm", women=0.5), model("fairmedseg", women=0.45))
    text = write_mitigation_page(nothing, tmp_path).read_text("utf-8")
    assert text.index("What follows.") < text.index("Nothing is shown to help sex = F") < text.index("Scores</h2>")
    helped = conclude(model("erm", women=0.5), model("balanced", women=0.8))
    assert "What follows." not in write_mitigation_page(helped, tmp_path).read_text("utf-8")
