"""The gallery of worst cases: which cases, over which image, what it costs, and what the page says of them."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from PIL import Image
from tests.audit.made_up_audits import changed
from tests.report.pages import cases_of
from tests.report_fixtures import HOSTILE, make_result

from segfair.audit.procedure import run_audit
from segfair.audit.result import AuditConfig, AuditResult
from segfair.audit.result.gallery import Gallery, GalleryCase, GalleryGroup, GallerySlice
from segfair.cases import Case, Cohort
from segfair.cli.app import app
from segfair.errors import InputError
from segfair.files.images.masks import read_channels, write_image, write_mask
from segfair.gallery import worst_cases as gallery
from segfair.gallery.worst_cases import build_gallery, choose_cases, grey_png, image_files, typical_case
from segfair.handover.disclosure import share
from segfair.handover.pseudonyms import pseudonymise
from segfair.protocol.rules import load_protocol
from segfair.report.audit import page_data
from segfair.report.files import render_page, write_report
from segfair.subgroups.lattice import Subgroup

ROOT = Path(__file__).resolve().parents[2]
AFFINE = np.diag([1.0, 1.0, 3.0, 1.0])
AFFINE[:3, 3] = 7
SHAPE = (30, 28, 12)


def _box(*ranges) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=np.uint8)
    mask[tuple(slice(*ends) for ends in ranges)] = 1
    return mask


LABEL = _box((10, 18), (10, 18), (3, 9))


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Twelve cases, the prediction of case k shifted by k // 2 voxels; group b is the worse half."""
    cases = []
    for index in range(12):
        name = f"P{index:02d}"
        label, prediction = tmp_path / "labels" / f"{name}.nii.gz", tmp_path / "preds" / f"{name}.nii.gz"
        write_mask(label, LABEL, affine=AFFINE)
        write_mask(prediction, np.roll(LABEL, index // 2, axis=0), affine=AFFINE)
        cases.append(Case(name, label, prediction, {"group": "ab"[index >= 6]}))
    return Cohort(tuple(cases), columns=("group",))


def _audit(cohort: Cohort) -> AuditResult:
    config = AuditConfig(
        load_protocol("default").replace(metrics=("dsc", "hd95_mm")),
        min_cases=2,
        permutations=199,
        bootstrap=100,
    )
    return run_audit(cohort, config)


def _write_images(folder: Path, cohort: Cohort, *, affine: np.ndarray = AFFINE) -> None:
    """Three channels; the label stands out in the second one."""
    rng = np.random.default_rng(5)
    for case in cohort:
        channels = rng.normal(100, 10, (*SHAPE, 3))
        channels[..., 1] += 80 * LABEL
        for channel in range(3):
            write_image(folder / f"{case.id}_{channel:04d}.nii.gz", channels[..., channel], affine=affine)


def _picture(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


def test_the_worst_cases_overall_and_of_flagged_subgroups(cohort: Cohort) -> None:
    result = _audit(cohort)
    groups, n_flagged = choose_cases(result, set(cohort.ids))
    assert groups[0] == GalleryGroup(Subgroup(frozenset()), "overall", ("P10", "P11", "P08", "P09", "P06", "P07"))
    assert n_flagged == 1
    assert groups[1:] == (GalleryGroup(Subgroup(frozenset({("group", "b")})), "significant", ("P10", "P11", "P08")),)


def test_the_typical_case_is_the_median_of_those_that_can_be_drawn(cohort: Cohort) -> None:
    result = _audit(cohort)
    # Worst first P10 P11 P08 P09 P06 P07 | P04 P05 ...: of the two in the middle the worse.
    assert typical_case(result, set(cohort.ids)) == "P07"
    assert typical_case(result, {"P00", "P04", "P10"}) == "P04"
    assert typical_case(result, set()) == ""
    found = build_gallery(result, cohort)
    assert found is not None
    assert found.typical == "P07"
    assert found.cases["P07"].slices
    assert set(found.cases) == {case for group in found.groups for case in group.cases} | {"P07"}


def test_lower_is_better_turns_the_order(cohort: Cohort) -> None:
    result = _audit(cohort)
    columns = result.cases.scores.columns
    place = columns.index("dsc")
    rows = tuple((*row[:place], 1 - row[place], *row[place + 1 :]) for row in result.cases.scores.rows)
    flipped = changed(
        result,
        cases={"scores": dataclasses.replace(result.cases.scores, rows=rows)},
        subgroups={"outcomes": {"dsc": dataclasses.replace(result.subgroups.outcomes["dsc"], better="lower")}},
    )
    assert choose_cases(flipped, set(cohort.ids))[0][0].cases == choose_cases(result, set(cohort.ids))[0][0].cases


def test_penalised_cases_are_named_without_a_picture(cohort: Cohort) -> None:
    cohort.cases[0].prediction.write_bytes(b"nothing")
    cohort = dataclasses.replace(
        cohort, cases=(*cohort.cases[:-1], dataclasses.replace(cohort.cases[-1], prediction=None))
    )
    result = _audit(cohort)
    assert sorted(result.cases.counts.penalised) == ["P00", "P11"]
    found = build_gallery(result, cohort)
    assert list(found.cases)[:2] == ["P10", "P08"]
    assert not {"P00", "P11"} & set(found.cases)
    page = cases_of(changed(result, cases={"gallery": found}))["gallery"]
    assert page["groups"][0]["unusable"].startswith("2 predictions could not be used")
    assert page["groups"][0]["unusable"].endswith(": P00, P11.")
    of_b = [group for group in page["groups"] if [item["level"] for item in group["items"]] == ["b"]]
    assert all(group["unusable"].endswith(": P11.") for group in of_b)


def test_outlines_without_images(cohort: Cohort) -> None:
    found = build_gallery(_audit(cohort), cohort)
    assert found.channel is None
    worst = found.cases["P10"]
    assert [entry.plane for entry in worst.slices] == ["axial", "coronal", "sagittal"]
    axial = worst.slices[0]
    assert axial.image == ""
    assert axial.pixel_mm == (1, 1)
    assert worst.slices[1].pixel_mm == (1, 3), "anisotropic voxels keep their shape"
    # The label is 8 wide, the prediction 5 voxels further to the patient's right: left in the picture.
    label, prediction = (int(re.match(r"M(\d+) ", path)[1]) for path in (axial.label, axial.prediction))
    assert label - prediction == 5


def test_the_channel_that_shows_the_label_is_chosen_once(cohort: Cohort, tmp_path: Path) -> None:
    _write_images(tmp_path / "images", cohort)
    found = build_gallery(_audit(cohort), cohort, images=image_files(tmp_path / "images", cohort))
    assert found.channel == 1
    for pictures in found.cases.values():
        axial = pictures.slices[0]
        pixels = _picture(axial.image)
        assert pixels.shape == (axial.rows, axial.columns)
        assert pictures.note == ""
        if not axial.label:
            continue
        x, y = map(int, re.match(r"M(\d+) (\d+)", axial.label).groups())
        assert pixels[y : y + 8, x : x + 8].mean() > 1.5 * pixels[: y - 1].mean(), "the image lies under its label"


def test_channels_in_one_file(cohort: Cohort, tmp_path: Path) -> None:
    for case in cohort:
        image = np.stack([np.zeros(SHAPE), 50.0 * LABEL], axis=-1)
        write_image(tmp_path / "images" / f"{case.id}.nii.gz", image, affine=AFFINE)
    channels = read_channels(tmp_path / "images" / "P00.nii.gz")
    assert [channel.array.shape for channel in channels] == [SHAPE, SHAPE]
    assert all((channel.affine == AFFINE).all() for channel in channels)
    found = build_gallery(_audit(cohort), cohort, images=image_files(tmp_path / "images", cohort))
    assert found.channel == 1
    assert _picture(found.cases["P10"].slices[0].image).max() == 255


def test_an_unusable_image_costs_its_background_only(cohort: Cohort, tmp_path: Path) -> None:
    images = tmp_path / "images"
    _write_images(images, cohort)
    for channel in range(3):
        (images / f"P10_{channel:04d}.nii.gz").unlink()
        (images / f"P11_{channel:04d}.nii.gz").write_bytes(b"broken")
        write_image(images / f"P08_{channel:04d}.nii.gz", np.zeros(SHAPE), affine=np.eye(4) * 2)
    found = build_gallery(_audit(cohort), cohort, images=image_files(images, cohort))
    notes = {case: pictures.note for case, pictures in found.cases.items()}
    assert notes["P10"] == gallery.NO_IMAGE
    assert notes["P11"] == gallery.BROKEN_IMAGE
    assert notes["P08"] == gallery.OTHER_GRID
    assert notes["P09"] == ""
    for case, pictures in found.cases.items():
        assert len(pictures.slices) == 3
        assert all(bool(entry.image) == (notes[case] == "") for entry in pictures.slices)


def test_images_of_other_cases_are_refused(cohort: Cohort, tmp_path: Path) -> None:
    write_image(tmp_path / "images" / "somebody.nii.gz", np.zeros(SHAPE), affine=AFFINE)
    with pytest.raises(
        InputError, match=r"none of the 1 images, such as somebody, bears the id of a case, such as P00"
    ):
        image_files(tmp_path / "images", cohort)


def test_masks_that_went_away_and_empty_ones(cohort: Cohort) -> None:
    result = _audit(cohort)
    cohort.cases[11].label.unlink()
    write_mask(cohort.cases[10].label, 0 * LABEL, affine=AFFINE)
    write_mask(cohort.cases[10].prediction, 0 * LABEL, affine=AFFINE)
    found = build_gallery(result, cohort)
    assert found.cases["P11"] == GalleryCase((), gallery.BROKEN_MASK)
    assert found.cases["P10"] == GalleryCase((), gallery.BOTH_EMPTY)
    html = render_page(page_data(changed(result, cases={"gallery": found}), written="2026-01-01"))
    assert f"No picture: {gallery.BOTH_EMPTY}." in html


def test_scores_alone_have_no_gallery(cohort: Cohort) -> None:
    result = _audit(cohort)
    bare = dataclasses.replace(cohort, cases=tuple(Case(case.id) for case in cohort))
    assert build_gallery(result, bare) is None


@pytest.mark.parametrize("shape", [(400, 500), (96, 30), (3, 700)])
def test_pictures_are_small_whatever_they_show(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    noise[0, 0] = np.nan
    png = grey_png(noise, (-2.0, 2.0))
    assert len(png) <= gallery.LARGEST_PNG
    assert max(Image.open(io.BytesIO(png)).size) <= gallery.LONGEST_SIDE


def test_greys_keep_their_order() -> None:
    ramp = np.linspace(0, 1, 30, dtype=np.float32)[None].repeat(4, axis=0)
    pixels = np.asarray(Image.open(io.BytesIO(grey_png(ramp, (0.0, 1.0)))))
    assert pixels.shape == ramp.shape
    assert pixels[0, 0] == 0
    assert pixels[0, -1] == 255
    assert (np.diff(pixels[0].astype(int)) > 0).all()
    assert (np.asarray(Image.open(io.BytesIO(grey_png(0 * ramp, (0.0, 0.0))))) == 0).all()


def _largest_gallery(result: AuditResult) -> Gallery:
    """As much as a gallery can ever hold: noise in every picture."""
    rng = np.random.default_rng(3)
    ids = [str(case) for case in result.cases.scores.column("case")]
    groups, used, cases = [], 0, {}
    for index, row in enumerate([None, *list(result.subgroups["dsc"])[: gallery.N_GROUPS]]):
        n_cases = gallery.N_OVERALL if index == 0 else gallery.N_PER_GROUP
        chosen = tuple(ids[used : used + n_cases])
        used += n_cases
        groups.append(
            GalleryGroup(row.subgroup if row else Subgroup(frozenset()), "significant" if row else "overall", chosen)
        )
    for case in ids[:used]:
        slices = []
        for plane in ("axial", "coronal", "sagittal"):
            label, prediction = (gallery.outline(rng.random((512, 512)) < 0.5) for _ in range(2))
            png = grey_png(rng.normal(size=(512, 512)).astype(np.float32), (-2, 2))
            slices.append(
                GallerySlice(plane, 0, 7, tuple("RLAP"), 512, 512, (0.5, 1), (3, 500), label.path, prediction.path,
                             label.step, base64.b64encode(png).decode())
            )  # fmt: skip
        cases[case] = GalleryCase(tuple(slices))
    return Gallery(tuple(groups), cases, 0, len(result.subgroups["dsc"]))


def test_the_largest_gallery_of_the_largest_page_stays_below_two_megabytes() -> None:
    levels = {f"attribute_{index}": tuple(f"level {code}" for code in range(4)) for index in range(8)}
    result = make_result(n_cases=1506, levels=levels, min_support=0.005)
    assert len(result.subgroups["dsc"]) > 3900
    result = changed(result, cases={"gallery": _largest_gallery(result)})
    html = render_page(page_data(result, written="2026-01-01"))
    assert len(html.encode()) < 2_000_000
    assert html.count('class="cut"') == 54


def test_report_keeps_the_pictures(cohort: Cohort, tmp_path: Path) -> None:
    _write_images(tmp_path / "images", cohort)
    result = _audit(cohort)
    result = changed(
        result, cases={"gallery": build_gallery(result, cohort, images=image_files(tmp_path / "images", cohort))}
    )
    write_report(result, tmp_path / "first")
    again = AuditResult.load(tmp_path / "first" / "audit.json")
    assert again.cases.gallery == result.cases.gallery
    write_report(again, tmp_path / "second")
    pictures = [
        re.findall(r'<svg viewBox="[^"]+" role="img" aria-label="(?:Axial|Coronal|Sagittal).*?</svg>', text, re.S)
        for text in ((tmp_path / name / "report.html").read_text("utf-8") for name in ("first", "second"))
    ]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) == 3 * len(result.cases.gallery.cases)
    assert all("data:image/png;base64," in picture for picture in pictures[0])
    schema = json.loads((ROOT / "docs" / "reference" / "audit.schema.json").read_text("utf-8"))
    tree = json.loads((tmp_path / "first" / "audit.json").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(tree)
    described = schema["$defs"]["GallerySlice"]["properties"]
    assert set(tree["gallery"]["cases"]["P10"]["slices"][0]) == set(described)


def test_audits_without_the_key_are_still_read(cohort: Cohort) -> None:
    tree = _audit(cohort).to_dict()
    del tree["gallery"]
    assert AuditResult.from_dict(tree).cases.gallery is None


def test_a_case_is_drawn_once_and_linked_from_other_groups(cohort: Cohort) -> None:
    result = _audit(cohort)
    result = changed(result, cases={"gallery": build_gallery(result, cohort)})
    overall, group_b = cases_of(result)["gallery"]["groups"]
    assert [card["name"] for card in overall["cards"]] == ["P10", "P11", "P08", "P09", "P06", "P07"]
    assert group_b["cards"] == []
    assert [link["name"] for link in group_b["links"]] == ["P10", "P11", "P08"]
    card = overall["cards"][0]
    assert {entry["name"]: entry["value"] for entry in card["scores"]}["DSC"] == "0.375"
    assert card["attributes"] == [{"attribute": "group", "level": "b"}]
    html = render_page(page_data(result, written="2026-01-01"))
    for link in group_b["links"]:
        assert html.count(f'id="{link["key"]}"') == 1
        assert f'href="#{link["key"]}"' in html


def test_text_alternatives_say_what_is_shown(cohort: Cohort) -> None:
    result = _audit(cohort)
    card = cases_of(changed(result, cases={"gallery": build_gallery(result, cohort)}))["gallery"]["groups"][0]["cards"][
        0
    ]
    axial = card["pictures"][0]
    assert re.fullmatch(
        r"Axial slice \d+ of P10, 29 × 26 mm: outlines of label and prediction. Largest error: (upper |lower )?\w+.",
        axial["label"],
    ), axial["label"]
    # 29 mm beside 26 mm: pictures of one case have one scale.
    widths = [float(picture["width"]) for picture in card["pictures"]]
    assert widths == pytest.approx([100, 100, 100 * 26 / 29], abs=0.01)


def test_hostile_names_stay_text(cohort: Cohort) -> None:
    result = make_result(n_cases=60, levels=HOSTILE)
    case = '"><script>alert(1)</script>\u202e'
    rows = result.cases.scores.rows
    place = result.cases.scores.columns.index("case")
    row = (*rows[0][:place], case, *rows[0][place + 1 :])
    cut = GallerySlice("axial", 2, 3, tuple("RLAP"), 4, 4, (1, 1), (1, 1), "M0 0h1v1h-1z", "")
    result = changed(
        result,
        cases={
            "scores": dataclasses.replace(result.cases.scores, rows=(row, *rows[1:])),
            "gallery": Gallery((GalleryGroup(Subgroup(frozenset()), "overall", (case,)),), {case: GalleryCase((cut,))}),
        },
    )
    html = render_page(page_data(result, written="2026-01-01"))
    assert "<script>alert(1)" not in html
    assert "\u202e" not in html
    assert "outline of the label; nothing of the prediction" in html


def test_what_is_handed_on_has_no_picture_and_no_id(cohort: Cohort) -> None:
    result = _audit(cohort)
    result = changed(result, cases={"gallery": build_gallery(result, cohort)})
    assert share(result).cases.gallery is None
    hidden = pseudonymise(result, b"0123456789abcdef")
    assert len(hidden.cases.gallery.cases) == len(result.cases.gallery.cases)
    assert not set(hidden.cases.gallery.cases) & set(cohort.ids)
    assert set(hidden.cases.gallery.groups[0].cases) <= set(map(str, hidden.cases.scores.column("case")))
    html = render_page(page_data(hidden, written="2026-01-01"))
    assert not re.search(r"\bP\d\d\b", html)


def test_the_command_line_draws_over_images(cohort: Cohort, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    _write_images(tmp_path / "images", cohort)
    (tmp_path / "metadata.csv").write_text("id,group\n" + "".join(f"{c.id},{c.metadata['group']}\n" for c in cohort))
    folders = [str(tmp_path / name) for name in ("preds", "labels", "metadata.csv")]
    out = tmp_path / "out"
    quick = ["--out", str(out), "--permutations", "19", "--bootstrap", "100", "--workers", "1", "--min-cases", "2"]
    found = CliRunner().invoke(app, ["audit", *folders, "--images", str(tmp_path / "images"), *quick])
    assert found.exit_code == 0, found.output
    assert AuditResult.load(out / "audit.json").cases.gallery.channel == 1
    assert "data:image/png;base64," in (out / "report.html").read_text("utf-8")
