"""Texts of a column that are taken as one level: `--join "COLUMN: a, b = c"`. Applied to values before they are binned.

Texts are compared as levels are: case and white space do not count.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from segfair.attributes.binning import fold, level_text
from segfair.cases import Cohort
from segfair.errors import ConfigError, MetadataError, close_names, quoted, some
from segfair.files.cells import is_missing, of_each, parse_number

__all__ = ["LevelJoin", "check_joins", "join_levels", "join_values", "joins_of", "parse_join"]

_QUOTED = r'"(?:[^"]|"")*"'
_COLUMN = re.compile(rf'\s*({_QUOTED}|[^":][^:]*?)\s*:')
_TEXT = re.compile(rf'\s*({_QUOTED}|[^\s",=][^,=]*?)\s*(,|=|$)')


@dataclass(frozen=True, slots=True)
class LevelJoin:
    """Texts of a column that become one level; `str` of it is what the option takes."""

    column: str
    texts: tuple[str, ...]
    level: str

    def __str__(self) -> str:
        texts = ", ".join(_quoted(text, ",=") for text in self.texts)
        return f"{_quoted(self.column, ':')}: {texts} = {_quoted(self.level, ',=')}"


def parse_join(text: str) -> LevelJoin:
    """`menopause: pre, "pre (< 6 months)" = pre` as a `LevelJoin`; quotes protect commas, colons and equal signs.

    Raises:
        ConfigError: Anything else.
    """

    def malformed(why: str) -> ConfigError:
        return ConfigError(
            f"--join {quoted(text)}: {why}; expected COLUMN: a, b = c, which makes the level c of the texts a and b; a "
            'name with a comma, a colon or an equal sign stands in double quotes, such as site: "Bonn, Nord" = Bonn'
        )

    column = _COLUMN.match(text)
    if column is None:
        raise malformed("no column before a colon")
    texts: list[str] = []
    place, mark = column.end(), ","
    while mark == ",":
        found = _TEXT.match(text, place)
        if found is None:
            raise malformed(f"no name where {text[place:].strip()[:20]!r} stands")
        texts.append(_unquoted(found[1]))
        place, mark = found.end(), found[2]
    level = _TEXT.match(text, place) if mark == "=" else None
    if level is None:
        raise malformed("no level behind an equal sign")
    if level[2]:
        raise malformed(f"more than one level behind the equal sign ({text[place:].strip()[:40]!r})")
    return LevelJoin(_unquoted(column[1]), tuple(texts), level_text(_unquoted(level[1])))


def _quoted(name: str, marks: str) -> str:
    plain = name == name.strip() and not name.startswith('"') and not set(marks) & set(name)
    return name if plain and name else '"' + name.replace('"', '""') + '"'


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def joins_of(joins: Iterable[LevelJoin]) -> dict[str, dict[str, str]]:
    """Column -> folded text -> the level that it becomes.

    Raises:
        ConfigError: A text would become two levels, or a level of one join is a text of another.
    """
    found: dict[str, dict[str, str]] = {}
    for join in joins:
        levels = found.setdefault(join.column, {})
        for text in join.texts:
            if fold(levels.setdefault(fold(text), join.level)) != fold(join.level):
                raise ConfigError(
                    f"--join {join}: {text!r} becomes {levels[fold(text)]!r} by another --join; name it in one of them"
                )
    for column, levels in found.items():
        for level in levels.values():
            if fold(levels.get(fold(level), level)) != fold(level):
                raise ConfigError(
                    f"--join {column}: {level!r} is the level of one join and becomes {levels[fold(level)]!r} by "
                    "another; name all the texts in one of them"
                )
    return found


def check_joins(cohort: Cohort, joins: Sequence[LevelJoin]) -> None:
    """Refuses joins of what is not there, before anything is scored.

    Raises:
        MetadataError: A column that the metadata lack, or a text that no case has.
        ConfigError: Joins that contradict each other.
    """
    joins_of(joins)
    for join in joins:
        if join.column not in cohort.columns:
            raise MetadataError(
                f"--join {join}: no column {join.column!r} in the metadata{close_names(join.column, cohort.columns)}; "
                f"columns are {some(cohort.columns, 20) or 'none'}"
            )
        known = {fold(value): level_text(value) for value in cohort.column(join.column) if not is_missing(value)}
        for text in join.texts:
            if fold(text) not in known:
                raise MetadataError(
                    f"--join {join}: no case has {text!r} in {join.column}{close_names(text, known.values())}; its "
                    f"values are {some(sorted(known.values()), 20) or 'none'}"
                )


def join_levels(cohort: Cohort, joins: Sequence[LevelJoin]) -> Cohort:
    """The cohort with its texts joined; joining once more changes nothing."""
    levels = joins_of(joins)
    if not levels:
        return cohort
    cases = tuple(
        dataclasses.replace(
            case,
            metadata={
                **case.metadata,
                **{
                    column: join_values([case.metadata[column]], of_column)[0]
                    for column, of_column in levels.items()
                    if column in case.metadata
                },
            },
        )
        for case in cohort
    )
    return dataclasses.replace(cohort, cases=cases)


def join_values(values: Iterable[object], levels: Mapping[str, str]) -> list[object]:
    """Values of a column, those named (folded text -> level) replaced; a level that spells a number is one."""
    if not levels:
        return list(values)
    return of_each(
        lambda value: _value(levels[key]) if not is_missing(value) and (key := fold(value)) in levels else value, values
    )


def _value(level: str) -> object:
    number = parse_number(level)
    return number if number is not None and math.isfinite(number) and level_text(number) == level else level
