"""Which run of a recipe stands for a compute: at the best split, along a ladder, or at a size or a length given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foretoken.fits.result import Fit
from foretoken.laws import find_law
from foretoken.laws.law import Array
from foretoken.plans.loss_model import fitted
from foretoken.plans.split_search import best_split


@dataclass(frozen=True)
class Split:
    """How compute is spent: by `params`, by `tokens`, by both (their ratio), or at the best where neither is given."""

    params: float | None = None
    tokens: float | None = None

    def runs(self, fit: Fit, flops: Array) -> list[Mapping[str, float]]:
        """What is known of the run of each compute [r], by feature.

        Raises RefusedError where a law has no best split of a compute.

        >>> import foretoken
        >>> fit = foretoken.fit("sample", "chinchilla", draws=50)
        >>> run, = Split(params=1e6).runs(fit, np.array([6e13]))
        >>> round(run["tokens"] * fit.flops_per_param_token * 1e6 / 6e13, 6)
        1.0
        """
        if not ({"params", "tokens"} & set(find_law(fit.law).features)) and not fit.ladder and not self._is_given:
            return [{"flops": float(budget)} for budget in flops]
        params = self._params(fit, flops)
        tokens = flops / fit.flops_per_param_token / params
        columns = zip(params.tolist(), tokens.tolist(), flops.tolist(), strict=True)
        return [{"params": n, "tokens": d, "flops": c} for n, d, c in columns]

    @property
    def _is_given(self) -> bool:
        return self.params is not None or self.tokens is not None

    def _params(self, fit: Fit, flops: Array) -> Array:
        """The size of the run of each compute."""
        product = flops / fit.flops_per_param_token
        if self.params is not None and self.tokens is not None:
            return np.asarray(np.sqrt(product * self.params / self.tokens))
        if self.params is not None:
            return np.full_like(product, self.params)
        if self.tokens is not None:
            return np.asarray(product / self.tokens)
        if fit.ladder:
            return np.array([fit.ladder.split(budget, fit.flops_per_param_token)[0] for budget in flops])
        return best_split(fitted(fit).point_estimate, flops)[0]

    def text(self, first: Fit, second: Fit) -> str:
        """How compute is spent, in words."""
        if self.params is not None and self.tokens is not None:
            return f"at {self.tokens / self.params:.3g} tokens per parameter"
        if self.params is not None:
            return f"at {self.params:.3g} parameters"
        if self.tokens is not None:
            return f"at {self.tokens:.3g} tokens"
        kinds = [_own_split(fit) for fit in (first, second)]
        return f"each {kinds[0]}" if kinds[0] == kinds[1] else f"the first {kinds[0]}, the second {kinds[1]}"


def _own_split(fit: Fit) -> str:
    if fit.ladder:
        return "along its own ladder"
    return "at its best split" if {"params", "tokens"} & set(find_law(fit.law).features) else "by its law of compute"
