"""N* and D* of any law in parameters and tokens, by search: for laws without a closed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from foretoken.errors import ForetokenError, RefusedError
from foretoken.laws.law import Law

SIZES = (1e2, 1e18)
"""Where the search looks, in parameters."""


def best_size(
    law: Law, parameters: Mapping[str, float], C: float, flops_per_param_token: float = 6.0, **others: Any
) -> tuple[float, float]:
    """N and D of least loss with flops_per_param_token x N x D = C; `others` are the law's further features.

    Raises RefusedError where the loss has no least value inside, ForetokenError for a law without N and D.

    >>> from foretoken.laws import CHINCHILLA, PUBLISHED
    >>> n, d = best_size(CHINCHILLA, PUBLISHED["besiroglu_2024"].parameters, 5.76e23)
    >>> f"{n:.3g} {d / n:.1f}"
    '7.22e+10 18.4'
    """
    if not {"params", "tokens"} <= set(law.features):
        raise ForetokenError(
            f"the law {law.name!r} does not split compute",
            expected="a law that reads params and tokens",
            got=", ".join(law.features),
        )
    low, high = np.log(SIZES)
    for zoom in range(4):
        grid = np.linspace(low, high, 201)
        N = np.exp(grid)
        loss = law.evaluate(parameters, params=N, tokens=C / (flops_per_param_token * N), **others)
        best = int(np.argmin(np.where(np.isfinite(loss), loss, np.inf)))
        if zoom == 0 and best in (0, 200):
            evidence = f"the loss of {law.name!r} at {C:.4g} FLOP is least at the edge of the search ({N[best]:.3g})"
            raise RefusedError("no_interior_minimum", evidence, "take a law whose terms fall in both N and D")
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 200)]
    N_best = float(np.exp(grid[best]))
    return N_best, C / (flops_per_param_token * N_best)
