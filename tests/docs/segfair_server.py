"""`segfair ...` from a process that has imported everything already: a child of it answers each call.

    python segfair_server.py SOCKET

A caller hands over its arguments, folder, environment and its three streams; it gets the exit code back. Numbers of
draws, epochs and processes are the smallest that are allowed, whatever the documentation says of them.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from collections.abc import Sequence

EXIT_BROKEN = 70
SMALL = {
    "audit": ["--workers", "1", "--permutations", "19", "--bootstrap", "100"],
    "audit-scores": ["--permutations", "19", "--bootstrap", "100"],
    "rank": ["--workers", "1", "--permutations", "19", "--bootstrap", "100"],
    "rank-scores": ["--permutations", "19", "--bootstrap", "100"],
    "mitigate": ["--epochs", "1", "--attributes", "site", "--spatial-size", "16", "16", "16"],
    "phantom": ["--size", "24", "24", "16"],
}
FEW = {"--folds": "2", "--seeds": "1"}
"""Of options that are given already."""


def small(arguments: Sequence[str]) -> list[str]:
    """The same call with as little to do as can be."""
    fewer = [FEW.get(before, word) for before, word in zip(["", *arguments], arguments, strict=False)]
    return [*fewer, *SMALL.get(arguments[0] if arguments else "", [])] if "--help" not in fewer else fewer


def answers(arguments: Sequence[str], code: int) -> bool:
    """Whether this is no error: a gate that failed, or is undecided, has been decided."""
    return code == 0 or (code in (1, 3) and ("--gate" in arguments or "gate" in arguments))


def run(arguments: list[str]) -> int:
    """In a child: the call itself."""
    from segfair.cli.app import main

    code = 0
    sys.argv = ["segfair", *small(arguments)]
    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    sys.stdout.flush()
    return 0 if answers(arguments, code) else code


def load(command: str) -> None:
    """What children then have without an import of their own."""
    import segfair.audit.procedure
    import segfair.cli.auditing
    import segfair.report.audit
    import segfair.report.files

    if command in ("mitigate", "predict"):
        import segfair.cli.mitigating
        import segfair.mitigation.experiment.procedure  # noqa: F401


def main() -> None:
    """Answers until it is ended."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(sys.argv[1])
        server.listen()
        while True:
            caller, _ = server.accept()
            message, streams, _, _ = socket.recv_fds(caller, 1 << 20, 3)
            call = json.loads(message)
            load(next(iter(call["arguments"]), ""))
            child = os.fork()
            if child == 0:
                for place, stream in enumerate(streams):
                    os.dup2(stream, place)
                sys.stdin, sys.stdout, sys.stderr = (os.fdopen(place, mode) for place, mode in enumerate("rww"))
                os.chdir(call["folder"])
                os.environ.clear()
                os.environ.update(call["environment"])
                sys.path[:0] = filter(None, call["environment"].get("PYTHONPATH", "").split(":"))
                code = EXIT_BROKEN
                try:
                    code = run(call["arguments"])
                except BaseException:
                    traceback.print_exc()
                finally:
                    caller.sendall(bytes([code]))
                    os._exit(code)
            for stream in streams:
                os.close(stream)
            os.waitpid(child, 0)
            caller.close()


if __name__ == "__main__":
    main()
