"""Law: a formula for the loss, as data and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Law:
    """A formula with named, positive parameters.

    Inside a fit every parameter is its logarithm (`theta`), and every feature of a run too (`x`). Shapes:
    b batch, r runs, p parameters, f features.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    """Names, in the order of theta [p]."""
    features: tuple[str, ...]
    """What the law reads of a run, in the order of x [r, f]: `params`, `tokens`, `flops`."""
    log_loss: Callable[[Array, Array], tuple[Array, Array]]
    """(theta [b, p], x [r, f]) -> ln loss [b, r] and its gradient in theta [b, r, p]."""
    starts: Callable[[Array, Array], Array]
    """(x [r, f], ln loss [r]) -> theta [starts, p], the most promising first."""
    shift: Callable[[Array, Array], Array]
    """(theta fitted to x - origin, origin [f]) -> theta for x."""
    bounds: Callable[[Array], tuple[Array, Array]]
    """(ln loss [r]) -> lowest and highest theta [p] of a fit to x - mean(x)."""
    prior: Callable[[Array], tuple[Array, Array]]
    """(ln loss [r]) -> mean and standard deviation of theta [p] that a forecast assumes; inf is no assumption."""
    prior_text: str
    """The same, in words."""
    optimum: Callable[..., tuple[Any, Any]] | None
    """(parameters, C, flops_per_param_token) -> N*, D* of least loss at compute C; None without a closed form."""
    citation: str
    domain: str

    def theta(self, parameters: Mapping[str, float]) -> Array:
        """The inverse of `named`: theta [p]."""
        theta: Array = np.log(np.array([parameters[name] for name in self.parameters], dtype=np.float64))
        return theta

    def named(self, theta: Array) -> dict[str, float]:
        """Parameters by name from theta [p]."""
        return dict(zip(self.parameters, map(float, np.exp(theta)), strict=True))

    def predict(self, parameters: Mapping[str, float], N: Any, D: Any, C: Any = None) -> Array:
        """Loss in nats per token of N parameters on D tokens; C FLOP are 6 N D unless given. Broadcasts.

        >>> from foretoken.laws import CHINCHILLA
        >>> round(float(CHINCHILLA.predict({"E": 1.0, "A": 10, "B": 100, "alpha": 1.0, "beta": 1.0}, 10, 100)), 6)
        3.0
        """
        N, D = np.broadcast_arrays(np.asarray(N, dtype=np.float64), np.asarray(D, dtype=np.float64))
        values = {"params": N, "tokens": D, "flops": 6.0 * N * D if C is None else np.broadcast_to(C, N.shape)}
        x = np.log(np.stack([values[name].ravel() for name in self.features], axis=-1))
        loss: Array = np.exp(self.log_loss(self.theta(parameters)[None], x)[0][0]).reshape(N.shape)
        return loss
