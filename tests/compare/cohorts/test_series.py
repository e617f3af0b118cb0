"""Audits over time: since when a group drifts, and that nobody does where nothing changed."""

from __future__ import annotations

import json

import jsonschema
import pytest

from segfair.compare.cohorts.series import follow
from segfair.compare.schema import monitor_schema
from segfair.errors import ConfigError

NAMES = ("Q1", "Q2", "Q3", "Q4")


def test_the_first_audit_at_which_a_group_drifts(quarter) -> None:
    audits = [quarter(21), quarter(22), quarter(23, deficit=0.15), quarter(24, deficit=0.15)]
    found = follow(audits, names=NAMES)
    groups = {tuple(sorted(entry.items.items())): entry for entry in found.groups}
    site = groups[(("site", "C"),)]
    assert site.first == 2 and site.to_worse
    assert [point.beyond for point in site.points] == [False, False, True, True]
    point = site.points[2]
    assert point.limits is not None and point.mean is not None and point.mean < point.limits[0]
    assert point.p_adjusted is not None and point.p_adjusted <= 0.05
    assert site.points[0].limits is None
    assert groups[(("site", "A"),)].first is None
    assert found.groups[0].first is not None, "who drifts comes first"
    assert "first in Q3" in found.sentence


def test_nobody_drifts_where_nothing_changed(quarter) -> None:
    found = follow([quarter(seed) for seed in (31, 32, 33, 34)], names=NAMES)
    assert found.drifting == ()
    assert found.sentence == "No drift beyond chance in 3 audits after the baseline."
    tested = [
        min((point.p_adjusted for point in entry.points if point.p_adjusted is not None), default=None)
        for entry in found.groups
    ]
    known = [p_value for p_value in tested if p_value is not None]
    assert known == sorted(known) and len(set(known)) > 1, "who came closest to a drift comes first"
    assert tested[len(known) :] == [None] * (len(tested) - len(known)), "and who was not tested last"


def test_several_audits_are_one_baseline(quarter) -> None:
    audits = [quarter(41, n=40), quarter(42, n=40), quarter(43, n=40, shift=-0.08)]
    alone, together = follow(audits, names=NAMES[:3]), follow(audits, names=NAMES[:3], n_baseline=2)
    assert together.everybody.points[1].limits is None
    assert together.everybody.first == 2
    limits = [series.everybody.points[2].limits for series in (alone, together)]
    assert limits[0] is not None and limits[1] is not None
    assert limits[1][1] - limits[1][0] < limits[0][1] - limits[0][0], "a larger baseline is known better"


def test_drift_to_the_better_is_drift(quarter) -> None:
    found = follow([quarter(51), quarter(52, shift=0.08)], names=NAMES[:2])
    assert found.everybody.first == 1 and not found.everybody.to_worse
    assert "to the better" in found.sentence


def test_the_file_is_as_its_schema_says(quarter) -> None:
    tree = follow([quarter(61, n=40), quarter(62, n=40)], names=NAMES[:2]).to_dict()
    jsonschema.Draft202012Validator(monitor_schema()).validate(json.loads(json.dumps(tree)))


def test_a_baseline_needs_something_after_it(quarter) -> None:
    audits = [quarter(71, n=40), quarter(72, n=40)]
    with pytest.raises(ConfigError, match="has to follow the baseline"):
        follow(audits, names=NAMES[:2], n_baseline=2)
