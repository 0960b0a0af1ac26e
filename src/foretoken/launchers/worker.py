"""A worker process: reads jobs as JSON lines, calls the function that it serves, writes events as JSON lines.

Started by launchers/local.py as `python -m foretoken.launchers.worker`, and told what to import. When its driver goes
away, however that happens, its input ends and it exits at once, so no worker trains on alone. A thread says now and
then that the process lives, also while it imports or makes one long step.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from foretoken.errors import ForetokenError
from foretoken.launchers.launcher import Report, Stop
from foretoken.launchers.messages import (
    Assign,
    Beat,
    Done,
    Failed,
    Halt,
    Message,
    Ready,
    Reported,
    Serve,
    from_line,
    to_line,
)

JobFunction = Callable[[dict[str, Any], Report, Stop], Any]
Answer = Callable[[Message], None]
"""Says something to the driver."""
Tasks = SimpleQueue[Serve | Assign | None]
"""What the driver wants; None for the end."""
BEAT_SECONDS = 2.0
"""Time between two signs of life."""
PR_SET_PDEATHSIG = 1
"""Option of Linux's prctl(2)."""


def job_function(name: str) -> JobFunction:
    """The function that "package.module:name" names."""
    module, function = name.split(":")
    loaded: JobFunction = getattr(import_module(module), function)
    return loaded


def main() -> None:
    """Serve jobs until the input ends."""
    end_with_the_driver()
    # What the function prints must not mix with the messages: they go to a copy of the output, which then is the log.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    tasks: Tasks = SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(tasks, stop), daemon=True).start()

    def answer(message: Message) -> None:
        try:
            answers.write(to_line(message))
            answers.flush()
        except BrokenPipeError:  # the driver is gone; a job must not take that for its own failure
            os._exit(0)

    threading.Thread(target=beat, args=(answer,), daemon=True).start()
    do_jobs(tasks, answer, stop.is_set)  # as long as there is a driver: without one `_listen` ends the process


def do_jobs(tasks: Tasks, answer: Answer, stop: Stop) -> None:
    """Import what is to be served, do the jobs that come, and answer how each has ended; until None comes."""
    function = None
    while (task := tasks.get()) is not None:
        if isinstance(task, Serve):
            function = job_function(task.function)
            answer(Ready())
        elif function:
            answer(_outcome(function, task, answer, stop))


def end_with_the_driver() -> None:
    """Ask the kernel to kill this process when its driver dies; where it cannot (not Linux), do nothing.

    A process that was stopped (SIGSTOP) reads no end of its input, and would be left for ever.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def print_into(log: Path) -> None:
    """Let whatever this process prints go to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


def beat(answer: Answer, seconds: float = BEAT_SECONDS) -> None:
    """Say for ever that this process lives; for a thread of its own."""
    while True:
        answer(Beat())
        time.sleep(seconds)


def _outcome(function: JobFunction, job: Assign, answer: Answer, stop: Stop) -> Done | Failed:
    try:
        result = function(job.argument_json, lambda event: answer(Reported(job.job, event)), stop)
        return Done(job.job, result)
    except ForetokenError as error:
        return Failed(job.job, str(error), fatal=True)
    except Exception:
        return Failed(job.job, traceback.format_exc(), fatal=False)


def _listen(tasks: Tasks, stop: threading.Event) -> None:
    for line in sys.stdin:
        match from_line(line):
            case Halt():
                stop.set()
            case Serve() | Assign() as task:
                tasks.put(task)
    # The driver closed the pipe or died. Not sys.exit, which would wait for the thread that trains.
    os._exit(0)


if __name__ == "__main__":
    main()
