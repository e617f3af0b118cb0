"""Signals end a command, and only the process that heeds them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

_HEEDING = """
import os, signal, sys, time
from segfair.signals import exit_code, heed_signals
# Whatever the tests themselves were started under: nohup leaves SIGHUP ignored.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
heed_signals()
"""


def run(body: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _HEEDING + body], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_each_signal_has_its_exit_code_and_a_second_one_changes_nothing(name: str, code: int) -> None:
    done = run(
        f"""
try:
    os.kill(os.getpid(), signal.{name})
    time.sleep(5)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.{name})
    sys.exit(exit_code())
"""
    )
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("heard", [False, True])
def test_a_forked_child_ends_by_sigterm_as_any_other(heard: bool) -> None:
    done = run(
        f"""
if {heard}:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    except KeyboardInterrupt:
        pass
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
time.sleep(0.2)
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    )
    assert done.stdout == "-15\n"


def test_what_is_ignored_stays_ignored() -> None:
    done = run(
        """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
heed_signals()
os.kill(os.getpid(), signal.SIGHUP)
print("goes on")
"""
    )
    assert done.stdout == "goes on\n"


def test_the_exit_code_stays_where_a_text_that_is_run_was_interrupted() -> None:
    done = run(
        """
try:
    exec("import os, signal, time; os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)")
except KeyboardInterrupt:
    sys.exit(exit_code())
"""
    )
    assert (done.returncode, done.stderr) == (143, "")


def test_a_signal_that_was_swallowed_is_raised_again() -> None:
    done = run(
        """
from segfair import signals
signals._TIDYING_S = 0.2
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
except BaseException:
    pass
try:
    time.sleep(30)
except KeyboardInterrupt:
    signals.obeyed()
    time.sleep(1)
    sys.exit(exit_code())
"""
    )
    assert (done.returncode, done.stderr) == (143, "")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")
def test_a_worker_ends_where_its_parent_dies() -> None:
    done = run(
        """
import multiprocessing
from segfair.scoring.executors import own_processes
with own_processes(2) as executor:
    numbers = {executor.submit(os.getpid).result() for _ in range(4)}
    print(*numbers, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    )
    assert done.returncode == -9
    for number in map(int, done.stdout.split()):
        for _ in range(1000):
            if not _lives(number):
                break
            time.sleep(0.01)
        assert not _lives(number)


def _lives(number: int) -> bool:
    """Whether a process goes on; a dead one whom nobody asks for its end does not."""
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"
