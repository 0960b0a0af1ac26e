"""Scores of the largest runs, forecast from the smaller ones: asked and measured.

usage: python benchmarks/downstream.py [--data ../shared/data/scaling] [--part openlm|published|tuned|observational]

openlm         the two runs with the most compute of each data set (Gadre et al. 2024), forecast from the others: inside
               their 90 % interval, error, interval score, by route; averages over 17 and 46 tasks, HellaSwag, all tasks
published      the paper's own form: relative errors of RedPajama's average error at 6.9B and at 1.4B, M = 640
tuned          runs on which settings were chosen: never those two, and three losses
observational  the same two runs by what all data sets' models have in common; and simulated families with known truth
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import curve_fit

import foretoken as ft
from foretoken.abilities.downstream_result import Downstream
from foretoken.laws import CHINCHILLA
from foretoken.laws.downstream import error

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "scaling"
LOSSES = ("loss_c4_val", "loss_paloma_redpajama", "loss_openlm")
AVERAGES = ("avg_17", "avg_46")
LEVEL = 0.9
Row = dict[str, object]


def kind_of(task: str) -> str:
    """The row of the table that a task belongs to."""
    return "averages" if task in AVERAGES else task if task == "hellaswag" else "single tasks"


def judged(frame: pd.DataFrame, loss: str, first: int, last: int, route: str = "weighed") -> Iterator[Row]:
    """Forecasts of the runs from place `first` to `last` by compute of each data set, from those before `first`."""
    for dataset, rows in frame.groupby("dataset"):
        ordered = rows.sort_values("flops").reset_index(drop=True)
        begin, end = (place if place > 0 else len(ordered) + place for place in (first, last))
        rest = ordered.iloc[begin:end]
        at = [(run.params, run.tokens) for run in rest.itertuples()]
        result = ft.downstream(ordered.iloc[:begin], at=at, rename={"loss": loss}, route=route)
        yield from _rows(result, rest, str(dataset), loss)


def _rows(result: Downstream, rest: pd.DataFrame, dataset: str, loss: str) -> Iterator[Row]:
    for task in result.tasks:
        if task.group not in ("", dataset):
            continue
        run = rest[np.isclose(rest.params, task.params) & np.isclose(rest.tokens, task.tokens)].iloc[0]
        truth = float(run[f"err_{task.task}"])
        said = [(task.score, task.low, task.high, result.route)]
        said += [(one.score, one.low, one.high, one.route) for one in task.routes if result.route == "weighed"]
        for score, low, high, route in said:
            if score is not None and low is not None and high is not None:
                missed = max(low - truth, 0.0) + max(truth - high, 0.0)
                yield {
                    "dataset": dataset, "loss": loss, "kind": kind_of(task.task), "task": task.task, "route": route,
                    "params": task.params, "score": score, "low": low, "high": high, "truth": truth,
                    "flagged": bool(task.reason), "inside": missed == 0.0, "error": abs(score - truth),
                    "interval_score": high - low + 2 / (1 - LEVEL) * missed, "width": high - low,
                    "in_bounds": 0 <= low <= score <= high <= 1,
                }  # fmt: skip


def show(rows: pd.DataFrame, by: list[str]) -> None:
    """Means by group."""
    means = rows.groupby(by)[["inside", "error", "width", "interval_score"]].mean()
    means.insert(0, "n", rows.groupby(by).size())
    print(means.round(4).to_string())


def openlm(folder: Path) -> None:
    """The largest two runs per data set."""
    began = time.perf_counter()
    frame = pd.read_csv(folder / "openlm_overtraining.csv")
    rows = pd.DataFrame(judged(frame, LOSSES[0], -2, 0))
    weighed = rows[rows.route == "weighed"]
    named = weighed[weighed.kind != "single tasks"]
    print(
        named[["dataset", "task", "params", "truth", "score", "low", "high", "inside"]].round(3).to_string(index=False)
    )
    show(rows, ["kind", "route"])
    flags = weighed[weighed.kind == "single tasks"]
    show(flags, ["flagged"])
    inside = 100 * named.inside.mean()
    print(f"asked: averages and HellaSwag inside at least 80 %; measured: {inside:.0f} % of {len(named)}")
    print(f"asked: no forecast outside [0, 1]; measured: {int((~rows.in_bounds).sum())} of {len(rows)} outside")
    print(f"asked: below a minute; measured: {time.perf_counter() - began:.0f} s for all tasks, runs and data sets")


def tuned(folder: Path) -> None:
    """Runs below the two largest."""
    frame = pd.read_csv(folder / "openlm_overtraining.csv")
    smaller = pd.concat([rows.sort_values("flops").iloc[:-2] for _, rows in frame.groupby("dataset")])
    rows = pd.concat(
        pd.DataFrame(judged(smaller, loss, first, last)).assign(first=first)
        for loss in LOSSES
        for first, last in ((-2, 0), (24, 0), (20, 24))
    )
    show(rows[rows.route == "weighed"], ["kind", "first"])
    show(rows, ["kind", "route"])


def published_errors(frame: pd.DataFrame) -> list[tuple[float, float, float]]:
    """Params, tokens per parameter and relative error (%) of the average error over 17 tasks, by the paper's way.

    The loss law with one exponent is fitted to five small runs; Err = epsilon - k exp(-gamma L) to the measured losses
    and errors of these and of the run of 1.4B parameters and M = 20.
    """
    chinchilla = frame[frame.token_multiplier == 20]
    small = pd.concat(
        [chinchilla[chinchilla.params < 5e8], frame[(frame.params < 2e7) & (frame.token_multiplier == 320)]]
    )

    def loss(sizes: np.ndarray, e: float, a: float, b: float, alpha: float) -> np.ndarray:
        named = {"E": np.exp(e), "A": np.exp(a), "B": np.exp(b), "alpha": alpha, "beta": alpha}
        return np.asarray(CHINCHILLA.evaluate(named, params=sizes[0], tokens=sizes[1]))

    sizes = small[["params", "tokens"]].to_numpy().T
    found, _ = curve_fit(loss, sizes, small.loss_c4_val, p0=(0.6, 5.0, 6.0, 0.27), maxfev=100_000)
    links = pd.concat([small, chinchilla[(chinchilla.params > 1e9) & (chinchilla.params < 2e9)]])

    def link(losses: np.ndarray, epsilon: float, k: float, gamma: float) -> np.ndarray:
        return np.asarray(error(losses, epsilon=epsilon, k=k, gamma=gamma))

    of_link, _ = curve_fit(link, links.loss_c4_val, links.err_avg_17, p0=(0.86, 2.2, 0.7), maxfev=100_000)
    largest = frame[frame.flops > 5e21]
    said = link(loss(largest[["params", "tokens"]].to_numpy().T, *found), *of_link)
    relative = 100 * np.abs(said / largest.err_avg_17.to_numpy() - 1)
    return list(zip(largest.params, largest.token_multiplier, relative, strict=True))


def published(folder: Path) -> None:
    """The paper's form."""
    frame = pd.read_csv(folder / "openlm_overtraining.csv")
    asked = {20: 0.05, 640: 3.64}
    for params, multiplier, relative in published_errors(frame[frame.dataset == "RedPajama"]):
        print(f"{params:.3g} parameters, M = {multiplier}: asked {asked[multiplier]} %, measured {relative:.2f} %")


def observational(folder: Path) -> None:
    """Models of all data sets together."""
    frame = pd.read_csv(folder / "openlm_overtraining.csv")
    ordered = [rows.sort_values("flops") for _, rows in frame.groupby("dataset")]
    seen = pd.concat([rows.iloc[:-2] for rows in ordered])
    rows = []
    for part in ordered:
        rest = part.iloc[-2:]
        dataset = str(rest.dataset.iloc[0])
        at = [(run.params, run.tokens) for run in rest.itertuples()]
        result = ft.downstream(seen, at=at, route="observational")
        rows += list(_rows(result, rest, dataset, "none"))
    frame = pd.DataFrame(rows)
    show(frame, ["kind"])


PARTS = {"openlm": openlm, "published": published, "tuned": tuned, "observational": observational}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--part", choices=PARTS, action="append")
    options = parser.parse_args()
    for part in options.part or PARTS:
        print(f"\n{part}\n")
        PARTS[part](options.data)
