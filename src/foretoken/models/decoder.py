"""A decoder-only transformer, causal or with a prefix that is seen in both directions.

Shapes: B sequences, T positions.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError
from foretoken.models.stack import Stack, StackSizes


class Decoder(Stack):
    """`network(tokens_BT)` gives logits [B, T, vocabulary].

    In the prefix family, so many positions at the start as `prefix` [B] says are seen in both directions.
    """

    def __init__(self, shape: ModelShape, dropout: float = 0.0) -> None:
        super().__init__(shape, dropout, StackSizes(shape.layers, shape.context, bidirectional=False))
        self.head = None if shape.tied else nn.Linear(shape.width, shape.vocabulary, bias=False)

    @property
    def head_weight(self) -> Tensor:
        """The output head, [V, W]."""
        return self.embedding.weight if self.head is None else self.head.weight

    def forward(self, tokens_BT: Tensor, *, prefix: Tensor | None = None, documents: Tensor | None = None) -> Tensor:
        """Logits of the next token at every position.

        Raises DesignError for a prefix of a model of another family, and for one that is longer than its sequence.
        """
        if prefix is not None:
            self._check_prefix(prefix, tokens_BT.shape[1])
        return functional.linear(self.features(tokens_BT, prefix=prefix, documents=documents), self.head_weight)

    def _check_prefix(self, prefix: Tensor, length: int) -> None:
        if not self.shape.family_record.takes_prefix:
            raise DesignError("only models of family 'prefix' have a prefix", got=f"family {self.shape.family!r}")
        if not ((prefix >= 0) & (prefix <= length)).all():
            raise DesignError(
                "a prefix is longer than its sequence",
                expected=f"0 to {length} tokens",
                got=f"{int(prefix.min())} to {int(prefix.max())}",
            )
