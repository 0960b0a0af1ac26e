"""Checkpoints through files: both forms, other people's spellings, and what is refused."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from foretoken.compute.shape import PRESETS, ModelShape
from foretoken.errors import CheckpointError, DesignError, ForetokenError, StoreError
from foretoken.models import Network, build, checkpoint_files, from_pretrained, save_pretrained
from foretoken.store import atomic

SIZES: dict[str, Any] = {"layers": 2, "width": 16, "heads": 2, "context": 12, "vocabulary": 40}


def shape(preset: str, **more: Any) -> ModelShape:
    return ModelShape(**{**SIZES, **PRESETS[preset], **more})


THEIRS = {
    "gpt2": shape("gpt2"),
    "gpt2_untied": shape("gpt2", tied=False, activation="relu"),
    "llama": shape("llama", kv_heads=1, rotary_base=5e5),
    "llama_tied": shape("llama", tied=True, bias=True, attention_width=24),
    "mixtral": shape("mixtral", experts=3, kv_heads=1, rotary_base=1e6),
    "bert": shape("bert"),
    "bert_pairs": shape("bert", token_types=2, pooler=True, classes=2),
    "bert_bare": shape("bert", head="linear", token_types=2, pooler=True),
    "t5": shape("t5", decoder_layers=1),
    "t5_v1_1": shape("t5_v1_1", attention_width=24, decoder_context=7),
}
"""What transformers has too."""
OWN = {
    "prefix": shape("prefix"),
    "lstm": shape("lstm"),
    "encoder": shape("encoder"),
    "encoder_with_classes": shape("bert", classes=3),
    "shared_experts": shape("mixtral", shared_experts=1),
    "capacity": shape("mixtral", expert_capacity_factor=1.5),
    "one_expert_each": shape("mixtral", active_experts=1),
    "sparse_layers": shape("mixtral", expert_every=2),
    "shared_stacks": shape("t5", shared_stacks=True),
    "gpt": shape("gpt2", final_norm=False),
    "bare_biases": shape("gpt2", bias=False),
    "odd_width": shape("llama", width=15, attention_width=16),
}
"""What it has not."""
ALL = THEIRS | OWN


def shaken(wanted: ModelShape) -> Network:
    network = build(wanted, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return network


def outputs(network: Network) -> Tensor:
    tokens = torch.arange(12).view(2, 6)
    inputs = (tokens, tokens) if network.shape.family == "encoder_decoder" else (tokens,)
    found = network(*inputs)
    return found[0] if isinstance(found, tuple) else found


def config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return found


def change(folder: Path, **values: Any) -> None:
    (folder / "config.json").write_text(json.dumps(config(folder) | values))


def rewrite(folder: Path, changed: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> None:
    save_file(changed(load_file(folder / "model.safetensors")), folder / "model.safetensors")


def same(first: Network, second: Network) -> bool:
    pairs = zip(first.named_parameters(), second.named_parameters(), strict=True)
    return all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in pairs)


@pytest.mark.parametrize("name", ALL)
def test_what_is_saved_comes_back_bit_for_bit(name: str, tmp_path: Path) -> None:
    network = shaken(ALL[name])
    assert save_pretrained(network, tmp_path / "new" / "folder") == tmp_path / "new" / "folder"
    before = torch.get_rng_state()
    again = from_pretrained(tmp_path / "new" / "folder")
    assert torch.equal(torch.get_rng_state(), before)
    assert again.shape == network.shape
    assert same(network, again)
    assert torch.equal(outputs(network), outputs(again))
    assert (config(tmp_path / "new" / "folder")["model_type"] == "foretoken") == (name in OWN)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(sorted(PRESETS)), st.integers(1, 3), st.sampled_from([16, 24]), st.booleans(), st.data())
def test_every_shape_comes_back(preset: str, layers: int, width: int, tied: bool, data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp())
    wanted = shape(preset, layers=layers, width=width, heads=1 if preset == "lstm" else 2, tied=tied)
    again = from_pretrained(save_pretrained(build(wanted, seed=1), folder))
    assert again.shape == wanted
    assert same(build(wanted, seed=1), again)


def test_a_loaded_network_trains_as_the_one_saved(tmp_path: Path) -> None:
    first = shaken(THEIRS["llama_tied"])
    second = from_pretrained(save_pretrained(first, tmp_path))
    for network in (first, second):
        outputs(network).square().sum().backward()
    assert all(torch.equal(a.grad, b.grad) for a, b in zip(first.parameters(), second.parameters(), strict=True)
               if a.grad is not None and b.grad is not None)  # fmt: skip
    assert first.embedding.weight.grad is not None


def test_tensors_are_named_and_laid_as_the_published_ones(tmp_path: Path) -> None:
    """GPT-2 stores its layers [in, out]; Mixtral each expert's w1, w2, w3; T5 v1.1 two wi."""
    wanted = {
        "gpt2": {"transformer.wte.weight": (40, 16), "transformer.h.1.attn.c_attn.weight": (16, 48),
                 "transformer.h.0.mlp.c_proj.weight": (64, 16)},
        "llama": {"model.layers.1.self_attn.k_proj.weight": (8, 16), "lm_head.weight": (40, 16)},
        "mixtral": {"model.layers.0.block_sparse_moe.experts.2.w2.weight": (16, 48),
                    "model.layers.0.block_sparse_moe.gate.weight": (3, 16)},
        "bert": {"bert.encoder.layer.1.attention.self.query.weight": (16, 16), "cls.predictions.bias": (40,),
                 "bert.embeddings.token_type_embeddings.weight": (2, 16)},
        "bert_bare": {"embeddings.LayerNorm.weight": (16,), "pooler.dense.bias": (16,)},
        "t5_v1_1": {"shared.weight": (40, 16), "decoder.block.1.layer.2.DenseReluDense.wi_1.weight": (48, 16),
                    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 2)},
    }  # fmt: skip
    for name, tensors in wanted.items():
        found = load_file(save_pretrained(build(THEIRS[name], seed=0), tmp_path / name) / "model.safetensors")
        assert tensors.items() <= {key: tuple(tensor.shape) for key, tensor in found.items()}.items()
        assert not any(key.startswith("bert.") for key in found) or name != "bert_bare"


def test_older_spellings_are_read(tmp_path: Path) -> None:
    gpt2, bert, t5 = (shaken(THEIRS[name]) for name in ("gpt2", "bert_pairs", "t5"))
    for name, network in {"gpt2": gpt2, "bert": bert, "t5": t5}.items():
        save_pretrained(network, tmp_path / name)
    rewrite(
        tmp_path / "gpt2",
        lambda found: (
            {key.removeprefix("transformer."): tensor for key, tensor in found.items()}
            | {"h.0.attn.bias": torch.ones(1, 1, 12, 12), "lm_head.weight": found["transformer.wte.weight"].clone()}
        ),
    )
    rewrite(
        tmp_path / "bert",
        lambda found: (
            {
                key.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
                for key, tensor in found.items()
            }
            | {
                "cls.predictions.decoder.weight": found["bert.embeddings.word_embeddings.weight"].clone(),
                "bert.embeddings.position_ids": torch.zeros(1, 12),
            }
        ),
    )
    rewrite(tmp_path / "t5", lambda found: {"decoder.embed_tokens.weight": found.pop("shared.weight")} | found)
    change(tmp_path / "bert", architectures=None)
    for name, network in {"gpt2": gpt2, "bert": bert, "t5": t5}.items():
        assert same(network, from_pretrained(tmp_path / name)), name


def test_rotary_settings_stand_in_either_place(tmp_path: Path) -> None:
    save_pretrained(build(THEIRS["llama"], seed=0), tmp_path)
    change(tmp_path, rope_theta=None, rope_parameters={"rope_type": "default", "rope_theta": 5e5})
    assert from_pretrained(tmp_path).shape == THEIRS["llama"]
    change(tmp_path, rope_parameters=None, rope_scaling=None)
    assert from_pretrained(tmp_path).shape.rotary_base == 10_000


def test_what_is_missing_from_a_configuration_is_as_transformers_has_it(tmp_path: Path) -> None:
    save_pretrained(build(shape("t5"), seed=0), tmp_path)
    known = config(tmp_path)
    for key in ("num_decoder_layers", "n_positions", "n_decoder_positions", "layer_norm_epsilon", "feed_forward_proj",
                "relative_attention_num_buckets", "tie_word_embeddings", "architectures"):  # fmt: skip
        del known[key]
    (tmp_path / "config.json").write_text(json.dumps(known))
    assert from_pretrained(tmp_path).shape == shape("t5", context=512)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_precisions(dtype: torch.dtype, tmp_path: Path) -> None:
    network = shaken(THEIRS["gpt2"]).to(dtype)
    save_pretrained(network, tmp_path)
    assert config(tmp_path)["torch_dtype"] == str(dtype).removeprefix("torch.")
    assert same(network, from_pretrained(tmp_path, keep_dtype=True))
    assert same(network.float(), from_pretrained(tmp_path))


def test_large_checkpoints_are_cut_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = shaken(THEIRS["t5"])
    monkeypatch.setattr(checkpoint_files, "SHARD", 8_000)
    save_pretrained(network, tmp_path)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    assert all(path.stat().st_size < 16_000 for path in shards)
    assert not (tmp_path / "model.safetensors").exists()
    assert same(network, from_pretrained(tmp_path))
    shards[1].unlink()
    with pytest.raises(CheckpointError, match="names a file that is not there"):
        from_pretrained(tmp_path)
    monkeypatch.undo()
    (tmp_path / "notes.txt").write_text("mine")
    save_pretrained(network, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors", "notes.txt"}
    assert same(network, from_pretrained(tmp_path))


def test_a_checkpoint_that_was_not_finished_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_pretrained(build(THEIRS["gpt2"], seed=0), tmp_path)

    class Full(atomic.System):
        def write(self, file: Any, content: bytes) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "system", Full())
    with pytest.raises(StoreError, match="cannot write"):
        save_pretrained(build(THEIRS["llama"], seed=0), tmp_path)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="no checkpoint in"):
        from_pretrained(tmp_path)


def test_tokenizer_and_token_ids_go_along(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"version": "1.0"}')
    folder = save_pretrained(build(THEIRS["t5"], seed=0), tmp_path / "out", tokenizer=tmp_path / "mine.json",
                             token_ids={"decoder_start_token_id": 3})  # fmt: skip
    assert (folder / "tokenizer.json").read_text() == '{"version": "1.0"}'
    assert (config(folder)["decoder_start_token_id"], config(folder)["pad_token_id"]) == (3, None)
    with pytest.raises(StoreError, match="cannot read"):
        save_pretrained(build(THEIRS["t5"], seed=0), tmp_path / "none", tokenizer=tmp_path / "missing.json")
    assert not (tmp_path / "none").exists()


CONFIGURATIONS: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"model_type": "mistral"}, "another family|family that is not read"),
    ("llama", {"model_type": ["llama"]}, "family that is not read"),
    ("llama", {"architectures": ["LlamaForSequenceClassification"]}, "parts that no network here has"),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_type"),
    ("llama", {"rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5}}, "rope_type"),
    ("llama", {"hidden_act": "gelu"}, "hidden_act"),
    ("llama", {"mlp_bias": True}, "only one of them"),
    ("llama", {"quantization_config": {"bits": 4}}, "quantised"),
    ("llama", {"num_hidden_layers": None}, "lacks num_hidden_layers"),
    ("llama", {"num_hidden_layers": "2"}, "invalid value of layers"),
    ("llama", {"num_hidden_layers": 10**8}, "more layers"),
    ("llama", {"max_position_embeddings": 10**8}, "context is too long"),
    ("llama", {"rms_norm_eps": float("nan")}, "norm_epsilon"),
    ("llama", {"rope_theta": 0}, "above 0"),
    ("llama", {"num_key_value_heads": 2}, "of another shape.*k_proj"),
    ("llama", {"vocab_size": 41}, "of another shape"),
    ("llama", {"num_hidden_layers": 1}, "not known"),
    ("llama", {"num_hidden_layers": 3}, "missing: model.layers.2"),
    ("llama", {"tie_word_embeddings": True}, "two different tensors"),
    ("mixtral", {"sliding_window": 4}, "sliding_window"),
    ("mixtral", {"num_experts_per_tok": 1}, "only expert"),
    ("mixtral", {"num_local_experts": 0, "num_experts_per_tok": 0}, "only expert"),
    ("mixtral", {"num_local_experts": 10**6}, "more layers or experts"),
    ("gpt2", {"activation_function": "swish"}, "activation"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
    ("bert", {"is_decoder": True}, "is_decoder"),
    ("bert", {"hidden_act": "relu"}, "activation"),
    ("bert", {"position_embedding_type": "relative_key"}, "position_embedding_type"),
    ("t5", {"relative_attention_max_distance": 64}, "relative_attention_max_distance"),
    ("t5", {"feed_forward_proj": "gated-relu"}, "activation"),
    ("t5", {"dense_act_fn": "silu"}, "two activations"),
    ("t5", {"scale_decoder_outputs": False}, "missing: lm_head"),
    ("prefix", {"shape": {"layers": 1}}, "lacks what a network needs"),
    ("prefix", {"shape": {**SIZES, "colour": 3}}, "no shape has this field"),
    ("prefix", {"shape": {**SIZES, "width": True}}, "invalid value of width"),
    ("prefix", {"shape": [1]}, "lacks what a network needs"),
    ("prefix", {"shape": {**SIZES, "feed_forward": 10**9, "width": 10**9, "experts": 10**9, "active_experts": 1}},
     "sizes that no network can have"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "values", "message"), CONFIGURATIONS)
def test_configurations_that_do_not_fit(name: str, values: dict[str, Any], message: str, tmp_path: Path) -> None:
    save_pretrained(build(ALL[name], seed=0), tmp_path)
    change(tmp_path, **values)
    with pytest.raises(CheckpointError, match=message):
        from_pretrained(tmp_path)


def test_sizes_that_do_not_fit_together_are_said_as_anywhere(tmp_path: Path) -> None:
    save_pretrained(build(THEIRS["gpt2"], seed=0), tmp_path)
    change(tmp_path, n_head=3)
    with pytest.raises(DesignError, match="must divide its width"):
        from_pretrained(tmp_path)


TENSORS: list[tuple[Callable[[dict[str, Tensor]], dict[str, Tensor]], str]] = [
    (lambda found: {key: tensor for key, tensor in found.items() if "ln_f.bias" not in key}, "1 missing: .*ln_f.bias"),
    (lambda found: found | {"score.weight": torch.ones(2, 16)}, "1 not known: score.weight"),
    (lambda found: found | {"transformer.ln_f.bias": torch.ones(17)}, r"ln_f.bias \(17,\) for \(16,\)"),
    (lambda found: found | {"transformer.ln_f.bias": torch.ones(16, dtype=torch.int8)}, "kind that is not read"),
]


@pytest.mark.parametrize(("changed", "message"), TENSORS, ids=["missing", "more", "misshapen", "integers"])
def test_tensors_that_do_not_fit(
    changed: Callable[[dict[str, Tensor]], dict[str, Tensor]], message: str, tmp_path: Path
) -> None:
    save_pretrained(build(THEIRS["gpt2"], seed=0), tmp_path)
    rewrite(tmp_path, changed)
    with pytest.raises(CheckpointError, match=message):
        from_pretrained(tmp_path)


def test_pickle_is_refused_with_the_cure(tmp_path: Path) -> None:
    save_pretrained(build(THEIRS["gpt2"], seed=0), tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"(?s)pytorch_model.bin: pickle.*save_pretrained writes safetensors"):
        from_pretrained(tmp_path)


def test_no_folder_no_file_and_damaged_ones(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"(?s)no such folder.*download it first"):
        from_pretrained("openai-community/gpt2")
    folder = save_pretrained(build(THEIRS["gpt2"], seed=0), tmp_path)
    whole = (folder / "model.safetensors").read_bytes()
    for content in (b"", whole[:100], whole[:-1], b"\xff" * 100):
        (folder / "model.safetensors").write_bytes(content)
        with pytest.raises(CheckpointError, match="cannot read"):
            from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    for index in ("[]", '{"weight_map": {}}', '{"weight_map": {"a": 3}}', '{"weight_map": {"a": "../config.json"}}'):
        (folder / "model.safetensors.index.json").write_text(index)
        with pytest.raises(CheckpointError, match=r"weight_map|names a file"):
            from_pretrained(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(StoreError, match="not JSON"):
        from_pretrained(folder)


def test_a_network_without_values_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="without values"):
        save_pretrained(build(THEIRS["gpt2"], seed=None), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_network_without_segments_is_a_bert_whose_segments_are_zero(tmp_path: Path) -> None:
    network = shaken(THEIRS["bert"])
    found = load_file(save_pretrained(network, tmp_path) / "model.safetensors")
    assert not found["bert.embeddings.token_type_embeddings.weight"].any()
    found["bert.embeddings.token_type_embeddings.weight"][1] = 1.0
    rewrite(tmp_path, lambda _: found)
    again = from_pretrained(tmp_path)
    assert again.shape == replace(network.shape, token_types=2)
    assert torch.equal(outputs(again), outputs(network))


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["rope_type", "rope_theta"]), inner),
    max_leaves=4,
)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["gpt2", "llama", "mixtral", "bert_pairs", "t5", "prefix"]), st.data())
def test_no_configuration_breaks_it(name: str, data: st.DataObject) -> None:
    folder = Path(tempfile.mkdtemp())
    save_pretrained(build(ALL[name], seed=0), folder)
    key = data.draw(st.sampled_from([*config(folder), "rope_scaling", "rope_parameters", "sliding_window"]))
    value = data.draw(HOSTILE)
    if key == "shape" and isinstance(value, dict):
        value = config(folder)["shape"] | {data.draw(st.sampled_from(sorted(SIZES))): data.draw(HOSTILE)}
    change(folder, **{key: value})
    with contextlib.suppress(ForetokenError):
        from_pretrained(folder)


def test_the_examples_of_the_docs_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs" / "weights.md").read_text(), re.S)
    names: dict[str, Any] = {}
    run = [block for block in blocks if "import transformers" not in block or importlib.util.find_spec("transformers")]
    for block in run:
        exec(block, names)
    assert same(names["network"], names["again"])
    assert len(run) >= 2
