"""Every cause ends with its exit code and its words: no traceback, no hang, no half-written result."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.catalogue import server
from tests.catalogue.cause import Cause
from tests.catalogue.causes import CAUSES
from tests.catalogue.good import make_good
from tests.catalogue.table import replaced

_OURS = {"MPLBACKEND": "agg", "COLUMNS": "200", "NO_COLOR": "1", "PYTHONUTF8": "1"}
_PYTHON = re.compile(
    r"Traceback|internal error|\b(Type|Value|Key|Index|Attribute|Overflow|Unicode\w*|Recursion|ClassValidation|Memory)Error\b"
    r"|Warning:|\[Errno|<class |NoneType"
)
Call = Callable[[Cause, Path, Path], tuple[dict[str, Any], str, str]]


@pytest.fixture(scope="session")
def good(once: Callable[[str, Callable[[Path], Path]], Path]) -> Path:
    def call(*words: object) -> None:
        subprocess.run([sys.executable, "-m", "segfair", *map(str, words)], check=True, capture_output=True)

    return once("catalogue", lambda folder: make_good(folder, call))


@pytest.fixture(scope="session")
def call(good: Path) -> Iterator[Call]:
    """Runs a cause in its folder; the answer, stdout and stderr."""
    process = subprocess.Popen(
        [sys.executable, server.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, **_OURS},
    )  # fmt: skip
    assert process.stdin
    assert process.stdout

    def run(cause: Cause, folder: Path, base: Path) -> tuple[dict[str, Any], str, str]:
        cause.make(folder, base)
        asked = {
            "folder": str(folder),
            "words": [word.replace("{base}", str(base)) for word in cause.words],
            "environment": dict(cause.environment),
            "limits": dict(cause.limits),
            "streams": dict(cause.streams),
            "seconds": cause.seconds,
            "fresh": cause.fresh,
            "ordinary": cause.ordinary,
        }
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        said = [
            (folder / name).read_bytes().decode("utf-8", "replace") if (folder / name).exists() else ""
            for name in (".stdout", ".stderr")
        ]
        return answer, said[0], said[1]

    yield run
    process.stdin.close()
    process.wait(timeout=30)


@pytest.mark.parametrize("cause", CAUSES, ids=lambda cause: cause.name)
def test_a_cause_ends_as_it_should(cause: Cause, call: Call, good: Path, tmp_path: Path) -> None:
    answer, told, refused = call(cause, tmp_path, good)
    said = f"{told}\n{refused}"
    assert not answer["hung"], f"not done after {cause.seconds} s: {said}"
    assert not _PYTHON.search(said), said
    assert answer["code"] == cause.code, said
    missing = [text for text in cause.says if text not in said]
    assert not missing, f"no word of {missing} in: {said}"
    assert len(refused) < 3000, refused
    half = [
        path.name for path in tmp_path.rglob(".*") if re.fullmatch(r"\.segfair-(?!cache$).*|.*\.(part|tmp)", path.name)
    ]
    assert not half, "something half-written stays"


def test_the_causes_are_distinct() -> None:
    names = [cause.name for cause in CAUSES]
    assert len(names) == len(set(names))


def test_the_table_of_the_documentation_is_that_of_these_causes() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
    assert replaced(page) == page, "write it again: python -m tests.catalogue.table docs/reliability.md"
