"""How often decisions between two recipes are right, and how often the interval of a crossing holds it.

usage: python benchmarks/versus.py [--pairs 120] [--seed 3000] [--html PAGE]
       python benchmarks/versus.py --openlm openlm_overtraining.csv

Simulated pairs cross at a known compute, from a tenth of the largest run's to 63 times it. Their truths are the law
that is fitted (chinchilla, coupled) and two that no fit knows (exponents that bend at some compute; a warm-up that
costs short runs); their designs an IsoFLOP grid, a grid of sizes and ratios, and a ladder; noise is 0.1 to 1 % per run.
Runs of the two are of equal sizes and lengths with noise of their own, the same with noise in common (correlation
0.85), or of other sizes. Decisions are made at 0.14 to 63 times the largest compute.

With --openlm: the three data sets of Gadre et al. 2024 on loss_c4_val, decided for every larger run that both sets of a
pair have, from the runs of at most 1/8 of the smaller one's largest compute, and from earlier cuts.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import brentq, minimize_scalar

from foretoken.decisions import versus
from foretoken.decisions.accuracy import reliability
from foretoken.decisions.pair import pair_of
from foretoken.decisions.request import Split
from foretoken.errors import ForetokenError
from foretoken.fits import fit
from foretoken.reports import save_page
from foretoken.reports.decisions_page import reliability_figure
from foretoken.reports.html import section
from foretoken.reports.summary import Page

Loss = Callable[[Any, Any], Any]
TRUTHS = ("chinchilla", "coupled", "bending", "warm-up")
DESIGNS = ("isoflop", "grid", "ladder")
NOISES = ("own noise", "common noise", "other sizes")
AT = (1 / 7, 0.63, 1.6, 4.0, 10.0, 25.0, 63.0)
"""Where decisions are made, over the largest compute."""
RATIO = 20.0
CUTS = (8.0, 16.0, 32.0, 64.0)
"""Runs are seen to a share of 1 over this of the smaller one of the two largest computes."""


@dataclass(frozen=True)
class Simulated:
    """Two recipes that cross at a known compute, and a table of runs of each."""

    truth: str
    design: str
    noise_kind: str
    noise: float
    crossing: float
    largest: float
    losses: tuple[Loss, Loss]
    tables: tuple[pd.DataFrame, pd.DataFrame]

    def ratio(self, flops: float) -> float:
        """Ln of the first's true loss over the second's, each at its own best split (or along the ladder)."""
        one, other = (lowest(loss, flops, self.design) for loss in self.losses)
        return math.log(one / other)


def lowest(loss: Loss, flops: float, design: str) -> float:
    """The true loss at a compute: of the best split, or of the run of a ladder."""
    middle = math.log(math.sqrt(flops / 6 / RATIO))
    if design == "ladder":
        return float(loss(math.exp(middle), RATIO * math.exp(middle)))
    best = minimize_scalar(
        lambda n: float(loss(math.exp(n), flops / 6 / math.exp(n))),
        bounds=(middle - 6, middle + 4),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(best.fun)


def true_loss(truth: str, p: dict[str, float]) -> Loss:
    """The formula of a recipe."""

    def loss(n: Any, d: Any) -> Any:
        gamma = p.get("gamma", 1.0)
        terms = (p["A"] * n ** -p["alpha"]) ** (1 / gamma) + (p["B"] * d ** -p["beta"]) ** (1 / gamma)
        left = terms**gamma
        if truth == "bending":
            left = left * (1 + (6 * n * d / p["bend"]) ** 2) ** (-p["kappa"] / 2)
        if truth == "warm-up":
            left = left + p["warm"] * p["least"] / d
        return p["E"] + left

    return loss


def simulate(number: int) -> Simulated | None:
    """The pair of a number; None where no recipe like the first crosses it there."""
    g = np.random.default_rng(number)
    truth, design = TRUTHS[number % 4], DESIGNS[number // 4 % 3]
    noise_kind, noise = NOISES[number // 12 % 3], float(np.exp(g.uniform(math.log(0.001), math.log(0.01))))
    largest = 10 ** g.uniform(18.5, 21)
    crossing = largest * 10 ** g.uniform(-1, 1.8)
    first, second = recipes(truth, largest, g)
    goal = lowest(true_loss(truth, first), crossing, design)

    def off(scale: float) -> float:
        return lowest(true_loss(truth, second | {"B": second["B"] * math.exp(scale)}), crossing, design) - goal

    if off(-4) > 0 or off(3) < 0:
        return None
    second = second | {"B": second["B"] * math.exp(brentq(off, -4, 3, xtol=1e-10))}
    losses = (true_loss(truth, first), true_loss(truth, second))
    ours = g.standard_normal(40)
    tables = []
    for side, loss in enumerate(losses):
        n, d = runs(design, largest, other=side == 1 and noise_kind == "other sizes")
        own = g.standard_normal(len(n))
        common = noise_kind == "common noise"
        z = ours[: len(n)] if side == 0 else 0.85 * ours[: len(n)] + 0.527 * own if common else own
        tables.append(
            pd.DataFrame({"params": n, "tokens": d, "flops": 6 * n * d, "loss": loss(n, d) * np.exp(noise * z)})
        )
    reached = max(float(table["flops"].max()) for table in tables)
    return Simulated(truth, design, noise_kind, noise, crossing, reached, losses, (tables[0], tables[1]))


def recipes(truth: str, largest: float, g: np.random.Generator) -> tuple[dict[str, float], dict[str, float]]:
    """Parameters of two recipes of one kind: exponents 6 % apart, irreducible losses 1 %."""
    size = math.sqrt(largest / 6 / RATIO)
    first = {"E": g.uniform(1.4, 2.2), "alpha": g.uniform(0.24, 0.45), "beta": g.uniform(0.24, 0.45)}
    first |= {
        "A": g.uniform(0.3, 0.7) * size ** first["alpha"],
        "B": g.uniform(0.3, 0.7) * (RATIO * size) ** first["beta"],
    }
    first |= {"gamma": g.uniform(0.45, 0.9)} if truth == "coupled" else {}
    if truth == "bending":
        first |= {"bend": largest * 10 ** g.uniform(-1.5, 1), "kappa": float(g.choice([-1, 1])) * g.uniform(0.02, 0.1)}
    if truth == "warm-up":
        first |= {"warm": g.uniform(0.005, 0.05), "least": RATIO * size / 30}
    apart = {"alpha": 0.06, "beta": 0.06, "E": 0.01, "warm": 0.3, "bend": 0.3}
    second = {name: value * math.exp(apart.get(name, 0.0) * g.standard_normal()) for name, value in first.items()}
    second["A"] *= size ** (second["alpha"] - first["alpha"]) * math.exp(0.05 * g.standard_normal())
    return first, second


def runs(design: str, largest: float, *, other: bool) -> tuple[Any, Any]:
    """Sizes and lengths of a design, or of a like one with `other` sizes."""
    size = math.sqrt(largest / 6 / RATIO)
    if design == "isoflop":
        flops = np.repeat(largest * np.array([1 / 64, 1 / 16, 1 / 4, 1.0]) * (0.7 if other else 1.0), 6)
        n = np.sqrt(flops / 6 / RATIO) * np.exp(np.tile(np.linspace(-1.2, 1.2, 6) + (0.2 if other else 0.0), 4))
        return n, flops / 6 / n
    if design == "grid":
        n = np.repeat(size * np.geomspace(1 / 16, 1, 5) * (0.8 if other else 1.0), 4)
        d = n * np.tile(np.array([5, 20, 80, 160]) * (1.3 if other else 1.0), 5)
        kept = 6 * n * d <= 3 * largest
        return n[kept], d[kept]
    n = size * np.geomspace(1 / 16, 1, 7 if other else 8)
    return n, RATIO * n


def measure(pairs: int, seed: int) -> pd.DataFrame:
    """One row for every decision, and one at every true crossing (`at` 0)."""
    rows = []
    for number in range(seed, seed + pairs):
        pair = simulate(number)
        if pair is None:
            continue
        fits = [fit(table, draws=200) for table in pair.tables]
        side = pair_of(fits[0], fits[1], "mean")
        flops = np.array([*(pair.largest * at for at in AT), pair.crossing])
        try:
            first, second = (Split().runs(one, flops) for one in fits)
        except ForetokenError:
            continue
        for k, at in enumerate((*AT, 0.0)):
            told, true = side.difference(first[k], second[k]), pair.ratio(flops[k]) if at else 0.0
            low, high = told.interval(0.9)
            sure = max(told.p_first, 1 - told.p_first)
            right = (told.p_first > 0.5) == (true < 0)
            kinds = {"truth": pair.truth, "design": pair.design, "noise": pair.noise_kind}
            rows.append({**kinds, "pair": number, "at": at, "inside": low <= true <= high, "sure": sure, "right": right,
                         "beyond": pair.crossing / pair.largest, "error": abs(told.centre - true)})  # fmt: skip
    return pd.DataFrame(rows)


def told_simulated(pairs: int, seed: int, page: Path | None) -> None:
    """Print what was measured on simulated pairs."""
    found = measure(pairs, seed)
    at_crossing, decisions = found[found["at"] == 0], found[found["at"] > 0]
    share = at_crossing["inside"].mean()
    print(f"crossing: its 90 % interval holds {100 * share:.1f} % of {len(at_crossing)} true ones (asked: 85 to 96)")
    for name in ("truth", "design", "noise"):
        parts = at_crossing.groupby(name)["inside"].mean()
        print("  " + ", ".join(f"{kind} {100 * part:.0f} %" for kind, part in parts.items()))
    print("difference of the expected losses: at times the largest compute, inside at 90 %, median error, said, right")
    for at, part in decisions.groupby("at"):
        print(f"  {at:6.3g} {100 * part.inside.mean():5.1f} % {100 * part.error.median():5.2f} %"
              f" {100 * part.sure.mean():5.1f} % {100 * part.right.mean():5.1f} %")  # fmt: skip
    bins = reliability(decisions["sure"].to_numpy(), decisions["right"].to_numpy(dtype=np.float64))
    print(
        "probability of the winner: "
        + ", ".join(f"{100 * b.says:.0f} % said, {100 * b.right:.0f} % right ({b.pairs})" for b in bins)
    )
    if page:
        sentence = f"The interval of a crossing holds {100 * share:.1f} % of {len(at_crossing)} simulated ones."
        parts = [section("said", "Is it right as often as it says?", reliability_figure(bins))]
        save_page(Page(title="Simulated pairs of recipes", kicker="versus", sentence=sentence, parts=parts), page)


def told_openlm(path: Path) -> None:
    """Print each decision for a larger run of two data sets, and how many were right."""
    table = pd.read_csv(path).rename(columns={"loss_c4_val": "loss"})[["dataset", "params", "tokens", "flops", "loss"]]
    rows = []
    for first, second in combinations(sorted(table["dataset"].unique()), 2):
        sides = [table[table["dataset"] == name].drop(columns="dataset") for name in (first, second)]
        least = min(float(side["flops"].max()) for side in sides)
        for cut in CUTS:
            seen = [side[side["flops"] <= 1.001 * least / cut] for side in sides]
            larger = [side[side["flops"] > 1.001 * least / cut] for side in sides]
            for row in larger[0].merge(larger[1], on=["params", "tokens"]).itertuples():
                told = versus(*seen, params=row.params, tokens=row.tokens, kind="new-run", first=first, second=second)
                gap = row.loss_x - row.loss_y
                sure, right = told.sure, (told.p_first > 0.5) == (gap < 0)
                word = "right" if right else "WRONG"
                rows.append((cut, sure, right, told.low <= gap <= told.high))
                print(f"{first:10s} {second:10s} seen to 1/{cut:.0f}, {told.at.reach:5.1f} times beyond: {told.winner}"
                      f" {100 * sure:.0f} %, {word}; {told.difference:+.4f} ({told.low:+.4f} to"
                      f" {told.high:+.4f}), was {gap:+.4f}", flush=True)  # fmt: skip
    frame = pd.DataFrame(rows, columns=["cut", "sure", "right", "inside"])
    for cut, part in [*frame.groupby("cut"), ("all", frame)]:
        print(f"seen to 1/{cut}: {len(part)} decisions, said {100 * part.sure.mean():.0f} %, right"
              f" {100 * part.right.mean():.0f} %, inside {100 * part.inside.mean():.0f} %")  # fmt: skip


def main() -> None:
    """Read the options and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=120)
    parser.add_argument("--seed", type=int, default=3000)
    parser.add_argument("--html", type=Path)
    parser.add_argument("--openlm", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)
    if options.openlm:
        told_openlm(options.openlm)
    else:
        told_simulated(options.pairs, options.seed, options.html)


if __name__ == "__main__":
    main()
