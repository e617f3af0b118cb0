"""Three pictures of a summary: two of the cases that the answer speaks of, and one that is typical."""

from __future__ import annotations

from segfair.audit.result import AuditResult
from segfair.audit.result.gallery import Gallery, GallerySlice
from segfair.audit.words import clean, metric_digits, metric_name
from segfair.report.gallery import picture
from segfair.report.parts import NAME_LENGTH, Data
from segfair.report.signing.answer import spoken_of
from segfair.report.signing.language import Language
from segfair.report.signing.measures import length_unit

__all__ = ["picture_section"]

_WORST = 2
_LINE = 1.1
"""Width of an outline, as a share of a hundredth of the picture's width."""


def picture_section(result: AuditResult, language: Language) -> list[Data]:
    """The pictures, one slice a case; empty where the audit has none."""
    gallery = result.cases.gallery
    if gallery is None:
        return []
    row = spoken_of(result)
    of_group = [group for group in gallery.groups if row is not None and group.items == row.subgroup]
    kind = language.say("among the worst")
    if of_group:
        kind = language.say("among the worst where %(group)s", group=language.group(of_group[0].items))
    chosen = of_group or [group for group in gallery.groups if not group.items.items]
    worst = _drawn(gallery, chosen[0].cases if chosen else ())[:_WORST]
    kinds = {
        **dict.fromkeys(_drawn(gallery, (gallery.typical,)), language.say("typical of all cases")),
        **dict.fromkeys(worst, kind),
    }
    order = [*worst, *(case for case in kinds if case not in worst)]
    return [_picture(case, kinds[case], gallery.cases[case].slices[0], result, language) for case in order]


def _drawn(gallery: Gallery, cases: tuple[str, ...]) -> list[str]:
    """Of some cases those with a picture; where something was predicted comes first, which shows more."""
    known = [case for case in cases if case in gallery.cases and gallery.cases[case].slices]
    return sorted(known, key=lambda case: not gallery.cases[case].slices[0].prediction)


def _picture(case: str, kind: str, entry: GallerySlice, result: AuditResult, language: Language) -> Data:
    rows, outcome = result.cases.scores, result.subgroups.primary_outcome
    score = dict(zip(map(str, rows.column("case")), rows.column(outcome), strict=True)).get(case)
    shown = picture(case, entry, entry.columns * entry.pixel_mm[0])
    step_x, step_y = map(float, shown["scale"].split())
    unit = length_unit(language, f"_{'vox' if entry.unit == 'voxels' else entry.unit}")
    size = f"{entry.columns * entry.pixel_mm[0]:.0f} × {entry.rows * entry.pixel_mm[1]:.0f} {unit}"
    nothing = "" if entry.prediction else language.say("nothing predicted")
    value = f"{metric_name(outcome)} {language.number(score, metric_digits([score]))}" if score is not None else ""
    caption = ", ".join(filter(None, (kind, value, nothing, size)))
    return {
        **shown,
        "case": clean(case, length=NAME_LENGTH),
        "caption": caption,
        "label": language.say(
            "Slice of case %(case)s with the outlines of reference and prediction: %(caption)s.",
            case=clean(case, length=NAME_LENGTH),
            caption=caption,
        ),
        # Not every renderer keeps a line's width when what it surrounds is scaled.
        "stroke": f"{_LINE * 2 / (step_x + step_y):.3f}",
        "halo": f"{_LINE * 4 / (step_x + step_y):.3f}",
        "dashes": f"{_LINE * 6 / (step_x + step_y):.3f} {_LINE * 4 / (step_x + step_y):.3f}",
    }
