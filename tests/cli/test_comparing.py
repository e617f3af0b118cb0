"""`compare`: two audits, teams of a ranking, and several runs against the first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

QUICK = ("--bootstrap", 100, "--permutations", 99)


@pytest.fixture(scope="module")
def ranking(call_cli, phantom_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three teams by their tables of scores, each with an audit: b is 0.1 better than a, c as good as a."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "teams").mkdir()
    labels = sorted(path.name.partition(".")[0] for path in (phantom_cohort / "labels").iterdir())
    for team, more in (("a", 0.0), ("b", 0.1), ("c", 0.0)):
        rows = [f"{case},{0.5 + more + index % 7 / 50:.4f}" for index, case in enumerate(labels)]
        (folder / "teams" / f"{team}.csv").write_text("\n".join(["case,dsc", *rows]) + "\n")
    done = call_cli(
        *("rank-scores", folder / "teams", phantom_cohort / "metadata.csv", "--by", "dsc", *QUICK),
        *("--audits", "--out", folder / "ranking"),
    )
    assert done.returncode == 0, done.stderr
    return folder / "ranking"


def test_a_ranking_names_the_commands_that_follow_and_they_work(call_cli, ranking: Path, tmp_path: Path) -> None:
    done = call_cli("compare", f"{ranking}:a", f"{ranking / 'rank.json'}:b", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    tree = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
    assert [tree["audits"][side]["name"] for side in ("before", "after")] == ["a", "b"]
    assert tree["metrics"]["dsc"]["difference"] == pytest.approx(0.1)
    page = (tmp_path / "out" / "comparison.html").read_text("utf-8")
    assert "leaderboard.html" in page


def test_an_audit_of_a_team_and_the_team_itself_are_one(call_cli, ranking: Path, tmp_path: Path) -> None:
    done = call_cli("compare", ranking / "teams" / "a", f"{ranking}:a", "--names", "audit,team", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    tree = json.loads((tmp_path / "comparison.json").read_text("utf-8"))
    assert tree["verdict"]["kind"] == "nothing changed"
    page = (tmp_path / "comparison.html").read_text("utf-8")
    assert "teams/a/report.html" in page


def test_several_runs_are_compared_with_the_first(call_cli, ranking: Path, tmp_path: Path) -> None:
    runs = [f"{ranking}:{team}" for team in "abc"]
    done = call_cli("compare", *runs, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()[-3:]] == ["b", "c", "runs"]
    tree = json.loads((tmp_path / "runs.json").read_text("utf-8"))
    assert tree["baseline"] == "a"
    assert [(run["name"], run["verdict"]) for run in tree["runs"]] == [("b", "gain found"), ("c", "nothing changed")]
    for run in tree["runs"]:
        own = json.loads((tmp_path / run["comparison"]).read_text("utf-8"))
        assert own["verdict"]["kind"] == run["verdict"]
    told = json.loads(call_cli("compare", *runs, "--out", tmp_path, "--json").stdout)
    assert [run["name"] for run in told["runs"]] == ["b", "c"] and told["files"]["runs"].endswith("runs.html")


def test_names_are_as_many_as_the_audits(call_cli, ranking: Path, tmp_path: Path) -> None:
    runs = [f"{ranking}:{team}" for team in "abc"]
    for names in ("old,new", "old,new,new"):
        done = call_cli("compare", *runs, "--names", names, "--out", tmp_path)
        assert done.returncode == 2
        assert "expected 3 different names, for example --names old,new,newer" in done.stderr


def test_without_names_the_same_folder_twice_is_numbered(call_cli, ranking: Path, tmp_path: Path) -> None:
    done = call_cli("compare", f"{ranking}:a", f"{ranking}:a", f"{ranking}:b", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    tree = json.loads((tmp_path / "runs.json").read_text("utf-8"))
    assert [tree["baseline"], *(run["name"] for run in tree["runs"])] == ["run 1", "run 2", "run 3"]


def test_audits_are_called_by_what_was_audited_where_that_tells_them_apart(call_cli, tmp_path: Path) -> None:
    from tests.audit.made_up_audits import changed
    from tests.report_fixtures import make_result

    result = make_result()
    for place, model in (("first", "Net 1"), ("second", "Net 2")):
        (tmp_path / place).mkdir()
        changed(result, about={"record": {"model": model, "cohort": "Site A"}}).save(tmp_path / place / "audit.json")

    def names(*places: str) -> list[str]:
        done = call_cli("compare", *(tmp_path / place for place in places), "--out", tmp_path / "out")
        assert done.returncode == 0, done.stderr
        tree = json.loads((tmp_path / "out" / "comparison.json").read_text("utf-8"))
        return [tree["audits"][side]["name"] for side in ("before", "after")]

    assert names("first", "second") == ["Net 1 · Site A", "Net 2 · Site A"]
    changed(result, about={"record": {"model": "Net 1", "cohort": "Site A"}}).save(tmp_path / "second" / "audit.json")
    assert names("first", "second") == ["first", "second"], "one model twice"


def test_a_team_that_is_not_there_is_answered_with_those_that_are(call_cli, ranking: Path, tmp_path: Path) -> None:
    done = call_cli("compare", f"{ranking}:a", f"{ranking}:d", "--out", tmp_path)
    assert done.returncode == 2
    assert "no team 'd'" in done.stderr and "there are b, a, c" not in done.stderr
    assert "there are a, b, c" in done.stderr
