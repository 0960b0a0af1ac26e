"""How often the routes' intervals of the exponent hold where each budget's losses are tilted, and how wide they are.

usage: python benchmarks/approaches.py [--tables 40]

Each table has 5 budgets from 1e18 to 1e20 FLOP and 7 sizes from N*/wide to wide N*, losses of Besiroglu et al. 2024,
0.35 % of noise per run; each budget draws its own tilt, loss x (N / N*)^t with t of the standard deviation named, as
a learning rate does that suits some sizes only. `disagree` counts tables with a doubt `routes_disagree`.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd

from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.routes import approaches
from foretoken.runs.table import RunTable

LAW = PUBLISHED["besiroglu_2024"].parameters
EXPONENT = LAW["beta"] / (LAW["alpha"] + LAW["beta"])
NOISE = 0.0035
CASES = ((0.01, 8.0), (0.01, 4.0), (0.003, 8.0), (0.0, 8.0), (0.0, 4.0))
"""(standard deviation of the tilt per e-fold of N, widest size over N*)."""


def tilted(generator: np.random.Generator, tilt: float, wide: float, budgets: int = 5) -> RunTable:
    """One table."""
    flops = np.repeat(np.geomspace(1e18, 1e20, budgets), 7)
    off = np.tile(np.linspace(-np.log(wide), np.log(wide), 7), budgets)
    n = CHINCHILLA.optimum(LAW, flops)[0] * np.exp(off)
    d = flops / (6 * n)
    errors = NOISE * generator.standard_normal(len(n)) + off * np.repeat(tilt * generator.standard_normal(budgets), 7)
    loss = CHINCHILLA.evaluate(LAW, params=n, tokens=d) * np.exp(errors)
    return RunTable(pd.DataFrame({"params_total": n, "tokens": d, "flops": flops, "loss": loss}), "simulated")


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=40)
    tables = parser.parse_args().tables
    warnings.simplefilter("ignore", RuntimeWarning)
    for tilt, wide in CASES:
        found: dict[str, list[tuple[bool, float]]] = {}
        disagree = 0
        for number in range(tables):
            told = approaches(tilted(np.random.default_rng([11, number]), tilt, wide))
            disagree += any(check.code == "routes_disagree" and check.is_doubt for check in told.checks)
            for route in told.routes:
                if route.exponent_interval:
                    low, high = route.exponent_interval
                    found.setdefault(route.name, []).append((low <= EXPONENT <= high, (high - low) / 2))
        print(f"tilt {100 * tilt:g} %, sizes to {wide:g} N*: {disagree} of {tables} disagree")
        for name, values in found.items():
            held, half = np.array(values, dtype=float).T
            print(f"  {name:26s} holds {held.sum():3.0f} of {len(held)}, half-width {np.median(half):.4f}", flush=True)


if __name__ == "__main__":
    main()
