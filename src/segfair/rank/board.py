"""What decides an order of teams: the score, and the same order under other rules and without each patient.

Turns tables of scores into the arrays of `ranking` and its answers into facts; draws no random number.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segfair.attributes.fit import AttributeTable
from segfair.audit.definitions import normhd_variants
from segfair.audit.result import AuditConfig
from segfair.errors import ConfigError, close_names
from segfair.fairness import (
    EVERY_LEVEL,
    JudgingRule,
    Levels,
    fairness_score,
    judged,
    performance_score,
    stack_levels,
    total_score,
    weighted_level_means,
)
from segfair.rank.certainty import CohortScorer, rank_teams
from segfair.rank.result import LeftOut, Variant
from segfair.rank.teams import TeamScores
from segfair.scoring.scores import ScoreTable

__all__ = [
    "CHALLENGE",
    "COLUMNS",
    "Board",
    "check_by",
    "choose_score",
    "make_board",
    "oriented",
    "other_rules",
    "span",
    "without_each_attribute",
    "without_each_patient",
]

Floats = NDArray[np.float64]
Ranks = NDArray[np.intp]

CHALLENGE = ("TS", "PS", "FS")
COLUMNS = ("dsc", "normhd")


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """What teams are ranked by, as arrays.

    Attributes:
        by: "TS", "PS", "FS" or a metric; `sign` is -1 where lower values of it are better.
        values: Metric -> (n_teams, n_cases).
        levels: All levels of all attributes; `rule` tells which of them FS compares.
        fs_weight: Weight of FS in TS.
    """

    by: str
    sign: float
    values: Mapping[str, Floats]
    levels: Levels
    rule: JudgingRule
    fs_weight: float

    def scorer(self) -> CohortScorer:
        """Higher is better; without an attribute that counts there is no FS, for any team, and TS is PS."""
        names = COLUMNS if self.by in CHALLENGE else (self.by,)
        outcomes = np.stack([self.values[name] for name in names], axis=1)
        nothing = np.empty((0, outcomes.shape[2]), dtype=np.intp)
        levels = self.levels if self.by in ("TS", "FS") else stack_levels(nothing)

        def scores(weights: Floats) -> Floats:
            means = weighted_level_means(levels, outcomes, weights, rule=self.rule)
            if self.by not in CHALLENGE:
                return np.asarray(self.sign * means.overall[..., 0])
            if self.by == "FS":
                return fairness_score(means)
            ps = performance_score(means)
            if self.by == "PS":
                return ps
            ts = total_score(means, weight=self.fs_weight)
            return np.where(np.isnan(ts), ps, ts)

        return scores

    def observed(self) -> Floats:
        """(n_teams,) scores of the cohort itself."""
        n_cases = next(iter(self.values.values())).shape[1]
        return np.asarray(self.scorer()(np.ones((1, n_cases)))[0], dtype=np.float64)


def choose_score(by: str | None, scores: TeamScores, attributes: AttributeTable, config: AuditConfig) -> str:
    """The score to rank by, spelt as it is spelt everywhere.

    Raises:
        ConfigError: It does not exist, or rates nothing.
    """
    tables = list(scores.tables.values())
    has_challenge = all(name in table.names for table in tables for name in COLUMNS)
    has_fairness = has_challenge and bool(judged(attributes.attributes, config.judging))
    if by is None:
        if has_challenge:
            return "TS" if has_fairness else "PS"
        return config.outcomes[0] if config.outcomes[0] in tables[0].names else tables[0].names[0]
    if by.upper() in CHALLENGE:
        if not has_challenge:
            raise ConfigError(
                f"--by {by}: takes a DSC and a NormHD of every team; there are {', '.join(_common(tables))}"
            )
        if by.upper() != "PS" and not has_fairness:
            raise ConfigError(f"--by {by}: no attribute can be judged, so there is no FS; rank by PS")
        return by.upper()
    check_by(by, _common(tables))
    name = by.lower() if by not in tables[0].names and by.lower() in tables[0].names else by
    if next(metric.better for metric in tables[0].metrics if metric.name == name) in ("neither", "signed"):
        raise ConfigError(f"--by {by}: no higher or lower value of it is better; rank by another score")
    return name


def check_by(by: str | None, metrics: Sequence[str]) -> None:
    """Refuses a score that no team will have, before an hour of scoring.

    Raises:
        ConfigError: It is neither one of the challenge nor a metric that every team has.
    """
    if by is None or by.upper() in CHALLENGE or not {by, by.lower()}.isdisjoint(metrics):
        return
    meant = close_names(by, ("TS", "PS", "FS", *metrics))
    raise ConfigError(f"--by {by}: not a score of every team{meant}; there are TS, PS, FS and {', '.join(metrics)}")


def _common(tables: Sequence[ScoreTable]) -> list[str]:
    return [name for name in tables[0].names if all(name in table.names for table in tables)]


def make_board(by: str, scores: TeamScores, attributes: AttributeTable, config: AuditConfig) -> Board:
    """The arrays behind a score that `choose_score` chose, of complete tables."""
    tables = list(scores.tables.values())
    names = COLUMNS if by in CHALLENGE else (by,)
    lower = by not in CHALLENGE and next(m.better for m in tables[0].metrics if m.name == by) == "lower"
    return Board(
        by,
        -1.0 if lower else 1.0,
        {name: _column(tables, name) for name in names},
        stack_levels(attributes.codes),
        config.judging,
        config.protocol.fairness.weight,
    )


def _column(tables: Sequence[ScoreTable], name: str) -> Floats:
    """(n_tables, n_cases); complete."""
    return np.array([table.column(name) for table in tables], dtype=np.float64)


def other_rules(
    board: Board, scores: TeamScores, attributes: AttributeTable, config: AuditConfig, ranks: Ranks
) -> tuple[tuple[Variant, ...], dict[str, tuple[Ranks, Floats]]]:
    """Ranks and scores under the other definitions of NormHD, and under the other rule for small levels."""
    others: dict[str, tuple[Literal["definition", "levels"], Board]] = {}
    if board.by in (*CHALLENGE, "normhd"):
        for name, values in _other_normhd(board, scores, config).items():
            others[f"NormHD in {name}"] = (
                "definition",
                dataclasses.replace(board, values={**board.values, "normhd": values}),
            )
    if board.by in ("TS", "FS"):
        if config.protocol.fairness.levels == "all":
            name = f"levels of at least {config.min_cases} cases only"
            rule = JudgingRule.of("min-cases", min_cases=config.min_cases)
        else:
            name, rule = "all levels, however small", EVERY_LEVEL
        if not judged(attributes.attributes, rule):
            name += " (there are none to compare, so PS decides)"
            others[name] = ("levels", dataclasses.replace(board, by="PS"))
        else:
            others[name] = ("levels", dataclasses.replace(board, rule=rule))
    variants, found = [], {}
    for name, (kind, other) in others.items():
        values = other.observed()
        found[name] = rank_teams(values), other.sign * values
        variants.append(Variant(name, kind, *_changes(found[name][0], ranks, scores.names)))
    return tuple(variants), found


def without_each_attribute(
    board: Board, attributes: AttributeTable, ranks: Ranks, names: Sequence[str]
) -> tuple[Variant, ...]:
    """The order with one attribute after the other left out of FS, those that move most teams first.

    Nothing where FS is no part of the score, or rests on a single attribute.
    """
    counted = judged(attributes.attributes, board.rule)
    if board.by not in ("TS", "FS") or len(counted) < 2:
        return ()
    found = []
    for attribute in counted:
        codes = np.array([other.codes for other in attributes.attributes if other.name != attribute.name])
        other = dataclasses.replace(board, levels=stack_levels(codes))
        found.append(Variant(attribute.name, "attribute", *_changes(rank_teams(other.observed()), ranks, names)))
    return tuple(sorted(found, key=lambda entry: (-entry.n_moved, -entry.largest_move, entry.name)))


def oriented(scores: TeamScores, metrics: Sequence[str]) -> dict[str, Floats]:
    """Metric -> (n_teams, n_cases) of complete tables, higher is better.

    Raises:
        ConfigError: A metric that not every team has, or that rates nothing.
    """
    tables = list(scores.tables.values())
    found = {}
    for name in metrics:
        if any(name not in table.names for table in tables):
            raise ConfigError(
                f"--over {name}: not a score of every team{close_names(name, tables[0].names)}; there are "
                f"{_common(tables)}"
            )
        better = next(metric.better for metric in tables[0].metrics if metric.name == name)
        if better not in ("higher", "lower"):
            raise ConfigError(f"--over {name}: no higher or lower value of it is better; name other metrics")
        found[name] = _column(tables, name) * (-1 if better == "lower" else 1)
    return found


def _other_normhd(board: Board, scores: TeamScores, config: AuditConfig) -> dict[str, Floats]:
    """NormHD of all teams under each definition but the declared one; see `definitions.normhd_variants`."""
    rule = config.protocol.normhd
    declared = f"{rule.unit}, {'clipped' if rule.clip else 'not clipped'}"
    by_name: defaultdict[str, list[Floats]] = defaultdict(list)
    for table in scores.tables.values():
        for name, values in normhd_variants(table, protocol=config.protocol).items():
            by_name[name].append(values)
    found = {
        name: np.array(rows) for name, rows in by_name.items() if len(rows) == len(scores.tables) and name != declared
    }
    # Tables of scores may hold NormHD without the distance behind it: clipping it needs no more.
    if not found and (board.values["normhd"] > 1).any():
        found[f"{rule.unit}, clipped"] = np.clip(board.values["normhd"], 0.0, 1.0)
    return found


def without_each_patient(
    patients: Sequence[NDArray[np.intp]],
    without_one: Ranks,
    ranks: Ranks,
    scores: TeamScores,
    attributes: AttributeTable,
    config: AuditConfig,
) -> tuple[LeftOut, ...]:
    """The patients without whom a rank changes, those who change the first place or most ranks first."""
    sizes = [np.bincount(attribute.codes[attribute.codes >= 0]) for attribute in attributes.attributes]
    found = []
    for cases, reduced in zip(patients, without_one, strict=True):
        if (reduced == ranks).all():
            continue
        rare = {
            (attribute.name, attribute.levels[code], int(counts[code]))
            for attribute, counts in zip(attributes.attributes, sizes, strict=True)
            for code in attribute.codes[cases]
            if code >= 0 and counts[code] < config.min_cases
        }
        ids = tuple(scores.cohort.cases[case].id for case in cases)
        rarest = tuple(sorted(rare, key=lambda item: (item[2], item)))
        found.append(LeftOut(ids, *_changes(reduced, ranks, scores.names), rarest))
    leaders = _leading(ranks, scores.names)
    return tuple(
        sorted(found, key=lambda entry: (entry.first == leaders, -entry.n_moved, -entry.largest_move, entry.cases))
    )


def _changes(other: Ranks, ranks: Ranks, names: Sequence[str]) -> tuple[tuple[str, ...], int, int]:
    """Who is first, how many teams moved, and how far at most."""
    moves = np.abs(other - ranks)
    return _leading(other, names), int(np.count_nonzero(moves)), int(moves.max(initial=0))


def _leading(ranks: Ranks, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name, rank in zip(names, ranks, strict=True) if rank == 1))


def span(ranks: Ranks, rank: int) -> tuple[int, int]:
    """Lowest and highest of some ranks of a team and its own."""
    return (min(rank, int(ranks.min())), max(rank, int(ranks.max()))) if len(ranks) else (rank, rank)
