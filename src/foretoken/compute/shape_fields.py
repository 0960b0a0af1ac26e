"""The fields of a network's shape, and what follows from them in every family."""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.compute.choices import ACTIVATIONS, HEADS, NORMS, POSITIONS, Activation, Head, Positions


@dataclass(frozen=True, kw_only=True)
class ShapeFields:
    """Everything that fixes a network's parameters. `ModelShape` is the same, checked by its family."""

    layers: int
    """Transformer blocks (of the encoder, where there are two stacks), or layers of a recurrent network."""
    width: int
    """Size of the residual stream (d_model), or of a recurrent network's state."""
    heads: int
    """Attention heads; 1 for a recurrent network, which has none."""
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
    """A key of `compute.families.FAMILIES`: `decoder`, `prefix` (a decoder that sees a prefix in both directions),
    `encoder`, `encoder_decoder`, `lstm`."""
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
    """Whether a norm follows the last block (not in BERT and GPT, whose norms stand after each layer)."""
    block_norms: int = 2
    """Norms in one block (PaLM has 1), without the one before cross-attention."""
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
    """Whether encoder and decoder share the weights of their blocks (but not of the cross-attention)."""

    @property
    def gated(self) -> bool:
        """Whether the feed-forward has a third matrix, the gate."""
        return self.activation_kind.gated

    @property
    def activation_kind(self) -> Activation:
        """What the word in `activation` means."""
        return ACTIVATIONS[self.activation]

    @property
    def centred_norm(self) -> bool:
        """Whether norms subtract the mean (LayerNorm, not RMSNorm)."""
        return NORMS[self.norm].centred

    @property
    def position_kind(self) -> Positions:
        """What the word in `positions` means."""
        return POSITIONS[self.positions]

    @property
    def head_kind(self) -> Head:
        """What the word in `head` means."""
        return HEADS[self.head]

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

    @property
    def second_layers(self) -> int:
        """Blocks of a second stack, where the family has one."""
        return self.decoder_layers or self.layers

    @property
    def second_context(self) -> int:
        """Longest sequence of a second stack, where the family has one."""
        return self.decoder_context or self.context

    def expert_layers(self, layers: int) -> int:
        """How many of a stack's layers have experts: every `expert_every`-th."""
        return layers // self.expert_every if self.experts else 0
