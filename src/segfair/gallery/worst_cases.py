"""The gallery of worst cases: which cases, and their slices with outlines. Reads masks and images, writes no file.

Bounded in size whatever the cohort: at most 21 cases, a few kilobytes a picture.
"""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from segfair.audit.panel import Panel
from segfair.audit.result import AuditResult
from segfair.audit.result.gallery import Gallery, GalleryCase, GalleryGroup, GallerySlice, LengthUnit
from segfair.audit.words import harmful
from segfair.cases import Cohort
from segfair.errors import InputError
from segfair.files.image_files import find_images
from segfair.files.images.grids import Mask, align, axis_codes, give_spacing
from segfair.files.images.masks import read_channels
from segfair.files.layouts import pair_ids
from segfair.gallery.slices import View, outline, views
from segfair.intake.mask_values import with_pictures
from segfair.protocol.rules import Protocol
from segfair.scoring.metrics import MaskPair
from segfair.scoring.reading import read_pair, size_is_known
from segfair.subgroups.lattice import Divergence, Subgroup

__all__ = [
    "N_OVERALL",
    "build_gallery",
    "choose_cases",
    "draw_groups",
    "grey_png",
    "image_files",
    "typical_case",
    "with_gallery",
    "with_images",
]

Image = NDArray[np.float32]

N_OVERALL = 6
N_EMPTY = 2
N_PER_GROUP = 3
N_GROUPS = 4
"""Six outlines and two empty predictions overall, three of each of four subgroups: twenty, and a typical one."""
LONGEST_SIDE = 112
LARGEST_PNG = 5_000
"""Bytes; with outlines and base64, 54 of them stay below half a megabyte."""
_GREYS = 48
_RING_VOXELS = 3

NO_IMAGE = "no image of this case was found"
BROKEN_IMAGE = "the image cannot be read"
OTHER_GRID = "the image lies on another grid than the label"
BROKEN_MASK = "the masks can no longer be read"
BOTH_EMPTY = "both masks are empty"


def build_gallery(
    result: AuditResult,
    cohort: Cohort,
    *,
    images: Mapping[str, tuple[Path, ...]] | None = None,
    on_done: Callable[[str], None] | None = None,
) -> Gallery | None:
    """Draws the worst cases of an audit.

    Args:
        result: The audit; its protocol says which voxels count.
        cohort: Where the masks of the cases lie.
        images: Case id -> its image files, one a channel or one with all; None: outlines only.
        on_done: Called with each case id once it is drawn.

    Returns:
        The gallery; None where there are no masks, or no case with a usable prediction. An image that cannot be used
        costs the picture its background, and the case says so.
    """
    available = {case.id for case in cohort if case.label is not None and case.prediction is not None}
    groups, n_groups = choose_cases(result, available)
    config = result.about.config
    return draw_groups(
        groups,
        with_pictures(cohort, config.protocol),
        config.protocol,
        threshold=config.threshold,
        spacing_mm=config.spacing_mm,
        images=images,
        on_done=on_done,
        n_groups=n_groups,
        typical=typical_case(result, available),
    )


def with_gallery(
    result: AuditResult, cohort: Cohort, *, images: Mapping[str, tuple[Path, ...]] | None = None
) -> AuditResult:
    """The audit with its gallery; see `build_gallery`."""
    gallery = build_gallery(result, cohort, images=images)
    return dataclasses.replace(result, cases=dataclasses.replace(result.cases, gallery=gallery))


def draw_groups(
    groups: tuple[GalleryGroup, ...],
    cohort: Cohort,
    protocol: Protocol,
    *,
    threshold: float | None = None,
    spacing_mm: tuple[float, ...] | None = None,
    images: Mapping[str, tuple[Path, ...]] | None = None,
    on_done: Callable[[str], None] | None = None,
    n_groups: int = 0,
    typical: str = "",
) -> Gallery | None:
    """Draws chosen cases, each once.

    Args:
        groups: The cases; all of them have two masks in the cohort.
        cohort: Where the masks of the cases lie.
        protocol: Says which voxels count.
        threshold: The predictions are probability maps, and lesion is where they reach this value; None: masks.
        spacing_mm: Voxel size of masks and images whose file does not say it; None: it is not known.
        images: See `build_gallery`.
        on_done: Called with each case id once it is drawn.
        n_groups: Flagged subgroups in all.
        typical: A case to be drawn beside them; empty: none.

    Returns:
        The gallery; None without cases.
    """
    paths = {case.id: case for case in cohort}
    chosen = list(dict.fromkeys(case for group in groups for case in group.cases))
    if not chosen:
        return None
    chosen += [typical] if typical and typical not in chosen else []
    channel: int | None = None
    drawn = {}
    for case in chosen:
        try:
            label, pair = read_pair(paths[case], protocol, threshold=threshold, spacing_mm=spacing_mm)
        except (InputError, OSError, MemoryError):  # by now scored: a picture is not worth losing that
            drawn[case] = GalleryCase((), BROKEN_MASK)
            continue
        image, note = None, ""
        if images is not None:
            image, channel, note = _read_image(images.get(case, ()), label, pair, protocol, channel)
        unit: LengthUnit = "mm" if size_is_known(label, spacing_mm) else "px" if label.ndim == 2 else "voxels"
        drawn[case] = _draw(label, pair, image, note, unit)
        if on_done is not None:
            on_done(case)
    return Gallery(groups, drawn, channel, n_groups, typical)


def image_files(folder: Path, cohort: Cohort) -> dict[str, tuple[Path, ...]]:
    """The image files of each case of a cohort.

    Raises:
        InputError: No images there, or none that belongs to a case.
    """
    found = find_images(folder, case_ids=cohort.ids)
    pairs = pair_ids(list(cohort.ids), list(found))
    if not pairs:
        raise InputError(
            f"images {folder}: none of the {len(found)} images, such as {next(iter(found))}, bears the id of a case, "
            f"such as {next(iter(cohort.ids), 'none')}; their names have to be equal"
        )
    return {case: found[name] for case, name in pairs.items()}


def with_images(
    cohort: Cohort, folder: str | PathLike[str] | None
) -> tuple[Cohort, dict[str, tuple[Path, ...]] | None]:
    """A cohort whose inputs name the images as well, and the image files of its cases; as it is and None without any.

    Images that a table of paths lists are taken where there is no folder.

    Raises:
        InputError: See `image_files`.
    """
    if folder is None:
        listed = {"images": cohort.inputs["labels"]} if cohort.images and cohort.inputs else {}
        return dataclasses.replace(cohort, inputs={**cohort.inputs, **listed}), dict(cohort.images) or None
    files = image_files(Path(folder), cohort)
    return dataclasses.replace(cohort, inputs={**cohort.inputs, "images": Path(folder)}), files


def choose_cases(result: AuditResult, available: set[str]) -> tuple[tuple[GalleryGroup, ...], int]:
    """The worst cases by the primary outcome, overall and of the flagged subgroups.

    Flagged are findings that are worse, and subgroups beyond the margin, redundant ones left out. Penalised cases
    are passed over: there is nothing to draw. Cases of which nothing was predicted come last.

    Args:
        result: The audit.
        available: Case ids with two masks.

    Returns:
        The groups, all cases first, and how many subgroups are flagged in all.
    """
    panel = Panel.of_result(result)
    ids, order = panel.case_ids, _worst_first(panel, result, available)
    # An outline shows what went wrong, an empty prediction only that it did.
    empty = result.cases.scores.nothing_predicted
    outlined, nothing = ([row for row in order if empty[row] == is_empty] for is_empty in (False, True))
    flagged = _flagged(result)
    shown = [*outlined[:N_OVERALL], *nothing[:N_EMPTY]]
    groups = [GalleryGroup(Subgroup(frozenset()), "overall", tuple(ids[row] for row in shown))]
    for row in flagged[:N_GROUPS]:
        inside = panel.members(row.subgroup.items)
        members = [ids[index] for index in (*outlined, *nothing) if inside[index]]
        if members:
            reason: Literal["significant", "beyond margin"] = (
                "beyond margin" if row.margin == "beyond margin" else "significant"
            )
            groups.append(GalleryGroup(row.subgroup, reason, tuple(members[:N_PER_GROUP])))
    return tuple(groups), len(flagged)


def typical_case(result: AuditResult, available: set[str]) -> str:
    """Of the cases that can be drawn the one with the median outcome (of two the worse); empty where there is none."""
    panel = Panel.of_result(result)
    order = _worst_first(panel, result, available)
    return panel.case_ids[order[(len(order) - 1) // 2]] if order else ""


def _worst_first(panel: Panel, result: AuditResult, available: set[str]) -> list[int]:
    """Rows of the cases that can be drawn, by the primary outcome."""
    outcome = result.subgroups.primary_outcome
    worst = result.cases.scores.worst_first(outcome, result.subgroups.outcomes[outcome].better)
    return [row for row in worst if not panel.penalised[row] and panel.case_ids[row] in available]


def _flagged(result: AuditResult) -> list[Divergence]:
    """Findings and subgroups beyond the margin that are worse, most harmful first, each once."""
    table = result.subgroups[result.subgroups.primary_outcome]
    # An audit of format 1 has no findings: there every significant subgroup is shown.
    found = {finding.items for finding in result.subgroups.findings}
    rows = {
        row.subgroup: row
        for family in result.subgroups.families
        for row in family
        if harmful(row.difference, table.better)
        and (
            row.subgroup in found
            or (not row.redundant and (row.margin == "beyond margin" or (row.significant and not found)))
        )
    }
    sign = 1 if table.better == "higher" else -1
    return sorted(rows.values(), key=lambda row: (sign * row.difference, row.subgroup.name))


def _draw(label: Mask, pair: MaskPair, image: Image | None, note: str, unit: LengthUnit) -> GalleryCase:
    # A file without geometry says nothing about the patient's sides.
    nowhere = not label.has_size or np.array_equal(label.affine, np.eye(4))
    codes = "" if nowhere or label.ndim < 3 else axis_codes(label)
    found = views(pair.label, pair.prediction, spacing_mm=pair.spacing_mm, codes=codes, image=image)
    if not found:
        return GalleryCase((), BOTH_EMPTY)
    shown = [view.image for view in found if view.image is not None]
    greys = _window(shown) if shown else (0.0, 1.0)
    return GalleryCase(tuple(_slice(view, greys, unit) for view in found), note)


def _slice(view: View, greys: tuple[float, float], unit: LengthUnit) -> GallerySlice:
    label, prediction = outline(view.label), outline(view.prediction)
    step = max(label.step, prediction.step)
    png = grey_png(view.image, greys) if view.image is not None else b""
    rows, columns = view.label.shape
    return GallerySlice(
        plane=view.plane,
        axis=view.axis,
        index=view.index,
        sides=view.sides,
        columns=columns,
        rows=rows,
        pixel_mm=view.pixel_mm,
        error=view.error,
        label=label.path,
        prediction=prediction.path,
        step=step,
        image=base64.b64encode(png).decode("ascii"),
        unit=unit,
    )


def _window(images: Sequence[Image]) -> tuple[float, float]:
    """Intensities that become black and white: the same for all slices of a case, outliers cut."""
    pixels = np.concatenate([image[np.isfinite(image)] for image in images])
    if not pixels.size:
        return 0.0, 1.0
    low, high = np.percentile(pixels, (0.5, 99.5))
    return float(low), float(high)


def grey_png(image: Image, greys: tuple[float, float], *, largest: int = LARGEST_PNG) -> bytes:
    """A small grey PNG, with fewer pixels where that is what it takes to fit.

    Args:
        image: (rows, columns) intensities; what is not finite becomes black.
        greys: Intensities of black and white.
        largest: Most bytes.
    """
    from PIL import Image as Pictures

    low, high = greys
    scaled = np.clip((np.nan_to_num(image, nan=low, posinf=high, neginf=low) - low) / (high - low or 1.0), 0, 1)
    whole = Pictures.fromarray((scaled * 255).astype(np.uint8))
    side = LONGEST_SIDE
    while True:
        size = (min(whole.width, side), min(whole.height, side))
        # Few greys compress well, and nobody sees the difference under two outlines.
        pixels = np.asarray(whole.resize(size, Pictures.Resampling.BOX)).astype(np.float64)
        coarse = np.round(np.round(pixels / 255 * (_GREYS - 1)) * 255 / (_GREYS - 1)).astype(np.uint8)
        stream = io.BytesIO()
        Pictures.fromarray(coarse).save(stream, format="PNG", optimize=True)
        if stream.tell() <= largest or side <= 8:
            return stream.getvalue()
        side = int(min(side, max(size)) * 0.85)


def _read_image(
    files: tuple[Path, ...], label: Mask, pair: MaskPair, protocol: Protocol, channel: int | None
) -> tuple[Image | None, int | None, str]:
    """The image on the label's axes, which channel it is, and why there is none.

    The channel is chosen on the first case and kept, so that all pictures show the same.
    """
    if not files:
        return None, channel, NO_IMAGE
    wanted = range(len(files)) if channel is None or len(files) == 1 else [min(channel, len(files) - 1)]
    found: list[Image] = []
    try:
        for index in wanted:
            channels = read_channels(files[index])
            for stored in channels if len(files) == 1 else channels[:1]:
                # Neither file says how large a voxel is: what was given for the label holds for its image.
                plain = stored if stored.has_size or label.has_size else give_spacing(stored, label.spacing_mm)
                moved = align(plain, label, tolerance=protocol.grid.tolerance)
                if moved is None and protocol.grid.match == "shape" and stored.shape == label.shape:
                    moved = stored
                if moved is None:
                    return None, channel, OTHER_GRID
                found.append(moved.array)
    except (InputError, MemoryError):
        return None, channel, BROKEN_IMAGE
    if channel is not None:
        return found[min(channel, len(found) - 1)], channel, ""
    contrasts = [_contrast(values, pair) for values in found]
    chosen = int(np.argmax(contrasts))
    # An empty label shows no contrast, and decides nothing for the cases that follow.
    return found[chosen], chosen if contrasts[chosen] > 0 or len(found) == 1 else None, ""


def _contrast(image: Image, pair: MaskPair) -> float:
    """How far the label stands out from the tissue around it, in standard deviations; 0 for an empty label."""
    if not pair.n_label or pair.box is None:
        return 0.0
    room = tuple(
        slice(max(0, axis.start - _RING_VOXELS), min(length, axis.stop + _RING_VOXELS))
        for axis, length in zip(pair.box, pair.label.shape, strict=True)
    )
    inside = pair.label[room]
    around = ndimage.binary_dilation(inside, iterations=_RING_VOXELS) & ~inside
    values = image[room]
    inner, outer = values[inside & np.isfinite(values)], values[around & np.isfinite(values)]
    if not inner.size or not outer.size:
        return 0.0
    spread = float(np.sqrt((inner.var() + outer.var()) / 2))
    return abs(float(inner.mean()) - float(outer.mean())) / (spread or 1.0)
