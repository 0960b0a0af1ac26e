"""The quickstart's ladder, trained four ways, interleaved: what one process per core and branching are worth.

usage: python benchmarks/ladder.py [--scale 0.25] [--pairs 5] [--study studies/quickstart.toml]

launched    one process per core with one thread each, runs of one size as branches of one trunk (what a study does)
threaded    the same trunks one after another, in one process with a thread per core
separate    one process per core, every run trained alone from its start
plain       every run trained alone from its start, one after another, in one process with a thread per core

`--scale` shortens all budgets alike. Times are whole launches, process start and evaluation included.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from foretoken.designs import Design
from foretoken.launchers import Job
from foretoken.launchers.jobs import TRAIN, TrainingJob, WorkerContext
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study, load_study
from foretoken.study.runner import StudyRunner
from foretoken.units import format_flops


def shortened(study: Study, scale: float) -> Study:
    """The study with budgets times `scale`."""
    budgets = [budget * scale for budget in study.design.budgets]
    return study.model_copy(update={"design": study.design.model_copy(update={"budgets": budgets})})


def seconds(runner: StudyRunner, groups: list[list[RunSpec]], workers: int, threads: int) -> float:
    """Time to train groups of runs into an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        cores = runner.machine.cores
        context = WorkerContext(folder=Path(folder), corpus=runner.corpus.folder, threads_in_use=cores)
        jobs = []
        for group in groups:
            job = TrainingJob([replace(run, threads=threads) for run in group], context)
            jobs.append(Job(group[0].key, job.to_json(), sum(run.flops for run in group)))
        log = Path(folder) / "log"
        began = time.perf_counter()
        outcomes = runner.launcher.launch(TRAIN, jobs, workers=workers, threads=threads, log=log)
        passed = time.perf_counter() - began
    failed = [outcome for outcome in outcomes if outcome.error or "finished" not in set(outcome.result_json.values())]
    assert not failed, failed
    return passed


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.25)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--study", type=Path, default=Path("studies/quickstart.toml"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runner = StudyRunner(shortened(load_study(options.study), options.scale), Path(folder) / "study")
        design: Design = runner.design()
        alone = [[run] for run in design.runs]
        ways = {
            "launched": lambda: seconds(runner, design.trunks, runner.machine.cores, 1),
            "threaded": lambda: seconds(runner, design.trunks, 1, runner.machine.cores),
            "separate": lambda: seconds(runner, alone, runner.machine.cores, 1),
            "plain": lambda: seconds(runner, alone, 1, runner.machine.cores),
        }
        print(f"{len(design.runs)} runs on {len(design.trunks)} trunks, {runner.machine.cores} cores")
        times: dict[str, list[float]] = {name: [] for name in ways}
        for pair in range(options.pairs):
            for name, way in ways.items():
                times[name].append(way())
            print(pair + 1, *(f"{name} {values[-1]:.1f} s" for name, values in times.items()), sep="  ", flush=True)
    median = {name: statistics.median(values) for name, values in times.items()}
    for name in ("threaded", "separate", "plain"):
        ratios = [other / mine for other, mine in zip(times[name], times["launched"], strict=True)]
        print(
            f"{name} / launched: median {statistics.median(ratios):.2f} (from {min(ratios):.2f} to {max(ratios):.2f})"
        )
    shares = [mine / other for other, mine in zip(times["plain"], times["launched"], strict=True)]
    spread = f"from {min(shares):.0%} to {max(shares):.0%}"
    print(f"launched takes {statistics.median(shares):.0%} of plain's time ({spread})")
    print(f"branches: {format_flops(design.total_flops)}, {median['launched']:.1f} s")
    print(f"one run per cell: {format_flops(design.separate_flops)}, {median['separate']:.1f} s")
    print(f"branches need {design.total_flops / design.separate_flops:.2f} of the FLOPs")


if __name__ == "__main__":
    main()
