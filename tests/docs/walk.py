"""A page is walked: its blocks are run one after the other, in one folder, as a reader would."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.docs.blocks import ROOT, Block

STAND_INS = {
    "pip": "installs nothing: tests/docs/test_blocks.py holds the extras that pages name against pyproject.toml",
    "make": "only says what it would do: .ci/run calls the targets themselves",
    "nnUNetv2_plan_and_preprocess": "takes minutes: tests/mitigation/nnunet plans and trains",
    "nnUNetv2_train": "takes hours: tests/mitigation/nnunet trains",
    "nnUNetv2_predict": "needs a trained network: masks lie there",
}
"""Commands that are not run as they are, and why. Whatever else a block calls is called."""

_KEPT = ".shell"


@dataclass(slots=True)
class Walk:
    """One reader.

    Attributes:
        folder: Where commands are given.
        server: The socket of `segfair_server.py`.
        names: What Python blocks have defined so far.
    """

    folder: Path
    server: Path
    names: dict[str, Any] = field(default_factory=dict)

    def prepare(self) -> None:
        """Puts commands on the path."""
        commands = self.folder.parent / "bin"
        commands.mkdir()
        scripts = dict.fromkeys(STAND_INS, "exit 0")
        scripts["make"] = f'exec {_absolute("make")} --dry-run --silent -C {ROOT} "$@" >/dev/null'
        scripts["python"] = f'exec {sys.executable} "$@"'
        scripts["segfair"] = f'exec {sys.executable} -S -E {ROOT / "tests/docs/segfair_caller.py"} "$@"'
        for name, script in scripts.items():
            (commands / name).write_text(f"#!/bin/sh\n{script}\n")
            (commands / name).chmod(0o755)

    def take(self, block: Block) -> None:
        """Runs one block; raises what went wrong, named by page and line."""
        place = f"{block.page}:{block.line}"
        if block.title:
            (self.folder / block.title).write_text(block.text, "utf-8")
        try:
            if block.language == "toml":
                assert block.title, "nothing reads a table that is no file: give the block a title"
                tomllib.loads(block.text)
            elif block.language == "python":
                self._python(block, place)
            elif block.language == "sh":
                self._shell(block.text)
            elif block.language == "console":
                self._console(block.text)
        except Exception as error:
            raise AssertionError(f"{place}: {error}") from error

    def _python(self, block: Block, place: str) -> None:
        if block.title:
            ast.parse(block.text)  # the command that names the file runs it
        else:
            exec(compile(block.text, place, "exec"), self.names)

    def _console(self, text: str) -> None:
        """Each command says what stands beneath it; `...` stands for anything."""
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, *told = part.splitlines()
            said = " ".join(self._shell(command).split())
            for line in filter(str.strip, told):
                pattern = r".*".join(map(re.escape, " ".join(line.split()).split("...")))
                assert re.search(pattern, said), f"{command}\nsaid {said!r}\nand not {line!r}"

    def _shell(self, text: str) -> str:
        state = self.folder / _KEPT
        known = f". ./{_KEPT}\n" if state.exists() else ""
        script = f"set -ae -o pipefail\n{known}{text}\nexport -p > {_KEPT}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (
            f"{text}\nended with {done.returncode}:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}"
        )
        return done.stdout + done.stderr

    def _environment(self) -> Mapping[str, str]:
        home = self.folder.parent / "home"
        home.mkdir(exist_ok=True)
        return {
            **{
                name: value
                for name, value in os.environ.items()
                if not name.startswith(("PYTEST", "nnUNet", "SEGFAIR"))
            },
            "PATH": f"{self.folder.parent / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "SEGFAIR_SERVER": str(self.server),
            "HOME": str(home),
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }


def _absolute(command: str) -> str:
    import shutil

    return shutil.which(command) or command
