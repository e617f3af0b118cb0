"""What changed from one audit to another: facts only, and their `comparison.json`.

Computes nothing and draws nothing; `segfair.compare.procedure` fills it in.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from segfair.audit.result.cases import Direction
from segfair.audit.words import clean, format_number, plural, shorten, subgroup_name
from segfair.files.placing import write_json
from segfair.subgroups.lattice import Better, Estimate, Item
from segfair.subgroups.search import Search

__all__ = [
    "FORMAT",
    "AttributeChange",
    "Change",
    "ChangeFinding",
    "Comparison",
    "Side",
    "Standing",
    "SubgroupChange",
    "Verdict",
]

FORMAT = 1
Interval = tuple[float, float]
Standing = Literal["harmed", "gained", "no change shown", "too few cases"]
VerdictKind = Literal[
    "nothing changed", "harm found", "levelling down", "gains and harm found", "gain found", "no change shown"
]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two audits.

    Attributes:
        name: What the comparison calls it.
        n_scored, n_penalised, n_excluded: Its cases, whether paired or not.
        inputs: Role -> path that it was made from.
    """

    name: str
    n_scored: int
    n_penalised: int
    n_excluded: int
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """One number before and after, over the same cases.

    Attributes:
        before, after: Its values; None where undefined.
        difference: After minus before.
        ci: 95 % interval of the difference, cases (or patients) resampled in pairs.
        p_value: If nothing had changed, how often so large a difference (either way) would be seen.
        p_adjusted: The same over all metrics together (max-T); None for FS and TS, which are tested alone.
        better: Whether higher or lower values are better, or "neither".
        n: Cases with a value in both audits.
    """

    before: float | None
    after: float | None
    difference: float | None
    ci: Interval | None
    p_value: float | None
    p_adjusted: float | None
    better: Direction
    n: int


@dataclass(frozen=True, slots=True)
class SubgroupChange:
    """How one subgroup fared on one outcome.

    Attributes:
        items: Who.
        n: Paired cases.
        before, after, difference: Means.
        difference_shrunk: The difference pulled toward that of all cases as far as chance explains it; the ranking.
        ci: Pointwise 95 % interval of the difference; `ci_simultaneous` holds for all subgroups together.
        p_value, p_adjusted: Sign-flipping p, alone and over all subgroups (step-down max-T).
        significant: Whether `p_adjusted` is at most the level; None where the subgroup is too small to be tested.
        standing: What may be concluded.
        redundant: Whether one item less changed nearly as much.
    """

    items: Mapping[str, str]
    n: int
    before: float
    after: float
    difference: float
    difference_shrunk: float
    ci: Interval | None
    ci_simultaneous: Interval | None
    p_value: float | None
    p_adjusted: float | None
    significant: bool | None
    standing: Standing
    redundant: bool

    @property
    def pairs(self) -> tuple[Item, ...]:
        """The items in a fixed order."""
        return tuple(sorted(self.items.items()))

    @property
    def name(self) -> str:
        """Readable name such as `age_group = 41-50, breast_density = d`."""
        return ", ".join(f"{attribute} = {level}" for attribute, level in self.pairs) or "all cases"


@dataclass(frozen=True, slots=True)
class AttributeChange:
    """How the gap between an attribute's levels changed on the primary outcome.

    Attributes:
        name: The attribute.
        before, after, difference: Largest minus smallest mean of the levels that are large enough; None below two.
        ci: 95 % interval of the difference.
        worst_before, worst_after: The level served worst; empty below two.
        levelling_down: Whether the gap closed beyond chance, better served levels were harmed, and the one served
            worst is not shown to have gained.
        levels: Every level with a case, in display order.
    """

    name: str
    before: float | None
    after: float | None
    difference: float | None
    ci: Interval | None
    worst_before: str
    worst_after: str
    levelling_down: bool
    levels: tuple[SubgroupChange, ...]

    @property
    def lost(self) -> tuple[str, ...]:
        """The harmed levels that were not served worst."""
        harmed = (level.items[self.name] for level in self.levels if level.standing == "harmed")
        return tuple(level for level in harmed if level != self.worst_before)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer in a few words and one sentence."""

    kind: VerdictKind
    sentence: str


@dataclass(frozen=True, slots=True)
class ChangeFinding:
    """A subgroup whose scores changed otherwise than everybody else's, beyond chance.

    Attributes:
        items: Attribute -> level.
        estimate: Change of its mean minus that of everybody else; of a second or later finding within what was found
            before.
        explains: The subgroups that changed otherwise for its sake, itself among them.
        inside: Whether a part of it changed otherwise still.
        share: Of resampled cohorts, those in which it would have been named.
        nested_in: Attribute -> level that it does not name and all of its cases have.
    """

    items: Mapping[str, str]
    estimate: Estimate
    explains: tuple[Mapping[str, str], ...]
    inside: str
    share: float
    nested_in: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed from one audit to another.

    Attributes:
        before, after: The two audits.
        outcome, better: Primary outcome and its direction.
        n_paired: Cases in both; `only_before` and `only_after` are in one of them.
        verdict: The answer.
        metrics: Metric -> change of its mean.
        scores: "PS", "FS", "TS" -> change; empty where DSC and NormHD are not both known for every case.
        attributes: Per attribute, how the gap between its levels changed.
        subgroups: Outcome -> subgroups, most harmed first; the primary outcome comes first, others are exploratory.
        primary: Levels of the attributes fixed beforehand, a family of tests of their own; most harmed first.
        findings: Where the primary outcome changed otherwise than for everybody else, most harmful first.
        method: How changes were tested, in words.
        search: Which subgroups were looked for.
        settings: The settings that held: those of the first audit.
        notices: For the reader.
        versions: Package -> version, of the first audit.
    """

    before: Side
    after: Side
    outcome: str
    better: Better
    n_paired: int
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    verdict: Verdict
    metrics: Mapping[str, Change]
    scores: Mapping[str, Change]
    attributes: tuple[AttributeChange, ...]
    subgroups: Mapping[str, tuple[SubgroupChange, ...]]
    primary: tuple[SubgroupChange, ...] = ()
    findings: tuple[ChangeFinding, ...] = ()
    method: str = ""
    search: Search | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def harmed(self) -> tuple[SubgroupChange, ...]:
        """Subgroups shown to have lost on the primary outcome, most harmed first."""
        return tuple(change for change in self.subgroups[self.outcome] if change.standing == "harmed")

    @property
    def gained(self) -> tuple[SubgroupChange, ...]:
        """Subgroups shown to have gained on the primary outcome, the largest gain first."""
        return tuple(change for change in reversed(self.subgroups[self.outcome]) if change.standing == "gained")

    @property
    def levelling_down(self) -> tuple[AttributeChange, ...]:
        """Attributes whose gap closed because better served levels were harmed."""
        return tuple(entry for entry in self.attributes if entry.levelling_down)

    def to_dict(self) -> dict[str, Any]:
        """The contents of `comparison.json`: plain dicts, lists, texts, finite numbers and None."""
        tree: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self), allow_nan=False))
        audits = {"before": tree.pop("before"), "after": tree.pop("after")}
        return {"format": FORMAT, "audits": audits, **tree}

    def __repr__(self) -> str:
        """Six lines: what was compared, the answer, the scores, and who changed most to the worse."""
        lines = [
            f"{type(self).__name__}: {clean(self.before.name)} and {clean(self.after.name)}, "
            f"{plural(self.n_paired, 'case')} in both; {len(self.harmed)} harmed, {len(self.gained)} gained",
            clean(self.verdict.sentence),
            "  ".join(
                f"{name} {format_number(change.before)} to {format_number(change.after)}"
                for name, change in {**self.metrics, **self.scores}.items()
                if name == self.outcome or name in self.scores
            ),
            *(
                f"  {subgroup_name(entry.pairs, length=30)}: n {entry.n:,}, {self.outcome} "
                f"{format_number(entry.before)} to {format_number(entry.after)}, {entry.standing}"
                for entry in self.subgroups[self.outcome][:3]
            ),
        ]
        return "\n".join(shorten(line, 160) for line in lines)

    def save(self, path: str | PathLike[str]) -> None:
        """Writes `comparison.json`."""
        write_json(Path(path), self.to_dict())
