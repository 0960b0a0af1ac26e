"""The shape of a network: what is needed to count it, cost it and build it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from foretoken.errors import DesignError

FAMILIES = ("decoder", "prefix", "encoder", "encoder_decoder", "lstm")
NORMS = ("layer", "rms")
POSITIONS = ("learned", "rotary", "relative", "none")
ACTIVATIONS = ("gelu", "swiglu", "relu", "geglu", "gelu_exact")
HEADS = ("linear", "masked", "none")
ONLY: dict[str, tuple[str, ...]] = {
    "decoder_layers": ("encoder_decoder",),
    "decoder_context": ("encoder_decoder",),
    "token_types": ("encoder",),
    "pooler": ("encoder",),
    "classes": ("encoder",),
    "shared_stacks": ("encoder_decoder",),
    "experts": ("decoder", "prefix", "encoder", "encoder_decoder"),
}
"""Fields that only some families have."""

_LLAMA = {"norm": "rms", "positions": "rotary", "activation": "swiglu", "tied": False, "bias": False}
_BERT = {
    "family": "encoder", "norm": "layer", "positions": "learned", "activation": "gelu_exact", "tied": True,
    "bias": True, "embedding_norm": True, "final_norm": False, "head": "masked", "norm_epsilon": 1e-12,
}  # fmt: skip
_T5 = {
    "family": "encoder_decoder", "norm": "rms", "positions": "relative", "bias": False, "norm_epsilon": 1e-6,
}  # fmt: skip
PRESETS: dict[str, dict[str, object]] = {
    "gpt2": {"norm": "layer", "positions": "learned", "activation": "gelu", "tied": True, "bias": True},
    "llama": _LLAMA,
    "prefix": {"family": "prefix", **_LLAMA},
    "mixtral": {**_LLAMA, "experts": 8, "active_experts": 2},
    "bert": _BERT,
    "encoder": {"family": "encoder", **_LLAMA},
    "t5": {**_T5, "activation": "relu", "tied": True},
    "t5_v1_1": {**_T5, "activation": "geglu", "tied": False},
    "lstm": {"family": "lstm", "heads": 1, "positions": "none", "tied": True, "bias": True},
}
"""The choices of well-known networks, by name; a study may override each. `encoder` and `prefix` are made as `llama`
is, so that families can be compared at equal choices."""


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Everything that fixes a network's parameters.

    Raises DesignError when the sizes do not fit together.

    >>> ModelShape(layers=2, width=32, heads=2, context=128, vocabulary=256).feed_forward
    128
    """

    layers: int
    """Transformer blocks (of the encoder, where there are two stacks), or layers of an LSTM."""
    width: int
    """Size of the residual stream (d_model), or of an LSTM's state."""
    heads: int
    """Attention heads; 1 for an LSTM, which has none."""
    context: int
    """Longest sequence, in tokens."""
    vocabulary: int
    """Distinct tokens."""
    feed_forward: int = 0
    """Hidden size of the feed-forward; 0 means 4 x width (plain) or 8/3 x width, rounded up to 8 (gated)."""
    norm: str = "layer"
    positions: str = "learned"
    """`learned`, `rotary`, `relative` (T5's buckets: one table of buckets x heads per stack), `none`."""
    activation: str = "gelu"
    """`gelu` (by tanh), `gelu_exact` (by the error function, as BERT), `relu`; gated, with a third matrix: `swiglu`,
    `geglu`."""
    tied: bool = True
    """Whether the output head is the transposed embedding."""
    bias: bool = True
    """Whether linear layers (and layer norms) have biases."""
    family: str = "decoder"
    """`decoder`, `prefix` (a decoder that sees a prefix both ways), `encoder`, `encoder_decoder`, `lstm`."""
    kv_heads: int = 0
    """Heads of keys and values, each shared by heads / kv_heads queries; 0 means as many as heads."""
    attention_width: int = 0
    """Heads times the width of one; 0 means width."""
    experts: int = 0
    """Routed experts in place of one feed-forward; 0 for a dense model."""
    active_experts: int = 0
    """Routed experts that a token passes."""
    shared_experts: int = 0
    """Experts that every token passes, beside the routed ones."""
    expert_width: int = 0
    """Hidden size of one expert; 0 means feed_forward."""
    expert_every: int = 1
    """Every how many layers the feed-forward is one of experts."""
    decoder_layers: int = 0
    """Blocks of the decoder beside an encoder; 0 means layers."""
    decoder_context: int = 0
    """Longest target, in tokens; 0 means context."""
    position_buckets: int = 32
    """Buckets of relative positions."""
    embedding_norm: bool = False
    """Whether a norm follows the embedding (BERT, BLOOM)."""
    final_norm: bool = True
    """Whether a norm follows the last block (not in BERT and GPT, which have theirs behind each layer)."""
    block_norms: int = 2
    """Norms in one block (PaLM has 1), without the one before a look at an encoder."""
    head: str = "linear"
    """`linear` (tied or not), `masked` (BERT's: a layer, a norm, and the tied head with a bias), `none`."""
    token_types: int = 0
    """Embedded kinds of segments (BERT has 2)."""
    pooler: bool = False
    """Whether a layer stands on the first position's state."""
    classes: int = 0
    """Outputs of a classifier on that state (BERT's next sentence: 2)."""
    norm_epsilon: float = 1e-5
    """Added to the variance inside a norm."""
    rotary_base: float = 10_000.0
    """Base of the wavelengths of rotary positions (Llama 3: 500,000; Mixtral: 1,000,000)."""
    expert_capacity_factor: float = 0.0
    """In training, the most tokens that an expert takes, over its even share; those beyond pass by. 0 drops none."""
    shared_stacks: bool = False
    """Whether encoder and decoder share the weights of their blocks (not of the looks at the encoder)."""

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_choices()
        self._check_heads()
        self._check_experts()
        if not self.feed_forward:
            wide = -(-8 * self.width // 3 // 8) * 8 if self.gated else 4 * self.width
            object.__setattr__(self, "feed_forward", wide)

    @property
    def gated(self) -> bool:
        """Whether the feed-forward has a third matrix, the gate."""
        return self.activation in ("swiglu", "geglu")

    @property
    def norms_behind(self) -> bool:
        """Whether norms stand behind attention and feed-forward, after the sum, rather than before them."""
        return self.family != "lstm" and not self.final_norm

    @property
    def both_ways(self) -> bool:
        """Whether positions see those behind them too (in the first stack)."""
        return self.family in ("encoder", "encoder_decoder")

    @property
    def sequence_tokens(self) -> int:
        """Tokens of one whole sequence: those of the target count too where there are two stacks."""
        second = (self.decoder_context or self.context) if self.family == "encoder_decoder" else 0
        return self.context + second

    @property
    def query_width(self) -> int:
        """Width of all heads together."""
        return self.attention_width or self.width

    @property
    def head_width(self) -> int:
        """Dimensions of one attention head."""
        return self.query_width // self.heads

    @property
    def kv_width(self) -> int:
        """Width of all keys, and of all values, of one position."""
        return (self.kv_heads or self.heads) * self.head_width

    def expert_layers(self, layers: int) -> int:
        """How many of a stack's layers have experts: every `expert_every`-th."""
        return layers // self.expert_every if self.experts else 0

    @property
    def target_layers(self) -> int:
        """Blocks of the decoder beside an encoder; 0 in the other families."""
        return (self.decoder_layers or self.layers) if self.family == "encoder_decoder" else 0

    @property
    def chosen(self) -> set[str]:
        """Names of the fields that are not at their default."""
        return {field.name for field in fields(self) if getattr(self, field.name) != field.default}

    def to_json(self) -> dict[str, Any]:
        """Every field by its name; `ModelShape(**values)` is the inverse."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def _check_sizes(self) -> None:
        for name in ("layers", "width", "heads", "context", "vocabulary", "expert_every", "position_buckets"):
            if getattr(self, name) < 1:
                raise DesignError(f"{name} of a model must be at least 1", got=str(getattr(self, name)))
        for field in fields(self):
            if field.default == 0 and getattr(self, field.name) < 0:
                raise DesignError(f"{field.name} of a model must not be negative", got=str(getattr(self, field.name)))

    def _check_choices(self) -> None:
        choices = {
            "norm": NORMS, "positions": POSITIONS, "activation": ACTIVATIONS, "family": FAMILIES, "head": HEADS,
        }  # fmt: skip
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise DesignError(
                    f"unknown {name}", expected=f"one of {', '.join(known)}", got=repr(getattr(self, name))
                )
        for name, families in ONLY.items():
            if name in self.chosen and self.family not in families:
                raise DesignError(f"only {', '.join(families)} models have {name}", got=f"family {self.family!r}")

    def _check_heads(self) -> None:
        if self.shared_stacks and self.target_layers != self.layers:
            raise DesignError(
                "stacks that share their blocks must be equally deep",
                expected=f"decoder_layers {self.layers}",
                got=str(self.decoder_layers),
            )
        if self.query_width % self.heads:
            raise DesignError(
                "the heads of a model must divide its width", got=f"width {self.query_width}, heads {self.heads}"
            )
        if self.kv_heads and self.heads % self.kv_heads:
            raise DesignError(
                "kv_heads of a model must divide its heads", got=f"heads {self.heads}, kv_heads {self.kv_heads}"
            )
        if self.positions == "rotary" and self.head_width % 2:
            raise DesignError("rotary positions turn pairs, so width / heads must be even", got=f"{self.head_width}")

    def _check_experts(self) -> None:
        if self.experts and not (1 <= self.active_experts <= self.experts and self.expert_every <= self.layers):
            raise DesignError(
                "experts do not fit the model",
                expected=f"active_experts from 1 to {self.experts}, expert_every up to {self.layers} layers",
                got=f"{self.active_experts} active, every {self.expert_every} layers",
            )
        idle = {"active_experts", "shared_experts", "expert_width", "expert_every", "expert_capacity_factor"}
        idle &= self.chosen
        if not self.experts and idle:
            raise DesignError(f"{', '.join(sorted(idle))} without experts", cure="give the number of experts too")
