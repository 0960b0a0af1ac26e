"""Law: a formula for what a run gives, as data and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from foretoken.errors import ForetokenError

Array = NDArray[np.float64]
Indices = NDArray[np.intp]


class Feature(NamedTuple):
    """What a law reads of a run."""

    symbol: str
    unit: str
    meaning: str


FEATURES: dict[str, Feature] = {
    "params": Feature("N", "parameters", "size; which parameters count is a convention of the table or of the paper"),
    "tokens": Feature("D", "tokens", "training tokens seen"),
    "flops": Feature("C", "FLOP", "training compute"),
    "unique_tokens": Feature("U", "tokens", "distinct training tokens"),
    "flops_min": Feature("C_min", "FLOP", "compute at a batch far below the critical one"),
    "steps_min": Feature("S_min", "steps", "optimizer steps at a batch far above the critical one"),
    "experts": Feature("experts", "", "routed experts per layer; 1 for a dense model"),
    "granularity": Feature("G", "", "width of a feed-forward layer over that of one expert"),
    "bits_weights": Feature("P_w", "bits", "precision of the weights in training"),
    "bits_activations": Feature("P_a", "bits", "precision of the activations in training"),
    "bits_kv": Feature("P_kv", "bits", "precision of the attention's keys and values in training"),
    "bits_post": Feature("P_post", "bits", "precision of the weights after training"),
    "loss": Feature("L", "nats per token", "validation loss"),
    "size": Feature("size", "", "any amount of capacity: parameters, trees, basis functions"),
    "data": Feature("data", "", "any amount of data: images, seconds, rows"),
    "learning_rates": Feature("eta", "", "sum of the warm-up's learning rates, then the learning rate of every step"),
}


def mean_features(x: Array) -> Array:
    """The mean of each feature over runs: x [r, f] -> [f]."""
    return np.asarray(x.mean(axis=0))


@dataclass(frozen=True, kw_only=True)
class Law:
    """A formula with named parameters, positive unless they are in `linear`.

    Inside a fit a positive parameter is its logarithm (`theta`), and so is every feature of a run (`x`). Shapes:
    b batch, r runs, p parameters, f features.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    """Names, in the order of theta [p]."""
    features: tuple[str, ...]
    """What the law reads of a run, in the order of x [r, f]; all that there are: `FEATURES`."""
    log_loss: Callable[[Array, Array], tuple[Array, Array]]
    """(theta [b, p], x [r, f]) -> what is fitted [b, r] and its gradient in theta [b, r, p]; see `target`."""
    starts: Callable[[Array, Array], Array]
    """(x [r, f], what is fitted [r]) -> theta [starts, p], the most promising first."""
    shift: Callable[[Array, Array], Array]
    """(theta fitted to x - origin, origin [f]) -> theta for x."""
    bounds: Callable[[Array], tuple[Array, Array]]
    """(what is fitted [r]) -> lowest and highest theta [p] of a fit to x - origin."""
    prior: Callable[[Array], tuple[Array, Array]]
    """(what is fitted [r]) -> mean and standard deviation of theta [p] that a forecast assumes; inf assumes nothing."""
    prior_text: str
    """The same, in words."""
    optimum: Callable[..., tuple[Any, Any]] | None
    """(parameters, C, flops_per_param_token) -> N*, D* of least loss at compute C; None without a closed form."""
    citation: str
    domain: str
    target: Literal["log", "raw"] = "log"
    """What is fitted: the logarithm of the `column`, or the column itself."""
    column: str = "loss"
    """What the law predicts, as a column of the run table."""
    unit: str = "nats per token"
    """The unit of that column."""
    units: tuple[str, ...] = ()
    """Unit of each parameter."""
    linear: tuple[str, ...] = ()
    """Parameters of either sign: their theta is the value itself."""
    profiled: tuple[str, ...] = ("E",)
    """Parameters whose profile likelihood a fit always looks at, because runs so often say nothing of them."""
    steady: tuple[str, ...] = ()
    """Features that may be the same in all runs."""
    origin: Callable[[Array], Array] = mean_features
    """x [r, f] -> the origin [f] that a fit moves the features to; 0 for a feature that the law cannot be moved in."""
    wide: bool = False
    """x holds a whole history per run, not one number per feature."""

    def theta(self, parameters: Mapping[str, float]) -> Array:
        """The inverse of `named`: theta [p]."""
        return self.thetas(np.array([parameters[name] for name in self.parameters], dtype=np.float64))

    def thetas(self, values: Array) -> Array:
        """The inverse of `values`: theta [..., p]."""
        return np.where(self._straight, values, np.log(np.where(self._straight, 1.0, values)))

    def values(self, theta: Array) -> Array:
        """Parameters from theta [..., p], as an array of the same shape."""
        return np.where(self._straight, theta, np.exp(np.where(self._straight, 0.0, theta)))

    @property
    def _straight(self) -> NDArray[np.bool_]:
        return np.array([name in self.linear for name in self.parameters])

    def named(self, theta: Array) -> dict[str, float]:
        """Parameters by name from theta [p]."""
        return dict(zip(self.parameters, map(float, self.values(theta)), strict=True))

    def evaluate(self, parameters: Mapping[str, float], **features: Any) -> Array:
        """What the law gives, in its own unit, for features named as in `features`. Broadcasts.

        Raises ForetokenError when one is missing.

        >>> from foretoken.laws import LAWS
        >>> round(float(LAWS["power"].evaluate({"a": 8.0, "b": 0.5}, flops=16.0)), 9)
        2.0
        """
        missing = [name for name in self.features if name not in features]
        if missing:
            raise ForetokenError(
                f"the law {self.name!r} needs more than it was given",
                expected=", ".join(self.features),
                got=", ".join(features) or "nothing",
            )
        values = np.broadcast_arrays(*(np.asarray(features[name], dtype=np.float64) for name in self.features))
        with np.errstate(divide="ignore"):
            x = np.log(values[0] if self.wide else np.stack([value.ravel() for value in values], axis=-1))
        fitted = self.log_loss(self.theta(parameters)[None], x)[0][0]
        told: Array = np.exp(fitted) if self.target == "log" else fitted
        return told if self.wide else told.reshape(values[0].shape)

    def predict(self, parameters: Mapping[str, float], N: Any, D: Any, C: Any = None) -> Array:
        """What the law gives for N parameters on D tokens; C FLOP are 6 N D unless given. Broadcasts.

        >>> from foretoken.laws import CHINCHILLA
        >>> round(float(CHINCHILLA.predict({"E": 1.0, "A": 10, "B": 100, "alpha": 1.0, "beta": 1.0}, 10, 100)), 6)
        3.0
        """
        N, D = np.broadcast_arrays(np.asarray(N, dtype=np.float64), np.asarray(D, dtype=np.float64))
        known = {"params": N, "tokens": D, "flops": 6.0 * N * D if C is None else np.broadcast_to(C, N.shape)}
        return self.evaluate(parameters, **{name: known[name] for name in self.features if name in known})

    def on(self, *features: str, name: str | None = None) -> Law:
        """The same law, read from other columns.

        >>> from foretoken.laws import LAWS
        >>> LAWS["broken_1"].on("tokens").features
        ('tokens',)
        """
        assert len(features) == len(self.features)
        return replace(self, features=features, name=name or self.name)
