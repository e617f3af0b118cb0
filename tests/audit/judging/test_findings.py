"""Few findings for many significant rows; each with what it explains and how surely it is the one."""

from __future__ import annotations

import dataclasses

import numpy as np
from tests.audit.made_up_audits import DEFAULT, audit

from segfair.audit.result import AuditResult
from segfair.handover.disclosure import share
from segfair.report.audit.summary import worst_section


def cohort(seed: int, n_cases: int = 400) -> dict[str, list[str]]:
    rng = np.random.default_rng(seed)
    shares = {"age": (0.3, 0.4, 0.3), "density": (0.3, 0.4, 0.3), "site": (0.5, 0.5), "sex": (0.5, 0.5)}
    return {
        name: [f"{name}{level}" for level in rng.choice(len(share), n_cases, p=share)] for name, share in shares.items()
    }


def with_gaps(columns: dict[str, list[str]], *gaps: tuple[dict[str, str], float], seed: int = 0) -> AuditResult:
    n_cases = len(columns["age"])
    dsc = np.random.default_rng([seed, 1]).normal(0.8, 0.08, n_cases)
    for items, gap in gaps:
        inside = np.all([np.array(columns[name]) == level for name, level in items.items()], axis=0)
        dsc -= gap * inside
    return audit(DEFAULT, dsc=np.clip(dsc, 0, 1), **columns)


def names(result: AuditResult) -> list[dict[str, str]]:
    return [dict(finding.items.items) for finding in result.subgroups.findings]


def test_one_gap_is_one_finding_however_many_rows_it_shows_in() -> None:
    planted = {"age": "age0", "density": "density2"}
    result = with_gaps(cohort(1), (planted, 0.25))
    rows = [row for row in result.subgroups["dsc"] if row.significant]
    assert len(rows) > 3
    (finding,) = result.subgroups.findings
    assert dict(finding.items.items) == planted
    assert {entry.items for entry in finding.explains} == {row.subgroup for row in rows}
    assert finding.inside == "no part of it is significantly worse still"
    assert finding.stability.share > 0.8
    assert finding.stability.set_95[0].items == finding.items
    row = next(row for row in rows if row.subgroup == finding.items)
    assert finding.estimate == row.estimate
    assert result.verdict.groups == (finding.items,)


def test_two_gaps_are_two_findings_most_harmful_first() -> None:
    first, second = {"age": "age0", "density": "density2"}, {"site": "site1"}
    result = with_gaps(cohort(2), (first, 0.3), (second, 0.08))
    assert names(result) == [first, second]
    assert result.subgroups.findings[1].estimate.kind == "difference within strata"
    assert "and 1 further finding: site = site1" in result.verdict.sentence


def test_a_gap_inside_a_gap_is_told_with_the_one_that_holds_it() -> None:
    outer, inner = {"density": "density2"}, {"density": "density2", "age": "age0"}
    result = with_gaps(cohort(3, 900), (outer, 0.12), (inner, 0.25))
    assert {frozenset(entry.items()) for entry in names(result)} == {frozenset(outer.items()), frozenset(inner.items())}
    told = {len(finding.items): finding.inside for finding in result.subgroups.findings}
    assert told[1] == "age = age0, density = density2 inside it is significantly worse still"
    assert told[2] == "no part of it is significantly worse still"


def test_without_a_gap_there_is_no_finding_and_the_worst_is_not_sure() -> None:
    result = with_gaps(cohort(4))
    assert result.subgroups.findings == ()
    assert result.subgroups.worst_off is not None
    assert result.subgroups.worst_off.stability.share < 0.6
    assert len(result.subgroups.worst_off.stability.set_95) > 3


def test_levels_fixed_beforehand_come_first() -> None:
    columns = cohort(5)
    dsc = np.random.default_rng(5).normal(0.8, 0.08, 400) - 0.1 * (np.array(columns["sex"]) == "sex0")
    config = dataclasses.replace(DEFAULT, primary=("sex",))
    result = audit(config, dsc=np.clip(dsc, 0, 1), **columns)
    assert [(dict(finding.items.items), finding.declared) for finding in result.subgroups.findings] == [
        ({"sex": "sex0"}, True)
    ]


def test_a_finding_tells_the_level_that_all_its_cases_have() -> None:
    # All 60 "pre" are of Duke, and so are 60 others: the gap of "pre" may be the site's.
    site = ["Duke"] * 120 + ["NACT"] * 180
    menopause = ["pre"] * 60 + ["post"] * 240
    rng = np.random.default_rng(5)
    dsc = rng.normal(0.8, 0.06, 300) - 0.2 * (np.array(menopause) == "pre")
    result = audit(DEFAULT, dsc=np.clip(dsc, 0, 1), menopause=menopause, site=site, sex=["f", "m"] * 150)
    (finding,) = result.subgroups.findings
    assert (finding.items.items, finding.nested_in.items) == ({("menopause", "pre")}, {("site", "Duke")})
    (told,) = worst_section(result)["findings"]
    assert "All its cases are of site = Duke, so that the gap may be due to that." in told["evidence"]
    assert AuditResult.from_dict(result.to_dict()).subgroups.findings == result.subgroups.findings
    assert result.to_dict()["findings"][0]["nested_in"] == {"site": "Duke"}
    assert share(result).subgroups.findings[0].nested_in.items == frozenset()


def test_a_finding_of_cases_of_all_kinds_lies_inside_nothing() -> None:
    (finding,) = with_gaps(cohort(1), ({"age": "age0", "density": "density2"}, 0.25)).subgroups.findings
    assert finding.nested_in.items == frozenset()


def test_a_level_fixed_beforehand_speaks_first_however_small_its_gap() -> None:
    columns = cohort(6, 600)
    first, second = {"sex": "sex0"}, {"age": "age0", "density": "density2"}
    dsc = np.random.default_rng(6).normal(0.8, 0.08, 600)
    for items, gap in ((first, 0.06), (second, 0.3)):
        dsc -= gap * np.all([np.array(columns[name]) == level for name, level in items.items()], axis=0)
    result = audit(dataclasses.replace(DEFAULT, primary=("sex",)), dsc=np.clip(dsc, 0, 1), **columns)
    assert names(result) == [second, first], "most harmful first"
    assert [group.items for group in result.verdict.groups] == [frozenset(found.items()) for found in (first, second)]
    assert result.verdict.sentence.startswith("Disparity found: mean DSC is")
    assert "exploratory" not in result.verdict.sentence


def test_what_a_level_fixed_beforehand_explains_in_the_lattice_is_told_with_it() -> None:
    columns = cohort(5, 600)
    dsc = np.random.default_rng(5).normal(0.8, 0.08, 600) - 0.12 * (np.array(columns["sex"]) == "sex0")
    result = audit(dataclasses.replace(DEFAULT, primary=("sex",)), dsc=np.clip(dsc, 0, 1), **columns)
    rows = {row.subgroup for row in result.subgroups["dsc"] if row.significant}
    assert len(rows) > 20
    (finding,) = result.subgroups.findings
    explained = [entry.items for entry in finding.explains]
    assert rows <= set(explained)
    assert len(explained) == len(set(explained)), "each is told once"
