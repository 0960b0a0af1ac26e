"""Simulated curves of known shape: how often the verdict is right, and how often the interval of a level holds."""

from __future__ import annotations

import argparse
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
from scipy.special import expit

from foretoken.scores.curve_fit import fit_curve
from foretoken.scores.likelihoods import Proportions
from foretoken.scores.verdict import PLACES, VERDICTS, features, judge

KINDS = ("flat", "linear", "sigmoid", "power", "jump", "broken", "u")


def truth(kind: str, g: np.random.Generator):
    """A curve without noise, as a function of u; drawn anew each time."""
    low = g.uniform(0.02, 0.4)
    high = g.uniform(low + 0.35, 0.97)
    if kind == "flat":
        level = g.uniform(0.05, 0.95)
        return lambda u: level + 0 * u
    if kind == "linear":
        return lambda u: low + (high - low) * u
    if kind == "sigmoid":
        place, width = g.uniform(0.35, 0.65), np.exp(g.uniform(np.log(0.03), np.log(0.15)))
        return lambda u: low + (high - low) * expit((u - place) / width)
    if kind == "power":
        length, begin, end = g.integers(1, 9), g.uniform(0.1, 0.4), g.uniform(0.8, 0.98)
        return lambda u: (begin + (end - begin) * u) ** length
    if kind == "jump":
        place = g.uniform(0.25, 0.8)
        return lambda u: np.where(u > place, high, low)
    if kind == "broken":
        knot, share = g.uniform(0.3, 0.7), g.choice([0.0, 0.15, 4.0, 8.0])
        raw = lambda u: np.minimum(u, knot) + share * np.maximum(u - knot, 0)  # noqa: E731
        return lambda u: low + (high - low) * raw(u) / raw(1.0)
    place, depth = g.uniform(0.4, 0.6), g.uniform(0.25, 0.45)
    top = g.uniform(0.5, 0.9)
    sharpness = max(place, 1 - place)
    return lambda u: top - depth * (1 - (np.abs(u - place) / sharpness) ** 2)


def one(seed: int, kind: str, sizes: int, items: int, noise: float) -> tuple[str, str, str]:
    g = np.random.default_rng([seed, KINDS.index(kind), sizes, items])
    curve = truth(kind, g)
    u = np.linspace(0, 1, sizes)
    if sizes > 2:
        u = np.clip(u + np.r_[0, g.uniform(-0.3, 0.3, sizes - 2) / sizes, 0], 0, 1)
    mean = np.clip(curve(u), 0, 1)
    run = expit(np.log(np.clip(mean, 1e-4, 1 - 1e-4) / (1 - np.clip(mean, 1e-4, 1 - 1e-4))) + noise * g.standard_normal(sizes))
    y = g.binomial(items, run) / items
    fit = fit_curve(u, Proportions.of(y, np.full(sizes, float(items))))
    numbers = features(fit.draws(400, np.random.default_rng(0)).at(PLACES)).verdicts()
    judged = judge(numbers, sizes)
    seen = features(curve(PLACES)[None, :])
    right = VERDICTS[seen.verdicts()[0]]
    near = {VERDICTS[seen.verdicts(leeway=leeway)[0]] for leeway in (1 / 1.25, 1.0, 1.25)}
    return judged.verdict, right, judged.verdict in near


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="*", default=[6, 8, 12, 20])
    parser.add_argument("--items", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--noise", type=float, default=0.08)
    options = parser.parse_args()
    with ProcessPoolExecutor(1) as pool:
        for sizes in options.sizes:
            for items in options.items:
                for kind in KINDS:
                    found = list(pool.map(partial(one, kind=kind, sizes=sizes, items=items, noise=options.noise), range(options.each), chunksize=20))
                    right = sum(v == t for v, t, _ in found) / len(found)
                    silent = sum(v == "not_enough_data" for v, *_ in found) / len(found)
                    wrong = Counter((t, v) for v, t, _ in found if v not in (t, "not_enough_data"))
                    close = sum(bool(c) for *_, c in found) / len(found)
                    print(f"{sizes:3} {items:5} {kind:8} right {right:.2f} ({close:.2f}) silent {silent:.2f} wrong {1-right-silent:.2f}", dict(Counter(t for _, t, _ in found)), {f"{a}->{b}": c for (a, b), c in wrong.most_common(4)}, flush=True)
