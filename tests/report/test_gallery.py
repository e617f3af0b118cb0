"""The gallery of worst cases as page data: each case drawn once, to scale, with its words."""

from __future__ import annotations

import dataclasses
from typing import Any

from segfair.audit.result import CaseScores
from segfair.audit.result.gallery import Gallery, GalleryCase, GalleryGroup, GallerySlice
from segfair.report.gallery import gallery_data
from segfair.subgroups.lattice import Subgroup

ALL, WOMEN = Subgroup(frozenset()), Subgroup(frozenset({("sex", "f")}))
SLICE = GallerySlice(
    "axial",
    2,
    6,
    ("R", "L", "A", "P"),
    columns=10,
    rows=5,
    pixel_mm=(2.0, 1.0),
    error=(0, 4),
    label="M0 0",
    prediction="",
)
ROWS = CaseScores(
    ("case", "dsc", "penalised", "sex"),
    (
        ("p1", 0.25, "", "f"),
        ("p2", 0.5, "", "m"),
        ("p3", 0.0, "no prediction", "f"),
        ("p4", 0.0, "unreadable", "m"),
    ),
    ("dsc",),
    ("sex",),
)


def data(gallery: Gallery, rows: CaseScores = ROWS) -> dict[str, Any]:
    return gallery_data(gallery, rows, ["dsc"], outcome="dsc")


def of_cases(*slices: GallerySlice, **facts: Any) -> Gallery:
    """p1 and p2 overall, p1 of the women once more."""
    groups = (GalleryGroup(ALL, "overall", ("p1", "p2")), GalleryGroup(WOMEN, "significant", ("p1",)))
    return Gallery(groups, {"p1": GalleryCase(slices), "p2": GalleryCase((), "no slice")}, n_groups=1, **facts)


def test_a_case_is_drawn_once_and_pointed_to_afterwards() -> None:
    overall, women = data(of_cases(SLICE))["groups"]
    assert [card["name"] for card in overall["cards"]] == ["p1", "p2"]
    assert overall["links"] == women["cards"] == []
    assert women["links"] == [{"key": overall["cards"][0]["key"], "name": "p1"}]
    assert (overall["reason"], women["reason"]) == ("", "worse beyond chance")
    first = overall["cards"][0]
    assert first["scores"] == [{"name": "DSC", "value": "0.250", "code": False}]
    assert first["attributes"] == [{"attribute": "sex", "level": "f"}]
    assert overall["cards"][1]["note"] == "no slice"


def test_unusable_predictions_are_named_in_every_group_they_belong_to() -> None:
    overall, women = data(of_cases(SLICE))["groups"]
    what = "could not be used, with the worst score and no picture"
    assert overall["unusable"] == f"2 predictions {what}: p3, p4."
    assert women["unusable"] == f"1 prediction {what}: p3."
    many = dataclasses.replace(ROWS, rows=tuple((f"p{index}", 0.0, "gone", "f") for index in range(14)))
    assert data(of_cases(SLICE), many)["groups"][0]["unusable"].endswith("p11 and 2 more.")


def test_all_pictures_of_a_case_have_one_scale() -> None:
    """10 columns of 2 mm fill the width, 100; 5 rows of 1 mm are then 25 high, and 4 columns of 1 mm are 20 wide."""
    upright = dataclasses.replace(SLICE, plane="coronal", columns=4, rows=8, pixel_mm=(1.0, 1.5), sides=())
    wide, narrow = data(of_cases(SLICE, upright))["groups"][0]["cards"][0]["pictures"]
    assert [(picture["width"], picture["height"]) for picture in (wide, narrow)] == [
        ("100.00", "25.00"),
        ("20.00", "60.00"),
    ]
    assert wide["scale"] == "10.0000 5.0000"
    assert (wide["caption"], narrow["caption"]) == ("Axial 7, 20 × 5 mm", "Coronal 7, 4 × 12 mm")
    assert [(picture["left"], picture["top"]) for picture in (wide, narrow)] == [("R", "A"), ("", "")]
    # The error's pixel ends at the lower left: its middle is (5, 22.5), and ticks are 7 % of the shorter side.
    assert wide["ticks"] == "M5.00 0v1.75M5.00 25.00v-1.75M0 22.50h1.75M100.00 22.50h-1.75"


def test_the_words_for_a_picture_say_what_is_in_it_and_where() -> None:
    def label(**changes: Any) -> str:
        slices = dataclasses.replace(SLICE, **changes)
        return str(data(of_cases(slices))["groups"][0]["cards"][0]["pictures"][0]["label"])

    start = "Axial slice 7 of p1, 20 × 5 mm: "
    assert label() == f"{start}outline of the label; nothing of the prediction. Largest error: lower left."
    assert label(error=(5, 2), prediction="M1 1") == (
        f"{start}outlines of label and prediction. Largest error: middle."
    )
    assert label(error=(9, 0), label="", prediction="M1 1").endswith(
        "nothing of the label. Largest error: upper right."
    )
    assert label(plane="slice", unit="px").startswith("Slice 7 of p1, 20 × 5 px: ")


def test_the_notes_hold_of_what_is_drawn() -> None:
    plain = data(of_cases(SLICE))
    assert (plain["bare"], plain["turned"], plain["coarse"], plain["backdrop"], plain["more"]) == (
        True,
        True,
        "",
        "",
        "",
    )
    over = data(of_cases(dataclasses.replace(SLICE, image="AAAA", step=2, sides=()), channel=1))
    assert (over["bare"], over["turned"]) == (False, False)
    assert over["coarse"] == "Ragged outlines are drawn coarser than the voxels."
    assert over["backdrop"].startswith("Behind the outlines lies channel 2 of the images")
    crowded = dataclasses.replace(of_cases(SLICE), n_groups=5)
    assert data(crowded)["more"] == "5 subgroups are flagged; the most harmed 1 are shown."
