"""Where a training step's time goes: its phases by the clock, its operations by torch's profiler."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity

from foretoken.data import TokenizedCorpus, batch, open_corpus
from foretoken.launchers.jobs import JsonObject, Operation, ProfilingJob, StepTimes
from foretoken.launchers.launcher import Report, Stop
from foretoken.objectives import make_examples
from foretoken.objectives.examples import batch_rng, example_builder
from foretoken.objectives.loss import forward, loss_from_features
from foretoken.runs.spec import RunSpec
from foretoken.training.loop import advance, total_loss
from foretoken.training.state import TrainState
from foretoken.training.torch_setup import float32_products, matmul_peak, set_up

WARM_UP, SECONDS, OPERATIONS = 3, 2.0, 8
"""Steps before the clock runs; time given to each kind of measurement; operations told."""
ENDLESS = 10**9
"""Steps of the run that is profiled, so that a short one's schedule does not end meanwhile."""


def profile(spec: RunSpec, corpus_folder: Path) -> StepTimes:
    """tokens/s of the loop itself, and the shares of a step that its phases and its costliest operations take.

    The state trained here is thrown away. Seconds are medians over steps.
    """
    set_up(spec.threads)
    spec = spec.with_tokens(ENDLESS * spec.batch_tokens)
    corpus, state = open_corpus(corpus_folder), TrainState.start(spec)
    advance(state, spec, corpus, WARM_UP, lambda state: None)
    began = time.perf_counter()
    times: list[float] = []
    while time.perf_counter() - began < SECONDS or len(times) < WARM_UP:
        first = time.perf_counter()
        advance(state, spec, corpus, state.step + 1, lambda state: None)
        times.append(time.perf_counter() - first)
    seconds, peak = statistics.median(times), matmul_peak(spec.precision)
    speed = spec.batch_tokens / seconds
    return StepTimes(
        tokens_per_second=speed,
        seconds_per_step=seconds,
        peak_flops=peak,
        share_of_peak=spec.flops / spec.tokens * speed / peak,
        phases=phases(state, spec, corpus),
        operations=operations(state, spec, corpus, max(1, round(SECONDS / 4 / seconds))),
    )


@float32_products()
def phases(state: TrainState, spec: RunSpec, corpus: TokenizedCorpus) -> dict[str, float]:
    """Median seconds of each phase of a step: the loop's own operations, one after another with a clock between."""
    laps: dict[str, list[float]] = {}
    began = time.perf_counter()
    while time.perf_counter() - began < SECONDS or len(laps["data"]) < WARM_UP:
        last = time.perf_counter()
        for name in _step(state, spec, corpus):
            now = time.perf_counter()
            laps.setdefault(name, []).append(now - last)
            last = now
    return {name: statistics.median(times) for name, times in laps.items()}


def _step(state: TrainState, spec: RunSpec, corpus: TokenizedCorpus) -> Iterator[str]:
    """One step; gives the name of each phase when it is over."""
    network, optimizer = state.network.train(), state.optimizer
    builder, window = example_builder(spec.objective, spec.shape, corpus), spec.objective.window(spec.shape)
    text = batch(corpus, seed=spec.seed, step=state.step, sequences=spec.sequences, window=window)
    examples = make_examples(builder, text, batch_rng(spec.seed, state.step))
    yield "data"
    with torch.autocast("cpu", torch.bfloat16, enabled=spec.in_bfloat16):
        features = forward(network, examples)
        yield "forward"
        token_losses, label_loss = loss_from_features(network, features, examples)
        loss = total_loss(token_losses.mean(), label_loss, network, spec)
        yield "loss"
    loss.backward()  # type: ignore[no-untyped-call]
    yield "backward"
    torch.nn.utils.clip_grad_norm_(network.parameters(), spec.clip, foreach=True)
    yield "clipping"
    optimizer.step(spec.learning_rate)
    optimizer.zero_grad()
    state.step += 1
    yield "optimizer"


def operations(state: TrainState, spec: RunSpec, corpus: TokenizedCorpus, steps: int) -> list[Operation]:
    """The operations that cost most, themselves alone: share of all, and calls per step."""
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as measured:
        advance(state, spec, corpus, state.step + steps, lambda state: None)
    averages = measured.key_averages()
    total = sum(row.self_cpu_time_total for row in averages)
    costliest = sorted(averages, key=lambda row: -row.self_cpu_time_total)[:OPERATIONS]
    return [
        Operation(row.key.removeprefix("aten::"), row.self_cpu_time_total / total, row.count / steps)
        for row in costliest
    ]


def profile_job(job_json: Mapping[str, Any], report: Report, stop: Stop) -> JsonObject:
    """What a launcher calls with a `ProfilingJob`: `StepTimes`."""
    job = ProfilingJob.from_json(job_json)
    return profile(job.run, job.corpus).to_json()
