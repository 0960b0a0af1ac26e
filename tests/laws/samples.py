"""A truth for every law, and runs on which it can be told."""

from __future__ import annotations

import numpy as np

from foretoken.laws import LAWS, PUBLISHED, Law
from foretoken.laws.multi_power import histories

RANGES = {
    "params": (1e7, 1e10), "tokens": (1e9, 1e12), "flops": (1e18, 1e22), "flops_min": (1e18, 1e22),
    "steps_min": (1e3, 1e5), "size": (1e2, 1e7), "data": (1e3, 1e8), "loss": (2.0, 4.0),
}  # fmt: skip
LEVELS = {
    "experts": [1, 2, 4, 8, 16, 32, 64, 128, 256], "granularity": [1, 2, 4, 8, 16], "bits_weights": [3, 4, 6, 8, 16],
    "bits_activations": [3, 4, 6, 8, 16], "bits_kv": [2, 3, 4, 8, 16], "bits_post": [2, 3, 4, 6],
}  # fmt: skip
TRUTHS: dict[str, dict[str, float]] = {
    "power": {"a": 20.0, "b": 0.05},
    "saturating_params": {"E": 1.7, "a": 400.0, "b": 0.34},
    "saturating_tokens": {"E": 1.7, "a": 2000.0, "b": 0.36},
    "saturating_flops": {"E": 1.7, "a": 1500.0, "b": 0.155},
    "coupled": {"E": 1.7, "A": 400.0, "B": 2000.0, "alpha": 0.34, "beta": 0.36, "gamma": 0.6},
    "routing_unsaturated": {"a": -0.083, "b": -0.12, "c": 0.01, "d": 1.11},
    "accuracy_sigmoid": {"a": 0.6, "b": 0.25, "k": -4.0, "L_0": 2.8},
    "accuracy_flops": {"a": 0.6, "b": 0.25, "k": 0.7, "X_0": 1e20},
    "broken_1": {"a": 0.1, "b": 3.0, "c0": 0.1, "c1": 0.3, "d1": 2e4, "f1": 0.3},
    "broken_2": {"a": 0.1, "b": 3.0, "c0": 0.1, "c1": 0.4, "d1": 3e3, "f1": 0.2, "c2": -0.3, "d2": 4e5, "f2": 0.3},
    "broken_3": {
        "a": 0.1, "b": 3.0, "c0": 0.1, "c1": 0.4, "d1": 1e3, "f1": 0.15, "c2": -0.3, "d2": 2e4, "f2": 0.15,
        "c3": 0.4, "d3": 5e5, "f3": 0.15,
    },
    "size_error": {"E": 0.05, "A": 3.0, "alpha": 0.4},
    "size_score": {"top": 0.92, "A": 3.0, "alpha": 0.4},
    "size_accuracy": {"a": 0.6, "b": 0.25, "k": 0.7, "X_0": 2e4},
    "table_error": {"E": 0.05, "A": 3.0, "alpha": 0.4, "B": 9.0, "beta": 0.3},
    "table_score": {"top": 0.92, "A": 3.0, "alpha": 0.4, "B": 9.0, "beta": 0.3},
}  # fmt: skip
for _published in PUBLISHED.values():
    TRUTHS.setdefault(_published.law, _published.parameters)


def runs(law: Law, count: int = 120, seed: int = 0) -> np.ndarray:
    """Features x [r, f] of simulated runs, as logarithms."""
    if law.sequence_input:
        with np.errstate(divide="ignore"):
            return np.log(np.concatenate([histories(curve, 0.004, range(20, 401, 20)) for curve in schedules()]))
    generator = np.random.default_rng(seed)
    columns: dict[str, np.ndarray] = {}
    for name in law.features:
        if name in LEVELS:
            columns[name] = generator.choice(np.array(LEVELS[name], dtype=float), count)
        elif name == "unique_tokens":
            columns[name] = columns["tokens"] / np.exp(generator.uniform(0, np.log(60), count))
        else:
            columns[name] = np.exp(generator.uniform(*np.log(RANGES[name]), count))
    return np.log(np.column_stack([columns[name] for name in law.features]))


def schedules(steps: int = 400, peak: float = 1.5e-3) -> list[np.ndarray]:
    """Constant, cosine, two with one step down, one that decays at the end."""
    step = np.arange(steps)
    return [
        np.full(steps, peak),
        peak * (0.1 + 0.45 * (1 + np.cos(np.pi * step / steps))),
        np.where(step < 250, peak, 0.3 * peak),
        np.where(step < 100, peak, 0.1 * peak),
        np.where(step < 300, peak, peak * np.exp(-(step - 300) / 40)),
    ]


def searched_optimum(
    law: Law, parameters: dict[str, float], C: float, flops_per_param_token: float = 6.0, **others: float
) -> tuple[float, float]:
    """N and D of least loss with flops_per_param_token x N x D = C, from a grid that zooms in."""
    low, high = np.log((1e2, 1e18))
    for _ in range(4):
        grid = np.linspace(low, high, 201)
        N = np.exp(grid)
        loss = law.evaluate(parameters, params=N, tokens=C / (flops_per_param_token * N), **others)
        best = int(np.nanargmin(loss))
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, 200)]
    return float(N[best]), C / (flops_per_param_token * float(N[best]))


untested, unknown = sorted(set(LAWS) - set(TRUTHS)), sorted(set(TRUTHS) - set(LAWS))
assert not untested, f"add parameters of {untested} to TRUTHS in tests/laws/samples.py: every law is tested on them"
assert not unknown, f"TRUTHS in tests/laws/samples.py has laws that are not in LAWS: {unknown}"
