"""The section of evidence: what stands in its tables, cell by cell."""

from __future__ import annotations

import dataclasses

from tests.mitigation.toy_folds import conclude_folds

from segfair.audit.words import format_number
from segfair.mitigation.experiment.pages.evidence_page import evidence_section

MODELS = {"divergence-sampling": {"gain": 0.06}, "balanced": {"gain": 0.02, "rest": -0.02}}


def test_a_row_a_model_after_the_plain_one_and_its_spread() -> None:
    models = conclude_folds(3, MODELS).models
    section = evidence_section(models)
    assert section is not None
    (entry,) = section["entries"]
    assert entry["backbone"] == ""
    assert entry["items"] == [{"attribute": "sex", "level": "F"}]
    assert entry["who"] == "the choice of 5 of 5 folds; 50 cases of 25 subjects judged"
    assert entry["table"]["caption"].endswith("95% intervals over 100 subjects and 3 seeds")
    rows = {row[0]["text"]: row[1:] for row in entry["table"]["rows"]}
    assert list(rows) == ["erm", "erm, other seeds", "divergence-sampling", "balanced"]
    found = models[2].evidence
    assert found is not None
    assert found.worst is not None
    assert found.null is not None
    assert [cell["sub"] for cell in rows["erm"]] == ["50 cases", "200 cases", "150 cases", ""]
    assert rows["erm"][0]["text"] == format_number(found.worst.before)
    assert rows["erm, other seeds"][0]["text"] == f"±{format_number(found.null.worst_subgroup)}"
    assert rows["erm, other seeds"][3]["text"] == "–"
    worst, mean, rest, score = rows["balanced"]
    assert (worst["text"], worst["tone"]) == (format_number(found.worst.mean.value, signed=True), "better")
    assert worst["sub"].endswith("; gain")
    assert (mean["sub"].rpartition("; ")[2], mean["tone"]) == (found.mean_word, "worse")
    assert ";" not in rest["sub"] + score["sub"]
    assert [row[0]["text"] for row in entry["choices"]["rows"]] == ["0", "1", "2", "3", "4"]


def test_one_seed_has_no_spread_and_a_cohort_without_subgroup_says_why() -> None:
    section = evidence_section(conclude_folds(1, MODELS).models)
    assert section is not None
    (entry,) = section["entries"]
    assert [row[0]["text"] for row in entry["table"]["rows"]] == ["erm", "divergence-sampling", "balanced"]
    assert entry["table"]["caption"].endswith("over 100 subjects alone")
    assert entry["table"]["note"] == ""
    assert entry["table"]["rows"][1][1]["sub"].endswith("; gain, one seed")
    section = evidence_section(conclude_folds(1, MODELS, min_cases=150).models)
    assert section is not None
    (entry,) = section["entries"]
    assert entry["reason"].startswith("no subgroup of at least 150 cases")
    assert entry["choices"] is None
    assert entry["table"]["rows"][1][1]["text"] == "–"


def test_each_backbone_has_its_tables() -> None:
    models = conclude_folds(1, MODELS).models
    others = [dataclasses.replace(model, backbone="segresnet") for model in models]
    section = evidence_section([*models, *others])
    assert section is not None
    assert [entry["backbone"] for entry in section["entries"]] == ["unet", "segresnet"]
    assert evidence_section(models[:1]) is None
