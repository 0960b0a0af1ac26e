"""ModelShape -> network. One short file per family; add a family with one file and one line here."""

from __future__ import annotations

from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError
from foretoken.models.decoder import Decoder, initialise

__all__ = ["FAMILIES", "Decoder", "build"]

FAMILIES = {"decoder": Decoder}


def build(shape: ModelShape, seed: int = 0, dropout: float = 0.0) -> Decoder:
    """Build a network and draw its initial weights from `seed`; `dropout` is the share of outputs dropped in training.

    Raises DesignError for an unknown family.
    """
    if shape.family not in FAMILIES:
        raise DesignError("unknown family of models", expected=", ".join(FAMILIES), got=repr(shape.family))
    network = FAMILIES[shape.family](shape, dropout)
    initialise(network, seed)
    return network
