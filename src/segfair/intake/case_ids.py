"""Which row of a table belongs to which case: the column of ids is found by its values, and never guessed.

Ids match as text; more loosely only where that cannot be mistaken, and every loose way is told. A running row number
is no id while another column matches anything, and two columns that pair the same cases differently are an error.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from segfair.errors import MetadataError, close_names, some
from segfair.files import column_names
from segfair.files.cells import cell_text, of_each, parse_number
from segfair.files.spellings import (
    AS_FILE,
    AS_LETTERS,
    AS_NUMBER,
    AS_PATIENT,
    AS_TEXT,
    FILE,
    LETTERS,
    TEXT,
    Ids,
    Rung,
    Spellings,
    by_number,
    pair_patients,
    pair_spellings,
)
from segfair.files.tables import Columns

__all__ = [
    "ColumnMatch",
    "IdMatch",
    "Matches",
    "best_match",
    "differing_columns",
    "find_id_column",
    "is_row_number",
    "match_column",
    "match_ids",
    "row_key",
]

# What programs call the number of a row: pandas, R, spreadsheets; a nameless column is `column 1` here.
_ROW_NUMBER_NAME = re.compile(
    r"(unnamed: \d+(\.\d+)*|level_\d+|column \d+|index|idx|row(s|[ _]?(id|index|idx|no|nr|num|number|names?))?"
    r"|rownames|no\.?|nr\.?|num|number|#|n|x|lfd\.? ?nr\.?|)",
    re.IGNORECASE,
)
# What tells the rows of a case apart in a long table.
_ROW_KEY_NAME = re.compile(
    r"labels?|class(es)?|regions?|structures?|organs?|roi|tissue|folds?|seeds?|runs?|metrics?|models?|rater|reader"
    r"|label[_ ]?(id|name|value)|class[_ ]?(id|name)|variable|(lesion|instance|component|nodule)s?([_ ]?(id|nr|no))?"
    r"|methods?|algorithms?|networks?|teams?|(model|method)[_ ]?(id|name)",
    re.IGNORECASE,
)
_MOSTLY = 0.5
"""A column that pairs a smaller share of the cases than this, and of its own rows, is no column of ids by number."""
_WAYS = {
    AS_TEXT: "text",
    AS_LETTERS: "letter case",
    AS_FILE: "file name",
    AS_NUMBER: "number",
    AS_PATIENT: "patient",
}
"""How an id can be found, the strictest way first -> what the counts call it."""
_TEXTUAL = (TEXT, LETTERS, FILE)


@dataclass(frozen=True, slots=True)
class Matches:
    """Which values belong to which case.

    Attributes:
        rows: Case id -> positions of its values, in order; cases without one are left out.
        how: Case id -> how its value was found (`AS_TEXT` and so on).
        loose: Case id -> its value, where the two are spelt differently.
        ambiguous: Case id -> values that could belong to it, or to another case, or are several: none is taken.
    """

    rows: Mapping[str, tuple[int, ...]]
    how: Mapping[str, str]
    loose: Mapping[str, str]
    ambiguous: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class IdMatch:
    """The column of case ids in a table.

    Attributes:
        column: Its name.
        rows: Case id -> its row; cases without one are left out.
        ambiguous: See `Matches`.
        explanation: How the cases were joined, in one sentence.
        counts: How -> number of cases, and "unused" -> rows of the table that belong to no case.
        several: Columns that differ between the rows of one case, where the table has several rows a case; they
            tell nothing about it.
        is_patient: Whether a row serves several cases, so that the column names patients.
        notices: Sentences for the reader, the explanation first.
    """

    column: str
    rows: Mapping[str, int]
    ambiguous: Mapping[str, tuple[str, ...]]
    explanation: str
    counts: Mapping[str, int]
    several: tuple[str, ...] = ()
    is_patient: bool = False
    notices: tuple[str, ...] = ()


def match_ids(case_ids: Sequence[str], values: Iterable[object]) -> Matches:
    """Finds the values that spell case ids.

    Ids match as text without white space around it. What finds no partner so may match in another letter case
    (`DUKE_001`, `duke_001`), as a file name or path (`/data/P1.nii.gz`), or by number (`0012`, `12`, `12.0`,
    `sub-12`), if just one case and just one spelling among the values come into question.

    Args:
        case_ids: The cases, each once.
        values: Cells of a table; empty ones match nothing.
    """
    positions = _positions(values)
    return _matches(positions, pair_spellings(tuple(case_ids), positions, (*_TEXTUAL, by_number(case_ids))))


def find_id_column(
    cells: Columns, case_ids: Sequence[str], *, wanted: str | None = None, name: str = "the metadata"
) -> IdMatch:
    """The column that holds the case ids, and the row of each case.

    Columns that hold ids as text come before those that hold them as numbers, and these before those that name the
    patient of several studies. Among equals the one with more cases wins, then the one with more equal spellings, then
    the leftmost.

    Args:
        cells: Column -> its cells, best as written.
        case_ids: The cases, each once.
        wanted: The column to use; None: the best.
        name: What the table is called in messages.

    Raises:
        MetadataError: No such column, none that holds a case id, two that pair the cases differently, or a case with
            rows that contradict each other.
    """
    columns = list(cells)
    if wanted is not None and wanted not in columns:
        raise MetadataError(
            f"id column {wanted}: not in {name}{close_names(wanted, columns)}; columns are {some(columns, 20)}"
        )
    if wanted is not None:
        match: ColumnMatch | None = _match_column(cells, wanted, case_ids)
    else:
        contenders = _contenders(cells, case_ids)
        match = best_match(contenders)
        _refuse_rivals(contenders, cells, name)
        if match is not None:
            _refuse_shifted(match, cells, case_ids, name)
    if match is None or not match.matches.rows:
        raise MetadataError(_no_match(cells, case_ids, wanted, match.matches if match else None, name))
    return _described(cells, match, case_ids, name)


def _refuse_shifted(match: ColumnMatch, cells: Columns, case_ids: Sequence[str], name: str) -> None:
    """Refuses ids and cases that are counted from 0 on one side and from 1 on the other: nearly all would pair wrongly.

    Raises:
        MetadataError: Cases are without a row, and with a difference of one no case would be.
    """
    without = [case for case in case_ids if case not in match.matches.rows]
    if not without:
        return
    values = [cell_text(value) for value in cells[match.column]]
    numbers, known = [parse_number(case) for case in case_ids], {parse_number(value) for value in values}
    if None in numbers:
        return
    for shift, start in ((1, "one"), (-1, "zero")):
        if all(number + shift in known for number in numbers if number is not None):
            raise MetadataError(
                f"{name}: {match.column} holds {len(match.matches.rows)} of {len(case_ids)} case ids as they are, and "
                f"all of them where it counts from {start} (case {without[0]} has no row as it is); number both alike, "
                f"or say --id-column {match.column} if they are meant as they are"
            )


def is_row_number(name: str, values: Sequence[object]) -> bool:
    """Whether a column is the running number of its rows, by its name (or none) and its values: 0, 1, 2, or 1, 2, 3."""
    return _ROW_NUMBER_NAME.fullmatch(name.strip()) is not None and _runs(values) is not None


@dataclass(frozen=True, slots=True)
class ColumnMatch:
    """One column as ids of the cases.

    Attributes:
        column: Its name.
        matches: What it matches.
        level: Index of the loosest way that the search for a column had come to when this one was found.
        clear: Whether no case has rows that contradict each other.
    """

    column: str
    matches: Matches
    level: int
    clear: bool

    @property
    def n_text(self) -> int:
        """Number of cases whose id stands in the column just so."""
        return sum(way == AS_TEXT for way in self.matches.how.values())

    @property
    def is_text(self) -> bool:
        """Whether any does."""
        return self.n_text > 0

    @property
    def quality(self) -> tuple[int, bool, bool, int, int]:
        """Sort key: the higher, the likelier a column of ids."""
        return (-self.level, self.clear, self.is_text, len(self.matches.rows), self.n_text)


def match_column(cells: Columns, case_ids: Sequence[str]) -> ColumnMatch | None:
    """The column of a table that is likeliest to hold some ids; None where none does."""
    return best_match(_contenders(cells, case_ids))


def best_match(found: Iterable[ColumnMatch]) -> ColumnMatch | None:
    """The likeliest of some columns, the leftmost of equals; None of none."""
    return max(found, key=lambda match: match.quality, default=None)


def _contenders(cells: Columns, case_ids: Sequence[str]) -> list[ColumnMatch]:
    """The columns that may hold the ids, all of them alike in how."""
    columns = list(cells)
    numbering = [column for column in columns if is_row_number(column, cells[column])]
    # An age of 20 is not the patient P020, however many of them pair so.
    others = [column for column in columns if column not in numbering and not column_names.is_no_id(column)]
    contradicting: list[ColumnMatch] = []
    few: list[ColumnMatch] = []
    sought = _Sought(Ids(tuple(case_ids)), by_number(case_ids))
    for level in range(3):
        found = [match for column in others if (match := _at_level(cells, column, sought, level)) is not None]
        many = [match for match in found if _mostly(match.matches, case_ids, cells[match.column])]
        good = [match for match in many if match.clear]
        if good:
            return good
        contradicting += many
        few += [match for match in found if match.clear and level == 0]
    if contradicting or few:
        return contradicting or few
    return [match for column in numbering if (match := _at_level(cells, column, sought, 0)) is not None]


@dataclass(frozen=True, slots=True)
class _Sought:
    """The ids that are sought in each column, and the rung on which they pair by number."""

    ids: Ids
    number: Rung


def _at_level(cells: Columns, column: str, sought: _Sought, level: int) -> ColumnMatch | None:
    """The column as ids as text (0), by number (1) or of patients (2); None where it matches nothing."""
    values = cells[column]
    texts = dict.fromkeys(text for text in of_each(cell_text, values) if text)
    if level == 2:
        spellings = pair_patients(sought.ids.names, texts)
    elif level == 1:
        spellings = _by_number(values, texts, sought)
    else:
        spellings = pair_spellings(sought.ids, texts, _TEXTUAL)
        if spellings.partner:  # what is left of a column of ids may be spelt as numbers
            spellings = _by_number(values, texts, sought)
    if not spellings.partner:
        return None
    matches = _matches(_positions(values), spellings)
    return ColumnMatch(column, matches, level, not _conflicts(cells, matches))


def _by_number(values: Sequence[object], texts: Iterable[str], sought: _Sought) -> Spellings:
    """Ids by number; a count from 0 up is a row number, whatever it is called, unless the ids are bare numbers."""
    if _runs(values) == 0 and any(parse_number(case) is None for case in sought.ids.names):
        return Spellings({})
    return pair_spellings(sought.ids, texts, (*_TEXTUAL, sought.number))


def _mostly(matches: Matches, case_ids: Sequence[str], values: Sequence[object]) -> bool:
    """Whether a column pairs at least half of the cases, or of its own values."""
    if len(matches.rows) >= _MOSTLY * len(case_ids):
        return True
    n_values = len({text for value in values if (text := cell_text(value))})
    return len({rows[0] for rows in matches.rows.values()}) >= _MOSTLY * n_values


def _refuse_rivals(found: Sequence[ColumnMatch], cells: Columns, name: str) -> None:
    """Two columns that pair the cases with different rows are for the user to choose from."""
    clear = [match for match in found if match.clear]
    best = best_match(clear)
    if best is None:
        return
    ours = best.matches.rows
    for other in clear:
        theirs = other.matches.rows
        differ = [case for case in ours if case in theirs and not set(ours[case]) & set(theirs[case])]
        if not differ or len(theirs) < _MOSTLY * len(ours) or best.is_text != other.is_text:
            continue
        examples = [
            f"{case} is row {ours[case][0] + 1} by {best.column} and row {theirs[case][0] + 1} by {other.column}"
            for case in differ
        ]
        raise MetadataError(
            f"{name}: two columns pair the cases with different rows: {best.column} ({len(ours)} cases) and"
            f" {other.column} ({len(theirs)} cases) differ for {len(differ)}: {'; '.join(examples[:3])}. Say which one"
            f" holds the case ids: --id-column {best.column} or --id-column {other.column}"
        )


def _match_column(cells: Columns, column: str, case_ids: Sequence[str]) -> ColumnMatch:
    """A column that was named: every way is tried, the strictest first."""
    positions = _positions(cells[column])
    spellings = pair_spellings(tuple(case_ids), positions, (*_TEXTUAL, by_number(case_ids)))
    level = 0
    if not spellings.partner and (of_patients := pair_patients(case_ids, positions)).partner:
        spellings, level = of_patients, 2
    matches = _matches(positions, spellings)
    return ColumnMatch(column, matches, level, not _conflicts(cells, matches))


def _described(cells: Columns, match: ColumnMatch, case_ids: Sequence[str], name: str) -> IdMatch:
    """The row of each case, and what has to be told about how it was found."""
    column, matches = match.column, match.matches
    rows, merged, several, key = _one_row_each(cells, matches, column, name)
    by_name = _rows_by_name(cells, matches, key)
    if by_name:
        rows, several = by_name, ()
    used = set(rows.values()) if by_name else {row for found in matches.rows.values() for row in found}
    n_unused = len(cells[column]) - len(used)
    counts = Counter(matches.how.values())
    ways = [f"{counts[way]:,} {way}" for way in _WAYS if counts[way]]
    n_first, first = ways[0].split(" ", 1)
    joined = f"{n_first} joined by {column}{'' if first == AS_TEXT else ','} {first}"
    unused = f"{n_unused:,} {'row' if n_unused == 1 else 'rows'} unused"
    explanation = f"{name}: {', '.join([joined, *ways[1:], unused])}"
    notices = [explanation]
    for way in list(_WAYS)[1:]:
        pairs = [f"{case} = {matches.loose[case]}" for case, found in matches.how.items() if found == way]
        if pairs:
            notices.append(f"ids of {name} found {way}: {len(pairs):,} ({some(pairs)})")
    if matches.ambiguous:
        pairs = [f"{case} ({', '.join(values)})" for case, values in matches.ambiguous.items()]
        notices.append(
            f"ids that could mean several rows or cases, not matched: {len(matches.ambiguous):,} ({some(pairs)})"
        )
    if merged:
        notices.append(f"cases whose row {name} repeats without a difference: {len(merged):,} ({some(merged)})")
    if by_name:
        notices.append(f"rows of {name} found by {column} and {key}, which the ids of the cases name both")
    elif key:
        notices.append(
            f"{name} has several rows a case, told apart by {key}; {some(several, 10)} differ between them and are no"
            " attributes of a case"
        )
    texts = cells[column]
    n_patients = len({cell_text(texts[row]) for row in rows.values()} if by_name else set(rows.values()))
    is_patient = n_patients < len(rows)
    if is_patient and not by_name:
        notices.append(
            f"one row of {name} serves all studies of a patient: {len(rows):,} cases of {n_patients:,} patients, who"
            f" are told apart by {column}"
        )
    tallied = {key: counts[way] for way, key in _WAYS.items() if counts[way]} | {"unused": n_unused}
    return IdMatch(column, rows, matches.ambiguous, explanation, tallied, several, is_patient, tuple(notices))


def _rows_by_name(cells: Columns, matches: Matches, key: str) -> dict[str, int]:
    """The row of each case where its id names what tells the rows apart: `sub-01_ses-2` and `ses-2` (or `2`).

    Empty unless that finds just one row for every case.
    """
    if not key:
        return {}
    texts = [cell_text(value).casefold() for value in cells[key]]
    found: dict[str, int] = {}
    for case, rows in matches.rows.items():
        # The first part is the patient's.
        parts = re.split(r"[_. ]+", case.casefold())[1:]
        names = {*parts, *(part.rpartition("-")[2] for part in parts)}
        named = [row for row in rows if texts[row] in names]
        if len(named) != 1:
            return {}
        found[case] = named[0]
    return found


def _positions(values: Iterable[object]) -> dict[str, list[int]]:
    positions: dict[str, list[int]] = {}
    for index, text in enumerate(of_each(cell_text, values)):
        if text:
            positions.setdefault(text, []).append(index)
    return positions


def _matches(positions: Mapping[str, Sequence[int]], spellings: Spellings) -> Matches:
    return Matches(
        {case: tuple(positions[text]) for case, text in spellings.partner.items()},
        spellings.how,
        {case: text for case, text in spellings.partner.items() if text != case},
        spellings.ambiguous,
    )


def _runs(values: Sequence[object]) -> int | None:
    """Where a run of whole numbers, one more a row, begins if at 0 or 1; None for anything else."""
    first = next((parse_number(text) for value in values if (text := cell_text(value))), None)
    if first not in (0.0, 1.0):
        return None
    numbers = [parse_number(text) for value in values if (text := cell_text(value))]
    start = int(first)
    if len(numbers) < 2:
        return None
    return start if numbers == [float(start + index) for index in range(len(numbers))] else None


def _conflicts(cells: Columns, matches: Matches) -> dict[str, list[str]]:
    """Case -> columns in which its rows contradict each other, where no column tells the rows apart."""
    differing = differing_columns(cells, matches.rows)
    return {} if row_key(cells, matches.rows, differing) else differing


def differing_columns(cells: Columns, rows_of: Mapping[str, Sequence[int]]) -> dict[str, list[str]]:
    """Case -> columns in which its rows differ, for cases with several rows that do."""
    repeated = {case: list(rows) for case, rows in rows_of.items() if len(rows) > 1}
    if not repeated:
        return {}
    texts_of = {column: [cell_text(value) for value in values] for column, values in cells.items()}
    found = {
        case: [column for column, texts in texts_of.items() if len({texts[row] for row in rows}) > 1]
        for case, rows in repeated.items()
    }
    return {case: columns for case, columns in found.items() if columns}


def row_key(cells: Columns, rows_of: Mapping[str, Sequence[int]], differing: Mapping[str, Sequence[str]]) -> str:
    """The column that tells the rows of one case apart in a long table (label, fold); empty where there is none.

    It has few values (or a name that says so), a different one in each row of a case, and most cases have several rows:
    two rows of one patient in an otherwise wide table are a contradiction, not a layout.
    """
    repeated = {case: rows for case, rows in rows_of.items() if len(rows) > 1}
    if not differing or len(repeated) < _MOSTLY * len(rows_of):
        return ""
    for column in dict.fromkeys(column for columns in differing.values() for column in columns):
        texts = [cell_text(value) for value in cells[column]]
        kinds = {texts[row] for rows in repeated.values() for row in rows}
        distinct = all(
            len({texts[row] for row in rows}) == len(rows) and all(texts[row] for row in rows)
            for rows in repeated.values()
        )
        few = len(kinds) <= max(2 * max(map(len, repeated.values())), 3) and len(kinds) < len(repeated)
        if distinct and (few or _ROW_KEY_NAME.fullmatch(column.strip())):
            return column
    return ""


def _one_row_each(
    cells: Columns, matches: Matches, column: str, name: str
) -> tuple[dict[str, int], list[str], tuple[str, ...], str]:
    """The row of each case; cases whose row is repeated; columns that differ between rows of a case, and their key."""
    differing = differing_columns(cells, matches.rows)
    key = row_key(cells, matches.rows, differing)
    if differing and not key:
        case, different = next(iter(differing.items()))
        raise MetadataError(
            f"{name}: rows of one id in column {column} contradict each other, in {len(differing)} of"
            f" {len(matches.rows)} cases: {some(differing, 5)}; those of {case} differ in {some(different)}."
            " Keep one row a case, or name a column that tells the rows apart with --id-column"
        )
    merged = [case for case, rows in matches.rows.items() if len(rows) > 1 and case not in differing]
    several = tuple(other for other in cells if any(other in columns for columns in differing.values()))
    return {case: rows[0] for case, rows in matches.rows.items()}, merged, several, key


def _no_match(cells: Columns, case_ids: Sequence[str], wanted: str | None, matches: Matches | None, name: str) -> str:
    if wanted and matches and matches.ambiguous:
        case, values = next(iter(matches.ambiguous.items()))
        return f"{name}: {', '.join(values)} in column {wanted} could be {case} or another case; spell ids alike"
    # Text columns first: there the ids are likelier.
    texts = {column: [text for value in values if (text := cell_text(value))] for column, values in cells.items()}
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
