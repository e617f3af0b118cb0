"""What a cohort could show, from its metadata alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from tests.audit.made_up_audits import DEFAULT

from segfair.audit.judging.power import load_patients, pilot_spread, plan_power
from segfair.errors import ConfigError


def patients(path: Path, n_women: int, n_men: int) -> Path:
    rows = [*["f"] * n_women, *["m"] * n_men]
    path.write_text("id,sex\n" + "".join(f"p{index},{sex}\n" for index, sex in enumerate(rows)))
    return path


def test_every_row_is_a_patient(tmp_path: Path) -> None:
    cohort = load_patients(patients(tmp_path / "meta.csv", 2, 1))
    assert cohort.ids == ("row 1", "row 2", "row 3")
    assert cohort.columns == ("id", "sex")
    assert cohort.column("sex") == ["f", "f", "m"]
    assert all(case.label is None for case in cohort)


def test_the_spread_of_a_pilot_is_its_sample_deviation(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("case,dsc,note\na,0.5,x\nb,0.7,y\nc,,z\nd,0.9,\n")
    assert pilot_spread(path, outcome="dsc") == pytest.approx(0.2)
    with pytest.raises(ConfigError, match="no column hd95; there are case, dsc, note"):
        pilot_spread(path, outcome="hd95")
    with pytest.raises(ConfigError, match="column note: 0 numbers, a spread takes two"):
        pilot_spread(path, outcome="note")


def test_more_patients_show_smaller_gaps_and_too_few_show_none(tmp_path: Path) -> None:
    config = dataclasses.replace(DEFAULT, attributes=("sex",))
    small, large = (
        plan_power(load_patients(patients(tmp_path / "meta.csv", n, n)), config, sd=0.18) for n in (40, 400)
    )
    gaps = [[entry.detectable_gap for entry in powers] for powers, _, _ in (small, large)]
    assert [(entry.attribute, entry.level, entry.n) for entry in small[0]] == [("sex", "f", 40), ("sex", "m", 40)]
    assert gaps[0][0] == pytest.approx(gaps[0][1]), "equally many on both sides"
    # Ten times the patients: the square root of ten.
    assert gaps[0][0] / gaps[1][0] == pytest.approx(10**0.5, rel=0.15)
    powers, critical, search = plan_power(load_patients(patients(tmp_path / "meta.csv", 3, 40)), config, sd=0.18)
    assert [entry.level for entry in powers if entry.detectable_gap is None] == ["f", "m"]
    assert critical is None
    assert search.n_tested in (None, 0)
