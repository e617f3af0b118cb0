"""Submissions and what is expected of them, where nothing can be checked."""

from __future__ import annotations

import os

from tests.catalogue.cause import Cause, written

__all__ = ["CAUSES"]

_GOOD = '{"format": 1, "cases": {"A": {"shape": [4, 4, 4]}}}'


def _with(keys: str) -> str:
    """An expectation with further keys."""
    return _GOOD.replace("{", "{" + keys + ", ", 1)


_FILES = (
    ("empty", "", "e.json"),
    ("no JSON", "{", "e.json"),
    ("a list", "[]", "e.json"),
    ("no cases", '{"format": 1}', "cases"),
    ("another format", _GOOD.replace("1", "7", 1), "format"),
    ("nobody is expected", '{"format": 1, "cases": {}}', "cases"),
    ("a case without a shape", '{"format": 1, "cases": {"A": {}}}', "shape"),
    ("a shape of texts", '{"format": 1, "cases": {"A": {"shape": ["x", "y"]}}}', "shape"),
    ("a shape of ten axes", '{"format": 1, "cases": {"A": {"shape": [1,1,1,1,1,1,1,1,1,1]}}}', "shape"),
    ("a shape beyond all memory", '{"format": 1, "cases": {"A": {"shape": [1e30, 4]}}}', "shape"),
    ("a flat affine", '{"format": 1, "cases": {"A": {"shape": [4,4,4], "affine": [[1,0,0,0],[1,0,0,0],[0,0,1,0],[0,0,0,1]]}}}', "span"),
    ("an affine of nan", '{"format": 1, "cases": {"A": {"shape": [4,4,4], "affine": NaN}}}', "e.json"),
    ("values of texts", _with('"values": ["a"]'), "values"),
    ("a format of pictures", _with('"suffixes": [".gif"]'), "suffixes"),
    ("a size below 0", _with('"max_bytes": -1'), "max_bytes"),
    ("an unknown key", _with('"labels": 1'), "labels"),
    ("deep nesting", '{"format": 1, "cases": ' + "[" * 9000 + "]" * 9000 + "}", "e.json"),
)  # fmt: skip
_CHECK = ("check", "{base}/preds", "--expect", "e.json")
_MAKE = ("check", "{base}/images", "--write", "e.json")
CAUSES = [
    *(Cause(f"check: {name}", _CHECK, (says,), written("e.json", text)) for name, text, says in _FILES),
    Cause("check: no such expectation", _CHECK, ("e.json",)),
    Cause("check: an expectation that is a folder", ("check", "{base}/preds", "--expect", "{base}/preds"), ("preds",)),
    Cause("check: a pipe", _CHECK, ("pipe",), lambda case, base: os.mkfifo(case / "e.json")),
    Cause("check: neither of two", ("check", "{base}/preds"), ("--expect",)),
    Cause("check: both", (*_CHECK, "--write", "f.json"), ("--write",), written("e.json", _GOOD)),
    Cause("check: rules for what exists", (*_CHECK, "--values", "1"), ("--values",)),
    Cause("check: --values of texts", (*_MAKE, "--values", "one"), ("one",)),
    Cause("check: 0 as a value", (*_MAKE, "--values", "0,1"), ("background",)),
    Cause("check: --suffix of pictures", (*_MAKE, "--suffix", ".gif"), (".gif",)),
    Cause("check: no size at all", (*_MAKE, "--max-mb", "0"), ("--max-mb",)),
    Cause("check: no images", ("check", "nowhere", "--write", "e.json"), ("nowhere",)),
    Cause("check: a folder to write to", ("check", "{base}/images", "--write", "{base}/preds"), ("preds",)),
    Cause("check: a place nobody can write to", ("check", "{base}/images", "--write", "/proc/e.json"), ("/proc",)),
    Cause("check: no submission", ("check", "nowhere", "--expect", "e.json"), ("nowhere",), written("e.json", _GOOD)),
    Cause("check: a zip", ("check", "s.zip", "--expect", "e.json"), ("unpack",), lambda case, base: [written("e.json", _GOOD)(case, base), written("s.zip", b"PK")(case, base)]),
    Cause("check: nothing as expected", _CHECK, (), written("e.json", _GOOD), code=1),
]  # fmt: skip
