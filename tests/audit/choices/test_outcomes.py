"""Which metrics an audit judges: names in any letter case, and signed ones by their absolute value."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from tests.audit.made_up_audits import DEFAULT, audit

from segfair.audit.choices.outcomes import absolute_name, resolve_outcomes, with_absolute
from segfair.errors import ConfigError
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable

SIGNED = METRICS["relative_volume_error"]


def test_an_unknown_outcome_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"outcome assd_mm: not among the scored metrics.*; there are dsc, normhd"):
        audit(dataclasses.replace(DEFAULT, outcomes=("assd_mm",)), dsc=np.linspace(0, 1, 20), sex=["f", "m"] * 10)
    with pytest.raises(ConfigError, match="outcome volume: rates no prediction; there are dsc"):
        resolve_outcomes(dataclasses.replace(DEFAULT, outcomes=("volume",)), (METRICS["dsc"], METRICS["volume"]))
    taken = dataclasses.replace(METRICS["dsc"], name="case")
    with pytest.raises(ConfigError, match=r"score column case: audit\.json uses that name itself"):
        resolve_outcomes(DEFAULT, (METRICS["dsc"], taken))


def test_a_signed_metric_is_judged_by_its_absolute_value() -> None:
    name = absolute_name(SIGNED.name)
    asked = dataclasses.replace(DEFAULT, outcomes=("DSC", SIGNED.name, name), margin={SIGNED.name: 0.1})
    config, (notice,) = resolve_outcomes(asked, (METRICS["dsc"], SIGNED))
    assert config.outcomes == ("dsc", name), "asked for twice, judged once"
    assert config.margin == {name: 0.1}
    assert notice.startswith(f"{SIGNED.name} is signed, and best at zero")
    rows = tuple(CaseScore(case, {"dsc": 0.5, SIGNED.name: value}) for case, value in (("a", -0.25), ("b", None)))
    table = with_absolute(ScoreTable((METRICS["dsc"], SIGNED), rows), config.outcomes)
    assert table.names == ("dsc", SIGNED.name, name)
    assert table.column(name) == [0.25, None]
    assert table.metrics[-1].better == "lower"
    assert table.metrics[-1].definition == f"absolute/{SIGNED.definition}"


def test_without_a_signed_outcome_the_scores_stay_as_they_are() -> None:
    table = ScoreTable((METRICS["dsc"],), (CaseScore("a", {"dsc": 0.5}),))
    assert with_absolute(table, ("dsc",)) is table
