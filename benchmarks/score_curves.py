"""Simulated curves of scores: are the verdicts right, do intervals of a level hold, is a real jump ever an artefact?

    python benchmarks/score_curves.py            # 200 curves of each kind, 6 to 20 sizes: ten minutes on one core
    python benchmarks/score_curves.py --each 20 --sizes 12 --seed 1
    python benchmarks/score_curves.py --parts ceiling --each 100  # what the best possible classifier reaches

The right verdict is that of the curve without noise, by the definitions of `foretoken.abilities.verdict`, which know no
estimator; `near` counts a verdict that the curve would have with limits a quarter higher or lower, since no data tell a
curve that lies on a limit. Runs differ by `--noise` in log odds, beside the luck of the items.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from foretoken.abilities.axes import CurveName
from foretoken.abilities.classify import fitted_curve, level_of_curve, scores
from foretoken.abilities.curve import Curve
from foretoken.abilities.pairs import metric_pairs
from foretoken.abilities.verdict import PLACES, VERDICTS, features
from foretoken.laws.law import Array
from score_ceiling import Simulated, ceilings

KINDS = ("flat", "linear", "sigmoid", "power", "jump", "broken", "u")
CHUNKS = 20
"""Of 20,000 truths each, for the ceiling."""
SPAN = np.log(1000.0)
"""Sizes span a factor of a thousand."""
Truth = Callable[[Array], Array]


def truth(kind: str, g: np.random.Generator) -> Truth:
    """A curve without noise against the log of size, 0 at the smallest size and 1 at the largest."""
    low = g.uniform(0.02, 0.4)
    rise = g.uniform(0.35, 0.97 - low)
    if kind == "flat":
        level = g.uniform(0.05, 0.95)
        return lambda u: level + 0.0 * u
    if kind == "linear":
        return lambda u: low + rise * u
    if kind == "sigmoid":
        place, width = g.uniform(0.35, 0.65), np.exp(g.uniform(np.log(0.03), np.log(0.15)))
        return lambda u: low + rise * expit((u - place) / width)
    if kind == "power":
        length, first, last = g.integers(1, 9), g.uniform(0.1, 0.4), g.uniform(0.8, 0.98)
        return lambda u: (first + (last - first) * u) ** length
    if kind == "jump":
        place = g.uniform(0.25, 0.8)
        return lambda u: low + rise * (u > place)
    if kind == "broken":
        knot, share = g.uniform(0.3, 0.7), g.choice([0.0, 0.15, 4.0, 8.0])
        return lambda u: low + rise * _broken(u, knot, share) / _broken(np.ones(1), knot, share)
    place, depth, top = g.uniform(0.4, 0.6), g.uniform(0.25, 0.45), g.uniform(0.5, 0.9)
    return lambda u: top - depth * (1.0 - ((u - place) / max(place, 1.0 - place)) ** 2)


def _broken(u: Array, knot: float, share: float) -> Array:
    return np.minimum(u, knot) + share * np.maximum(u - knot, 0.0)


def places(sizes: int, g: np.random.Generator) -> Array:
    """Sizes about evenly spread."""
    even = np.linspace(0.0, 1.0, sizes)
    return np.clip(even + np.r_[0.0, g.uniform(-0.3, 0.3, sizes - 2) / sizes, 0.0], 0.0, 1.0)


@dataclass(frozen=True)
class Setting:
    sizes: int
    items: int
    noise: float
    seed: int = 0


def measured(
    curve: Truth, u: Array, setting: Setting, g: np.random.Generator, metric: str = "acc", n: int = 0
) -> Curve:
    """Scores of runs of `curve`."""
    mean = np.clip(curve(u), 1e-4, 1.0 - 1e-4)
    run = expit(logit(mean) + setting.noise * g.standard_normal(len(u)))
    n = n or setting.items
    name = CurveName("", "task", metric, "")
    items = np.full(len(u), float(n))
    return Curve(
        name, "params", 1e8 * np.exp(SPAN * u), g.binomial(n, run) / n, items, "up", "fraction", None, None, None
    )


def simulated(number: int, kind: str, setting: Setting) -> tuple[Truth, Curve]:
    """A curve without noise, and the scores of its runs."""
    g = np.random.default_rng([setting.seed, number, KINDS.index(kind), setting.sizes, setting.items])
    curve = truth(kind, g)
    return curve, measured(curve, places(setting.sizes, g), setting, g)


def one_verdict(number: int, kind: str, setting: Setting) -> tuple[str, str, bool]:
    """The verdict, the right one, and whether it is right or near."""
    curve, scored = simulated(number, kind, setting)
    fitted, _ = fitted_curve(scored, np.random.default_rng(0))
    seen = features(curve(PLACES)[None, :])
    near = {VERDICTS[seen.verdicts(leeway=leeway)[0]] for leeway in (0.8, 1.0, 1.25)}
    return fitted.judged.verdict, VERDICTS[seen.verdicts()[0]], fitted.judged.verdict in near


def verdicts(each: int, setting: Setting) -> Iterator[str]:
    """A line for each kind of curve."""
    for kind in KINDS:
        found = list(map(partial(one_verdict, kind=kind, setting=setting), range(each)))
        right, near = (np.mean([v == t for v, t, _ in found]), np.mean([close for *_, close in found]))
        silent = np.mean([v == "not_enough_data" for v, *_ in found])
        wrong = Counter(f"{t}->{v}" for v, t, close in found if v not in (t, "not_enough_data"))
        asked = "right >= 0.85" if setting.sizes >= 10 else "silent rather than wrong"
        yield (
            f"{setting.sizes:3} sizes {setting.items:5} items  {kind:8} right {right:.2f}  near {near:.2f}"
            f"  silent {silent:.2f}  wrong {1 - right - silent:.2f}  (asked: {asked})  {dict(wrong.most_common(3))}"
        )


def ceiling(each: int, setting: Setting) -> Iterator[str]:
    """A line for each kind of curve: what the best possible classifier reaches."""
    curves = []
    for kind in KINDS:
        for number in range(each):
            curve, scored = simulated(number, kind, setting)
            right = int(features(curve(PLACES)[None, :]).verdicts()[0])
            hits = np.rint(scored.score * setting.items).astype(int)
            curves.append(Simulated(KINDS.index(kind), right, scored.place, hits, setting.items))
    draw = lambda kind, g: truth(KINDS[kind], g)  # noqa: E731
    for number, best, told in ceilings(curves, draw, len(KINDS), CHUNKS, setting.noise):
        yield (
            f"{setting.sizes:3} sizes {setting.items:5} items  ceiling, {KINDS[number]:8} right {best:.2f}"
            f"  told the kind {told:.2f}"
        )


LEVELLED = ("linear", "sigmoid", "saturating", "power")


def rising(kind: str, g: np.random.Generator) -> Truth:
    """A curve that goes on beyond the data."""
    low = g.uniform(0.02, 0.4)
    if kind == "linear":
        high = g.uniform(low + 0.2, 0.75)
        return lambda u: np.clip(low + (high - low) * u, 0.0, 1.0)
    top = g.uniform(0.6, 1.0)
    if kind == "sigmoid":
        place, width = g.uniform(0.5, 1.1), g.uniform(0.1, 0.3)
        return lambda u: low + (top - low) * expit((u - place) / width)
    if kind == "saturating":
        rate = g.uniform(0.7, 2.5)
        return lambda u: low + (top - low) * (1.0 - np.exp(-rate * u))
    first, last, length = g.uniform(0.2, 0.5), g.uniform(0.6, 0.85), g.integers(1, 6)
    return lambda u: np.clip((first + (last - first) * u) ** length, 0.0, 1.0)


def one_level(number: int, kind: str, setting: Setting) -> tuple[bool, bool] | None:
    """Whether the interval of a level beyond the data holds, and whether it is open; None where it is refused."""
    g = np.random.default_rng([setting.seed, number, LEVELLED.index(kind), setting.sizes, setting.items, 7])
    curve = rising(kind, g)
    factor = float(np.exp(g.uniform(np.log(1.3), np.log(30.0))))
    target = float(curve(np.array(1.0 + np.log(factor) / SPAN)))
    if target > 0.99:
        return None
    one = measured(curve, places(setting.sizes, g), setting, g)
    fitted, _ = fitted_curve(one, np.random.default_rng(0))
    level, _ = level_of_curve(one, fitted, 100.0 * target, 0.9)
    return level and (level.low <= factor <= (np.inf if level.high is None else level.high), level.high is None)


def levels(each: int, setting: Setting) -> Iterator[str]:
    """A line for each kind of curve, and one for all."""
    whole: list[tuple[bool, bool]] = []
    for kind in LEVELLED:
        found = [one for number in range(each) if (one := one_level(number, kind, setting)) is not None]
        whole += found
        yield _held(setting, kind, found, each)
    yield _held(setting, "all", whole, each * len(LEVELLED))


def _held(setting: Setting, kind: str, found: list[tuple[bool, bool]], tried: int) -> str:
    holds, is_open = np.mean(found, axis=0) if found else (np.nan, np.nan)
    return (
        f"{setting.sizes:3} sizes {setting.items:5} items  level, {kind:10} holds {holds:.2f} (asked: 0.85 to 0.96)"
        f"  open above {is_open:.2f}  said {len(found)} of {tried}"
    )


JUMPS = ("artefact", "both jump", "sharp alone")


def one_pair(number: int, kind: str, setting: Setting) -> tuple[str, bool]:
    """Whose the jump is said to be, and whether the length's interval holds."""
    g = np.random.default_rng([setting.seed, number, JUMPS.index(kind), setting.sizes, setting.items, 11])
    first, last, length, place = g.uniform(0.2, 0.5), g.uniform(0.85, 0.98), int(g.integers(3, 9)), g.uniform(0.4, 0.8)
    u = places(setting.sizes, g)
    if kind == "both jump":
        smooth: Truth = lambda u: first + (last - first) * (u > place)  # noqa: E731
    else:
        smooth = lambda u: first + (last - first) * u  # noqa: E731
    sharp: Truth = lambda u: smooth(u) ** length  # noqa: E731
    if kind == "sharp alone":
        sharp = lambda u: 0.02 + 0.7 * (u > place)  # noqa: E731
    curves = (
        measured(sharp, u, setting, g, "exact_match"),
        measured(smooth, u, setting, g, "token_accuracy", n=length * setting.items),
    )
    fitted = [fitted_curve(one, np.random.default_rng(0))[0] for one in curves]
    (pair,) = metric_pairs(fitted, 0.9)
    return pair.origin, pair.length_low <= length <= pair.length_high


def pairs(each: int, setting: Setting) -> Iterator[str]:
    """A line for each kind of jump."""
    for kind in JUMPS:
        found = [one_pair(number, kind, setting) for number in range(each)]
        said = Counter(origin for origin, _ in found)
        asked = "" if kind == "artefact" else "  (asked: artefact <= 0.05)"
        told = "  ".join(f"{name} {said[name] / each:.2f}" for name in ("metric_artefact", "real_jump", "cannot_say"))
        holds = "" if kind == "sharp alone" else f"  length holds {np.mean([held for _, held in found]):.2f}"
        yield f"{setting.sizes:3} sizes {setting.items:5} items  jump, {kind:11} {told}{asked}{holds}"


def speed(curves: int) -> str:
    """Seconds for a table of so many curves of 12 sizes."""
    g, setting = np.random.default_rng(0), Setting(12, 1000, 0.08)
    parts = []
    for number in range(curves):
        one = measured(truth(KINDS[number % len(KINDS)], g), places(12, g), setting, g)
        parts.append(
            pd.DataFrame({"params": one.x, "task": f"t{number}", "metric": "acc", "score": one.score, "n": 1000})
        )
    begin, of_core = time.perf_counter(), time.process_time()
    scores(pd.concat(parts))
    wall, core = time.perf_counter() - begin, time.process_time() - of_core
    return f"{curves} curves of 12 sizes in {wall:.1f} s, {core:.1f} s of one core (asked: 1,000 in 60 s)"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="*", default=[6, 8, 10, 12, 20])
    parser.add_argument("--items", type=int, nargs="*", default=[100, 1000])
    parser.add_argument("--noise", type=float, default=0.08)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="*", default=["verdicts", "levels", "pairs", "speed"])
    options = parser.parse_args()
    if "speed" in options.parts:
        print(speed(1000), flush=True)
    for made in (verdicts, ceiling, levels, pairs):
        for sizes in options.sizes:
            for items in options.items:
                for line in (
                    made(options.each, Setting(sizes, items, options.noise, options.seed))
                    if made.__name__ in options.parts
                    else ()
                ):
                    print(line, flush=True)
