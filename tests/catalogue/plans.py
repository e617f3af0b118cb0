"""Plans of studies that cannot be meant."""

from __future__ import annotations

import os

from tests.catalogue.cause import QUICK, Cause, written

__all__ = ["CAUSES"]

_AUDIT = ("audit", "{base}/preds", "{base}/labels", "{base}/metadata.csv", *QUICK, "--plan", "p.toml")
_SIZE = "[plan]\nprimary = ['site']\n[plan.sample_size]\n"
_PLANS = (
    ("empty", "", "[plan]"),
    ("no table of it", "title = 'x'\n", "[plan]"),
    ("a number", "plan = 3\n", "got 3"),
    ("a list", "plan = [1]\n", "a table"),
    ("an unknown key", "[plan]\nprimry = ['site']\n", "primry"),
    ("an unknown protocol", "[plan]\nprotocol = 'mama-mai'\n", "mama-mai"),
    ("primary a number", "[plan]\nprimary = 3\n", "primary"),
    ("primary of numbers", "[plan]\nprimary = [1]\n", "primary"),
    ("no outcome", "[plan]\noutcome = []\n", "outcome"),
    ("a margin of zero", "[plan]\nmargin = {dsc = 0}\n", "margin"),
    ("a margin that is endless", "[plan]\nmargin = {dsc = inf}\n", "inf"),
    ("a margin without a metric", "[plan]\nmargin = 0.05\n", "margin"),
    ("a gate that is none", "[plan]\ngate = ['FS is good']\n", "FS is good"),
    ("a level of 1", "[plan]\nlevel = 1.0\n", "level"),
    ("no permutations", "[plan]\npermutations = 0\n", "permutations"),
    ("a seed below 0", "[plan]\nseed = -1\n", "seed"),
    ("a column read in two ways", "[plan]\nnumeric = ['age']\nordered = ['age']\n", "age"),
    ("a join that is none", "[plan]\njoin = ['site']\n", "site"),
    ("edges of texts", "[plan]\nbins = {age = ['a', 'b']}\n", "age"),
    ("no standard deviation", _SIZE + "cases = 60\n", "sd"),
    ("a standard deviation of 0", _SIZE + "sd = 0.0\n", "sd"),
    ("cases that are a text", _SIZE + "sd = 0.1\ncases = 'many'\n", "cases"),
    ("shares of nobody's", _SIZE + "sd = 0.1\nshares = {sex = {f = 0.5, m = 0.5}}\n", "sex"),
    ("shares that are too many", _SIZE + "sd = 0.1\nshares = {site = {A = 0.5, B = 0.6}}\n", "1.1"),
    ("a share of 1", _SIZE + "sd = 0.1\nshares = {site = {A = 1.0, B = 0.0}}\n", "shares"),
    ("no TOML", "[plan\n", "p.toml"),
    ("deep nesting", "[plan]\nprimary = " + "[" * 5000 + "]" * 5000 + "\n", "p.toml"),
)
PLANS = [Cause(f"plan: {name}", ("plan", "p.toml"), (says,), written("p.toml", text)) for name, text, says in _PLANS]
WITHIN = [
    Cause("plan: primary is no column", _AUDIT, ("colour",), written("p.toml", "[plan]\nprimary = ['colour']\n")),
    Cause("plan: where of no column", _AUDIT, ("colour",), written("p.toml", "[plan]\nwhere = 'colour == 1'\n")),
    Cause("plan: no such file", _AUDIT, ("p.toml",)),
    Cause(
        "plan: a gate that cannot be answered",
        _AUDIT,
        ("hd95",),
        written("p.toml", "[plan]\ngate = 'worst.hd95 < 3'\n"),
    ),
    Cause("plan: no such file, alone", ("plan", "p.toml"), ("p.toml",)),
    Cause("plan: a folder", ("plan", "{base}/preds"), ("preds",)),
    Cause("plan: a pipe", ("plan", "f"), ("pipe",), lambda case, base: os.mkfifo(case / "f")),
    Cause(
        "plan: patients for no sample size",
        ("plan", "p.toml", "{base}/metadata.csv"),
        ("sample_size",),
        written("p.toml", "[plan]\nprimary = ['site']\n"),
    ),
    Cause(
        "plan: patients that are no table",
        ("plan", "p.toml", "nowhere.csv"),
        ("nowhere.csv",),
        written("p.toml", _SIZE + "sd = 0.1\n"),
    ),
    Cause(
        "plan: nobody counts",
        ("plan", "p.toml", "{base}/metadata.csv"),
        ("fulfils",),
        written("p.toml", "[plan]\nprimary = ['site']\nwhere = 'site == \"Z\"'\n[plan.sample_size]\nsd = 0.1\n"),
    ),
]
CAUSES = [*PLANS, *WITHIN]
