"""Two audits of different patients: a mix that changed, a group that became worse, and nothing."""

from __future__ import annotations

import dataclasses
import json

import jsonschema
import numpy as np
import pytest

from segfair.compare.cohorts.procedure import compare_cohorts
from segfair.compare.schema import cohorts_schema
from segfair.errors import ConfigError, InputError
from segfair.handover.disclosure import share


def test_a_mix_that_changed_is_told_from_a_model_that_became_worse(quarter) -> None:
    """Site C is 0.1 behind in both; only its share grows from a fifth to a half: 0.03 of crude difference, 0 at one mix."""
    found = compare_cohorts(quarter(1, n=240, share=0.2), quarter(2, n=240, share=0.5))
    assert found.crude.ci is not None and found.crude.ci[1] < 0
    common = found.standardised
    assert common is not None and common.difference.ci is not None
    assert common.difference.ci[0] < 0 < common.difference.ci[1]
    assert abs(common.difference.value) < 0.6 * abs(found.crude.value)
    assert common.attributes == ("site", "sex")
    assert 150 < common.effective_before < 240
    first = found.mix[0]
    assert first.attribute == "site" and first.p_adjusted <= 0.05 < found.mix[1].p_adjusted
    grown = {entry.level: entry for entry in first.levels}["C"]
    assert grown.ci[0] > 0
    assert grown.share_after == grown.n_after / 240
    assert "with one mix of patients" in found.verdict.sentence


def test_a_group_that_became_worse_is_found_and_comes_first(quarter) -> None:
    found = compare_cohorts(quarter(3), quarter(4, deficit=0.12), names=("Q1", "Q2"))
    assert found.verdict.kind == "worse for some"
    first = found.subgroups[0]
    assert found.changed(worse=True)[0] == first
    assert ("site", "C") in first.pairs
    whole = next(entry for entry in found.subgroups if dict(entry.items) == {"site": "C"})
    assert whole.difference is not None and whole.difference.p_value is not None and whole.difference.p_value <= 0.01
    assert whole.before is not None and whole.after is not None
    assert whole.difference.value == pytest.approx(whole.after - whole.before)
    assert whole.gap_difference is not None and whole.gap_difference.value < -0.05
    assert "in Q2 and" in found.verdict.sentence
    assert found.changed(worse=False) == ()


def test_nothing_is_shown_where_nothing_changed(quarter) -> None:
    found = compare_cohorts(quarter(5), quarter(6))
    assert found.verdict.kind == "no difference shown"
    assert all(entry.p_adjusted > 0.05 for entry in found.mix)


def test_the_mean_by_hand(quarter) -> None:
    one, other = quarter(7, n=60), quarter(8, n=90)
    found = compare_cohorts(one, other)
    means = [np.mean(result.cases.scores.column("dsc")) for result in (one, other)]
    assert (found.mean_before, found.mean_after) == pytest.approx(tuple(means))
    assert found.crude.value == pytest.approx(means[1] - means[0])
    assert (found.before.n_scored, found.after.n_scored) == (60, 90)


def test_levels_of_one_cohort_alone_are_left_out_of_the_common_mix(quarter) -> None:
    """Without a patient of site C in the first cohort, site C counts in no standardised mean."""
    found = compare_cohorts(quarter(9, share=0.0), quarter(10, share=0.4))
    common = found.standardised
    assert common is not None
    assert common.left_out == ("site = C",)
    assert common.n_before == 160 and common.n_after < 120
    assert common.difference.ci is not None and common.difference.ci[0] < 0 < common.difference.ci[1]
    lone = next(entry for entry in found.subgroups if dict(entry.items) == {"site": "C"})
    assert (lone.n_before, lone.before, lone.difference) == (0, None, None)


def test_the_file_is_as_its_schema_says(quarter) -> None:
    tree = compare_cohorts(quarter(11, n=60), quarter(12, n=60)).to_dict()
    jsonschema.Draft202012Validator(cohorts_schema()).validate(json.loads(json.dumps(tree)))


def test_what_cannot_be_compared_says_why(quarter) -> None:
    one, other = quarter(13, n=60), quarter(14, n=60)
    with pytest.raises(ConfigError, match="hd95"):
        compare_cohorts(one, other, outcome="hd95")
    with pytest.raises(InputError, match="without the scores of its cases"):
        compare_cohorts(one, share(other))
    mama_mia = dataclasses.replace(
        other,
        about=dataclasses.replace(other.about, config=dataclasses.replace(other.about.config, protocol="mama-mia")),
    )
    with pytest.raises(InputError, match="other rules"):
        compare_cohorts(one, mama_mia)


def test_cases_of_the_same_name_are_told(quarter) -> None:
    found = compare_cohorts(quarter(15, n=60), quarter(15, n=60))
    assert "60 cases of the same name in both audits" in found.notices[0]
