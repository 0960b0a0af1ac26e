"""The shape of a network: what is needed to count it, cost it and build it. No torch here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, TypedDict, Unpack

from foretoken.arguments import nearest
from foretoken.compute.choices import ACTIVATIONS, HEADS, NORMS, POSITIONS
from foretoken.compute.families import FAMILIES, Family, families_with, own_fields
from foretoken.compute.shape_fields import ShapeFields
from foretoken.errors import DesignError


class ShapeChoices(TypedDict, total=False):
    """The fields of a shape that are not its sizes: what presets and studies choose."""

    heads: int
    feed_forward: int
    norm: str
    positions: str
    activation: str
    tied: bool
    bias: bool
    family: str
    kv_heads: int
    attention_width: int
    experts: int
    active_experts: int
    shared_experts: int
    expert_width: int
    expert_every: int
    decoder_layers: int
    decoder_context: int
    position_buckets: int
    embedding_norm: bool
    final_norm: bool
    block_norms: int
    head: str
    token_types: int
    pooler: bool
    classes: int
    norm_epsilon: float
    rotary_base: float
    expert_capacity_factor: float
    shared_stacks: bool


_LLAMA: ShapeChoices = {"norm": "rms", "positions": "rotary", "activation": "swiglu", "tied": False, "bias": False}
_BERT: ShapeChoices = {
    "family": "encoder",
    "norm": "layer",
    "positions": "learned",
    "activation": "gelu_exact",
    "tied": True,
    "bias": True,
    "embedding_norm": True,
    "final_norm": False,
    "head": "masked",
    "norm_epsilon": 1e-12,
}
_T5: ShapeChoices = {
    "family": "encoder_decoder",
    "norm": "rms",
    "positions": "relative",
    "bias": False,
    "norm_epsilon": 1e-6,
}
PRESETS: dict[str, ShapeChoices] = {
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


def preset_family(preset: str) -> Family:
    """The family of a preset.

    >>> preset_family("bert").name
    'encoder'
    """
    return FAMILIES[PRESETS[preset].get("family", "decoder")]


@dataclass(frozen=True, kw_only=True)
class ModelShape(ShapeFields):
    """Everything that fixes a network's parameters: the fields of `ShapeFields`, checked by the family.

    Raises DesignError when the sizes do not fit together.

    >>> ModelShape(layers=2, width=32, heads=2, context=128, vocabulary=256).feed_forward
    128
    """

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_choices()
        self._check_heads()
        self._check_experts()
        if not self.feed_forward:
            wide = -(-8 * self.width // 3 // 8) * 8 if self.gated else 4 * self.width
            object.__setattr__(self, "feed_forward", wide)

    @classmethod
    def of(
        cls, *, layers: int, width: int, context: int, vocabulary: int, **choices: Unpack[ShapeChoices]
    ) -> ModelShape:
        """A shape of these sizes with the choices of a preset or of a study.

        >>> ModelShape.of(layers=1, width=16, heads=2, context=8, vocabulary=32, **PRESETS["prefix"]).family
        'prefix'
        """
        return cls.from_json(
            {"layers": layers, "width": width, "context": context, "vocabulary": vocabulary, **choices}
        )

    @property
    def family_record(self) -> Family:
        """What the word in `family` means."""
        return FAMILIES[self.family]

    @property
    def post_norm(self) -> bool:
        """Whether norms stand after attention and feed-forward, on the sum with the residual, rather than before."""
        return not self.family_record.recurrent and not self.final_norm

    @property
    def bidirectional(self) -> bool:
        """Whether positions see those after them too (in the first stack)."""
        return self.family_record.bidirectional

    @property
    def sequence_tokens(self) -> int:
        """Tokens of one whole sequence: those of the target count too where there are two stacks."""
        return self.context + (self.second_context if self.family_record.two_stacks else 0)

    @property
    def target_layers(self) -> int:
        """Blocks of the decoder beside an encoder; 0 in the other families."""
        return self.second_layers if self.family_record.two_stacks else 0

    @property
    def chosen(self) -> set[str]:
        """Names of the fields that are not at their default."""
        return {name for name, default in _DEFAULTS if getattr(self, name) != default}

    def to_json(self) -> dict[str, Any]:
        """Every field by its name; `ModelShape.from_json` is the inverse."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, values_json: dict[str, Any]) -> ModelShape:
        """The shape of plain values. Raises DesignError for names that no shape has, and for what cannot be one."""
        known = [field.name for field in fields(cls)]
        for name in values_json:
            if name not in known:
                near = nearest(name, known)
                raise DesignError(
                    f"no shape has the field {name!r}",
                    expected=", ".join(known),
                    cure=f"did you mean {near[0]!r}?" if near else None,
                )
        return cls(**values_json)

    def _check_sizes(self) -> None:
        for name in ("layers", "width", "heads", "context", "vocabulary", "expert_every", "position_buckets"):
            if getattr(self, name) < 1:
                raise DesignError(f"{name} of a model must be at least 1", got=str(getattr(self, name)))
        for name, default in _DEFAULTS:
            if default == 0 and getattr(self, name) < 0:
                raise DesignError(f"{name} of a model must not be negative", got=str(getattr(self, name)))

    def _check_choices(self) -> None:
        choices: dict[str, Iterable[str]] = {
            "norm": NORMS,
            "positions": POSITIONS,
            "activation": ACTIVATIONS,
            "family": FAMILIES,
            "head": HEADS,
        }
        for name, known in choices.items():
            word = getattr(self, name)
            if word not in known:
                near = nearest(str(word), known)
                raise DesignError(
                    f"unknown {name}",
                    expected=f"one of {', '.join(known)}",
                    got=repr(word),
                    cure=f"did you mean {near[0]!r}?" if near else None,
                )
        chosen = self.chosen
        for name in own_fields():
            if name in chosen and name not in self.family_record.own_fields:
                raise DesignError(
                    f"only {', '.join(families_with(name))} models have {name}", got=f"family {self.family!r}"
                )

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
        if self.position_kind.rotary and self.head_width % 2:
            raise DesignError("rotary positions rotate pairs, so width / heads must be even", got=f"{self.head_width}")

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


_DEFAULTS = [(field.name, field.default) for field in fields(ModelShape)]
"""Names and defaults of the fields, read once: a study may have thousands of runs."""
