"""The keys of `config.json` in Hugging Face checkpoints, beside the fields of ModelShape."""

from __future__ import annotations

from dataclasses import dataclass, field

from foretoken.compute.shape import ShapeChoices
from foretoken.models.relative import FARTHEST

Scalar = str | int | float | bool


@dataclass(frozen=True, kw_only=True)
class ConfigKeys:
    """The configuration of one architecture."""

    classes: dict[str, ShapeChoices]
    """Names of the classes that transformers opens it with, and what tells them apart in a shape."""
    fixed: ShapeChoices
    """What all shapes of this architecture have."""
    keys: dict[str, tuple[str, ...]]
    """Field of a shape, or `head_width`, and its keys in config.json, all with one value."""
    defaults: dict[str, Scalar]
    """What a key is when it is missing; the others must be there."""
    choices: dict[str, dict[str, str]] = field(default_factory=dict)
    """Field, and our value for each of transformers' values."""
    supported: dict[str, tuple[Scalar, ...]] = field(default_factory=dict)
    """Key, and the values that our networks can stand for; a missing one does."""
    other_classes: tuple[str, ...] = ()
    """More class names under which it is found; their weights are the same, or fewer and tied."""
    heads_by_tensors: bool = False
    """Whether the same configuration goes with any head, so that the tensors say which there is (BERT)."""
    several_experts: bool = False
    """Whether a token passes at least two experts: a single one is weighed by 1 in Mixtral, here by its probability."""
    whole_heads: bool = False
    """Whether transformers refuses a width that the heads do not divide."""


_LLAMA = {
    "layers": ("num_hidden_layers",),
    "width": ("hidden_size",),
    "heads": ("num_attention_heads",),
    "kv_heads": ("num_key_value_heads",),
    "head_width": ("head_dim",),
    "feed_forward": ("intermediate_size",),
    "context": ("max_position_embeddings",),
    "vocabulary": ("vocab_size",),
    "norm_epsilon": ("rms_norm_eps",),
    "rotary_base": ("rope_theta",),
    "tied": ("tie_word_embeddings",),
}
_LLAMA_FIXED: ShapeChoices = {"norm": "rms", "positions": "rotary", "activation": "swiglu"}
_LLAMA_SUPPORTED: dict[str, tuple[Scalar, ...]] = {
    "hidden_act": ("silu", "swish"),
    "rope_type": ("default",),
    "partial_rotary_factor": (1.0,),
    "sliding_window": (),
}
_LLAMA_DEFAULTS: dict[str, Scalar] = {"num_key_value_heads": 0, "head_dim": 0, "tie_word_embeddings": False}
KEYS: dict[str, ConfigKeys] = {
    "gpt2": ConfigKeys(
        classes={"GPT2LMHeadModel": {}},
        other_classes=("GPT2Model",),
        fixed={"norm": "layer", "positions": "learned", "bias": True},
        keys={
            "layers": ("n_layer",),
            "width": ("n_embd",),
            "heads": ("n_head",),
            "feed_forward": ("n_inner",),
            "context": ("n_positions",),
            "vocabulary": ("vocab_size",),
            "norm_epsilon": ("layer_norm_epsilon",),
            "tied": ("tie_word_embeddings",),
            "activation": ("activation_function",),
        },
        defaults={
            "n_inner": 0,
            "layer_norm_epsilon": 1e-5,
            "tie_word_embeddings": True,
            "activation_function": "gelu_new",
        },
        choices={"activation": {"gelu_new": "gelu", "gelu_pytorch_tanh": "gelu", "gelu": "gelu_exact", "relu": "relu"}},
        supported={
            "scale_attn_weights": (True,),
            "scale_attn_by_inverse_layer_idx": (False,),
            "add_cross_attention": (False,),
        },
    ),
    "llama": ConfigKeys(
        classes={"LlamaForCausalLM": {}},
        whole_heads=True,
        other_classes=("LlamaModel",),
        fixed=_LLAMA_FIXED,
        keys={**_LLAMA, "bias": ("attention_bias", "mlp_bias")},
        defaults={
            **_LLAMA_DEFAULTS,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10_000.0,
            "max_position_embeddings": 2048,
            "attention_bias": False,
            "mlp_bias": False,
        },
        supported=_LLAMA_SUPPORTED,
    ),
    "mixtral": ConfigKeys(
        classes={"MixtralForCausalLM": {}},
        several_experts=True,
        fixed={**_LLAMA_FIXED, "bias": False},
        keys={**_LLAMA, "experts": ("num_local_experts",), "active_experts": ("num_experts_per_tok",)},
        defaults={
            **_LLAMA_DEFAULTS,
            "num_key_value_heads": 8,
            "rms_norm_eps": 1e-5,
            "rope_theta": 1e6,
            "max_position_embeddings": 131_072,
            "num_local_experts": 8,
            "num_experts_per_tok": 2,
        },
        supported={**_LLAMA_SUPPORTED, "attention_bias": (False,)},
    ),
    "bert": ConfigKeys(
        classes={
            "BertForPreTraining": {"head": "masked", "pooler": True, "classes": 2},
            "BertForMaskedLM": {"head": "masked", "pooler": False, "classes": 0},
            "BertModel": {"head": "linear", "pooler": True, "classes": 0},
        },
        heads_by_tensors=True,
        fixed={
            "family": "encoder",
            "norm": "layer",
            "positions": "learned",
            "tied": True,
            "bias": True,
            "embedding_norm": True,
            "final_norm": False,
        },
        keys={
            "layers": ("num_hidden_layers",),
            "width": ("hidden_size",),
            "heads": ("num_attention_heads",),
            "feed_forward": ("intermediate_size",),
            "context": ("max_position_embeddings",),
            "vocabulary": ("vocab_size",),
            "token_types": ("type_vocab_size",),
            "norm_epsilon": ("layer_norm_eps",),
            "activation": ("hidden_act",),
        },
        defaults={"type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"},
        choices={"activation": {"gelu": "gelu_exact"}},
        supported={
            "is_decoder": (False,),
            "add_cross_attention": (False,),
            "position_embedding_type": ("absolute",),
            "tie_word_embeddings": (True,),
        },
    ),
    "t5": ConfigKeys(
        classes={"T5ForConditionalGeneration": {}},
        other_classes=("T5WithLMHeadModel",),
        fixed={"family": "encoder_decoder", "norm": "rms", "positions": "relative", "bias": False},
        keys={
            "layers": ("num_layers",),
            "decoder_layers": ("num_decoder_layers",),
            "width": ("d_model",),
            "heads": ("num_heads",),
            "head_width": ("d_kv",),
            "feed_forward": ("d_ff",),
            "vocabulary": ("vocab_size",),
            "context": ("n_positions",),
            "decoder_context": ("n_decoder_positions",),
            "norm_epsilon": ("layer_norm_epsilon",),
            "position_buckets": ("relative_attention_num_buckets",),
            "tied": ("tie_word_embeddings",),
            "activation": ("feed_forward_proj",),
        },
        defaults={
            "num_decoder_layers": 0,
            "n_positions": 512,
            "n_decoder_positions": 0,
            "layer_norm_epsilon": 1e-6,
            "relative_attention_num_buckets": 32,
            "tie_word_embeddings": True,
            "feed_forward_proj": "relu",
        },
        choices={
            "activation": {
                "relu": "relu",
                "gelu": "gelu_exact",
                "gelu_new": "gelu",
                "gated-gelu": "geglu",
                "gated-silu": "swiglu",
            }
        },
        supported={
            "relative_attention_max_distance": (FARTHEST,),
            "is_decoder": (False,),
            "is_encoder_decoder": (True,),
        },
    ),
}
"""By `model_type`."""
PARTS: dict[str, ShapeChoices] = {
    "cls.predictions.bias": {"head": "masked"},
    "bert.pooler.dense.weight": {"pooler": True},
    "cls.seq_relationship.weight": {"classes": 2},
}
"""Heads of BERT are known by their tensors: the same configuration goes with any of them."""
