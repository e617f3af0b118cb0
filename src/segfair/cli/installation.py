"""`doctor`: what is installed, and what the machine offers. Asks the system and no network; changes nothing."""

from __future__ import annotations

import locale
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from segfair import __version__
from segfair.cli.app import app
from segfair.cli.commands import Command
from segfair.cli.options import Saying, spread
from segfair.cli.terminal.progress import n_cores
from segfair.cli.terminal.voice import Answer, Voice

if TYPE_CHECKING:
    from rich.console import RenderableType

State = Literal["ok", "missing", "wrong"]
_DEVELOPING = ("lint", "test")
"""Extras of those who change segfair."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        value: What was found; where something is amiss, what to do.
        state: "ok"; "missing": not there and not needed by everybody; "wrong": segfair cannot work so.
    """

    name: str
    value: str
    state: State = "ok"


@app.command(cls=Command, epilog="Example: segfair doctor --gpu")
@spread
def doctor(
    gpu: Annotated[bool, typer.Option("--gpu", help="Ask torch for its GPU; takes seconds.")] = False,
    *,
    saying: Saying,
) -> None:
    """Say what is installed, and what this machine offers.

    Exit code 0: segfair can work, 2: it cannot; lines that begin with "wrong" say why.
    """
    voice = Voice("doctor", saying)
    found = [*_packages(), *_machine(), _gpu(ask=gpu), *_folders()]
    code = 2 if any(entry.state == "wrong" for entry in found) else 0
    width = max(len(entry.name) for entry in found)
    rows = [(entry.state, entry.name, entry.value) for entry in found]
    lines = tuple(f"{entry.state:<7}  {entry.name:<{width}}  {entry.value}" for entry in found)
    facts = {"findings": [asdict(entry) for entry in found]}
    voice.answer(Answer(facts, lines, lambda: _drawn(rows)), exit_code=code)
    raise typer.Exit(code)


def _drawn(rows: Sequence[tuple[str, str, str]]) -> Iterable[RenderableType]:
    from segfair.cli.terminal.screen import states

    return states(rows)


def _packages() -> Iterator[Finding]:
    """segfair, what it needs, and its extras."""
    yield Finding("segfair", __version__)
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    try:
        wanted = metadata.requires("segfair") or []
    except metadata.PackageNotFoundError:
        yield Finding(
            "packages", "segfair runs from its source; install it to see what it needs: pip install .", "wrong"
        )
        return
    extras: dict[str, list[Finding]] = {}
    for requirement in wanted:
        asked, _, condition = requirement.partition(";")
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)""", condition)
        if extra is None:
            yield _package(asked.strip(), absent="wrong")
        elif extra[1] not in _DEVELOPING:
            extras.setdefault(extra[1], []).append(_package(asked.strip(), absent="missing"))
    for extra_name, members in extras.items():
        yield _extra(extra_name, members)


def _package(requirement: str, *, absent: State) -> Finding:
    """Whether a package is there, in a version that will do."""
    from packaging.requirements import Requirement

    asked = Requirement(requirement)
    try:
        version = metadata.version(asked.name)
    except metadata.PackageNotFoundError:
        return Finding(asked.name, f"not installed; pip install '{asked}'", absent)
    if not asked.specifier.contains(version, prereleases=True):
        return Finding(asked.name, f"{version}, but {asked.specifier} is needed; pip install '{asked}'", absent)
    return Finding(asked.name, version)


def _extra(name: str, members: list[Finding]) -> Finding:
    if all(member.state == "ok" for member in members):
        return Finding(f"[{name}]", ", ".join(f"{member.name} {member.value}" for member in members))
    lacking = ", ".join(member.name for member in members if member.state != "ok")
    return Finding(f"[{name}]", f'lacks {lacking}; pip install "segfair[{name}]"', "missing")


def _machine() -> Iterator[Finding]:
    """Cores, memory and how text is written."""
    yield Finding("cores", f"{n_cores()} of {os.cpu_count()} may be used")
    yield Finding("memory", _memory())
    encoding, language = sys.stdout.encoding or "unknown", locale.setlocale(locale.LC_CTYPE)
    if encoding.lower().replace("-", "") == "utf8":
        yield Finding("locale", f"{language}, text as {encoding}")
    else:
        yield Finding("locale", f"{language}, text as {encoding}: some signs become ?; PYTHONUTF8=1", "missing")


def _memory() -> str:
    """All of it, and what a batch system or container leaves to this process."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return "unknown on this system"
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text("ascii").strip() if limit.is_file() else ""
    told = f"{pages * size / 2**30:.1f} GiB"
    return f"{told}, of which {int(text) / 2**30:.1f} GiB may be used" if text.isdecimal() else told


def _gpu(*, ask: bool) -> Finding:
    """The GPU that torch would train on; torch is imported only where that was asked for."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return Finding("gpu", 'not asked: torch is not there; pip install "segfair[mitigate]"', "missing")
    if not ask:
        return Finding("gpu", "not asked; segfair doctor --gpu")
    from segfair.mitigation.networks.devices import find_device

    if find_device("auto") == "cpu":
        return Finding("gpu", "torch finds none, and trains on cores", "missing")
    return Finding("gpu", f"torch trains on {_gpu_names() or 'cuda'}")


def _gpu_names() -> str:
    """Names and memory of NVIDIA's GPUs; empty where their tool is not there."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return ""
    asked = [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    # Fixed words, and no shell between.
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # nosec B603
    return "; ".join(done.stdout.split("\n")).strip("; ")


def _folders() -> Iterator[Finding]:
    """Where reports, kept scores, compiled loops and passing files are written."""
    import segfair

    compiled = os.environ.get("NUMBA_CACHE_DIR") or Path(segfair.__file__).parent / "scoring" / "__pycache__"
    places: tuple[tuple[str, Path, str, State], ...] = (
        ("reports", Path(), "choose another --out, and --cache", "missing"),
        ("temporary files", Path(tempfile.gettempdir()), "set TMPDIR", "wrong"),
        ("compiled loops", Path(compiled), "set NUMBA_CACHE_DIR, or they are compiled in every run", "missing"),
    )
    for name, folder, remedy, state in places:
        existing = next(part for part in (folder.resolve(), *folder.resolve().parents) if part.exists())
        if os.access(existing, os.W_OK):
            yield Finding(name, str(folder.resolve()))
        else:
            yield Finding(name, f"{folder.resolve()} cannot be written; {remedy}", state)
