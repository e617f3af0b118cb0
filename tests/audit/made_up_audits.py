"""Cohorts without masks and their scores, made up for a purpose, and audits of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import segfair
from segfair.audit.result import AuditConfig, AuditResult
from segfair.cases import Case, Cohort
from segfair.protocol.rules import load_protocol
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable

DEFAULT = AuditConfig(load_protocol("default"), permutations=199, bootstrap=200)


def made_up(dsc: np.ndarray, normhd: np.ndarray | None = None, **columns: list[object]) -> tuple[Cohort, ScoreTable]:
    """A cohort without masks and its scores."""
    ids = [f"c{index:04d}" for index in range(len(dsc))]
    cases = tuple(
        Case(case, metadata={name: values[index] for name, values in columns.items()}) for index, case in enumerate(ids)
    )
    normhd = 1 - dsc if normhd is None else normhd
    scores = tuple(
        CaseScore(case, {"dsc": float(a), "normhd": float(b)}) for case, a, b in zip(ids, dsc, normhd, strict=True)
    )
    table = ScoreTable((METRICS["dsc"], METRICS["normhd"]), scores)
    return Cohort(cases, columns=tuple(columns)), table


def audit(config: AuditConfig = DEFAULT, **made: object) -> AuditResult:
    cohort, scores = made_up(**made)  # type: ignore[arg-type]
    return segfair.run_audit(cohort, config, scores=scores)


def changed(result: AuditResult, **parts: dict[str, Any]) -> AuditResult:
    """The result with other fields in its parts: `changed(result, about={"inputs": {}})`."""
    made = {name: dataclasses.replace(getattr(result, name), **fields) for name, fields in parts.items()}
    return dataclasses.replace(result, **made)


def planted(rng: np.random.Generator, n_cases: int, deficit: float) -> dict[str, object]:
    sex, site = rng.choice(["f", "m"], n_cases), rng.choice(["A", "B", "C"], n_cases)
    dsc = rng.normal(0.8, 0.08, n_cases) - deficit * ((sex == "f") & (site == "B"))
    return {"dsc": np.clip(dsc, 0, 1), "sex": sex.tolist(), "site": site.tolist()}
