"""Audits of different patients that cannot be compared, or followed."""

from __future__ import annotations

import json
from pathlib import Path

from tests.catalogue.cause import Cause

__all__ = ["CAUSES"]


def _renamed(case: Path, base: Path, **edits: object) -> None:
    """Another audit, of cases with other names."""
    tree = json.loads((base / "report" / "audit.json").read_text("utf-8"))
    place = tree["case_scores"]["columns"].index("case")
    for row in tree["case_scores"]["rows"]:
        row[place] = f"other-{row[place]}"
    for name in ("penalised", "excluded"):
        tree["cases"][name] = [{**entry, "case": f"other-{entry['case']}"} for entry in tree["cases"][name]]
    tree["cases"]["missing_predictions"] = [f"other-{name}" for name in tree["cases"]["missing_predictions"]]
    tree["cases"]["label_sha256"] = {}
    tree.update(edits)
    (case / "audit.json").write_text(json.dumps(tree), "utf-8")


_COMPARE = ("compare", "{base}/report", "audit.json", "--out", "out")
_MONITOR = ("monitor", "{base}/report", "audit.json", "--out", "out")
CAUSES = [
    Cause("monitor: a single audit", ("monitor", "{base}/report"), ("two audits",)),
    Cause("monitor: nothing", ("monitor",), ("AUDITS",)),
    Cause("monitor: no such audit", ("monitor", "{base}/report", "nowhere"), ("nowhere",)),
    Cause("monitor: a baseline of all", (*_MONITOR, "--baseline", "2"), ("baseline",), _renamed),
    Cause("monitor: a baseline of none", (*_MONITOR, "--baseline", "0"), ("--baseline",), _renamed),
    Cause("monitor: one name", (*_MONITOR, "--names", "a"), ("names",), _renamed),
    Cause("monitor: names twice", (*_MONITOR, "--names", "a,a"), ("names",), _renamed),
    Cause("monitor: an unknown outcome", (*_MONITOR, "--outcome", "hd59"), ("hd59",), _renamed),
    Cause("monitor: a file as --out", ("monitor", "{base}/report", "audit.json", "--out", "audit.json"), ("audit.json",), _renamed),
    Cause("compare: more than two, unpaired", ("compare", *["{base}/report"] * 3, "--unpaired"), ("monitor",)),
    Cause("compare: cohorts, an unknown outcome", (*_COMPARE, "--outcome", "hd59"), ("hd59",), _renamed),
    Cause("compare: cohorts, no case", _COMPARE, ("audit.json",), lambda case, base: _renamed(case, base, case_scores={})),
    Cause("compare: cohorts", (*_COMPARE, "--names", "a,b"), (), _renamed, code=0),
    Cause("monitor: two audits", (*_MONITOR, "--names", "a,b"), (), _renamed, code=0),
]  # fmt: skip
