"""What runs in a process of Ray: the jobs of a worker, one after another. No Ray here: the launcher makes it an actor.

The driver asks for messages with long polls, so that it waits for all workers at no cost, and each reply is also the
sign that the worker lives.
"""

from __future__ import annotations

import os
import threading
import traceback
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from foretoken.launchers.local import this_machine
from foretoken.launchers.messages import Assign, Halt, Message, Serve, from_line, to_line
from foretoken.launchers.worker import Tasks, do_jobs, print_into

POLL_SECONDS = 2.0
"""Time after which a poll is answered at the latest."""


class JobActor:
    """Does jobs in a thread of its own; its methods are called by the driver."""

    def __init__(self, folder: str, log: str) -> None:
        os.chdir(folder)  # the paths of a study may be relative to where its driver was started
        print_into(Path(log))
        self.tasks: Tasks = SimpleQueue()
        self.answers: SimpleQueue[Message] = SimpleQueue()
        self.stop = threading.Event()
        threading.Thread(target=self._work, daemon=True).start()

    def receive(self, line: bytes) -> None:
        """Take one message of the driver's."""
        match from_line(line):
            case Halt():
                self.stop.set()
            case Serve() | Assign() as task:
                self.tasks.put(task)

    def poll(self, seconds: float = POLL_SECONDS) -> list[bytes]:
        """What there is to say, as soon as there is anything; nothing after so many seconds."""
        lines = []
        try:
            lines.append(to_line(self.answers.get(timeout=seconds)))
            while True:
                lines.append(to_line(self.answers.get_nowait()))
        except Empty:
            return lines

    def _work(self) -> None:
        try:
            do_jobs(self.tasks, self.answers.put, self.stop.is_set)
        except BaseException:
            # What is to be served cannot be imported: as anywhere else, the process ends, and its log says why.
            traceback.print_exc()
            os._exit(1)


def machine_facts(token: str) -> dict[str, Any]:
    """The machine on which this is called, and what the file at `token` holds there; nothing where there is none."""
    path = Path(token)
    return {"machine": asdict(this_machine()), "token": path.read_text() if path.is_file() else ""}
