"""What the three-line calls return: an audit, a comparison or a ranking that plots, tabulates and shows itself.

Each is what the room below found, and can stand wherever that is asked for; nothing is computed here.
"""

from __future__ import annotations

import dataclasses
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from segfair.api import frames
from segfair.api.messages import python_terms
from segfair.api.showing import show_page
from segfair.audit.result import AuditResult
from segfair.compare.result import Comparison
from segfair.rank.result import Ranking

if TYPE_CHECKING:
    import pandas as pd

    from segfair.api.plots import AuditPlots, ComparisonPlots, RankingPlots
    from segfair.report.signing.language import LanguageCode

__all__ = ["Audit", "AuditComparison", "TeamRanking"]


def _parts(found: Any) -> dict[str, Any]:
    return {field.name: getattr(found, field.name) for field in dataclasses.fields(found)}


class Audit(AuditResult):
    """Everything an audit found.

    Its parts are those of `AuditResult` (`verdict`, `scores`, `subgroups`, `cases`, `attributes`, `about`).

    Examples:
        >>> import pandas as pd, segfair as sf
        >>> frame = pd.DataFrame({"dsc": [0.9, 0.8, 0.6, 0.7] * 8, "site": ["A", "A", "B", "B"] * 8})
        >>> result = sf.audit_scores(frame, permutations=99, bootstrap=100)
        >>> result.findings[["n", "difference"]].round(2).to_dict("index")
        {'site = B': {'n': 16, 'difference': -0.2}}
    """

    __slots__ = ()

    @classmethod
    def of(cls, result: AuditResult) -> Self:
        """The same facts with what this class can do."""
        return cls(**_parts(result))

    @property
    def findings(self) -> pd.DataFrame:
        """The findings, most harmful first, a row each; see `segfair.api.frames.finding_frame`."""
        return frames.finding_frame(self)

    @property
    def by_group(self) -> pd.DataFrame:
        """Each level of each attribute: n, the mean of every metric, the interval of the primary outcome, failures."""
        return frames.group_frame(self)

    @property
    def plot(self) -> AuditPlots:
        """`plot.groups()`, `plot.subgroups()`, `plot.heatmap()`: matplotlib axes."""
        from segfair.api.plots import AuditPlots

        return AuditPlots(self)

    def report(
        self,
        folder: str | PathLike[str],
        *,
        title: str | None = None,
        model: str | None = None,
        cohort: str | None = None,
        language: LanguageCode = "en",
        pdf: bool = False,
    ) -> Path:
        """Writes `report.html`, `summary.html`, `audit.json`, `cases.csv`, `subgroups.csv` and `manifest.json`.

        Args:
            folder: Where to; made if it does not exist.
            title: Heading of every page; None: model and cohort.
            model: What was audited, printed on every page.
            cohort: On whom, likewise.
            language: Of the summary.
            pdf: Whether the summary is written as summary.pdf, too.

        Returns:
            The path of report.html.

        Raises:
            ConfigError: The folder cannot be written, or holds files of these names that segfair did not write; no such
                language; or what a PDF takes is not installed.
        """
        from segfair.audit.result.record import with_names
        from segfair.report.files import write_report

        record = with_names(self.about.record, title=title, model=model, cohort=cohort)
        named = dataclasses.replace(self, about=dataclasses.replace(self.about, record=record))
        with python_terms():
            return write_report(named, folder, language=language, pdf=pdf)

    def show(self, *, height: int = 800) -> None:
        """The whole report: in a frame of a notebook, else in the browser.

        Args:
            height: Of the frame, in pixels.
        """
        from segfair.report.audit import page_data
        from segfair.report.files import render_page

        show_page(render_page(page_data(self, written="for the screen")), height=height)

    def _repr_html_(self) -> str:
        from segfair.report.cards import audit_card

        return audit_card(self)


class AuditComparison(Comparison):
    """What changed from one audit to another; its parts are those of `Comparison`."""

    __slots__ = ()

    @classmethod
    def of(cls, comparison: Comparison) -> Self:
        """The same facts with what this class can do."""
        return cls(**_parts(comparison))

    @property
    def changes(self) -> pd.DataFrame:
        """The subgroups of the primary outcome, most harmed first; see `segfair.api.frames.change_frame`."""
        return frames.change_frame(self)

    @property
    def plot(self) -> ComparisonPlots:
        """`plot.subgroups()`: matplotlib axes."""
        from segfair.api.plots import ComparisonPlots

        return ComparisonPlots(self)

    def report(self, folder: str | PathLike[str], *, title: str = "") -> Path:
        """Writes `comparison.html` and `comparison.json`.

        Args:
            folder: Where to; made if it does not exist.
            title: What the comparison is called, in its heading.

        Returns:
            The path of comparison.html.

        Raises:
            ConfigError: The folder cannot be written, or holds files of these names that segfair did not write.
        """
        from segfair.report.comparison.files import write_comparison

        with python_terms():
            return write_comparison(self, folder, title=title)

    def show(self, *, height: int = 800) -> None:
        """The whole page; see `Audit.show`."""
        from segfair.report.comparison.page import comparison_data
        from segfair.report.files import render_page

        page = comparison_data(self, written="for the screen")
        show_page(render_page(page, template="comparison.html.j2"), height=height)

    def _repr_html_(self) -> str:
        from segfair.report.cards import comparison_card

        return comparison_card(self)


class TeamRanking(Ranking):
    """Who is first, how sure that is, and what decides it; its parts are those of `Ranking`."""

    __slots__ = ()

    @classmethod
    def of(cls, ranking: Ranking) -> Self:
        """The same facts with what this class can do."""
        return cls(**_parts(ranking))

    @property
    def board(self) -> pd.DataFrame:
        """The teams, best first; see `segfair.api.frames.board_frame`."""
        return frames.board_frame(self)

    @property
    def plot(self) -> RankingPlots:
        """`plot.teams()`: matplotlib axes."""
        from segfair.api.plots import RankingPlots

        return RankingPlots(self)

    def report(self, folder: str | PathLike[str], *, private_labels: bool = False, title: str = "") -> Path:
        """Writes the leaderboard, the pages of the teams and their tables.

        Args:
            folder: Where to; made if it does not exist.
            private_labels: See `segfair.write_ranking`.
            title: What the ranking is called, in the heading of the leaderboard.

        Returns:
            The path of leaderboard.html.

        Raises:
            ConfigError: The folder cannot be written, or holds other files than those of a ranking.
        """
        from segfair.report.ranking.files import write_ranking

        with python_terms():
            return write_ranking(self, folder, private_labels=private_labels, title=title)

    def show(self, *, height: int = 800) -> None:
        """The leaderboard; see `Audit.show`. Pages of teams are there once the report is written."""
        from segfair.report.files import render_page
        from segfair.report.ranking.leaderboard import leaderboard_data

        page = leaderboard_data(self, pages={}, private=False, written="for the screen")
        show_page(render_page(page, template="rank.html.j2"), height=height)

    def _repr_html_(self) -> str:
        from segfair.report.cards import ranking_card

        return ranking_card(self)
