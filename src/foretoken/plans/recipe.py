"""A recipe for a big run (shape, batch, learning rate, warm-up, schedule, each with its source), and its layout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from foretoken.compute.flops import FLOPS_PER_TOKEN
from foretoken.compute.layout import Layout, find_layout, lay_out
from foretoken.compute.machine import Machine
from foretoken.compute.parameters import count_parameters
from foretoken.compute.proportions import Proportions, shape_of
from foretoken.compute.serving import Serving, serve
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError, ForetokenError
from foretoken.laws import LAWS, PUBLISHED
from foretoken.plans.split import Allocation
from foretoken.results import with_reasons_json
from foretoken.units import HOUR_UNITS

LARGE, SHARED = 2e10, 8
"""From this size on, each layer is shared by so many accelerators, where there are as many."""
HELD = 0.8
"""Share of the memory that a served model's weights take at most."""
DEEPER = 1.5
"""A depth that the pipeline divides is at most this factor from the one in good proportions."""
FITS_NONE = "fits_no_machine"
"""Code of the refusal that no layout fits."""
PROMPT, ANSWER = 512, 512
"""Tokens that one request reads and writes."""
FEWEST_STEPS = 500
"""A run of fewer steps has a batch that is too large, whatever a law says."""
WARMUP_SHARE = 0.02
"""Most of a run that its warm-up takes."""
SETTLED: dict[str, tuple[str | float, str]] = {
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
class LawValue:
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
    laws: list[LawValue]
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
    settled: dict[str, str | float] = field(
        default_factory=lambda: {name: value for name, (value, _) in SETTLED.items()}
    )
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

    >>> made = recipe(6.7e9, 1e12)
    >>> made.shape.width, made.steps > 1000, made.learning_rate.spread[0] < made.learning_rate.value
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
    # Kaplan's and Step Law's N leave embeddings out; of experts, what no token passes is left out too.
    blocks = float(counted.non_embedding - counted.idle)
    known = {
        "kaplan_2020": {"params": blocks},
        "deepseek_2024": {},
        "steplaw_2025": {"params": blocks, "tokens": tokens},
        "porian_2024": {},
        "minicpm_2024": {"flops": FLOPS_PER_TOKEN["matmul"](shape) * tokens},
    }
    if shape.family_record.plain_transformer:
        known["kaplan_2020"]["flops"] = FLOPS_PER_TOKEN["kaplan"](shape) * tokens
        known["deepseek_2024"]["flops"] = FLOPS_PER_TOKEN["deepseek"](shape) * tokens
        # Porian et al. define N as FLOP per token / 6, in their own count of FLOP.
        known["porian_2024"]["params"] = FLOPS_PER_TOKEN["porian"](shape) / 6
    if shape.experts:
        known["ludziejewski_2025"] = {"params": blocks, "experts": shape.experts / shape.active_experts}
    if loss is not None:
        for work in ("kaplan_2020", "minicpm_2024"):
            known[work]["loss"] = loss
    return known


def _values(known: dict[str, dict[str, float]], column: str, usable: Callable[[str], bool]) -> list[LawValue]:
    """The value of every published law of a column, where all that it reads is known and the value is above 0."""
    values = []
    for name, entry in PUBLISHED.items():
        law, reads = LAWS[entry.law], known.get(entry.work, {})
        if law.column != column or not usable(name) or not set(law.features) <= set(reads):
            continue
        value = float(law.evaluate(entry.parameters, **{feature: reads[feature] for feature in law.features}))
        if value > 0:
            values.append(LawValue(name, value, entry.source))
    return values


def _middle(values: list[float]) -> float:
    """The median on a log scale."""
    # Learning rates of different papers differ by factors, and one outlier must not move the middle.
    ordered = sorted(values)
    half = (len(ordered) - 1) / 2
    return math.sqrt(ordered[math.floor(half)] * ordered[math.ceil(half)])


def _batch(known: dict[str, dict[str, float]], multiple: int, tokens: float) -> Setting:
    laws = _values(known, "batch_tokens", lambda name: name != "kaplan_2020_batch_flops")
    middle = _middle([law.value for law in laws])
    most = tokens / FEWEST_STEPS
    # Rounded to whole sequences on every accelerator, and so small that the schedule still has steps to act in.
    value = max(1, round(min(middle, most) / multiple)) * multiple
    note = f"a multiple of {multiple} tokens"
    if middle > most:
        note += f"; held at {FEWEST_STEPS} steps"
    return Setting(float(value), "tokens", [min(law.value for law in laws), max(law.value for law in laws)], laws, note)


def _learning_rate(known: dict[str, dict[str, float]]) -> Setting:
    laws = _values(known, "learning_rate", lambda _: True)
    values = [law.value for law in laws]
    note = "peak; laws of several papers, each at its own batch and optimiser: try half and twice on the ladder"
    return Setting(_middle(values), "", [min(values), max(values)], laws, note)


def _warmup(params: float, tokens: float, batch: float) -> Setting:
    by_size, by_length = float(params), WARMUP_SHARE * tokens
    value = max(1, round(min(by_size, by_length) / batch)) * batch
    laws = [
        LawValue("as many tokens as parameters", by_size, "Porian et al. 2024, arXiv 2406.19146 (short warm-up)"),
        LawValue(f"{100 * WARMUP_SHARE:g} % of the run", by_length, "a convention, so that large models do not wait"),
    ]
    return Setting(value, "tokens", sorted([by_size, by_length]), laws, "the smaller of the two, in whole batches")


@dataclass(frozen=True)
class Built:
    """The recipe of a plan and its layout, each with the reason where there is none."""

    recipe: Recipe | None = None
    recipe_reason: str | None = None
    layout: Layout | None = None
    layout_reason: str | None = None


def build(
    split: Allocation, machine: Machine, count: float, proportions: Proportions, count_is_fixed: bool = False
) -> Built:
    """The recipe of a split and the layout that carries it over `count` accelerators.

    The depth is a multiple of the pipeline's stages, heads and feed-forward of the tensor-parallel group, the batch of
    the sequences that are handled at once. Raises DesignError where the model fits no layout and `count_is_fixed`
    forbids more machines.
    """
    if split.params >= LARGE and count >= SHARED:
        proportions = replace(proportions, tensor_parallel=SHARED)

    def make(proportions: Proportions, sequences: int = 1) -> Recipe:
        return recipe(split.params, split.tokens, split.loss, proportions, sequences=sequences)

    # The layout needs a shape, and the shape must divide by the layout: a first shape is laid out, evened, and again.
    try:
        first = make(proportions)
    except DesignError as error:
        return Built(recipe_reason=error.message, layout_reason="there is no shape to lay out")
    try:
        layout = find_layout(first.shape, machine, round(count), first.batch_tokens.value)
        proportions, layout = _evened(split.params, first, layout, machine, proportions)
        whole = make(proportions, layout.split.data * layout.micro_batch)
        layout = lay_out(whole.shape, machine, layout.split, layout.micro_batch, whole.batch_tokens.value)
    except ForetokenError as error:
        if count_is_fixed and error.code == FITS_NONE:
            raise
        return Built(recipe=first, layout_reason=" ".join(str(error).split()))
    return Built(recipe=whole, layout=layout)


def _evened(
    params: float, first: Recipe, layout: Layout, machine: Machine, like: Proportions
) -> tuple[Proportions, Layout]:
    """Proportions that the layout divides, and the fastest layout of their shape; as they are where nothing is near."""
    cut = layout.split
    # Stages of unequal depth wait for the deepest, so a depth that divides is worth a small change of the shape.
    if first.shape.layers % (cut.pipeline * cut.interleave) == 0:
        return like, layout
    shared = math.lcm(like.tensor_parallel, cut.tensor)
    for stages in (cut.pipeline * cut.interleave, cut.pipeline):
        even = replace(like, tensor_parallel=shared, pipeline=stages)
        try:
            shape = shape_of(params, even)
            if max(shape.layers / first.shape.layers, first.shape.layers / shape.layers) < DEEPER:
                return even, find_layout(shape, machine, cut.accelerators, first.batch_tokens.value, even=True)
        except DesignError:
            continue
    return like, layout


@dataclass(frozen=True)
class ServedRequest:
    """One request of the plan's model on the fewest accelerators that hold it (a power of two), at their limit."""

    accelerator: str
    count: int
    prompt: int
    """Tokens that are read."""
    answer: int
    """Tokens that are written."""
    serving: Serving | None
    reason: str | None
    """Why it cannot be served."""

    @property
    def usd_per_year(self) -> float | None:
        """Those accelerators day and night, a year of 8,766 hours, busy or not; None where no price is known."""
        if self.serving is None or self.serving.usd_per_million is None:
            return None
        per_hour = self.serving.usd_per_million / self.serving.accelerator_hours_per_million
        return self.count * per_hour * HOUR_UNITS["year"]

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        if self.serving is None:
            return {"count": self.count, "reason": self.reason}
        values = {"accelerator": self.accelerator, "count": self.count, "prompt": self.prompt, "answer": self.answer}
        values["usd_per_year"] = self.usd_per_year
        no_price = f"no price of {self.accelerator} is known"
        reasons = dict.fromkeys(("usd_per_million", "usd_per_year"), no_price)
        return with_reasons_json(values | self.serving.to_json(), **reasons)


def serve_request(recipe: Recipe, machine: Machine) -> ServedRequest:
    """One request of 512 tokens in and 512 out, at the limit of the fewest accelerators (a power of two)."""
    # 2 bytes a weight; the other fifth of memory is for keys, values and activations.
    share = recipe.params_total * 2.0 / (HELD * machine.accelerator.memory)
    count, name = 2 ** max(0, math.ceil(math.log2(share))), machine.accelerator.name
    try:
        serving = serve(recipe.shape, machine, prompt=PROMPT, answer=ANSWER, count=count)
    except ForetokenError as error:
        return ServedRequest(name, count, PROMPT, ANSWER, serving=None, reason=error.message)
    return ServedRequest(name, count, PROMPT, ANSWER, serving=serving, reason=None)
