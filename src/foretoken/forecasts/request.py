"""Which runs are forecast: people's numbers ("7B") and whole arrays of them, and the targets that they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from foretoken.errors import ForetokenError
from foretoken.fits.objectives import MAP
from foretoken.fits.result import AnyFit, Fit, as_fit
from foretoken.forecasts.forecast import NEW_RUN
from foretoken.units import parse_count, parse_flops

if TYPE_CHECKING:
    import pandas as pd

Amount: TypeAlias = str | float
"""A number as people write it: 7e9, "7B", "1e22 FLOP"."""
Amounts: TypeAlias = "list[str] | list[float] | list[int] | tuple[Amount, ...] | range | NDArray[Any] | pd.Series[Any]"
"""Many of them."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One run that is forecast, in numbers; the fields are those of `ForecastRequest`."""

    fit: Fit
    params: float | None = None
    tokens: float | None = None
    flops: float | None = None
    at: Mapping[str, float] | None = None
    level: float = 0.9
    kind: str = NEW_RUN
    estimator: str = MAP
    strict: bool = True

    def known(self) -> dict[str, float]:
        """What is known of the run, by feature."""
        # FLOP as the fit's own table counts them, so that a law of compute is read where it was fitted.
        flops = self.flops
        if flops is None and self.params is not None and self.tokens is not None:
            flops = self.params * self.tokens * self.fit.flops_per_param_token
        sizes = {"params": self.params, "tokens": self.tokens, "flops": flops, **(self.at or {})}
        return {name: value for name, value in sizes.items() if value is not None}


@dataclass(frozen=True)
class ForecastRequest:
    """Which runs are forecast, and how.

    Args:
        fit: A law fitted to runs, or the path of its file.
        params: Parameters of the run, in the fit's own count: 7e9 or "7B". As tokens and flops, also a list, an array
            or a Series, for many runs at once; they broadcast.
        tokens: Training tokens.
        flops: Training FLOP; by the fit's median FLOP per parameter and token unless given.
        at: Values of the law's further features, by name, such as `unique_tokens` or `size`.
        level: Probability that the interval holds.
        kind: `new-run` (an interval that holds one new run) or `mean` (one that holds the law itself).
        estimator: One of `fit.estimators`: `map`, or the fit's objective (`huber`).
        strict: Refuse runs far below the fit's, FLOPs that contradict N and D, and losses above that of guessing. A
            back-test scores these too.

    """

    fit: AnyFit
    _: KW_ONLY
    params: Amount | Amounts | None = None
    tokens: Amount | Amounts | None = None
    flops: Amount | Amounts | None = None
    at: Mapping[str, Amount] | None = None
    level: float = 0.9
    kind: str = NEW_RUN
    estimator: str = MAP
    strict: bool = True

    def targets(self) -> tuple[list[Target], tuple[int, ...] | None]:
        """The runs in numbers, and the shape of the arrays that they were given in; None for one run."""
        given = {
            name: _numbers(name, value)
            for name, value in (("params", self.params), ("tokens", self.tokens), ("flops", self.flops))
            if value is not None
        }
        arrays = [value for value in given.values() if value.ndim]
        shape = _common_shape(given) if arrays else None
        columns = {name: np.broadcast_to(value, shape or ()).ravel().tolist() for name, value in given.items()}
        at = None if self.at is None else {name: parse_count(value, name) for name, value in self.at.items()}
        fit = as_fit(self.fit)
        return [self._target(fit, columns, at, row) for row in range(int(np.prod(shape or ())))], shape

    def _target(self, fit: Fit, columns: Mapping[str, list[float]], at: Mapping[str, float] | None, row: int) -> Target:
        here = {name: column[row] for name, column in columns.items()}
        return Target(
            fit=fit,
            params=here.get("params"),
            tokens=here.get("tokens"),
            flops=here.get("flops"),
            at=at,
            level=self.level,
            kind=self.kind,
            estimator=self.estimator,
            strict=self.strict,
        )


def _numbers(name: str, value: Amount | Amounts) -> NDArray[np.float64]:
    """One number [] or many [...] as people write them."""
    parse = parse_flops if name == "flops" else parse_count
    if isinstance(value, str | float | int):
        return np.array(parse(value, name))
    try:
        given = np.asarray(value, dtype=object)
        plain: list[float] = [parse(entry, name) for entry in given.ravel()]
    except (TypeError, ValueError) as error:
        raise ForetokenError(f"{name} is neither a number nor an array of numbers", got=str(error)) from None
    if not plain:
        raise ForetokenError(f"{name} is empty", expected="at least one run", cure="leave it out, or give numbers")
    return np.array(plain).reshape(given.shape)


def _common_shape(given: Mapping[str, NDArray[np.float64]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*(value.shape for value in given.values()))
    except ValueError:
        raise ForetokenError(
            f"{' and '.join(given)} do not belong together",
            expected="arrays of one length, or of shapes that broadcast",
            got=", ".join(f"{name} of shape {value.shape}" for name, value in given.items()),
            cure="a grid is params[:, None] and tokens[None, :]",
        ) from None
