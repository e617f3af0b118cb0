"""What a ranking found: standings, what decides their order, and whether there is a winner. Facts only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from segfair.attributes.fit import AttributeTable
from segfair.audit.result import Alert, AuditConfig, Score
from segfair.audit.result.gallery import Gallery
from segfair.audit.words import clean, format_number, plural, shorten
from segfair.fairness.challenge import Disparity
from segfair.rank.teams import TeamScores
from segfair.trees import tree_converter

__all__ = [
    "WINNER_PROBABILITY",
    "Baseline",
    "LeftOut",
    "Ranking",
    "Reason",
    "Standing",
    "Variant",
    "Verdict",
    "patient_name",
    "percent",
    "reach_verdict",
]

FORMAT = 1
WINNER_PROBABILITY = 0.95
"""A winner is first in at least this share of resampled cohorts."""

_LISTED = 3
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
        kind: "definition" of NormHD, or "levels" that FS compares.
        first: The teams in first place.
        n_moved: Teams whose rank differs from the declared one; `largest_move` is the largest difference.
    """

    name: str
    kind: Literal["definition", "levels"]
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
        return _no_winner(self.reasons[0].private) if self.reasons else self.sentence


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
                "alerts": self.alerts,
                "notices": self.notices,
            }
        )
        return tree


def reach_verdict(
    standings: Sequence[Standing],
    baseline: Baseline,
    variants: Sequence[Variant],
    left_out: Sequence[LeftOut],
    *,
    by: str,
) -> Verdict:
    """A winner where the first place does not depend on a choice, on one patient, or on chance.

    A team wins whose masks are no copies of the labels, that is better than empty masks, alone in first place, first
    under every variant and without any one patient, and first in at least `WINNER_PROBABILITY` of resampled cohorts.

    Args:
        standings: The teams, best first.
        baseline: What empty masks get.
        variants: The order under other rules.
        left_out: The patients without whom a rank changes.
        by: The score that teams are ranked by.
    """
    best = standings[0]
    if len(standings) == 1:
        return Verdict(None, f"{best.team} is the only team, so there is nothing to rank.")
    leaders = tuple(entry.team for entry in standings if entry.rank == 1)
    copied = [entry.team for entry in standings if entry.rank == 1 and entry.copied]
    reasons = []
    if copied:
        reasons.append(
            _plain("copied", f"at least half of the masks of {_names(copied)} are voxel for voxel the labels")
        )
    if not baseline.n_better:
        reasons.append(
            _plain(
                "baseline",
                f"no team is better than empty masks, which have a {by} of {baseline.value:.4f}; the best team has "
                f"{best.value:.4f}",
            )
        )
    if len(leaders) > 1:
        reasons.append(_plain("tie", f"the first place is shared by {_names(leaders)}"))
    for kind in ("definition", "levels"):
        changing = [entry for entry in variants if entry.kind == kind and entry.first != leaders]
        if changing:
            text = f"{_under(changing[0])} {_is_first(changing[0].first)}, not {_names(leaders)}"
            if len(changing) > 1:
                text += f"; the same goes for {_names([entry.name for entry in changing[1:]])}"
            reasons.append(_plain(kind, text))
    reasons += _patient_reasons([entry for entry in left_out if entry.first != leaders], leaders)
    likely = sorted(standings, key=lambda entry: -entry.first)
    if len(leaders) == 1 and best.first < WINNER_PROBABILITY:
        others = [entry for entry in likely if entry.team != best.team and entry.first >= 0.005][:_LISTED]
        shares = ", ".join(f"{entry.team} in {percent(entry.first)}" for entry in others)
        reasons.append(
            _plain(
                "chance",
                f"chance decides: {best.team} is first in {percent(best.first)} of resampled cohorts"
                + (f", {shares}" if shares else "")
                + f"; a winner takes {percent(WINNER_PROBABILITY)}",
            )
        )
    if reasons:
        return Verdict(None, _no_winner(reasons[0].text), tuple(reasons))
    rules = " under every rule tried," if variants else ""
    return Verdict(
        best.team,
        f"{best.team} wins: first in {percent(best.first)} of resampled cohorts,{rules} and whichever patient is "
        "left out.",
    )


def _no_winner(reason: str) -> str:
    return f"No winner can be declared: {reason}."


def _patient_reasons(changing: Sequence[LeftOut], leaders: Sequence[str]) -> list[Reason]:
    if not changing:
        return []
    entry = changing[0]
    who = patient_name(entry)
    outcome = f"{_is_first(entry.first)}, not {_names(leaders)}"
    if len(changing) == 1:
        return [
            Reason(
                "patient", f"one patient decides: without {who} {outcome}", f"one patient decides: without it {outcome}"
            )
        ]
    several = f"each of {len(changing)} patients decides alone"
    return [
        Reason("patient", f"{several}: without {who}, for example, {outcome}", f"{several}: without one, {outcome}")
    ]


def patient_name(entry: LeftOut) -> str:
    """Which patient, by its cases and the small levels that it belongs to."""
    who = f"case {entry.cases[0]}" if len(entry.cases) == 1 else f"the patient of {_names(entry.cases)}"
    return f"{who} ({', '.join(_rarity(*item) for item in entry.rare)})" if entry.rare else who


def _rarity(attribute: str, level: str, n_cases: int) -> str:
    if n_cases == 1:
        return f"the only one with {attribute} = {level}"
    return f"one of {n_cases} with {attribute} = {level}"


def _under(variant: Variant) -> str:
    return f"with {variant.name}"


def _is_first(teams: Sequence[str]) -> str:
    return f"{_names(teams)} {'is' if len(teams) == 1 else 'are'} first"


def _names(names: Sequence[str]) -> str:
    shown = list(names) if len(names) <= _LISTED + 1 else [*names[:_LISTED], f"{len(names) - _LISTED} others"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def percent(share: float) -> str:
    """Whole per cent, but never 100 for less than all and never 0 for more than nothing."""
    if share >= 1.0 - 1e-12:
        return "100 %"
    if share > 0.99:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %") if share >= 0.01 or share == 0 else "under 1 %"


def _plain(kind: str, text: str) -> Reason:
    return Reason(kind, text, text)
