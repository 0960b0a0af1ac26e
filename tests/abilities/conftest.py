from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from foretoken.abilities.axes import CurveName
from foretoken.abilities.curve import Curve
from foretoken.laws.law import Array

SPAN = np.log(1000.0)


@pytest.fixture
def measured() -> Callable[..., Curve]:
    """A curve of scores, measured on items drawn by chance, about `mean` of the place between 0 and 1."""

    def make(
        mean: Callable[[Array], Array],
        *,
        sizes: int = 12,
        items: int = 1000,
        seed: int = 0,
        metric: str = "acc",
        **levels: float,
    ) -> Curve:
        u = np.linspace(0.0, 1.0, sizes)
        score = np.random.default_rng(seed).binomial(items, np.clip(mean(u), 0.0, 1.0)) / items
        known: dict[str, float | None] = {"chance": None, "ceiling": None, "human": None, **levels}
        name = CurveName("", "task", metric, "")
        n = np.full(sizes, float(items))
        return Curve(name, "params", 1e8 * np.exp(SPAN * u), score, n, "up", "fraction", **known)

    return make


@pytest.fixture
def frame() -> Callable[..., pd.DataFrame]:
    """Scores of `tasks` by name, at sizes from 1e8 to 1e11."""

    def make(**tasks: Array) -> pd.DataFrame:
        parts = [
            pd.DataFrame({
                "params": 1e8 * np.geomspace(1.0, 1e3, len(score)),
                "tokens": 3e11, "task": task, "metric": "acc", "score": score, "n": 2000,
            })
            for task, score in tasks.items()
        ]  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    return make
