"""Case weights from an audit: who is harmed weighs more, by items, under any ids."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import segfair
from segfair.audit.result import AuditConfig, AuditResult
from segfair.cases import Case, Cohort
from segfair.errors import ConfigError, InputError
from segfair.mitigation.weighting.one_shot import CAP, TEMPERATURE, one_shot_weights, read_weights
from segfair.protocol.rules import load_protocol
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable


@pytest.fixture(scope="module")
def audit() -> AuditResult:
    rng = np.random.default_rng(0)
    site = rng.choice(["A", "B", "C"], 200)
    dsc = np.clip(rng.normal(0.8, 0.05, 200) - 0.3 * (site == "B"), 0, 1)
    ids = [f"v{index}" for index in range(200)]
    cohort = Cohort(
        tuple(Case(case, metadata={"site": str(place)}) for case, place in zip(ids, site, strict=True)),
        columns=("site",),
    )
    scores = tuple(CaseScore(case, {"dsc": float(value)}) for case, value in zip(ids, dsc, strict=True))
    config = AuditConfig(load_protocol("default"), permutations=99, bootstrap=100)
    return segfair.run_audit(cohort, config, scores=ScoreTable((METRICS["dsc"],), scores))


def test_the_harmed_weigh_more_and_the_mean_is_one(audit: AuditResult, tmp_path: Path) -> None:
    table = tmp_path / "train.csv"
    table.write_text("id,site\n" + "".join(f"t{i},{'ABC'[i % 3]}\n" for i in range(30)) + "t30,new\n")
    weights = one_shot_weights(audit, table, id_column="id")
    by_site = {"ABC"[i % 3]: weights[f"t{i}"] for i in range(30)}
    assert by_site["B"] > 2 * by_site["A"]
    assert by_site["A"] == pytest.approx(by_site["C"])
    assert weights["t30"] == 1.0, "a site the audit has not seen is in no subgroup"
    assert weights.array.mean() == pytest.approx(1.0)
    assert weights.array.max() <= CAP
    setter = weights.setter("t1")
    assert setter is not None
    assert setter.items == {("site", "B")}


@pytest.mark.parametrize("certain", [True, False])
def test_weights_follow_the_shrunken_divergence_where_there_is_one(
    audit: AuditResult, tmp_path: Path, certain: bool
) -> None:
    (tmp_path / "m.csv").write_text("id,site\n" + "".join(f"t{i},{'AAAB'[i % 4]}\n" for i in range(40)))
    table = audit.subgroups["dsc"]
    given = {"site = A": (0.05, 0.01), "site = B": (-0.4, -0.2), "site = C": (0.05, 0.01)}
    rows = [
        dataclasses.replace(
            row,
            divergence=given[row.subgroup.name][0],
            divergence_shrunk=given[row.subgroup.name][1] if certain else None,
        )
        for row in table.rows
    ]
    tables = {**audit.subgroups.tables, "dsc": dataclasses.replace(table, rows=tuple(rows))}
    changed = dataclasses.replace(audit, subgroups=dataclasses.replace(audit.subgroups, tables=tables))
    weights = one_shot_weights(changed, tmp_path / "m.csv", id_column="id")
    assert weights["t3"] / weights["t0"] == pytest.approx(np.exp(TEMPERATURE * (0.2 if certain else 0.4)))


def test_a_folds_training_cases_are_weighted(audit: AuditResult, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,site\n" + "".join(f"t{i},{'AB'[i % 2]}\n" for i in range(6)))
    (tmp_path / "splits.json").write_text(json.dumps([{"train": ["t0", "t1", "t2"], "val": ["t3"]}]))
    weights = one_shot_weights(audit, tmp_path / "m.csv", cases=f"{tmp_path / 'splits.json'}:0")
    assert list(weights) == ["t0", "t1", "t2"]


def test_the_sheet_that_holds_the_cases_is_taken(audit: AuditResult, tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "m.xlsx") as book:
        pd.DataFrame({"model": ["x", "y"], "site": ["A", "A"]}).to_excel(book, sheet_name="analysis", index=False)
        table = pd.DataFrame({"id": ["t0", "t1"], "site": ["A", "B"]})
        table.to_excel(book, sheet_name="info", index=False)
    (tmp_path / "ids.txt").write_text("t0\nt1\n")
    weights = one_shot_weights(audit, tmp_path / "m.xlsx", cases=str(tmp_path / "ids.txt"))
    assert weights["t1"] > 2 * weights["t0"]


def test_what_is_missing_is_named(audit: AuditResult, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("id,site\nt0,A\nt1,B\n")
    (tmp_path / "ids.txt").write_text("t0\nt9\n")
    with pytest.raises(ConfigError, match="--id-column"):
        one_shot_weights(audit, tmp_path / "m.csv")
    with pytest.raises(InputError, match="t9"):
        one_shot_weights(audit, tmp_path / "m.csv", cases=str(tmp_path / "ids.txt"))


def test_weights_come_back_from_their_table(tmp_path: Path) -> None:
    table = tmp_path / "weights.csv"
    table.write_text("case,weight\na,0\nb,1.5\n")
    assert read_weights(table) == {"a": 0.0, "b": 1.5}
    for text, said in (
        ("case,weight\na,-0.5\nb,1\n", "every weight has to be a number of at least 0"),
        ("case,weight\na,much\nb,1\n", "every weight has to be a number of at least 0"),
        ("case,weight\na,0\nb,0\n", "all are 0, so no case would ever be drawn"),
        ("case,share\na,1\n", "expected the columns case and weight, got case, share"),
    ):
        table.write_text(text)
        with pytest.raises(InputError, match=said):
            read_weights(table)
