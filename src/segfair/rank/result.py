"""What a ranking found: standings, who is told apart, what decides the order, and the verdict. Facts only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from segfair.attributes.fit import AttributeTable
from segfair.audit.result import Alert, AuditConfig, AuditResult, Score
from segfair.audit.result.gallery import Gallery
from segfair.audit.words import clean, format_number, plural, shorten
from segfair.fairness.challenge import Disparity
from segfair.rank.schemes import Scheme
from segfair.rank.teams import TeamScores
from segfair.subgroups.lattice import Divergence, SubgroupTable
from segfair.trees import tree_converter

__all__ = [
    "WINNER_PROBABILITY",
    "Agreement",
    "Baseline",
    "LeftOut",
    "Pairs",
    "Ranking",
    "Reason",
    "Standing",
    "TeamAudits",
    "Variant",
    "Verdict",
    "WithinLevel",
    "no_winner",
    "percent",
]

FORMAT = 1
WINNER_PROBABILITY = 0.95
"""A winner is first in at least this share of resampled cohorts."""

_SETTINGS = ("min_cases", "bootstrap", "permutations", "subject_column", "stratify", "seed")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one team stands.

    Attributes:
        team: Its name.
        value: The score that teams are ranked by.
        rank: 1 and the number of teams with a better score.
        rank_interval: 95 % interval of the rank over resampled cohorts.
        first: Probability of being first; shared places are split.
        beats_next: Probability of a better score than the team that follows; None for the last one.
        scores: Score -> value with interval and chance level, as an audit of this team has them.
        ranks, values: Name of a variant -> rank, and score, under it.
        without_one: Lowest and highest rank when any one patient is left out.
        disparities: D_v of each attribute.
        n_penalised: Cases that count with the worst score; `n_missing` of them have no prediction.
        problem: Why none of its predictions could be used; empty where some could.
        alerts: What was noticed in its masks -> in how many cases.
        copied: Whether at least half of its masks have just the voxels of labels that are not empty.
        quartiles: Of `Ranking.lead` over the cases: least, first quartile, median, third, greatest; empty without a
            value.
        podium: Cases in which it is first, second and third by `Ranking.lead`; shared places count for every team.
    """

    team: str
    value: float
    rank: int
    rank_interval: tuple[int, int]
    first: float
    beats_next: float | None
    scores: Mapping[str, Score]
    ranks: Mapping[str, int]
    values: Mapping[str, float]
    without_one: tuple[int, int]
    disparities: tuple[Disparity, ...]
    n_penalised: int
    n_missing: int
    problem: str = ""
    alerts: Mapping[str, int] = field(default_factory=dict)
    copied: bool = False
    quartiles: tuple[float, ...] = ()
    podium: tuple[int, int, int] = (0, 0, 0)


@dataclass(frozen=True, slots=True)
class Baseline:
    """A submission of empty masks: what nothing is worth.

    Attributes:
        value: The score that teams are ranked by.
        scores: Score -> value.
        n_better: Teams with a better score.
        n_worse: Teams with a worse one.
    """

    value: float
    scores: Mapping[str, float | None]
    n_better: int
    n_worse: int


@dataclass(frozen=True, slots=True)
class Variant:
    """The ranks under another rule that could have been declared.

    Attributes:
        name: The rule.
        kind: "definition" of NormHD, "levels" that FS compares, or an "attribute" that it leaves out.
        first: The teams in first place.
        n_moved: Teams whose rank differs from the declared one; `largest_move` is the largest difference.
    """

    name: str
    kind: Literal["definition", "levels", "attribute"]
    first: tuple[str, ...]
    n_moved: int
    largest_move: int


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The ranks without one patient.

    Attributes:
        cases: The patient's cases.
        first, n_moved, largest_move: See `Variant`.
        rare: The small levels that the patient belongs to: (attribute, level, number of cases).
    """

    cases: tuple[str, ...]
    first: tuple[str, ...]
    n_moved: int
    largest_move: int
    rare: tuple[tuple[str, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class WithinLevel:
    """The order of teams within one level of an attribute, by the mean of `Ranking.lead`.

    Attributes:
        attribute, level: Which.
        n: Cases.
        means: Team -> mean there.
        ranks: Team -> rank there.
        first: Team -> probability of being first there; shared places are split.
        better_than_leader: Teams that are better there than who leads over all cases, beyond chance over all levels.
        tau: Kendall's tau-b with the order over all cases; None where no two teams differ in one of them.
    """

    attribute: str
    level: str
    n: int
    means: Mapping[str, float]
    ranks: Mapping[str, int]
    first: Mapping[str, float]
    better_than_leader: tuple[str, ...]
    tau: float | None

    @property
    def leaders(self) -> tuple[str, ...]:
        """The teams in first place there, by name."""
        return tuple(sorted(team for team, rank in self.ranks.items() if rank == 1))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every team against every other; rows and columns in the order of `teams`.

    Attributes:
        teams: The teams, best first.
        beats: Share of resampled cohorts in which the row's team scores better; ties count half.
        better: Whether the row's team is better beyond chance, all pairs together.
    """

    teams: tuple[str, ...] = ()
    beats: tuple[tuple[float, ...], ...] = ()
    better: tuple[tuple[bool, ...], ...] = ()

    def better_than(self, team: str) -> tuple[str, ...]:
        """The teams that a team is better than beyond chance."""
        return tuple(other for other, is_better in zip(self.teams, self._row(team), strict=True) if is_better)

    def not_told_apart(self, team: str) -> tuple[str, ...]:
        """The teams that are neither better nor worse than a team beyond chance."""
        place = self.teams.index(team)
        return tuple(
            other
            for index, other in enumerate(self.teams)
            if index != place and not self.better[place][index] and not self.better[index][place]
        )

    def _row(self, team: str) -> tuple[bool, ...]:
        return self.better[self.teams.index(team)]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much the orders of resampled cohorts are like the declared one.

    Attributes:
        tau: Mean Kendall's tau-b: 1 the same order, 0 no relation; None where no two teams differ.
        tau_interval: Its 95 % interval over the cohorts.
    """

    tau: float | None = None
    tau_interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """Why there is no winner.

    Attributes:
        kind: "copied", "baseline", "tie", "definition", "levels", "patient" or "chance".
        text: One sentence.
        private: The same without case ids and attributes.
    """

    kind: str
    text: str
    private: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether there is a winner.

    Attributes:
        winner: The team; None where the first place is not stable.
        sentence: The answer.
        reasons: What decides the first place instead, most arbitrary first; empty with a winner.
    """

    winner: str | None
    sentence: str
    reasons: tuple[Reason, ...] = ()

    @property
    def private_sentence(self) -> str:
        """The sentence without case ids and attributes."""
        return no_winner(self.reasons[0].private) if self.reasons else self.sentence


@dataclass(frozen=True, slots=True)
class Ranking:
    """Everything a ranking found.

    Attributes:
        config: The settings; `config.protocol` holds the scoring rules.
        by: The score that teams are ranked by; `lower_is_better` its direction.
        standings: The teams, best first.
        baseline: What empty masks get.
        variants: The declared order under other rules.
        left_out: The patients without whom some rank changes, those who change the first place first.
        n_patients: Patients that were left out in turn; those without whom there is no score are not among them, and
            an alert counts them.
        verdict: The answer.
        alerts, notices: For the reader.
        scores: Per-case scores of all teams.
        attributes: The attributes that FS compares, of the scored cases.
        versions: Package -> version.
        galleries: Team -> pictures of its worst cases; empty until they are drawn.
        pairs: Every team against every other.
        agreement: How much resampled orders are like the declared one.
        schemes: The order under other ways to rank: over several metrics, case by case, by tests.
        without_attribute: The order with one attribute left out of FS, a variant each, named by the attribute.
        within: The order within each level that has enough cases.
        levels: Team -> every level of every attribute against everybody else, by `lead`.
    """

    config: AuditConfig
    by: str
    lower_is_better: bool
    standings: tuple[Standing, ...]
    baseline: Baseline
    variants: tuple[Variant, ...]
    left_out: tuple[LeftOut, ...]
    n_patients: int
    verdict: Verdict
    alerts: tuple[Alert, ...]
    notices: tuple[str, ...]
    scores: TeamScores
    attributes: AttributeTable
    versions: Mapping[str, str]
    galleries: Mapping[str, Gallery] = field(default_factory=dict)
    pairs: Pairs = field(default_factory=Pairs)
    agreement: Agreement = field(default_factory=Agreement)
    levels: Mapping[str, SubgroupTable] = field(default_factory=dict)
    schemes: tuple[Scheme, ...] = ()
    without_attribute: tuple[Variant, ...] = ()
    within: tuple[WithinLevel, ...] = ()

    @property
    def lead(self) -> str:
        """The metric by which a single case is good or bad: the one that teams are ranked by, or DSC."""
        return "dsc" if self.by in ("TS", "PS", "FS") else self.by

    @property
    def n_cases(self) -> int:
        """Cases that every team is scored on."""
        return len(self.scores.cohort)

    @property
    def n_changing_first(self) -> int:
        """Patients without whom another team is first, or several are."""
        leaders = self.leaders
        return sum(entry.first != leaders for entry in self.left_out)

    @property
    def leaders(self) -> tuple[str, ...]:
        """The teams in first place under the declared rules."""
        return tuple(entry.team for entry in self.standings if entry.rank == 1)

    def __repr__(self) -> str:
        """Six lines: how many teams and cases, the answer, and the first four of the board."""
        lines = [
            f"{type(self).__name__}: {plural(len(self.standings), 'team')}, {plural(self.n_cases, 'case')}, "
            f"by {self.by}, protocol {clean(self.config.protocol.name, length=40)}",
            clean(self.verdict.sentence),
            *(
                f"  {entry.rank}. {clean(entry.team, length=40)}: {self.by} {format_number(entry.value)}, rank "
                f"{entry.rank_interval[0]} to {entry.rank_interval[1]}, first in {percent(entry.first)} of resampled "
                "cohorts"
                for entry in self.standings[:4]
            ),
        ]
        return "\n".join(shorten(line, 160) for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """The contents of `rank.json`: plain dicts, lists, texts, finite numbers and None."""
        tree: dict[str, Any] = tree_converter().unstructure(
            {
                "format": FORMAT,
                "by": self.by,
                "lower_is_better": self.lower_is_better,
                "settings": {
                    **{name: getattr(self.config, name) for name in _SETTINGS},
                    "winner_probability": WINNER_PROBABILITY,
                },
                "protocol": self.config.protocol.to_dict(),
                "inputs": self.scores.cohort.inputs,
                "versions": self.versions,
                "n_cases": self.n_cases,
                "n_patients": self.n_patients,
                "excluded": [{"case": case, "reason": reason} for case, reason in self.scores.excluded.items()],
                "attributes": [attribute.name for attribute in self.attributes.attributes],
                "verdict": self.verdict,
                "teams": self.standings,
                "penalised": {team: table.penalised for team, table in self.scores.tables.items() if table.penalised},
                "baseline": self.baseline,
                "variants": self.variants,
                "left_out": self.left_out,
                "pairs": self.pairs,
                "agreement": self.agreement,
                "schemes": self.schemes,
                "without_attribute": self.without_attribute,
                "within": self.within,
                "levels": {team: [_level(row) for row in table] for team, table in self.levels.items()},
                "alerts": self.alerts,
                "notices": self.notices,
            }
        )
        return tree


@dataclass(frozen=True, slots=True, eq=False)
class TeamAudits:
    """The audits of a ranking's teams.

    Attributes:
        results: Team -> its audit.
        failed: Team -> why it has none.
    """

    results: Mapping[str, AuditResult] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def _level(row: Divergence) -> dict[str, Any]:
    """One level of one attribute as rank.json has it: the difference to everybody else, and its test."""
    return {
        "items": dict(sorted(row.subgroup.items)),
        "n": row.n,
        "mean": row.mean,
        "rest_mean": row.rest_mean,
        "difference": row.estimate.value if row.estimate else None,
        "ci": row.estimate.ci if row.estimate else None,
        "p_adjusted": row.p_adjusted,
        "significant": row.significant,
    }


def no_winner(reason: str) -> str:
    """A reason as the answer."""
    return f"No winner can be declared: {reason}."


def percent(share: float) -> str:
    """Whole per cent, but never 100 for less than all and never 0 for more than nothing."""
    if share >= 1.0 - 1e-12:
        return "100 %"
    if share > 0.99:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %") if share >= 0.01 or share == 0 else "under 1 %"
