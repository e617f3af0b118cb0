"""The leaderboard and a team's page in a real browser: opened from disk, followed, printed, and checked by axe."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.rank_fixtures import CONFIG, HOSTILE, made_up, noise

from segfair.rank.procedure import rank_scored
from segfair.report.ranking.files import write_ranking

shared = pytest.importorskip("tests.browser.test_report_page", reason="selenium is not installed")
AXE, show, pytestmark = shared.AXE, shared.show, shared.pytestmark

KINDS = ["undecided", "won", "private"]
N_TEAMS = 30


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Kind of ranking -> the address of its leaderboard."""
    teams = {f"team {number:02}": 0.7 - 0.004 * number + noise(number) for number in range(N_TEAMS - 1)}
    teams[HOSTILE] = 0.7 + noise(99)
    far = np.full(60, 0.1)
    far[3] = 4.0
    undecided = rank_scored(made_up(teams, {"team 01": far}, "bca" + "bc" * 28 + "b"), CONFIG)
    won = rank_scored(made_up({"good": 0.8 + noise(0), "poor": 0.7 + noise(0)}), CONFIG)
    folder = tmp_path_factory.mktemp("boards")
    return {
        "undecided": write_ranking(undecided, folder / "undecided", command="segfair rank ...").as_uri(),
        "won": write_ranking(won, folder / "won").as_uri(),
        "private": write_ranking(undecided, folder / "private", private_labels=True).as_uri(),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [400, 1280])
def test_it_opens_complete_and_keeps_to_its_width(browser: Any, boards: dict[str, str], kind: str, width: int) -> None:
    show(browser, boards[kind], width)
    assert browser.get_log("browser") == []
    n_teams = 2 if kind == "won" else N_TEAMS
    assert browser.find_element("tag name", "h1").text == f"Ranking of {n_teams} teams"
    assert len(browser.find_elements("css selector", ".board tbody tr")) == n_teams + 1
    shared.assert_it_stands_alone(browser, width)
    assert browser.execute_script("return document.images.length") == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [400, 1200])
def test_no_table_has_to_be_scrolled(browser: Any, boards: dict[str, str], kind: str, width: int) -> None:
    show(browser, boards[kind], width)
    assert shared.scrolled(browser) == []


def test_the_board_stands_right_behind_the_answer(browser: Any, boards: dict[str, str]) -> None:
    show(browser, boards["undecided"])
    order = browser.execute_script("return Array.from(document.querySelectorAll('main section'), part => part.id)")
    assert order[:5] == ["verdict", "board", "scores", "pairs", "order"]
    assert "No winner can be declared" in browser.find_element("id", "verdict").text
    show(browser, boards["won"])
    assert "Winner: good" in browser.find_element("id", "verdict").text


def test_the_board_is_sorted_and_filtered(browser: Any, boards: dict[str, str]) -> None:
    show(browser, boards["undecided"])
    teams = "return Array.from(document.querySelectorAll('.board tbody th'), cell => cell.innerText.trim())"
    assert len(browser.execute_script(teams)) == N_TEAMS + 1
    browser.find_element("xpath", "//table[contains(@class, 'board')]//th[normalize-space()='Rank']/button").click()
    browser.find_element("xpath", "//table[contains(@class, 'board')]//th[normalize-space()='Rank']/button").click()
    ranks = browser.execute_script(
        "return Array.from(document.querySelectorAll('.board tbody .place'), cell => cell.innerText.trim())"
    )
    assert ranks[0] == str(N_TEAMS) and ranks[-1] == "–", "empty masks have no rank"
    search = browser.find_element("css selector", ".tools:has(+ table.board) input")
    search.send_keys("src=x")
    assert browser.execute_script(teams) == [HOSTILE]


@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_drawn_for_both_widths_and_private_ones_show_no_case(
    browser: Any, boards: dict[str, str], kind: str
) -> None:
    show(browser, boards[kind])
    drawn = browser.execute_script(
        "return Array.from(document.querySelectorAll('figure'), figure => figure.dataset.figure)"
    )
    assert drawn == (["team-scores", "pairs"] if kind == "private" else ["team-scores", "team-boxes", "pairs"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_team_has_a_page_that_leads_back(browser: Any, boards: dict[str, str], kind: str) -> None:
    show(browser, boards[kind])
    link = browser.find_element("css selector", ".board tbody a")
    name = link.text
    link.click()
    assert browser.find_element("tag name", "h1").text == name
    assert browser.get_log("browser") == []
    assert bool(browser.find_elements("id", "cases")) == (kind != "private")
    assert bool(browser.find_elements("id", "attributes")) == (kind != "private")
    assert bool(browser.find_elements("id", "levels")) == (kind != "private")
    assert bool(browser.find_elements("css selector", "#next code")) == (kind != "private"), "no path in public"
    browser.find_element("link text", "Leaderboard").click()
    assert browser.current_url == boards[kind]


def test_the_bars_lie_where_the_numbers_say(browser: Any, boards: dict[str, str]) -> None:
    show(browser, boards["undecided"])
    drawn = browser.execute_script(
        """
        return Array.from(document.querySelectorAll('.board .track'), (track) => {
            const box = track.getBoundingClientRect();
            const [reach, spot] = ['.reach', '.spot'].map((name) => track.querySelector(name).getBoundingClientRect());
            const text = track.nextElementSibling.textContent;
            return [(reach.left - box.left) / box.width, (reach.right - box.left) / box.width,
                ((spot.left + spot.right) / 2 - box.left) / box.width, text];
        });
        """
    )
    assert len(drawn) == N_TEAMS
    for left, right, spot, text in drawn:
        low, _, high = text.partition(" to ")
        assert left == pytest.approx((int(low) - 1) / N_TEAMS, abs=0.01)
        assert right == pytest.approx(int(high or low) / N_TEAMS, abs=0.01)
        assert left < spot < right


@pytest.mark.parametrize("kind", KINDS)
def test_it_prints_without_cut_tables(browser: Any, boards: dict[str, str], kind: str) -> None:
    show(browser, boards[kind])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        paper = round(182 / 25.4 * 96)
        show(browser, boards[kind], paper)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= paper
        cut = "return Array.from(document.querySelectorAll('table')).filter(t => t.getBoundingClientRect().right > "
        assert browser.execute_script(f"{cut} innerWidth + 1).length") == 0
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
@pytest.mark.parametrize(
    ("kind", "width"), [("undecided", 390), ("undecided", 768), ("undecided", 1440), ("private", 390)]
)
def test_axe_finds_no_violation(browser: Any, boards: dict[str, str], kind: str, width: int) -> None:
    shared.test_axe_finds_no_violation(browser, boards, kind, width)


@pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm install --no-save axe-core")
def test_axe_finds_no_violation_on_a_teams_page(browser: Any, boards: dict[str, str]) -> None:
    show(browser, boards["undecided"])
    address = browser.find_element("css selector", ".board tbody a").get_attribute("href")
    for width in (390, 1440):
        shared.test_axe_finds_no_violation(browser, {"team": address}, "team", width)
