"""Alerts about levels that may be one, and the line that joins them."""

from __future__ import annotations

import dataclasses
import shlex

import numpy as np
from tests.attributes.test_nesting import MENOPAUSE, SITE
from tests.audit.made_up_audits import DEFAULT, audit, made_up

from segfair.attributes.fit import fit_attributes
from segfair.attributes.joins import parse_join
from segfair.audit.level_alerts import level_alerts

EARLY, LATE = "pre (<6 months since LMP, or = 0)", "pre (< 6 months since LMP, or = 0)"


def told(**columns: list[object]) -> list[tuple[str, str]]:
    cohort, _ = made_up(np.full(len(next(iter(columns.values()))), 0.5), **columns)
    table = fit_attributes(cohort, protocol=DEFAULT.protocol).apply(cohort)
    return [(alert.kind, alert.text) for alert in level_alerts(table, cohort, min_cases=10)]


def test_the_line_of_the_alert_is_one_that_a_shell_and_the_option_take() -> None:
    values = [EARLY] * 6 + [LATE] * 4 + ["post"] * 10
    ((kind, text),) = told(**{"meno:pause": values})
    assert kind == "spelling"
    assert f"meno:pause = {EARLY} (n = 6) and meno:pause = {LATE} (n = 4) may be one level" in text
    option, line = shlex.split(text[text.index("--join") :])
    join = parse_join(line)
    assert (option, join.column, join.texts, join.level) == ("--join", "meno:pause", (EARLY, LATE), EARLY)
    assert told(**{"meno:pause": [EARLY if value == LATE else value for value in values]}) == []


def test_levels_that_are_cut_to_one_label() -> None:
    long = "anthracycline and taxane and trastuzumab "
    ((kind, text),) = told(therapy=[f"{long}weekly", f"{long}monthly", "none"] * 10)
    assert kind == "spelling" and text.startswith("2 levels of therapy look the same where they are cut, as anthra")
    assert "--join" in text


def test_ordinary_tables_have_no_alert() -> None:
    rng = np.random.default_rng(0)
    columns = {
        "site": ["DUKE", "NACT", "ISPY1", "ISPY2"],
        "her2": ["0", "1+", "2+", "3+"],
        "stage": ["T1", "T2", "T3"],
        "density": list("abcd"),
        "side": ["left", "right"],
        "er": ["positive", "negative"],
        "grade": [1.0, 2.0, 3.0],
        "age": [float(age) for age in range(30, 80)],
    }
    assert (
        told(**{name: rng.choice(np.array(levels, dtype=object), 400).tolist() for name, levels in columns.items()})
        == []
    )


def test_a_level_inside_another_is_told_with_both_sizes() -> None:
    texts = [text for kind, text in told(menopause=MENOPAUSE, site=SITE) if kind == "nested"]
    assert (
        "All 20 cases of menopause = pre are of site = Duke (n = 40): what is found in the first may be due to the "
        "second."
    ) in texts


def test_at_most_a_handful_is_told_and_the_rest_counted() -> None:
    place = [f"p{index // 25}" for index in range(200)]
    columns = {
        f"k{number}": ["x" if index < 12 + number else "yz"[(index + number) % 2] for index in range(200)]
        for number in range(8)
    }
    texts = [text for kind, text in told(place=place, **columns) if kind == "nested"]
    assert len(texts) == 6
    assert "further pairs of attributes have levels inside levels" in texts[-1]


def test_an_audit_tells_them_and_a_join_mends_it() -> None:
    rng = np.random.default_rng(1)
    menopause = [EARLY] * 31 + [LATE] * 29 + ["post"] * 60
    dsc = rng.normal(0.8, 0.05, 120)
    (alert,) = [alert for alert in audit(dsc=dsc, menopause=menopause).verdict.alerts if alert.kind == "spelling"]
    join = parse_join(shlex.split(alert.text[alert.text.index("--join") :])[1])
    mended = audit(dataclasses.replace(DEFAULT, join=(join,)), dsc=dsc, menopause=menopause)
    assert not [alert for alert in mended.verdict.alerts if alert.kind == "spelling"]
    assert [level.level for level in mended.attributes.facts[0].levels] == ["post", EARLY]
