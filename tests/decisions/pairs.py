"""Two recipes whose true losses are known, as tables of runs."""

from __future__ import annotations

import numpy as np
import pandas as pd

SIZES, RATIOS = (1e7, 3e7, 1e8, 3e8), (10, 30, 90)


def true_loss(params: object, tokens: object, scale: float = 1.0, alpha: float = 0.34) -> np.ndarray:
    """Chinchilla's form."""
    n, d = np.asarray(params), np.asarray(tokens)
    return 1.7 + scale * 400 * (n / 1e8) ** -alpha * 1e8**-0.34 + 900 / d**0.33


def table(scale: float = 1.0, alpha: float = 0.34, noise: float = 0.002, seed: int = 0) -> pd.DataFrame:
    """Twelve runs of a recipe; `alpha` pivots at 100M parameters."""
    n, ratio = (part.ravel() for part in np.meshgrid(SIZES, RATIOS))
    loss = true_loss(n, n * ratio, scale, alpha) * np.exp(noise * np.random.default_rng(seed).standard_normal(len(n)))
    return pd.DataFrame({"params": n, "tokens": n * ratio, "loss": loss})


def many(recipes: int = 10, seeds: int = 2, noise: float = 0.004) -> pd.DataFrame:
    """A ladder of six sizes of many recipes, whose levels lie 1 % apart."""
    g = np.random.default_rng(0)
    n, r, s = (part.ravel() for part in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.arange(recipes), np.arange(seeds)))
    loss = (1.7 + 400 / n**0.34) * np.exp(0.01 * r + noise * g.standard_normal(len(n)))
    accuracy = 0.9 - 0.1 * loss
    return pd.DataFrame({"recipe": [f"r{k:.0f}" for k in r], "params": n, "tokens": 20 * n, "seed": s, "loss": loss,
                         "accuracy": accuracy})  # fmt: skip
