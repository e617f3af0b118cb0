"""Signals end a command, and only the process that heeds them."""

from __future__ import annotations

import subprocess
import sys

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
