"""What a plan is asked for, in people's words: numbers, or texts with units. Nothing is read or computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from foretoken.fits.result import AnyFit
    from foretoken.runs.reading import AnyTable

TOLERANCE = 0.001
"""A thousandth of the loss: less than two runs with different seeds usually differ."""
SERVING_BATCH = 32
"""Requests that a server answers at once; assumed. Weights are read once for all of them."""


@dataclass(frozen=True)
class PlanRequest:
    """A budget (or a loss, a size, a number of tokens, or two of them), where losses come from, and what to keep to.

    Args:
        compute: The budget: 5.76e23, "512 H100 for 30 days", "$2M of H100"; a bare number is FLOP.
        law: Losses by a published law, an id of `foretoken laws` ...
        fit: ... or by your own fit (or its file), with its draws.
        loss: The loss to be reached with the least compute, in the unit of the law's losses.
        params: A given size, for example 7B.
        tokens: A given number of tokens, for example 300B.
        accelerator: What it runs on, for example H100 or "RTX 4090".
        count: How many of them side by side.
        mfu: Model FLOPs utilisation; by default typical of kind and size.
        usd_per_hour: Price of one accelerator.
        watts: Power of one accelerator.
        pue: Power usage effectiveness of the site.
        grid: kg CO2e per kWh of the site's grid.
        precision: The peak that is reckoned with: bf16 or fp16 unless another is named.
        accelerators: A file of your own accelerators, prices and site (TOML).
        deadline: At most this long, for example "30 days"; what the machines do in it caps the compute.
        ladder: FLOP of small runs, paid first.
        unique: Distinct tokens there are, or the bytes of their text ("570 GB at 4.5 bytes per token"); more are seen
            again.
        max_epochs: Times each of them may be seen; 1 for no repetition.
        experts: Experts of each layer; the law must read them. `params` is then what a token uses.
        active: Experts that a token passes.
        family: Family of the recipe: decoder, prefix, encoder, encoder_decoder.
        serve: Tokens that the model will read over its life.
        write: Tokens that it will write.
        serve_batch: Requests that are answered at once.
        serve_accelerator: What it serves on, if something else.
        reference_size: A size whose regret is shown.
        max_params: The largest size allowed, by memory or latency.
        max_total: The most parameters in all, idle experts too.
        max_tokens: The most tokens.
        latency: A token is answered within this time: "20 ms".
        serve_on: The model must fit this many accelerators to serve.
        sizes: The only sizes allowed.
        tolerance: Share of the loss within which a split is as good.
        vocabulary: Tokens of the tokenizer.
        context: Longest sequence, in tokens.
        scores: A table of scores of smaller runs (`foretoken downstream`): the scores to expect of this run.
        tasks: The tasks of that table whose scores are told; all unless given.
        rename: Columns of the table of scores by other names: loss=val_loss,tokens=steps*batch.
        where: Which of its rows to read: dataset=c4.
        estimator: Which estimate of the fit: map or huber.
        level: Probability that an interval holds.

    """

    compute: str | float | None = None
    _: KW_ONLY
    law: str | None = None
    fit: AnyFit | None = None
    loss: float | None = None
    params: str | float | None = None
    tokens: str | float | None = None
    accelerator: str | None = None
    count: str | float | None = None
    mfu: float | None = None
    usd_per_hour: float | None = None
    watts: float | None = None
    pue: float | None = None
    grid: float | None = None
    precision: str | None = None
    accelerators: str | Path | None = None
    deadline: str | None = None
    ladder: str | float | None = None
    unique: str | float | None = None
    max_epochs: float | None = None
    experts: int | None = None
    active: int = 1
    family: str = "decoder"
    serve: str | float | None = None
    write: str | float | None = None
    serve_batch: int = SERVING_BATCH
    serve_accelerator: str | None = None
    reference_size: str | float | None = None
    max_params: str | float | None = None
    max_total: str | float | None = None
    max_tokens: str | float | None = None
    latency: str | None = None
    serve_on: int | None = None
    sizes: Sequence[str | float] = ()
    tolerance: float = TOLERANCE
    vocabulary: int = 32_000
    context: int = 4096
    scores: AnyTable | Path | None = None
    tasks: Sequence[str] = ()
    rename: Mapping[str, str] | None = None
    where: str = ""
    estimator: str = "map"
    level: float = 0.9
