"""A full recipe for a big run: shape, batch, learning rate, warm-up and schedule, each with its spread and source."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from foretoken.compute.flops import FLOPS_PER_TOKEN
from foretoken.compute.parameters import count_parameters
from foretoken.compute.proportions import Proportions, shape_of
from foretoken.compute.shape import ModelShape
from foretoken.laws import LAWS, PUBLISHED

FEWEST_STEPS = 500
"""A run of fewer steps has a batch that is too large, whatever a law says."""
WARMUP_SHARE = 0.02
"""Most of a run that its warm-up takes."""
SETTLED = {
    "schedule": (
        "wsd",
        "constant, then brought down: any length can be cut from one trunk (Hu et al. 2024, 2404.06395)",
    ),
    "cooldown": (0.2, "share of the run (Haegele et al. 2024, 2405.18392)"),
    "weight_decay": (0.1, "as in GPT-3 and LLaMA (2005.14165, 2302.13971)"),
    "beta1": (0.9, "as in GPT-3 and LLaMA"),
    "beta2": (0.95, "as in GPT-3 and LLaMA; above it for batches of less than about 1M tokens (Porian et al. 2024)"),
    "clip": (1.0, "norm of the gradient, as in GPT-3 and LLaMA"),
}
"""What practice has settled, and whose practice: {name: (value, source)}."""


@dataclass(frozen=True)
class Opinion:
    """What one source says of a setting."""

    id: str
    value: float
    source: str


@dataclass(frozen=True)
class Setting:
    """One setting: the middle of what the laws say, their spread, and each of them."""

    value: float
    unit: str
    spread: list[float]
    """Least and most of what the laws say."""
    laws: list[Opinion]
    note: str = ""


@dataclass(frozen=True)
class Recipe:
    """Everything that a big run needs besides its text."""

    shape: ModelShape
    params_total: int
    params_active: int
    """What a token passes: all of them, but for experts."""
    params_non_embedding: int
    tokens: float
    """Whole batches."""
    steps: int
    batch_tokens: Setting
    learning_rate: Setting
    warmup_tokens: Setting
    settled: dict[str, Any] = field(default_factory=lambda: {name: value for name, (value, _) in SETTLED.items()})
    sources: dict[str, str] = field(default_factory=lambda: {name: text for name, (_, text) in SETTLED.items()})

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def recipe(
    params: float,
    tokens: float,
    loss: float | None = None,
    proportions: Proportions | None = None,
    *,
    sequences: int = 1,
) -> Recipe:
    """The recipe of a run of about `params` parameters on about `tokens` tokens.

    `loss` (nats per token) is what the run should reach, for laws of the batch that read it; `sequences` a number that
    the sequences of a batch are a multiple of. Raises DesignError where no shape has this size.

    >>> found = recipe(6.7e9, 1e12)
    >>> found.shape.width, found.steps > 1000, found.learning_rate.spread[0] < found.learning_rate.value
    (4096, True, True)
    """
    shape = shape_of(params, proportions)
    counted = count_parameters(shape)
    known = _known(shape, tokens, loss)
    batch = _batch(known, shape.context * sequences, tokens)
    steps = max(2, round(tokens / batch.value))
    return Recipe(
        shape=shape,
        params_total=counted.total,
        params_active=counted.active,
        params_non_embedding=counted.non_embedding,
        tokens=steps * batch.value,
        steps=steps,
        batch_tokens=batch,
        learning_rate=_learning_rate(known),
        warmup_tokens=_warmup(counted.active, tokens, batch.value),
    )


def _known(shape: ModelShape, tokens: float, loss: float | None) -> dict[str, dict[str, float]]:
    """What each paper's laws read, in that paper's own counts; all are of decoders, with what a token passes as N."""
    counted = count_parameters(shape)
    blocks = float(counted.non_embedding - counted.idle)
    found = {
        "kaplan_2020": {"params": blocks},
        "deepseek_2024": {},
        "steplaw_2025": {"params": blocks, "tokens": tokens},
        "porian_2024": {},
        "minicpm_2024": {"flops": FLOPS_PER_TOKEN["matmul"](shape) * tokens},
    }
    if shape.family_record.plain_transformer:
        found["kaplan_2020"]["flops"] = FLOPS_PER_TOKEN["kaplan"](shape) * tokens
        found["deepseek_2024"]["flops"] = FLOPS_PER_TOKEN["deepseek"](shape) * tokens
        found["porian_2024"]["params"] = FLOPS_PER_TOKEN["porian"](shape) / 6
    if shape.experts:
        found["ludziejewski_2025"] = {"params": blocks, "experts": shape.experts / shape.active_experts}
    if loss is not None:
        for one in ("kaplan_2020", "minicpm_2024"):
            found[one]["loss"] = loss
    return found


def _said(known: dict[str, dict[str, float]], column: str, usable: Callable[[str], bool]) -> list[Opinion]:
    """What every published law of a column says, where all that it reads is known and the answer is above 0."""
    found = []
    for name, entry in PUBLISHED.items():
        law, reads = LAWS[entry.law], known.get(entry.work, {})
        if law.column != column or not usable(name) or not set(law.features) <= set(reads):
            continue
        value = float(law.evaluate(entry.parameters, **{feature: reads[feature] for feature in law.features}))
        if value > 0:
            found.append(Opinion(name, value, entry.source))
    return found


def _middle(values: list[float]) -> float:
    """The median on a log scale."""
    ordered = sorted(values)
    half = (len(ordered) - 1) / 2
    return math.sqrt(ordered[math.floor(half)] * ordered[math.ceil(half)])


def _batch(known: dict[str, dict[str, float]], multiple: int, tokens: float) -> Setting:
    laws = _said(known, "batch_tokens", lambda name: name != "kaplan_2020_batch_flops")
    wanted = _middle([law.value for law in laws])
    most = tokens / FEWEST_STEPS
    value = max(1, round(min(wanted, most) / multiple)) * multiple
    note = f"a multiple of {multiple} tokens"
    if wanted > most:
        note += f"; held at {FEWEST_STEPS} steps"
    return Setting(float(value), "tokens", [min(law.value for law in laws), max(law.value for law in laws)], laws, note)


def _learning_rate(known: dict[str, dict[str, float]]) -> Setting:
    laws = _said(known, "learning_rate", lambda _: True)
    values = [law.value for law in laws]
    note = "peak; laws of several papers, each at its own batch and optimiser: try half and twice on the ladder"
    return Setting(_middle(values), "", [min(values), max(values)], laws, note)


def _warmup(params: float, tokens: float, batch: float) -> Setting:
    by_size, by_length = float(params), WARMUP_SHARE * tokens
    value = max(1, round(min(by_size, by_length) / batch)) * batch
    laws = [
        Opinion("as many tokens as parameters", by_size, "Porian et al. 2024, arXiv 2406.19146 (short warm-up)"),
        Opinion(f"{100 * WARMUP_SHARE:g} % of the run", by_length, "a convention, so that large models do not wait"),
    ]
    return Setting(value, "tokens", sorted([by_size, by_length]), laws, "the smaller of the two, in whole batches")
