"""What a launcher costs: many runs of a stand-in that only sleeps, many at a time, on Ray started here.

    python benchmarks/launchers.py --runs 1000 --workers 20

Overhead is the time of the launch over the time that the sleeping alone takes (runs / workers x seconds), shared out
over the runs; starting the workers is told apart. Asked: below 50 ms a run, and a driver below 500 MB.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from foretoken.launchers import Job, RayLauncher
from foretoken.launchers.launcher import Ended, Event, Report, Step, Stop

REPORTS = 4
"""Steps that a run reports."""


def stand_in(argument: dict[str, Any], report: Report, stop: Stop) -> dict[str, str]:
    """A run that sleeps for its seconds, and reports as a run does."""
    for number in range(REPORTS):
        time.sleep(argument["seconds"] / REPORTS)
        report(Step(argument["run"], number + 1, REPORTS, 2.5))
    report(Ended(argument["run"], "finished"))
    return {argument["run"]: "finished"}


def measure(runs: int, workers: int, seconds: float) -> dict[str, float]:
    """Launch all runs on Ray, and say what it took."""
    launcher, began = RayLauncher(cpus=workers), time.monotonic()
    events: list[Event] = []
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log" / "workers.txt"
        function = "launchers:stand_in"
        # As many short ones first: all processes are started when the clock begins.
        warm = [Job(f"warm{n}", {"run": f"warm{n}", "seconds": 3.0}, 3.0) for n in range(workers)]
        launcher.launch(function, warm, workers=workers, threads=1, log=log)
        started = time.monotonic()
        jobs = [Job(str(n), {"run": str(n), "seconds": seconds}, seconds) for n in range(runs)]
        outcomes = launcher.launch(
            function, jobs, workers=workers, threads=1, log=log, on_event=lambda job, event: events.append(event)
        )
        took = time.monotonic() - started
        live = len([worker for worker in launcher.idle if worker.ready])
        launcher.close()
    assert sum(outcome.error is None for outcome in outcomes) == runs == len({outcome.name for outcome in outcomes})
    assert sum(isinstance(event, Ended) for event in events) == runs
    return {
        "runs": runs,
        "workers": workers,
        "workers_alive": live,
        "start_seconds": round(started - began, 1),
        "seconds": round(took, 2),
        "overhead_ms_per_run": round(1e3 * (took - runs * seconds / workers) / runs, 2),
        "wait_ms_per_run_of_a_worker": round(1e3 * (took * workers / runs - seconds), 1),
        "driver_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=1.0)
    arguments = parser.parse_args()
    print(json.dumps(measure(arguments.runs, arguments.workers, arguments.seconds)))
