"""What a run spends beside training: checkpoints, records, evaluation and tracking, as shares of its time.

usage: python benchmarks/overhead.py [--study studies/quickstart.toml] [--trunks 3] [--most 0.05]

Trains some trunks of the ladder (the smallest, the largest and those between) as a worker does, with one thread, and
measures each part by the clock. What is told to trackers (log/curves.jsonl, and TensorBoard where it is installed) is
written by the driver beside its workers; here it is counted as if it held them up. Ends with 1 where all parts together
take a larger share than `--most`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from foretoken.launchers.jobs import WorkerContext
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import load_study
from foretoken.store.store import Store
from foretoken.study.progress import Progress, ProgressListener
from foretoken.study.runner import StudyRunner
from foretoken.study.trackers import tracked
from foretoken.training import train as training
from foretoken.training.checkpoint import Checkpoint
from foretoken.training.state import TrainState

PARTS = ("checkpoints", "evaluation", "records", "tracking")
SPENT: dict[str, float] = defaultdict(float)


def timed(part: str, function: Any) -> Any:
    """The function, with its time added to a part; a part that is called within another counts as its own only."""

    def call(*arguments: Any, **named: Any) -> Any:
        began, before = time.perf_counter(), sum(SPENT[name] for name in PARTS)
        try:
            return function(*arguments, **named)
        finally:
            within = sum(SPENT[name] for name in PARTS) - before
            SPENT[part] += time.perf_counter() - began - within

    return call


def watch() -> None:
    """Put clocks around all that is not training."""
    TrainState.snapshot = timed("checkpoints", TrainState.snapshot)  # type: ignore[method-assign]
    TrainState.restore = timed("checkpoints", TrainState.restore)  # type: ignore[method-assign]
    Checkpoint.write = timed("checkpoints", Checkpoint.write)  # type: ignore[method-assign]
    training.latest_checkpoint = timed("checkpoints", training.latest_checkpoint)
    training.delete_all = timed("checkpoints", training.delete_all)
    training.evaluate = timed("evaluation", training.evaluate)
    Store.put_record = timed("records", Store.put_record)  # type: ignore[method-assign]
    Store.record = timed("records", Store.record)  # type: ignore[method-assign]


def chosen(trunks: list[list[RunSpec]], count: int) -> list[list[RunSpec]]:
    """The smallest, the largest and evenly between."""
    ordered = sorted(trunks, key=lambda trunk: trunk[0].parameters.total)
    return [ordered[round(i * (len(ordered) - 1) / max(1, count - 1))] for i in range(count)]


def main() -> int:
    """Measure and print; gives the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, default=Path("studies/quickstart.toml"))
    parser.add_argument("--trunks", type=int, default=3)
    parser.add_argument("--most", type=float, default=0.05)
    options = parser.parse_args()
    torch.set_num_threads(1)
    watch()
    with tempfile.TemporaryDirectory() as folder:
        runner = StudyRunner(load_study(options.study), Path(folder) / "study")
        context = WorkerContext(folder=runner.folder, corpus=runner.corpus.folder)
        names = ["tensorboard"] if find_spec("tensorboard") else []
        listener = tracked(ProgressListener(), runner.folder, "overhead", names)
        report = timed("tracking", partial(Progress(Store(runner.folder), listener).report, "overhead"))
        print("trackers:", ", ".join(["curves.jsonl", *names]))
        print(f"{'parameters':>10}  {'runs':>4}  {'seconds':>7}  {'  '.join(PARTS)}  together")
        total: dict[str, float] = defaultdict(float)
        with runner.owned():
            trunks = chosen(runner.design().trunks, options.trunks)
        for trunk in trunks:
            SPENT.clear()
            began = time.perf_counter()
            timed("tracking", listener.training)(trunk, {})
            training.train(trunk, context, report)
            SPENT["all"] = time.perf_counter() - began
            show(f"{trunk[0].parameters.total:>10,}  {len(trunk):>4}", SPENT)
            for part, seconds in SPENT.items():
                total[part] += seconds
        listener.close()
        show(f"{'all':>10}  {'':>4}", total)
    return int(sum(total[part] for part in PARTS) > options.most * total["all"])


def show(head: str, spent: dict[str, float]) -> None:
    """One line of the table."""
    shares = {part: spent[part] / spent["all"] for part in PARTS}
    cells = [f"{share:>{len(part)}.2%}" for part, share in shares.items()]
    print(f"{head}  {spent['all']:>7.1f}  {'  '.join(cells)}  {sum(shares.values()):>8.2%}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
