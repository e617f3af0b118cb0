"""Made-up tables of scores and metadata, and audits of them, for the tests of gates and comparisons."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segfair.audit.procedure import run_audit
from segfair.audit.result import AuditConfig, AuditResult
from segfair.cases import Case, Cohort
from segfair.protocol.rules import Protocol, load_protocol
from segfair.scoring.metrics import METRICS, Metric
from segfair.scoring.scores import CaseScore, ScoreTable
from tests.audit.made_up_audits import changed


def skewed_dice(n: int, rng: np.random.Generator) -> np.ndarray:
    """Dice as it comes: Beta(4, 1.3), and 4 % missed altogether."""
    dice = rng.beta(4, 1.3, n)
    dice[rng.random(n) < 0.04] = 0.0
    return dice


def write_tables(folder: Path, *, n: int, gap: float, seed: int = 0) -> tuple[Path, Path]:
    """A table of scores and one of metadata: women have exactly the mean of men, less the gap."""
    rng = np.random.default_rng(seed)
    sex = np.where(np.arange(n) % 3 == 0, "F", "M")
    site = rng.choice(["A", "B"], n)
    dice = skewed_dice(n, rng)
    for who, mean in (("F", 0.65 - gap), ("M", 0.65)):
        dice[sex == who] *= mean / dice[sex == who].mean()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "scores.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "dsc", "normhd"])
        rows.writerows((f"p{index:04d}", value, 0.3 * (1 - value)) for index, value in enumerate(dice))
    with (folder / "metadata.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["case", "sex", "site"])
        rows.writerows((f"p{index:04d}", sex[index], site[index]) for index in range(n))
    return folder / "scores.csv", folder / "metadata.csv"


def audit_of(
    scores: Mapping[str, Sequence[float | None]],
    metadata: Mapping[str, Sequence[object]],
    *,
    lower: Sequence[str] = (),
    protocol: str | Protocol = "default",
    **settings: Any,
) -> AuditResult:
    """An audit of columns of scores and of metadata, with few resamples."""
    n = len(next(iter(scores.values())))
    cases = tuple(
        Case(f"p{index:04d}", metadata={name: column[index] for name, column in metadata.items()}) for index in range(n)
    )
    metrics = [
        dataclasses.replace(METRICS[name], name=name)
        if name in METRICS
        else Metric(name, "", "lower" if name in lower else "higher", f"{name}/as-given", "as given")
        for name in scores
    ]
    table = ScoreTable(
        tuple(metrics),
        tuple(
            CaseScore(case.id, {name: _value(column[index]) for name, column in scores.items()})
            for index, case in enumerate(cases)
        ),
    )
    settings = {"permutations": 499, "bootstrap": 400, "outcomes": (next(iter(scores)),), **settings}
    config = AuditConfig(load_protocol(protocol) if isinstance(protocol, str) else protocol, **settings)
    return run_audit(Cohort(cases, columns=tuple(metadata)), config, scores=table)


def found_only_beforehand() -> AuditResult:
    """An audit in which women are worse off beyond chance in the family of `--primary sex`, not in the whole lattice."""
    rng = np.random.default_rng(4)
    sex = np.where(np.arange(160) % 2 == 0, "F", "M")
    noise = {f"noise{index}": rng.choice(["a", "b", "c"], 160) for index in range(5)}
    result = audit_of(
        {"dsc": rng.normal(0.8, 0.06, 160) - 0.028 * (sex == "F")}, {"sex": sex, **noise}, primary=("sex",)
    )
    assert not any(row.significant for row in result.subgroups["dsc"])
    assert result.subgroups.primary_levels is not None
    assert all(row.significant for row in result.subgroups.primary_levels)
    return result


def with_scores(result: AuditResult, scores: Mapping[str, Sequence[float | None]]) -> AuditResult:
    """The same audit with other scores of its cases; what was found in the old ones stays as it is."""
    rows = result.cases.scores
    places = {name: rows.columns.index(name) for name in scores}
    made = []
    for index, row in enumerate(rows.rows):
        values = list(row)
        for name, place in places.items():
            values[place] = _value(scores[name][index])
        made.append(tuple(values))
    return changed(result, cases={"scores": dataclasses.replace(rows, rows=tuple(made))})


def _value(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
