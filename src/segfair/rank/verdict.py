"""Whether there is a winner, and what decides the first place where there is none. Facts -> verdict; no statistics."""

from __future__ import annotations

from collections.abc import Sequence

from segfair.audit.words import plural
from segfair.rank.result import (
    WINNER_PROBABILITY,
    Baseline,
    LeftOut,
    Reason,
    Standing,
    Variant,
    Verdict,
    no_winner,
    percent,
)

__all__ = ["patient_name", "reach_verdict"]

_LISTED = 3


def reach_verdict(
    standings: Sequence[Standing],
    baseline: Baseline,
    variants: Sequence[Variant],
    left_out: Sequence[LeftOut],
    *,
    by: str,
    n_patients: int,
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
        n_patients: Patients without whom there is a score; none of a single patient, of whom nothing follows.
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
    changing_patients = [entry for entry in left_out if entry.first != leaders]
    reasons += _patient_reasons(changing_patients, leaders) if n_patients else [_alone(by)]
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
        return Verdict(None, no_winner(reasons[0].text), tuple(reasons))
    rules = " under every rule tried," if variants else ""
    return Verdict(
        best.team,
        f"{best.team} wins: first in {percent(best.first)} of resampled cohorts,{rules} and whichever patient is "
        "left out.",
    )


def _alone(by: str) -> Reason:
    return _plain("patient", f"leave out any one patient, and there is no {by} left to rank by")


def _patient_reasons(changing: Sequence[LeftOut], leaders: Sequence[str]) -> list[Reason]:
    if not changing:
        return []
    entry = changing[0]
    who = patient_name(entry)
    outcome = f"{_is_first(entry.first)}, not {_names(leaders)}"
    if len(changing) == 1:
        return [
            Reason(
                "patient",
                f"one patient decides: leave out {who}, and {outcome}",
                f"one patient decides: leave out that one, and {outcome}",
            )
        ]
    several = f"leave out any one of {plural(len(changing), 'patient')}, and the first place changes"
    return [
        Reason(
            "patient",
            f"{several}: without {who}, for example, {outcome}",
            f"{several}: without one of them, for example, {outcome}",
        )
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


def _plain(kind: str, text: str) -> Reason:
    return Reason(kind, text, text)
