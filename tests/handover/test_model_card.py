"""The model card: the report's facts in Markdown, and nothing from outside that becomes markup."""

from __future__ import annotations

from tests.audit.made_up_audits import changed
from tests.report_fixtures import HOSTILE, make_result

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
    assert card.startswith("# Model card: nnU-Net 2.1\n")
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
    title = model_card(result).splitlines()[0]
    assert title == "# Model card: \\| a \\| \\[x\\](javascript:1) \\# big"


def test_an_audit_without_anything_to_say_says_so() -> None:
    result = changed(make_result(levels={}), about={"record": {}}, scores={"by_name": {}}, verdict={"gates": ()})
    card = model_card(result)
    assert "No record of the study was given" in card
    assert "No attribute could be made" in card
    assert "No subgroup is large enough" in card
