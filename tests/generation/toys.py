"""Networks of a second: trained on a text that repeats itself, so that what they must write is known."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from foretoken.compute.objective import CLS, SEP, Objective
from foretoken.compute.shape import ModelShape
from foretoken.data.specials import special_ids
from foretoken.data.tokenizer import ByteTokenizer, SymbolTokenizer, Tokenizer
from foretoken.designs.shapes import shape_of_width
from foretoken.generation import Model
from foretoken.models import build
from foretoken.objectives import ExampleBuilder, make_examples
from foretoken.objectives.loss import losses
from foretoken.runs.schema import ModelSection

LETTERS = "abcdefghij"
TRAINING = {"t5_v1_1": (250, 3e-3), "lstm": (200, 1e-2)}
"""Steps and learning rate; (120, 1e-2) is enough for the others."""


def shape_for(
    preset: str, objective: Objective, vocabulary: int = 256, context: int = 32, **choices: Any
) -> tuple[ModelShape, dict[str, int]]:
    """A small shape whose vocabulary holds the text's tokens and the objective's special ones, and their ids."""
    model = ModelSection(preset=preset, context=context, **{"layers": 1, **choices})
    nominal = shape_of_width(model, objective, vocabulary, 32)
    ids, whole = special_ids({}, vocabulary, False, objective.specials(nominal))
    return shape_of_width(model, objective, whole, 32), ids


@cache
def toy(preset: str, kind: str) -> Model:
    """A model trained on the letters a to j, again and again, from any of them on."""
    torch.set_num_threads(1)
    steps, rate = TRAINING.get(preset, (120, 1e-2))
    objective = Objective(kind=kind, mean_span_length=5 if kind == "span_corruption" else 0)
    shape, specials = shape_for(preset, objective)
    network, chance = build(shape), np.random.default_rng(0)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    builder = ExampleBuilder(objective=objective, shape=shape, text_vocabulary=256, specials=specials, separator=0)
    for step in range(steps):
        starts = chance.integers(0, len(LETTERS), 16)[:, None]
        text = (starts + np.arange(objective.window(shape).length)) % len(LETTERS) + ord("a")
        each, _ = losses(network.train(), make_examples(builder, text, chance))
        each.mean().backward()
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, 2 * (1 - step / steps))
        optimizer.step()
        optimizer.zero_grad()
    return model_of(network.eval(), objective, specials)


def untrained(preset: str, kind: str, symbols: int = 0, **choices: Any) -> Model:
    """A model with random weights, large enough that its probabilities differ; of bytes, or of so many symbols."""
    objective = Objective(kind=kind)
    shape, specials = shape_for(preset, objective, symbols or 256, **choices)
    network, generator = build(shape), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator)
    return model_of(network.eval(), objective, specials, SymbolTokenizer(symbols) if symbols else ByteTokenizer())


def model_of(network: Any, objective: Objective, specials: dict[str, int], tokenizer: Tokenizer | None = None) -> Model:
    """The network with what it needs to read and write."""
    masked = objective.kind == "masked"
    return Model(
        name="a toy", network=network, tokenizer=tokenizer or ByteTokenizer(), objective=objective, specials=specials,
        before=(specials[CLS],) if masked else (), after=(specials[SEP],) if masked else (),
    )  # fmt: skip
