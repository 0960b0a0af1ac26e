"""What a step keeps, by the terms of the closed form: linear in sequences and layers, and each choice adds its own."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foretoken.compute.activations import BLOCK, INDEX, LONGEST, Step, causal_stack, lstm, norm
from foretoken.compute.families import FAMILIES
from foretoken.compute.shape import PRESETS, ModelShape

SMALL: dict[str, Any] = {"layers": 2, "width": 32, "heads": 4, "context": 16, "vocabulary": 50}
TRANSFORMERS = [name for name, family in FAMILIES.items() if not family.recurrent]


def elements(shape: ModelShape, **choices: Any) -> float:
    return shape.family_record.activations(shape, Step(**{"sequences": 3, **choices}))


def test_one_block_by_hand() -> None:
    """GELU, LayerNorm, learned positions, one causal block shorter than a block of rows, 16 positions."""
    shape = ModelShape(**{**SMALL, "layers": 1})
    width, hidden, length = 32, 128, 16
    ends = INDEX + (width + 2)
    block = 2 * ((width + 2) + width) + 2 * hidden
    attention = 5 * width * length + 4 * length * length
    assert elements(shape, sequences=1) == length * (ends + block) + attention


@settings(max_examples=60, deadline=None)
@given(preset=st.sampled_from(list(PRESETS)), sequences=st.integers(2, 40), dropout=st.booleans())
def test_twice_the_sequences_keep_at_most_twice_as_much(preset: str, sequences: int, dropout: bool) -> None:
    heads = 1 if preset == "lstm" else 4
    shape = ModelShape(**{**SMALL, **PRESETS[preset], "heads": heads})
    one, two = (elements(shape, sequences=n, dropout=dropout) for n in (sequences, 2 * sequences))
    assert one < two <= 2 * one


@pytest.mark.parametrize("family", FAMILIES)
def test_each_further_layer_keeps_as_much(family: str) -> None:
    heads = 1 if FAMILIES[family].recurrent else 4
    kept = [elements(ModelShape(**{**SMALL, "layers": n, "heads": heads, "family": family})) for n in (1, 2, 3, 4)]
    steps = [after - before for before, after in pairwise(kept)]
    assert steps[0] > 0
    assert steps == pytest.approx([steps[0]] * 3)


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_dropout_keeps_a_factor_of_each_dropped_element(family: str) -> None:
    shape = ModelShape(**SMALL, family=family)
    more = elements(shape, dropout=True) - elements(shape)
    two = shape.family_record.two_stacks
    # the embedding of each stack, attention and feed-forward of each block, and cross-attention of a decoder's
    outputs = (1 + 2 * 2) + (1 + 3 * 2 if two else 0)
    assert more == 3 * 16 * 32 * outputs


def test_norms_keep_what_their_gradient_needs() -> None:
    assert norm(ModelShape(**SMALL)) == 32 + 2
    assert norm(ModelShape(**SMALL, norm="rms")) == 2 * 32 + 1


@pytest.mark.parametrize(
    ("activation", "kept"), [("relu", 1), ("gelu", 2), ("gelu_exact", 2), ("swiglu", 4), ("geglu", 4)]
)
def test_a_feed_forward_keeps_its_hidden_state_so_often(activation: str, kept: int) -> None:
    narrow, wide = (ModelShape(**SMALL, activation=activation, feed_forward=hidden) for hidden in (40, 48))
    assert elements(wide) - elements(narrow) == 3 * 16 * 2 * 8 * kept


@pytest.mark.parametrize("blocks", [1, 2, 3, 4])
def test_causal_probabilities_reach_to_the_end_of_their_block_of_rows(blocks: int) -> None:
    length = blocks * BLOCK
    one, two = (
        causal_stack(ModelShape(layers=1, width=32, heads=heads, context=length, vocabulary=50), Step(sequences=1))
        for heads in (1, 2)
    )
    assert two - one == BLOCK * BLOCK * blocks * (blocks + 1) / 2


def test_beyond_the_longest_context_scores_are_not_kept() -> None:
    shapes = [ModelShape(**{**SMALL, "context": length}) for length in (LONGEST, 2 * LONGEST, 4 * LONGEST)]
    kept = [elements(shape) / shape.context for shape in shapes]
    assert kept[1] == kept[2] < kept[0]


@pytest.mark.parametrize("own", ["separate_documents", "prefixes"])
def test_masks_of_each_sequence_are_kept_beyond_the_longest_context(own: str) -> None:
    shape = ModelShape(**{**SMALL, "context": 2 * LONGEST})
    assert Step(sequences=1, **{own: True}).own_masks
    more = elements(shape, **{own: True}) - elements(shape)
    assert more > 0.5 * 3 * (2 * LONGEST) ** 2


@pytest.mark.parametrize("active", [1, 2, 4])
def test_experts_keep_the_rows_that_are_sent_to_them(active: int) -> None:
    shape = ModelShape(**SMALL, experts=4, active_experts=active)
    if active > 1:
        fewer = replace(shape, active_experts=active // 2)
        rows = 3 * 16 * (active - active // 2)
        row = 32 + 2 * 128 + INDEX  # its input, the hidden state twice, its expert's index for the biases
        router = 2 * INDEX + 3
        assert elements(shape) - elements(fewer) == pytest.approx(2 * rows * (row + 32 + router))
    else:
        assert elements(shape) > elements(ModelShape(**SMALL))


@pytest.mark.parametrize("dropout", [False, True])
def test_documents_kept_apart_are_counted_layer_by_layer(dropout: bool) -> None:
    shape = ModelShape(**{**SMALL, "heads": 1}, family="lstm", positions="none")
    step = Step(sequences=3, separate_documents=True, dropout=dropout)
    assert lstm(shape, step) == 3 * 16 * (INDEX + 2 * (8 * 32 + 1) + 3 * 32 * dropout)
