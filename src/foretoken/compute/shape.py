"""The shape of a network: what is needed to count it, cost it and build it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass

from foretoken.errors import DesignError

NORMS = ("layer", "rms")
POSITIONS = ("learned", "rotary")
ACTIVATIONS = ("gelu", "swiglu")

PRESETS: dict[str, dict[str, object]] = {
    "gpt2": {"norm": "layer", "positions": "learned", "activation": "gelu", "tied": True, "bias": True},
    "llama": {"norm": "rms", "positions": "rotary", "activation": "swiglu", "tied": False, "bias": False},
}
"""The choices of two well-known decoders, by name; a study may override each."""


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """Everything that fixes a network's parameters.

    Raises DesignError when the sizes do not fit together.

    >>> ModelShape(layers=2, width=32, heads=2, context=128, vocabulary=256).feed_forward
    128
    """

    layers: int
    """Transformer blocks."""
    width: int
    """Size of the residual stream (d_model)."""
    heads: int
    """Attention heads; each has width / heads dimensions."""
    context: int
    """Longest sequence, in tokens."""
    vocabulary: int
    """Distinct tokens."""
    feed_forward: int = 0
    """Hidden size of the feed-forward; 0 means 4 x width (gelu) or 8/3 x width, rounded up to 8 (swiglu)."""
    norm: str = "layer"
    positions: str = "learned"
    activation: str = "gelu"
    tied: bool = True
    """Whether the output head is the transposed embedding."""
    bias: bool = True
    """Whether linear layers (and layer norms) have biases."""
    family: str = "decoder"

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "context", "vocabulary"):
            if getattr(self, name) < 1:
                raise DesignError(f"{name} of a model must be at least 1", got=str(getattr(self, name)))
        if self.width % self.heads:
            raise DesignError(
                "the heads of a model must divide its width", got=f"width {self.width}, heads {self.heads}"
            )
        if self.positions == "rotary" and self.head_width % 2:
            raise DesignError("rotary positions turn pairs, so width / heads must be even", got=f"{self.head_width}")
        choices = {"norm": NORMS, "positions": POSITIONS, "activation": ACTIVATIONS}
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise DesignError(
                    f"unknown {name}", expected=f"one of {', '.join(known)}", got=repr(getattr(self, name))
                )
        if not self.feed_forward:
            wide = 4 * self.width if self.activation == "gelu" else -(-8 * self.width // 3 // 8) * 8
            object.__setattr__(self, "feed_forward", wide)

    @property
    def head_width(self) -> int:
        """Dimensions of one attention head."""
        return self.width // self.heads
