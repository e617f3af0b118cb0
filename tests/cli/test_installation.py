"""`doctor`: what it finds here, and what it says where something is missing or wrong."""

from __future__ import annotations

import json
from importlib import metadata

import pytest

from segfair.cli import installation


def found(call_cli, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    done = call_cli("doctor", "--json", *options)
    return done.returncode, {entry["name"]: entry for entry in json.loads(done.stdout)["findings"]}


def test_it_finds_what_is_here(call_cli) -> None:
    code, findings = found(call_cli)
    assert code == 0
    assert findings["numpy"] == {"name": "numpy", "value": metadata.version("numpy"), "state": "ok"}
    assert {"segfair", "python", "[mitigate]", "cores", "memory", "locale", "gpu", "reports"} <= set(findings)
    assert not {"[test]", "[lint]", "pytest"} & set(findings)


def test_lines_and_json_say_the_same(call_cli) -> None:
    lines = call_cli("doctor").stdout.splitlines()
    _, findings = found(call_cli)
    assert [line.split(maxsplit=2)[:2] for line in lines if "compiled" not in line and "temporary" not in line] == [
        [entry["state"], name] for name, entry in findings.items() if name not in ("compiled loops", "temporary files")
    ]


@pytest.mark.parametrize(
    ("requirements", "name", "state", "value", "code"),
    [
        (["numpy>=999"], "numpy", "wrong", "but >=999 is needed; pip install 'numpy>=999'", 2),
        (["no-such-thing>=1"], "no-such-thing", "wrong", "not installed; pip install 'no-such-thing>=1'", 2),
        (
            ["numpy>=1", "no-such-thing; extra == 'dask'", "numpy; extra == 'dask'"],
            "[dask]",
            "missing",
            'lacks no-such-thing; pip install "segfair[dask]"',
            0,
        ),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(
    call_cli, monkeypatch: pytest.MonkeyPatch, requirements, name, state, value, code
) -> None:
    monkeypatch.setattr(installation.metadata, "requires", lambda _: requirements)
    left_with, findings = found(call_cli)
    assert left_with == code
    assert findings[name]["state"] == state
    assert value in findings[name]["value"]


def test_a_source_that_is_not_installed(call_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> list[str]:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(installation.metadata, "requires", fail)
    code, findings = found(call_cli)
    assert code == 2 and "pip install ." in findings["packages"]["value"]


def test_folders_that_cannot_be_written(call_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation.os, "access", lambda *_: False)
    code, findings = found(call_cli)
    assert code == 2
    assert findings["temporary files"]["state"] == "wrong" and "TMPDIR" in findings["temporary files"]["value"]
    assert findings["compiled loops"]["state"] == "missing"


def test_gpu_without_torch(call_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert 'pip install "segfair[mitigate]"' in found(call_cli, "--gpu")[1]["gpu"]["value"]
