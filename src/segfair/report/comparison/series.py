"""Audits over time -> monitor.html and monitor.json: control charts of groups, and both files. Computes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path

from segfair.audit.words import (
    clean,
    format_interval,
    format_number,
    format_p,
    metric_digits,
    metric_name,
    plural,
    shorten,
    subgroup_name,
)
from segfair.compare.cohorts.result import Drift, Series, SeriesPoint
from segfair.report.comparison.changes import title as column_title
from segfair.report.comparison.files import PageFiles, address_of
from segfair.report.comparison.frame import framed, method_section
from segfair.report.drawing import Box, Drawing, Line, Mark, Scale, Text, nice_ticks
from segfair.report.figures import BETTER, INK, MUTED, RULE, SHADE, WORSE, text_width
from segfair.report.parts import Cell, Data, cell, figure, number_column, table

__all__ = ["SERIES", "SERIES_FILES", "series_data", "write_series"]

SERIES_FILES = ("monitor.json", "monitor.html")
SERIES = PageFiles(
    SERIES_FILES, ("format", "audits", "groups"), "segfair monitor", "mend that, and call it again", "cohorts.html.j2"
)
_CHARTS = 6
"""Groups that are drawn beside everybody."""
_LISTED = 200
_TITLES = {
    "verdict": "Verdict",
    "series": "Means and control limits",
    "alerts": "Alerts",
    "method": "Method",
}
_METHOD = (
    "Control limits are where a group's mean lies if nothing changed since the baseline: the baseline's mean, and as "
    "many moderated standard errors to both sides as the largest deviation of all groups reaches by chance. Baseline "
    "and audit are resampled each by itself, patients whole.",
    "Every later audit is compared with the baseline at its share of the error level (Bonferroni), so that one false "
    "alarm in twenty series is to be expected, however many groups and audits there are. A group with too few cases in "
    "the baseline or in an audit has no limits there.",
)


def write_series(
    series: Series,
    directory: str | PathLike[str],
    *,
    command: str = "",
    digests: Mapping[str, str] | None = None,
    title: str = "",
    reports: Sequence[Path | None] = (),
) -> Path:
    """Writes both files; each appears only once both are complete.

    Args:
        series: What was found.
        directory: Where to; made if it does not exist. Other files in it stay as they are.
        command: The command line that led here; empty: called from Python.
        digests: What -> SHA-256, such as those of the audits.
        title: What the series is called.
        reports: The audits' own pages; None: not known.

    Returns:
        The path of monitor.html.

    Raises:
        ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
    """
    directory = Path(directory)
    return SERIES.write(
        series.save,
        directory,
        lambda written: series_data(
            series,
            written=written,
            command=command,
            digests=digests,
            title=title,
            reports=[address_of(report, directory) for report in reports],
        ),
    )


def series_data(
    series: Series,
    *,
    written: str,
    command: str = "",
    digests: Mapping[str, str] | None = None,
    title: str = "",
    reports: Sequence[str] = (),
) -> Data:
    """Everything that the page prints.

    Args:
        series: What was found.
        written: When the page is written, as it shall stand there.
        command: The command line that led to it; empty: none is shown.
        digests: What -> SHA-256, printed with the method.
        title: What the series is called; empty: it has no name.
        reports: Address of each audit's own page; empty: not known.
    """
    drifting = series.drifting
    worse = any(entry.to_worse for entry in drifting)
    mark, tone, kind = (
        ("▼", "worse", "Drift found")
        if worse
        else ("▲", "better", "Drift found")
        if drifting
        else ("◆", "open", "No drift shown")
    )
    sections = {
        "verdict": {"mark": mark, "tone": tone, "kind": kind, "sentence": clean(series.sentence, length=1200)},
        "overall": None,
        "series": {"figure": _charts(series), "table": _table(series)},
        "subgroups": {},
        "mix": None,
        "alerts": [clean(notice, length=600) for notice in series.notices],
        "method": method_section(_METHOD, series, command=command, digests=digests or {}),
    }
    addresses = [*reports, *[""] * (len(series.audits) - len(reports))]
    baseline = "the first audit" if series.n_baseline == 1 else f"the first {series.n_baseline} audits"
    return framed(
        series,
        sections,
        titles=_TITLES,
        title=title,
        heading=f"{plural(len(series.audits), 'audit')} over time",
        meta=(
            f"baseline {baseline} · outcome {metric_name(series.outcome)} · protocol "
            f"{clean(series.settings.get('protocol', ''), length=60)} · written {written}"
        ),
        written=written,
        audits=zip((side.name for side in series.audits), addresses, strict=True),
        files=SERIES_FILES[:1],
    )


def _name(entry: Drift, length: int = 60) -> str:
    return subgroup_name(entry.pairs, length=length) if entry.items else "all cases"


def _digits(series: Series) -> int:
    return metric_digits([point.mean for point in series.everybody.points])


def _table(series: Series) -> Data:
    """A row a group, a column an audit."""
    digits = _digits(series)
    shown = (series.everybody, *series.groups[:_LISTED])
    more = len(series.groups) - _LISTED
    return table(
        f"Mean {metric_name(series.outcome)}, and the control limits beneath",
        ["Group", "First beyond chance", *(number_column(column_title(side.name)) for side in series.audits)],
        [
            [
                cell("all cases") if not entry.items else cell(items=entry.pairs),
                _first_cell(entry, series),
                *(_point_cell(point, entry, digits) for point in entry.points),
            ]
            for entry in shown
        ],
        note="n, the mean, and where it lies if nothing changed; a dash where a group has too few cases for limits."
        + (f" {more:,} more groups stand in monitor.json." if more > 0 else ""),
    )


def _first_cell(entry: Drift, series: Series) -> Cell:
    if entry.first is None:
        return cell("–")
    point = entry.points[entry.first]
    tone = "worse" if entry.to_worse else "better"
    p_value = "" if point.p_adjusted is None else f"p {format_p(point.p_adjusted)}"
    return cell(column_title(series.audits[entry.first].name), sub=p_value, tone=tone)


def _point_cell(point: SeriesPoint, entry: Drift, digits: int) -> Cell:
    limits = f"; {format_interval(point.limits, digits)}" if point.limits else ""
    tone = ("worse" if entry.to_worse else "better") if point.beyond else ""
    return cell(format_number(point.mean, digits), sub=f"n = {point.n:,}{limits}", tone=tone)


def _charts(series: Series) -> Data | None:
    """A control chart of everybody, and of the groups that drift first."""
    shown = [series.everybody, *series.groups[:_CHARTS]]
    digits = _digits(series)
    points = [point for entry in shown for point in entry.points]
    values = [value for point in points for value in (point.mean, *(point.limits or ())) if value is not None]
    if not values:
        return None
    drawing = control_charts(
        shown,
        [side.name for side in series.audits],
        (min(values), max(values)),
        digits=digits,
        higher=series.better == "higher",
    )
    return figure(
        drawing,
        key="series",
        label=f"Control charts: {series.sentence}",
        caption="Mean at each audit (dots), and where it lies if nothing changed since the baseline (bands). A "
        "triangle lies beyond.",
    )


_ROW, _GAP = 0.82, 0.3


def control_charts(
    entries: Sequence[Drift],
    audits: Sequence[str],
    limits: tuple[float, float],
    *,
    digits: int,
    higher: bool,
    width: float = 7.6,
) -> Drawing:
    """A chart beneath the other for each group, all on one scale.

    Args:
        entries: Groups.
        audits: Names, in order.
        limits: Lowest and highest value that is drawn.
        digits: Decimals of the axis.
        higher: Whether higher values are better; better ones lie higher up.
        width: Inches.
    """
    span = (limits[1] - limits[0]) or 0.1
    ends = (limits[0] - 0.08 * span, limits[1] + 0.08 * span)
    ticks = nice_ticks(*ends, most=3)
    numbers = [format_number(tick, digits) for tick in ticks]
    room = 1.9
    left = text_width(numbers) + 0.14
    drawing = Drawing(width, left, room, top=0.3, bottom=0.1, plot=len(entries) * (_ROW + _GAP) - _GAP)
    across = Scale(0, max(1, len(audits) - 1), 0.18, drawing.length - 0.18)
    fits = max(6, int(drawing.length / max(1, len(audits)) / text_width(["n"])))
    for place, name in enumerate(audits):
        drawing.add(Text(across(place), -0.1, shorten(clean(name), fits), "center", "above", MUTED, bold=True))
    letters = int(room / text_width(["n"])) - 2
    for row, entry in enumerate(entries):
        top = row * (_ROW + _GAP)
        low, high = ends if higher else ends[::-1]
        up = Scale(low, high, top + _ROW, top)
        for tick, number in zip(ticks, numbers, strict=True):
            drawing.add(Line(((0.0, up(tick)), (drawing.length, up(tick))), SHADE, 0.8, layer=0))
            drawing.add(Text(-0.08, up(tick), number, "right", colour=MUTED))
        _draw_chart(drawing, entry, across, up)
        colour = (WORSE if entry.to_worse else BETTER) if entry.first is not None else INK
        name = shorten(_name(entry), letters)
        drawing.add(Text(drawing.length + 0.08, top + _ROW / 2, name, "left", colour=colour, bold=not entry.items))
    return drawing


def _draw_chart(drawing: Drawing, entry: Drift, across: Scale, up: Scale) -> None:
    """Bands of the limits, the line of means, and a mark where it lies beyond."""
    for place, point in enumerate(entry.points):
        if point.limits is not None:
            one, other = sorted(map(up, point.limits))
            drawing.add(Box(across(place) - 0.13, one, 0.26, other - one, RULE))
    known = [(across(place), up(point.mean)) for place, point in enumerate(entry.points) if point.mean is not None]
    drawing.add(Line(tuple(known), INK, 1.2, layer=2))
    for place, point in enumerate(entry.points):
        if point.mean is None:
            continue
        colour = (WORSE if entry.to_worse else BETTER) if point.beyond else INK
        shape = ("down" if entry.to_worse else "up") if point.beyond else "dot"
        drawing.add(Mark(across(place), up(point.mean), shape, 7.0 if point.beyond else 4.0, colour, edge=0.8))  # type: ignore[arg-type]
