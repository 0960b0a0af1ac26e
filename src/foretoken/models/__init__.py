"""ModelShape -> network. One short file per family; add a family with one file and one line here."""

from __future__ import annotations

from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError
from foretoken.models.decoder import Decoder, initialise

__all__ = ["BUILT", "FAMILIES", "Decoder", "build"]

FAMILIES = {"decoder": Decoder}
BUILT = {"positions": ("learned", "rotary"), "activation": ("gelu", "swiglu")}
"""Of a shape's choices, those that a network is written for; others are counted and costed only."""


def build(shape: ModelShape, seed: int = 0, dropout: float = 0.0) -> Decoder:
    """Build a network and draw its initial weights from `seed`; `dropout` is the share of outputs dropped in training.

    Raises DesignError for a shape that can be counted but that no network is written for.
    """
    if shape.family not in FAMILIES:
        raise DesignError("no network of this family", expected=", ".join(FAMILIES), got=repr(shape.family))
    others = {name: getattr(shape, name) for name in BUILT if getattr(shape, name) not in BUILT[name]} | shape.extras
    if others:
        got = ", ".join(f"{name} {value}" for name, value in others.items())
        raise DesignError("no network with these choices yet: they can be counted and costed only", got=got)
    network = FAMILIES[shape.family](shape, dropout)
    initialise(network, seed)
    return network
