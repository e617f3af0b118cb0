"""Several audits against the first: which one harms nobody, in one table, with pages of their own."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest
from tests.report.comparison.pages import compared
from tests.report.hand_made import texts

from segfair.compare.result import Comparison
from segfair.errors import ConfigError
from segfair.report.comparison.runs import runs_data, write_runs
from segfair.report.files import render_page


def named(comparison: Comparison, name: str) -> Comparison:
    return dataclasses.replace(comparison, after=dataclasses.replace(comparison.after, name=name))


@pytest.fixture(scope="module")
def runs() -> list[Comparison]:
    """Better for everybody by 0.05, worse for women by 0.1, and much the same."""
    return [
        named(compared(women=0.05, men=0.05, noise=0.01), "better"),
        named(compared(women=-0.1, men=0.2, noise=0.01), "unfair"),
        named(compared(noise=0.01), "a/b: same?"),
    ]


def data(runs: list[Comparison]) -> dict:
    return runs_data(runs, folders=["x"] * len(runs), reports=[""] * (len(runs) + 1), written="today")["sections"]


def test_the_best_of_those_that_harm_nobody_is_named(runs: list[Comparison]) -> None:
    verdict = data(runs)["verdict"]
    assert verdict["kind"] == "Best without harm: better"
    assert verdict["sentence"].startswith("Nobody is shown to be harmed by better, a/b: same?.")
    assert "unfair" not in verdict["sentence"], "its mean is higher, and women are harmed"
    assert data(runs[1:2])["verdict"]["kind"] == "Every run harms somebody"
    worse = named(compared(women=-0.001, men=-0.001, noise=0.001), "worse")
    assert data([worse])["verdict"]["kind"] in ("No run is better than old", "Every run harms somebody")


def test_every_run_is_a_row_and_the_first_one_leads(runs: list[Comparison]) -> None:
    rows = texts(data(runs)["runs"])
    assert [row[0] for row in rows] == ["old (held against)", "better (gain found)",
                                        "unfair (gains and harm found)", "a/b: same? (no change shown)"]  # fmt: skip
    change = runs[0].metrics["dsc"]
    low, high = change.ci
    assert rows[1][1] == f"{change.after:.4f} ({change.difference:+.4f} ({low:+.3f} to {high:+.3f}))"
    assert rows[2][-1] == "sex = F" or "sex = F" in rows[2][-1]


def test_each_run_has_a_folder_and_every_link_leads_somewhere(runs: list[Comparison], tmp_path: Path) -> None:
    report = tmp_path / "audits" / "old" / "report.html"
    report.parent.mkdir(parents=True)
    report.write_text("an audit")
    page = write_runs(runs, tmp_path / "out", reports=[report, None, None, None], command="segfair compare ...")
    links = set(re.findall('<a href="([^"#]+)"', page.read_text("utf-8")))
    assert links == {
        "runs.json", "../audits/old/report.html",
        *(f"{name}/comparison.html" for name in ("better", "unfair", "a-b-same")),
    }  # fmt: skip
    assert all((page.parent / link).resolve().is_file() for link in links)
    inner = (page.parent / "unfair" / "comparison.html").read_text("utf-8")
    assert 'href="../../audits/old/report.html"' in inner
    tree = json.loads((page.parent / "runs.json").read_text("utf-8"))
    assert [run["n_harmed"] for run in tree["runs"]] == [len(entry.harmed) for entry in runs]
    assert write_runs(runs, tmp_path / "out") == page, "a second call replaces it"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "runs.html").write_text("mine")
    with pytest.raises(ConfigError, match="did not write"):
        write_runs(runs, tmp_path / "mine")


def test_what_was_found_stays_where_the_page_fails(
    runs: list[Comparison], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(data: object, *, template: str) -> str:
        if template == "runs.html.j2":
            raise MemoryError
        return render_page(data, template=template)

    monkeypatch.setattr("segfair.report.comparison.files.render_page", fail)
    with pytest.raises(ConfigError, match=r"holds runs\.json: mend that"):
        write_runs(runs, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-b-same", "better", "runs.json", "unfair"]
    assert len(json.loads((tmp_path / "runs.json").read_text("utf-8"))["runs"]) == 3
