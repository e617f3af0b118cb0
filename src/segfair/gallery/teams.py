"""The worst cases of every team: which, and their slices with outlines. Reads masks and images, writes no file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path

from segfair.audit.result.gallery import Gallery, GalleryGroup
from segfair.cases import Case, Cohort
from segfair.gallery.worst_cases import N_OVERALL, draw_groups
from segfair.protocol.rules import Protocol
from segfair.rank.result import Ranking
from segfair.rank.teams import Team
from segfair.scoring.scores import CaseScore, ScoreTable
from segfair.subgroups.lattice import Subgroup

__all__ = ["with_galleries", "worst_first"]


def with_galleries(
    ranking: Ranking,
    teams: Sequence[Team],
    *,
    images: Mapping[str, tuple[Path, ...]] | None = None,
    executor: Executor | None = None,
) -> Ranking:
    """Draws the worst cases of every team.

    Args:
        ranking: The ranking.
        teams: Where the predictions lie.
        images: Case id -> its image files; None: outlines only.
        executor: Where they are drawn, a team at a time; None: in this process.

    Returns:
        The ranking with the galleries of the teams that have a usable prediction.
    """
    jobs = []
    for team in teams:
        chosen = _choose(ranking, team)
        if chosen:
            wanted = None if images is None else {case.id: images.get(case.id, ()) for case in chosen}
            config = ranking.config
            jobs.append((team.name, (chosen, config.protocol, config.threshold, config.spacing_mm, wanted)))
    if executor is None:
        drawn = {name: _draw(*job) for name, job in jobs}
    else:
        waiting = [(name, executor.submit(_draw, *job)) for name, job in jobs]
        drawn = {name: future.result() for name, future in waiting}
    galleries = {name: gallery for name, gallery in drawn.items() if gallery is not None}
    return dataclasses.replace(ranking, galleries=galleries)


def worst_first(table: ScoreTable, name: str) -> list[tuple[int, CaseScore]]:
    """The cases with their places in the table; those without a value last."""
    lower = next(metric.better == "lower" for metric in table.metrics if metric.name == name)

    def badness(entry: tuple[int, CaseScore]) -> tuple[bool, float, str]:
        value = entry[1].values[name]
        return value is None, 0.0 if value is None else (-value if lower else value), entry[1].case

    return sorted(enumerate(table.scores), key=badness)


def _choose(ranking: Ranking, team: Team) -> list[Case]:
    """The worst cases with two usable masks."""
    cases = {case.id: case for case in ranking.scores.cohort}
    worst = [
        score.case
        for _, score in worst_first(ranking.scores.tables[team.name], ranking.lead)
        if score.penalised is None and score.case in team.predictions
    ]
    return [team.case(cases[case], ranking.config.protocol) for case in worst[:N_OVERALL]]


def _draw(
    cases: Sequence[Case],
    protocol: Protocol,
    threshold: float | None,
    spacing_mm: tuple[float, ...] | None,
    images: Mapping[str, tuple[Path, ...]] | None,
) -> Gallery | None:
    group = GalleryGroup(Subgroup(frozenset()), "overall", tuple(case.id for case in cases))
    return draw_groups(
        (group,), Cohort(tuple(cases)), protocol, threshold=threshold, spacing_mm=spacing_mm, images=images
    )
