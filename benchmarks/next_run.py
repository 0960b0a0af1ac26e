"""What the ladder of `next_run` is worth beside IsoFLOP grids, on simulated laws.

usage: python benchmarks/next_run.py [--law coupled] [--tables 100] [--known hoffmann_2022_tex] [--powers 0.5 1]

Each table is simulated from a law that the design does not know, with noise of 0.4 % per run at the tokens of the
grid's largest budget and a variance that falls like tokens^-power, fitted as `foretoken fit` does it, and forecast at
1e22 FLOP (twenty tokens per parameter). The grid: 5 budgets from 1e18 to 1e20 FLOP, 7 sizes each within a factor of 8,
1.02e21 FLOP in all; the narrow one: 4 budgets a factor 2 apart, 7 sizes a factor 1.28 apart, for the same cost. `half`
is next_run's ladder for half of that, with three seeds of its draws and its search; `strict` the same without a run
larger than the grid's. The seed of the tables, 2027, was fixed before they were first made; the design's constants were
chosen on others.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from foretoken.fits.fit import fit_rows
from foretoken.fits.rows import clean_rows
from foretoken.forecasts.predict import predict
from foretoken.laws import PUBLISHED, find_law
from foretoken.plans.next_run import next_run
from foretoken.runs.table import RunTable

SEED, NOISE, TARGET, RATIO = 2027, 0.004, 1e22, 20.0
COUPLED = {"E": 1.7, "A": 120.0, "B": 150.0, "alpha": 0.26, "beta": 0.24, "gamma": 0.5}
Truth = Callable[[np.ndarray, np.ndarray], np.ndarray]
Runs = tuple[np.ndarray, np.ndarray]
"""N and D."""


def published(name: str) -> Truth:
    entry = PUBLISHED[name]
    return lambda n, d: find_law(entry.law).predict(entry.parameters, n, d)


def mistuned(n: np.ndarray, d: np.ndarray) -> np.ndarray:
    """A learning rate that is off by more the further a model is from 90M parameters: no law holds."""
    return published("besiroglu_2024")(n, d) * np.exp(1e-3 * np.log(n / 9e7) ** 2)


TRUTHS: dict[str, Truth] = {
    "besiroglu": published("besiroglu_2024"),
    "coupled": lambda n, d: find_law("coupled").predict(COUPLED, n, d),
    "krajewski": published("krajewski_2024_dense"),
    "kaplan": published("kaplan_2020"),
    "mistuned": mistuned,
}
"""The first three were declared; the other two are harder."""
LADDERS: tuple[tuple[str, float, dict[str, Any]], ...] = (
    ("half", 0.5, {}),
    ("half, seed 1", 0.5, {"seed": 1}),
    ("half, seed 2", 0.5, {"seed": 2}),
    ("strict", 0.5, {"largest": 1e20}),
    ("quarter", 0.25, {}),
)


def isoflop(budgets: np.ndarray, around: np.ndarray) -> Runs:
    n = (np.sqrt(budgets / 6 / RATIO)[:, None] * around).ravel()
    return n, np.repeat(budgets, len(around)) / 6 / n


def designs(law: str, known: str | None) -> dict[str, Runs]:
    wide = np.geomspace(1e18, 1e20, 5)
    total = 7 * wide.sum()
    narrow = 2.0 ** np.arange(4)
    found = {
        "grid": isoflop(wide, np.geomspace(1 / 8, 8, 7)),
        "narrow": isoflop(narrow * total / (7 * narrow.sum()), 1.28 ** np.arange(-3, 4)),
    }
    for name, share, limits in LADDERS:
        ladder = next_run(known, flops=TARGET, spend=share * total, law=law, **limits)
        seeds = [run.seeds for run in ladder.runs]
        found[name] = tuple(
            np.repeat([getattr(run, key) for run in ladder.runs], seeds) for key in ("params", "tokens")
        )  # type: ignore[assignment]
        expected, plain = 100 * ladder.expected["half_width_after"], 100 * (ladder.isoflop["half_width"] or 0)
        print(
            f"  {name}: {sum(seeds)} runs, {ladder.total_flops / total:.2f} of the grid's FLOPs, expected half width"
            f" {expected:.2f} % (IsoFLOP {plain:.2f} %), as good as IsoFLOP for"
            f" {(ladder.isoflop['same_precision_flops'] or math.inf) / ladder.total_flops:.1f} times the cost"
        )
    return found


def simulate(truth: Truth, runs: Runs, law: str, power: float, tables: int, draws: int) -> tuple[float, ...]:
    """Root mean square, bias of the forecasts on ln loss, median half width, share of intervals that hold."""
    n, d = runs
    size = math.sqrt(TARGET / 6 / RATIO)
    most = math.sqrt(1e20 / 6 / RATIO) * RATIO
    real = float(truth(np.array(size), np.array(RATIO * size)))
    found = []
    for number in range(tables):
        generator = np.random.default_rng([SEED, number])
        loss = truth(n, d) * np.exp(NOISE * (d / most) ** (-power / 2) * generator.standard_normal(len(n)))
        frame = pd.DataFrame({"params_total": n, "tokens": d, "flops": 6 * n * d, "loss": loss})
        one = fit_rows(clean_rows(RunTable(frame, "simulated")), find_law(law), "", draws=draws, brief=True)
        told = predict(one, params=size, tokens=RATIO * size)
        reached = real * math.exp(NOISE * generator.standard_normal())
        found.append((math.log(told.loss / real), told.half_width, told.low <= reached <= told.high))
    error, half, inside = np.array(found, dtype=float).T
    return float(np.sqrt((error**2).mean())), float(error.mean()), float(np.median(half)), float(inside.mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", default="coupled")
    parser.add_argument("--known")
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--draws", type=int, default=60)
    parser.add_argument("--powers", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--truths", nargs="+", default=list(TRUTHS))
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    print(f"fitted: {options.law}, known: {options.known or 'nothing'}, {options.tables} tables each")
    found = designs(options.law, options.known)
    print("rms error (bias) [median half width, inside], in %")
    for name in options.truths:
        for power in options.powers:
            told = []
            for kind, runs in found.items():
                rms, bias, half, inside = simulate(
                    TRUTHS[name], runs, options.law, power, options.tables, options.draws
                )
                told.append(f"{kind} {100 * rms:.2f} ({100 * bias:+.2f}) [{100 * half:.2f}, {100 * inside:.0f}]")
            print(f"{name:10s} tokens^-{power:g}: " + " | ".join(told), flush=True)


if __name__ == "__main__":
    main()
