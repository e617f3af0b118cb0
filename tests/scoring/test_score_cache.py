"""Scores kept from run to run: what is looked up, what is scored again, and what a cache must never cost."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from tests.scoring.label_maps import CUBE, DEFAULT, MAMA_MIA, REGIONS, SHAPE, SPACING, boxes

from segfair.cases import Case, Cohort
from segfair.errors import InputError
from segfair.files.images.masks import write_image, write_mask
from segfair.protocol.rules import AttributeRule, FairnessRule, Protocol
from segfair.scoring import cohort as scoring
from segfair.scoring import score_cache
from segfair.scoring.cohort import score_cohort
from segfair.scoring.score_cache import ScoreCache

AFFINE = np.diag([*SPACING, 1.0])


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    """Six cases: four with masks, one without a prediction, one whose prediction is rubbish."""
    cases = []
    for index in range(6):
        label, prediction = tmp_path / "labels" / f"P{index}.nii.gz", tmp_path / "preds" / f"P{index}.nii.gz"
        write_mask(label, boxes((1, CUBE), (2, ((2, 3 + index % 3),) * 3)), affine=AFFINE)
        write_mask(prediction, boxes((1, ((2, 5), (2, 6 + index % 2), (3, 6)))), affine=AFFINE)
        cases.append(Case(f"P{index}", label, prediction))
    cases[4] = dataclasses.replace(cases[4], prediction=None)
    (tmp_path / "preds" / "P5.nii.gz").write_bytes(b"no mask")
    return Cohort(tuple(cases))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def counts(cohort: Cohort, folder: Path, protocol: Protocol = DEFAULT, **options) -> tuple[int, int]:
    """How many predictions were scored and how many found, the table being what it is without a cache."""
    cache = ScoreCache(folder)
    assert score_cohort(cohort, protocol, cache=cache, **options) == score_cohort(cohort, protocol, **options)
    return cache.n_scored, cache.n_found


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.json"))


@pytest.mark.parametrize("protocol", [DEFAULT, MAMA_MIA, REGIONS], ids=["default", "mama-mia", "regions"])
def test_a_second_run_scores_what_says_a_path_and_nothing_else(
    cohort: Cohort, folder: Path, protocol: Protocol
) -> None:
    assert counts(cohort, folder, protocol) == (6, 0)
    assert len(entries(folder)) == 5
    # Why the last file is no mask names the file, so that it is said again.
    assert counts(cohort, folder, protocol) == (1, 5)


def test_only_what_changed_is_scored_again(cohort: Cohort, folder: Path) -> None:
    counts(cohort, folder)
    write_mask(cohort.cases[1].prediction, boxes((1, ((1, 8),) * 3)), affine=AFFINE)
    write_mask(cohort.cases[2].label, boxes((1, ((1, 7),) * 3)), affine=AFFINE)
    assert counts(cohort, folder) == (3, 3)


def test_files_count_by_what_is_in_them(cohort: Cohort, folder: Path, tmp_path: Path) -> None:
    counts(cohort, folder)
    moved = tmp_path / "elsewhere"
    (tmp_path / "preds").rename(moved)
    cases = (
        dataclasses.replace(case, id=f"Q{case.id}", prediction=case.prediction and moved / case.prediction.name)
        for case in cohort
    )
    assert counts(Cohort(tuple(cases)), folder) == (1, 5)


def test_the_rules_are_part_of_the_key(cohort: Cohort, folder: Path) -> None:
    counts(cohort, folder)
    assert counts(cohort, folder, DEFAULT.replace(metrics=("dsc",))) == (6, 0)
    assert counts(cohort, folder, spacing_mm=(1.0, 1.0, 1.0)) == (6, 0)
    assert counts(cohort, folder, threshold=0.5) == (6, 0)
    assert counts(cohort, folder, threshold=0.25) == (6, 0)
    # What scores no mask is not.
    other = DEFAULT.replace(
        name="mine", gates=("FS >= 0.5",), fairness=FairnessRule("all"), attributes={"age": AttributeRule(("age",))}
    )
    assert counts(cohort, folder, other) == (1, 5)


def test_other_code_scores_again(cohort: Cohort, folder: Path) -> None:
    counts(cohort, folder)
    cache = ScoreCache(folder, scorer="another version")
    score_cohort(cohort, DEFAULT, cache=cache)
    assert cache.n_found == 0


def test_the_code_counts_by_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pairs.py").write_text("x = 1")
    monkeypatch.setattr(score_cache, "__file__", str(tmp_path / "score_cache.py"))
    first = score_cache.scorer_digest.__wrapped__()
    (tmp_path / "pairs.py").write_text("x = 2")
    assert score_cache.scorer_digest.__wrapped__() != first


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-30],
        lambda text: text.replace('"dsc": 0', '"dsc": 1'),
        lambda text: "{}",
        lambda text: "\x00" * len(text),
    ],
    ids=["empty", "cut short", "another number", "something else", "zeros after a crash"],
)
def test_a_damaged_entry_is_scored_again(cohort: Cohort, folder: Path, damage) -> None:
    counts(cohort, folder)
    for entry in entries(folder):
        text = entry.read_text("utf-8")
        assert damage(text) != text
        entry.write_text(damage(text), "utf-8")
    assert counts(cohort, folder) == (6, 0)
    assert counts(cohort, folder) == (1, 5)


def test_what_one_keeps_others_may_read(cohort: Cohort, folder: Path) -> None:
    """As far as whoever scores lets others read files: a cache on a shared disk serves a group."""
    counts(cohort, folder)
    usual = (folder / ".gitignore").stat().st_mode
    assert {entry.stat().st_mode for entry in entries(folder)} == {usual}


def test_a_cache_that_cannot_be_written_is_told_and_costs_nothing(cohort: Cohort, folder: Path) -> None:
    folder.write_text("a file stands where the folder should be")
    cache = ScoreCache(folder)
    assert score_cohort(cohort, DEFAULT, cache=cache) == score_cohort(cohort, DEFAULT)
    assert cache.sentence("cases") == (
        f"scored 6 of 6 cases, 0 from the cache {folder}; new scores are not kept, for it cannot be written "
        f"({cache.problem}): name another with --cache"
    )
    assert cache.problem


def test_workers_keep_scores_too(cohort: Cohort, folder: Path) -> None:
    with ProcessPoolExecutor(2) as processes:
        assert counts(cohort, folder, executor=processes) == (6, 0)
        assert counts(cohort, folder, executor=processes) == (1, 5)


def test_a_run_that_was_stopped_goes_on(cohort: Cohort, folder: Path) -> None:
    def stop(case: str) -> None:
        if case == "P2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score_cohort(cohort, DEFAULT, cache=ScoreCache(folder), on_done=stop)
    assert counts(cohort, folder) == (3, 3)


def score_until_killed(cohort: Cohort, folder: Path) -> None:
    def kill(case: str) -> None:
        if case == "P2":
            os.kill(os.getpid(), signal.SIGKILL)

    score_cohort(cohort, DEFAULT, cache=ScoreCache(folder), on_done=kill)


def test_a_run_that_was_killed_goes_on(cohort: Cohort, folder: Path) -> None:
    process = get_context("spawn").Process(target=score_until_killed, args=(cohort, folder))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert counts(cohort, folder) == (3, 3)


def test_what_was_written_half_is_no_entry(cohort: Cohort, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", killed)
        score_cohort(cohort, DEFAULT, cache=ScoreCache(folder))
    assert not entries(folder)
    assert counts(cohort, folder) == (6, 0)


def test_nothing_is_decoded_where_everything_was_kept(
    cohort: Cohort, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = dataclasses.replace(cohort, cases=cohort.cases[:5])
    expected = score_cohort(good, DEFAULT, cache=ScoreCache(folder))
    monkeypatch.setattr(scoring, "read_label", None)
    monkeypatch.setattr(scoring, "score_against", None)
    assert score_cohort(good, DEFAULT, cache=ScoreCache(folder)) == expected


def test_an_unusable_label_is_told_again_and_never_kept(cohort: Cohort, folder: Path) -> None:
    cohort.cases[0].label.write_bytes(b"no mask")
    assert counts(cohort, folder) == (6, 0)
    assert counts(cohort, folder) == (2, 4)


def test_a_link_to_the_label_is_refused_although_its_score_is_kept(
    cohort: Cohort, folder: Path, tmp_path: Path
) -> None:
    case = cohort.cases[0]
    own = tmp_path / "team" / "P0.nii.gz"
    own.parent.mkdir()
    own.write_bytes(case.label.read_bytes())
    handed_in = dataclasses.replace(case, prediction=own, within=own.parent)
    assert score_cohort(Cohort((handed_in,)), DEFAULT, cache=ScoreCache(folder)).scores[0].values["dsc"] == 1
    own.unlink()
    os.link(case.label, own)
    score = score_cohort(Cohort((handed_in,)), DEFAULT, cache=ScoreCache(folder)).scores[0]
    assert score.values["dsc"] == 0
    assert "is the file of the label itself" in score.penalised


def test_facts_of_probability_maps_come_back_as_they_were(folder: Path, tmp_path: Path) -> None:
    write_mask(tmp_path / "label.nii.gz", boxes((1, CUBE)), affine=AFFINE)
    write_image(tmp_path / "map.nii.gz", np.linspace(0, 1, np.prod(SHAPE)).reshape(SHAPE), affine=AFFINE)
    case = Cohort((Case("P", tmp_path / "label.nii.gz", tmp_path / "map.nii.gz"),))
    assert counts(case, folder, threshold=0.4) == (1, 0)
    assert counts(case, folder, threshold=0.4) == (0, 1)


def test_an_entry_names_no_case_and_no_path(cohort: Cohort, folder: Path, tmp_path: Path) -> None:
    counts(cohort, folder)
    for entry in entries(folder):
        text = entry.read_text("utf-8")
        assert not any(word in text for word in (str(tmp_path), ".nii", *cohort.ids))
        assert "case" not in json.loads(text.partition("\n")[2])


def test_the_folder_says_that_it_may_go(cohort: Cohort, folder: Path) -> None:
    counts(cohort, folder)
    assert (folder / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    assert (folder / ".gitignore").read_text() == "*\n"


def test_strict_stops_with_a_cache_too(cohort: Cohort, folder: Path) -> None:
    counts(cohort, folder)
    with pytest.raises(InputError, match="case P4: no prediction"):
        score_cohort(cohort, DEFAULT, cache=ScoreCache(folder), strict=True)


def test_what_other_tools_say_is_kept_apart_and_comes_back_as_it_was(cohort: Cohort, folder: Path) -> None:
    counts(cohort, folder)
    assert counts(cohort, folder, other_tools=True) == (6, 0)
    assert counts(cohort, folder, other_tools=True) == (1, 5)
    (missing,) = (score for score in score_cohort(cohort, DEFAULT, other_tools=True).scores if score.case == "P4")
    # As that of an empty prediction: infinite to one tool, refused by another.
    assert (missing.by_tools["surface_distance hd95"], missing.by_tools["medpy hd95"]) == (np.inf, None)
    assert all(not score.by_tools for score in score_cohort(cohort, DEFAULT).scores)
