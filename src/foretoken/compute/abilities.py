"""Abilities that were reported to emerge with scale, from `abilities.toml`, and which of them a compute reaches."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from foretoken.arguments import check_positive
from foretoken.compute.accelerators import Verification
from foretoken.compute.registry import Registry

Prompting = Literal["few-shot", "augmented"]

SOURCE = "Wei et al. 2022, arXiv 2206.07682, table 1"
STATUS: Verification = "verified"
CAREFUL = (
    "compute reached is not ability: each row is one family of models on its own data, and its tokens were few for"
    " its size, so that the same compute buys a better model today",
    "a threshold can be the metric's: exact match of long answers jumps where the probability of a token rises"
    " smoothly (Schaeffer et al. 2023, arXiv 2304.15004), and the next smaller model was often ten times smaller",
)
"""What the counter-argument warns of, wherever the rows are shown."""


@dataclass(frozen=True, kw_only=True)
class Ability:
    """One ability, and the smallest model in which it was seen."""

    id: str
    ability: str
    prompting: Prompting
    """`few-shot`: above chance with examples in the prompt; `augmented`: a method that helps from there on."""
    flops: float
    """Training FLOP of that model."""
    params: float
    model: str
    """Its family, as printed."""
    reference: str

    @property
    def tokens(self) -> float:
        """Tokens that the printed FLOP say, by 6 N D.

        >>> f"{ABILITIES['mmlu_57'].tokens:.3g}", f"{ABILITIES['mmlu_30'].tokens:.3g}"
        ('2.95e+11', '1.19e+12')
        """
        return self.flops / 6.0 / self.params

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class AbilityReach:
    """Whether a compute is at least that of the model in which an ability was first seen."""

    ability: str
    flops: float
    params: float
    model: str
    reached: bool


def abilities_at(flops: float) -> tuple[AbilityReach, ...]:
    """Every ability, least compute first, and whether so many training FLOP reach it.

    Raises ForetokenError for a compute that is not above 0.

    >>> [row.ability for row in abilities_at(2e22) if row.reached][0]
    '8-digit addition with a scratchpad, fine-tuned'
    >>> sum(row.reached for row in abilities_at(3.14e23))  # GPT-3's
    17
    """
    check_positive("compute", flops)
    rows = sorted(ABILITIES.values(), key=lambda row: row.flops)
    return tuple(AbilityReach(row.ability, row.flops, row.params, row.model, row.flops <= flops) for row in rows)


def _ability_from_json(name: str, values_json: dict[str, Any], _: dict[str, Any]) -> Ability:
    return Ability(id=name, **values_json)


ABILITIES: Registry[Ability] = Registry("abilities.toml", "ability", _ability_from_json)
"""Abilities by id."""
