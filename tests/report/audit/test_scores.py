"""Alerts and scores on the page: penalised cases with their effect, chance level beside FS."""

from __future__ import annotations

import dataclasses

from tests.audit.made_up_audits import changed
from tests.report.pages import FEW, Page, draw
from tests.report_fixtures import make_result

from segfair.audit.result import AuditResult
from segfair.report.audit import page_data
from segfair.report.audit.summary import UNKNOWN_CHANCE


def test_penalised_cases_stand_with_their_effect(page: Page, result: AuditResult) -> None:
    said = page.visible
    score = result.scores["FS"]
    assert f"FS {score.value:.4f} {score.without_penalised:.4f} −0.0040" in said
    assert "case003 not on the label's grid" in said
    assert "case999 label: not a mask" in said


def test_chance_level_stands_with_fs(page: Page) -> None:
    assert "FS 0.930; a model with no disparity would score 0.962 (0.941 to 0.979) on this cohort." in page.visible
    value = page.visible.partition("Scores of the cohort")[2].partition("FS Fairness score")[2]
    assert "chance level 0.962 (0.941 to 0.979), p" in value[:120], "in the cell of the value itself"
    stratified = make_result(levels=FEW)
    stratified = changed(stratified, about={"config": dataclasses.replace(stratified.about.config, stratify="site")})
    assert "a model whose only disparity is that of site would score" in Page(draw(stratified)).visible


def test_without_a_chance_level_the_score_says_so_wherever_it_stands() -> None:
    result = make_result(levels=FEW)
    bare = {name: dataclasses.replace(score, chance=None) for name, score in result.scores.items()}
    data = page_data(changed(result, scores={"by_name": bare}), written="")
    tile = next(fact for fact in data["facts"] if fact["name"] == "Fairness score FS")
    assert tile["note"] == UNKNOWN_CHANCE
    rows = {row[0]["text"]: row[1] for row in data["sections"]["scores"]["table"]["rows"]}
    assert rows["FS"]["sub"] == UNKNOWN_CHANCE
    assert rows["DSC"]["sub"] == ""
