"""Results that tabulate, plot, show and write themselves."""

from __future__ import annotations

import sys
import webbrowser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from tests.api.conftest import QUICK

import segfair as sf
from segfair.errors import ConfigError

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def result(frame: pd.DataFrame) -> sf.Audit:
    return sf.audit_scores(frame, **QUICK)


@pytest.fixture(scope="module")
def comparison(result: sf.Audit, frame: pd.DataFrame) -> sf.AuditComparison:
    better = frame.assign(dsc=frame["dsc"] + 0.1 * (frame["site"] == "B"))
    return sf.compare(result, sf.audit_scores(better, **QUICK), names=("old", "new"))


@pytest.fixture(scope="module")
def ranked(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> sf.TeamRanking:
    folder = tmp_path_factory.mktemp("teams")
    cases = frame.assign(case=[f"P{row:02}" for row in range(40)])
    for place, team in enumerate(("first", "second", "<b>third</b>".replace("/", "|"))):
        cases.assign(dsc=cases["dsc"] - 0.1 * place)[["case", "dsc"]].to_csv(folder / f"{team}.csv", index=False)
    return sf.rank(folder, metadata=cases[["case", "site", "sex"]], by="dsc", **QUICK)


def test_an_audit_stands_for_what_the_rooms_below_found(result: sf.Audit, tmp_path: Path) -> None:
    assert isinstance(result, sf.AuditResult)
    result.save(str(tmp_path / "audit.json"))
    loaded = sf.Audit.load(tmp_path)
    assert type(loaded) is sf.Audit
    assert loaded == result
    assert sf.Audit.of(sf.AuditResult.load(tmp_path)) == result


def test_findings_and_groups_have_named_columns(result: sf.Audit, frame: pd.DataFrame) -> None:
    finding = result.findings.loc["site = B"]
    means = frame.groupby("site")["dsc"].mean()
    assert (finding["n"], finding["explains"]) == (20, len(result.subgroups.findings[0].explains))
    assert finding["difference"] == pytest.approx(means["B"] - means["A"], abs=1e-12)
    assert finding["low"] < finding["difference"] < finding["high"] < 0
    groups = result.by_group
    assert groups.index.names == ["attribute", "level"]
    assert groups.loc["site", "dsc"].to_dict() == pytest.approx(means.to_dict(), abs=1e-12)
    assert groups.loc[("site", "B"), "dsc_low"] < means["B"] < groups.loc[("site", "B"), "dsc_high"]


def test_without_findings_the_columns_are_there_all_the_same(frame: pd.DataFrame) -> None:
    nothing = sf.audit_scores(
        frame.assign(dsc=[0.8, 0.9] * 20, site=["A", "A", "B", "B"] * 10)[["dsc", "site"]], **QUICK
    )
    assert len(nothing.findings) == 0
    assert "p_adjusted" in nothing.findings.columns
    assert "Nothing stands apart" in nothing._repr_html_()


def test_plots_draw_into_the_axes_that_they_are_given(
    result: sf.Audit, comparison: sf.AuditComparison, ranked: sf.TeamRanking
) -> None:
    from matplotlib import pyplot

    _, (first, second, third, fourth, fifth) = pyplot.subplots(5)
    assert result.plot.groups("site", ax=first) is first
    assert [text.get_text() for text in first.get_yticklabels()] == ["site = A (n 20)", "site = B (n 20)"]
    assert first.lines[1].get_xdata()[0] == pytest.approx(result.by_group.loc[("site", "A"), "dsc"])
    assert result.plot.subgroups(2, ax=second) is second
    assert result.plot.heatmap("sex", "site", ax=third) is third
    cells = result.cases.scores.to_frame().pivot_table(index="sex", columns="site", values="dsc")
    assert [text.get_text().split("\n")[0] for text in third.texts] == [
        f"{mean:.3f}" for mean in cells.to_numpy().ravel()
    ]
    assert comparison.plot.subgroups(ax=fourth) is fourth
    assert ranked.plot.teams(ax=fifth) is fifth
    assert [text.get_text() for text in fifth.get_yticklabels()][:2] == ["1. first", "2. second"]
    for made in (result.plot.groups(), result.plot.subgroups(), result.plot.heatmap()):
        made.figure.canvas.draw()
    pyplot.close("all")


def test_a_plot_of_what_is_not_there_is_refused(result: sf.Audit) -> None:
    with pytest.raises(ConfigError, match=r"attribute 'sites': not in this audit \(did you mean site"):
        result.plot.groups("sites")
    with pytest.raises(ConfigError, match="metric='iou': not scored"):
        result.plot.groups(metric="iou")
    with pytest.raises(ConfigError, match=r"attribute 'sites'"):
        result.plot.heatmap("sites")


def test_names_are_no_formulas(frame: pd.DataFrame) -> None:
    priced = sf.audit_scores(frame.assign(site=["$\\frac$", "$b^"] * 20), **QUICK)
    for axes in (priced.plot.groups(), priced.plot.subgroups(), priced.plot.heatmap()):
        axes.figure.canvas.draw()
    matplotlib.pyplot.close("all")


def test_six_lines_each(result: sf.Audit, comparison: sf.AuditComparison, ranked: sf.TeamRanking) -> None:
    for found, name in (
        (result, "Audit: 40 cases"),
        (comparison, "AuditComparison: old and new"),
        (ranked, "TeamRanking: 3"),
    ):
        lines = repr(found).splitlines()
        assert lines[0].startswith(name)
        assert 4 <= len(lines) <= 6
        assert max(map(len, lines)) <= 240


def test_cards_hold_verdict_table_and_figure(
    result: sf.Audit, comparison: sf.AuditComparison, ranked: sf.TeamRanking
) -> None:
    for found, said in ((result, "Disparity found"), (comparison, "Gain found"), (ranked, "first")):
        html = found._repr_html_()
        assert said in html
        assert html.count("<svg") == 1
        assert "<table" in html
        assert "<script" not in html
        assert len(html) < 40_000
    assert "<b>third" not in ranked._repr_html_()
    assert "&lt;b&gt;third" in ranked._repr_html_()


@pytest.mark.parametrize(
    ("scores", "kind", "sentence"),
    [
        ({"alone": 0.8}, "One team", "alone is the only team"),
        ({"a": 0.8, "b": 0.8}, "No winner can be declared", "The first place is shared by a and b."),
        ({"a": 0.8, "b": 0.7}, "Winner: a", "a wins: first in 100 %"),
    ],
)
def test_the_card_of_a_ranking_says_what_its_leaderboard_says(
    scores: dict[str, float], kind: str, sentence: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    cases = frame.assign(case=[f"P{row:02}" for row in range(40)])
    (tmp_path / "teams").mkdir()
    for team, dsc in scores.items():
        cases.assign(dsc=dsc)[["case", "dsc"]].to_csv(tmp_path / "teams" / f"{team}.csv", index=False)
    ranking = sf.rank(tmp_path / "teams", metadata=cases[["case", "site"]], by="dsc", **QUICK)
    for html in (ranking._repr_html_(), ranking.report(tmp_path / "ranking").read_text("utf-8")):
        assert f">{kind}<" in html and f">{sentence}" in html
        assert html.count("declared: ") == 0


def test_names_from_outside_are_escaped(frame: pd.DataFrame) -> None:
    nasty = frame.assign(site=["<script>alert(1)</script>", "B"] * 20)
    html = sf.audit_scores(nasty, **QUICK)._repr_html_()
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_reports_are_written_where_they_are_asked_for(
    result: sf.Audit, comparison: sf.AuditComparison, ranked: sf.TeamRanking, tmp_path: Path
) -> None:
    assert result.report(str(tmp_path / "audit")) == tmp_path / "audit" / "report.html"
    assert comparison.report(tmp_path / "comparison", title="Old and new").is_file()
    assert ranked.report(tmp_path / "ranking", title="Spring").is_file()
    assert "Spring: ranking of" in (tmp_path / "ranking" / "leaderboard.html").read_text("utf-8")
    result.report(tmp_path / "named", model="net", cohort="ward", language="de", pdf=True)
    assert "net · ward: segmentation audit" in (tmp_path / "named" / "report.html").read_text("utf-8")
    assert "net · ward: Zusammenfassung" in (tmp_path / "named" / "summary.html").read_text("utf-8")
    assert (tmp_path / "named" / "summary.pdf").is_file()
    assert sf.Audit.load(tmp_path / "named").about.record == {"model": "net", "cohort": "ward"}
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^folder=.*is a file; name a folder"):
        result.report(tmp_path / "file")
    assert sf.compare(str(tmp_path / "audit"), tmp_path / "audit" / "audit.json").verdict.kind == "nothing changed"


def test_changes_and_boards_have_named_columns(
    comparison: sf.AuditComparison, ranked: sf.TeamRanking, frame: pd.DataFrame
) -> None:
    changes = comparison.changes
    assert changes.loc["site = B", "difference"] == pytest.approx(0.1)
    assert changes.loc["site = B", "standing"] == "gained"
    assert changes.loc["site = A", "difference"] == pytest.approx(0.0)
    assert ranked.board["rank"].tolist() == [1, 2, 3]
    assert ranked.board.loc["first", "dsc"] == pytest.approx(frame["dsc"].mean())


def test_two_names_are_meant(result: sf.Audit) -> None:
    with pytest.raises(ConfigError, match="two names are meant"):
        sf.compare(result, result, names="ab")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="metadata: is missing"):
        sf.rank("teams")


def test_the_page_opens_in_the_browser_or_in_the_notebook(
    result: sf.Audit,
    comparison: sf.AuditComparison,
    ranked: sf.TeamRanking,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    for found in (result, comparison, ranked):
        found.show()
    pages = [Path(address.removeprefix("file://")).read_text("utf-8") for address in opened]
    assert [page.count("</html>") for page in pages] == [1, 1, 1]
    displayed: list[Any] = []
    notebook, display = ModuleType("IPython"), ModuleType("IPython.display")
    notebook.get_ipython = SimpleNamespace  # type: ignore[attr-defined]
    display.HTML, display.display = str, displayed.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    result.show(height=300)
    assert len(opened) == 3
    assert displayed[0].startswith("<iframe srcdoc=")
    assert 'height="300"' in displayed[0]
    assert "<html" not in displayed[0]


def test_values_are_numbers_that_can_be_computed_with(result: sf.Audit) -> None:
    assert result.by_group.drop(columns="n").dtypes.eq(np.float64).all()
