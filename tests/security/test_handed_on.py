"""What is handed on: every file of it, read byte by byte for ids, paths, hidden groups and what they count."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.report.pages import Page

from segfair.files.images.masks import write_mask

N_CASES = 60
QUICK = ("--permutations", 49, "--bootstrap", 100, "--workers", 1, "--no-cache")
TINY = "Zanzibar"
"""Where three patients come from."""


def write_cohort(root: Path) -> tuple[Path, ...]:
    """Two teams, labels and a table, in which three patients are of one site and two of these have one sex."""
    rng = np.random.default_rng(4)
    lines = ["case,site,sex"]
    for number in range(N_CASES):
        case = f"PATIENT{number:04d}"
        label = np.zeros((12, 10, 6), np.uint8)
        label[2 : 6 + number % 4, 2:8, 1:5] = 1
        write_mask(root / "labels" / f"{case}.nii.gz", label, affine=np.eye(4))
        for team in ("first", "second"):
            guess = np.roll(label, int(rng.integers(0, 3)), axis=0)
            write_mask(root / "teams" / team / f"{case}.nii.gz", guess, affine=np.eye(4))
        site = TINY if number < 3 else ("Aachen", "Bergen")[number % 2]
        lines.append(f"{case},{site},{'f' if number % 3 else 'm'}")
    (root / "metadata.csv").write_text("\n".join(lines) + "\n")
    (root / "study.toml").write_text('model = "net"\napprover = "Dr Quagmire"\ncohort = "the hospital\'s"\n')
    return root / "teams", root / "labels", root / "metadata.csv"


@pytest.fixture(scope="module")
def handed_on(once: Callable[..., Any], call_cli: Callable[..., Any]) -> Path:
    """A shared copy and all that can be made of it, a pseudonymised report, and the public part of a ranking."""

    def make(folder: Path) -> Path:
        root = folder / "secret-place"
        teams, *study = write_cohort(root)
        first, out = teams / "first", folder / "out"
        share = ("--share", out / "shared", "--record", root / "study.toml")
        keyed = ("--pseudonymise", folder / "key", "--out", folder / "full", "--images", root / "labels")
        commands: list[tuple[object, ...]] = [
            ("audit", first, *study, *QUICK, *share, *keyed),
            ("report", out / "shared" / "audit.json", "--out", out / "redrawn"),
            ("dossier", out / "shared", "--out", out / "dossier"),
            ("rank", teams, *study, *QUICK, "--private-labels", "--out", folder / "ranking"),
        ]
        for words in commands:
            done = call_cli(*words)
            assert done.returncode == 0, (words, done.stderr)
        done = call_cli("card", out / "shared")
        assert done.returncode == 0, done.stderr
        (out / "card.md").write_text(done.stdout)
        return folder

    return once("handed on", make)


def texts(folder: Path) -> dict[str, str]:
    """Every file below a folder as a reader sees it, entities resolved."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found[str(path.relative_to(folder))] = html.unescape(path.read_text("utf-8", errors="replace"))
    return found


def test_a_shared_copy_tells_no_id_no_place_no_name_and_no_small_group(handed_on: Path) -> None:
    found = texts(handed_on / "out")
    assert {Path(name).name for name in found} >= {
        "report.html", "summary.html", "audit.json", "subgroups.csv", "manifest.json", "dossier.json", "card.md",
    }  # fmt: skip
    assert "cases.csv" not in {Path(name).name for name in found}
    for name, text in found.items():
        for secret in ("PATIENT", "secret-place", str(handed_on), "Quagmire"):
            assert secret not in text, (name, secret)
        # That there is such a level is told; a table of counts names its rows, also those whose count is kept back.
        told = text if name.endswith((".csv", ".md")) else ""
        assert TINY not in told, name
    assert "Aachen" in found["shared/report.html"], "large groups are told"
    tree = json.loads(found["shared/audit.json"])
    bins = tree.pop("bins")
    assert TINY in bins["site"]["levels"]
    assert TINY not in json.dumps(tree), "nothing but its name"


def test_the_full_report_tells_them(handed_on: Path) -> None:
    """Otherwise the test above would look for what is never there."""
    whole = "".join(texts(handed_on / "full").values())
    assert TINY in whole
    assert "PATIENT" not in whole and "secret-place" not in whole, "but for ids and places, which pseudonyms hide"


def test_no_count_of_a_shared_copy_is_below_five(handed_on: Path) -> None:
    def counts(node: Any) -> list[int]:
        if isinstance(node, dict):
            here = [value for key, value in node.items() if key in ("n", "n_cases", "n_subjects") and value is not None]
            return here + [found for value in node.values() for found in counts(value)]
        return [found for entry in node for found in counts(entry)] if isinstance(node, list) else []

    for name in ("shared", "redrawn"):
        tree = json.loads((handed_on / "out" / name / "audit.json").read_text("utf-8"))
        found = counts(tree)
        assert len(found) > 5
        assert min(found) >= 5
        assert tree["case_scores"]["rows"] == [] and tree["cases"]["penalised"] == []


def test_what_is_published_of_private_labels_names_no_case_attribute_or_level(handed_on: Path) -> None:
    found = texts(handed_on / "ranking" / "public")
    assert any(name.endswith("leaderboard.html") for name in found)
    for name, text in found.items():
        for secret in ("PATIENT", TINY, "Aachen", "Bergen", "secret-place"):
            assert secret not in text, (name, secret)
        if name.endswith(".html"):
            page = Page(text)
            seen = [page.visible, *(value for _, key, value in page.attributes if key not in ("class", "style"))]
            assert not [part for part in seen if re.search(r"\bsite\b|\bsex\b", part)], name
