"""A comparison of made-up models, its page, and one section of that page as text."""

from __future__ import annotations

import re

import numpy as np
from tests.score_fixtures import audit_of, skewed_dice, with_scores

from segfair.compare.procedure import run_comparison
from segfair.compare.result import Comparison
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


def section(html: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', html, re.S)
    assert found, name
    return " ".join(re.sub(r"<svg.*?</svg>|<[^>]+>", " ", found[0], flags=re.S).split())
