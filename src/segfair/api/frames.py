"""Facts as data frames with named columns, and a frame of scores as the two tables that an audit takes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from segfair.errors import MetadataError, close_names, some
from segfair.files import column_names
from segfair.intake.score_names import read_score_name

if TYPE_CHECKING:
    import pandas as pd

    from segfair.audit.result import AuditResult
    from segfair.compare.result import Comparison
    from segfair.rank.result import Ranking

__all__ = ["board_frame", "change_frame", "finding_frame", "group_frame", "row_names", "split_frame"]

_FINDINGS = ("n", "mean", "rest_mean", "difference", "low", "high", "p_adjusted", "explains", "stability", "declared")
_CHANGES = ("n", "before", "after", "difference", "low", "high", "p_adjusted", "standing")


def split_frame(
    frame: pd.DataFrame, *, scores: Collection[str], id_column: str | None
) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """A frame of scores and attributes as a table of either, and the column of ids in both.

    Ids are in `id_column`; else in the index, where it is no mere numbering; else in the first column that is called
    after ids and tells all rows apart, or after cases (which then have several rows); else each row is a case.

    Args:
        frame: One row a case.
        scores: Columns that are scores whatever they are called; those called after a metric are, too.
        id_column: The column of case ids; None: see above.

    Raises:
        MetadataError: A column that is not there.
    """
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=frame.index.name or "case") if frame.index.nlevels == 1 else frame.reset_index()
        id_column = id_column or str(frame.columns[0])
    columns = [str(column) for column in frame.columns]
    frame = frame.set_axis(columns, axis=1)
    for name in (*scores, *([id_column] if id_column else [])):
        if name not in columns:
            raise MetadataError(
                f"the frame of scores has no column {name!r}{close_names(name, columns)}; there are {some(columns, 20)}"
            )
    id_column = id_column or _id_column(frame, [name for name in columns if name not in scores])
    if id_column is None:
        id_column = next(name for name in ("case", "row", "row of the frame") if name not in columns)
        frame = frame.assign(**{id_column: row_names(len(frame))})
    judged = [name for name in columns if name != id_column and (name in scores or read_score_name(name) is not None)]
    others = [name for name in columns if name not in judged and name != id_column]
    # Several rows of a case are told apart by columns that are no scores.
    found = frame[[id_column, *judged]] if frame[id_column].is_unique else frame
    return found, frame[[id_column, *others]], id_column


def row_names(n_rows: int) -> list[str]:
    """Ids of cases that are known by their rows alone: `row 01`, `row 02` ..."""
    width = len(str(n_rows))
    return [f"row {row:0{width}}" for row in range(1, n_rows + 1)]


def _id_column(frame: pd.DataFrame, columns: Sequence[str]) -> str | None:
    """The column that names cases; one of patients only where each has one row."""
    named = [name for name in columns if _names_cases(name) and not frame[name].isna().any()]
    unique = (name for name in named if frame[name].is_unique)
    return next(unique, None) or next((name for name in named if not column_names.is_subject(name)), None)


def _names_cases(column: str) -> bool:
    return column_names.is_id(column) or column_names.is_patient(column)


def group_frame(result: AuditResult) -> pd.DataFrame:
    """The levels of each attribute: `n`, the mean of each metric, the interval of the primary outcome, failures.

    Returns:
        Rows (attribute, level) in display order; columns `n`, the metrics, `OUTCOME_low` and `OUTCOME_high` (95 %
        interval), and `failure_rate`; empty without an attribute.
    """
    import pandas as pd

    outcome, metrics = result.subgroups.primary_outcome, result.cases.scores.metrics
    rows, index = [], []
    for attribute in result.attributes.facts:
        for level in attribute.levels:
            low, high = level.ci.get(outcome, (None, None))
            index.append((attribute.name, level.level))
            rows.append(
                {
                    "n": level.n,
                    **{name: level.mean.get(name) for name in metrics},
                    f"{outcome}_low": low,
                    f"{outcome}_high": high,
                    "failure_rate": level.failure_rate,
                }
            )
    columns = ["n", *metrics, f"{outcome}_low", f"{outcome}_high", "failure_rate"]
    frame = pd.DataFrame(
        rows, index=pd.MultiIndex.from_tuples(index, names=["attribute", "level"]) if index else None, columns=columns
    )
    return frame.astype({name: "float64" for name in columns if name != "n"}) if index else frame


def finding_frame(result: AuditResult) -> pd.DataFrame:
    """The findings, most harmful first.

    Returns:
        Rows by the name of the subgroup; columns `n`, `mean`, `rest_mean`, `difference` to everybody else with its
        simultaneous 95 % interval (`low`, `high`), `p_adjusted`, how many significant subgroups it `explains` (itself
        among them), `stability` (share of resampled cohorts that name it), and whether it was `declared` beforehand.
    """
    rows, names = [], []
    for finding in result.subgroups.findings:
        row, estimate = result.subgroups.find(finding.items), finding.estimate
        low, high = estimate.ci or (None, None)
        names.append(finding.items.name)
        rows.append(
            (
                estimate.n_cases,
                None if row is None else row.mean,
                None if row is None else row.rest_mean,
                *(estimate.value, low, high, estimate.p_adjusted),
                *(len(finding.explains), finding.stability.share, finding.declared),
            )
        )
    return _frame(rows, names, _FINDINGS)


def change_frame(comparison: Comparison) -> pd.DataFrame:
    """The subgroups of the primary outcome, most harmed first.

    Returns:
        Rows by the name of the subgroup; columns `n`, means `before` and `after`, their `difference` with its
        simultaneous 95 % interval (`low`, `high`), `p_adjusted`, and the `standing` in words.
    """
    changes = comparison.subgroups[comparison.outcome]
    rows = [
        (
            *(entry.n, entry.before, entry.after, entry.difference),
            *(entry.ci_simultaneous or (None, None)),
            *(entry.p_adjusted, entry.standing),
        )
        for entry in changes
    ]
    return _frame(rows, [entry.name for entry in changes], _CHANGES)


def board_frame(ranking: Ranking) -> pd.DataFrame:
    """The teams, best first: rank, score with its interval, the interval of the rank, and how often it is first."""
    rows = []
    for entry in ranking.standings:
        score = entry.scores.get(ranking.by)
        rows.append(
            (
                *(entry.rank, entry.value),
                *((score.ci if score else None) or (None, None)),
                *(*entry.rank_interval, entry.first, entry.n_penalised),
            )
        )
    columns = ("rank", ranking.by, "low", "high", "rank_low", "rank_high", "first", "n_penalised")
    return _frame(rows, [entry.team for entry in ranking.standings], columns, name="team")


def _frame(
    rows: Sequence[Any], names: Sequence[str], columns: Sequence[str], *, name: str = "subgroup"
) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, index=pd.Index(list(names), name=name, dtype="object"), columns=list(columns))
