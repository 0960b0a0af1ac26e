"""How often a forecast at 8 times the compute holds, and how wide it is, on simulated ladders and public tables.

usage: python benchmarks/coverage.py [--law coupled] [--tables 100] [--seed 0] [--data FOLDER]

Simulated ladders look like a study's: 4 budgets a factor 2 apart, 5 or 6 sizes each, noise of 0.2 to 0.5 % per run,
part of it shared by the runs of one size. The truths are the law that is fitted, and four that are not: a D-exponent
that flattens, an N-D interaction, Kaplan's form, and a learning rate that is off at sizes away from the middle.
With --data, the tables of a folder are cut at quantiles of compute and the rest is forecast.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.forecasts import plain_loss, predict, rival_forecasts
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
    print(f"{'truth':14s} inside half width (median, 95 %)  within 2 %  rms error: pooled plain power  bias  E given")
    for name, values in found.items():
        error, half, inside, plain_error, power, given = np.array(values).T
        rms = [100 * float(np.sqrt((e**2).mean())) for e in (error, plain_error, power)]
        print(
            f"{name:14s} {inside.mean():6.2f} {100 * np.median(half):8.2f} % {100 * np.quantile(half, 0.95):6.2f} %"
            f" {(np.abs(error) < 0.02).mean():12.2f} {rms[0]:12.2f} % {rms[1]:5.2f} % {rms[2]:5.2f} %"
            f" {100 * error.mean():+.2f} % {given.mean():.2f}",
            flush=True,
        )


def public_tables(folder: Path) -> dict[str, pd.DataFrame]:
    """Published run tables in canonical columns, only rows that a sensible user would fit."""
    found = {}
    epoch = pd.read_csv(folder / "chinchilla_epoch.csv")
    found["chinchilla_245"] = epoch
    found["chinchilla_240"] = epoch[epoch.loss < epoch.loss.nlargest(5).min()]
    openlm = pd.read_csv(folder / "openlm_overtraining.csv")
    for name, part in openlm.groupby("dataset"):
        found[f"openlm_{name}"] = part.assign(loss=part.loss_c4_val)
    repeated = pd.read_csv(folder / "datablations.csv")
    found["datablations_1"] = repeated[(repeated.dedup_data == 0) & (repeated.epochs <= 1.0001)]
    found["datablations_4"] = repeated[(repeated.dedup_data == 0) & (repeated.epochs <= 4.0001)]
    porian = pd.read_csv(folder / "porian_isoflop.csv")
    porian = porian[(porian.counting == "standard") & (porian.loss_kind == "val")]
    porian = porian.assign(params=porian.params_with_head)
    for key, part in porian.groupby(["dataset", "hparams", "warmup", "decay"]):
        found["porian_" + "_".join(key)] = part
        found["porian_" + "_".join(key) + "_ge2"] = part[part.tokens >= 2 * part.params]
    routing = pd.read_csv(folder / "routing_moe.csv")
    chosen = (routing.router == "Dense") & (routing.step >= 20000) & (routing.seed == 42)
    routing = routing[chosen & (routing.dense_flop_increase == 1)]
    routing = routing.assign(params=routing.dense_params, loss=routing.loss_validation)
    found["routing_dense"] = routing.assign(flops=6 * routing.params * routing.tokens)
    columns = ["params", "tokens", "flops", "loss"]
    return {name: frame[columns].dropna().reset_index(drop=True) for name, frame in found.items()}


def public(law: str, folder: Path, level: float) -> None:
    """Fit below a quantile of compute, forecast the rest: error of the pooled and plain estimates, and coverage."""
    totals = []
    print(f"{'table':50s}  q   error: pooled  plain   bias  inside  half width")
    for name, frame in public_tables(folder).items():
        for share in (0.5, 0.7):
            low = frame.flops <= frame.flops.quantile(share) * (1 + 1e-9)
            try:
                one = fit(RunTable(frame[low], name), law, draws=100)
            except ForetokenError as error:
                print(f"{name:50s} {share} {error.message[:60]}")
                continue
            rows = []
            for run in frame[~low].itertuples():
                told = predict(one, params=run.params, tokens=run.tokens, flops=run.flops, level=level)
                plain = plain_loss(one, run.params, run.tokens)
                inside = told.low <= run.loss <= told.high
                rows.append((told.loss / run.loss - 1, plain / run.loss - 1, inside, told.half_width))
            error, plain_error, inside, half = np.array(rows, dtype=float).T
            totals.append((np.abs(error).mean(), np.abs(plain_error).mean(), inside.mean(), np.median(half)))
            print(
                f"{name:50s} {share} {100 * totals[-1][0]:10.2f} % {100 * totals[-1][1]:6.2f} %"
                f" {100 * error.mean():+6.2f} % {inside.mean():5.2f} {100 * np.median(half):7.2f} %",
                flush=True,
            )
    mean = np.array(totals).mean(axis=0)
    print(f"mean of {len(totals)}: pooled {100 * mean[0]:.2f} % plain {100 * mean[1]:.2f} % inside {mean[2]:.2f}")
    median = 100 * np.median(np.array(totals), axis=0)
    print(f"median: pooled {median[0]:.2f} % plain {median[1]:.2f} % half width {median[3]:.2f} %")


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--law", default="coupled")
    parser.add_argument("--tables", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--level", type=float, default=0.9)
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    if options.tables:
        simulated(options.law, options.tables, options.seed, options.level)
    if options.data:
        public(options.law, options.data, options.level)


if __name__ == "__main__":
    main()
