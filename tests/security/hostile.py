"""A study whose every name is an attack on whoever reads its files, and the same study with plain names, on disk.

Two audits with pictures, summaries, figures, a model card, a shared copy and pseudonyms, a dossier, comparisons of two
and of three audits, a ranking with an audit of each team, and a mitigation.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from segfair.files.images.masks import write_image, write_mask

N_CASES = 24
MARK = "alert("
"""Stands in each text that would run in a page."""

MARKUP = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "</script><script>alert(3)</script>",
    "</title></style></noscript><svg onload=alert(4)>",
    "' onmouseover='alert(5)",
    "javascript:alert(6)",
    "-->]]><iframe srcdoc='<script>alert(7)</script>'>",
    "{{ 7 * 7 }}{% raw %}alert(8)",
    "\\u003cscript\\u003ealert(9)//\\",
    "*/}</style><img src=x onerror=alert(10)>",
)
FORMULAS = (
    "=HYPERLINK(1)",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1)",
    "\t=2+2",
    "=1+1",
    "+cmd",
    "-cmd",
    "@cmd",
    "\r=3+3",
)


@dataclass(frozen=True)
class Names:
    """What things are called: of each kind as many as are needed, for ever."""

    texts: Sequence[str]

    def of(self, start: int) -> str:
        return self.texts[start % len(self.texts)]

    def file(self, start: int, number: int) -> str:
        """A name that a file system takes."""
        return f"{self.of(start)} {number:02d}".replace("/", "\u2215").strip()


KINDS: Mapping[str, Names] = {
    "plain": Names(("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa")),
    "markup": Names(MARKUP),
    "formulas": Names(FORMULAS),
}


def write_study(root: Path, names: Names) -> list[str]:
    """Labels, images, predictions of three teams, a table and a record; the ids of the cases."""
    rng = np.random.default_rng(0)
    ids = [names.file(number, number) for number in range(N_CASES)]
    for number, case in enumerate(ids):
        label = np.zeros((14, 12, 6), np.uint8)
        label[3 : 8 + number % 4, 3:9, 1:5] = 1
        write_mask(root / "labels" / f"{case}.nii.gz", label, affine=np.eye(4))
        write_image(root / "images" / f"{case}.nii.gz", label + rng.random(label.shape), affine=np.eye(4))
        for team in range(3):
            guess = np.roll(label, int(rng.integers(0, 2)) + 2 * (number % 3 == team), axis=0)
            write_mask(root / "teams" / names.file(team, team) / f"{case}.nii.gz", guess, affine=np.eye(4))
    columns = [names.of(4), names.of(5)]
    lines = [["case", *columns]]
    lines += [[case, names.of(6 + number % 2), names.of(8 + (number * 7) % 3)] for number, case in enumerate(ids)]
    text = "".join(",".join('"' + cell.replace('"', '""') + '"' for cell in line) + "\n" for line in lines)
    (root / "metadata.csv").write_text(text, "utf-8")
    quoted = [
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t").replace("\r", "\\r") for text in names.texts
    ]
    (root / "study.toml").write_text(
        "".join(
            f'{key} = "{text}"\n'
            for key, text in zip(
                ("title", "model", "cohort", "intended_use", "approver", "role", "recommendation", "vendor"),
                itertools.cycle(quoted),
                strict=False,
            )
        ),
        "utf-8",
    )
    return ids


def write_files(root: Path, names: Names, call: Callable[..., Any]) -> Path:
    """Everything that is written of such a study, in `root / "out"`."""
    write_study(root, names)
    teams = [root / "teams" / names.file(team, team) for team in range(3)]
    quick = ("--permutations", 49, "--bootstrap", 100, "--min-cases", 3, "--workers", 1, "--no-cache")
    out = root / "out"

    def run(*words: object) -> None:
        done = call(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)

    study = (root / "labels", root / "metadata.csv")
    record = ("--record", root / "study.toml", "--images", root / "images", "--figures", "svg")
    for number, team in enumerate(teams):
        named = ("--title", names.of(number), "--model", names.of(number + 1), "--cohort", names.of(number + 2))
        run("audit", team, *study, *quick, *record, *named, "--out", out / f"audit {number}")
    german = ("--share", out / "shared", "--language", "de")
    run("audit", teams[0], *study, *quick, *record, *german, "--out", out / "audit again")
    key = root / "key"
    run("audit", teams[0], *study, *quick, "--pseudonymise", key, "--out", out / "pseudonyms")
    audits = [out / f"audit {number}" for number in range(3)]
    run("compare", *audits[:2], "--title", names.of(3), "--out", out / "two")
    run("compare", *audits, "--title", names.of(3), "--out", out / "three")
    run("compare", *audits[:2], "--unpaired", "--title", names.of(3), "--out", out / "cohorts")
    run("monitor", *audits, "--title", names.of(3), "--out", out / "series")
    run("dossier", audits[0], "--out", out / "dossier")
    run("rank", root / "teams", *study, *quick, "--audits", "--title", names.of(5), "--out", out / "ranking")
    run("rank", root / "teams", *study, *quick, "--private-labels", "--out", out / "private")
    return out


def write_mitigation(folder: Path, names: Names) -> Path:
    """The page of a mitigation whose title, levels and budget bear such names."""
    from tests.mitigation import toy_models

    from segfair.mitigation.experiment.pages.summary_page import write_mitigation_page

    site = toy_models.SITE
    toy_models.SITE = [names.of(6) if level == "A" else names.of(8) for level in site]
    try:
        models = [toy_models.model(name, women=women) for name, women in (("erm", 0.5), ("balanced", 0.8))]
    finally:
        toy_models.SITE = site
    summary = toy_models.summarise(models, baseline="erm", budget={names.of(1): names.of(2)})
    folder.mkdir(parents=True)
    return write_mitigation_page(summary, folder, title=names.of(0))
