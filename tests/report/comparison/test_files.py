"""The comparison as a page: what it says, that it needs nothing, that names from outside are text; and its figures."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.test_files import Page
from tests.report_fixtures import HOSTILE, make_result
from tests.score_fixtures import audit_of, skewed_dice, with_scores

from segfair.compare.procedure import run_comparison
from segfair.compare.result import Comparison
from segfair.errors import ConfigError
from segfair.report.comparison.figures import SlopeLine, _spread, slope_plot
from segfair.report.comparison.files import FILES, write_comparison
from segfair.report.comparison.page import comparison_data
from segfair.report.files import render_page

N = 240


def cohort() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "sex": rng.choice(["F", "M"], N),
        "site": rng.choice(["A", "B", "C"], N),
        "age": rng.choice(["young", "old"], N),
    }


def compared(women: float = 0.0, men: float = 0.0, noise: float = 0.03, **options: str) -> Comparison:
    female = cohort()["sex"] == "F"
    before = 0.15 + 0.75 * skewed_dice(N, np.random.default_rng(1)) - 0.1 * female
    after = before + np.random.default_rng(2).normal(0, noise, N) + np.where(female, women, men)
    first, second = (
        {"dsc": values, "normhd": 0.3 * (1 - values), "hd95_mm": 45 * (1 - values)} for values in (before, after)
    )
    base = audit_of(first, cohort(), outcomes=("dsc", "hd95_mm"), primary=("sex",))
    return run_comparison(base, with_scores(base, second), names=("old", "new"), **options)


def draw(comparison: Comparison) -> str:
    data = comparison_data(comparison, written="2026-01-01", command="segfair compare", digests={"before": "0" * 64})
    return render_page(data, template="comparison.html.j2")


@pytest.fixture(scope="module")
def levelled() -> Comparison:
    return compared(men=-0.06)


@pytest.fixture(scope="module")
def html(levelled: Comparison) -> str:
    return draw(levelled)


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', html, re.S)
    assert found, name
    return " ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", found[0], flags=re.S).split())


def test_the_answer_comes_first_and_harm_before_gain(levelled: Comparison, html: str) -> None:
    ids = re.findall(r'<section id="(\w+)"', html)
    assert ids[:3] == ["verdict", "harmed", "gained"]
    assert ids.index("slopes") < ids.index("scores") < ids.index("subgroups") < ids.index("metrics")
    assert re.findall(r'<li><a href="#(\w+)"', html) == ids, "every section is in the contents"
    verdict = section(html, "verdict")
    assert verdict.startswith("▼ Levelling down")
    assert levelled.verdict.sentence in verdict


def test_levelling_down_is_said_where_harm_is_told(html: str) -> None:
    harmed = section(html, "harmed")
    assert "Levelling down: sex ." in harmed
    assert "because M lost, while F, served worst before, is not shown to have gained." in harmed
    assert "levelling down" in section(html, "gaps")
    assert "No subgroup is shown to have gained." in section(html, "gained")


def test_numbers_are_those_of_the_comparison(levelled: Comparison, html: str) -> None:
    dsc, fs = levelled.metrics["dsc"], levelled.scores["FS"]
    assert f"{dsc.before:.3f} → {dsc.after:.3f}" in section(html, "verdict")
    scores = section(html, "scores")
    assert f"{fs.before:.4f} {fs.after:.4f} +{fs.difference:.4f}" in scores
    assert "FS rose, yet nobody is shown to have gained and somebody was harmed" in scores
    worst = levelled.harmed[0]
    assert f"{worst.n} {worst.before:.3f} {worst.after:.3f} −{-worst.difference:.3f}" in section(html, "harmed")
    assert f"{levelled.metrics['hd95_mm'].n}" in section(html, "metrics")


def test_the_table_holds_every_subgroup_of_every_outcome(levelled: Comparison, html: str) -> None:
    payload = json.loads(Page(html).scripts[0][1])
    assert [entry["title"] for entry in payload["outcomes"]] == ["DSC", "HD95 (mm) (exploratory)"]
    assert [column["title"] for column in payload["columns"]][:4] == ["n", "old", "new", "Change"]
    for outcome, rows in zip(payload["outcomes"], levelled.subgroups.values(), strict=True):
        assert [row[4] for row in outcome["rows"]] == [entry.n for entry in rows]
        changes = [round(entry.difference, outcome["digits"]) for entry in rows]
        assert [row[7] for row in outcome["rows"]] == pytest.approx(changes)
    states = {state for state, _ in payload["states"]}
    assert states <= {"harmed", "gained", "no change shown", "insufficient evidence"}


def test_no_change_never_stands_without_what_remains_possible() -> None:
    page = draw(compared())
    assert "◆ No change shown" in section(page, "verdict")
    assert re.search(r"losses of up to 0\.0\d\d cannot be excluded", section(page, "harmed"))
    for qualification in re.findall(r"no change shown</bdi><small><bdi>(.*?)</bdi>", page):
        assert re.search(r"losses up to 0\.\d{3} cannot be excluded", qualification)


def test_an_audit_against_itself_says_that_nothing_changed() -> None:
    base = audit_of({"dsc": np.random.default_rng(0).normal(0.7, 0.1, N)}, cohort())
    page = draw(run_comparison(base, base))
    assert "Nothing changed" in section(page, "verdict")
    assert "Nobody: nothing changed." in section(page, "harmed")
    assert "cannot be excluded" not in "".join(section(page, name) for name in re.findall(r'<section id="(\w+)"', page))


def test_of_a_distance_up_is_better_on_the_page_too() -> None:
    page = draw(compared(women=0.06, outcome="hd95_mm"))
    assert "sex = F" in section(page, "gained")
    assert re.search(r"mean HD95 \(mm\) \d\d\.\d\d before", section(page, "gained"))


def test_it_needs_nothing_from_anywhere(html: str) -> None:
    page = Page(html)
    assert [kind for kind, _ in page.scripts] == [{"type": "application/json", "id": "subgroup-data"}, {}]
    policy = next(value for _, name, value in page.attributes if name == "content" and "script-src" in value)
    digest = base64.b64encode(hashlib.sha256(page.scripts[1][1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy and "default-src 'none'" in policy
    loads = [(tag, value) for tag, name, value in page.attributes if name in ("src", "srcset", "action", "data")]
    assert not loads
    links = [value for tag, name, value in page.attributes if name == "href"]
    assert all(value.startswith("#") for value in links)
    assert not [tag for tag, name, _ in page.attributes if name.startswith("on")]


def test_names_from_outside_are_text(html: str) -> None:
    base = make_result(levels=HOSTILE, n_cases=120)
    base = dataclasses.replace(
        base,
        config=dataclasses.replace(base.config, permutations=99, bootstrap=100),
        inputs={"<i>": "javascript:alert(6)"},
    )
    dice = np.array(base.case_scores.column("dsc"), dtype=float) - 0.2
    attack = "</title><script>alert(9)</script>"
    comparison = run_comparison(base, with_scores(base, {"dsc": dice}), names=(attack, "\u202enew"))
    comparison = dataclasses.replace(comparison, notices=("</p><script>alert(4)</script>",))
    hostile, plain = Page(draw(comparison)), Page(html)
    assert set(hostile.tags) <= set(plain.tags)
    assert len(hostile.scripts) == 2 and hostile.scripts[1] == plain.scripts[1]
    text = "".join(hostile.text)
    assert "<script>alert(4)</script>" in text and "<script>alert(9)</script>" in text
    assert "\u202e" not in text and "⟨U+202E⟩new" in text


def test_ids_are_unique(html: str) -> None:
    ids = [value for _, name, value in Page(html).attributes if name == "id"]
    assert len(ids) == len(set(ids))


def test_a_large_lattice_stays_below_two_megabytes() -> None:
    many = {f"attribute_{index}": tuple(f"level {code}" for code in range(4)) for index in range(8)}
    base = make_result(n_cases=1506, levels=many, min_support=0.005)
    base = dataclasses.replace(base, config=dataclasses.replace(base.config, permutations=99, bootstrap=100))
    dice = np.array(base.case_scores.column("dsc"), dtype=float) + np.random.default_rng(0).normal(0, 0.05, 1506)
    comparison = run_comparison(base, with_scores(base, {"dsc": dice}))
    assert len(comparison.subgroups["dsc"]) > 3500
    assert len(draw(comparison).encode()) < 2_000_000


def test_writing_replaces_its_own_and_nothing_else(levelled: Comparison, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for _ in range(2):
        page = write_comparison(levelled, tmp_path)
    assert page == tmp_path / "comparison.html"
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, "notes.txt"}
    assert json.loads((tmp_path / "comparison.json").read_text("utf-8")) == levelled.to_dict()
    (tmp_path / "comparison.json").write_text("{}")
    with pytest.raises(ConfigError, match="did not write; choose another folder"):
        write_comparison(levelled, tmp_path)
    with pytest.raises(ConfigError, match="is a file; name a folder"):
        write_comparison(levelled, tmp_path / "notes.txt")
    (tmp_path / "blocked").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        write_comparison(levelled, tmp_path / "blocked" / "inside")


def test_compare_on_the_command_line(call_cli, tmp_path: Path) -> None:
    female = cohort()["sex"] == "F"
    base = audit_of({"dsc": np.random.default_rng(0).normal(0.7, 0.05, N)}, cohort())
    worse = np.array(base.case_scores.column("dsc"), dtype=float) - 0.1 * female
    for name, result in (("old", base), ("new", with_scores(base, {"dsc": worse}))):
        (tmp_path / name).mkdir()
        result.save(tmp_path / name / "audit.json")
    out = tmp_path / "out"
    done = call_cli("compare", tmp_path / "old", tmp_path / "new" / "audit.json", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "subgroups were harmed, most of all" in done.stdout and str(out / "comparison.html") in done.stdout
    page = (out / "comparison.html").read_text("utf-8")
    digest = hashlib.sha256((tmp_path / "old" / "audit.json").read_bytes()).hexdigest()
    assert digest in page and "segfair compare" in page
    tree = json.loads((out / "comparison.json").read_text("utf-8"))
    assert [tree["audits"][side]["name"] for side in ("before", "after")] == ["old", "new"]
    named = call_cli("compare", tmp_path / "old", tmp_path / "old", "--out", out, "--names", "A,B")
    assert named.returncode == 0 and "nothing changed" in named.stdout
    wrong = call_cli("compare", tmp_path / "old", tmp_path / "gone", "--out", out)
    assert wrong.returncode == 2 and "gone" in wrong.stderr
    wrong = call_cli("compare", tmp_path / "old", tmp_path / "new", "--out", out, "--names", "A")
    assert wrong.returncode == 2 and "expected two names" in wrong.stderr


def texts(figure) -> list[str]:
    return [entry.get_text() for axes in figure.axes for entry in axes.texts]


def test_a_slope_bears_its_name_and_both_values() -> None:
    lines = [
        SlopeLine("all cases", 300, (0.7, 0.72), "all cases"),
        SlopeLine("sex = F", 120, (0.61, 0.55), "harmed"),
        SlopeLine("sex = M", 180, (0.76, None), "no change shown"),
    ]
    said = texts(slope_plot(lines, columns=("old", "new"), better="higher"))
    assert {"old", "new", "0.700", "0.610", "0.760"} <= set(said)
    assert any(text.startswith("0.550") and "sex = F (n 120)" in text for text in said)
    marks = {
        line.get_marker()
        for axes in slope_plot(lines, columns=("old", "new"), better="higher").axes
        for line in axes.lines
        if len(line.get_xdata()) == 1
    }
    assert {"s", "v"} <= marks, "a mark tells the standing without its colour"


@pytest.mark.parametrize(("better", "falls"), [("higher", True), ("lower", False)])
def test_up_is_better(better: str, falls: bool) -> None:
    figure = slope_plot([SlopeLine("x", 10, (0.7, 0.5), "harmed")], columns=("a", "b"), better=better)  # type: ignore[arg-type]
    line = next(line for line in figure.axes[0].lines if line.get_linewidth() > 2 and len(line.get_xdata()) == 2)
    assert (line.get_ydata()[1] < line.get_ydata()[0]) == falls


def test_several_models_are_several_columns() -> None:
    columns = ("erm", "fairmedseg", "divergence-sampling")
    lines = [SlopeLine(f"group {index}", 10, (0.5, 0.6, 0.4 + index / 50), "") for index in range(9)]
    figure = slope_plot(lines, columns=columns, better="higher", width=5.0)
    assert figure.axes[0].get_xlim() == (0, 2)
    assert sum(text.startswith("group") or " group" in text for text in texts(figure)) == 9


@given(st.lists(st.floats(0, 1), max_size=12))
def test_labels_keep_their_order_and_their_distance(heights: list[float]) -> None:
    placed = _spread(heights, 0.05, 0.0, 1.0)
    assert len(placed) == len(heights)
    order = np.argsort(heights, kind="stable")
    steps = np.diff(np.array(placed)[order])
    assert (steps >= 0.05 - 1e-9).all()
    assert all(-1e-9 <= place <= 1 + 1e-9 for place in placed)
    if len(set(heights)) == len(heights) and (np.diff(np.sort(heights)) >= 0.05).all():
        assert placed == pytest.approx(heights), "labels with room stay where they are"
