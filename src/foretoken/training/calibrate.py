"""How fast this machine trains each shape: a few steps of each, and the matmul peak behind MFU."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from foretoken.launchers.jobs import CalibrationJob, JsonObject, Speed, ThreadsJob, ThreadSpeed
from foretoken.launchers.launcher import Report, Stop
from foretoken.models import build
from foretoken.objectives import ExampleBuilder, make_examples
from foretoken.objectives.examples import batch_rng
from foretoken.objectives.loss import losses
from foretoken.runs.spec import RunSpec
from foretoken.training.loop import total_loss
from foretoken.training.optimizer import make_optimizer
from foretoken.training.torch_setup import float32_products, matmul_peak, set_up

TIMED_STEPS = 4
TURNS, TURN_SECONDS = 4, 0.25
"""How often each number of threads has its turn, and for how long: a second each, spread over the same time."""


def calibrate(spec: RunSpec) -> Speed:
    """Time a few steps of a run, and the matmul peak of its threads. Nothing is read from a corpus."""
    set_up(spec.threads)
    return Speed(seconds_per_token(spec), matmul_peak(spec.precision))


@float32_products()
def seconds_per_token(spec: RunSpec) -> float:
    """Least time of a training step over its tokens, after one step that warms up."""
    step, times = _training_step(spec), []
    for _ in range(1 + TIMED_STEPS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    # The first step is left out: it allocates all memory and compiles the kernels.
    # Of the others the fastest: other work on the machine only ever slows one down, threads that wait for each other
    # many times, and what is measured here is kept with the study.
    return min(times[1:]) / spec.batch_tokens


@float32_products()
def compare_threads(spec: RunSpec, threads: Sequence[int]) -> list[ThreadSpeed]:
    """Tokens per second with each number of threads, by turns, so that what else the machine does slows all alike.

    All steps count, the slowest too: that is how the run will be slowed.
    """
    set_up(max(threads))
    step, steps, seconds = _training_step(spec), dict.fromkeys(threads, 0), dict.fromkeys(threads, 0.0)
    for _ in range(TURNS):
        for count in threads:
            torch.set_num_threads(count)
            step()  # the first after a change wakes the threads
            began = time.perf_counter()
            while (passed := time.perf_counter() - began) < TURN_SECONDS:
                step()
                steps[count] += 1
            seconds[count] += passed
        if sum(seconds.values()) > TURNS * TURN_SECONDS * len(threads):
            break  # of a large network's steps one each is measured
    return [ThreadSpeed(count, steps[count] * spec.batch_tokens / seconds[count]) for count in threads]


def _training_step(spec: RunSpec) -> Callable[[], None]:
    """A step of a run on random tokens."""
    network = build(spec.shape, spec.seed, spec.dropout)
    optimizer, builder = make_optimizer(network, spec), _builder(spec)
    size = (spec.sequences, spec.objective.window(spec.shape).length)
    text = batch_rng(0, 0).integers(1, builder.text_vocabulary, size)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=spec.in_bfloat16):
            token_losses, label_loss = losses(network, make_examples(builder, text, batch_rng(0, 0)))
            loss = total_loss(token_losses.mean(), label_loss, network, spec)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), spec.clip, foreach=True)
        optimizer.step(spec.learning_rate)
        optimizer.zero_grad()

    return step


def _builder(spec: RunSpec) -> ExampleBuilder:
    """Examples of random text; the special tokens are taken to be the last of the vocabulary."""
    wanted = spec.objective.specials(spec.shape)
    specials = {name: spec.shape.vocabulary - 1 - number for number, name in enumerate(wanted)}
    text_vocabulary = max(2, spec.shape.vocabulary - len(wanted))
    return ExampleBuilder(
        objective=spec.objective, shape=spec.shape, text_vocabulary=text_vocabulary, specials=specials, separator=0
    )


def calibrate_job(job_json: Mapping[str, Any], report: Report, stop: Stop) -> JsonObject:
    """What a launcher calls with a `CalibrationJob`: a `Speed`."""
    return calibrate(CalibrationJob.from_json(job_json).run).to_json()


def compare_threads_job(job_json: Mapping[str, Any], report: Report, stop: Stop) -> list[JsonObject]:
    """What a launcher calls with a `ThreadsJob`: a `ThreadSpeed` of each number of threads."""
    job = ThreadsJob.from_json(job_json)
    return [speed.to_json() for speed in compare_threads(job.run, job.threads)]
