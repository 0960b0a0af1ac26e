"""The words that a shape chooses from: plain text in JSON and study files, a record in code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ObjectiveKind = Literal["causal", "prefix", "masked", "span_corruption"]
"""What a network learns to predict (compute/objective.py)."""


@dataclass(frozen=True, kw_only=True)
class Norm:
    """A norm over the width."""

    centred: bool
    """Whether it subtracts the mean; such a norm has a bias where linear layers have one."""


@dataclass(frozen=True, kw_only=True)
class Positions:
    """How a stack knows where its tokens stand."""

    learned: bool = False
    """A trained vector for each position, added to the embedding."""
    rotary: bool = False
    """Queries and keys are rotated by an angle that grows with the position (Su et al. 2021, arXiv 2104.09864)."""
    relative: bool = False
    """A trained number for each bucket of distances and head, added to the scores (Raffel et al. 2019)."""

    @property
    def bounded(self) -> bool:
        """Whether no sequence may be longer than the context: there is a table with a row for each position."""
        return self.learned or self.rotary


@dataclass(frozen=True, kw_only=True)
class Activation:
    """What stands between the matrices of a feed-forward."""

    gated: bool = False
    """Whether a third matrix, the gate, passes the activation and is multiplied with the second's output."""
    keeps_input: bool = True
    """Whether the backward pass needs its input beside its output; a ReLU's gradient follows from the output."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What reads the last layer and predicts tokens."""

    projects: bool = True
    """Whether there is a product with the (tied or own) table of the vocabulary."""
    transforms: bool = False
    """Whether a layer and a norm stand before it, and a bias is added (BERT)."""


NORMS = {"layer": Norm(centred=True), "rms": Norm(centred=False)}
POSITIONS = {
    "learned": Positions(learned=True),
    "rotary": Positions(rotary=True),
    "relative": Positions(relative=True),
    "none": Positions(),
}
ACTIVATIONS = {
    "gelu": Activation(),
    "swiglu": Activation(gated=True),
    "relu": Activation(keeps_input=False),
    "geglu": Activation(gated=True),
    "gelu_exact": Activation(),
}
HEADS = {"linear": Head(), "masked": Head(transforms=True), "none": Head(projects=False)}
