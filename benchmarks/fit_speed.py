"""How long a fit takes: point estimate, bootstrap, many L-BFGS starts beside it, and a million runs.

usage: python benchmarks/fit_speed.py TABLE.csv [--starts 4500] [--rows 1000000]

TABLE.csv holds params, tokens (or flops) and loss, for example the points of Hoffmann et al. 2022 as read by Besiroglu
et al. 2024. The rival is their procedure: scipy's L-BFGS-B from a grid of 4,500 starts, exact gradient, Huber at 0.001.
"""

from __future__ import annotations

import argparse
import resource
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import minimize

from foretoken.fits import fit
from foretoken.fits.bootstrap import bootstrap, cluster_errors
from foretoken.fits.estimate import DELTA, Sample, Unpenalised, estimate_map, estimate_unpenalised
from foretoken.fits.objectives import huber
from foretoken.fits.rows import Rows, clean_rows
from foretoken.laws import CHINCHILLA
from foretoken.laws.law import Array
from foretoken.runs.table import RunTable
from foretoken.store.read import read_table


def rival(rows: Rows, starts: int) -> tuple[float, float]:
    """Seconds, and the least Huber sum, of L-BFGS-B from `starts` points of Hoffmann's grid."""
    n, d, y = np.log(rows.params), np.log(rows.tokens), np.log(rows.y)

    def objective(p: Array) -> tuple[float, Array]:
        terms = np.stack([p[0] - p[3] * n, p[1] - p[4] * d, np.full_like(n, p[2])])
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        total = shares.sum(axis=0)
        shares /= total
        residual = top + np.log(total) - y
        pull = np.clip(residual, -DELTA, DELTA)
        slope = [(pull * shares[k]).sum() for k in range(3)]
        slope += [-(pull * shares[0] * n).sum(), -(pull * shares[1] * d).sum()]
        return float(huber(residual, DELTA).sum()), np.array(slope)

    grid = np.array(list(product(*[np.arange(0, 30, 5.0)] * 2, np.arange(-1, 1.5, 0.5), *[np.arange(0, 2.5, 0.5)] * 2)))
    chosen = grid[np.random.default_rng(0).permutation(len(grid))[:starts]]
    options = {"maxiter": 3000, "maxfun": 6000, "ftol": 1e-15, "gtol": 1e-12}
    began = time.perf_counter()
    least = min(minimize(objective, p, jac=True, method="L-BFGS-B", options=options).fun for p in chosen)
    return time.perf_counter() - began, float(least)


def ours(rows: Rows) -> tuple[float, Unpenalised, Sample]:
    """Seconds (the median of five), the unpenalised estimate, and its sample."""
    sample = Sample.of(CHINCHILLA, rows.features(CHINCHILLA), rows.y, rows.tokens)
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        unpenalised = estimate_unpenalised(sample)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)), unpenalised, sample


def replicates(rows: Rows, sample: Sample, unpenalised: Unpenalised, draws: int) -> float:
    """Seconds of a bootstrap, with the choice of its kind, the draws of both estimates."""
    map_theta, noise = estimate_map(sample, unpenalised.theta)
    sigma = noise.at(sample.effort)
    began = time.perf_counter()
    bootstrap(sample, cluster_errors(sample, rows, map_theta, sigma), map_theta, unpenalised, sigma, draws, 0)
    return time.perf_counter() - began


def million(rows: int) -> tuple[float, dict[str, float]]:
    """Seconds of a whole fit, and its estimate, of simulated runs."""
    generator = np.random.default_rng(0)
    n = np.exp(generator.uniform(np.log(1e7), np.log(1e10), rows))
    d = np.exp(generator.uniform(np.log(1e8), np.log(1e12), rows))
    truth = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}
    loss = CHINCHILLA.evaluate(truth, params=n, tokens=d) * np.exp(0.005 * generator.standard_normal(rows))
    table = RunTable(pd.DataFrame({"params_total": n, "tokens": d, "loss": loss}), "simulated")
    began = time.perf_counter()
    found = fit(table)
    return time.perf_counter() - began, found.unpenalised_parameters


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--starts", type=int, default=4500)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    rows = clean_rows(read_table(options.table))
    seconds, unpenalised, sample = ours(rows)
    print(f"point estimate {seconds:.3f} s, Huber sum {unpenalised.huber_sum:.10f}", flush=True)
    print(f"1,000 bootstrap replicates {replicates(rows, sample, unpenalised, 1000):.2f} s", flush=True)
    if options.starts:
        slow, least = rival(rows, options.starts)
        print(
            f"{options.starts} L-BFGS starts {slow:.1f} s, Huber sum {least:.10f}: {slow / seconds:.0f} times as long"
        )
    if options.rows:
        took, estimates = million(options.rows)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        told = ", ".join(f"{name} {value:.5g}" for name, value in estimates.items())
        print(f"{options.rows} runs: {took:.1f} s, at most {peak:.2f} GB: {told}")


if __name__ == "__main__":
    main()
