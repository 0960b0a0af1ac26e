"""Models whose training is documented, from `models.toml`: size, tokens, FLOP, hardware, hours, price, energy, date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from foretoken.compute.accelerators import Verification
from foretoken.compute.registry import Registry
from foretoken.compute.shape import PRESETS, ModelShape

ComputeSource = Literal["printed", "6 N D"]


@dataclass(frozen=True, kw_only=True)
class NotableModel:
    """One model as it was published. What is not known is None."""

    id: str
    name: str
    date: str
    """Year and month of the paper or the announcement."""
    params: float
    source: str
    status: Verification
    """`verified` (read in the paper, its repository, or data that cite the page) or `secondary`: not read there."""
    secondary: tuple[str, ...] = ()
    """Fields of a verified entry that were not read at the source: notes of others, or not looked up."""
    careful: tuple[str, ...] = ()
    """How it misleads."""
    active_params: float | None = None
    """Parameters that one token passes, where they are fewer."""
    tokens: float | None = None
    text_gb: float | None = None
    """Gigabytes of the distinct text, as the paper or its readers count it."""
    flops: float | None = None
    """Training FLOP as printed."""
    shape: ModelShape | None = None
    accelerator: str | None = None
    """An id of the registry of accelerators."""
    accelerators: float | None = None
    """How many side by side."""
    accelerator_hours: float | None = None
    days: float | None = None
    usd: float | None = None
    kwh: float | None = None
    tco2e: float | None = None
    pue: float | None = None
    mfu: float | None = None

    @property
    def accelerator_days(self) -> float | None:
        """Of the whole training: by its hours, else by accelerators x days; None where neither is known.

        >>> MODELS["roberta_large"].accelerator_days, MODELS["transformer_big"].accelerator_days
        (1024, 28.0)
        """
        if self.accelerator_hours is not None:
            return self.accelerator_hours / 24.0
        return self.accelerators * self.days if self.accelerators and self.days else None

    @property
    def compute(self) -> float | None:
        """Training FLOP: as printed, else 6 x parameters that a token passes x tokens.

        >>> f"{MODELS['gpt3_175b'].compute:.3g}", f"{MODELS['llama_65b'].compute:.3g}"
        ('3.14e+23', '5.48e+23')
        """
        if self.flops is not None or self.tokens is None:
            return self.flops
        return 6.0 * (self.active_params or self.params) * self.tokens

    @property
    def compute_source(self) -> ComputeSource | None:
        """`printed`, `6 N D`, or None where the compute is not known."""
        if self.flops is not None:
            return "printed"
        return None if self.tokens is None else "6 N D"


def _model_from_json(name: str, values_json: dict[str, Any], models_json: dict[str, Any]) -> NotableModel:
    parts: dict[str, Any] = {key: tuple(values_json[key]) for key in ("secondary", "careful") if key in values_json}
    if "shape" in values_json:
        parts["shape"] = ModelShape.from_json(_shape_json(values_json["shape"], models_json))
    return NotableModel(id=name, **(values_json | parts))


def _shape_json(shape_json: dict[str, Any], models_json: dict[str, Any]) -> dict[str, Any]:
    """Fields of a shape, those of its preset or of the model it is like included."""
    own = {key: value for key, value in shape_json.items() if key not in ("preset", "like")}
    like = _shape_json(models_json[shape_json["like"]]["shape"], models_json) if "like" in shape_json else {}
    return {**PRESETS.get(shape_json.get("preset", ""), {}), **like, **own}


MODELS: Registry[NotableModel] = Registry("models.toml", "model", _model_from_json)
"""Models by id."""
