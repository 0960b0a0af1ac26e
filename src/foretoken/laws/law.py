"""Law: a formula for what a run gives, as data and pure functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError, RefusedError

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
Real = Any
"""What a formula computes with: a float, an array, or a Dual (see dual.py)."""
Target = Literal["log", "raw"]
"""What is fitted: the logarithm of the column that a law predicts, or the column itself."""


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


def in_numpy(optimum: Callable[..., tuple[Real, Real]]) -> Callable[..., tuple[Real, Real]]:
    """An optimum in the arithmetic of numpy: infinite, or no number, where that of Python raises an error."""

    @wraps(optimum)
    def computed(parameters: Mapping[str, float], C: Real, *more: float, **named: float) -> tuple[Real, Real]:
        with np.errstate(all="ignore"):
            values = {name: np.float64(value) for name, value in parameters.items()}
            return optimum(values, np.asarray(C, dtype=np.float64), *more, **named)

    return computed


@dataclass(frozen=True, kw_only=True)
class Law:
    """A formula with named parameters, positive unless they are in `signed`.

    Inside a fit a positive parameter is its logarithm (`theta`), and so is every feature of a run (`x`). Shapes:
    b batch, r runs, p parameters, f features.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    """Names, in the order of theta [p]."""
    features: tuple[str, ...]
    """What the law reads of a run, in the order of x [r, f]; all that there are: `FEATURES`."""
    value_and_grad: Callable[[Array, Array], tuple[Array, Array]]
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
    target: Target = "log"
    """What is fitted: the logarithm of the `column`, or the column itself."""
    column: str = "loss"
    """What the law predicts, as a column of the run table."""
    unit: str = "nats per token"
    """The unit of that column."""
    units: tuple[str, ...] = ()
    """Unit of each parameter."""
    signed: tuple[str, ...] = ()
    """Parameters of either sign: their theta is the value itself."""
    scales: tuple[str, ...] = ()
    """Parameters in which the law is linear together: they are in the unit of what it predicts."""
    profiled: tuple[str, ...] = ("E",)
    """Parameters whose profile likelihood a fit always looks at, because runs so often say nothing of them."""
    may_be_constant: tuple[str, ...] = ()
    """Features that may be the same in all runs."""
    origin: Callable[[Array], Array] = mean_features
    """x [r, f] -> the origin [f] that a fit moves the features to; 0 for a feature that cannot be centred."""
    sequence_input: bool = False
    """x holds a whole history per run, not one number per feature."""

    @property
    def is_logarithmic(self) -> bool:
        """Whether the logarithm of the column is fitted, so that errors are relative."""
        return self.target == "log"

    def theta(self, parameters: Mapping[str, float]) -> Array:
        """The inverse of `named`: theta [p]. Raises ForetokenError for parameters that are missing."""
        self._require_parameters(parameters)
        return self.thetas(np.array([parameters[name] for name in self.parameters], dtype=np.float64))

    def thetas(self, values: Array) -> Array:
        """The inverse of `values`: theta [..., p]."""
        # The inner `where` keeps the logarithm from values of either sign, which would warn and be thrown away.
        return np.where(self._is_signed, values, np.log(np.where(self._is_signed, 1.0, values)))

    def values(self, theta: Array) -> Array:
        """Parameters from theta [..., p], as an array of the same shape."""
        return np.where(self._is_signed, theta, np.exp(np.where(self._is_signed, 0.0, theta)))

    @property
    def _is_signed(self) -> NDArray[np.bool_]:
        return np.array([name in self.signed for name in self.parameters])

    def named(self, theta: Array) -> dict[str, float]:
        """Parameters by name from theta [p]."""
        return dict(zip(self.parameters, map(float, self.values(theta)), strict=True))

    def evaluate(self, parameters: Mapping[str, float], **features: ArrayLike | None) -> Array:
        """What the law gives, in its own unit, for features by name. Broadcasts; further features go unused.

        `flops` are 6 x params x tokens where the law reads them and they are not given. Raises ForetokenError when a
        feature is missing.

        >>> from foretoken.laws import CHINCHILLA, LAWS
        >>> round(float(LAWS["power"].evaluate({"a": 8.0, "b": 0.5}, flops=16.0)), 9)
        2.0
        >>> terms = {"E": 1.0, "A": 10, "B": 100, "alpha": 1.0, "beta": 1.0}
        >>> CHINCHILLA.evaluate(terms, params=[10, 20], tokens=100).round(6).tolist()
        [3.0, 2.5]
        """
        known = {name: np.asarray(value, dtype=np.float64) for name, value in features.items() if value is not None}
        if "flops" in self.features and "flops" not in known and {"params", "tokens"} <= set(known):
            known["flops"] = 6.0 * known["params"] * known["tokens"]
        self._require(known)
        values = np.broadcast_arrays(*(known[name] for name in self.features))
        with np.errstate(divide="ignore"):  # histories hold zeros after their end
            x = np.log(values[0] if self.sequence_input else np.stack([value.ravel() for value in values], axis=-1))
        fitted = self.value_and_grad(self.theta(parameters)[None], x)[0][0]
        predicted: Array = np.exp(fitted) if self.is_logarithmic else fitted
        return predicted if self.sequence_input else predicted.reshape(values[0].shape)

    def best_split(self, parameters: Mapping[str, float], flops: ArrayLike, flops_per_param_token: float) -> Array:
        """N* and D* of least loss at a compute, as rows. Raises RefusedError (out_of_reach) where they are no amounts.

        >>> from foretoken.laws import CHINCHILLA
        >>> terms = {"E": 1.0, "A": 1.0, "B": 1.0, "alpha": 0.5, "beta": 0.5}
        >>> CHINCHILLA.best_split(terms, 6e20, 6.0).tolist()
        [10000000000.0, 10000000000.0]
        """
        assert self.optimum is not None
        split = np.asarray(self.optimum(parameters, flops, flops_per_param_token), dtype=np.float64)
        if not ((split > 0) & np.isfinite(split)).all():
            evidence = f"the law {self.name} has no best size at a compute of {np.max(flops):.3g} FLOP"
            raise RefusedError("out_of_reach", evidence, "fit the table again, or ask for another compute")
        return split

    def _require(self, known: Mapping[str, Array]) -> None:
        missing = [name for name in self.features if name not in known]
        if missing:
            near = nearest(missing[0], known.keys() - set(self.features))
            raise ForetokenError(
                f"the law {self.name!r} needs more than it was given",
                expected=", ".join(self.features),
                got=", ".join(known) or "nothing",
                cure=f"did you mean {missing[0]!r} by {near[0]!r}?" if near else None,
            )

    def _require_parameters(self, parameters: Mapping[str, float]) -> None:
        missing = [name for name in self.parameters if name not in parameters]
        if missing:
            near = nearest(missing[0], parameters.keys() - set(self.parameters))
            raise ForetokenError(
                f"the law {self.name!r} has parameters without a value",
                expected=", ".join(self.parameters),
                got=", ".join(parameters) or "nothing",
                cure=f"did you mean {missing[0]!r} by {near[0]!r}?" if near else None,
                code="missing_parameters",
            )

    def on(self, *features: str, name: str | None = None) -> Law:
        """The same law, read from other columns.

        >>> from foretoken.laws import LAWS
        >>> LAWS["broken_1"].on("tokens").features
        ('tokens',)
        """
        assert len(features) == len(self.features)
        return replace(self, features=features, name=name or self.name)
