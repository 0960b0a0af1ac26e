"""Memory of training, per accelerator: weights, gradients, optimizer, activations; whole or cut by a parallel layout.

Activations follow Korthikanti et al. 2022 (arXiv 2205.05198), whose block (GELU, dropout, all heads alike) needs
s b h (34 + 5 a s / h) bytes; here each of its terms is taken from the shape, so that grouped heads and gated
feed-forwards count as they are. s positions, b sequences, h width, a heads.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from foretoken.arguments import did_you_mean
from foretoken.compute.flops import plain_transformers
from foretoken.compute.parameters import count_parameters
from foretoken.compute.shape import ModelShape
from foretoken.errors import DesignError

Recompute = Literal["none", "selective", "full"]
RECOMPUTE: tuple[Recompute, ...] = get_args(Recompute)
Optimizer = Literal["adam", "adam_8bit", "momentum", "adafactor"]
OPTIMIZER_BYTES: dict[Optimizer, float] = {"adam": 12.0, "adam_8bit": 6.0, "momentum": 8.0, "adafactor": 4.0}
"""Bytes per parameter beside 16-bit weights and gradients, the 32-bit copy of the weights (4) included. Adafactor's own
state is a row and a column per matrix, so next to nothing."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """How a training is cut over accelerators.

    Raises DesignError for numbers below 1, unknown stages and kinds of recomputation.
    """

    tensor: int = 1
    pipeline: int = 1
    interleave: int = 1
    """Groups of blocks that a pipeline stage holds: divides its waiting, and takes more memory."""
    data: int = 1
    sequence_parallel: bool = False
    """Whether norms and dropout are cut along the sequence over the tensor-parallel group."""
    zero: int = 0
    """Stage of ZeRO, over the data-parallel group: 1 cuts the optimizer, 2 gradients too, 3 (FSDP) weights too."""
    recompute: Recompute = "none"
    """`none`, `selective` (attention's scores; also what fused attention does), `full` (every block)."""

    def __post_init__(self) -> None:
        for name in ("tensor", "pipeline", "interleave", "data"):
            if getattr(self, name) < 1:
                raise DesignError(f"{name} of a layout must be at least 1", got=str(getattr(self, name)))
        if self.zero not in (0, 1, 2, 3):
            raise DesignError("unknown stage of ZeRO", expected="0, 1, 2 or 3", got=str(self.zero))
        if self.recompute not in RECOMPUTE:
            cure = did_you_mean(self.recompute, RECOMPUTE)
            raise DesignError(
                "unknown recomputation", expected=", ".join(RECOMPUTE), got=repr(self.recompute), cure=cure
            )

    @property
    def accelerators(self) -> int:
        """How many it takes."""
        return self.tensor * self.pipeline * self.data

    @property
    def in_flight(self) -> float:
        """Micro-batches whose activations the first stage holds: 1F1B, interleaved or not."""
        # the first stage starts one micro-batch per stage before the first comes back; interleaving adds p - 1 more
        # groups of its blocks, each 1 / interleave of the stage
        return self.pipeline + ((self.pipeline - 1) / self.interleave if self.interleave > 1 else 0.0)


WHOLE = Split()


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on the fullest accelerator, by part."""

    weights: float
    gradients: float
    optimizer: float
    activations: float

    @property
    def total(self) -> float:
        """All of it. Buffers of communication and what the allocator wastes come on top."""
        return self.weights + self.gradients + self.optimizer + self.activations

    def to_json(self) -> dict[str, float]:
        """Plain values."""
        return {**asdict(self), "total": self.total}


def training_memory(
    shape: ModelShape,
    micro_batch: int = 1,
    split: Split = WHOLE,
    *,
    optimizer: Optimizer = "adam",
    gradient_bytes: float = 2.0,
    dropout: bool = False,
) -> Memory:
    """Memory of mixed-precision training, in bytes per accelerator, with `micro_batch` sequences of the full context.

    `gradient_bytes` is 2, or 4 with gradients in 32 bits.

    Raises DesignError for an unknown optimizer, and for activations of two stacks or of an LSTM.

    >>> shape = ModelShape(layers=32, width=4096, heads=32, context=2048, vocabulary=32_000)
    >>> memory = training_memory(shape, split=Split(recompute="full"))
    >>> (memory.weights + memory.gradients + memory.optimizer) / count_parameters(shape).total
    16.0
    """
    if optimizer not in OPTIMIZER_BYTES:
        cure = did_you_mean(optimizer, OPTIMIZER_BYTES)
        raise DesignError("unknown optimizer", expected=", ".join(OPTIMIZER_BYTES), got=repr(optimizer), cure=cure)
    params = fullest_params(shape, split)
    cut = [split.data if split.zero >= stage else 1 for stage in (1, 2, 3)]
    return Memory(
        weights=2.0 * params / cut[2],
        gradients=gradient_bytes * params / cut[1],
        optimizer=OPTIMIZER_BYTES[optimizer] * params / cut[0],
        activations=_activations(shape, micro_batch, split, dropout),
    )


def fullest_params(shape: ModelShape, split: Split) -> float:
    """Parameters on the fullest accelerator before ZeRO: blocks cut by pipeline and tensor, vocabulary by tensor."""
    count = count_parameters(shape)
    if split.pipeline == 1:
        return count.total / split.tensor
    # the first stage has the embedding, the last the head (the embedding once more where it is tied): the larger counts
    ends = count.embedding + count.position, count.head or (count.embedding if shape.tied else 0)
    layers = shape.layers + shape.target_layers
    blocks = count.non_embedding * -(-layers // split.pipeline) / layers
    return (blocks + max(ends)) / split.tensor


def block_activations(shape: ModelShape, micro_batch: int, split: Split = WHOLE, dropout: bool = False) -> float:
    """Bytes of activations that one block keeps for its backward pass, per accelerator of a tensor-parallel group.

    >>> gpt3 = ModelShape(layers=96, width=12288, heads=96, context=2048, vocabulary=51200)
    >>> block_activations(gpt3, 1, dropout=True) == 2048 * 12288 * (34 + 5 * 96 * 2048 / 12288)
    True
    """
    tensor, masks = split.tensor, 2 if dropout else 0
    everywhere = tensor if split.sequence_parallel else 1
    positions = shape.context * micro_batch
    if split.recompute == "full":
        return 2.0 * positions * shape.width / everywhere
    # 2 bytes for the inputs of both layers and of each norm, 1 for each of two dropout masks: with two norms
    # (4 + 4 + 2) W, the 10 s b h that Korthikanti et al. count outside of attention and feed-forward
    around = (2 * 2 + 2 * shape.block_norms + masks) * shape.width
    heads = 2 * (2 * shape.query_width + 2 * shape.kv_width)
    # per head and pair of positions: softmax's output (2 bytes), and with dropout its mask (1) and its output (2)
    scores = (5 if dropout else 2) * shape.heads * shape.context if split.recompute == "none" else 0
    return positions * (around / everywhere + (heads + _hidden(shape) + scores) / tensor)


def _hidden(shape: ModelShape) -> float:
    """Bytes per position inside the feed-forward, a mean over blocks: before and after the activation, gates too."""
    sparse = shape.expert_layers(shape.layers) / shape.layers
    experts = (shape.active_experts + shape.shared_experts) * (shape.expert_width or shape.feed_forward)
    width = (1 - sparse) * shape.feed_forward + sparse * experts
    return 2.0 * width * (4 if shape.gated else 2)


def _activations(shape: ModelShape, micro_batch: int, split: Split, dropout: bool) -> float:
    """Of the first stage, which holds the most: its blocks times the micro-batches in flight, and the two ends."""
    if not shape.family_record.plain_transformer:
        raise DesignError(
            "activations are known for models of one stack only",
            expected=", ".join(plain_transformers()),
            got=f"family {shape.family!r}",
        )
    stage = -(-shape.layers // split.pipeline)
    positions = shape.context * micro_batch
    held = stage * split.in_flight * block_activations(shape, micro_batch, split, dropout)
    if split.recompute == "full":  # the block that is being recomputed is there whole
        whole = Split(tensor=split.tensor, sequence_parallel=split.sequence_parallel, recompute="selective")
        held += block_activations(shape, micro_batch, whole, dropout)
    if split.pipeline == 1:  # final norm, input of the head, logits in 32 bits
        held += 4.0 * positions * (shape.width + (shape.vocabulary if shape.head != "none" else 0)) / split.tensor
    return held + (positions * shape.width * split.in_flight / split.tensor if dropout else 0.0)
