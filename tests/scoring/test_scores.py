"""A table of scores, and the definitions of what stands in it."""

from __future__ import annotations

import numpy as np
import pytest
from tests.scoring.label_maps import DEFAULT, EMPTY, MAMA_MIA, REGIONS, values

from segfair.cases import Cohort
from segfair.errors import ConfigError
from segfair.scoring.cohort import score_cohort
from segfair.scoring.metrics import METRICS
from segfair.scoring.scores import CaseScore, ScoreTable, protocol_metrics


def test_a_table_counts_what_is_undefined() -> None:
    table = ScoreTable(
        (METRICS["dsc"], METRICS["precision"]),
        (
            CaseScore("a", {"dsc": 0.5, "precision": None}),
            CaseScore("b", {"dsc": 0.0, "precision": 0.25}, penalised="gone"),
        ),
    )
    where, found = table.defined("precision")
    assert (where.tolist(), found.tolist()) == ([1], [0.25])
    assert (where.dtype, found.dtype) == (np.intp, np.float64)
    assert (table.n_undefined("dsc"), table.n_undefined("precision")) == (0, 1)
    assert table.better("dsc") == "higher"
    frame = table.to_frame()
    assert frame["case"].tolist() == ["a", "b"]
    assert frame["precision"].isna().tolist() == [True, False]
    assert str(frame["precision"].dtype) == str(frame["dsc"].dtype) == "Float64"
    assert frame["penalised"].tolist() == ["", "gone"]


def test_definitions_follow_the_protocol() -> None:
    ours, challenge = ({metric.name: metric for metric in protocol_metrics(p)} for p in (DEFAULT, MAMA_MIA))
    assert tuple(ours) == DEFAULT.metrics
    assert ours["hd95_mm"].definition == "hd95/max-of-directed-p95/face-6/mm/border-background/label-1"
    assert challenge["hd95_vox"].definition == (
        "hd95/max-of-directed-p95/face-6/voxels/border-no-neighbour/every-label-border"
    )
    assert challenge["normhd"].definition.startswith("normhd/over-150/not-clipped/hd95/max-of-directed-p95")
    assert ours["dsc"].empty_rule == "both empty: 1; one empty: 0"
    assert challenge["dsc"].empty_rule == "both empty: 0; one empty: 0"
    assert "diagonal" in ours["hd95_mm"].empty_rule
    assert challenge["hd95_vox"].empty_rule.endswith("one has none: undefined")
    regions = {metric.name: metric for metric in protocol_metrics(REGIONS)}
    assert regions["dsc"].definition == "mean-over-regions[whole,core]/dsc/2tp-over-2tp+fp+fn"
    assert regions["dsc_core"].definition == "dsc/2tp-over-2tp+fp+fn/label-2"
    assert regions["volume"].definition == "volume/label/mm3/label-1,2"
    assert regions["dsc_core"].better == "higher"
    table = ScoreTable(protocol_metrics(DEFAULT), ())
    assert (table.better("normhd"), table.better("volume")) == ("lower", "higher")


def test_an_unknown_metric_is_refused() -> None:
    protocol = DEFAULT.replace(metrics=("dsc", "dice"))
    for call in (
        lambda: protocol_metrics(protocol),
        lambda: score_cohort(Cohort(()), protocol),
        lambda: values(EMPTY, EMPTY, protocol),
    ):
        with pytest.raises(ConfigError, match="no metric dice; known are dsc, hd95_vox"):
            call()
