"""The families of networks, each one record: what its positions see, what it can be trained for, how it is counted.

A family is a word in JSON and in study files. Code asks the record (`shape.family_record.recurrent`), so that a new
family is its record here, its counts (compute/transformer.py, compute/recurrent.py and compute/activations.py hold
those of the others) and its network in models/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from foretoken.compute import activations, transformer
from foretoken.compute.choices import ObjectiveKind
from foretoken.compute.layer_counts import ParameterCount
from foretoken.compute.recurrent import LSTM_GATES, recurrent_flops, recurrent_parameters
from foretoken.compute.shape_fields import ShapeFields
from foretoken.errors import DesignError


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of networks."""

    name: str
    stacks: int = 1
    """Stacks of layers: 2 where a decoder attends to an encoder."""
    bidirectional: bool = False
    """Whether the positions of the first stack see those after them too."""
    recurrent: bool = False
    """Whether it has a state of fixed size in place of attention, so that there is no longest sequence."""
    takes_prefix: bool = False
    """Whether the beginning of a sequence may be seen in both directions."""
    objectives: tuple[ObjectiveKind, ...]
    """What it can be trained to predict; keys of `compute.objective.KINDS`."""
    usual_objective: ObjectiveKind
    """What weights of unknown origin are taken to be trained for."""
    preset: str | None
    """The preset whose choices a network of good proportions gets; None where good proportions are not known."""
    heads: tuple[str, ...] = ("linear",)
    """The heads that its network can have."""
    own_fields: tuple[str, ...] = ()
    """Fields of a shape that are not at their default in some families only."""
    count_parameters: Callable[[ShapeFields], ParameterCount]
    """Exact parameters by group: equal to `numel()` of the network."""
    training_flops: Callable[[ShapeFields, float], float]
    """FLOPs of all matrix products of one training token; the number is the share of positions that the head reads."""
    activations: Callable[[ShapeFields, activations.Step], float]
    """Elements that a training step keeps for the backward pass, without those of the head."""
    cached_per_token: Callable[[ShapeFields], float] | None
    """Numbers that each further token adds to the cache when it generates; None where that is not counted."""

    @property
    def two_stacks(self) -> bool:
        """Whether a decoder attends to an encoder."""
        return self.stacks == 2

    @property
    def plain_transformer(self) -> bool:
        """Whether it is one stack of transformer blocks: what the counts of most papers are defined for."""
        return self.stacks == 1 and not self.recurrent

    @property
    def causal_decoder(self) -> bool:
        """Whether every position sees those before it alone, in one stack: what published laws were fitted to."""
        return self.plain_transformer and not self.bidirectional and not self.takes_prefix

    @property
    def generates(self) -> bool:
        """Whether it can write text: some stack of it sees nothing of what comes after."""
        return self.two_stacks or not self.bidirectional


_OF_EVERY_TRANSFORMER = ("experts",)
FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Family(
            name="decoder",
            objectives=("causal",),
            usual_objective="causal",
            preset="llama",
            own_fields=_OF_EVERY_TRANSFORMER,
            count_parameters=transformer.one_stack_parameters,
            training_flops=transformer.one_stack_flops,
            activations=activations.causal_stack,
            cached_per_token=transformer.cached_per_token,
        ),
        Family(
            name="prefix",
            takes_prefix=True,
            objectives=("causal", "prefix", "span_corruption"),
            usual_objective="prefix",
            preset="prefix",
            own_fields=_OF_EVERY_TRANSFORMER,
            count_parameters=transformer.one_stack_parameters,
            training_flops=transformer.one_stack_flops,
            activations=activations.causal_stack,
            cached_per_token=transformer.cached_per_token,
        ),
        Family(
            name="encoder",
            bidirectional=True,
            objectives=("masked",),
            usual_objective="masked",
            preset="bert",
            heads=("linear", "masked"),
            own_fields=(*_OF_EVERY_TRANSFORMER, "token_types", "pooler", "classes"),
            count_parameters=transformer.one_stack_parameters,
            training_flops=transformer.one_stack_flops,
            activations=activations.bidirectional_stack,
            cached_per_token=transformer.cached_per_token,
        ),
        Family(
            name="encoder_decoder",
            stacks=2,
            bidirectional=True,
            objectives=("prefix", "span_corruption"),
            usual_objective="span_corruption",
            preset="t5_v1_1",
            own_fields=(*_OF_EVERY_TRANSFORMER, "decoder_layers", "decoder_context", "shared_stacks"),
            count_parameters=transformer.two_stack_parameters,
            training_flops=transformer.two_stack_flops,
            activations=activations.two_stacks,
            cached_per_token=None,
        ),
        Family(
            name="lstm",
            recurrent=True,
            objectives=("causal",),
            usual_objective="causal",
            preset=None,
            count_parameters=recurrent_parameters(LSTM_GATES),
            training_flops=recurrent_flops(LSTM_GATES),
            activations=activations.lstm,
            cached_per_token=None,
        ),
    )
}
"""Every family by its name."""


def families_with(field: str) -> list[str]:
    """The families whose shapes may have this field.

    >>> families_with("pooler")
    ['encoder']
    """
    return [family.name for family in FAMILIES.values() if field in family.own_fields]


def own_fields() -> list[str]:
    """The fields that only some families have."""
    return list(dict.fromkeys(field for family in FAMILIES.values() for field in family.own_fields))


def cannot(family: str, what: str, able: Iterable[Family], cure: str | None = None) -> DesignError:
    """The refusal of what a family lacks; `able` are the families that can.

    >>> print(cannot("lstm", "serve", [FAMILIES["decoder"]]))
    the family 'lstm' cannot serve
      expected: decoder
      got: family 'lstm'
    """
    names = ", ".join(record.name for record in able)
    return DesignError(f"the family {family!r} cannot {what}", expected=names, got=f"family {family!r}", cure=cure)
