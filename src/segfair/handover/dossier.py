"""An audit against checklists of regulators and journals: item, where it is answered, what is missing and from whom.

Says what was measured and where it stands; never that anything complies. The items and the facts that answer them are
data (`checklists.toml`); what a fact says is decided in `audit_facts`.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from segfair.audit.result import AuditResult
from segfair.documents import read_toml
from segfair.handover.audit_facts import RECORD, fact_of
from segfair.trees import structure, tree_converter

__all__ = ["DISCLAIMER", "Answer", "Checklist", "Dossier", "Item", "Section", "checklists", "dossier"]

Standing = Literal["answered", "partly", "missing"]
DISCLAIMER = (
    "This page says where an audit of one cohort speaks to an item. It does not say that anything complies: whoever "
    "signs decides that, for the intended use at hand. Items are paraphrased; read the source before you rely on one."
)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that a checklist asks for.

    Attributes:
        number: Its number there.
        topic: What it asks for, in words of our own.
        facts: The facts of an audit that answer it.
        who: Who has to supply what is missing.
        remains: What no audit can say; empty: nothing.
    """

    number: str
    topic: str
    facts: tuple[str, ...]
    who: str
    remains: str = ""


@dataclass(frozen=True, slots=True)
class Checklist:
    """A guideline as we read it: which version, and how its items are numbered."""

    key: str
    title: str
    source: str
    version: str
    numbering: str
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the audit says to one item.

    Attributes:
        item: The item.
        standing: Answered: all its facts are there and nothing remains; partly: some are, or something remains; else
            missing.
        told: (place in `audit.json`, what it says) of each fact that is there.
        missing: What has to be supplied; empty where the item is answered.
    """

    item: Item
    standing: Standing
    told: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One checklist with its answers, in its order."""

    checklist: Checklist
    answers: tuple[Answer, ...]

    @property
    def counts(self) -> dict[Standing, int]:
        """Standing -> number of items."""
        found = Counter(answer.standing for answer in self.answers)
        return {"answered": found["answered"], "partly": found["partly"], "missing": found["missing"]}


@dataclass(frozen=True, slots=True)
class Dossier:
    """An audit against all checklists."""

    sections: tuple[Section, ...]
    shared: bool

    def records(self) -> list[dict[str, Any]]:
        """One row an item."""
        return [
            {
                "checklist": section.checklist.key,
                "item": answer.item.number,
                "topic": answer.item.topic,
                "standing": answer.standing,
                "where": "; ".join(dict.fromkeys(place for place, _ in answer.told)),
                "what": "; ".join(text for _, text in answer.told),
                "missing": "; ".join(answer.missing),
                "who": answer.item.who if answer.missing else "",
            }
            for section in self.sections
            for answer in section.answers
        ]

    def to_dict(self) -> dict[str, Any]:
        """The contents of `dossier.json`."""
        return {
            "format": 1,
            "about": DISCLAIMER,
            "checklists": [
                {
                    "key": section.checklist.key,
                    "title": section.checklist.title,
                    "source": section.checklist.source,
                    "version": section.checklist.version,
                    "numbering": section.checklist.numbering,
                    "counts": section.counts,
                    "items": [
                        {
                            "number": answer.item.number,
                            "topic": answer.item.topic,
                            "standing": answer.standing,
                            "told": [{"place": place, "text": text} for place, text in answer.told],
                            "missing": list(answer.missing),
                            "who": answer.item.who if answer.missing else "",
                        }
                        for answer in section.answers
                    ],
                }
                for section in self.sections
            ],
        }


@dataclass(frozen=True, slots=True)
class _File:
    checklists: tuple[Checklist, ...]


@functools.cache
def checklists() -> tuple[Checklist, ...]:
    """The checklists, from the file that holds them."""
    tree: Mapping[str, Any] = read_toml(Path(__file__).with_name("checklists.toml"))
    return structure(tree_converter(), tree, _File, source="checklists.toml").checklists


def dossier(result: AuditResult) -> Dossier:
    """Holds an audit against every checklist.

    Args:
        result: The audit; one that was made to be shared answers with what is left in it.
    """
    return Dossier(
        tuple(
            Section(checklist, tuple(_answer(item, result) for item in checklist.items)) for checklist in checklists()
        ),
        result.about.shared,
    )


def _answer(item: Item, result: AuditResult) -> Answer:
    told, missing, unwritten = [], [], []
    for name in item.facts:
        fact = fact_of(name)
        text = fact.tell(result)
        if text:
            told.append((fact.place, text))
        elif name.startswith(RECORD):
            unwritten.append(name.removeprefix(RECORD))
        else:
            missing.append(fact.remedy)
    missing += [f"in the record of the study: {', '.join(unwritten)}"] if unwritten else []
    missing += [item.remains] if item.remains else []
    standing: Standing = "missing" if not told else "partly" if missing else "answered"
    return Answer(item, standing, tuple(told), tuple(missing))
