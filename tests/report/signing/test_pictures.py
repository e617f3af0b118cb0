"""Three pictures: two of the group that the answer names, one typical case; none where there are none."""

from __future__ import annotations

import dataclasses

import pytest
from tests.audit.made_up_audits import changed
from tests.report_fixtures import make_result

from segfair.audit.result import AuditResult
from segfair.audit.result.gallery import Gallery, GalleryCase, GalleryGroup, GallerySlice
from segfair.report.signing.answer import spoken_of
from segfair.report.signing.language import language_of
from segfair.report.signing.pictures import picture_section
from segfair.subgroups.lattice import Subgroup

ENGLISH = language_of("en")
SLICE = GallerySlice("axial", 2, 4, (), 40, 20, (2.0, 2.0), (5, 5), "M1 1h4v4h-4z", "M2 2h4v4h-4z")
EVERYBODY = Subgroup(frozenset())


@pytest.fixture(scope="module")
def audited() -> AuditResult:
    return make_result(n_cases=60)


def with_cases(result: AuditResult, *groups: tuple[Subgroup, tuple[str, ...]], **facts: object) -> AuditResult:
    cases = {case: GalleryCase((SLICE,)) for _, names in groups for case in names}
    cases |= {str(case): GalleryCase((SLICE,)) for case in [facts.get("typical")] if case}
    made = tuple(GalleryGroup(items, "significant" if items.items else "overall", names) for items, names in groups)
    return changed(result, cases={"gallery": Gallery(made, {**cases, **facts.pop("cases", {})}, **facts)})  # type: ignore[dict-item, arg-type]


def shown(result: AuditResult, code: str = "en") -> list[tuple[str, str]]:
    return [(entry["case"], entry["caption"]) for entry in picture_section(result, language_of(code))]


def test_two_of_the_named_group_and_a_typical_one(audited: AuditResult) -> None:
    row = spoken_of(audited)
    assert row is not None
    result = with_cases(
        audited,
        (EVERYBODY, ("case001", "case002", "case004")),
        (row.subgroup, ("case005", "case006", "case007")),
        typical="case008",
    )
    found = shown(result)
    assert [case for case, _ in found] == ["case005", "case006", "case008"]
    assert found[0][1].startswith(f"among the worst where {ENGLISH.group(row.subgroup)}, DSC ")
    assert found[2][1].startswith("typical of all cases, DSC ")
    assert all(caption.endswith("80 × 40 mm") for _, caption in found)
    assert shown(result, "de")[2][1].startswith("typisch für alle Fälle, DSC 0,")


def test_without_pictures_of_the_group_the_worst_of_all_are_shown(audited: AuditResult) -> None:
    result = with_cases(audited, (EVERYBODY, ("case001", "case002", "case004")), typical="case002")
    found = shown(result)
    assert [case for case, _ in found] == ["case001", "case002"], "a case is shown once"
    assert found[1][1].startswith("among the worst, DSC")


def test_an_empty_prediction_is_said_to_be_and_comes_after_those_that_show_more(audited: AuditResult) -> None:
    empty = GalleryCase((dataclasses.replace(SLICE, prediction=""),))
    result = with_cases(audited, (EVERYBODY, ("case001", "case002", "case004")), cases={"case001": empty}, typical="")
    assert [case for case, _ in shown(result)] == ["case002", "case004"]
    alone = with_cases(audited, (EVERYBODY, ("case001",)), cases={"case001": empty, "case000": GalleryCase(())})
    assert "nothing predicted" in shown(alone)[0][1]


def test_sizes_have_the_unit_of_the_file(audited: AuditResult) -> None:
    pixels = GalleryCase((dataclasses.replace(SLICE, unit="px", pixel_mm=(1.0, 1.0)),))
    result = with_cases(audited, (EVERYBODY, ("case001",)), cases={"case001": pixels})
    assert shown(result)[0][1].endswith("40 × 20 pixels")


def test_lines_keep_their_width_whatever_the_scale(audited: AuditResult) -> None:
    coarse = GalleryCase((dataclasses.replace(SLICE, columns=20, rows=10),))
    result = with_cases(audited, (EVERYBODY, ("case001", "case002")), cases={"case002": coarse})
    fine, wide = picture_section(result, ENGLISH)[:2]
    # 100 / 40 and 100 / 20 units a pixel: half the width in pixels is the same on paper.
    assert float(fine["stroke"]) == pytest.approx(2 * float(wide["stroke"]), abs=0.002)


def test_without_a_gallery_there_is_none(audited: AuditResult) -> None:
    assert picture_section(changed(audited, cases={"gallery": None}), ENGLISH) == []
