"""`segfair.compare` and `segfair.rank`: two audits, or many teams, in one call."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Unpack

from segfair.api.messages import python_terms
from segfair.api.options import Names, RankOptions, audit_config, names_of, selection, spelt_out
from segfair.api.results import AuditComparison, TeamRanking
from segfair.audit.result import AuditResult
from segfair.errors import ConfigError

if TYPE_CHECKING:
    from segfair.api.auditing import Table

__all__ = ["compare", "rank"]

Audited: TypeAlias = AuditResult | str | PathLike[str]
"""An audit, its audit.json, the folder of its report, or a team of a ranking: "ranking:TEAM"."""


def compare(
    before: Audited, after: Audited, *, names: tuple[str, str] | None = None, outcome: str | None = None
) -> AuditComparison:
    """Says what changed from one audit to another of the same cases: who gained, and who was harmed.

    Args:
        before: The first audit; its settings hold.
        after: The second.
        names: What to call them; None: as their titles (or model and cohort), else as their folders where these
                differ, else "before" and "after".
        outcome: The metric that decides who was harmed; None: the primary outcome of both.

    Raises:
        InputError: Other protocols, labels or bins, no case in common, or a file that is no audit.
        ConfigError: An outcome that cannot be compared.

    Examples:
        >>> import pandas as pd, segfair as sf
        >>> frame = pd.DataFrame({"dsc": [0.9, 0.8, 0.6, 0.7] * 8, "site": ["A", "A", "B", "B"] * 8})
        >>> old = sf.audit_scores(frame, permutations=99, bootstrap=100)
        >>> new = sf.audit_scores(frame.assign(dsc=frame["dsc"] + 0.05), permutations=99, bootstrap=100)
        >>> sf.compare(old, new).changes["difference"].round(2).to_dict()
        {'site = A': 0.05, 'site = B': 0.05}
    """
    from segfair.compare.procedure import run_comparison, told_names
    from segfair.rank.saved import Audited, load_audited

    with python_terms():
        if names is not None and (isinstance(names, str) or len(names) != 2):
            raise ConfigError(f"names={names!r}: two names are meant, such as ('old', 'new')")
        sides = [
            Audited(side, Path(), "") if isinstance(side, AuditResult) else load_audited(Path(side))
            for side in (before, after)
        ]
        called = names or told_names([side.title for side in sides], [side.name for side in sides])
        results = (side.result for side in sides)
        return AuditComparison.of(run_comparison(*results, names=(called[0], called[1]), outcome=outcome))


@spelt_out(RankOptions)
def rank(
    teams: str | PathLike[str],
    labels: str | PathLike[str] | None = None,
    metadata: Table | None = None,
    *,
    by: str | None = None,
    over: Names = (),
    pattern: str | None = None,
    label_pattern: str | None = None,
    **options: Unpack[RankOptions],
) -> TeamRanking:
    """Ranks the submissions of many teams, and says what decides their order.

    Args:
        teams: Folder with one sub-folder of masks a team; without `labels` one table of scores a team.
        labels: Folder of reference masks; None: the teams' scores exist already.
        metadata: Table of patient attributes.
        by: The score that decides: "TS", "PS", "FS" or a metric; None: TS where there is one.
        over: Metrics of the other ways to rank (mean rank, significance points); (): DSC and NormHD, or what decides.
        pattern: Where masks lie in the folder of a team, for example "{id}/pred_*.nii.gz".
        label_pattern: The same of labels in their folder.
        **options: See `segfair.api.options.RankOptions`.

    Raises:
        InputError: A folder or table that cannot be used.
        ConfigError: Settings that cannot be meant, or no metadata.

    Examples:
        >>> import pandas as pd, segfair as sf, tempfile
        >>> from pathlib import Path
        >>> cases = pd.DataFrame({"case": [f"P{row:02}" for row in range(24)], "site": ["A", "B"] * 12})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for team, dsc in (("first", 0.9), ("second", 0.7)):
        ...         cases.assign(dsc=dsc)[["case", "dsc"]].to_csv(Path(folder) / f"{team}.csv", index=False)
        ...     board = sf.rank(folder, metadata=cases, by="dsc", bootstrap=100, permutations=99).board
        >>> board["rank"].to_dict()
        {'first': 1, 'second': 2}
    """
    from segfair.files.finding.patterns import with_pattern
    from segfair.gallery.teams import with_galleries
    from segfair.rank.procedure import rank_scored, run_ranking
    from segfair.rank.team_tables import load_team_scores
    from segfair.rank.teams import load_teams

    with python_terms():
        config = audit_config(options)
        if metadata is None:
            raise ConfigError("metadata: is missing; a ranking takes a table of the patients' attributes")
        if labels is None:
            if pattern is not None or label_pattern is not None:
                raise ConfigError("pattern: is for folders of masks, and these are scores; leave it out")
            scores = load_team_scores(teams, metadata, protocol=config.protocol, **selection(options))
            return TeamRanking.of(rank_scored(scores, config, by=by, over=names_of(over, "over")))
        cohort, found = load_teams(
            teams,
            with_pattern(labels, label_pattern, option="--label-pattern"),
            metadata,
            pattern=pattern,
            **selection(options),
        )
        ranking = run_ranking(cohort, found, config, by=by, over=names_of(over, "over"))
        return TeamRanking.of(with_galleries(ranking, found))
