"""The same weights in the networks of transformers and in ours: logits, gradients of a loss, files both ways."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.models import build, from_pretrained, save_pretrained

transformers = pytest.importorskip("transformers")
VOCABULARY, LENGTH = 99, 40
LLAMA = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
         "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 64}  # fmt: skip
BERT = {"vocab_size": VOCABULARY, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "max_position_embeddings": 64}  # fmt: skip
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 64,
        "bos_token_id": None, "eos_token_id": None}  # fmt: skip
T5 = {"vocab_size": VOCABULARY, "d_model": 64, "d_kv": 12, "d_ff": 96, "num_layers": 2, "num_decoder_layers": 3,
      "num_heads": 4, "decoder_start_token_id": 0}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A network of transformers, and what is given to it beside tokens."""

    kind: str
    config: str
    values: dict[str, Any]
    given: tuple[str, ...] = ()
    two: bool = False
    shape: dict[str, Any] = field(default_factory=dict)
    """What our shape must be found to have."""


CASES = {
    "gpt2": Case("GPT2LMHeadModel", "GPT2Config", GPT2, shape={"tied": True, "activation": "gelu"}),
    "gpt2_padded": Case("GPT2LMHeadModel", "GPT2Config", GPT2, ("padding",)),
    "gpt2_untied": Case("GPT2LMHeadModel", "GPT2Config",
                        GPT2 | {"tie_word_embeddings": False, "activation_function": "gelu", "n_inner": 80},
                        shape={"tied": False, "feed_forward": 80}),
    "llama": Case("LlamaForCausalLM", "LlamaConfig", LLAMA | {"rope_theta": 5e5},
                  shape={"kv_heads": 2, "rotary_base": 5e5}),
    "llama_tied": Case("LlamaForCausalLM", "LlamaConfig",
                       LLAMA | {"tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True, "head_dim": 12},
                       shape={"tied": True, "bias": True, "attention_width": 96}),
    "llama_documents": Case("LlamaForCausalLM", "LlamaConfig", LLAMA, ("documents",)),
    "mixtral": Case("MixtralForCausalLM", "MixtralConfig", LLAMA | {"num_local_experts": 4, "num_experts_per_tok": 2},
                    shape={"experts": 4, "rotary_base": 1e6}),
    "bert": Case("BertForPreTraining", "BertConfig", BERT, ("padding", "segments"),
                 shape={"head": "masked", "classes": 2, "pooler": True, "norm_epsilon": 1e-12}),
    "bert_masked": Case("BertForMaskedLM", "BertConfig", BERT, ("padding",), shape={"classes": 0, "pooler": False}),
    "t5": Case("T5ForConditionalGeneration", "T5Config", T5, ("padding",), two=True,
               shape={"tied": True, "activation": "relu", "attention_width": 48, "decoder_layers": 3}),
    "t5_v1_1": Case("T5ForConditionalGeneration", "T5Config",
                    T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, ("padding",), two=True,
                    shape={"tied": False, "activation": "geglu"}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def theirs(case: Case, seed: int = 0) -> nn.Module:
    """Random weights, none of them at a value that a network starts from."""
    torch.manual_seed(seed)
    network = getattr(transformers, case.kind)(getattr(transformers, case.config)(**case.values)).eval()
    if case.kind.startswith("T5") and not case.shape["tied"]:  # transformers 5 ties it whenever it builds one
        network.lm_head.weight = nn.Parameter(torch.empty(VOCABULARY, 64).normal_(0, 0.1))
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * torch.randn_like(weight)
    return network


@dataclass(frozen=True)
class Batch:
    """Inputs of both, and where their outputs count."""

    theirs: dict[str, Tensor]
    tokens: tuple[Tensor, ...]
    ours: dict[str, Tensor]
    real: Tensor


def batch(case: Case) -> Batch:
    generator = torch.Generator().manual_seed(1)

    def tokens(length: int) -> Tensor:
        return torch.randint(1, VOCABULARY, (3, length), generator=generator)

    source, target = tokens(150 if case.two else LENGTH), tokens(LENGTH)
    given: dict[str, Tensor] = {"input_ids": source}
    ours: dict[str, Tensor] = {}
    real = torch.ones_like(source, dtype=torch.bool)
    if "padding" in case.given:
        real[0, LENGTH // 2 :] = False
        real[1, -3:] = False
        given["attention_mask"] = real.long()
        if not case.kind.startswith("GPT2"):  # what stands before padding does not see it
            ours["padding_mask"] = real
    if "segments" in case.given:
        ours["segments"] = given["token_type_ids"] = (torch.arange(LENGTH) > 9).long().expand(3, LENGTH).contiguous()
    if "documents" in case.given:
        ours["documents"] = (torch.arange(LENGTH) // 13).expand(3, LENGTH)
        same = ours["documents"][:, :, None] == ours["documents"][:, None, :]
        seen = (same & torch.ones(LENGTH, LENGTH, dtype=torch.bool).tril())[:, None]
        given["attention_mask"] = torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)
    if not case.two:
        return Batch(given, (source,), ours, real)
    return Batch(given | {"decoder_input_ids": target}, (source, target), ours, torch.ones_like(target) == 1)


def outputs(found: Any) -> tuple[Tensor, ...]:
    """Logits, and those of the classes where there are some."""
    if hasattr(found, "prediction_logits"):
        return found.prediction_logits, found.seq_relationship_logits
    found = getattr(found, "logits", found)
    return found if isinstance(found, tuple) else (found,)


def loss(found: tuple[Tensor, ...], real: Tensor) -> Tensor:
    logits = found[0][real]
    total = functional.cross_entropy(logits, torch.arange(len(logits)) % VOCABULARY)
    return total + sum(functional.cross_entropy(part, torch.arange(len(part)) % 2) for part in found[1:])


def farthest(first: tuple[Tensor, ...], second: tuple[Tensor, ...], real: Tensor) -> float:
    """The largest difference of logits at real positions, and of classes."""
    apart = [(first[0] - second[0])[real], *(a - b for a, b in zip(first[1:], second[1:], strict=True))]
    return max(part.abs().max().item() for part in apart)


def differences(case: Case, folder: Path) -> tuple[float, float]:
    """Largest difference of logits, and largest relative difference (of norms) of a weight's gradient."""
    reference, given = theirs(case), batch(case)
    reference.save_pretrained(folder)
    network = from_pretrained(folder)
    assert {name: getattr(network.shape, name) for name in case.shape} == case.shape
    expected, found = outputs(reference(**given.theirs)), outputs(network(*given.tokens, **given.ours))
    for result in (expected, found):
        loss(result, given.real).backward()
    with torch.no_grad():  # their gradients take the way of weights, through a file
        for weight in reference.parameters():
            weight.copy_(weight.grad)
    reference.save_pretrained(folder / "gradients")
    gradients = dict(from_pretrained(folder / "gradients").named_parameters())
    apart = [
        (weight.grad - gradients[name]).norm() / gradients[name].norm() for name, weight in network.named_parameters()
    ]
    return farthest(expected, found, given.real), max(apart).item()


@pytest.mark.parametrize("name", CASES)
def test_logits_and_gradients_are_those_of_transformers(name: str, tmp_path: Path) -> None:
    logits, gradients = differences(CASES[name], tmp_path)
    assert logits < 1e-4
    assert gradients < 1e-3


@pytest.mark.parametrize("name", CASES)
def test_their_files_come_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    theirs(CASES[name]).save_pretrained(tmp_path / "theirs")
    save_pretrained(from_pretrained(tmp_path / "theirs"), tmp_path / "ours")
    first, second = (load_file(tmp_path / name / "model.safetensors") for name in ("theirs", "ours"))
    assert first.keys() == second.keys()
    assert all(torch.equal(tensor, second[key]) for key, tensor in first.items())


def test_the_states_of_a_bare_encoder(tmp_path: Path) -> None:
    case = Case("BertModel", "BertConfig", BERT, ("padding", "segments"))
    reference, given = theirs(case), batch(case)
    reference.save_pretrained(tmp_path / "theirs")
    network = from_pretrained(tmp_path / "theirs")
    save_pretrained(network, tmp_path / "ours")
    again = transformers.BertModel.from_pretrained(tmp_path / "ours").eval()
    features = network.features(given.tokens[0], **given.ours)
    for one in (reference, again):
        expected = one(**given.theirs)
        assert (expected.last_hidden_state - features)[given.real].abs().max() < 1e-4
        assert (expected.pooler_output - network.pooled(features)).abs().max() < 1e-4


SMALL = {"layers": 2, "width": 64, "heads": 4, "context": 150, "vocabulary": VOCABULARY}
BUILT: dict[str, Callable[[], ModelShape]] = {
    "GPT2LMHeadModel": lambda: ModelShape(**SMALL, **PRESETS["gpt2"]),
    "LlamaForCausalLM": lambda: ModelShape(**SMALL, **PRESETS["llama"], kv_heads=2),
    "MixtralForCausalLM": lambda: ModelShape(**SMALL, **PRESETS["mixtral"]),
    "BertForMaskedLM": lambda: ModelShape(**SMALL, **PRESETS["bert"]),
    "BertForPreTraining": lambda: ModelShape(**SMALL, **PRESETS["bert"], token_types=2, pooler=True, classes=2),
    "T5ForConditionalGeneration": lambda: ModelShape(**SMALL, **PRESETS["t5"], decoder_layers=1),
    "T5ForConditionalGeneration v1.1": lambda: ModelShape(**SMALL, **PRESETS["t5_v1_1"], decoder_context=40),
}
"""The presets, by what transformers calls them."""


@pytest.mark.parametrize("name", BUILT)
def test_what_is_built_here_opens_in_transformers(name: str, tmp_path: Path) -> None:
    network, kind = build(BUILT[name](), seed=0), name.split()[0]
    save_pretrained(network, tmp_path, token_ids={"decoder_start_token_id": 0} if "T5" in kind else None)
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == [kind]
    reference, told = getattr(transformers, kind).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told.values())
    given = batch(Case(kind, "", {}, two="T5" in kind))
    expected, found = outputs(reference.eval()(**given.theirs)), outputs(network(*given.tokens, **given.ours))
    assert farthest(expected, found, given.real) < 1e-4
    reference.save_pretrained(tmp_path / "again")
    again = from_pretrained(tmp_path / "again")
    assert again.shape == network.shape
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
