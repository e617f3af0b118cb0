"""The model card: the report's facts in Markdown, and nothing from outside that becomes markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.audit.made_up_audits import changed
from tests.report_fixtures import HOSTILE, make_result

from segfair.audit.judging.verdict import headline
from segfair.audit.result import AuditResult
from segfair.handover.model_card import model_card

FEW = {"sex": ("f", "m"), "site": ("A", "B", "C")}


def cells(card: str, heading: str) -> list[list[str]]:
    """Rows of the first table under a heading."""
    lines = card.split(heading, 1)[1].splitlines()
    end = next((index for index, line in enumerate(lines) if line.startswith("#")), len(lines))
    rows = [line for line in lines[:end] if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in rows][2:]


def test_the_card_holds_the_facts_of_the_audit() -> None:
    result = make_result(levels=FEW)
    card = model_card(result)
    assert "\n# Model Card for nnU-Net 2.1\n" in card
    kind = result.verdict.kind
    assert f"**{kind[:1].upper()}{kind[1:]}.**" in card
    assert f"{kind}: {kind}" not in card.lower().replace(".**", ":"), "said once"
    rows = cells(card, "### site")
    site = next(entry for entry in result.attributes.facts if entry.name == "site")
    assert [row[:2] for row in rows] == [[level.level, str(level.n)] for level in site.levels]
    assert [float(row[2]) for row in rows] == [round(level.mean["dsc"], 3) for level in site.levels]
    assert all("to" in row[3] for row in rows), "each mean has its interval"
    assert [row[0] for row in cells(card, "## Scores\n")] == ["DSC", "NormHD", "PS", "FS", "TS"]
    for alert in result.verdict.alerts:
        assert alert.text.split(":")[0] in card
    assert result.about.config.protocol.digest in card
    assert "- numpy" not in card, "versions stand in one line"
    assert "numpy 2.4.0" in card


def test_a_card_survives_the_disk_and_says_the_same(tmp_path) -> None:
    result = make_result(levels=FEW)
    result.save(tmp_path / "audit.json")
    assert model_card(AuditResult.load(tmp_path / "audit.json")) == model_card(result)


def test_hostile_names_stay_text() -> None:
    card = model_card(make_result(levels=HOSTILE, n_cases=80))
    assert "<script>" not in card
    assert "<img" not in card
    assert "\u202e" not in card
    assert len(card) < 100_000
    result = changed(make_result(levels=FEW), about={"record": {"model": "| a | [x](javascript:1) \n# big"}})
    title = next(line for line in model_card(result).splitlines() if line.startswith("# "))
    assert title == "# Model Card for \\| a \\| \\[x\\](javascript:1) \\# big"


def test_an_audit_without_anything_to_say_says_so() -> None:
    result = changed(make_result(levels={}), about={"record": {}}, scores={"by_name": {}}, verdict={"gates": ()})
    card = model_card(result)
    assert "No record of the study was given" in card
    assert "No attribute could be made" in card
    assert "No subgroup is large enough" in card


def test_hugging_face_reads_the_card() -> None:
    huggingface = pytest.importorskip("huggingface_hub")
    result = changed(
        make_result(levels=FEW),
        about={"record": {"model": "Net: a", "version": "2", "cohort": 'Breast "MRI": no. 1', "license": "apache-2.0"}},
    )
    card = huggingface.ModelCard(model_card(result))
    data = card.data
    assert (data.model_name, data.pipeline_tag, data.license) == ("Net: a 2", "image-segmentation", "apache-2.0")
    found = {entry.metric_type: entry for entry in data.eval_results}
    assert list(found) == ["dsc", "normhd", "ps", "fs", "ts", "dsc_worst_subgroup"]
    for name, score in result.scores.items():
        assert found[name.lower()].metric_value == score.value
    worst = headline(result)
    assert worst is not None
    assert found["dsc_worst_subgroup"].metric_value == worst.mean
    assert f"(n {worst.n})" in found["dsc_worst_subgroup"].metric_name
    for entry in found.values():
        assert (entry.task_type, entry.dataset_type) == ("image-segmentation", "breast-mri-no-1")
        assert entry.dataset_name == 'Breast "MRI": no. 1'
    # What the parser understood it writes again, and understands the same.
    again = huggingface.ModelCard(str(card)).data
    assert again.to_dict() == data.to_dict()


def test_the_headings_are_those_of_their_template() -> None:
    template = Path(pytest.importorskip("huggingface_hub").__file__).parent / "templates" / "modelcard_template.md"
    theirs = [line.strip() for line in template.read_text("utf-8").splitlines() if re.match(r"#+ ", line)]
    ours = [line for line in model_card(make_result(levels=FEW)).splitlines() if re.match(r"#{2,4} ", line)]
    wanted = [
        *("## Model Details", "## Uses", "### Direct Use", "### Out-of-Scope Use", "## Bias, Risks, and Limitations"),
        *("### Recommendations", "## Evaluation", "### Testing Data, Factors & Metrics", "#### Testing Data"),
        *("#### Factors", "#### Metrics", "### Results"),
    ]
    assert [line for line in theirs if line in wanted] == wanted
    assert [line for line in ours if line in wanted] == wanted


def test_the_record_states_uses_and_recommendations() -> None:
    record = {"intended_use": "Volumetry *only*.", "out_of_scope": ["children", "CT"], "recommendation": "Look twice."}
    card = model_card(changed(make_result(levels=FEW), about={"record": record}))
    assert "### Direct Use\n\nVolumetry \\*only\\*.\n" in card
    assert "### Out-of-Scope Use\n\nchildren, CT\n" in card
    assert "### Recommendations\n\nLook twice.\n" in card
    silent = model_card(changed(make_result(levels=FEW), about={"record": {}}))
    assert silent.count("Not stated") == 2


@pytest.mark.parametrize("name", ["---", "a\n---\nb: c", "'\" #: [x", "\u2028line", "null", "{}"])
def test_no_name_becomes_metadata(name: str) -> None:
    huggingface = pytest.importorskip("huggingface_hub")
    result = changed(make_result(levels=FEW), about={"record": {"model": name, "cohort": name}})
    data = huggingface.ModelCard(model_card(result)).data
    assert set(data.to_dict()) == {"pipeline_tag", "tags", "model-index"}
    assert isinstance(data.model_name, str)
    assert len(data.eval_results) == 6
