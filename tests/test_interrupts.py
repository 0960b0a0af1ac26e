"""Ctrl-C: the program ends with 130, soon and without a traceback, whatever becomes of the KeyboardInterrupt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
from foretoken import interrupts
from foretoken.interrupts import interruptible, saving
interrupts.GRACE_SECONDS = 0.05
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
def wait():
    while True: pass
with interruptible():
    {body}
"""
ENDINGS = {
    "it comes out as itself": "interrupt()",
    "an import takes it for its own failure": "\n    ".join(
        ["try: interrupt()", "except KeyboardInterrupt: raise ImportError('a part of the library is missing')"]
    ),
    "it is swallowed": "\n    ".join(["try: interrupt()", "except KeyboardInterrupt: wait()"]),
    "what is cleared away takes long": "\n    ".join(["try: interrupt()", "finally: wait()"]),
    "a finaliser loses it": "\n    ".join(["class Lost:", "    def __del__(self): interrupt()", "Lost()", "wait()"]),
    "it comes twice": "\n    ".join(
        ["interrupts.GRACE_SECONDS = 600", "try: interrupt()", "finally:", "    interrupt()", "    wait()"]
    ),
    "code was run by exec": "exec('interrupt()')",
    "a save is under way, and fails": "\n    ".join(
        ["with saving():", "    try: interrupt()", "    except KeyboardInterrupt: raise OSError('disk full')"]
    ),
    "it comes when all is done": "pass\ninterrupt()",
}


def program(body: str, before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", before + PROGRAM.format(body=body)], capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("body", ENDINGS.values(), ids=ENDINGS)
def test_whatever_becomes_of_it_the_program_ends_with_130(body: str) -> None:
    ended = program(body)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_what_is_saved_is_saved_before_and_an_error_without_an_interrupt_stays_one() -> None:
    body = (
        "with saving():\n        try: interrupt()\n        except KeyboardInterrupt: print('saved', flush=True); raise"
    )
    assert program(body).stdout == "saved\n"
    assert "ValueError" in program("raise ValueError").stderr


def test_where_it_is_ignored_it_stays_so() -> None:
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    assert program("interrupt(); print('goes on')", before=ignored).stdout == "goes on\n"


def test_a_verb_is_interrupted() -> None:
    """While it imports, computes or prints: this one computes for minutes."""
    command = [sys.executable, "-m", "foretoken", "next", "--compute", "1e22", "--law", "besiroglu_2024"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as verb:
        assert verb.stderr
        assert verb.stderr.readline()  # it tells that it begins
        os.kill(verb.pid, signal.SIGINT)
        assert "Traceback" not in verb.stderr.read()
    assert verb.returncode == 130
