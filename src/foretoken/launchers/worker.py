"""A worker process: reads jobs as JSON lines, calls one function, writes events as JSON lines.

Started by launchers/local.py as `python -m foretoken.launchers.worker package.module:function`. When its driver goes
away, however that happens, its input ends and it exits at once, so no worker trains on alone.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from importlib import import_module
from queue import SimpleQueue
from typing import Any

from foretoken.errors import ForetokenError


def main(function_name: str) -> None:
    """Serve jobs until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    jobs: SimpleQueue[dict[str, Any]] = SimpleQueue()
    stop = threading.Event()
    threading.Thread(target=_listen, args=(jobs, stop), daemon=True).start()

    def answer(**values: Any) -> None:
        try:
            answers.write(json.dumps(values) + "\n")
            answers.flush()
        except BrokenPipeError:  # the driver is gone; a job must not take that for its own failure
            os._exit(0)

    module, name = function_name.split(":")
    function = getattr(import_module(module), name)
    answer(kind="ready")
    while True:
        job = jobs.get()
        try:
            result = function(
                job["argument"], lambda event, job=job: answer(kind="event", job=job["name"], event=event), stop.is_set
            )
            answer(kind="done", job=job["name"], result=result)
        except ForetokenError as error:
            answer(kind="error", job=job["name"], error=str(error), fatal=True)
        except Exception:
            answer(kind="error", job=job["name"], error=traceback.format_exc(), fatal=False)


def _listen(jobs: SimpleQueue[dict[str, Any]], stop: threading.Event) -> None:
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("stop"):
            stop.set()
        else:
            jobs.put(message)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
