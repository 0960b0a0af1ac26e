"""Documents that share a sequence and are kept apart: no loss of one depends on the tokens of another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from foretoken.compute.objective import Objective
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.models import build
from foretoken.objectives import ExampleBuilder, Examples, Integers, make_examples
from foretoken.objectives.loss import losses

WORDS, SEQUENCES, CONTEXT = 30, 3, 16
"""Tokens of the text (0 ends a document); special tokens are beyond."""
CASES = [
    ("gpt2", "causal"), ("llama", "causal"), ("mixtral", "causal"), ("lstm", "causal"), ("prefix", "causal"),
    ("prefix", "prefix"), ("encoder", "masked"), ("bert", "masked"),
]  # fmt: skip


def example_builder(preset: str, kind: str) -> ExampleBuilder:
    objective = Objective(kind=kind, separate_documents=True)
    plain = {"layers": 2, "width": 16, "heads": 2, "context": CONTEXT, "vocabulary": 40}
    shape = ModelShape(**{**plain, **PRESETS[preset]})
    objective.check(shape)
    specials = {name: WORDS + number for number, name in enumerate(objective.specials(shape))}
    return ExampleBuilder(objective=objective, shape=shape, text_vocabulary=WORDS, specials=specials, separator=0)


def documents_of(found: Examples) -> tuple[Integers, Integers]:
    """The document of each position of all sequences, and of each prediction."""
    rows = np.arange(SEQUENCES)[:, None] * 100 + found.inputs["documents"]
    positions = np.arange(rows.size) if found.positions is None else found.positions
    return rows, rows.reshape(-1)[positions]


def random_text(builder: ExampleBuilder, seed: int, ends: float) -> Integers:
    """Text of which such a share are ends of documents."""
    size, rng = (SEQUENCES, builder.objective.window(builder.shape).length), np.random.default_rng(seed)
    return np.where(rng.random(size) < ends, 0, rng.integers(1, WORDS, size))


SEEDS, ENDS = st.integers(0, 2**20), st.sampled_from([0.05, 0.2, 0.5])


@pytest.mark.parametrize(("preset", "kind"), CASES)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, ends=ENDS)
def test_no_gradient_crosses_a_border(preset: str, kind: str, seed: int, ends: float) -> None:
    builder = example_builder(preset, kind)
    found = make_examples(builder, random_text(builder, seed, ends), np.random.default_rng(seed))
    positions, predictions = documents_of(found)
    network: Any = build(builder.shape, seed)
    embedded: list[Tensor] = []
    network.embedding.register_forward_hook(lambda module, given, out: embedded.append(out))
    each = losses(network, found)[0].flatten()
    for document in np.unique(predictions):
        loss = each[torch.from_numpy(predictions == document)].sum()
        (gradient,) = torch.autograd.grad(loss, embedded, retain_graph=True)
        by_place = gradient.abs().sum(-1).numpy()
        moved = by_place.T if preset == "lstm" else by_place
        assert not moved[positions != document].any()
        assert moved[positions == document].any()


@pytest.mark.parametrize(("preset", "kind"), CASES)
@settings(max_examples=15, deadline=None)
@given(seed=SEEDS, ends=ENDS)
def test_other_tokens_in_another_document_change_nothing(preset: str, kind: str, seed: int, ends: float) -> None:
    """Of the first document of each sequence the losses stay, its targets included, whatever the others say."""
    builder = example_builder(preset, kind)
    text = random_text(builder, seed, ends)
    first = np.cumsum(text == 0, axis=1) - (text == 0) == 0
    mixed = np.where(first | (text == 0), text, text % (WORDS - 1) + 1)
    before, after = (make_examples(builder, part, np.random.default_rng(seed)) for part in (text, mixed))
    _, predictions = documents_of(before)
    kept, network = torch.from_numpy(predictions % 100 == 0), build(builder.shape, seed)
    with torch.no_grad():
        whole, changed = (losses(network, found)[0].flatten() for found in (before, after))
    torch.testing.assert_close(changed[kept], whole[kept])
