"""How often a plan's intervals hold, and what its advice loses, on simulated users whose true law is known.

usage: python benchmarks/plan.py [--tables 200] [--flops 1e22] [--law chinchilla]

Each user has an IsoFLOP ladder as in coverage.py --grid: 5 budgets from 1e18 to 1e20 FLOP, 7 sizes each, noise of 0.4 %
per run, alone, or with 0.6 % that the runs of a budget share. Truths: the coefficients of Besiroglu et al. 2024, and
the same with exponents drawn from 0.28 to 0.45 and irreducible losses of 1.5 to 2. Regret is the true loss of the
planned run over that of the true best split of the same compute, less 1.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
import pandas as pd

from foretoken.fits import fit
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.plans.loss_model import fitted
from foretoken.plans.split import allocate
from foretoken.runs.table import RunTable

NOISE, SHARED = 0.004, 0.006
KINDS = ("one law", "one law, shared error", "many laws", "many laws, shared error")


def truth(generator: np.random.Generator, kind: str) -> dict[str, float]:
    """The published coefficients, or others whose terms are as large at 1e19 FLOP."""
    found = dict(PUBLISHED["besiroglu_2024"].parameters)
    if kind.startswith("many"):
        n, d = CHINCHILLA.optimum(found, 1e19)
        alpha, beta = generator.uniform(0.28, 0.45, 2)
        found["A"] *= n**alpha / n ** found["alpha"]
        found["B"] *= d**beta / d ** found["beta"]
        found |= {"alpha": alpha, "beta": beta, "E": generator.uniform(1.5, 2.0)}
    return found


def ladder(generator: np.random.Generator, parameters: dict[str, float], kind: str) -> RunTable:
    """IsoFLOP runs around the true best sizes, off by up to a factor 1.5."""
    flops = np.repeat(np.geomspace(1e18, 1e20, 5), 7)
    n = CHINCHILLA.optimum(parameters, flops)[0] * np.tile(np.geomspace(1 / 8, 8, 7), 5)
    n = n * generator.uniform(1 / 1.5, 1.5)
    d = flops / (6 * n)
    shared = SHARED * generator.standard_normal(5) if "shared" in kind else np.zeros(5)
    noise = NOISE * generator.standard_normal(35) + np.repeat(shared, 7)
    loss = CHINCHILLA.evaluate(parameters, params=n, tokens=d) * np.exp(noise)
    return RunTable(pd.DataFrame({"params_total": n, "tokens": d, "flops": flops, "loss": loss}), "simulated")


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--flops", type=float, default=1e22)
    parser.add_argument("--law", default="chinchilla")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    print(f"{options.law}, {options.tables} users each, plans for {options.flops:g} FLOP")
    print(f"{'truth':24s} N* inside  loss inside  half width of N* (factor)  regret: mean, 95 %, most")
    for kind in KINDS:
        found = []
        for number in range(options.tables):
            generator = np.random.default_rng([7, number])
            parameters = truth(generator, kind)
            table = ladder(generator, parameters, kind)
            told = allocate(fitted(fit(table, options.law, draws=200)), options.flops)
            n, d = CHINCHILLA.optimum(parameters, options.flops)
            best = float(CHINCHILLA.evaluate(parameters, params=n, tokens=d))
            low, high = told.intervals["params"] or [np.nan, np.nan]
            ends = told.intervals["loss"] or [np.nan, np.nan]
            there = float(CHINCHILLA.evaluate(parameters, params=told.params, tokens=told.tokens))
            found.append((low <= n <= high, ends[0] <= there <= ends[1], np.sqrt(high / low), there / best - 1))
        size, loss, width, regret = np.array(found, dtype=float).T
        print(
            f"{kind:24s} {size.mean():9.3f} {loss.mean():12.3f} {np.median(width):17.2f}"
            f" {100 * regret.mean():18.4f} % {100 * np.quantile(regret, 0.95):.4f} % {100 * regret.max():.4f} %",
            flush=True,
        )


if __name__ == "__main__":
    main()
