"""Every family: parameters and FLOPs as the closed forms say, what a position sees, and where weights start."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from foretoken.compute.choices import NORMS
from foretoken.compute.flops import matmul
from foretoken.compute.objective import KINDS, Objective, families_of
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.errors import DesignError
from foretoken.models import build, router_losses
from foretoken.objectives import ExampleBuilder, make_examples
from foretoken.objectives.loss import losses

WIDE = 48
"""Tokens of the vocabulary: enough for the special ones beside a text of fewer."""
TEXT = 30


def shape(preset: str = "llama", **choices: Any) -> ModelShape:
    plain = {"layers": 2, "width": 16, "heads": 2, "context": 12, "vocabulary": WIDE}
    return ModelShape(**{**plain, **PRESETS[preset], **choices})


def inputs(wanted: ModelShape, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tokens = [torch.randint(TEXT, (2, wanted.context), generator=generator)]
    if wanted.family == "encoder_decoder":
        tokens.append(torch.randint(TEXT, (2, wanted.decoder_context or wanted.context), generator=generator))
    return tokens


def logits(network: Any, *tokens: Any, **more: Any) -> Tensor:
    out = network(*tokens, **more)
    first: Tensor = out[0] if isinstance(out, tuple) else out
    return first


TRANSFORMER = st.fixed_dictionaries(
    {
        "family": st.sampled_from(["decoder", "prefix", "encoder", "encoder_decoder"]),
        "norm": st.sampled_from(list(NORMS)),
        "positions": st.sampled_from(["learned", "rotary", "relative", "none"]),
        "activation": st.sampled_from(["gelu", "gelu_exact", "relu", "swiglu", "geglu"]),
        "tied": st.booleans(),
        "bias": st.booleans(),
        "final_norm": st.booleans(),
        "embedding_norm": st.booleans(),
        "layers": st.integers(1, 3),
        "width": st.sampled_from([8, 16, 32]),
        "kv_heads": st.sampled_from([0, 1]),
        "attention_width": st.sampled_from([0, 24]),
    }
)
EXPERTS = st.fixed_dictionaries(
    {
        "experts": st.integers(2, 5),
        "active_experts": st.integers(1, 2),
        "shared_experts": st.integers(0, 2),
        "expert_width": st.sampled_from([0, 16]),
        "expert_capacity_factor": st.sampled_from([0.0, 1.0]),
    }
)


@settings(max_examples=80, deadline=None)
@given(TRANSFORMER, st.one_of(st.just({}), EXPERTS), st.booleans())
def test_numel_equals_the_closed_form(choices: dict[str, Any], experts: dict[str, Any], shared: bool) -> None:
    if choices["family"] == "encoder_decoder":
        choices |= {"shared_stacks": shared, "decoder_context": 7}
    wanted = shape(**{**choices, **experts})
    network = build(wanted)
    assert sum(weight.numel() for weight in network.parameters()) == count_parameters(wanted).total
    out = logits(network, *inputs(wanted))
    assert out.shape[-1] == WIDE
    out.square().mean().backward()  # type: ignore[no-untyped-call]
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


@settings(max_examples=10, deadline=None)
@given(st.booleans(), st.booleans(), st.integers(1, 3))
def test_numel_of_an_lstm(tied: bool, bias: bool, layers: int) -> None:
    wanted = shape("lstm", tied=tied, bias=bias, layers=layers)
    assert sum(weight.numel() for weight in build(wanted).parameters()) == count_parameters(wanted).total


@pytest.mark.parametrize("classes", [0, 2, 5])
def test_numel_of_an_encoder_with_classes(classes: int) -> None:
    wanted = shape("bert", classes=classes, pooler=bool(classes), token_types=2)
    network = build(wanted)
    assert sum(weight.numel() for weight in network.parameters()) == count_parameters(wanted).total
    out = network(*inputs(wanted))
    assert isinstance(out, tuple) == bool(classes)


def moved(network: Any, tokens: list[Tensor], which: int, place: int, **more: Any) -> list[bool]:
    """Whether each position's logits depend on the token at `place` of input `which`, by the gradient."""
    table = network.encoder.embedding if hasattr(network, "encoder") else network.embedding
    kept: list[Tensor] = []
    hook = table.register_forward_hook(lambda module, given, out: kept.append(out.retain_grad() or out))
    out = logits(network, *tokens, **more)
    hook.remove()
    found = []
    for position in range(out.shape[1]):
        network.zero_grad()
        kept[which].grad = None
        out[0, position].square().sum().backward(retain_graph=True)  # type: ignore[no-untyped-call]
        gradient = kept[which].grad
        assert gradient is not None
        by_place = gradient[place] if hasattr(network, "lstm") else gradient[:, place]
        found.append(bool(by_place.abs().sum() > 0))
    return found


@pytest.mark.parametrize("preset", ["gpt2", "llama", "mixtral", "prefix", "lstm"])
def test_no_position_sees_the_future(preset: str) -> None:
    network, tokens = build(shape(preset)), inputs(shape(preset))
    for place in (0, 5, 11):
        assert moved(network, tokens, 0, place) == [position >= place for position in range(12)]


@pytest.mark.parametrize("positions", ["rotary", "relative", "learned"])
def test_a_prefix_is_seen_both_ways_and_nothing_behind_it(positions: str) -> None:
    network, tokens = build(shape("prefix", positions=positions)), inputs(shape("prefix"))
    for place in (0, 3, 4, 7, 11):
        found = moved(network, tokens, 0, place, prefix=torch.tensor([5, 1]))
        assert found == [position >= place or place < 5 for position in range(12)]


@pytest.mark.parametrize("preset", ["bert", "encoder"])
def test_an_encoder_sees_all_but_padding(preset: str) -> None:
    network, tokens = build(shape(preset)), inputs(shape(preset))
    assert all(moved(network, tokens, 0, 11))
    real = torch.ones(2, 12, dtype=torch.bool)
    real[:, 9:] = False
    found = moved(network, tokens, 0, 10, padding_mask=real)
    assert found == [position == 10 for position in range(12)]


@pytest.mark.parametrize("preset", ["t5", "t5_v1_1"])
def test_a_target_sees_the_source_and_its_past(preset: str) -> None:
    wanted = shape(preset, decoder_context=9)
    network, tokens = build(wanted), inputs(wanted)
    for part in (table for name, table in network.named_parameters() if "relative" in name):
        torch.nn.init.normal_(part)
    assert all(moved(network, tokens, 0, 11))
    assert moved(network, tokens, 1, 4) == [position >= 4 for position in range(9)]
    real = torch.ones(2, 12, dtype=torch.bool)
    real[:, 9:] = False
    assert not any(moved(network, tokens, 0, 10, padding_mask=real))


@pytest.mark.parametrize("preset", ["gpt2", "llama", "mixtral", "prefix", "bert", "encoder", "lstm"])
def test_documents_of_one_sequence_do_not_see_each_other(preset: str) -> None:
    network, tokens = build(shape(preset)), inputs(shape(preset))
    documents = torch.tensor([[0] * 5 + [1] * 7] * 2)
    both_ways = preset in ("bert", "encoder")
    for place in (2, 4, 5, 11):
        found = moved(network, tokens, 0, place, documents=documents)
        same = [(position < 5) == (place < 5) for position in range(12)]
        assert found == [alike and (both_ways or position >= place) for position, alike in enumerate(same)]


CASES = [
    ("gpt2", "causal"), ("llama", "causal"), ("mixtral", "causal"), ("lstm", "causal"), ("prefix", "prefix"),
    ("prefix", "span_corruption"), ("bert", "masked"), ("encoder", "masked"), ("t5", "span_corruption"),
    ("t5_v1_1", "span_corruption"), ("t5", "prefix"),
]  # fmt: skip


def example_maker(preset: str, objective: Objective, **choices: Any) -> ExampleBuilder:
    wanted = shape(preset, **choices)
    if wanted.family == "encoder_decoder":
        length = objective.target_length(wanted.context) if objective.kind == "span_corruption" else wanted.context
        wanted = replace(wanted, decoder_context=length)
    if objective.next_sentence:
        wanted = replace(wanted, classes=2, pooler=True, token_types=2)
    objective.check(wanted)
    specials = {name: TEXT + number for number, name in enumerate(objective.specials(wanted))}
    return ExampleBuilder(objective=objective, shape=wanted, text_vocabulary=TEXT, specials=specials, separator=0)


def test_every_pair_of_family_and_objective_is_tried() -> None:
    tried = {(str(PRESETS[preset].get("family", "decoder")), kind) for preset, kind in CASES}
    assert tried == {(family, kind) for kind in KINDS for family in families_of(kind)} - {("prefix", "causal")}


@pytest.mark.parametrize(("preset", "kind"), CASES)
def test_flops_agree_with_the_counter_of_torch(preset: str, kind: str) -> None:
    """A prefix of random length predicts half of its positions on average, so many sequences are counted.

    The counter does not know torch's LSTM: what it leaves out is 8 products of width x width per layer, three times.
    """
    objective = Objective(kind=kind)
    builder = example_maker(
        preset, objective, width=64, context=32, layers=3, **({"heads": 4} if preset != "lstm" else {})
    )
    wanted, sequences = builder.shape, 64
    text = np.random.default_rng(0).integers(1, TEXT, (sequences, objective.window(wanted).length))
    network = build(wanted)
    with FlopCounterMode(display=False) as counter:
        losses(network, make_examples(builder, text, np.random.default_rng(1)))[0].mean().backward()  # type: ignore[no-untyped-call]
    expected = matmul(wanted, objective.predicted(wanted)) * sequences * wanted.sequence_tokens
    left_out = 3 * 2 * 8 * 64**2 * 3 * sequences * 32 if preset == "lstm" else 0
    assert counter.get_total_flops() + left_out == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("preset", "kind"), CASES)
def test_a_fresh_network_knows_nothing(preset: str, kind: str) -> None:
    builder = example_maker(preset, Objective(kind=kind), width=64)
    text = np.random.default_rng(0).integers(1, TEXT, (16, builder.objective.window(builder.shape).length))
    each, _ = losses(build(builder.shape), make_examples(builder, text, np.random.default_rng(1)))
    assert each.mean().item() == pytest.approx(math.log(WIDE), abs=0.5)


@pytest.mark.parametrize(("preset", "kind"), CASES)
def test_bfloat16_gives_nearly_the_same_gradient(preset: str, kind: str) -> None:
    builder = example_maker(preset, Objective(kind=kind), width=64)
    text = np.random.default_rng(0).integers(1, TEXT, (8, builder.objective.window(builder.shape).length))
    network, found = build(builder.shape), []
    for enabled in (False, True):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            loss = losses(network, make_examples(builder, text, np.random.default_rng(1)))[0].mean()
        loss.backward()  # type: ignore[no-untyped-call]
        found.append(torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.grad is not None]))
    assert (found[0] - found[1]).norm() < 0.1 * found[0].norm()


def test_initial_weights_follow_the_seed_and_the_rule() -> None:
    first, again, other = (build(shape("gpt2", width=64), seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
    small: Any = build(shape("gpt2", layers=8, width=768, heads=12))
    assert small.blocks[0].attention.qkv.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert small.blocks[0].attention.out.weight.std().item() == pytest.approx(0.02 / 4, rel=0.01)


def test_experts_balance() -> None:
    network = build(shape("mixtral", experts=4, active_experts=1, width=32))
    tokens = torch.randint(TEXT, (4, 12))
    network(tokens)
    found = router_losses(network)
    assert found is not None
    assert 0.9 < found[0].item() < 2.0
    assert router_losses(build(shape())) is None


@pytest.mark.parametrize("active", [1, 2])
def test_a_capacity_drops_tokens_in_training_and_none_in_evaluation(active: int) -> None:
    choices: dict[str, Any] = {"experts": 4, "active_experts": active, "width": 32}
    network, tight = build(shape("mixtral", **choices)), build(shape("mixtral", **choices, expert_capacity_factor=0.5))
    tight.load_state_dict(network.state_dict())
    (tokens,) = inputs(network.shape)
    assert not torch.allclose(tight.train()(tokens), network.train()(tokens))  # some tokens pass by their expert
    torch.testing.assert_close(tight.eval()(tokens), network.eval()(tokens))


def test_logits_with_a_capacity_depend_on_the_batch_in_training_alone() -> None:
    network = build(shape("mixtral", experts=4, active_experts=1, width=32, expert_capacity_factor=0.5))
    (tokens,) = inputs(network.shape)
    for training in (True, False):
        network.train(training)
        alone, among = network(tokens[1:]), network(tokens)[1:]
        assert torch.allclose(alone, among, rtol=1e-4, atol=1e-5) != training


def test_what_is_not_built_is_refused() -> None:
    with pytest.raises(DesignError, match="decoder"):
        shape(family="perceiver")
    with pytest.raises(DesignError, match="block_norms"):
        build(shape(block_norms=1))


def test_a_prefix_longer_than_its_sequence_is_refused() -> None:
    network, (tokens,) = build(shape("prefix")), inputs(shape("prefix"))
    for wrong in ([13, 1], [-1, 1]):
        with pytest.raises(DesignError, match="a prefix is longer than its sequence"):
            network(tokens, prefix=torch.tensor(wrong))
    with pytest.raises(DesignError, match="only models of family 'prefix'"):
        build(shape("llama"))(tokens, prefix=torch.tensor([5, 1]))


@pytest.mark.parametrize("preset", ["gpt2", "llama", "bert", "prefix", "mixtral"])
def test_a_sequence_longer_than_the_context_is_refused(preset: str) -> None:
    network, (tokens,) = build(shape(preset)), inputs(shape(preset))
    with pytest.raises(DesignError, match="at most 12 tokens"):
        network(torch.cat([tokens, tokens], dim=1))


@pytest.mark.parametrize("choices", [{"experts": 4, "active_experts": 2}, {"shared_stacks": True}, {"pooler": True}])
def test_what_an_lstm_has_not_is_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(DesignError, match="models have"):
        shape("lstm", **choices)


def test_a_network_without_values_takes_no_memory() -> None:
    huge = shape(layers=100, width=16384, heads=128, vocabulary=128_000)
    assert sum(weight.numel() for weight in build(huge, seed=None).parameters()) == count_parameters(huge).total
