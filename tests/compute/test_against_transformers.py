"""Closed forms against the networks of transformers, built without memory from their configurations."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from foretoken.compute.flops import training_flops
from foretoken.compute.models import MODELS
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape

transformers = pytest.importorskip("transformers")


def network(kind: str, config: str, **values: Any) -> Any:
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        return getattr(transformers, kind)(getattr(transformers, config)(**values))


def numel(kind: str, config: str, **values: Any) -> int:
    return sum(weight.numel() for weight in network(kind, config, **values).parameters())


def flops(net: Any, **lengths: int) -> float:
    """Training FLOPs of two sequences: three times the forward pass."""
    tokens = {name: torch.zeros(2, length, dtype=torch.long, device="meta") for name, length in lengths.items()}
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(**tokens)
    return 3.0 * counter.get_total_flops()


@pytest.mark.parametrize("model", ["bert_base", "bert_large"])
def test_bert(model: str) -> None:
    shape = MODELS[model].shape
    assert shape
    found = numel("BertForPreTraining", "BertConfig", hidden_size=shape.width, num_hidden_layers=shape.layers,
                  num_attention_heads=shape.heads, intermediate_size=shape.feed_forward)  # fmt: skip
    assert count_parameters(shape).total == found


@pytest.mark.parametrize("model", ["t5_small", "t5_base", "t5_large", "t5_3b", "t5_11b"])
def test_t5(model: str) -> None:
    shape = MODELS[model].shape
    assert shape
    found = numel("T5ForConditionalGeneration", "T5Config", d_model=shape.width, d_kv=shape.head_width,
                  d_ff=shape.feed_forward, num_layers=shape.layers, num_heads=shape.heads)  # fmt: skip
    assert count_parameters(shape).total == found


def test_gpt_and_experts() -> None:
    gpt, mixtral = MODELS["gpt_1"].shape, MODELS["mixtral_8x7b"].shape
    assert gpt
    assert mixtral
    assert count_parameters(gpt).total == numel("OpenAIGPTLMHeadModel", "OpenAIGPTConfig")
    assert count_parameters(mixtral).total == numel("MixtralForCausalLM", "MixtralConfig")


def test_flops_of_an_encoder() -> None:
    bert = MODELS["bert_base"].shape
    assert bert
    shape = replace(bert, layers=3, width=64, heads=4, feed_forward=128, context=32, vocabulary=100)
    net = network("BertForPreTraining", "BertConfig", hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
                  intermediate_size=128, vocab_size=100, attn_implementation="eager")  # fmt: skip
    assert training_flops(shape, 64) == flops(net, input_ids=32)


def test_flops_of_an_encoder_decoder() -> None:
    shape = ModelShape(family="encoder_decoder", layers=3, decoder_layers=2, width=64, heads=4, attention_width=128,
                       feed_forward=128, context=48, decoder_context=32, vocabulary=100, positions="relative",
                       activation="relu", norm="rms", bias=False)  # fmt: skip
    net = network("T5ForConditionalGeneration", "T5Config", d_model=64, d_kv=32, d_ff=128, num_layers=3,
                  num_decoder_layers=2, num_heads=4, vocab_size=100)  # fmt: skip
    assert training_flops(shape, 2 * 80) == flops(net, input_ids=48, decoder_input_ids=32)


def test_flops_of_grouped_heads() -> None:
    llama = MODELS["llama_7b"].shape
    assert llama
    shape = replace(llama, layers=3, width=64, heads=8, kv_heads=2, feed_forward=96, context=32, vocabulary=100)
    net = network("LlamaForCausalLM", "LlamaConfig", hidden_size=64, num_hidden_layers=3, num_attention_heads=8,
                  num_key_value_heads=2, intermediate_size=96, vocab_size=100, attn_implementation="eager")  # fmt: skip
    assert training_flops(shape, 64) == pytest.approx(flops(net, input_ids=32), rel=1e-3)
