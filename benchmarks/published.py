"""What papers published, derived again from their public runs: a table of asked and measured.

usage: python benchmarks/published.py [--data ../shared/data/scaling] [--html PAGE]

porian      exponents of N* in five steps, from IsoFLOP curves (Porian et al. 2024, arXiv 2406.19146)
repetition  decay constants of repeated data (Muennighoff et al. 2023, arXiv 2305.16264)
training    the over-training law and its error law (Gadre et al. 2024, arXiv 2403.08540)
routing     the law of routed language models (Clark et al. 2022, arXiv 2202.01169)
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.optimize import least_squares, minimize, minimize_scalar

from foretoken.checks.waterfall import Step, draw_waterfall, with_changes
from foretoken.errors import RefusedError
from foretoken.fits.likelihood import Profile, profile
from foretoken.fits.solvers import huber
from foretoken.laws import PUBLISHED, downstream, overtraining, repeated_data, routing
from foretoken.reports import save_page
from foretoken.routes.isoflop import IsoflopFit, isoflop
from foretoken.runs.table import RunTable

FOLDER = Path(__file__).parents[2] / "shared" / "data" / "scaling"
Array = np.ndarray[Any, np.dtype[np.float64]]


class Asked(NamedTuple):
    """One number: what it should be, within what, and what it is."""

    what: str
    asked: float
    tolerance: float
    measured: float

    @property
    def met(self) -> bool:
        return abs(self.measured - self.asked) <= self.tolerance


# Porian et al. 2024 ---------------------------------------------------------------------------------------------------

STEPS = {
    "Kaplan's counts, training loss": ("base", "long", "cosine_long", "kaplan", "train"),
    "head counted, validation loss": ("base", "long", "cosine_long", "standard", "val"),
    "short warm-up": ("base", "short", "cosine_long", "standard", "val"),
    "cosine matched to the run": ("base", "short", "cosine_matched", "standard", "val"),
    "tuned, constant learning rate": ("tuned", "short", "constant", "standard", "val"),
}
PUBLISHED_EXPONENTS = {
    "RefinedWeb": (0.834, 0.701, 0.604, 0.571, 0.497),
    "OpenWebText2": (0.870, 0.700, 0.602, 0.569, 0.518),
}


def isoflop_waterfall(tables: Mapping[str, RunTable], *, params: str = "auto", level: float = 0.9) -> list[Step]:
    """One step per table, all by one rule.

    The minimum of Akima's interpolant over ln N per budget, budgets whose minimum sits at an edge left out, a power law
    through the rest; the exponent of the parabolas beside it.
    """
    steps = []
    for name, table in tables.items():
        found, parabola = (_isoflop(table, params, minimum, level) for minimum in ("interpolated", "parabola"))
        steps.append(
            Step(
                name,
                found.params_exponent if found else None,
                found.params_exponent_interval if found else None,
                None,
                parabola.params_exponent if parabola else None,
                len(found.interior) if found else 0,
                len(found.budgets) if found else 0,
            )
        )
    return with_changes(steps)


def _isoflop(table: RunTable, params: str, minimum: str, level: float) -> IsoflopFit | None:
    try:
        return isoflop(table, params=params, minimum=minimum, level=level)
    except RefusedError:
        return None


def porian_steps(folder: Path, dataset: str) -> list[Step]:
    """The waterfall of one data set."""
    frame = pd.read_csv(folder / "porian_isoflop.csv")
    tables = {}
    for name, values in STEPS.items():
        keys = ("hparams", "warmup", "decay", "counting", "loss_kind")
        rows = (frame["dataset"] == dataset) & (frame[list(keys)] == list(values)).all(axis=1)
        kept = frame[rows]
        size = kept["params_no_embed" if values[3] == "kaplan" else "params_with_head"].rename("params")
        tables[name] = RunTable(pd.concat([size, kept[["tokens", "flops", "loss"]]], axis=1), dataset)
    return isoflop_waterfall(tables)


def porian(folder: Path) -> list[Asked]:
    """Ten exponents, one rule."""
    found = []
    for dataset, published in PUBLISHED_EXPONENTS.items():
        for step, value in zip(porian_steps(folder, dataset), published, strict=True):
            found.append(Asked(f"{dataset}: {step.name}", value, 0.015, step.exponent or np.nan))
    return found


# Muennighoff et al. 2023 ----------------------------------------------------------------------------------------------

BASE = {name: value for name, value in PUBLISHED["muennighoff_2023"].parameters.items() if name not in ("R_D", "R_N")}
DECAY = tuple(PUBLISHED["muennighoff_2023"].parameters[name] for name in ("R_D", "R_N"))
RD_GRID = np.geomspace(0.5, 2000, 70)


def fitted_loss(N: Array, U: Array, D: Array, decay_data: float, decay_size: float) -> Array:
    """Loss of N parameters on D tokens, U of them distinct, the base law as published."""
    return np.asarray(repeated_data.loss(N, D, U, **BASE, R_D=decay_data, R_N=decay_size))


class Repeated:
    """Runs with repeated tokens, and the fit of the two decay constants, the base law held (as the authors do)."""

    def __init__(self, N: Array, U: Array, D: Array, loss: Array) -> None:
        self.N, self.U, self.D, self.loss = N, U, D, loss

    def huber_sum(self, decay_data: float, decay_size: float) -> float:
        fitted = fitted_loss(self.N, self.U, self.D, decay_data, decay_size)
        return float(huber(np.log(fitted / self.loss), 1e-3).sum())

    def held(self, decay_data: float) -> float:
        """The least sum over R_N* with R_D* held."""
        grid = np.geomspace(0.05, 500, 60)
        start = grid[np.argmin([self.huber_sum(decay_data, size) for size in grid])]
        ends = np.log(start) + np.array([-0.2, 0.2])
        found = minimize_scalar(
            lambda ln: self.huber_sum(decay_data, np.exp(ln)), bounds=ends, method="bounded", options={"xatol": 1e-7}
        )
        return float(found.fun)

    def fit(self) -> tuple[float, float, float]:
        """R_D*, R_N* and the Huber sum, the best of many starts."""
        starts = [(np.log(data), np.log(size)) for data in (2, 5, 15, 50, 150) for size in (1, 3, 10)]
        options = {"xatol": 1e-9, "fatol": 1e-15, "maxiter": 4000}
        found = [
            minimize(lambda t: self.huber_sum(*np.exp(t)), start, method="Nelder-Mead", options=options)
            for start in starts
        ]
        best = min(found, key=lambda one: one.fun)
        return (*map(float, np.exp(best.x)), float(best.fun))

    def profile(self, chi2: float = 3.841) -> Profile:
        """The profile of R_D*, with its 95 % interval."""
        return profile(self.held, RD_GRID, len(self.loss), chi2)


def repeated_runs(folder: Path) -> Repeated:
    """The 182 runs of the published fit."""
    frame = pd.read_csv(folder / "datablations.csv")
    rows = frame[frame["in_published_fit"] == 1]
    return Repeated(*(rows[name].to_numpy(float) for name in ("params", "unique_tokens", "tokens", "loss")))


def simulated_repetition(decay: float, seed: int, noise: float = 0.01) -> Repeated:
    """A table of 4 sizes x 3 amounts of text x 8 numbers of epochs, from 1 to 100."""
    N, U, epochs = (
        part.ravel() for part in np.meshgrid([5e7, 2e8, 8e8, 3e9], [1e8, 1e9, 1e10], np.geomspace(1, 100, 8))
    )
    D = U * epochs
    shaken = np.exp(noise * np.random.default_rng(seed).standard_normal(len(N)))
    return Repeated(N, U, D, fitted_loss(N, U, D, decay, DECAY[1]) * shaken)


def repetition(folder: Path) -> list[Asked]:
    """Published constants, their refit, and whether R_D* is identified: there, and where it should be."""
    runs = repeated_runs(folder)
    fitted = fitted_loss(runs.N, runs.U, runs.D, *DECAY)
    unexplained = ((fitted - runs.loss) ** 2).sum() / ((runs.loss - runs.loss.mean()) ** 2).sum()
    found = runs.profile()
    around = [found.objective[abs(np.log(found.values / value)).argmin()] for value in (15.4, 30, 60, 95)]
    simulated = [simulated_repetition(5.0, seed).profile() for seed in range(50)]
    return [
        Asked("repetition: Huber sum of the published constants", 0.0158259, 5e-8, runs.huber_sum(*DECAY)),
        Asked("repetition: R2 of the published constants", 0.7722046, 5e-8, 1 - unexplained),
        Asked("repetition: Huber sum of the refit", 0.0158047, 5e-8, runs.fit()[2]),
        Asked("repetition: rise of the profile from 15 to 95", 0.0, 0.002, max(around) / min(around) - 1),
        Asked("repetition: R_D* is identified", 0, 0, found.identified),
        Asked(
            "simulated R_D* = 5: share that identify it", 1, 0, float(np.mean([one.identified for one in simulated]))
        ),
        Asked("simulated R_D* = 5: share of 95 % intervals that cover it", 0.95, 0.08, _coverage(simulated, 5.0)),
    ]


def _coverage(found: list[Profile], truth: float) -> float:
    return float(np.mean([one.interval[0] <= truth <= one.interval[1] for one in found]))


# Gadre et al. 2024 ----------------------------------------------------------------------------------------------------


def overtrained(theta: Array, N: Array, D: Array) -> Array:
    """The over-training law at theta = (E, ln a, ln b, eta)."""
    return np.asarray(overtraining.loss(N, D, E=theta[0], a=np.exp(theta[1]), b=np.exp(theta[2]), eta=theta[3]))


def task_error(theta: Array, loss: Array) -> Array:
    """Mean error of downstream tasks at theta = (epsilon, ln k, gamma)."""
    return np.asarray(downstream.error(loss, epsilon=theta[0], k=np.exp(theta[1]), gamma=theta[2]))


def over_training(folder: Path) -> list[Asked]:
    """Both laws by least squares on raw values: loss from five small runs, error from these and 1.4B at M = 20."""
    frame = pd.read_csv(folder / "openlm_overtraining.csv")
    frame = frame[frame["dataset"] == "RedPajama"]
    size, ratio = frame["params"], frame["token_multiplier"]
    five = frame[((ratio == 20) & (size < 5e8)) | ((ratio == 320) & (size < 2e7))]
    six = frame[((ratio == 20) & (size < 2e9)) | ((ratio == 320) & (size < 2e7))]
    N, D, L = (five[name].to_numpy(float) for name in ("params", "tokens", "loss_c4_val"))
    tight = {"xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15, "x_scale": "jac", "max_nfev": 20_000}
    law = least_squares(lambda t: overtrained(t, N, D) - L, [1.5, 5.0, 5.0, 0.12], **tight).x
    L6, error6 = six["loss_c4_val"].to_numpy(float), six["err_avg_17"].to_numpy(float)
    errors = least_squares(lambda t: task_error(t, L6) - error6, [0.85, 0.8, 0.7], **tight).x
    targets = frame[((size > 1e9) & (size < 2e9) & (ratio == 640)) | ((size > 5e9) & (ratio == 20))].sort_values(
        "params"
    )
    loss = overtrained(law, *(targets[name].to_numpy(float) for name in ("params", "tokens")))
    off = 100 * abs(loss / targets["loss_c4_val"].to_numpy() - 1)
    error = 100 * abs(task_error(errors, loss) / targets["err_avg_17"].to_numpy() - 1)
    return [
        Asked("over-training: loss error, 1.4B at M = 640, %", 0.71, 0.05, off[0]),
        Asked("over-training: loss error, 6.9B at M = 20, %", 0.73, 0.05, off[1]),
        Asked("over-training: 17-task error, 1.4B at M = 640, %", 3.64, 0.05, error[0]),
        Asked("over-training: 17-task error, 6.9B at M = 20, %", 0.05, 0.05, error[1]),
    ]


# Clark et al. 2022 ----------------------------------------------------------------------------------------------------

ROUTING = {
    "S-Base": (-0.083, -0.118, 0.010, 1.114),
    "RL-R": (-0.083, -0.123, 0.011, 1.107),
    "Hash": (-0.087, -0.138, 0.013, 1.160),
}
TOLERANCES = (0.003, 0.015, 0.002, 0.06)


def routed_columns(N: Array, experts: Array, start: float, end: float) -> Array:
    """Columns of a, b, c, d in the routing law, given E_start and E_max: [r, 4]."""
    n, saturated = np.log10(N), np.log10(routing.effective_experts(experts, E_start=start, E_max=end))
    return np.stack([n, saturated, n * saturated, np.ones_like(n)], axis=1)


def routing_fit(frame: pd.DataFrame, router: str) -> Array:
    """a, b, c, d of one router (variable projection: E_start and E_max are searched, the rest is linear)."""
    rows = frame[frame["router"].isin([router, "Dense"])]
    N, experts = rows["dense_params"].to_numpy(float), rows["num_experts"].to_numpy(float)
    y = np.log10(rows["loss_validation"].to_numpy(float))

    def solved(t: Array) -> tuple[Array, Array]:
        start = 1 + np.exp(t[0])
        columns = routed_columns(N, experts, start, start + np.exp(t[1]))
        return columns, np.linalg.lstsq(columns, y, rcond=None)[0]

    def residual(t: Array) -> Array:
        columns, coefficients = solved(t)
        return np.asarray(columns @ coefficients - y)

    found = [least_squares(residual, [start, end]) for start in (-1.0, 0.5, 2.0) for end in (4.0, 6.0)]
    return solved(min(found, key=lambda one: one.cost).x)[1]


def routers(folder: Path) -> list[Asked]:
    """a, b, c, d of three routers, the five dense models added to each."""
    frame = pd.read_csv(folder / "routing_moe.csv")
    rows = (frame["is_final"] == 1) & (frame["k"] == 1) & (frame["routing_frequency"] == 0.5) & (frame["seed"] == 42)
    found = []
    for router, published in ROUTING.items():
        measured = routing_fit(frame[rows], router)
        for name, value, tolerance, here in zip("abcd", published, TOLERANCES, measured, strict=True):
            found.append(Asked(f"routing, {router}: {name}", value, tolerance, float(here)))
    return found


SECTIONS = {"porian": porian, "repetition": repetition, "over-training": over_training, "routing": routers}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--html", type=Path, metavar="PAGE", help="write the waterfalls to this page")
    asked = parser.parse_args()
    folder = asked.data
    if not folder.is_dir():
        raise SystemExit(f"the public run tables are not at {folder}: name their folder with --data")
    print(f"{'what':<60} {'asked':>11} {'within':>8} {'measured':>11}")
    for section in SECTIONS.values():
        for one in section(folder):
            met = "" if one.met else "   NOT MET"
            print(f"{one.what:<60} {one.asked:>11.7g} {one.tolerance:>8.3g} {one.measured:>11.7g}{met}")
    waterfalls = {dataset: porian_steps(folder, dataset) for dataset in PUBLISHED_EXPONENTS}
    if asked.html is not None:
        from waterfall_page import waterfall_page

        save_page(waterfall_page(waterfalls, PUBLISHED_EXPONENTS), asked.html)
    for dataset, steps in waterfalls.items():
        print(f"\nexponent of N*, {dataset} (parabolas in brackets)")
        for line, step in zip(draw_waterfall(steps), steps, strict=True):
            print(f"{line} [{step.parabola:.3f}]  {step.budgets} of {step.of_budgets} budgets")
    profiled = repeated_runs(folder).profile()
    print(f"\nR_D*: within 0.15 % of the best from {profiled.flat[0]:.3g} to {profiled.flat[1]:.3g}", end="; ")
    print(f"95 % interval {profiled.interval[0]:.3g} to {profiled.interval[1]:.3g}: ", end="")
    print("identified" if profiled.identified else "not identified")


if __name__ == "__main__":
    main()
