"""Surfaces whose truth is known: does the interval of a decade's price hold it, is "does not pay" ever said wrongly?

    python benchmarks/tail.py                  # 100 tables of each kind: half an hour on one core
    python benchmarks/tail.py --each 20 --seed 1

Counts are even in log10 from 1 to 10^4, sizes over two decades; facts differ by 1 in log odds, models by `spread`.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.special import expit

from foretoken.abilities.answers import CountedAnswers, Model
from foretoken.abilities.long_tail import tail_of
from foretoken.abilities.tail_result import VERDICTS

WORLDS = [
    (sizes, facts, spread, chance, ceiling)
    for sizes, facts in ((4, 200), (4, 2000), (6, 600), (8, 200), (8, 2000))
    for spread, chance, ceiling in ((0.0, 0.0, 1.0), (0.1, 0.25, 1.0), (0.1, 0.0, 0.9))
]
"""Sizes, facts, spread of the models, chance and ceiling."""
SLOPES = ((1.0, 0.7), (0.8, 1.5), (1.0, 0.0))
"""Log odds per decade of mentions and of parameters."""


def world(
    random: np.random.Generator,
    sizes: int,
    facts: int,
    spread: float,
    chance: float,
    ceiling: float,
    slopes: tuple[float, float],
) -> CountedAnswers:
    """Answers of `sizes` models to `facts` facts."""
    params, count = np.geomspace(1e7, 1e9, sizes), np.round(10 ** random.uniform(0, 4, facts))
    odds = slopes[0] * (np.log10(count) - 2) + slopes[1] * (np.log10(params) - 8)[:, None]
    odds = odds + random.normal(0, 1, facts) + random.normal(0, spread, sizes)[:, None]
    right = random.random((sizes, facts)) < chance + (ceiling - chance) * expit(odds)
    model, question = np.meshgrid(np.arange(sizes), np.arange(facts), indexing="ij")
    return CountedAnswers(
        task="",
        models=tuple(Model("", float(one)) for one in params),
        model=model.ravel(),
        question=question.ravel(),
        count=np.tile(count, sizes),
        n=np.ones(sizes * facts),
        share=right.ravel().astype(float),
        chance=np.full(sizes * facts, chance),
        by_question=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print("sizes facts spread chance ceiling | slopes | in, below, above the ends | pays, does not, cannot say | width")
    for place, (sizes, facts, spread, chance, ceiling) in enumerate(WORLDS):
        for slopes in SLOPES:
            began, held, verdicts, widths = time.perf_counter(), [0, 0, 0], dict.fromkeys(VERDICTS, 0), []
            for number in range(given.each):
                random = np.random.default_rng([given.seed, place, SLOPES.index(slopes), number])
                answers = world(random, sizes, facts, spread, chance, ceiling, slopes)
                price = tail_of(answers, seed=number).price
                assert price is not None
                truth = 10 ** (slopes[0] / slopes[1]) if slopes[1] else np.inf
                high = np.inf if price.high is None else price.high
                held[0 if price.low <= truth <= high else 1 if truth < price.low else 2] += 1
                verdicts[price.verdict] += 1
                widths.append(high / price.low)
            shares = " ".join(f"{100 * one / given.each:3.0f}" for one in (*held, *verdicts.values()))
            seconds = (time.perf_counter() - began) / given.each
            print(
                f"{sizes} {facts:4d} {spread:.1f} {chance:.2f} {ceiling:.1f} | {slopes[0]:.1f} {slopes[1]:.1f} |"
                f" {shares} | x{np.median(widths):.3g} ({seconds:.2f} s)",
                flush=True,
            )


if __name__ == "__main__":
    main()
