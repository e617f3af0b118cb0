"""Which row of a table belongs to which case: ids match as text, and loosely only where that cannot be mistaken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segfair.binning import cut_text
from segfair.errors import MetadataError
from segfair.intake.where import close_names
from segfair.io.cells import cell_text, loose_id, parse_number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["IdMatch", "Matches", "find_id_column", "match_ids", "some"]


@dataclass(frozen=True, slots=True)
class Matches:
    """Which values belong to which case.

    Attributes:
        rows: Case id -> positions of its values, in order; cases without one are left out.
        loose: Case id -> its value, where the two are spelt differently.
        ambiguous: Case id -> values that could belong to it, or to another case, or are several: none is taken.
    """

    rows: Mapping[str, tuple[int, ...]]
    loose: Mapping[str, str]
    ambiguous: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class IdMatch:
    """The column of case ids in a table.

    Attributes:
        column: Its name.
        rows: Case id -> its row; cases without one are left out.
        ambiguous: See `Matches`.
        notices: Sentences for the reader.
    """

    column: str
    rows: Mapping[str, int]
    ambiguous: Mapping[str, tuple[str, ...]]
    notices: tuple[str, ...]


def match_ids(case_ids: Sequence[str], values: Iterable[object]) -> Matches:
    """Finds the values that spell case ids.

    Ids match as text without white space around it. What finds no partner so may match in spite of case
    (`DUKE_001`, `duke_001`), leading zeros or a decimal `.0` (`0012`, `12`, `12.0`), if just one case and just one
    spelling among the values come into question.

    Args:
        case_ids: The cases, each once.
        values: Cells of a table; empty ones match nothing.
    """
    positions: dict[str, list[int]] = {}
    for index, value in enumerate(values):
        if text := cell_text(value):
            positions.setdefault(text, []).append(index)
    rows = {case: tuple(positions[case]) for case in case_ids if case in positions}
    if len(rows) == len(case_ids):
        return Matches(rows, {}, {})
    cases_by_key: dict[str, list[str]] = {}
    for case in case_ids:
        cases_by_key.setdefault(loose_id(case), []).append(case)
    spellings_by_key: dict[str, list[str]] = {}
    for text in positions:
        spellings_by_key.setdefault(loose_id(text), []).append(text)
    loose: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    for key, cases in cases_by_key.items():
        spellings = spellings_by_key.get(key, [])
        without = [case for case in cases if case not in rows]
        if not without or not spellings:
            continue
        if len(cases) == len(spellings) == 1:
            rows[cases[0]] = tuple(positions[spellings[0]])
            loose[cases[0]] = spellings[0]
        else:
            ambiguous |= {case: tuple(spellings) for case in without}
    return Matches({case: rows[case] for case in case_ids if case in rows}, loose, ambiguous)


def find_id_column(
    frame: pd.DataFrame, case_ids: Sequence[str], *, wanted: str | None = None, name: str = "the metadata"
) -> IdMatch:
    """The column that holds most case ids; on a tie the one with more exact matches, fewer repeats, leftmost.

    Args:
        frame: A table, best with its cells as written.
        case_ids: The cases, each once.
        wanted: The column to use; None: the best.
        name: What the table is called in messages.

    Raises:
        MetadataError: No such column, none that holds a case id, or a case with rows that contradict each other.
    """
    columns = [str(column) for column in frame.columns]
    if wanted is not None and wanted not in columns:
        raise MetadataError(
            f"id column {wanted}: not in {name}{close_names(wanted, columns)}; columns are {some(columns, 20)}"
        )
    found = {column: match_ids(case_ids, frame[column].tolist()) for column in ([wanted] if wanted else columns)}

    def quality(column: str) -> tuple[int, int, int]:
        matches = found[column]
        repeats = sum(len(rows) - 1 for rows in matches.rows.values())
        return len(matches.rows), len(matches.rows) - len(matches.loose), -repeats

    column = max(found, key=quality)
    matches = found[column]
    if not matches.rows:
        raise MetadataError(_no_match(frame, case_ids, column if wanted else None, matches, name))
    rows, merged = _one_row_each(frame, matches, column, name)
    notices = [f"case ids: column {column} of {name}, with {len(rows)} of {len(case_ids)} cases"]
    if matches.loose:
        pairs = some(f"{case} = {value}" for case, value in matches.loose.items())
        notices.append(f"ids spelt differently in {name}, matched: {len(matches.loose)} ({pairs})")
    if matches.ambiguous:
        pairs = some(f"{case} ({', '.join(values)})" for case, values in matches.ambiguous.items())
        notices.append(f"ids that could mean several rows or cases, not matched: {len(matches.ambiguous)} ({pairs})")
    if merged:
        notices.append(f"cases whose row {name} repeats without a difference: {len(merged)} ({some(merged)})")
    n_others = len(frame) - sum(map(len, matches.rows.values()))
    if n_others:
        notices.append(f"rows of {name} that belong to no case: {n_others} of {len(frame)}")
    return IdMatch(column, rows, matches.ambiguous, tuple(notices))


def _one_row_each(frame: pd.DataFrame, matches: Matches, column: str, name: str) -> tuple[dict[str, int], list[str]]:
    """The row of each case, and the cases whose row occurs several times."""
    merged, conflicts = [], {}
    for case, rows in matches.rows.items():
        if len(rows) > 1:
            different = [
                str(other)
                for other in frame.columns
                if len({cell_text(value) for value in frame[other].iloc[list(rows)].tolist()}) > 1
            ]
            if different:
                conflicts[case] = different
            else:
                merged.append(case)
    if conflicts:
        case, different = next(iter(conflicts.items()))
        raise MetadataError(
            f"{name}: rows of one id in column {column} contradict each other, in {len(conflicts)} of"
            f" {len(matches.rows)} cases: {some(conflicts, 5)}; those of {case} differ in {some(different)}."
            " Keep one row a case, or name a column that tells the rows apart with --id-column"
        )
    return {case: rows[0] for case, rows in matches.rows.items()}, merged


def _no_match(frame: pd.DataFrame, case_ids: Sequence[str], wanted: str | None, matches: Matches, name: str) -> str:
    if wanted and matches.ambiguous:
        case, values = next(iter(matches.ambiguous.items()))
        return f"{name}: {', '.join(values)} in column {wanted} could be {case} or another case; spell ids alike"
    # Text columns first: there the ids are likelier.
    texts = {
        str(column): [text for value in frame[column].tolist() if (text := cell_text(value))]
        for column in frame.columns
    }
    by_text = sorted(texts, key=lambda column: not all(map(_is_text, texts[column][:20])))
    examples = [f"{column} ({some(dict.fromkeys(texts[column]))})" for column in ([wanted] if wanted else by_text[:4])]
    where = f"column {wanted}" if wanted else "no column"
    verb = "holds none" if wanted else "holds any"
    return (
        f"{name}: {where} {verb} of the {len(case_ids)} case ids, such as {some(case_ids)}; its values are such as"
        f" {'; '.join(examples)}. Add a column with the file names of the labels without their endings"
        + (", or leave out --id-column" if wanted else "")
    )


def _is_text(text: str) -> bool:
    return parse_number(text) is None


def some(texts: Iterable[object], n_shown: int = 3) -> str:
    """The first few, each cut to a readable length, and how many more there are."""
    listed = [cut_text(str(text)) for text in texts]
    more = len(listed) - n_shown
    return ", ".join(listed[:n_shown]) + (f" and {more} more" if more > 0 else "")
