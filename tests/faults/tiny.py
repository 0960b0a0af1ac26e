"""A study of a fraction of a second, in one process, that still does all that a study does.

Driver and training share one process, and so one count of operations. What is costly and writes nothing (making a
language, fitting, drawing the page) is done once and remembered; training is real.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

import foretoken.study.run_study
from foretoken import fits, reports, routes
from foretoken.data import packing
from foretoken.errors import ForetokenError
from foretoken.launchers import LAUNCHERS, Job, LocalLauncher, Outcome
from foretoken.launchers.jobs import CALIBRATE, TRAIN, Speed
from foretoken.launchers.launcher import OnEvent, Started
from foretoken.runs.study_file import Study
from foretoken.store import atomic
from foretoken.training import train
from foretoken.training.train import train_job

TINY = """
name = "tiny"
[corpus]
source = "zipf_markov"
language = { symbols = 16, tokens = 80_000 }
validation_share = 0.2
[model]
context = 8
tied = true
[training]
batch_tokens = { value = 32 }
eval_tokens = 256
[design]
budgets = [12e6, 24e6]
sizes_per_budget = 4
size_ratio = 1.4
center = 0.04
recenter_rounds = 1
[target]
compute_factor = 2
[launch]
workers = 2
target_threads = 1
"""
"""Ten runs on six trunks, one of them added by re-centring: 130 steps."""
CHECKPOINT_LOOKS = 12
"""Looks at the clock between two checkpoints: the clock of the tests ticks at each look, so that it is the same each
time."""


def tiny_study(**launch: Any) -> Study:
    """The study; `launch` are settings of its launch section."""
    values = tomllib.loads(TINY)
    return Study.model_validate({**values, "launch": {**values["launch"], **launch}})


@contextmanager
def in_process() -> Iterator[None]:
    """Let studies train in this process, and remember what costs time and writes nothing."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with (
        patch.dict(LAUNCHERS, {"local": lambda launch: InProcess()}),
        patch.object(train, "time", TickingClock()),
        patch.object(packing, "documents", DOCUMENTS),
        patch.object(fits, "fit", FIT),
        patch.object(routes, "isoflop", ISOFLOP),
        patch.object(reports, "page_of", lambda study: f"<!doctype html><title>{study.name}</title>"),
    ):
        yield
    torch.set_num_threads(threads)


def remembered(function: Callable[..., Any], key: Callable[..., Any], kept: Callable[[Any], Any] = lambda x: x) -> Any:
    """The function, called once per key."""
    known: dict[Any, Any] = {}

    def call(*arguments: Any, **named: Any) -> Any:
        name = key(*arguments, **named)
        if name not in known:
            known[name] = kept(function(*arguments, **named))
        return known[name]

    return call


DOCUMENTS = remembered(packing.documents, lambda corpus, seed=0, _=None: (corpus.model_dump_json(), seed), list)
FIT = remembered(fits.fit, lambda table, law, **_: (table.digest, law))
ISOFLOP = remembered(routes.isoflop, lambda table, **_: table.digest)


class TickingClock:
    """`time`, with a monotonic clock that goes on by one second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


class InProcess(LocalLauncher):
    """Jobs in this process, one after another, the longest first; every machine is as fast as any other."""

    def launch(
        self,
        function: str,
        jobs: Sequence[Job],
        *,
        workers: int,
        threads: int,
        log: Path,
        on_event: OnEvent = lambda job, event: None,
        check: Callable[[], None] = lambda: None,
    ) -> list[Outcome]:
        if function == CALIBRATE:
            return [Outcome(job.name, result_json=Speed(job.seconds / 1e9, 1e9).to_json()) for job in jobs]
        assert function == TRAIN
        outcomes = []
        for job in sorted(jobs, key=lambda job: -job.seconds):
            check()
            job.argument_json["context"]["checkpoint_seconds"] = CHECKPOINT_LOOKS
            on_event(job.name, Started())
            try:
                result = train_job(job.argument_json, lambda event, name=job.name: on_event(name, event), lambda: False)
                outcomes.append(Outcome(job.name, result_json=result))
            except ForetokenError as error:
                return [*outcomes, Outcome(job.name, error=str(error), fatal=True)]
            except Exception as error:
                outcomes.append(Outcome(job.name, error=repr(error)))
        return outcomes


def run(folder: Path, system: atomic.System | None = None, study: Study | None = None) -> dict[str, Any]:
    """Run the study in `folder`, through this atomic."""
    with patch.object(atomic, "system", system or atomic.System()):
        return foretoken.study.run_study.run(study or tiny_study(), folder)
