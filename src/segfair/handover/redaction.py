"""What a text or a level's name tells that may not be handed on: case ids and places on a disk.

Works on texts and on facts; knows no key and decides nothing about counts.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from segfair.audit.result import AttributeFacts, AuditResult, CaseScores, PlanDifference, PlanFacts
from segfair.audit.words import item_name
from segfair.subgroups.lattice import Item, Subgroup

__all__ = [
    "NO_PLACE",
    "CaseIds",
    "ids_of",
    "levels_with_ids",
    "plan_without_texts",
    "rename_each",
    "rename_levels",
    "rewrite",
    "without_places",
]

NO_PLACE = "[path left out]"
_QUOTING = ("where", "cases", "join", "bins", "gate")
"""Settings whose values are texts about cases, values and levels."""
_LEFT_OUT = ("[left out]", "[left out]")
_SHORTEST_ID = 4
"""Shorter ids ("1", "F", "P02") are too often something else: a grade, a version, a sex."""

_ADDRESS = r"https?://\S+"
# From the start of a place to the end of its clause: folders may bear blanks, so that a name could follow one.
_PLACE = (
    r"(?:"
    r"[A-Za-z][A-Za-z0-9+.-]*://"  # file://, smb://, s3:// (web addresses are matched before)
    r"|(?<![A-Za-z0-9])[A-Za-z]:[\\/]"  # C:\ and C:/
    r"|\\{2,}[^\s\\]"  # \\server\share and \\?\C:\
    r"|%[A-Za-z_]+%[\\/]|\$\{?[A-Za-z_]+\}?[\\/]"  # %USERPROFILE%\ and $HOME/
    r"|(?<![\w~/])~[\w.-]*[\\/]"  # ~/ and ~alice/
    r"|(?<![\w/.)\]}%])/(?!\d+(?:[\s.,;)]|$))[\w.~@$%+-]"  # /data, but neither 1/2 nor mm/s nor a / b
    r"|(?<!\w)(?:home|Users|Documents and Settings)[\\/][^\s\\/]+[\\/]"
    r")"
    r"[^,;\n\"'<>|()\[\]{}]*"
)
_ADDRESS_OR_PLACE = re.compile(f"({_ADDRESS})|{_PLACE}")


def without_places(text: str) -> str:
    """A text in which absolute paths and home folders (Unix, Windows, network) are replaced, each to its clause's end.

    Web addresses stay; fractions, units and words with a slash do as well.
    """

    def replaced(found: re.Match[str]) -> str:
        if found[1]:
            return found[1]
        blank = found[0][len(found[0].rstrip()) :]
        return NO_PLACE + blank

    return _ADDRESS_OR_PLACE.sub(replaced, text)


@dataclass(frozen=True, slots=True)
class CaseIds:
    """Finds case ids within texts, whatever their case.

    Attributes:
        names: Id (casefolded) -> what stands for it.
        pattern: Finds any of them; None: there is none that is long enough to be told from other words.
    """

    names: Mapping[str, str]
    pattern: re.Pattern[str] | None

    @classmethod
    def of(cls, names: Mapping[str, str]) -> CaseIds:
        """Gathers ids.

        Args:
            names: Id -> what stands for it in a text.
        """
        found = {case.casefold(): name for case, name in names.items() if len(case) >= _SHORTEST_ID}
        # Longest first, so that P100-L is not read as P100.
        listed = sorted(found, key=lambda case: (-len(case), case))
        pattern = re.compile("|".join(map(_bounded, listed)), re.IGNORECASE) if listed else None
        return cls(found, pattern)

    def stand_in(self, text: str) -> bool:
        """Whether a text holds an id."""
        return self.pattern is not None and self.pattern.search(text) is not None

    def replaced(self, text: str) -> str:
        """The text with what stands for each id."""
        if self.pattern is None:
            return text
        return self.pattern.sub(lambda found: self.names.get(found[0].casefold(), "[id left out]"), text)


def _bounded(case: str) -> str:
    """An id as a pattern; words end where letters do, ids of letters and digits only where digits do."""
    mixed = any(map(str.isalpha, case)) and any(map(str.isdigit, case))
    left = r"(?<!\d)" if case[0].isdigit() else "" if mixed else r"(?<![^\W_])"
    right = r"(?!\d)" if case[-1].isdigit() else "" if mixed else r"(?![^\W_])"
    return f"{left}{re.escape(case)}{right}"


def ids_of(result: AuditResult) -> tuple[str, ...]:
    """Every case id that an audit knows, in order of first appearance."""
    counts = result.cases.counts
    ids = (*result.cases.scores.column("case"), *counts.penalised, *counts.missing_predictions, *counts.excluded)
    return tuple(dict.fromkeys(map(str, ids)))


def rewrite(value: Any, change: Callable[[str], str]) -> Any:
    """A value of the record with every text in it changed, names of tables and keys included."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {change(str(key)): rewrite(entry, change) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rewrite(entry, change) for entry in value]
    if isinstance(value, int | float) and not isinstance(value, bool) and change(str(value)) != str(value):
        return change(str(value))
    return value


def plan_without_texts(plan: PlanFacts | None) -> PlanFacts | None:
    """What was planned by its hash alone, and what differs without texts that may quote ids, values or paths.

    A condition may name a case that the audit knows nothing of, because it does not count.
    """
    if plan is None:
        return None
    differences = (
        PlanDifference(entry.setting, *_LEFT_OUT) if entry.setting in _QUOTING else entry for entry in plan.differences
    )
    return PlanFacts(plan.digest, {}, tuple(differences))


def levels_with_ids(result: AuditResult, ids: CaseIds) -> tuple[str, ...]:
    """The attributes of which some level's name holds a case id; bins of a number hold none."""
    return tuple(
        name for name, bins in result.attributes.bins.items() if not bins.edges and any(map(ids.stand_in, bins.levels))
    )


def rename_each(levels: Iterable[str], ids: CaseIds) -> dict[str, str]:
    """Level -> the same with pseudonyms; distinct where ids differ by capitals alone."""
    renamed: dict[str, str] = {}
    for level in levels:
        name = ids.replaced(level)
        taken = set(renamed.values())
        renamed[level] = next(
            text for text in (name, *(f"{name} ({count})" for count in range(2, len(taken) + 3))) if text not in taken
        )
    return renamed


def rename_levels(result: AuditResult, names: Mapping[str, Mapping[str, str]]) -> AuditResult:
    """The audit with other names of some levels, wherever they stand.

    Args:
        result: An audit.
        names: Attribute -> every level -> its new name; new names within an attribute are distinct.

    Returns:
        The audit; renamed levels stand in the order of their new names, because that of the old would say which is
        which.
    """
    if not names:
        return result
    of_item: dict[Item, Item] = {
        (attribute, old): (attribute, new) for attribute, levels in names.items() for old, new in levels.items()
    }
    sentence = _sentences(of_item)

    def renamed(attribute: str, level: str) -> Item:
        return of_item.get((attribute, level), (attribute, level))

    def change(value: Any) -> Any:
        """Facts with other items and sentences; a text that is no sentence (a kind, an id) stays."""
        if isinstance(value, Subgroup):
            return Subgroup(frozenset(of_item.get(item, item) for item in value.items))
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            entries = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return dataclasses.replace(
                value,
                **{name: sentence(entry) if name in _SENTENCES else change(entry) for name, entry in entries.items()},
            )
        if isinstance(value, Mapping):
            return {of_item.get(key, key): change(entry) for key, entry in value.items()}
        return tuple(map(change, value)) if isinstance(value, tuple) else value

    return dataclasses.replace(
        result,
        cases=dataclasses.replace(
            result.cases,
            scores=_with_cells(result.cases.scores, names),
            gallery=change(result.cases.gallery),
        ),
        attributes=dataclasses.replace(
            result.attributes,
            facts=tuple(
                _with_levels(entry, names[entry.name]) if entry.name in names else entry
                for entry in result.attributes.facts
            ),
            bins={
                name: dataclasses.replace(bins, levels=tuple(sorted(names[name][old] for old in bins.levels)))
                if name in names
                else bins
                for name, bins in result.attributes.bins.items()
            },
        ),
        scores=dataclasses.replace(
            result.scores,
            definitions=tuple(
                dataclasses.replace(entry, changes=tuple(map(sentence, entry.changes)))
                for entry in result.scores.definitions
            ),
            calibration=change(result.scores.calibration),
            tools=tuple(
                dataclasses.replace(change(entry), changes=tuple(map(sentence, entry.changes)))
                for entry in result.scores.tools
            ),
        ),
        subgroups=dataclasses.replace(
            change(result.subgroups),
            outcomes={
                name: dataclasses.replace(
                    facts,
                    global_divergence=tuple((*renamed(*item), share) for *item, share in facts.global_divergence),
                    notes=tuple(map(sentence, facts.notes)),
                )
                for name, facts in result.subgroups.outcomes.items()
            },
            power=tuple(
                dataclasses.replace(entry, level=renamed(entry.attribute, entry.level)[1])
                for entry in result.subgroups.power
            ),
        ),
        verdict=change(result.verdict),
    )


def _with_cells(rows: CaseScores, names: Mapping[str, Mapping[str, str]]) -> CaseScores:
    of_column = [names.get(column, {}) if column in rows.attributes else {} for column in rows.columns]
    return dataclasses.replace(
        rows,
        rows=tuple(tuple(new.get(cell, cell) for new, cell in zip(of_column, row, strict=True)) for row in rows.rows),
    )


_SENTENCES = ("sentence", "reason", "text", "gate", "what", "why", "inside")
"""Fields that hold sentences, which may quote a level."""


def _with_levels(entry: AttributeFacts, names: Mapping[str, str]) -> AttributeFacts:
    found = entry.disparity
    if found is not None:
        ends = {name: getattr(found, name) for name in ("dsc_low", "dsc_high", "normhd_low", "normhd_high")}
        found = dataclasses.replace(
            found,
            **{name: dataclasses.replace(end, level=names[end.level]) for name, end in ends.items() if end is not None},
        )
    levels = (dataclasses.replace(level, level=names[level.level]) for level in entry.levels)
    return dataclasses.replace(entry, disparity=found, levels=tuple(sorted(levels, key=lambda level: level.level)))


def _sentences(of_item: Mapping[Item, Item]) -> Callable[[str], str]:
    """Replaces levels in sentences, which quote an item as it is, or cleaned and cut, or a bare level."""
    texts: dict[str, str] = {}
    for old, new in of_item.items():
        texts |= {item_name(old): item_name(new), " = ".join(old): " = ".join(new)}
        if len(old[1]) >= _SHORTEST_ID:
            texts |= {old[1]: new[1]}
    listed = sorted(texts, key=lambda text: (-len(text), text))
    pattern = re.compile("|".join(rf"(?<!\w){re.escape(text)}(?!\w)" for text in listed))
    return lambda text: pattern.sub(lambda found: texts[found[0]], text)
