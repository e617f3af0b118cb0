"""Where a study's split comes from, and whose patients it keeps together."""

from __future__ import annotations

from pathlib import Path

from tests.mitigation.data_studies import study_of

from segfair.attributes.joins import parse_join
from segfair.audit.result import AuditConfig
from segfair.mitigation.experiment.studies import PhantomSize, Study, phantom_study
from segfair.protocol.rules import load_protocol


def study(tree: Path, out: Path, *, seed: int, resume: bool = False) -> Study:
    out.mkdir(exist_ok=True)
    made = study_of(tree, out, seed=seed, spacing_mm=(4.0, 4.0, 4.0), resume=resume, strategies=("fairmedseg",))
    made.split.save(out / "splits.json")
    return made


def test_a_new_run_makes_its_own_split_and_a_resumed_one_keeps_it(write_tree, tmp_path: Path) -> None:
    tree = write_tree(tmp_path / "data", n_cases=24, phantom=True)
    out = tmp_path / "out"
    first = study(tree.root, out, seed=0)
    assert study(tree.root, out, seed=0, resume=True).split == first.split
    other = study(tree.root, out, seed=1)
    assert other.split.train != first.split.train, "the seed of this run, not the file of the last one"
    assert set(first.skipped) == {tree.few_phases, tree.unlabelled, tree.without_files}


def test_the_embedded_study_has_its_documented_numbers_of_cases_and_no_case_twice(tmp_path: Path) -> None:
    config = AuditConfig(load_protocol("default"), join=(parse_join("menopause: pre, post = any"),))
    made = phantom_study(PhantomSize(size=(16, 16, 16)), config=config, out=tmp_path, seed=0)
    assert all("any" in table["menopause"].levels for table in made.attributes.values())
    assert all(not {"pre", "post"} & set(table["menopause"].levels) for table in made.attributes.values())
    parts = (made.split.train, made.split.validation, made.split.test)
    assert [len(part) for part in parts] == [120, 100, 400]
    assert len({case for part in parts for case in part}) == 620
    assert {case.id for case in made.test} == set(made.split.test)
    assert len(list((tmp_path / "labels").glob("*.nii.gz"))) == 400
