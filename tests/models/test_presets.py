"""Every model of the registry that has a network is built without memory and counted."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from foretoken.compute.models import MODELS
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.models import build
from foretoken.models.checkpoint_config import shape_to_config_json

SHAPES = {name: model.shape for name, model in MODELS.items() if model.shape and model.shape.block_norms == 2}
LISTED = ["gpt_1", "gpt2_small", "gpt2_medium", "gpt2_large", "gpt2_xl", "gpt3_small", "gpt3_medium", "gpt3_large",
          "gpt3_xl", "gpt3_2_7b", "gpt3_6_7b", "gpt3_13b", "gpt3_175b", "bert_base", "bert_large", "roberta_base",
          "roberta_large", "spanbert_base", "spanbert_large", "t5_small", "t5_base", "t5_large", "t5_3b", "t5_11b",
          "t5_v1_1_small", "t5_v1_1_base", "t5_v1_1_large", "t5_v1_1_xl", "t5_v1_1_xxl", "llama_7b", "llama_13b",
          "llama_33b", "llama_65b", "llama3_8b", "llama3_70b", "llama3_405b", "mixtral_8x7b", "bake_off_causal",
          "bake_off_prefix", "bake_off_encoder_decoder"]  # fmt: skip


def numel(shape: ModelShape) -> int:
    return sum(weight.numel() for weight in build(shape, seed=None).parameters())


@pytest.mark.parametrize("name", SHAPES)
def test_the_network_has_as_many_parameters_as_are_counted(name: str) -> None:
    assert numel(SHAPES[name]) == count_parameters(SHAPES[name]).total


def test_the_well_known_are_there() -> None:
    assert set(LISTED) <= set(SHAPES)


@pytest.mark.parametrize("name", LISTED)
def test_shapes_have_the_published_sizes(name: str) -> None:
    """Within rounding: T5 3B, called so by the paper, has 2.85e9."""
    assert count_parameters(SHAPES[name]).total == pytest.approx(MODELS[name].params, rel=0.05)


BAKE_OFF = {"bake_off_causal": "4.8", "bake_off_prefix": "4.8", "bake_off_encoder_decoder": "11.0"}


@pytest.mark.parametrize("name", BAKE_OFF)
def test_the_bake_off(name: str) -> None:
    """Wang et al. 2022 (arXiv 2204.05832): 4.8B decoders, an 11B encoder-decoder."""
    assert f"{numel(SHAPES[name]) / 1e9:.1f}" == BAKE_OFF[name]


THEIRS = [name for name, shape in SHAPES.items() if shape_to_config_json(shape)]


def theirs(name: str) -> Any:
    """The network of transformers, without memory."""
    transformers = pytest.importorskip("transformers")
    shape = SHAPES[name]
    config = shape_to_config_json(shape)
    assert config
    if name.startswith("roberta"):  # as BERT, but for two more positions that nothing uses
        sizes = {"hidden_size": shape.width, "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
                 "intermediate_size": shape.feed_forward, "vocab_size": shape.vocabulary,
                 "max_position_embeddings": shape.context, "type_vocab_size": 1}  # fmt: skip
        return transformers.RobertaForMaskedLM(transformers.RobertaConfig(**sizes))
    kind = getattr(transformers, config["architectures"][0])
    return kind(kind.config_class(**{key: value for key, value in config.items() if key != "architectures"}))


@pytest.mark.parametrize("name", THEIRS)
def test_transformers_counts_the_same(name: str) -> None:
    shape = SHAPES[name]
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        found = sum(weight.numel() for weight in theirs(name).parameters())
    if shape.family == "encoder_decoder" and not shape.tied:  # transformers 5 ties the head until weights are loaded
        found += shape.vocabulary * shape.width
    assert found == count_parameters(shape).total


def test_which_models_transformers_opens() -> None:
    told = {name: shape_to_config_json(shape) for name, shape in SHAPES.items()}
    kinds = {name: config["architectures"][0] for name, config in told.items() if config}
    assert kinds.items() >= {
        "gpt2_xl": "GPT2LMHeadModel", "bert_large": "BertForPreTraining", "spanbert_large": "BertForMaskedLM",
        "t5_11b": "T5ForConditionalGeneration", "bake_off_encoder_decoder": "T5ForConditionalGeneration",
        "llama3_405b": "LlamaForCausalLM", "mixtral_8x7b": "MixtralForCausalLM",
    }.items()  # fmt: skip
    assert not {"gpt_1", "bloom", "pythia_1b", "bake_off_causal", "bake_off_prefix"} & set(kinds)
