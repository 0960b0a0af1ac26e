"""What answering costs: the cache of keys and values, the time of prefill and decode by roofline, caps on size.

Roofline: a step takes at least its FLOPs over the peak and at least its bytes over the memory's bandwidth, whichever is
longer. Decoding reads every weight once per step for the whole batch, so below a batch of about peak / bandwidth (in
16 bits: 295 on an H100) it is the bandwidth that counts.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.compute.families import FAMILIES, cannot
from foretoken.compute.flops import inference_flops, plain_transformers
from foretoken.compute.machine import Machine, check_values
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError


def kv_cache_bytes(shape: ModelShape, tokens: float, bytes_each: float = 2.0) -> float:
    """Bytes that keys and values of so many tokens take: 2 x layers x kv width numbers each.

    Raises DesignError for a family whose cache does not grow with the tokens, or is not counted.

    >>> llama = ModelShape(layers=80, width=8192, heads=64, kv_heads=8, context=8192, vocabulary=128_256)
    >>> kv_cache_bytes(llama, 1)
    327680.0
    """
    cached = shape.family_record.cached_per_token
    if cached is None:
        able = [family for family in FAMILIES.values() if family.cached_per_token]
        raise cannot(shape.family, "have its cache counted by the token", able)
    return cached(shape) * bytes_each * tokens


@dataclass(frozen=True, kw_only=True)
class Serving:
    """A batch of requests on some accelerators, at their limit: real ones reach less."""

    prefill_seconds: float
    """Until the first token of the batch."""
    decode_seconds: float
    """Per further token of each request, a mean over the answer."""
    tokens_per_second: float
    """Of the whole batch while it decodes."""
    bound: str
    """What limits decoding: `bandwidth` or `compute`."""
    weight_bytes: float
    cache_bytes: float
    """At the end of the answers."""
    accelerator_hours_per_million: float
    """Accelerator-hours per million answered tokens, prefill included."""
    usd_per_million: float | None

    @property
    def bytes(self) -> float:
        """Memory over all accelerators."""
        return self.weight_bytes + self.cache_bytes

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def serve(
    shape: ModelShape,
    machine: Machine,
    *,
    prompt: float,
    answer: float,
    batch: float = 1,
    count: int = 1,
    bytes_each: float = 2.0,
    use: float = 1.0,
) -> Serving:
    """Time and memory of `batch` requests of `prompt` tokens with answers of `answer` tokens, on `count` accelerators.

    `bytes_each` is that of a weight and of a cached number (2 in 16 bits, 1 in 8, 0.5 in 4); products run at the peak
    of 16 bits. `use` is the share of peak and bandwidth that is reached. Between accelerators nothing is lost.

    Raises DesignError when weights and cache do not fit (by how much), and for models of two stacks and LSTMs.

    >>> from foretoken.compute.machine import machine
    >>> llama = ModelShape(layers=32, width=4096, heads=32, feed_forward=11008, context=4096, vocabulary=32_000,
    ...                    norm="rms", positions="rotary", activation="swiglu", tied=False, bias=False)
    >>> serving = serve(llama, machine("H100"), prompt=500, answer=500)
    >>> f"{1000 * serving.decode_seconds:.1f} ms", serving.bound
    ('4.1 ms', 'bandwidth')
    """
    _require_one_stack(shape)
    check_values({"prompt": prompt, "answer": answer, "batch": batch, "bytes_each": bytes_each})
    speed, stream = machine.need("peak") * count * use, machine.accelerator.bandwidth * count * use
    weights = count_parameters(shape).total * bytes_each
    cache = batch * kv_cache_bytes(shape, prompt + answer, bytes_each)
    _require_room(machine, count, weights + cache)
    # a prompt's tokens see half of it on average; its products share one reading of the weights
    prefill = max(batch * prompt * inference_flops(shape, prompt / 2) / speed, weights / stream)
    # the context grows by a token per step, so a step's mean is that of the middle of the answer
    middle = prompt + answer / 2
    compute = batch * inference_flops(shape, middle) / speed
    read = (bytes_read(shape, batch, bytes_each) + batch * kv_cache_bytes(shape, middle, bytes_each)) / stream
    decode = max(compute, read)
    hours = count * (prefill + answer * decode) / 3600.0 / (batch * answer) * 1e6
    price = machine.value("usd_per_hour")
    return Serving(
        prefill_seconds=prefill,
        decode_seconds=decode,
        tokens_per_second=batch / decode,
        bound="compute" if compute > read else "bandwidth",
        weight_bytes=weights,
        cache_bytes=cache,
        accelerator_hours_per_million=hours,
        usd_per_million=None if price is None else hours * price,
    )


def bytes_read(shape: ModelShape, batch: float, bytes_each: float = 2.0) -> float:
    """Bytes of weights that one decoding step reads: of experts, those that some token of the batch is sent to.

    With tokens sent evenly, a share 1 - (1 - active / experts)^batch of the experts is touched.
    """
    count = count_parameters(shape)
    if not shape.experts:
        return count.total * bytes_each
    share = shape.active_experts / shape.experts
    # idle is the share 1 - active / experts of all routed weights; an expert is missed by each token of the batch with
    # that probability, independently
    routed = count.idle / (1 - share) if share < 1 else 0.0
    missed = math.pow(1 - share, batch)
    return (count.total - routed * missed) * bytes_each


def most_params(
    machine: Machine,
    *,
    count: int = 1,
    bytes_each: float = 2.0,
    seconds_per_token: float | None = None,
    memory_share: float = 0.8,
) -> float:
    """The most parameters that fit `memory_share` of the memory and, where asked, decode one request fast enough.

    At `seconds_per_token` every weight is read once per token, so the cap is on the parameters that a token passes.

    >>> from foretoken.compute.machine import machine
    >>> f"{most_params(machine('H100')):.3g}", f"{most_params(machine('H100'), seconds_per_token=0.01):.3g}"
    ('3.2e+10', '1.68e+10')
    """
    check_values({"count": count, "bytes_each": bytes_each, "seconds_per_token": seconds_per_token})
    by_memory = memory_share * machine.accelerator.memory * count / bytes_each
    by_latency = math.inf
    if seconds_per_token is not None:
        by_latency = machine.accelerator.bandwidth * count * seconds_per_token / bytes_each
    return min(by_memory, by_latency)


def _require_one_stack(shape: ModelShape) -> None:
    if not shape.family_record.plain_transformer:
        raise DesignError(
            "serving is known for models of one stack",
            expected=", ".join(plain_transformers()),
            got=f"family {shape.family!r}",
        )


def _require_room(machine: Machine, count: int, needed: float) -> None:
    have = machine.accelerator.memory * count
    if needed > have:
        raise DesignError(
            f"weights and cache do not fit {count} {machine.accelerator.name}",
            expected=f"at most {have / 1e9:.4g} GB",
            got=f"{needed / 1e9:.4g} GB: {needed / have:.3g} times that",
            cure="take more accelerators, a smaller batch, fewer bytes per weight, or a smaller model",
        )
