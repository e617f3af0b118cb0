"""The page of a comparison: harm before gain, and the numbers of the comparison."""

from __future__ import annotations

import re

import numpy as np
from tests.report.comparison.pages import N, cohort, compared, draw, section
from tests.score_fixtures import audit_of

from segfair.compare.procedure import run_comparison
from segfair.compare.result import Comparison


def test_the_answer_comes_first_and_harm_before_gain(levelled: Comparison, html: str) -> None:
    ids = re.findall(r'<section id="(\w+)"', html)
    assert ids[:3] == ["verdict", "harmed", "gained"]
    assert ids.index("slopes") < ids.index("scores") < ids.index("subgroups") < ids.index("metrics")
    assert re.findall(r'<li><a href="#(\w+)"', html) == ids, "every section is in the contents"
    verdict = section(html, "verdict")
    assert verdict.startswith("▼ Levelling down")
    assert levelled.verdict.sentence in verdict


def test_levelling_down_is_said_where_harm_is_told(html: str) -> None:
    harmed = section(html, "harmed")
    assert "Levelling down: sex ." in harmed
    assert "because M lost, while F, served worst before, is not shown to have gained." in harmed
    assert "levelling down" in section(html, "gaps")
    assert "No subgroup is shown to have gained." in section(html, "gained")


def test_no_change_never_stands_without_what_remains_possible() -> None:
    page = draw(compared())
    assert "◆ No change shown" in section(page, "verdict")
    assert re.search(r"losses of up to 0\.0\d\d cannot be excluded", section(page, "harmed"))
    for qualification in re.findall(r"no change shown</bdi><small><bdi>(.*?)</bdi>", page):
        assert re.search(r"losses up to 0\.\d{3} cannot be excluded", qualification)


def test_an_audit_against_itself_says_that_nothing_changed() -> None:
    base = audit_of({"dsc": np.random.default_rng(0).normal(0.7, 0.1, N)}, cohort())
    page = draw(run_comparison(base, base))
    assert "Nothing changed" in section(page, "verdict")
    assert "Nobody: nothing changed." in section(page, "harmed")
    assert "cannot be excluded" not in "".join(section(page, name) for name in re.findall(r'<section id="(\w+)"', page))


def test_of_a_distance_up_is_better_on_the_page_too() -> None:
    page = draw(compared(women=0.06, outcome="hd95_mm"))
    assert "sex = F" in section(page, "gained")
    assert re.search(r"mean HD95 \(mm\) \d\d\.\d\d before", section(page, "gained"))
