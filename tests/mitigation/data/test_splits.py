"""Three disjoint sets of patients, alike in their attributes."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

from segfair.attributes.fit import Attribute, AttributeTable
from segfair.errors import ConfigError, InputError
from segfair.mitigation.data.splits import Split, load_split, split_cases


def table_of(*columns: list[int]) -> AttributeTable:
    ids = tuple(f"c{index:04d}" for index in range(len(columns[0])))
    attributes = tuple(
        Attribute(f"a{number}", tuple(map(str, range(max(codes) + 1))), np.array(codes, np.int16), "x", "as they are")
        for number, codes in enumerate(columns)
    )
    return AttributeTable(ids, attributes, {})


def random_table(n: int, seed: int) -> AttributeTable:
    rng = np.random.default_rng(seed)
    return table_of(*(rng.choice(k, n, p=rng.dirichlet(np.ones(k))).tolist() for k in (5, 3, 4)))


def all_cases(split: Split) -> list[str]:
    return sorted((*split.train, *split.validation, *split.test, *split.left_out))


@pytest.mark.parametrize("n", [5, 6, 17, 60, 301])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_case_is_in_one_set(n, seed):
    table = random_table(n, seed)
    split = split_cases(table, seed=seed)
    assert all_cases(split) == list(table.case_ids)
    assert not split.left_out
    if n >= 60:
        assert len(split.test) == pytest.approx(n / 5, abs=2)
        assert len(split.validation) == pytest.approx(n / 5, abs=2)


def test_joint_levels_spread_as_evenly_as_whole_cases_can():
    # 4 cells of 40, 30, 20 and 10 cases: a fifth of each in test and in validation.
    first = [0] * 70 + [1] * 30
    second = [0] * 40 + [1] * 30 + [0] * 20 + [1] * 10
    table = table_of(first, second)
    split = split_cases(table, seed=3)
    cells = dict(zip(table.case_ids, zip(first, second, strict=True), strict=True))
    expected = {(0, 0): 8, (0, 1): 6, (1, 0): 4, (1, 1): 2}
    assert Counter(cells[case] for case in split.test) == expected
    assert Counter(cells[case] for case in split.validation) == expected


def test_rare_joint_levels_are_balanced_over_their_first_attribute():
    # Every joint level occurs once or twice; the first attribute alone can be balanced, and is.
    first = [0] * 50 + [1] * 50
    table = table_of(first, [index % 50 for index in range(100)])
    split = split_cases(table, seed=0)
    levels = dict(zip(table.case_ids, first, strict=True))
    assert Counter(levels[case] for case in split.test) == {0: 10, 1: 10}
    assert Counter(levels[case] for case in split.validation) == {0: 10, 1: 10}


def test_seeds_decide_and_repeat():
    table = random_table(100, 0)
    assert split_cases(table, seed=1) == split_cases(table, seed=1)
    assert split_cases(table, seed=1).test != split_cases(table, seed=2).test


def test_no_patient_is_in_two_sets():
    table = random_table(90, 1)
    subjects = {case: index // 3 for index, case in enumerate(table.case_ids)}
    split = split_cases(table, seed=0, subjects=subjects)
    sets = [{subjects[case] for case in part} for part in (split.train, split.validation, split.test)]
    assert sum(map(len, sets)) == len(set.union(*sets)) == 30
    assert all_cases(split) == list(table.case_ids)


def test_a_missing_patient_number_is_a_patient_of_its_own():
    table = random_table(40, 2)
    # A case id that equals somebody's patient number is not that patient.
    subjects = dict.fromkeys(table.case_ids) | {"c0001": "c0000"}
    split = split_cases(table, seed=0, subjects=subjects)
    assert len(split.test) == pytest.approx(8, abs=1)


def test_the_data_sets_own_test_cases_test():
    table = random_table(60, 3)
    ids = table.case_ids
    given = {case: "test" if index < 20 else "train" for index, case in enumerate(ids[:55])}
    split = split_cases(table, seed=0, given=given, validation_share=0.25)
    assert split.test == ids[:20]
    assert set(split.train) | set(split.validation) == set(ids[20:55])
    assert len(split.validation) == pytest.approx(35 / 4, abs=1)
    assert dict(split.left_out) == dict.fromkeys(ids[55:], "not named by the data set's own split")
    assert "the data set's own" in split.origin


def test_a_training_case_of_a_tested_patient_is_left_out():
    table = random_table(30, 4)
    ids = table.case_ids
    given = {case: "test" if index < 6 else "train" for index, case in enumerate(ids)}
    subjects = dict.fromkeys(ids) | {ids[0]: 7, ids[10]: 7}
    split = split_cases(table, seed=0, given=given, subjects=subjects)
    assert dict(split.left_out) == {ids[10]: "patient 7 is tested"}
    assert all_cases(split) == list(ids)


def test_cases_without_metadata_only_train():
    table = random_table(50, 5)
    bound = table.case_ids[::5]
    split = split_cases(table, seed=0, train_only=bound)
    assert set(bound) <= set(split.train)
    assert all_cases(split) == list(table.case_ids)
    subjects = {case: index // 2 for index, case in enumerate(table.case_ids)}
    split = split_cases(table, seed=0, train_only=bound, subjects=subjects)
    for case in bound:
        assert case in split.train or split.left_out[case].split(" ", 2)[2] in ("is tested", "validates")
    sets = [{subjects[case] for case in part} for part in (split.train, split.validation, split.test)]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])


def test_without_attributes_the_draw_is_by_patient_alone():
    table = AttributeTable(tuple(f"c{index}" for index in range(20)), (), {})
    split = split_cases(table, seed=0)
    assert len(split.test) == len(split.validation) == 4


@pytest.mark.parametrize("shares", [(0.0, 0.2), (0.5, 0.5), (0.2, 1.0)])
def test_shares_that_leave_nothing(shares):
    with pytest.raises(ConfigError, match="must lie in"):
        split_cases(random_table(20, 0), seed=0, test_share=shares[0], validation_share=shares[1])


def test_too_few_patients():
    for n in (1, 2):
        with pytest.raises(ConfigError, match="patients are too few"):
            split_cases(random_table(n, 0), seed=0)
    table = random_table(20, 0)
    with pytest.raises(ConfigError, match="patients are too few"):
        split_cases(table, seed=0, subjects=dict.fromkeys(table.case_ids, "one"))
    with pytest.raises(ConfigError, match="none of the cases"):
        split_cases(table, seed=0, given=dict.fromkeys(table.case_ids, "test"))


def test_parts_that_a_data_set_brings_are_kept_and_divide_no_patient():
    table = random_table(40, 0)
    given = dict(zip(table.case_ids, [*["train"] * 24, *["validation"] * 8, *["test"] * 8], strict=True))
    split = split_cases(table, seed=0, given=given)
    for part in ("train", "validation", "test"):
        assert set(getattr(split, part)) == {case for case, named in given.items() if named == part}
    assert split.origin == "test and validation cases are the data set's own"
    first, middle, last = table.case_ids[0], table.case_ids[24], table.case_ids[-1]
    learned, checked = table.case_ids[1], table.case_ids[25]
    subjects = {first: "p", middle: "p", last: "p", learned: "q", checked: "q"}
    split = split_cases(table, seed=0, given=given, subjects=subjects)
    assert split.left_out == {
        first: "patient p is tested",
        middle: "patient p is tested",
        learned: "patient q validates",
    }
    assert last in split.test
    assert checked in split.validation


def test_a_part_that_a_data_set_lacks_is_drawn_from_its_training_cases():
    table = random_table(40, 0)
    given = dict(zip(table.case_ids, [*["train"] * 30, *["validation"] * 10], strict=True))
    split = split_cases(table, seed=0, given=given)
    assert set(split.validation) == set(table.case_ids[30:])
    assert 5 <= len(split.test) <= 7, "about a fifth of thirty"
    assert set(split.test) | set(split.train) == set(table.case_ids[:30])
    assert split.origin == "validation cases are the data set's own; test cases were drawn from its training cases"


def test_a_split_survives_its_file(tmp_path):
    split = Split(("a", "b"), ("c",), ("ä",), "drawn", 3, {"e": "no label"})
    split.save(tmp_path / "splits.json")
    assert load_split(tmp_path / "splits.json") == split
    assert [path.name for path in tmp_path.iterdir()] == ["splits.json"]
    split.check_cases(["a", "b", "c", "ä", "f"])
    with pytest.raises(ConfigError, match="2 of its cases cannot be used now: b, c"):
        split.check_cases(["a", "ä"])


def test_files_that_are_no_split(tmp_path):
    path = tmp_path / "splits.json"
    good = {
        "format": 1,
        "train": ["a"],
        "validation": ["b"],
        "test": ["c"],
        "origin": "",
        "seed": 0,
        "left_out": {},
    }
    for tree, error, message in (
        (good | {"format": 2}, InputError, "format is 2"),
        (good | {"train": 3}, InputError, "cannot be read as a split"),
        ([1], InputError, "cannot be read as a split"),
        (good | {"test": ["a"]}, ConfigError, "1 cases are in two"),
        (good | {"test": []}, ConfigError, "no case for test"),
    ):
        path.write_text(json.dumps(tree))
        with pytest.raises(error, match=message):
            load_split(path)
    path.write_text("{")
    with pytest.raises(InputError):
        load_split(path)
    with pytest.raises(InputError):
        load_split(tmp_path / "absent.json")
