"""Folds: every case tested once, no patient on both sides, drawn or given."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mitigation.data.test_splits import all_cases, random_table, table_of

from segfair.errors import ConfigError, InputError
from segfair.mitigation.data.folds import (
    ONLY_TRAINS,
    check_folds,
    fold_splits,
    load_folds,
    save_folds,
)
from segfair.mitigation.data.splits import Split, load_split, split_cases


@given(
    n=st.integers(12, 60),
    n_folds=st.integers(2, 5),
    per_patient=st.integers(1, 2),
    seed=st.integers(0, 99),
    data=st.data(),
)
@settings(max_examples=40, deadline=None)
def test_every_case_is_tested_once_and_no_patient_is_on_both_sides(n, n_folds, per_patient, seed, data):
    table = random_table(n, seed)
    subjects = {case: index // per_patient for index, case in enumerate(table.case_ids)}
    share = data.draw(st.sampled_from([None, 0.2, 0.34]))
    splits = fold_splits(table, n_folds=n_folds, seed=seed, subjects=subjects, validation_share=share)
    assert len(splits) == n_folds
    assert sorted(case for split in splits for case in split.test) == sorted(table.case_ids)
    for split in splits:
        assert all_cases(split) == sorted(table.case_ids)
        assert not split.left_out
        assert bool(split.validation) == (share is not None)
        sets = [{subjects[case] for case in part} for part in (split.train, split.validation, split.test)]
        assert sum(map(len, sets)) == len(set.union(*sets))


def test_joint_levels_spread_evenly_over_folds_and_within_them():
    first, second = [0] * 70 + [1] * 30, [0] * 40 + [1] * 30 + [0] * 20 + [1] * 10
    table = table_of(first, second)
    cells = dict(zip(table.case_ids, zip(first, second, strict=True), strict=True))
    for split in fold_splits(table, n_folds=5, seed=3, validation_share=0.25):
        expected = {(0, 0): 8, (0, 1): 6, (1, 0): 4, (1, 1): 2}
        assert Counter(cells[case] for case in split.test) == expected
        # A quarter of the other 80.
        assert Counter(cells[case] for case in split.validation) == expected


def test_the_first_fold_is_the_test_set_of_a_single_split():
    table = random_table(100, 0)
    splits = fold_splits(table, n_folds=5, seed=4, validation_share=None)
    assert splits[0].test == split_cases(table, seed=4, test_share=0.2).test
    assert splits == fold_splits(table, n_folds=5, seed=4, validation_share=None)
    assert splits != fold_splits(table, n_folds=5, seed=5, validation_share=None)
    assert splits[1].origin == "fold 2 of 5, drawn at random, by patient, balanced over joint attribute levels"


def test_cases_that_can_only_train_are_never_tested():
    table = random_table(40, 1)
    bound = table.case_ids[::4]
    subjects = {case: index // 2 for index, case in enumerate(table.case_ids)}
    splits = fold_splits(table, n_folds=4, seed=0, validation_share=0.3, train_only=bound, subjects=subjects)
    assert sorted(case for split in splits for case in split.test) == sorted(set(table.case_ids) - set(bound))
    for split in splits:
        assert not set(split.validation) & set(bound)
        # The other study of a patient who is tested, or validates, does not train.
        held = {subjects[case] for case in (*split.test, *split.validation)}
        assert set(split.left_out) == {case for case in bound if subjects[case] in held}
        assert not {subjects[case] for case in split.train} & held


def test_given_splits_are_taken_as_they_are():
    table = random_table(8, 2)
    a, b, c, d, e, f, g, h = table.case_ids
    given = {a: "10", b: "10", c: "2", d: "2", e: "9", f: "9", g: ONLY_TRAINS}
    splits = fold_splits(table, n_folds=None, seed=0, validation_share=None, given=given, train_only=[c])
    assert [split.test for split in splits] == [(c, d), (e, f), (a, b)]  # 2, 9, 10
    assert all(g in split.train for split in splits)
    assert [dict(split.left_out) for split in splits] == [{h: "not named by the given folds"}] * 3
    assert splits[0].train == (a, b, e, f, g)
    assert splits[2].origin == "fold 3 of 3, as given"


def test_a_patient_in_two_given_splits_is_told_and_never_learned_from():
    table = random_table(6, 3)
    a, b, c, d, e, f = table.case_ids
    given = {a: "0", b: "0", c: "1", d: "1", e: "2", f: "2"}
    splits = fold_splits(
        table, n_folds=3, seed=0, validation_share=None, given=given, subjects={a: "P7", c: "P7", e: "P8", f: "P8"}
    )
    assert dict(splits[0].left_out) == {c: "patient P7 is tested"}
    assert dict(splits[1].left_out) == {a: "patient P7 is tested"}
    assert not splits[2].left_out
    assert "1 patients have cases in several folds (patient P7)" in splits[2].origin


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_folds": 1}, "1 is no number of folds"),
        ({"n_folds": None}, "None is no number of folds"),
        ({"n_folds": 11}, "10 patients that can be tested are too few for 11 folds"),
        ({"n_folds": 4, "validation_share": 1.0}, "share of validation cases is 1; it must lie"),
        ({"n_folds": 2, "validation_share": 0.2, "subjects": dict.fromkeys(["c0000"], "x")}, ""),
        ({"n_folds": 5, "given": {"c0000": "a", "c0001": "b"}}, r"5 were asked for, and 2 are given \(a, b\)"),
        ({"n_folds": None, "given": {"c0000": "a", "c0001": "a"}}, "test cases in 1 folds"),
        ({"n_folds": None, "given": {"elsewhere": "a", "other": "b"}}, "test cases in 0 folds"),
        (
            {"n_folds": 2, "given": {"c0000": "a", "c0001": "b"}, "subjects": {"c0000": 1, "c0001": 1}},
            "fold 1 of 2, .*nothing is left to train on",
        ),
    ],
)
def test_folds_that_cannot_be_made(settings, message):
    settings = {"validation_share": None, **settings}
    if not message:
        assert len(fold_splits(random_table(10, 0), seed=0, **settings)) == 2
        return
    with pytest.raises(ConfigError, match=message):
        fold_splits(random_table(10, 0), seed=0, **settings)


def test_folds_survive_their_file(tmp_path: Path):
    table = random_table(30, 1)
    splits = fold_splits(table, n_folds=3, seed=2, validation_share=0.2)
    path = tmp_path / "splits.json"
    save_folds(splits, path)
    assert load_folds(path) == splits
    assert [entry.name for entry in tmp_path.iterdir()] == ["splits.json"]
    check_folds(splits, table.case_ids, n_folds=3)
    check_folds(splits, table.case_ids, n_folds=None)
    with pytest.raises(ConfigError, match="1 of its cases cannot be used now"):
        check_folds(splits, table.case_ids[1:], n_folds=3)
    with pytest.raises(ConfigError, match="5 were asked for, and the run has 3"):
        check_folds(splits, table.case_ids, n_folds=5)
    # One kind of file is not taken for the other.
    with pytest.raises(InputError, match="holds folds, not one split"):
        load_split(path)
    Split(("a",), ("b",), ("c",), "drawn", 0).save(path)
    with pytest.raises(InputError, match="holds one split and no folds"):
        load_folds(path)


def test_files_that_hold_no_folds(tmp_path: Path):
    path = tmp_path / "splits.json"
    fold = Split(("a",), (), ("b",), "drawn", 0).to_dict()
    for tree, error, message in (
        ({"format": 1, "folds": [fold]}, InputError, "reads folds of format 2"),
        ({"format": 2, "folds": [{"train": ["a"]}]}, InputError, "cannot be read as a split"),
        ({"format": 2, "folds": [fold, fold]}, InputError, "case b is tested by folds 0 and 1"),
        ({"format": 2, "folds": [fold | {"test": []}]}, ConfigError, "no case for test"),
        ([fold], InputError, "expected a JSON object"),
    ):
        path.write_text(json.dumps(tree))
        with pytest.raises(error, match=message):
            load_folds(path)
