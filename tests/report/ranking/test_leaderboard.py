"""The leaderboard's page data: verdict, what decides the order, and with private labels no case and no group."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from tests.report.hand_made import texts
from tests.report.ranking.hand_made import ALERTS, IDS, ONE_PATIENT, TEAMS, VARIANTS, made

from segfair.rank.result import Ranking, Variant
from segfair.report.ranking.leaderboard import leaderboard_data, without_folders


def data(ranking: Ranking, *, private: bool = False, command: str = "") -> dict[str, Any]:
    return leaderboard_data(ranking, pages={}, private=private, written="today", command=command)


def sections(ranking: Ranking, **how: Any) -> dict[str, Any]:
    return data(ranking, **how)["sections"]


def test_a_winner_is_named_with_what_it_was_measured_by() -> None:
    found = data(made())
    assert found["title"] == "Ranking of 3 teams"
    assert found["meta"] == "3 cases · ranked by TS · protocol mama-mia · written today"
    verdict = found["sections"]["verdict"]
    assert (verdict["kind"], verdict["tone"], verdict["reasons"]) == ("Winner: alpha", "better", [])
    assert [(fact["name"], fact["value"], fact["note"]) for fact in verdict["facts"]] == [
        ("First place", "alpha", "first in over 99 % of resampled cohorts"),
        ("Best TS", "0.9000", "95 % interval 0.8900 to 0.9100"),
        ("Empty masks would get", "0.5000", "0 teams below, 3 above"),
        ("Cases", "3", "the same for every team"),
    ]


def test_without_a_winner_the_reasons_stand_there() -> None:
    tied = tuple(dataclasses.replace(entry, value=0.9, rank=1, first=1 / 3) for entry in TEAMS)
    verdict = sections(made(standings=tied, left_out=(ONE_PATIENT,)))["verdict"]
    assert verdict["kind"] == "No winner can be declared"
    assert verdict["sentence"].startswith("The first place is shared by alpha, beta and gamma")
    assert any("leave out case P1" in reason for reason in verdict["reasons"][1:]), verdict["reasons"]
    assert verdict["facts"][0]["value"] == "alpha, beta"
    assert verdict["facts"][0]["note"] == "3 teams share it"


def test_what_moves_the_order_most_is_said_first() -> None:
    found = sections(made(left_out=(ONE_PATIENT,)))["order"]
    assert found["lead"] == (
        "Without case P1 (the only one with breast_density = a), 3 of 3 teams would have another rank, by up to "
        "2 places; no other rule or patient changes more."
    )
    assert texts(found["table"]) == [
        ["NormHD in voxels", "the same", "2", "1"],
        ["One patient left out (each of 3 in turn)", "changes without 1 patient", "up to 3", "up to 2"],
        ["Cases resampled (300 cohorts)", "alpha over 99 %, beta under 1 %, gamma under 1 %", "–",
         "1 (widest 95 % interval)"],
    ]  # fmt: skip
    assert texts(found["patients"]) == [["P1", "breast_density = a (n = 1)", "beta", "3", "2"]]
    # Another rule that moves more, and puts another team first.
    every_level = (VARIANTS[0], Variant("all levels", "levels", ("beta",), n_moved=3, largest_move=1))
    teams = tuple(
        dataclasses.replace(entry, ranks={**entry.ranks, "all levels": 1}, values={**entry.values, "all levels": 0.5})
        for entry in TEAMS
    )
    found = sections(made(standings=teams, variants=every_level))["order"]
    assert found["lead"].startswith("With all levels, 3 of 3 teams")
    assert texts(found["table"])[1][:2] == ["All levels", "beta"]
    assert found["table"]["rows"][1][1]["tone"] == "worse"
    assert sections(made(standings=TEAMS[:1]))["order"] is None


def test_where_nothing_moves_that_is_said() -> None:
    found = sections(made(variants=()))["order"]
    assert found["lead"] == "No other rule and no patient changes any rank."
    assert found["table"]["note"].startswith("No other definition of NormHD can be computed")
    assert "knows no other definition" in sections(made(variants=(), by="iou"))["order"]["table"]["note"]


def test_private_labels_name_no_case_no_group_and_no_command() -> None:
    excluded = dataclasses.replace(made().scores, excluded={"P9": "/secret/labels/P9.nii.gz: not a mask"})
    ranking = made(left_out=(ONE_PATIENT,), alerts=ALERTS, scores=excluded)
    told = json.dumps(data(ranking, private=True, command="segfair rank /secret"))
    for secret in (*IDS, "P9", "breast_density", "/secret"):
        assert secret not in told, secret
    found = sections(ranking, private=True)
    assert found["order"]["lead"].startswith("Without one patient, 3 of 3 teams")
    assert [group["texts"] for group in found["alerts"]["groups"]] == [
        ["2 predictions could not be used."],
        ["gamma: no prediction could be used."],
    ]
    # The organiser is told all of it, without the folders.
    told = json.dumps(data(ranking, command="segfair rank /secret"))
    for fact in ("P1", "P9.nii.gz: not a mask", "breast_density = a", "segfair rank /secret"):
        assert fact in told, fact
    assert "/secret/labels" not in told
    assert without_folders("/secret/labels/P9.nii.gz: not a mask", ranking) == "P9.nii.gz: not a mask"


def test_the_rule_that_ranks_is_spelt_out() -> None:
    weight = made().config.protocol.fairness.weight
    (text, *_) = sections(made())["method"]["texts"]
    assert text.startswith(f"TS = {1 - weight:g} × PS + {weight:g} × FS")
    (text, *_) = sections(made(by="iou"))["method"]["texts"]
    assert text == "Teams are ranked by their mean IoU over all cases."
