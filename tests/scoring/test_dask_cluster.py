"""A dask cluster of two worker processes on this machine: where cases are scored, and a worker that is killed."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.scoring.label_maps import CUBE, DEFAULT, SPACING, boxes

from segfair.cases import Case, Cohort
from segfair.errors import AuditError, ConfigError
from segfair.files.images.masks import write_mask
from segfair.scoring import cohort as scoring
from segfair.scoring import executors
from segfair.scoring.cohort import score_cohort
from segfair.scoring.executors import dask_cluster, outcomes_in_order
from segfair.scoring.score_cache import ScoreCache

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[distributed.LocalCluster]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
    ) as running:
        yield running


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    cases = []
    for index in range(8):
        paths = [tmp_path / role / f"P{index}.nii.gz" for role in ("labels", "preds")]
        label, prediction = boxes((1, CUBE)), boxes((1, ((2, 5),) * 3))
        prediction[index, 0, 0] = 1  # no two cases are the same files
        for path, mask in zip(paths, (label, prediction), strict=True):
            write_mask(path, mask, affine=np.diag([*SPACING, 1.0]))
        cases.append(Case(f"P{index}", *paths, metadata={"age": 50}))
    return Cohort(tuple(cases))


def test_a_cluster_gives_the_same_table_and_the_client_scores_nothing(
    cluster: distributed.LocalCluster, cohort: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort.cases[3].label.write_bytes(b"no mask")
    expected, done, kept = score_cohort(cohort, DEFAULT), [], ScoreCache(tmp_path / "kept")
    for name in ("read_label", "score_against", "contents_of_label", "contents_of_prediction"):
        monkeypatch.setattr(scoring, name, None)  # whoever calls it here fails
    with dask_cluster(cluster.scheduler_address) as executor:
        assert score_cohort(cohort, DEFAULT, executor=executor, cache=kept, on_done=done.append) == expected
        assert (kept.n_scored, kept.n_found) == (8, 0)
        assert score_cohort(cohort, DEFAULT, executor=executor, cache=kept) == expected
        assert (kept.n_scored, kept.n_found) == (9, 7)
    assert done == list(cohort.ids)


def test_a_scheduler_file_is_as_good_as_an_address(
    cluster: distributed.LocalCluster, cohort: Cohort, tmp_path: Path
) -> None:
    (tmp_path / "scheduler.json").write_text(json.dumps({"type": "Scheduler", "address": cluster.scheduler_address}))
    with dask_cluster(str(tmp_path / "scheduler.json")) as executor:
        assert score_cohort(cohort, DEFAULT, executor=executor) == score_cohort(cohort, DEFAULT)


def wait_for(flag: Path, number: int) -> tuple[int, int]:
    """The number and who worked on it, once the flag is up."""
    while not flag.exists():
        time.sleep(0.01)
    return number, os.getpid()


def test_what_a_killed_worker_held_is_done_by_another(cluster: distributed.LocalCluster, tmp_path: Path) -> None:
    flag, n = tmp_path / "flag", 40
    jobs = ((f"P{number}", (flag, number)) for number in range(n))
    with (
        distributed.Client(cluster.scheduler_address, set_as_default=False) as client,
        dask_cluster(cluster.scheduler_address) as executor,
    ):
        client.wait_for_workers(2)
        pids = client.run(os.getpid)
        killed = next(iter(pids))

        def kill_one() -> Iterator[tuple[str, tuple[Path, int]]]:
            """All jobs, and the death of a worker once it holds some; then the others may be done."""
            yield from jobs
            while not client.processing()[killed]:
                time.sleep(0.01)
            os.kill(pids[killed], signal.SIGKILL)
            flag.write_text("go on")

        with outcomes_in_order(wait_for, kill_one(), executor) as outcomes:
            found = list(outcomes)
    assert [(name, number) for name, (number, _) in found] == [(f"P{number}", number) for number in range(n)]
    workers = {pid for _, (_, pid) in found}
    assert os.getpid() not in workers
    assert pids[killed] not in workers


def die(_: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_task_that_kills_every_worker_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
        ) as fragile,
        dask_cluster(fragile.scheduler_address) as executor,
    ):
        fragile.scheduler.allowed_failures = 0
        with (
            outcomes_in_order(die, [("P0", (0,))], executor) as outcomes,
            pytest.raises(AuditError, match="case P0 or one beside it ended its worker process"),
        ):
            list(outcomes)


def test_other_code_on_a_worker_is_refused(
    cluster: distributed.LocalCluster, cohort: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "scorer_digest", lambda: "another version")
    with (
        dask_cluster(cluster.scheduler_address) as executor,
        pytest.raises(AuditError, match="has another version of segfair"),
    ):
        score_cohort(cohort, DEFAULT, executor=executor)


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "_PATIENCE_S", 0.5)
    with (
        pytest.raises(ConfigError, match=r"--dask tcp://127\.0\.0\.1:1: no scheduler answers there"),
        dask_cluster("tcp://127.0.0.1:1"),
    ):
        pass


def test_an_audit_on_a_cluster_is_the_same_audit(
    cluster: distributed.LocalCluster, call_cli, phantom_cohort: Path, tmp_path: Path
) -> None:
    command = (
        *("audit", phantom_cohort / "preds", phantom_cohort / "labels", phantom_cohort / "metadata.csv", "--no-cache"),
        *("--attributes", "age_group,menopause", "--permutations", 99, "--bootstrap", 100, "--out", tmp_path / "out"),
    )
    found = []
    for options in (("--workers", 1), ("--dask", cluster.scheduler_address)):
        done = call_cli(*command, *options)
        assert done.returncode == 0, done.stderr
        found.append((tmp_path / "out" / "audit.json").read_bytes())
    assert found[0] == found[1]
    refused = call_cli(*command, "--workers", 2, "--dask", cluster.scheduler_address)
    assert refused.returncode == 2
    assert "with --dask the cluster decides how many" in refused.stderr


def whoever_comes(_: int) -> str:
    """Another answer each time."""
    return os.urandom(8).hex()


def test_equal_jobs_are_each_done(cluster: distributed.LocalCluster) -> None:
    jobs = [("a", (1,)), ("b", (1,)), ("c", (1,))]
    with (
        dask_cluster(cluster.scheduler_address) as executor,
        outcomes_in_order(whoever_comes, jobs, executor=executor) as outcomes,
    ):
        assert len({answer for _, answer in outcomes}) == 3
