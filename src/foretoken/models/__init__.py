"""ModelShape -> network. One short file per family; a family is its file, a line here, and its record in compute."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError
from foretoken.models.decoder import Decoder
from foretoken.models.encoder import Encoder
from foretoken.models.encoder_decoder import EncoderDecoder
from foretoken.models.lstm import Lstm
from foretoken.models.pretrained import read_network, save_pretrained
from foretoken.models.stack import router_losses
from foretoken.models.weights import initialise

__all__ = [
    "NETWORKS",
    "Decoder",
    "Encoder",
    "EncoderDecoder",
    "Lstm",
    "Network",
    "build",
    "from_pretrained",
    "router_losses",
    "save_pretrained",
]

Network = Decoder | Encoder | EncoderDecoder | Lstm
NETWORKS: dict[str, Callable[[ModelShape, float], Network]] = {
    "decoder": Decoder,
    "prefix": Decoder,
    "encoder": Encoder,
    "encoder_decoder": EncoderDecoder,
    "lstm": Lstm,
}
"""How each family is built; a prefix decoder is a decoder with another mask."""


def build(shape: ModelShape, seed: int | None = 0, dropout: float = 0.0) -> Network:
    """Build a network and draw its initial weights from `seed`; `dropout` is the share of outputs dropped in training.

    With seed None the weights have no values and take no memory (torch's meta device): to count, or to load others.
    Raises DesignError for a shape that can be counted but that no network is written for.
    """
    _check(shape)
    if seed is None:
        with torch.device("meta"):
            return NETWORKS[shape.family](shape, dropout)
    network = NETWORKS[shape.family](shape, dropout)
    initialise(network, shape, seed)
    return network


def _check(shape: ModelShape) -> None:
    if shape.family not in NETWORKS:
        raise DesignError("no network of this family", expected=", ".join(NETWORKS), got=repr(shape.family))
    for name, built in {"block_norms": (2,), "head": shape.family_record.heads}.items():
        if getattr(shape, name) not in built:
            raise DesignError(
                "no network with these choices yet: they can be counted and costed only",
                expected=f"{name} {' or '.join(map(str, built))}",
                got=f"{name} {getattr(shape, name)}",
            )


def from_pretrained(folder: str | Path, *, dropout: float = 0.0, keep_dtype: bool = False) -> Network:
    """The network of a checkpoint on disk, on the processor and in float32; `keep_dtype` leaves it as it was saved.

    Reads what `save_pretrained` writes, and safetensors checkpoints of GPT-2, Llama, Mixtral, BERT and T5.
    All is checked before a network is made. Raises CheckpointError when the folder holds no safetensors files, when the
    configuration is of another family or asks for what no network here does, when tensors are missing, too many or
    misshapen; DesignError when the sizes do not fit together; StoreError when a file is damaged.

    >>> from tempfile import mkdtemp
    >>> network = build(ModelShape(layers=1, width=16, heads=2, context=8, vocabulary=32), seed=0)
    >>> again = from_pretrained(save_pretrained(network, mkdtemp()))
    >>> all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))
    True
    """
    return read_network(Path(folder), lambda shape: build(shape, seed=None, dropout=dropout), keep_dtype)
