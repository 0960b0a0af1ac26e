"""A parallel layout that fits the machines: how a training is cut, what that costs in links and waiting.

Time of one optimizer step, per accelerator (s positions, b sequences of a micro-batch, m micro-batches, h width):

    compute   m b s x FLOPs per token (and what is recomputed) / (tensor x pipeline x peak x kernel efficiency), of the
              longest stage
    tensor    ring all-reduces of 2 s b h bytes, 4 per block and micro-batch (6 with full recomputation), over links
    pipeline  2 s b h bytes each way per micro-batch and group of blocks; waiting (stages - 1) / (m groups) of compute
              and tensor
    data      2 bytes per parameter, all-reduced (ZeRO 3: gathered twice per micro-batch, then scattered); hidden behind
              the last backward pass, with ZeRO 3 behind all of them

Formulas as in Korthikanti et al. 2022 (arXiv 2205.05198), Narayanan et al. 2021 (arXiv 2104.04473) and Rajbhandari et
al. 2020 (arXiv 1910.02054). They are a first estimate, to be measured before money is spent.
Experts are cut like all else: parallelism over experts is not considered.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

from foretoken.compute.flops import FLOPS_PER_TOKEN
from foretoken.compute.machine import Assumption, Machine
from foretoken.compute.memory import Memory, Optimizer, Recompute, Split, fullest_params, training_memory
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError

KERNEL_EFFICIENCY = 0.6
"""Share of the peak that matrix products reach alone; assumed, as what is left of it (MFU) is 0.3 to 0.48."""
MEMORY_SHARE = 0.9
"""Share of the memory that is planned with; the rest is for buffers and what the allocator wastes."""
ASSUMED = (
    Assumption("kernel_efficiency", KERNEL_EFFICIENCY, "", "assumed: published MFU of whole trainings is 0.30 to 0.48"),
    Assumption("memory_share", MEMORY_SHARE, "", "assumed: the rest is for buffers and what the allocator wastes"),
)
"""What a layout assumes beside the machine's own numbers."""
RECOMPUTED: tuple[Recompute, ...] = ("selective", "full")
"""What layouts try: selective recomputation costs next to nothing (Korthikanti et al. 2022), so `none` is left out."""
BACKWARD = 2 / 3
"""Share of the compute that is the backward pass, behind which communication can hide."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One way to cut a training over accelerators, with its memory and the seconds of one step."""

    split: Split
    micro_batch: int
    """Sequences that one accelerator handles at once."""
    micro_batches: int
    """Per step."""
    memory: Memory
    compute_seconds: float
    tensor_seconds: float
    pipeline_seconds: float
    data_seconds: float
    """Of the data-parallel communication, what nothing hides."""
    bubble_seconds: float
    mfu: float
    """Model FLOPs (without what is recomputed) over the peak."""
    batch_tokens: float

    @property
    def step_seconds(self) -> float:
        """One optimizer step."""
        communication = self.tensor_seconds + self.pipeline_seconds + self.data_seconds
        return self.compute_seconds + communication + self.bubble_seconds

    def hours(self, tokens: float) -> float:
        """Hours of a training on so many tokens, without evaluation, checkpoints and failures."""
        return tokens / self.batch_tokens * self.step_seconds / 3600.0

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "memory": self.memory.to_json(), "step_seconds": self.step_seconds}


def find_layout(
    shape: ModelShape,
    machine: Machine,
    count: int,
    batch_tokens: float,
    *,
    tokens: float | None = None,
    deadline_hours: float | None = None,
    optimizer: Optimizer = "adam",
    efficiency: float = KERNEL_EFFICIENCY,
    even: bool = False,
) -> Layout:
    """The fastest layout of a model over `count` accelerators that fits their memory.

    Tensor parallelism stays within one machine and divides heads and feed-forward; where pipeline stages do not divide
    the layers, all wait for the longest. With `even`, only stages that divide them are tried.

    Raises DesignError, saying by how much, when no layout fits the memory (code `fits_no_machine`), when
    the batch has fewer sequences than any layout needs, when `tokens` take longer than `deadline_hours`, and when a
    link's speed is not known.

    >>> from foretoken.compute.machine import machine
    >>> shape = ModelShape(layers=32, width=4096, heads=32, context=2048, vocabulary=32_000)
    >>> layout = find_layout(shape, machine("H100"), 64, 4e6)
    >>> layout.split.accelerators, layout.memory.total < 72e9, 0.3 < layout.mfu < 0.6
    (64, True, True)
    """
    sequences = max(1, round(batch_tokens / shape.context))
    least, fastest = math.inf, None
    for split, micro_batch in _candidates(shape, machine, count, sequences):
        if even and shape.layers % (split.pipeline * split.interleave):
            continue
        memory = training_memory(shape, micro_batch, split, optimizer=optimizer)
        least = min(least, memory.total)
        if memory.total <= machine.accelerator.memory * MEMORY_SHARE:
            layout = _timed(shape, machine, split, micro_batch, sequences, memory, efficiency)
            if fastest is None or layout.step_seconds < fastest.step_seconds:
                fastest = layout
    if fastest is None:
        raise _no_fit(shape, machine, count, sequences, least)
    hours = fastest.hours(tokens or 0.0)
    if deadline_hours is not None and hours > deadline_hours:
        raise DesignError(
            "no layout meets the deadline",
            expected=f"at most {deadline_hours:.4g} hours",
            got=f"{hours:.4g} hours with the fastest: {hours / deadline_hours:.3g} times that",
            cure="take more accelerators, fewer tokens or a smaller model",
        )
    return fastest


def lay_out(
    shape: ModelShape,
    machine: Machine,
    split: Split,
    micro_batch: int,
    batch_tokens: float,
    *,
    optimizer: Optimizer = "adam",
) -> Layout:
    """A given cut, with its memory and times for another batch.

    >>> from foretoken.compute.machine import machine
    >>> shape = ModelShape(layers=32, width=4096, heads=32, context=2048, vocabulary=32_000)
    >>> lay_out(shape, machine("H100"), Split(tensor=8, data=8, zero=1), 1, 64 * 2048).micro_batches
    8
    """
    memory = training_memory(shape, micro_batch, split, optimizer=optimizer)
    sequences = max(1, round(batch_tokens / shape.context))
    return _timed(shape, machine, split, micro_batch, sequences, memory, KERNEL_EFFICIENCY)


def _candidates(shape: ModelShape, machine: Machine, count: int, sequences: int) -> Iterator[tuple[Split, int]]:
    for tensor, pipeline, data in _groups(shape, min(machine.accelerator.node, count), count, sequences):
        zeros = (1, 3) if data > 1 and pipeline == 1 else (1,) if data > 1 else (0,)
        interleaves = [v for v in (1, 2, 4, 8) if pipeline * v <= shape.layers] if pipeline > 1 else [1]
        micro_batches = [b for b in (1, 2, 4, 8, 16, 32, 64) if b == 1 or data * b <= sequences]
        for zero, interleave, micro_batch, recompute in product(zeros, interleaves, micro_batches, RECOMPUTED):
            split = Split(
                tensor=tensor,
                pipeline=pipeline,
                data=data,
                zero=zero,
                interleave=interleave,
                recompute=recompute,
                sequence_parallel=tensor > 1,
            )
            yield split, micro_batch


def _groups(shape: ModelShape, node: int, count: int, sequences: int) -> Iterator[tuple[int, int, int]]:
    """Tensor x pipeline x data = count, with a sequence for every data-parallel group at least."""
    for tensor in (t for t in (1, 2, 4, 8, 16, 32, 64) if t <= node and count % t == 0 and _divides(t, shape)):
        for pipeline in (p for p in range(1, shape.layers + 1) if count % (tensor * p) == 0):
            data = count // (tensor * pipeline)
            if data <= sequences:
                yield tensor, pipeline, data


def _divides(tensor: int, shape: ModelShape) -> bool:
    sizes = (shape.heads, shape.kv_heads or shape.heads, shape.expert_width or shape.feed_forward)
    return all(size % tensor == 0 for size in sizes)


def _timed(
    shape: ModelShape,
    machine: Machine,
    split: Split,
    micro_batch: int,
    sequences: int,
    memory: Memory,
    efficiency: float,
) -> Layout:
    peak, per_token = machine.need("peak"), FLOPS_PER_TOKEN["matmul"](shape)
    steps = math.ceil(sequences / (split.data * micro_batch))
    positions = micro_batch * shape.context
    stage = -(-shape.layers // split.pipeline) / shape.layers
    again = _recomputed(shape, split)
    compute = steps * positions * per_token * (1 + again) * stage / (split.tensor * peak * efficiency)
    message = 2.0 * positions * shape.width
    tensor = pipeline = data = 0.0
    if split.tensor > 1:
        # two all-reduces forward and two backward in each block; with full recomputation the forward pass runs twice
        reduces = 6 if split.recompute == "full" else 4
        # a ring sends (t - 1) / t of the message twice: to add up, and to spread the sums
        ring = 2.0 * (split.tensor - 1) / split.tensor * message / _link(machine)
        tensor = steps * shape.layers * stage * reduces * ring
    if split.pipeline > 1:
        pipeline = steps * split.interleave * 2.0 * message / split.tensor / _between(machine, split)
    if split.data > 1:
        passes, hidden_by = (2 * steps + 1, compute) if split.zero == 3 else (2, compute / steps)
        # an all-reduce is a scatter and a gather; ZeRO 3 gathers for each pass of each micro-batch, and scatters once
        traffic = passes * (split.data - 1) / split.data * 2.0 * fullest_params(shape, split)
        data = max(0.0, traffic / _between(machine, split) - BACKWARD * hidden_by)
    # p - 1 groups of blocks stand still while the pipeline fills and empties, of m v that work (Narayanan et al. 2021)
    bubble = (compute + tensor) * (split.pipeline - 1) / (steps * split.interleave)
    seconds = compute + tensor + pipeline + data + bubble
    tokens = float(sequences * shape.context)
    return Layout(
        split=split,
        micro_batch=micro_batch,
        micro_batches=steps,
        memory=memory,
        compute_seconds=compute,
        tensor_seconds=tensor,
        pipeline_seconds=pipeline,
        data_seconds=data,
        bubble_seconds=bubble,
        batch_tokens=tokens,
        mfu=per_token * tokens / (seconds * peak * split.accelerators),
    )


def _recomputed(shape: ModelShape, split: Split) -> float:
    """FLOPs done again, as a share of those of the model: the forward pass, or attention's scores."""
    if split.recompute != "selective":  # a forward pass is a third of forward and backward
        return 1 / 3 if split.recompute == "full" else 0.0
    return 4.0 * shape.layers * shape.context * shape.query_width / FLOPS_PER_TOKEN["matmul"](shape)


def _link(machine: Machine) -> float:
    """Bytes per second, one way, to neighbours in one machine."""
    return _known(machine, "link_gb_s") / 2.0 * 1e9


def _between(machine: Machine, split: Split) -> float:
    """Bytes per second, one way, between groups: the network, or the links when all stand in one machine."""
    if split.accelerators <= machine.accelerator.node:
        return _link(machine)
    return _known(machine, "network_gb_s") * 1e9


def _known(machine: Machine, name: str) -> float:
    speed: float | None = getattr(machine.accelerator, name)
    if speed is None:
        raise DesignError(
            f"no {name} of {machine.accelerator.name} is known, so communication cannot be timed",
            cure=f"put {name} under [accelerator.{machine.accelerator.id}] of a file for --accelerators",
        )
    return speed


def _no_fit(shape: ModelShape, machine: Machine, count: int, sequences: int, least: float) -> DesignError:
    name, have = machine.accelerator.name, machine.accelerator.memory * MEMORY_SHARE
    if math.isinf(least):
        return DesignError(
            f"no layout cuts this model over {count} accelerators",
            expected="a number that a product of tensor, pipeline and data parallelism makes, data at most the batch",
            got=f"{count} {name}, {shape.heads} heads, {shape.layers} layers, a batch of {sequences} sequences",
            cure="take another number of accelerators or a larger batch",
        )
    return DesignError(
        f"the model fits no layout on {count} {name}",
        expected=f"at most {have / 1e9:.4g} GB per accelerator",
        got=f"{least / 1e9:.4g} GB at least: {least / have:.3g} times that",
        cure="take more accelerators, more memory each, or a smaller model",
        code="fits_no_machine",
    )
