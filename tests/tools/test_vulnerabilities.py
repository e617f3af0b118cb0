"""What becomes of what pip-audit finds: a known vulnerability fails, a network that is down does not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tools.vulnerabilities import Answer, Found, answer_of, known_in, main, wrong

from tools import vulnerabilities

ROOT = Path(__file__).resolve().parents[2]
TREE = {
    "dependencies": [
        {"name": "numpy", "version": "2.4.6", "vulns": []},
        {"name": "torch", "skip_reason": "Dependency not found on PyPI"},
        {
            "name": "pillow",
            "version": "9.0",
            "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["9.1"], "description": "x"}],
        },
    ]
}
FOUND = (Found("pillow 9.0", ("PYSEC-1", "CVE-1"), ("9.1",)),)


def test_what_pip_audit_says_is_read() -> None:
    assert answer_of(TREE) == Answer(2, {"torch": "Dependency not found on PyPI"}, FOUND)


def test_a_vulnerability_fails_unless_it_is_listed_under_any_of_its_names() -> None:
    (said,) = wrong(FOUND, {}, complete=True)
    assert said == "pillow 9.0: PYSEC-1 CVE-1, mended in 9.1; take another version, or list it with a reason"
    assert list(wrong(FOUND, {"CVE-1": "no PSD is read"}, complete=True)) == []


def test_one_that_is_found_no_longer_leaves_the_list() -> None:
    known = {"CVE-1": "no PSD is read"}
    assert list(wrong((), known, complete=True)) == ["CVE-1: is found no longer; take it out of the list"]
    assert list(wrong((), known, complete=False)) == [], "who was not asked says nothing"


def test_an_entry_needs_a_reason(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[known]\n"CVE-1" = " "\n')
    with pytest.raises(ValueError, match="CVE-1: say why"):
        known_in(tmp_path / "a.toml")
    assert all(known_in(ROOT / "tools" / "vulnerabilities.toml").values())


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (None, 0, "PyPI could not be asked"),
        (Answer(0, {"numpy": "not found"}, ()), 0, "PyPI could not be asked"),
        (Answer(2, {}, FOUND), 1, "1 to be looked at"),
        (Answer(2, {"torch": "not found"}, ()), 0, "not asked: torch"),
    ],
)
def test_only_a_vulnerability_fails(
    answer: Answer | None,
    code: int,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(vulnerabilities, "ask", lambda _: answer)
    monkeypatch.setattr(sys, "argv", ["x", str(ROOT / "tools" / "vulnerabilities.toml"), "constraints.txt"])
    assert main() == code
    assert words in capsys.readouterr().out
