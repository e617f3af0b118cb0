"""Facts -> matplotlib axes, for figures of one's own. Each plot draws into `ax`, or makes one, and returns it.

The pages draw their own figures (`segfair.report`); these are axes like any others, to be sized, titled and saved.
matplotlib is imported when the first plot is asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segfair.api.options import names_of
from segfair.audit.describe import cell_means
from segfair.audit.panel import Panel
from segfair.audit.words import format_number, harmful, metric_name, subgroup_name
from segfair.errors import ConfigError, close_names
from segfair.report.figures import BETTER, INK, MUTED, NEUTRAL, WORSE, diverging, text_colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

    from segfair.api.options import Names
    from segfair.audit.result import AttributeFacts, AuditResult
    from segfair.compare.result import Comparison
    from segfair.rank.result import Ranking

__all__ = ["AuditPlots", "ComparisonPlots", "RankingPlots"]

_LENGTH = 30
"""Longest name of an attribute or level, in characters."""


@dataclass(frozen=True, slots=True)
class AuditPlots:
    """The plots of an audit.

    Attributes:
        result: The audit.
    """

    result: AuditResult

    def groups(self, attributes: Names | None = None, *, metric: str | None = None, ax: Axes | None = None) -> Axes:
        """The mean of each level of each attribute with its 95 % interval; a line at the mean of all cases.

        Args:
            attributes: Which; None: all.
            metric: Of what; None: the primary outcome.
            ax: Where to; None: new axes.

        Raises:
            ConfigError: No such attribute or metric.

        Examples:
            >>> import pandas as pd, segfair as sf
            >>> frame = pd.DataFrame({"dsc": [0.9, 0.8, 0.6, 0.7] * 8, "site": ["A", "A", "B", "B"] * 8})
            >>> axes = sf.audit_scores(frame, permutations=99, bootstrap=100).plot.groups()
            >>> [label.get_text() for label in axes.get_yticklabels()]
            ['site = A (n 16)', 'site = B (n 16)']
        """
        metric = self._metric(metric)
        rows = [(entry.name, level) for entry in self._chosen(attributes) for level in entry.levels]
        ax = _axes(ax, len(rows))
        for place, (_, level) in enumerate(rows):
            mean = level.mean.get(metric)
            if mean is not None:
                face = "white" if level.small else BETTER
                _estimate(ax, mean, level.ci.get(metric), place, NEUTRAL, face=face)
        scores = self.result.cases.scores.column(metric) if _has_rows(self.result) else []
        values = [value for value in scores if value is not None]
        if values:
            ax.axvline(float(np.mean(values)), color=MUTED, linewidth=0.9, zorder=1)
        names = [subgroup_name([(name, level.level)], length=_LENGTH) + f" (n {level.n:,})" for name, level in rows]
        return _rows(ax, names, f"Mean {metric_name(metric)}")

    def subgroups(self, k: int = 10, *, ax: Axes | None = None) -> Axes:
        """A forest plot: the difference of the worst subgroups to everybody else, with its simultaneous interval.

        Args:
            k: How many.
            ax: Where to; None: new axes.
        """
        table = self.result.subgroups[self.result.subgroups.primary_outcome]
        rows = table.worst(k) or table.rows[:k]
        ax = _axes(ax, len(rows))
        ax.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1)
        for place, row in enumerate(rows):
            colour = WORSE if harmful(row.difference, table.better) else BETTER
            interval = row.estimate.ci if row.estimate else None
            _estimate(ax, row.difference, interval, place, colour, face=colour if row.significant else "white")
        names = [subgroup_name(row.subgroup.items, length=_LENGTH) + f" (n {row.n:,})" for row in rows]
        return _rows(ax, names, f"Difference in {metric_name(table.outcome)} to everybody else")

    def heatmap(self, rows: str | None = None, columns: str | None = None, *, ax: Axes | None = None) -> Axes:
        """The mean outcome and n of every combination of two attributes' levels; too small cells stay grey.

        Args:
            rows: Attribute of the rows; None: the first two attributes that the worst subgroups name together.
            columns: Attribute of the columns.
            ax: Where to; None: new axes.

        Raises:
            ConfigError: No such attribute, fewer than two of them, or no rows of cases.
        """
        down, across = self._pair(rows, columns)
        outcome = self.result.subgroups.primary_outcome
        table, config = self.result.subgroups[outcome], self.result.about.config
        sides = [(entry.name, [level.level for level in entry.levels]) for entry in (down, across)]
        cells = cell_means(Panel.of_result(self.result), outcome, sides[0], sides[1])
        ax = _axes(ax, len(down.levels), per_row=0.5)
        mean = table.mean or 0.0
        judged = cells.counts >= max(1, config.min_cases)
        span = float(np.abs(cells.means[judged] - mean).max(initial=0.0)) * (1 if table.better == "higher" else -1)
        for place in np.ndindex(*cells.means.shape):
            row, column = place
            shade = 0.5 + 0.5 * (float(cells.means[place]) - mean) / span if judged[place] and span else None
            face = "#edf1f4" if shade is None else diverging(shade)
            ax.add_patch(_tile(column, row, face))
            count = int(cells.counts[place])
            text = f"{format_number(float(cells.means[place]))}\nn {count:,}" if count else "no case"
            ax.text(column, row, text, ha="center", va="center", fontsize=8, color=text_colour(face), parse_math=False)
        ax.set_xlim(-0.5, len(across.levels) - 0.5)
        ax.set_xticks(range(len(across.levels)), cells.column_levels, parse_math=False)
        ax.set_xlabel(across.name, parse_math=False)
        ax.set_ylabel(down.name, parse_math=False)
        ax.set_title(f"Mean {metric_name(outcome)}", fontsize=10)
        return _rows(ax, list(cells.row_levels), None)

    def _metric(self, metric: str | None) -> str:
        known = self.result.cases.scores.metrics
        if metric is not None and metric not in known:
            raise ConfigError(
                f"metric={metric!r}: not scored{close_names(metric, known)}; there are {', '.join(known)}"
            )
        return metric or self.result.subgroups.primary_outcome

    def _chosen(self, attributes: Names | None) -> list[AttributeFacts]:
        by_name = {entry.name: entry for entry in self.result.attributes.facts}
        names = by_name if attributes is None else names_of(attributes, "attributes")
        for name in names:
            if name not in by_name:
                raise ConfigError(
                    f"attribute {name!r}: not in this audit{close_names(name, by_name)}; there are "
                    f"{', '.join(by_name) or 'none'}"
                )
        return [by_name[name] for name in names]

    def _pair(self, rows: str | None, columns: str | None) -> tuple[AttributeFacts, AttributeFacts]:
        if not _has_rows(self.result):
            raise ConfigError(
                "heatmap: an audit that was made to be shared has no rows of cases; draw that of the full one"
            )
        names = [entry.name for entry in self.result.attributes.facts if entry.name in self.result.attributes.bins]
        worst = self.result.subgroups[self.result.subgroups.primary_outcome]
        named = (sorted(name for name, _ in row.subgroup.items) for row in worst)
        pairs = itertools.chain(
            (pair for found in named for pair in itertools.combinations(found, 2)), itertools.permutations(names, 2)
        )
        fits = (pair for pair in pairs if rows in (None, pair[0]) and columns in (None, pair[1]))
        pair = (rows, columns) if rows and columns else next(fits, None)
        if pair is None:
            self._chosen([name for name in (rows, columns) if name])
            raise ConfigError(f"heatmap: takes two attributes, and there are {', '.join(names) or 'none'}")
        down, across = self._chosen(pair)
        return down, across


@dataclass(frozen=True, slots=True)
class ComparisonPlots:
    """The plots of a comparison.

    Attributes:
        comparison: What changed.
    """

    comparison: Comparison

    def subgroups(self, k: int = 10, *, ax: Axes | None = None) -> Axes:
        """The change of the most harmed subgroups with its simultaneous 95 % interval.

        Args:
            k: How many.
            ax: Where to; None: new axes.
        """
        found = self.comparison
        rows = [entry for entry in found.subgroups[found.outcome] if not entry.redundant][:k]
        ax = _axes(ax, len(rows))
        ax.axvline(0.0, color=MUTED, linewidth=0.9, zorder=1)
        for place, entry in enumerate(rows):
            colour = WORSE if harmful(entry.difference, found.better) else BETTER
            face = colour if entry.significant else "white"
            _estimate(ax, entry.difference, entry.ci_simultaneous, place, colour, face=face)
        names = [subgroup_name(entry.pairs, length=_LENGTH) + f" (n {entry.n:,})" for entry in rows]
        return _rows(ax, names, f"Change of {metric_name(found.outcome)}")


@dataclass(frozen=True, slots=True)
class RankingPlots:
    """The plots of a ranking.

    Attributes:
        ranking: The ranking.
    """

    ranking: Ranking

    def teams(self, *, ax: Axes | None = None) -> Axes:
        """The score of each team, best first, with its 95 % interval; a line at what empty masks get."""
        found = self.ranking
        ax = _axes(ax, len(found.standings))
        ax.axvline(found.baseline.value, color=MUTED, linewidth=0.9, linestyle="--", zorder=1)
        for place, entry in enumerate(found.standings):
            score = entry.scores.get(found.by)
            _estimate(ax, entry.value, score.ci if score else None, place, NEUTRAL, face=BETTER)
        names = [f"{entry.rank}. {entry.team}" for entry in found.standings]
        return _rows(ax, names, f"{found.by} (dashed: empty masks)")


def _has_rows(result: AuditResult) -> bool:
    return bool(result.cases.scores.rows)


def _axes(ax: Axes | None, n_rows: int, *, per_row: float = 0.32) -> Axes:
    if ax is not None:
        return ax
    from matplotlib import pyplot

    _, made = pyplot.subplots(figsize=(7.0, 1.2 + per_row * max(1, n_rows)), layout="constrained")
    return made


def _estimate(
    ax: Axes, value: float, interval: tuple[float, float] | None, place: int, colour: str, *, face: str
) -> None:
    """A dot and the line of its interval."""
    if interval is not None:
        ax.plot(interval, (place, place), color=colour, linewidth=1.8, zorder=2)
    ax.plot([value], [place], marker="o", markersize=6, color=colour, markerfacecolor=face, zorder=3)


def _tile(column: int, row: int, face: str) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.5, row - 0.5), 1.0, 1.0, facecolor=face, edgecolor="white", linewidth=1.5)


def _rows(ax: Axes, names: Sequence[str], title: str | None) -> Axes:
    """Names of the rows from the top, and what the axis counts; a dollar sign in a name is no formula."""
    ax.set_yticks(range(len(names)), names, parse_math=False)
    ax.set_ylim(max(1, len(names)) - 0.5, -0.5)
    ax.tick_params(colors=INK, length=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    if title is not None:
        ax.set_xlabel(title)
    return ax
