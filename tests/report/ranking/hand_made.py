"""A ranking of three teams written by hand: alpha leads, beta and gamma share second place, empty masks follow."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from segfair.attributes.fit import AttributeTable
from segfair.audit.result import Alert, AuditConfig, Chance, Score
from segfair.cases import Case, Cohort
from segfair.protocol.rules import load_protocol
from segfair.rank.result import Baseline, LeftOut, Ranking, Standing, Variant, Verdict
from segfair.rank.teams import TeamScores
from segfair.rank.verdict import reach_verdict
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import ScoreTable

CONFIG = AuditConfig(load_protocol("mama-mia"), bootstrap=300, permutations=99)
IDS = ("P1", "P2", "P3")
VOXELS = "NormHD in voxels"
VARIANTS = (Variant(VOXELS, "definition", ("alpha",), n_moved=2, largest_move=1),)


def standing(team: str, value: float, rank: int, interval: tuple[int, int], first: float, **facts: Any) -> Standing:
    told = {
        "beats_next": 0.9,
        "scores": {"TS": Score(value, (value - 0.01, value + 0.01)), "FS": Score(0.8, None, Chance(0.95, (0.9, 1), 0.01))},
        "ranks": {VOXELS: rank},
        "values": {VOXELS: value - 0.1},
        "without_one": (rank, rank),
        "disparities": (),
        "n_penalised": 0,
        "n_missing": 0,
        **facts,
    }  # fmt: skip
    return Standing(team, value, rank, interval, first, **told)


TEAMS = (
    standing("alpha", 0.9, 1, (1, 1), 0.995),
    standing("beta", 0.75, 2, (2, 3), 0.004, ranks={VOXELS: 3}),
    standing("gamma", 0.75, 2, (2, 3), 0.001, beats_next=None, n_penalised=2, n_missing=1),
)


def made(**facts: Any) -> Ranking:
    """The ranking, in which `facts` replace its own; its verdict follows from them unless it is given."""
    cohort = Cohort(tuple(Case(case) for case in IDS), inputs={"labels": Path("/secret/labels")})
    empty = ScoreTable((METRICS["dsc"],), ())
    ranking = Ranking(
        config=CONFIG,
        by="TS",
        lower_is_better=False,
        standings=TEAMS,
        baseline=Baseline(0.5, {"FS": 1.0, "DSC": 0.0}, n_better=3, n_worse=0),
        variants=VARIANTS,
        left_out=(),
        n_patients=3,
        verdict=Verdict(None, ""),
        alerts=(),
        notices=(),
        scores=TeamScores(cohort, {}, empty, {}, {}),
        attributes=AttributeTable(IDS, (), {}),
        versions={"segfair": "0.1.0"},
    )
    ranking = dataclasses.replace(ranking, **facts)
    if "verdict" in facts:
        return ranking
    found = reach_verdict(
        ranking.standings,
        ranking.baseline,
        ranking.variants,
        ranking.left_out,
        by=ranking.by,
        n_patients=ranking.n_patients,
    )
    return dataclasses.replace(ranking, verdict=found)


ONE_PATIENT = LeftOut(("P1",), ("beta",), n_moved=3, largest_move=2, rare=(("breast_density", "a", 1),))
ALERTS = (
    Alert("small", "Fewer than 10 cases: breast_density = a."),
    Alert("penalised", "2 predictions could not be used."),
    Alert("problem", "gamma: /secret/labels/P1.nii.gz is no mask"),
)
