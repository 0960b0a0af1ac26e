"""What the tensors of a Hugging Face checkpoint are called, beside our own names.

`*` stands for the number of a block, `#` for that of an expert. Names without `.weight` or `.bias` at their end take
the ending of ours. Several of their names are parts of one of our tensors, one below the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Names:
    """The names of one architecture."""

    table: dict[str, tuple[str, ...]]
    """Our name -> theirs."""
    gated: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """What is called otherwise where the feed-forward is gated."""
    copies: dict[str, str] = field(default_factory=dict)
    """Their second names of tied tensors -> the first ones."""
    prefix: str = ""
    """What the names begin with, except in checkpoints of the bare model."""
    transposed: str = "$^"
    """Pattern of their tensors that are stored [in, out]."""
    ignored: str = "$^"
    """Pattern of their tensors that are no weights: buffers of older versions."""

    def theirs(self, ours: str, gated: bool, experts: int) -> list[str]:
        """Their names of the parts of one of our tensors, in order.

        >>> LLAMA.theirs("blocks.3.attention.out.weight", gated=True, experts=0)
        ['model.layers.3.self_attn.o_proj.weight']
        """
        number = re.search(r"\.(\d+)\.", ours)
        pattern = ours if number is None else ours.replace(number[0], ".*.", 1)
        table = {**self.table, **self.gated} if gated else self.table
        stem, _, ending = pattern.rpartition(".")
        patterns = table.get(pattern) or tuple(f"{name}.{ending}" for name in table[stem])
        block = [name.replace("*", number[1]) if number else name for name in patterns]
        many = range(experts) if "#" in block[0] else range(1)
        return [name.replace("#", str(expert)) for expert in many for name in block]


GPT2 = Names(
    {
        "embedding": ("transformer.wte",),
        "position": ("transformer.wpe",),
        "blocks.*.attention_norm": ("transformer.h.*.ln_1",),
        "blocks.*.attention.qkv": ("transformer.h.*.attn.c_attn",),
        "blocks.*.attention.out": ("transformer.h.*.attn.c_proj",),
        "blocks.*.feed_forward_norm": ("transformer.h.*.ln_2",),
        "blocks.*.feed_forward.up": ("transformer.h.*.mlp.c_fc",),
        "blocks.*.feed_forward.down": ("transformer.h.*.mlp.c_proj",),
        "norm": ("transformer.ln_f",),
        "head": ("lm_head",),
    },
    copies={"lm_head.weight": "transformer.wte.weight"},
    prefix="transformer.",
    transposed=r".*\.c_(attn|proj|fc)\.weight",
    ignored=r".*\.attn\.(masked_)?bias",
)
_ATTENTION = {
    "embedding": ("model.embed_tokens",),
    "blocks.*.attention_norm": ("model.layers.*.input_layernorm",),
    "blocks.*.attention.qkv": tuple(f"model.layers.*.self_attn.{part}_proj" for part in "qkv"),
    "blocks.*.attention.out": ("model.layers.*.self_attn.o_proj",),
    "blocks.*.feed_forward_norm": ("model.layers.*.post_attention_layernorm",),
    "norm": ("model.norm",),
    "head": ("lm_head",),
}
LLAMA = Names(
    {
        **_ATTENTION,
        "blocks.*.feed_forward.up": ("model.layers.*.mlp.gate_proj", "model.layers.*.mlp.up_proj"),
        "blocks.*.feed_forward.down": ("model.layers.*.mlp.down_proj",),
    },
    copies={"lm_head.weight": "model.embed_tokens.weight"},
    prefix="model.",
    ignored=r".*\.rotary_emb\.inv_freq",
)
_EXPERT = "model.layers.*.block_sparse_moe.experts.#"
MIXTRAL = Names(
    {
        **_ATTENTION,
        "blocks.*.feed_forward.router": ("model.layers.*.block_sparse_moe.gate",),
        "blocks.*.feed_forward.up": (f"{_EXPERT}.w1.weight", f"{_EXPERT}.w3.weight"),
        "blocks.*.feed_forward.down": (f"{_EXPERT}.w2.weight",),
    },
    copies=LLAMA.copies,
    prefix=LLAMA.prefix,
    ignored=LLAMA.ignored,
)
_BERT = "bert.encoder.layer.*"
BERT = Names(
    {
        "embedding": ("bert.embeddings.word_embeddings",),
        "position": ("bert.embeddings.position_embeddings",),
        "segment": ("bert.embeddings.token_type_embeddings",),
        "embedding_norm": ("bert.embeddings.LayerNorm",),
        "blocks.*.attention.qkv": tuple(f"{_BERT}.attention.self.{part}" for part in ("query", "key", "value")),
        "blocks.*.attention.out": (f"{_BERT}.attention.output.dense",),
        "blocks.*.attention_norm": (f"{_BERT}.attention.output.LayerNorm",),
        "blocks.*.feed_forward.up": (f"{_BERT}.intermediate.dense",),
        "blocks.*.feed_forward.down": (f"{_BERT}.output.dense",),
        "blocks.*.feed_forward_norm": (f"{_BERT}.output.LayerNorm",),
        "transform": ("cls.predictions.transform.dense",),
        "transform_norm": ("cls.predictions.transform.LayerNorm",),
        "head_bias": ("cls.predictions.bias",),
        "pooler": ("bert.pooler.dense",),
        "classifier": ("cls.seq_relationship",),
    },
    copies={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    prefix="bert.",
    ignored=r".*\.position_ids",
)


def _t5_stack(stack: str, last: int) -> dict[str, tuple[str, ...]]:
    """One stack, whose feed-forward is the part `last` of each block."""
    block, attention = f"{stack}.block.*.layer", f"{stack}.block.*.layer.0.SelfAttention"
    return {
        f"{stack}.relative.table": (f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias",),
        f"{stack}.blocks.*.attention_norm": (f"{block}.0.layer_norm",),
        f"{stack}.blocks.*.attention.qkv": tuple(f"{attention}.{part}" for part in "qkv"),
        f"{stack}.blocks.*.attention.out": (f"{attention}.o",),
        f"{stack}.blocks.*.feed_forward_norm": (f"{block}.{last}.layer_norm",),
        f"{stack}.blocks.*.feed_forward.up": (f"{block}.{last}.DenseReluDense.wi",),
        f"{stack}.blocks.*.feed_forward.down": (f"{block}.{last}.DenseReluDense.wo",),
        f"{stack}.norm": (f"{stack}.final_layer_norm",),
    }


def _t5_gate(stack: str, last: int) -> dict[str, tuple[str, ...]]:
    return {
        f"{stack}.blocks.*.feed_forward.up": tuple(
            f"{stack}.block.*.layer.{last}.DenseReluDense.wi_{part}" for part in (0, 1)
        )
    }


_CROSS = "decoder.block.*.layer.1"
T5 = Names(
    {
        "encoder.embedding": ("shared",),
        **_t5_stack("encoder", 1),
        **_t5_stack("decoder", 2),
        "decoder.blocks.*.cross_attention_norm": (f"{_CROSS}.layer_norm",),
        "decoder.blocks.*.cross_attention.q": (f"{_CROSS}.EncDecAttention.q",),
        "decoder.blocks.*.cross_attention.kv": (f"{_CROSS}.EncDecAttention.k", f"{_CROSS}.EncDecAttention.v"),
        "decoder.blocks.*.cross_attention.out": (f"{_CROSS}.EncDecAttention.o",),
        "head": ("lm_head",),
    },
    gated={**_t5_gate("encoder", 1), **_t5_gate("decoder", 2)},
    copies={f"{name}.weight": "shared.weight" for name in ("encoder.embed_tokens", "decoder.embed_tokens", "lm_head")},
    ignored=r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",
)
SEGMENTS = "bert.embeddings.token_type_embeddings.weight"
NAMES = {"gpt2": GPT2, "llama": LLAMA, "mixtral": MIXTRAL, "bert": BERT, "t5": T5}
"""The names by `model_type`."""
