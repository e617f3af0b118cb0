"""Facts as people read them: numbers, intervals, names, and what a test result means in words.

Used by the figures and the page; knows no markup and no file. Text from outside (attribute names, levels, case ids)
goes through `clean`, so that it cannot reorder, break or hide what stands beside it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segfair.subgroups.lattice import Better, Divergence, Item
from segfair.subgroups.search import Search

__all__ = [
    "MINUS",
    "Standing",
    "clean",
    "column_digits",
    "evidence",
    "format_interval",
    "format_number",
    "format_p",
    "format_share",
    "harmful",
    "item_name",
    "largest_deficit",
    "metric_digits",
    "metric_name",
    "plural",
    "search_sentence",
    "shorten",
    "standing",
    "subgroup_name",
]

MINUS = "−"
DASH = "–"
Interval = tuple[float, float]

# Joiners (ZWNJ, ZWJ) and variation selectors belong to words and emoji; every other invisible character is shown.
_VISIBLE_FORMATS = "\u200c\u200d"
_METRIC_NAMES: Mapping[str, str] = {
    "dsc": "DSC",
    "normhd": "NormHD",
    "iou": "IoU",
    "hd95_vox": "HD95 (voxels)",
    "hd95_mm": "HD95 (mm)",
    "assd_mm": "ASSD (mm)",
    "nsd_1mm": "NSD at 1 mm",
    "nsd_2mm": "NSD at 2 mm",
    "volume": "Label volume (mm³)",
    "hd95_px": "HD95 (px)",
    "assd_px": "ASSD (px)",
    "nsd_1px": "NSD at 1 px",
    "nsd_2px": "NSD at 2 px",
    "area_px": "Label area (px²)",
    "assd_vox": "ASSD (voxels)",
    "nsd_1vox": "NSD at 1 voxel",
    "nsd_2vox": "NSD at 2 voxels",
    "size_vox": "Label size (voxels)",
    "area_mm2": "Label area (mm²)",
    "lesion_missed": "Lesion missed",
    "sensitivity": "Sensitivity",
    "precision": "Precision",
    "relative_volume_error": "Relative volume error",
    "abs_relative_volume_error": "Absolute relative volume error",
    "lesion_sensitivity": "Lesion sensitivity",
    "false_lesions": "False lesions",
    "lesion_f1": "Lesion F1",
    "lesion_dsc": "Lesion DSC",
    "lesion_hd95_mm": "Lesion HD95 (mm)",
    "lesion_hd95_vox": "Lesion HD95 (voxels)",
    "lesion_hd95_px": "Lesion HD95 (px)",
    "lesion_assd_mm": "Lesion ASSD (mm)",
    "lesion_assd_vox": "Lesion ASSD (voxels)",
    "lesion_assd_px": "Lesion ASSD (px)",
    "lesion_sq": "Lesion SQ",
    "lesion_depth_mm": "Lesion depth (mm)",
    "lesion_depth_vox": "Lesion depth (voxels)",
    "lesion_depth_px": "Lesion depth (px)",
    "lesion_pq": "Lesion PQ",
    "lesion_pq_dsc": "Lesion PQ (DSC)",
    "ece": "ECE",
    "ece_chance": "ECE by chance",
    "brier": "Brier score",
    "expected_dsc": "Expected DSC",
    "overconfidence": "Over-confidence",
    "abs_overconfidence": "Absolute over-confidence",
}


def clean(text: object, *, length: int | None = None) -> str:
    """Text from outside, made safe to stand in a line.

    White space becomes one space; control, private and direction characters (which can hide or reorder the text
    around them) are spelled out as ⟨U+202E⟩; `length` cuts with an ellipsis. An empty text becomes ⟨empty⟩.
    """
    raw = str(text)
    if length is not None and len(raw) > 4 * length:  # a name of megabytes is not looked at to its end
        raw = raw[: 4 * length]
    shown = []
    for character in " ".join(raw.split()):
        category = unicodedata.category(character)
        hidden = category in ("Cc", "Cs", "Co", "Cn") or (category == "Cf" and character not in _VISIBLE_FORMATS)
        shown.append(f"⟨U+{ord(character):04X}⟩" if hidden else character)
    joined = "".join(shown)
    if not joined:
        return "⟨empty⟩"
    return shorten(joined, length) if length is not None else joined


def shorten(text: str, length: int) -> str:
    """At most `length` characters; an ellipsis marks a cut."""
    return text if len(text) <= length else text[: max(1, length - 1)].rstrip() + "…"


def item_name(item: Item, *, length: int = 60) -> str:
    """`attribute = level`, each cleaned and cut."""
    return f"{clean(item[0], length=length)} = {clean(item[1], length=length)}"


def subgroup_name(items: Iterable[Item], *, length: int = 60) -> str:
    """The items of a subgroup in a fixed order; `all cases` for none."""
    return ", ".join(item_name(item, length=length) for item in sorted(items)) or "all cases"


def metric_name(name: str) -> str:
    """How a reader knows a metric; a region's metric bears the region (`dsc_tumour` -> DSC, tumour)."""
    if name in _METRIC_NAMES:
        return _METRIC_NAMES[name]
    for known in sorted(_METRIC_NAMES, key=len, reverse=True):
        if name.startswith(f"{known}_"):
            return f"{_METRIC_NAMES[known]}, {clean(name[len(known) + 1 :], length=40)}"
    return clean(name, length=40)


def plural(count: int, noun: str, nouns: str = "") -> str:
    """`1 case`, `2 cases`, `1,506 cases`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def metric_digits(values: Iterable[float | None]) -> int:
    """Decimals that give three to four figures to the largest of some values; 3 for scores in [-1, 1]."""
    largest = max((abs(value) for value in values if value is not None and math.isfinite(value)), default=0.0)
    return column_digits(largest)


def column_digits(largest: float) -> int:
    """Decimals for a column whose largest absolute value is `largest`."""
    if largest <= 2:
        return 3
    return 2 if largest < 20 else 1 if largest < 1000 else 0


def format_number(value: float | None, digits: int = 3, *, signed: bool = False) -> str:
    """Fixed decimals with a true minus sign; an en dash for no value. Zero never bears a sign."""
    if value is None or not math.isfinite(value):
        return DASH
    text = f"{abs(value):,.{digits}f}"
    if not text.strip("0.,"):
        return text
    return (MINUS if value < 0 else "+" if signed else "") + text


def format_interval(interval: Interval | None, digits: int = 3, *, signed: bool = False) -> str:
    """`0.61 to 0.72`; an en dash for none. Words, because a dash beside a minus sign cannot be read."""
    if interval is None:
        return DASH
    low, high = (format_number(limit, digits, signed=signed) for limit in interval)
    return f"{low} to {high}"


def evidence(
    *, simultaneous: Interval | None, pointwise: Interval | None, p_adjusted: float | None, digits: int = 3
) -> list[str]:
    """What a difference of a subgroup rests on: its interval, the simultaneous one if there is one, and adjusted p."""
    parts = []
    if simultaneous:
        parts.append(f"simultaneous 95% interval {format_interval(simultaneous, digits, signed=True)}")
    elif pointwise:
        parts.append(f"95% interval {format_interval(pointwise, digits, signed=True)}")
    if p_adjusted is not None:
        parts.append(f"adjusted p {format_p(p_adjusted)}")
    return parts


def format_p(p_value: float | None) -> str:
    """Three decimals, `<0.001` below; an en dash for none."""
    if p_value is None:
        return DASH
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def format_share(share: float) -> str:
    """A share in per cent, with two digits below ten: `5%`, `0.1%`, `24%`."""
    return f"{100 * share:.2g}%" if share < 0.095 else f"{100 * share:.0f}%"


def search_sentence(search: Search) -> str:
    """Which levels and combinations of attributes were looked at, and which were not."""
    length = search.max_items
    if search.is_cut:
        among = f"single levels, and combinations of up to {length} attributes held by at least "
        among += f"{plural(search.min_count, 'case')} ({format_share(search.min_support)})"
        return (
            f"Not everything was searched: {among if length != 1 else 'single levels only'}, {search.n_searched:,} in "
            f"all of {_about(search.n_estimated or 0.0)}. "
            f"{'Longer or rarer combinations' if length != 1 else 'Combinations of attributes'} were not looked at; "
            "choose fewer attributes (--attributes) to look further."
        )
    held = f"held by at least {format_share(search.min_support)} of the cases"
    if not search.n_searched:
        return f"No level is {held}, so there was nothing to combine."
    which = "levels and combinations of attributes"
    if length is not None:
        which = f"levels and combinations of up to {length} attributes" if length > 1 else "single levels"
    alone = "; those that are the same cases as another, or of an attribute that hardly varies, were not combined"
    return f"All {search.n_searched:,} {which} {held} were searched{alone if search.n_alone else ''}."


def _about(count: float) -> str:
    """A large estimate as it is said: `an estimated 24,000`, `an estimated 2.1 million`."""
    if count >= 1e12:
        return "more than a million million"
    if count < 1e6:
        return f"an estimated {count:,.0f}"
    return f"an estimated {count / 1e6:.2g} million" if count < 1e7 else f"an estimated {count / 1e6:,.0f} million"


def harmful(value: float, better: Better) -> bool:
    """Whether a difference is to the subgroup's disadvantage."""
    return value < 0 if better == "higher" else value > 0


def largest_deficit(row: Divergence, better: Better) -> float | None:
    """How far behind everybody else the interval leaves possible that members are; None where not tested."""
    if row.estimate is None or row.estimate.ci is None:
        return None
    low, high = row.estimate.ci
    return max(0.0, -low if better == "higher" else high)


@dataclass(frozen=True, slots=True)
class Standing:
    """What may be concluded about a subgroup.

    Attributes:
        main: Short phrase.
        template: Its qualification; `{}` stands for `gap`.
        gap: The gap that remains possible; None where the qualification names none.
    """

    main: str
    template: str = ""
    gap: float | None = None

    def qualification(self, digits: int) -> str:
        """The qualification in full."""
        return self.template.replace("{}", format_number(self.gap, digits))


def standing(row: Divergence, better: Better, *, tested: bool) -> Standing:
    """What may be concluded about a subgroup.

    "Not significant" is never said without the gap that remains possible.

    Args:
        row: The subgroup.
        better: Direction of the outcome.
        tested: Whether any subgroup of this table was tested at all.
    """
    deficit = largest_deficit(row, better)
    if not tested:
        return Standing("not tested", "not corrected for multiple testing")
    if row.significant is None:
        return Standing("too few cases", "not tested")
    if row.margin is not None and row.margin != "open":
        return Standing(row.margin)
    if row.significant:
        how = "worse" if harmful(row.difference, better) else "better"
        is_open = "whether beyond the margin is open" if row.margin is not None and how == "worse" else ""
        return Standing(f"significantly {how}", is_open)
    if deficit is None:
        return Standing("no difference shown", "no interval")
    return Standing("no difference shown", "up to {} behind everybody else cannot be excluded", deficit)
