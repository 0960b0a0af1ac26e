"""How often a forecast at 8 times the compute holds, and how wide it is, on simulated ladders and public tables.

usage: python benchmarks/coverage.py [--law coupled] [--tables 100] [--seed 0]
       python benchmarks/coverage.py --grid [--law chinchilla] [--tables 200]

Simulated ladders look like a study's: 4 budgets a factor 2 apart, 5 or 6 sizes each, noise of 0.2 to 0.5 % per run,
part of it shared by the runs of one size. The truths are the law that is fitted, and four that are not: a D-exponent
that flattens, an N-D interaction, Kaplan's form, and a learning rate that is off at sizes away from the middle.
With --grid: 5 budgets from 1e18 to 1e20 FLOP, 7 sizes each, forecast at 1e22, with independent noise (0.4 %), with an
error that the runs of a budget share added (0.6 %; the new run draws its own), and with heavy tails (Student's t with 3
degrees of freedom). Public tables: backtest.py.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from foretoken.fits import fit
from foretoken.fits.fit import fit_rows
from foretoken.fits.rows import clean_rows
from foretoken.forecasts import plain_loss, predict, rival_forecasts
from foretoken.laws import CHINCHILLA, PUBLISHED, find_law
from foretoken.runs.table import RunTable

FACTOR = 8.0
Truth = Callable[[Any, Any], Any]


def truths(generator: np.random.Generator) -> dict[str, Truth]:
    """Laws of one random text: loss 1.2 to 1.9 nats per byte around 40k parameters and 2.4M tokens, E 0.5 to 0.9."""
    alpha, beta = generator.uniform(0.25, 0.5, 2)
    E, middle = generator.uniform(0.5, 0.9), generator.uniform(1.4, 1.7)
    n0, d0 = 4e4, 2.4e6
    a, b = (middle - E) * beta / (alpha + beta), (middle - E) * alpha / (alpha + beta)

    def terms(n: Any, d: Any) -> tuple[Any, Any]:
        return a * (n / n0) ** -alpha, b * (d / d0) ** -beta

    def chinchilla(n: Any, d: Any) -> Any:
        return E + sum(terms(n, d))

    def flattening(n: Any, d: Any) -> Any:
        t, u = terms(n, d)
        return E + t + u * (1 + d / (4 * d0)) ** (0.3 * beta) * 1.25 ** (-0.3 * beta)

    def interaction(n: Any, d: Any) -> Any:
        t, u = terms(n, d)
        return E + t + u - 0.15 * np.sqrt(t * u)

    def kaplan(n: Any, d: Any) -> Any:
        t, u = a * (n / n0) ** -alpha, b * (d / d0) ** -beta
        return E + (t**1.3 + u**1.3) ** (1 / 1.3) * (a + b) / (a**1.3 + b**1.3) ** (1 / 1.3)

    def mistuned(n: Any, d: Any) -> Any:
        return chinchilla(n, d) * (1 + 0.004 * np.log(n / n0) ** 2 / math.log(2) ** 2 * 0.5)

    laws = (chinchilla, flattening, interaction, kaplan, mistuned)
    return {law.__name__: law for law in laws}


def ladder(truth: Truth, generator: np.random.Generator) -> tuple[RunTable, dict[str, float]]:
    """A noisy ladder, and the target with the loss that it will reach."""
    noise, shared = generator.uniform(0.002, 0.005), generator.uniform(0.0, 0.7)
    grid = 8e3 * 2 ** (np.arange(14) * 0.5)
    trunk = dict(zip(grid, generator.standard_normal(len(grid)), strict=True))
    rows = []
    for step in range(4):
        budget = 3e11 * 2**step
        centre = 2.4e4 * 2 ** (0.5 * step) * generator.uniform(0.8, 1.25)
        near = grid[np.argsort(np.abs(np.log(grid / centre)))[: generator.integers(5, 7)]]
        for n in sorted(near):
            z = math.sqrt(shared) * trunk[n] + math.sqrt(1 - shared) * generator.standard_normal()
            d = budget / (6 * n)
            rows.append((f"b{step}", f"n{n:.0f}", n, d, budget, float(truth(n, d)) * math.exp(noise * z)))
    names = ["group", "parent", "params_total", "tokens", "flops", "loss"]
    frame = pd.DataFrame(rows, columns=names)
    flops = FACTOR * frame["flops"].max()
    n = 2.4e4 * 2**1.5 * math.sqrt(FACTOR)
    d = flops / (6 * n)
    loss = float(truth(n, d)) * math.exp(noise * generator.standard_normal())
    return RunTable(frame, "simulated"), {"params": n, "tokens": d, "flops": flops, "loss": loss}


def simulated(law: str, tables: int, seed: int, level: float) -> None:
    """Print coverage, half widths and errors for each truth."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for number in range(tables):
        for name in truths(np.random.default_rng([seed, number])):
            generator = np.random.default_rng([seed, number])
            truth = truths(generator)[name]
            table, target = ladder(truth, generator)
            one = fit(table, law, draws=200)
            to = {key: target[key] for key in ("params", "tokens", "flops")}
            told = predict(one, **to, level=level)
            plain = plain_loss(one, target["params"], target["tokens"])
            rivals = rival_forecasts(one, flops=target["flops"])
            loss = target["loss"]
            found.setdefault(name, []).append(
                (
                    told.loss / loss - 1,
                    told.half_width,
                    float(told.low <= loss <= told.high),
                    plain / loss - 1,
                    rivals["power_law"] / loss - 1,
                    float(one.parameters["E"] is not None),
                )
            )
    print(f"{'truth':14s} inside half width (median, 95 %)  within 2 %  rms error: MAP Huber power  bias  E given")
    for name, values in found.items():
        error, half, inside, plain_error, power, given = np.array(values).T
        rms = [100 * float(np.sqrt((e**2).mean())) for e in (error, plain_error, power)]
        print(
            f"{name:14s} {inside.mean():6.2f} {100 * np.median(half):8.2f} % {100 * np.quantile(half, 0.95):6.2f} %"
            f" {(np.abs(error) < 0.02).mean():12.2f} {rms[0]:12.2f} % {rms[1]:5.2f} % {rms[2]:5.2f} %"
            f" {100 * error.mean():+.2f} % {given.mean():.2f}",
            flush=True,
        )


NOISE, SHARED, TAILS = 0.004, 0.006, 3.0
KINDS = ("independent", "shared by budget", "heavy tails")


def grid(generator: np.random.Generator, kind: str) -> tuple[RunTable, dict[str, float]]:
    """IsoFLOP runs around the best size of a published law, with noise; and a run of 1e22 FLOP."""
    truth = PUBLISHED["besiroglu_2024"].parameters
    assert CHINCHILLA.optimum is not None
    flops = np.append(np.repeat(np.geomspace(1e18, 1e20, 5), 7), 1e22)
    n = CHINCHILLA.optimum(truth, flops)[0] * np.append(np.tile(np.geomspace(1 / 8, 8, 7), 5), 1.0)
    d = flops / (6 * n)
    noise = generator.standard_t(TAILS, 36) if kind == "heavy tails" else generator.standard_normal(36)
    budgets = np.append(np.repeat(np.arange(5), 7), 5)
    shared = SHARED * generator.standard_normal(6)[budgets] if kind == "shared by budget" else 0.0
    loss = CHINCHILLA.evaluate(truth, params=n, tokens=d) * np.exp(NOISE * noise + shared)
    frame = pd.DataFrame({"params_total": n, "tokens": d, "flops": flops, "loss": loss})
    target = {name: float(values.iloc[-1]) for name, values in frame.items()}
    return RunTable(frame.iloc[:-1], "simulated"), target


def simulated_grid(law: str, tables: int, seed: int, level: float) -> None:
    """Print coverage, half widths and errors for each kind of noise."""
    print(f"{law}, {tables} tables each: inside, half width (median, 95 %), rms error, bias, growth above 0")
    for kind in KINDS:
        found = []
        for number in range(tables):
            table, target = grid(np.random.default_rng([seed, number]), kind)
            one = fit_rows(clean_rows(table), find_law(law), "", draws=200, brief=True)
            told = predict(one, params=target["params_total"], tokens=target["tokens"], flops=1e22, level=level)
            inside = told.low <= target["loss"] <= told.high
            found.append((told.loss / target["loss"] - 1, inside, told.half_width, one.noise.misfit_growth > 0))
        error, held, half, grown = np.array(found, dtype=float).T
        print(
            f"{kind:18s} {held.mean():5.3f} {100 * np.median(half):6.2f} % {100 * np.quantile(half, 0.95):6.2f} %"
            f" {100 * np.sqrt((error**2).mean()):6.2f} % {100 * error.mean():+6.2f} % {grown.mean():5.2f}",
            flush=True,
        )


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law")
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--grid", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    told = simulated_grid if options.grid else simulated
    told(options.law or ("chinchilla" if options.grid else "coupled"), options.tables, options.seed, options.level)


if __name__ == "__main__":
    main()
