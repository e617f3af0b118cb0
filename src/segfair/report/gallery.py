"""The gallery of worst cases: pictures with their outlines, scores and attributes beneath."""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.result import AuditResult, CaseScores
from segfair.audit.result.gallery import Gallery, GalleryCase, GalleryGroup, GallerySlice
from segfair.audit.words import clean, format_number, metric_digits, metric_name, plural
from segfair.report.parts import NAME_LENGTH, Data, definition, items_of
from segfair.subgroups.lattice import Subgroup

__all__ = ["gallery_data", "gallery_section", "picture", "picture_keys"]

_REASONS = {
    "overall": "",
    "significant": "worse beyond chance",
    "beyond margin": "worse by more than the declared margin",
}
_MAX_NAMES = 12
_MAX_ATTRIBUTES = 8
_TICK = 0.07
"""Length of the ticks that point to the largest error, as a share of the picture."""


def gallery_section(result: AuditResult, metrics: Sequence[str]) -> Data | None:
    """Pictures of the worst cases, by group; None where the audit has none.

    Args:
        result: The audit.
        metrics: Metrics that stand beneath each picture.
    """
    if result.cases.gallery is None:
        return None
    return gallery_data(result.cases.gallery, result.cases.scores, metrics, outcome=result.subgroups.primary_outcome)


def picture_keys(gallery: Gallery) -> dict[str, str]:
    """Case -> the id of its pictures in the page."""
    return {case: f"worst-case-{index}" for index, case in enumerate(gallery.cases)}


def gallery_data(gallery: Gallery, rows: CaseScores, metrics: Sequence[str], *, outcome: str) -> Data:
    """Pictures of the worst cases, by group.

    Args:
        gallery: The pictures.
        rows: Scores and attributes of the cases.
        metrics: Metrics that stand beneath each picture.
        outcome: The metric by which they are the worst.
    """
    row_of = {str(case): index for index, case in enumerate(rows.column("case"))}
    key_of = picture_keys(gallery)
    empty = {case for case, nothing in zip(row_of, rows.nothing_predicted, strict=True) if nothing}
    digits = {name: metric_digits(rows.column(name)) for name in metrics}
    drawn: set[str] = set()
    groups = []
    for group in gallery.groups:
        cards, links = [], []
        for case in group.cases:
            link = {"key": key_of[case], "name": clean(case, length=NAME_LENGTH)}
            if case in drawn:
                links.append(link)
                continue
            drawn.add(case)
            card = _card(case, gallery.cases[case], rows, row_of.get(case), digits, nothing=case in empty)
            cards.append(link | card)
        groups.append(
            {
                "items": items_of(group.items),
                "reason": _REASONS[group.reason],
                "count": plural(len(group.cases), "picture"),
                "cards": cards,
                "links": links,
                "unusable": _unusable(group, rows),
            }
        )
    slices = [entry for pictures in gallery.cases.values() for entry in pictures.slices]
    return {
        "groups": groups,
        "outcome": metric_name(outcome),
        "bare": any(not entry.image for entry in slices),
        "turned": any(entry.sides for entry in slices),
        "backdrop": ""
        if gallery.channel is None
        else f"Behind the outlines lies channel {gallery.channel + 1} of the images (where there are several: the one "
        "in which the label of the first case drawn stands out most).",
        "coarse": "Ragged outlines are drawn coarser than the voxels."
        if any(entry.step > 1 for entry in slices)
        else "",
        "more": f"{plural(gallery.n_groups, 'subgroup')} are flagged; the most harmed {len(groups) - 1} are shown."
        if gallery.n_groups > len(groups) - 1
        else "",
    }


def _card(
    case: str, pictures: GalleryCase, rows: CaseScores, index: int | None, digits: dict[str, int], *, nothing: bool
) -> Data:
    values = dict(zip(rows.columns, rows.rows[index], strict=True)) if index is not None else {}
    levels = [(name, str(values[name])) for name in rows.attributes if values.get(name)]
    widest = max((entry.columns * entry.pixel_mm[0] for entry in pictures.slices), default=1.0)
    return {
        "pictures": [picture(case, entry, widest, nothing=nothing) for entry in pictures.slices],
        "nothing": nothing,
        "note": pictures.note,
        "scores": [
            definition(metric_name(name), format_number(values[name], places))
            for name, places in digits.items()
            if name in values
        ],
        "attributes": items_of(levels[:_MAX_ATTRIBUTES]),
        "more": f"and {plural(len(levels) - _MAX_ATTRIBUTES, 'more attribute')}"
        if len(levels) > _MAX_ATTRIBUTES
        else "",
    }


def picture(case: str, entry: GallerySlice, widest: float, *, nothing: bool = False) -> Data:
    """One slice in units of 1/100 of the widest picture of its case, so that all have one scale."""
    unit = 100 / widest
    step_x, step_y = entry.pixel_mm[0] * unit, entry.pixel_mm[1] * unit
    width, height = entry.columns * step_x, entry.rows * step_y
    x, y = (entry.error[0] + 0.5) * step_x, (entry.error[1] + 0.5) * step_y
    tick = _TICK * min(width, height)
    ticks = (
        f"M{x:.2f} 0v{tick:.2f}M{x:.2f} {height:.2f}v{-tick:.2f}M0 {y:.2f}h{tick:.2f}M{width:.2f} {y:.2f}h{-tick:.2f}"
    )
    size = f"{entry.columns * entry.pixel_mm[0]:.0f} × {entry.rows * entry.pixel_mm[1]:.0f} {entry.unit}"
    plane = "Slice" if entry.plane == "slice" else entry.plane.capitalize()
    return {
        "caption": f"{plane} {entry.index + 1}, {size}" + ("; nothing predicted" if nothing else ""),
        "label": _words(case, entry, size),
        "width": f"{width:.2f}",
        "height": f"{height:.2f}",
        "scale": f"{step_x:.4f} {step_y:.4f}",
        "outline": entry.label,
        "prediction": entry.prediction,
        "image": entry.image,
        "ticks": ticks,
        "left": entry.sides[0] if entry.sides else "",
        "top": entry.sides[2] if entry.sides else "",
        "middle_x": f"{width / 2:.2f}",
        "middle_y": f"{height / 2:.2f}",
    }


def _words(case: str, entry: GallerySlice, size: str) -> str:
    """The text alternative of one picture."""
    plane = "Slice" if entry.plane == "slice" else f"{entry.plane.capitalize()} slice"
    shown = {
        (True, True): "outlines of label and prediction",
        (True, False): "outline of the label; nothing of the prediction",
        (False, True): "outline of the prediction; nothing of the label",
        (False, False): "neither label nor prediction",
    }[bool(entry.label), bool(entry.prediction)]
    column, row = (
        "left" if entry.error[0] < entry.columns / 3 else "right" if entry.error[0] >= 2 * entry.columns / 3 else "",
        "upper" if entry.error[1] < entry.rows / 3 else "lower" if entry.error[1] >= 2 * entry.rows / 3 else "",
    )
    where = " ".join(part for part in (row, column) if part) or "middle"
    return f"{plane} {entry.index + 1} of {clean(case, length=40)}, {size}: {shown}. Largest error: {where}."


def _unusable(group: GalleryGroup, rows: CaseScores) -> str:
    """The penalised members by name: they have the worst score, and nothing to be drawn."""
    names = [clean(case, length=40) for case in _penalised(group.items, rows)]
    if not names:
        return ""
    listed = ", ".join(names[:_MAX_NAMES])
    rest = f" and {len(names) - _MAX_NAMES:,} more" if len(names) > _MAX_NAMES else ""
    return f"{plural(len(names), 'prediction')} could not be used, with the worst score and no picture: {listed}{rest}."


def _penalised(subgroup: Subgroup, rows: CaseScores) -> list[str]:
    place = {name: index for index, name in enumerate(rows.columns)}
    return [
        str(row[place["case"]])
        for row in rows.rows
        if row[place["penalised"]]
        and all(attribute in place and row[place[attribute]] == level for attribute, level in subgroup.items)
    ]
