"""How often a label is read for many teams: once a case, and never where every score was kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from segfair.files.images.masks import write_mask
from segfair.protocol.rules import load_protocol
from segfair.rank.teams import load_teams, score_teams
from segfair.scoring import cohort as scoring
from segfair.scoring.score_cache import ScoreCache

N_TEAMS, CASES = 30, ("P1", "P2", "P3")


@pytest.fixture
def submissions(tmp_path: Path) -> tuple[Path, Path, Path]:
    rng = np.random.default_rng(0)
    masks = {f"labels/{case}": rng.random((6, 7, 8)) < 0.3 for case in CASES}
    masks |= {f"teams/t{team}/{case}": rng.random((6, 7, 8)) < 0.3 for team in range(N_TEAMS) for case in CASES}
    for name, mask in masks.items():
        write_mask(tmp_path / f"{name}.nii.gz", mask, affine=np.eye(4))
    (tmp_path / "metadata.csv").write_text("id,age\n" + "".join(f"{case},50\n" for case in CASES))
    return tmp_path / "teams", tmp_path / "labels", tmp_path / "metadata.csv"


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Names of the files that are opened from now on, and how often."""
    found: Counter[str] = Counter()
    whole = Path.open

    def counting(self: Path, *arguments, **named):
        found["/".join(self.parts[-2:])] += 1
        return whole(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", counting)
    return found


def test_thirty_teams_share_one_reading_of_a_label(
    submissions: tuple[Path, Path, Path], tmp_path: Path, opened: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, teams = load_teams(*submissions)
    protocol = load_protocol("default")
    read: list[str] = []
    read_label = scoring.read_label
    monkeypatch.setattr(scoring, "read_label", lambda case, **named: read.append(case.id) or read_label(case, **named))
    expected = score_teams(cohort, teams, protocol)
    assert read == list(CASES)

    opened.clear()
    read.clear()
    kept = ScoreCache(tmp_path / "kept")
    assert score_teams(cohort, teams, protocol, cache=kept) == expected
    assert read == list(CASES)
    assert (kept.n_scored, kept.n_found) == (N_TEAMS * len(CASES), 0)
    # Once for its digest and once for its voxels; its reader may look at the header as well.
    assert all(opened[f"labels/{case}.nii.gz"] <= 3 for case in CASES)

    opened.clear()
    read.clear()
    kept = ScoreCache(tmp_path / "kept")
    assert score_teams(cohort, teams, protocol, cache=kept) == expected
    assert read == []
    assert (kept.n_scored, kept.n_found) == (0, N_TEAMS * len(CASES))
    assert {name: n for name, n in opened.items() if name.startswith("labels")} == {
        f"labels/{case}.nii.gz": 1 for case in CASES
    }


def test_one_changed_prediction_costs_one_scoring(submissions: tuple[Path, Path, Path], tmp_path: Path) -> None:
    protocol, folder = load_protocol("mama-mia"), tmp_path / "kept"
    score_teams(*load_teams(*submissions), protocol, cache=ScoreCache(folder))
    write_mask(submissions[0] / "t7" / "P2.nii.gz", np.ones((6, 7, 8), bool), affine=np.eye(4))
    cohort, teams = load_teams(*submissions)
    kept = ScoreCache(folder)
    assert score_teams(cohort, teams, protocol, cache=kept) == score_teams(cohort, teams, protocol)
    assert (kept.n_scored, kept.n_found) == (1, N_TEAMS * len(CASES) - 1)
