"""AuditResult -> the audit that may be handed on: no rows of cases, no ids, no paths, no group of a few.

Decides which counts are told; computes no score and writes no file. Everything not named here is left out.

A group of 1 to 4 cases, or of the cases of 1 to 4 subjects, is not told (primary suppression), nor is any other total
that would let it be worked out (complementary suppression). Unknown are the numbers of cases in each joint cell of all
attributes; each count that is told is one linear equation in them. A small group could be solved exactly if its
indicator lies in the span of the told ones. Totals are told one after the other, the most important first, and one that
would put a small group into the span is kept back. Only cells that hold cases span the space: so a small group that
stays outside can change together with other cells that are not empty, even for a reader who knows which cells are.

References:
    Hundepool et al. Statistical Disclosure Control. Wiley 2012, chapter 4 (tables, linear relations).
    Cox. Suppression methodology and statistical disclosure control. JASA 1980.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from segfair.audit.panel import Panel
from segfair.audit.reasons.words import gap_sentence
from segfair.audit.result import (
    Alert,
    AttributeFacts,
    AuditResult,
    CaseCounts,
    Explained,
    Finding,
    LevelFacts,
    Score,
    Scores,
    Stability,
    Subgroups,
    Verdict,
    WorstOff,
)
from segfair.audit.result.record import KNOWN_KEYS
from segfair.audit.result.subgroups import Part, Reasons
from segfair.errors import ConfigError
from segfair.handover.pseudonyms import require_cases, with_alert, without_paths
from segfair.handover.redaction import CaseIds, ids_of, levels_with_ids, plan_without_texts, rename_levels
from segfair.subgroups.lattice import Divergence, Estimate, Item, Subgroup, SubgroupTable
from segfair.subgroups.search import Search

__all__ = ["SMALLEST", "CellTotals", "share"]

SMALLEST = 5
"""Fewest subjects of a group that is told; each case is one where nobody says whose it is."""
_MAX_ITEMS = 4
"""Longest combination that is told; protecting grows with the number of combinations."""
_TOLERANCE = 1e-6
_TOLD_ALERTS = ("penalised", "taught", "excluded", "empty")
_VALUES_COUNTED = re.compile(r" of [\d,]+ values")
_KEPT_BACK = ("approver", "role", "recommendation")
"""Keys of the record that name a person, or may tell of a group that is hidden."""
_HIDDEN_FS = "not shown: it would tell the mean of a group of few cases"


@dataclass(eq=False, slots=True)
class CellTotals:
    """The counts told so far, and whether one more would give a small group away.

    Attributes:
        codes: (n_cells, n_columns) the observed combinations of levels.
        counts: (n_cells,) cases of each.
        subjects: Sparse (n_cells, n_subjects) whether a subject has a case there.
        small: Sparse (n_small, n_cells) indicators of the groups of fewer than `SMALLEST` subjects.
        basis: (n_cells, n_told) orthonormal basis of the span of what was told.
        explained: (n_small,) squared length of each small group's projection on the span.
    """

    codes: NDArray[np.intp]
    counts: NDArray[np.intp]
    subjects: Any
    small: Any
    basis: NDArray[np.float64]
    explained: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        codes: NDArray[np.intp],
        subjects: NDArray[np.intp] | None = None,
        *,
        n_attributes: int,
        max_items: int,
    ) -> CellTotals:
        """Gathers the small groups of a cohort.

        Args:
            codes: (n_cases, n_columns); the first `n_attributes` are attributes, the others say for each outcome
                whether a case has a value.
            subjects: (n_cases,) whose each case is; None: each somebody else's.
            n_attributes: Number of attributes.
            max_items: Longest combination of attributes that is protected; all of them together are as well.
        """
        cells, cell_of, counts = np.unique(codes, axis=0, return_inverse=True, return_counts=True)
        _, whose = np.unique(np.arange(len(codes)) if subjects is None else subjects, return_inverse=True)
        people = scipy.sparse.csr_array((np.ones(len(codes)), (cell_of.ravel(), whose)))
        found = {tuple(group) for group in _small_groups(cells, people, n_attributes, max_items)}
        rows = [row for row, group in enumerate(found) for _ in group]
        columns = [cell for group in found for cell in group]
        small = scipy.sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(found), len(cells)))
        return cls(cells, counts, people, small, np.zeros((len(cells), 0)), np.zeros(len(found)))

    def count_subjects(self, inside: NDArray[np.bool_]) -> int:
        """How many people the cases of some cells are of; a person may have cases in several."""
        return int(np.count_nonzero(inside.astype(np.float64) @ self.subjects))

    def tell(self, inside: NDArray[np.bool_], *, whole: bool = False) -> bool:
        """Tells one more total unless that would give a small group away.

        Args:
            inside: (n_cells,) which cells it counts.
            whole: A total of the whole cohort, which is told in any case.

        Returns:
            Whether it is told.
        """
        if not whole and (self.count_subjects(inside) < SMALLEST or 0 < self.count_subjects(~inside) < SMALLEST):
            return False
        left = inside.astype(np.float64)
        for _ in range(2):  # once more against rounding
            left = left - self.basis @ (self.basis.T @ left)
        length = float(np.linalg.norm(left))
        if length < _TOLERANCE:
            return True
        direction = left / length
        explained = self.explained + np.asarray(self.small @ direction) ** 2
        sizes = np.diff(self.small.indptr)
        if not whole and bool((sizes - explained < _TOLERANCE * sizes).any()):
            return False
        self.basis = np.column_stack([self.basis, direction])
        self.explained = explained
        return True


def _small_groups(cells: NDArray[np.intp], people: Any, n_attributes: int, max_items: int) -> Iterator[tuple[int, ...]]:
    """The cells of each combination of 1 to 4 subjects, and of siblings that have so few together."""
    where_seen, whose = people.nonzero()
    state = range(n_attributes, cells.shape[1])
    subsets = [
        (*chosen, *known)
        for size in range(1, min(max_items, n_attributes) + 1)
        for chosen in itertools.combinations(range(n_attributes), size)
        for known in ((), *((column,) for column in state))
    ]
    for subset in [*subsets, tuple(range(cells.shape[1]))]:
        _, group = np.unique(cells[:, subset], axis=0, return_inverse=True)
        group = group.ravel()
        n_people = people.shape[1]
        sizes = np.bincount(np.unique(group[where_seen] * n_people + whose) // n_people)
        members: list[int] = np.flatnonzero(sizes < SMALLEST).tolist()
        where = {index: tuple(np.flatnonzero(group == index).tolist()) for index in members}
        yield from where.values()
        for left_out in range(len(subset)):
            rest = [column for place, column in enumerate(subset) if place != left_out]
            families: dict[bytes, list[int]] = {}
            for index in members:
                families.setdefault(cells[where[index][0], rest].tobytes(), []).append(index)
            for siblings in families.values():
                if len(siblings) == 1:
                    continue
                together = sorted(cell for index in siblings for cell in where[index])
                if len(set(people[together].nonzero()[1])) < SMALLEST:
                    yield tuple(together)


def share(result: AuditResult) -> AuditResult:
    """What may be handed on of an audit.

    Args:
        result: An audit with its rows of cases, with ids or pseudonyms.

    Returns:
        The audit without rows, ids, paths, failure rates, Shapley shares, and whatever concerns a hidden group.

    Raises:
        ConfigError: The audit was made to be shared already, is too small, is of lesions, or is about an outcome of 0
            and 1 only.
    """
    require_cases(result, "--share")
    binary = _two_valued_outcomes(result)
    tables = {name: table for name, table in result.subgroups.items() if name not in binary}
    universe = _Universe.of(result, tables)
    shown = _tell_levels(result, universe)
    told = _tell_subgroups(result, tables, universe)
    ids = CaseIds.of(dict.fromkeys(ids_of(result), ""))
    shared = without_paths(_told_part(result, tables, shown, told, binary, ids))
    return _without_ids_in_levels(shared, levels_with_ids(result, ids))


def _two_valued_outcomes(result: AuditResult) -> set[str]:
    """The outcomes of 0 and 1 only, whose means tell counts; refuses an audit that leaves nothing to share."""
    rows = result.cases.scores
    if not rows.rows:
        raise ConfigError("--share: this audit.json was made to be shared already; share from the full one")
    n_people = len(set(rows.subjects)) if rows.subjects else len(rows.rows)
    if n_people < SMALLEST:
        raise ConfigError(
            f"--share: {n_people} {_people(result)} are too few to hide anybody among; {SMALLEST} is the least"
        )
    binary = {name for name in rows.metrics if {*rows.column(name)} - {None} <= {0.0, 1.0}}
    outcome = result.subgroups.primary_outcome
    if outcome in binary:
        raise ConfigError(
            f"--share: {outcome} is 0 or 1 for every case, so that a mean tells a count; share the audit of another "
            "outcome"
        )
    return binary


def _people(result: AuditResult) -> str:
    """Who has to be many: subjects, or cases where nobody says whose they are."""
    return "subjects" if result.cases.scores.subjects else "cases"


def _told_part(
    result: AuditResult,
    tables: Mapping[str, SubgroupTable],
    shown: set[Item],
    told: set[tuple[str, frozenset[Item]]],
    binary: set[str],
    ids: CaseIds,
) -> AuditResult:
    """The audit with the levels and subgroups that are told, and nothing that rests on another."""
    facts, blind = _attributes(result, shown, binary)
    outcomes = tuple(name for name in result.about.config.outcomes if name not in binary)
    counts = CaseCounts(result.cases.counts.n_scored, {}, (), {})
    rows = dataclasses.replace(result.cases.scores, rows=(), subjects=())
    return dataclasses.replace(
        result,
        about=dataclasses.replace(
            result.about,
            config=dataclasses.replace(result.about.config, outcomes=outcomes),
            joined=None,
            record=_record(result, ids),
            plan=plan_without_texts(result.about.plan),
            shared=True,
        ),
        cases=dataclasses.replace(result.cases, counts=counts, scores=rows, gallery=None),
        attributes=dataclasses.replace(
            result.attributes,
            facts=facts,
            # "quartiles of 87 values" in a cohort of 90 tells how many have none.
            bins={
                name: dataclasses.replace(bins, binning=_VALUES_COUNTED.sub("", bins.binning))
                for name, bins in result.attributes.bins.items()
            },
            # How many lack a value is the size of the level "missing".
            columns={},
        ),
        scores=_scores(result, shown, n_blind=len(blind)),
        subgroups=_subgroups(result, tables, shown, told),
        verdict=_verdict(result, tables, shown, told),
    )


def _subgroups(
    result: AuditResult,
    tables: Mapping[str, SubgroupTable],
    shown: set[Item],
    told: set[tuple[str, frozenset[Item]]],
) -> Subgroups:
    full = result.subgroups
    complete = full.outcomes[full.primary_outcome].n_cases == len(result.cases.scores.rows)
    return dataclasses.replace(
        full,
        tables={name: _told_rows(table, told) for name, table in tables.items()},
        outcomes={name: dataclasses.replace(full.outcomes[name], global_divergence=()) for name in tables},
        primary_levels=None if full.primary_levels is None else _told_rows(full.primary_levels, told),
        power=tuple(entry for entry in full.power if complete and (entry.attribute, entry.level) in shown),
        second_labels=None,
        raters=None,
        reasons=_reasons(full.reasons, full.primary_outcome, told),
        search=_without_twins(result),
        findings=_findings(result, told),
        worst_off=_worst_off(result, told),
    )


def _without_twins(result: AuditResult) -> Search | None:
    """The search without what tells of small groups: which levels are the same cases, how many are not in a level."""
    if result.subgroups.search is None:
        return None
    left_out = tuple(entry for entry in result.subgroups.search.left_out if entry.what in result.attributes.left_out)
    return dataclasses.replace(result.subgroups.search, left_out=left_out)


@dataclass(frozen=True, slots=True)
class _Universe:
    """The joint cells of a cohort, and where an item or an outcome stands among their columns.

    Attributes:
        totals: The cells; the cohort's own totals are told already.
        items: (attribute, level) -> column and code.
        defined: Outcome -> the column that says whether a case has a value.
    """

    totals: CellTotals
    items: Mapping[Item, tuple[int, int]]
    defined: Mapping[str, int]

    @classmethod
    def of(cls, result: AuditResult, tables: Mapping[str, SubgroupTable]) -> _Universe:
        panel = Panel.of_result(result)
        attributes = panel.attributes.attributes
        items = {
            (attribute.name, level): (index, code)
            for index, attribute in enumerate(attributes)
            for code, level in enumerate(attribute.levels)
        }
        defined = {name: len(attributes) + index for index, name in enumerate(tables)}
        # A case outside of an attribute is a group like any other: the rest of the levels tells how many there are.
        known = [np.isfinite(panel.scores[name]) for name in tables]
        codes = np.array([*panel.attributes.codes, *known], dtype=np.intp).T
        longest = max((len(row.subgroup) for table in tables.values() for row in table), default=2)
        subjects = result.cases.scores.subjects
        totals = CellTotals.of(
            codes,
            np.array(subjects, dtype=np.intp) if subjects else None,
            n_attributes=len(attributes),
            max_items=min(_MAX_ITEMS, max(2, longest)),
        )
        totals.tell(np.ones(len(totals.counts), dtype=bool), whole=True)
        for column in defined.values():
            totals.tell(totals.codes[:, column] == 1, whole=True)
        return cls(totals, items, defined)

    def members(self, items: frozenset[Item]) -> NDArray[np.bool_]:
        """(n_cells,) the cells that have all of some items; none for an item that nobody has."""
        inside = np.ones(len(self.totals.counts), dtype=bool)
        for item in items:
            column, code = self.items.get(item, (0, -2))
            inside &= self.totals.codes[:, column] == code
        return inside


def _tell_levels(result: AuditResult, universe: _Universe) -> set[Item]:
    """Levels that are told; within an attribute the largest first, so that the smallest protects a small one."""
    told = set()
    for entry in result.attributes.facts:
        for level in sorted(entry.levels, key=lambda level: -level.n):
            inside = universe.members(frozenset({(entry.name, level.level)}))
            if int(universe.totals.counts[inside].sum()) == level.n and universe.totals.tell(inside):
                told.add((entry.name, level.level))
    return told


def _tell_subgroups(
    result: AuditResult, tables: Mapping[str, SubgroupTable], universe: _Universe
) -> set[tuple[str, frozenset[Item]]]:
    """(outcome, items) of the subgroups that are told, the family that was fixed beforehand first."""
    totals = universe.totals
    told = set()
    families = (
        [(result.subgroups.primary_outcome, result.subgroups.primary_levels)] if result.subgroups.primary_levels else []
    )
    for name, table in (*families, *tables.items()):
        known = totals.codes[:, universe.defined[name]] == 1
        for row in table or ():
            inside = universe.members(row.subgroup.items) & known
            counted = int(totals.counts[inside].sum()) == row.n and len(row.subgroup) <= _MAX_ITEMS
            n_rest = totals.count_subjects(known & ~inside)
            # What is told of the rest is told of a group as well.
            if counted and (n_rest == 0 or n_rest >= SMALLEST) and totals.tell(inside):
                told.add((name, row.subgroup.items))
    return told


def _told_rows(table: SubgroupTable, told: set[tuple[str, frozenset[Item]]]) -> SubgroupTable:
    rows = tuple(_plain(row) for row in table if (table.outcome, row.subgroup.items) in told)
    return dataclasses.replace(table, rows=rows)


def _plain(row: Divergence) -> Divergence:
    # Aliases tell that two groups are the same cases; Shapley shares are sums over groups that may be hidden.
    estimate = None if row.estimate is None else _without_subjects(row.estimate)
    return dataclasses.replace(row, aliases=(), shapley={}, estimate=estimate)


def _attributes(result: AuditResult, shown: set[Item], binary: set[str]) -> tuple[tuple[AttributeFacts, ...], set[str]]:
    """The attributes with the levels that are told, and the names of those whose D_v rests on a hidden one."""
    facts, blind = [], set()
    for entry in result.attributes.facts:
        found = entry.disparity
        ends = (found.dsc_low, found.dsc_high, found.normhd_low, found.normhd_high) if found else ()
        if any(end is not None and (entry.name, end.level) not in shown for end in ends):
            blind.add(entry.name)
        levels = tuple(_level(level, binary) for level in entry.levels if (entry.name, level.level) in shown)
        facts.append(dataclasses.replace(entry, levels=levels))
    # With one D_v hidden, FS and the others would tell it; FS is then hidden, too, and the others may stay.
    return tuple(
        dataclasses.replace(entry, disparity=None, disparity_ci=None, disparity_chance=None)
        if entry.name in blind
        else entry
        for entry in facts
    ), blind


def _level(level: LevelFacts, binary: set[str]) -> LevelFacts:
    """A level without what tells a count within it: failures, and means of zeros and ones."""
    return dataclasses.replace(
        level,
        mean={name: value for name, value in level.mean.items() if name not in binary},
        median={name: value for name, value in level.median.items() if name not in binary},
        ci={name: value for name, value in level.ci.items() if name not in binary},
        failure_rate=None,
        failure_ci=None,
    )


def _counted_levels(result: AuditResult) -> set[Item]:
    """The levels that group scores are made of."""
    rule = result.about.config.judging
    return {
        (entry.name, level.level)
        for entry in result.attributes.facts
        for level in entry.levels
        if level.n >= rule.min_cases
    }


def _scores(result: AuditResult, shown: set[Item], *, n_blind: int) -> Scores:
    hidden = ("FS", "TS") if n_blind == 1 else ()
    incomplete = {name for name, level in _counted_levels(result) - shown}
    definitions = (dataclasses.replace(entry, changes=()) for entry in result.scores.definitions)
    return Scores(
        {
            name: Score(None, reason=_HIDDEN_FS) if name in hidden else dataclasses.replace(score, all_levels=None)
            for name, score in result.scores.items()
        },
        () if n_blind else tuple(definitions),
        tuple(entry for entry in result.scores.variants if entry.attribute not in incomplete),
    )


def _hidden_alert(result: AuditResult, shown: set[Item], n_hidden: int) -> tuple[Alert, ...]:
    n_levels = sum(
        (entry.name, level.level) not in shown for entry in result.attributes.facts for level in entry.levels
    )
    if not n_levels and not n_hidden:
        return ()
    return (
        Alert(
            "not shown",
            f"{n_levels} levels and {n_hidden} subgroups are not shown: they have fewer than {SMALLEST} "
            f"{_people(result)}, or would tell by subtraction about a group that has. Rows of cases, failure rates and "
            "worst cases are left out altogether.",
        ),
    )


def _verdict(
    result: AuditResult,
    tables: Mapping[str, SubgroupTable],
    shown: set[Item],
    told: set[tuple[str, frozenset[Item]]],
) -> Verdict:
    full, outcome = result.verdict, result.subgroups.primary_outcome
    sentence = full.sentence
    # How many predictions were unusable is told of nobody.
    if any((outcome, group.items) not in told for group in full.groups) or any(cause.turns for cause in full.causes):
        sentence = (
            f"{full.kind.capitalize()}; the group that this rests on is not shown, to protect the few cases in it or "
            "beside it."
        )
    groups = tuple(group for group in full.groups if (outcome, group.items) in told)
    n_hidden = sum((name, row.subgroup.items) not in told for name, table in tables.items() for row in table)
    return Verdict(
        full.kind,
        sentence,
        groups=groups if groups[:1] == full.groups[:1] else (),  # no other one leads in the place of the first
        alerts=(
            *(alert for alert in full.alerts if alert.kind in _TOLD_ALERTS),
            *_hidden_alert(result, shown, n_hidden),
        ),
        gates=tuple(dataclasses.replace(entry, reason="the full report says why") for entry in full.gates),
    )


def _findings(result: AuditResult, told: set[tuple[str, frozenset[Item]]]) -> tuple[Finding, ...]:
    """The findings that are told, without the groups that are not."""
    outcome = result.subgroups.primary_outcome
    return tuple(
        dataclasses.replace(
            finding,
            estimate=_without_subjects(finding.estimate),
            explains=_told_groups(finding.explains, outcome, told),
            inside=finding.inside if finding.inside.startswith("no part") else "a part of it stands apart still",
            stability=_stability(finding.stability, outcome, told),
            nested_in=Subgroup(frozenset()),
            place=0,
        )
        for finding in result.subgroups.findings
        if (outcome, finding.items.items) in told
    )


def _reasons(reasons: Reasons | None, outcome: str, told: set[tuple[str, frozenset[Item]]]) -> Reasons | None:
    """Size and shape against all else, of the gaps of groups that are told.

    Parts that a case either has or has not, such as a missed lesion, would tell how many cases of a group have them.
    """
    if reasons is None:
        return None
    gaps = tuple(
        dataclasses.replace(gap, parts=parts, after=None, sentence=gap_sentence(gap.items, gap.value, parts))
        for gap in reasons.gaps
        if (outcome, gap.items.items) in told and (parts := _two_parts(gap.parts))
    )
    return dataclasses.replace(
        reasons,
        errors=tuple(dataclasses.replace(error, n_cases=None) for error in reasons.errors),
        n_compared=None,
        deficit=_two_parts(reasons.deficit),
        gaps=gaps,
        cases=(),
    )


def _two_parts(parts: Sequence[Part]) -> tuple[Part, ...]:
    alone = next((part for part in parts if part.name == "size_and_shape"), Part("size_and_shape", 0.0))
    return alone, Part("else", sum(part.value for part in parts if part.name != "size_and_shape"))


def _worst_off(result: AuditResult, told: set[tuple[str, frozenset[Item]]]) -> WorstOff | None:
    worst, outcome = result.subgroups.worst_off, result.subgroups.primary_outcome
    if worst is None or (outcome, worst.items.items) not in told:
        return None
    return WorstOff(worst.items, _stability(worst.stability, outcome, told))


def _stability(stability: Stability, outcome: str, told: set[tuple[str, frozenset[Item]]]) -> Stability:
    return dataclasses.replace(stability, set_95=_told_groups(stability.set_95, outcome, told))


def _told_groups(
    groups: tuple[Explained, ...], outcome: str, told: set[tuple[str, frozenset[Item]]]
) -> tuple[Explained, ...]:
    return tuple(group for group in groups if (outcome, group.items.items) in told)


def _without_subjects(estimate: Estimate) -> Estimate:
    """A group of enough cases may be of very few patients."""
    return dataclasses.replace(estimate, n_subjects=None)


def _record(result: AuditResult, ids: CaseIds) -> dict[str, Any]:
    """The known keys of the record but those of the approval, unless they quote an id or a path of the audit."""
    paths = {text for text in result.about.inputs.values() if len(text) > 3}
    return {
        key: value
        for key, value in result.about.record.items()
        if key in KNOWN_KEYS
        and key not in _KEPT_BACK
        and not ids.stand_in(str(value))
        and not any(path in str(value) for path in paths)
    }


def _without_ids_in_levels(shared: AuditResult, quoting: tuple[str, ...]) -> AuditResult:
    """Levels by number, for attributes of which a level's name holds a case id."""
    if not quoting:
        return shared
    names = {
        name: {level: f"level {count}" for count, level in enumerate(shared.attributes.bins[name].levels, start=1)}
        for name in quoting
    }
    alert = Alert(
        "levels",
        f"Levels of {', '.join(quoting)} are numbered, because names of levels held case ids; leave such a column out "
        "with --attributes if it tells who somebody is.",
    )
    renamed = rename_levels(shared, names)
    return with_alert(renamed, alert)
