"""Runs `segfair ...` many times at little cost: loads it once, and forks for each call.

Started as `python server.py`; reads one call a line as JSON from stdin, answers each with one line on stdout. Every
call has a process, a working folder, an environment and limits of its own, as if it were typed.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

# linux/capability.h, linux/prctl.h
_DAC_OVERRIDE, _DAC_READ_SEARCH, _PR_CAPBSET_DROP, _CAPABILITY_VERSION_3 = 1, 2, 24, 0x20080522
LOADED = (
    "segfair.cli.app",
    "segfair.cli.auditing",
    "segfair.cli.comparing",
    "segfair.cli.handing_over",
    "segfair.cli.installation",
    "segfair.cli.judging",
    "segfair.cli.mitigating",
    "segfair.cli.ranking",
    "segfair.cli.trying_out",
    "segfair.audit.procedure",
    "segfair.audit.second_labels",
    "segfair.compare.procedure",
    "segfair.gallery.teams",
    "segfair.gallery.worst_cases",
    "segfair.handover.deliver",
    "segfair.handover.model_card",
    "segfair.intake.cohorts",
    "segfair.rank.procedure",
    "segfair.report.comparison.files",
    "segfair.report.ranking.files",
    "segfair.report.signing.page",
    "jinja2",
    "jsonschema",
    "openpyxl",
    "pandas",
    "zlib_ng.gzip_ng",
    "nibabel",
    "SimpleITK",
    "scipy.stats",
    "scipy.spatial",
    "torch",
    "monai.losses",
    "monai.networks.nets",
    "monai.transforms",
    "segfair.mitigation.experiment.procedure",
)


def serve() -> None:
    """Answers calls until stdin ends."""
    for name in LOADED:
        __import__(name)
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        replies.write(json.dumps(_call(json.loads(line))) + "\n")
        replies.flush()


def _call(call: dict[str, Any]) -> dict[str, Any]:
    folder = Path(call["folder"])
    child = os.fork()
    if child == 0:
        _run(call)
    deadline = time.monotonic() + call["seconds"]
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return {"code": os.waitstatus_to_exitcode(status), "hung": False}
        time.sleep(0.005)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return {"code": None, "hung": True, "folder": str(folder)}


def _give_up_privileges() -> None:
    """Root reads and writes what it may not; without these capabilities it is held to permissions as anybody is."""
    libc = ctypes.CDLL(None)
    for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.capset(struct.pack("Ii", _CAPABILITY_VERSION_3, 0), bytes(24))


def _run(call: dict[str, Any]) -> None:
    """The child: never returns."""
    code = 99
    try:
        os.setsid()
        folder = Path(call["folder"])
        os.chdir(folder)
        os.environ.update(call["environment"])
        sys.path[:0] = filter(None, call["environment"].get("PYTHONPATH", "").split(os.pathsep))
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            target = call["streams"].get(name) or (os.devnull if number == 0 else str(folder / f".{name}"))
            os.dup2(os.open(target, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT, 0o600), number)
        for name, limit in call["limits"].items():
            resource.setrlimit(getattr(resource, name), (limit, limit))
        if call["ordinary"]:
            _give_up_privileges()
        if call["fresh"]:
            words = [os.fsencode(word) for word in call["words"]]
            os.execv(sys.executable, [sys.executable, "-m", "segfair", *words])
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.argv = ["segfair", *(os.fsdecode(os.fsencode(word)) for word in call["words"])]
        from segfair.cli.app import main

        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException as error:
        os.write(2, f"Traceback: {type(error).__name__}: {error}".encode("utf-8", "backslashreplace"))
        code = 1 if code == 99 else code
    finally:
        os._exit(code)


if __name__ == "__main__":
    serve()
