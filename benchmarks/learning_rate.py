"""Validation loss over learning rate and batch at two sizes: what a study's rules are read from.

usage: python benchmarks/learning_rate.py [--study studies/quickstart.toml] [--sizes 20k 129k] [--tokens 1.2M 2.5M]
           [--rates 0.002 0.004 0.008 0.016] [--batches 1024 2048] [--seed 0]

Each cell is one run of the study's recipe, alone, on as many workers as there are cores. docs/journal.md holds a sweep.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from foretoken.launchers import Job
from foretoken.launchers.jobs import TRAIN, TrainingJob, WorkerContext
from foretoken.runs.study_file import load_study
from foretoken.store.store import Store
from foretoken.study.runner import StudyRunner
from foretoken.units import format_count, parse_count


def main() -> None:
    """Train the grid and print a table for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=Path("studies/quickstart.toml"))
    parser.add_argument("--sizes", type=parse_count, nargs="+", default=[20e3, 129e3])
    parser.add_argument("--tokens", type=parse_count, nargs="+", default=[1.2e6, 2.5e6])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.002, 0.004, 0.008, 0.016])
    parser.add_argument("--batches", type=int, nargs="+", default=[1024, 2048])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runner = StudyRunner(load_study(options.study, seed=options.seed), Path(folder) / "study")
        cores = runner.machine.cores
        context = WorkerContext(folder=runner.folder, corpus=runner.corpus.folder, threads_in_use=cores)
        cells = {}
        for size, tokens in zip(options.sizes, options.tokens, strict=True):
            shape = runner.recipe.shape(size)
            (planned,) = runner.recipe.with_warmups([runner.recipe.spec(shape, tokens, group="sweep", threads=1)])
            for batch in options.batches:
                for rate in options.rates:
                    steps = planned.tokens // batch
                    cells[size, batch, rate] = replace(
                        planned, learning_rate=rate, batch_tokens=batch, tokens=steps * batch
                    )
        jobs = [Job(run.key, TrainingJob([run], context).to_json(), run.flops) for run in cells.values()]
        runner.launcher.launch(TRAIN, jobs, workers=cores, threads=1, log=Path(folder) / "log")
        losses = {record.spec.key: record.loss for record in Store(runner.folder).records()}
    for size in options.sizes:
        run = cells[size, options.batches[0], options.rates[0]]
        print(f"{format_count(run.parameters.total)} parameters, {format_count(run.tokens)} tokens")
        print("batch ", *(f"{rate:>8g}" for rate in options.rates))
        for batch in options.batches:
            row = [losses.get(cells[size, batch, rate].key) for rate in options.rates]
            print(f"{batch:<6d}", *(f"{loss:8.4f}" if loss else f"{'diverged':>8s}" for loss in row))


if __name__ == "__main__":
    main()
