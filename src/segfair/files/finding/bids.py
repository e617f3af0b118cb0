"""The tables of a BIDS data set: `participants.tsv`, with what `sessions.tsv` says of each session. Reads no mask.

References:
    Gorgolewski et al. The brain imaging data structure. Scientific Data 3, 160044 (2016). A table of sessions is
    `sub-01/sub-01_sessions.tsv`, or one `sessions.tsv` for all with the column `participant_id`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path

from segfair.files.cells import cell_text
from segfair.files.spellings import number_key
from segfair.files.tables import Table, load_table, records_table

__all__ = ["PARTICIPANTS", "participants_of", "with_sessions"]

PARTICIPANTS = "participants.tsv"
SUBJECT, SESSION = "participant_id", "session_id"
_SUB, _SES = re.compile(r"sub-([^_/]+)"), re.compile(r"ses-([^_/]+)")
_LEVELS = 4
"""Folders that are looked at: derivatives lie in `derivatives/NAME/` of the data set, masks deeper."""

Row = dict[str, object]


def participants_of(place: Path) -> Path | None:
    """The `participants.tsv` of the data set that a folder is, or lies in; None without one."""
    folders = [place, *place.absolute().parents][:_LEVELS]
    return next((folder / PARTICIPANTS for folder in folders if (folder / PARTICIPANTS).is_file()), None)


def with_sessions(participants: Path, case_ids: Collection[str]) -> Table | None:
    """The rows of some cases: what is said of their subject, and what is said of their session.

    A column of both tables has the session's value where there is one.

    Args:
        participants: The table of subjects.
        case_ids: Cases, named by their entities: `sub-01_ses-02_mask`.

    Returns:
        One row a case whose subject or session is known; None where the data set has no table of sessions, or none of
        these cases.

    Raises:
        MetadataError: A table that cannot be read.
    """
    sessions = {key: row for table in _session_tables(participants.parent) for key, row in _by_session(table)}
    if not sessions:
        return None
    subjects = {number_key(_bare(row[SUBJECT])): row for row in _rows(load_table(participants)) if SUBJECT in row}
    records = []
    for case in case_ids:
        subject, session = (match and number_key(match[1]) for match in (_SUB.match(case), _SES.search(case)))
        of_subject, of_session = subjects.get(subject or "", {}), sessions.get((subject or "", session or ""), {})
        if of_subject or of_session:
            known = {name: value for name, value in of_session.items() if value is not None}
            records.append({"case": case, **dict.fromkeys(of_session), **of_subject, **known})
    return records_table(records, name=f"{PARTICIPANTS} with sessions") if records else None


def _session_tables(folder: Path) -> Iterator[tuple[str, Table]]:
    """Each table of sessions and the subject that it is of; "" where it is of all."""
    if (folder / "sessions.tsv").is_file():
        yield "", load_table(folder / "sessions.tsv")
    for path in sorted(folder.glob("sub-*/sub-*_sessions.tsv")):
        yield path.parent.name, load_table(path)


def _by_session(found: tuple[str, Table]) -> Iterator[tuple[tuple[str, str], Row]]:
    owner, table = found
    for row in _rows(table):
        subject = row.get(SUBJECT) or owner
        if subject and row.get(SESSION) is not None:
            yield (number_key(_bare(subject)), number_key(_bare(row[SESSION]))), row


def _rows(table: Table) -> Iterator[Row]:
    for number in range(len(table)):
        yield {column: table.raw[column][number] for column in table.columns}


def _bare(cell: object) -> str:
    """An id without its entity: `sub-01` is `01`."""
    return re.sub(r"^(sub|ses)-", "", cell_text(cell))
