"""Alerts and scores on the page: penalised cases with their effect, chance level beside FS."""

from __future__ import annotations

import dataclasses

from tests.audit.made_up_audits import changed
from tests.report.pages import FEW, Page, draw
from tests.report_fixtures import make_result

from segfair.audit.result import AuditResult


def test_penalised_cases_stand_with_their_effect(page: Page, result: AuditResult) -> None:
    said = page.visible
    score = result.scores["FS"]
    assert f"FS {score.value:.4f} {score.without_penalised:.4f} −0.0040" in said
    assert "case003 not on the label's grid" in said
    assert "case999 label: not a mask" in said


def test_chance_level_stands_with_fs(page: Page) -> None:
    assert "FS 0.930; a model with no disparity would score 0.962 (0.941 to 0.979) on this cohort." in page.visible
    stratified = make_result(levels=FEW)
    stratified = changed(stratified, about={"config": dataclasses.replace(stratified.about.config, stratify="site")})
    assert "a model whose only disparity is that of site would score" in Page(draw(stratified)).visible
