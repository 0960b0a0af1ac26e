"""How often the doctor cries wolf: doubts that `foretoken diagnose` raises about tables drawn from a law.

usage: python benchmarks/alarms.py [--tables 100] [--seed 0]

IsoFLOP grids (5 budgets from 1e18 to 1e20 FLOP, 7 sizes) with independent noise, with an error that the runs of a
budget share, and with heavy tails, as in coverage.py; a ladder of 8 sizes at 5 ratios of tokens to parameters; and
study ladders, whose sizes are not centred on N*.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Callable

import numpy as np
import pandas as pd

from coverage import KINDS, grid, ladder, truths
from foretoken.checks import diagnose
from foretoken.laws import CHINCHILLA, PUBLISHED
from foretoken.runs.table import RunTable

Maker = Callable[[np.random.Generator], RunTable]


def ratio_ladder(generator: np.random.Generator) -> RunTable:
    """8 sizes at 5 ratios of tokens to parameters, noise of 0.4 %."""
    n, ratio = np.repeat(np.geomspace(1e7, 1e9, 8), 5), np.tile([5.0, 10.0, 20.0, 40.0, 80.0], 8)
    loss = CHINCHILLA.evaluate(PUBLISHED["besiroglu_2024"].parameters, params=n, tokens=ratio * n)
    noisy = loss * np.exp(0.004 * generator.standard_normal(len(n)))
    frame = pd.DataFrame({"params_total": n, "tokens": ratio * n, "flops": 6 * ratio * n**2, "loss": noisy})
    return RunTable(frame, "simulated")


def study_ladder(generator: np.random.Generator) -> RunTable:
    """A small study's ladder."""
    return ladder(truths(generator)["chinchilla"], generator)[0]


def isoflop_grid(kind: str) -> Maker:
    """A grid with one kind of noise."""
    return lambda generator: grid(generator, kind)[0]


MAKERS: dict[str, Maker] = {
    **{f"grid, {kind}": isoflop_grid(kind) for kind in KINDS},
    "ladder of ratios": ratio_ladder,
    "study ladder": study_ladder,
}


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    for name, make in MAKERS.items():
        codes: Counter[str] = Counter()
        alarmed = 0
        for number in range(options.tables):
            checks = diagnose(make(np.random.default_rng([options.seed, number]))).checks
            doubts = {check.code for check in checks if check.severity != "note"}
            codes.update(doubts)
            alarmed += bool(doubts)
        told = ", ".join(f"{code} {count}" for code, count in codes.most_common())
        print(f"{name:24s} {alarmed:4d} of {options.tables} tables with a doubt: {told or 'none'}", flush=True)


if __name__ == "__main__":
    main()
