"""From a table of scores to a decision, in five steps. Run: python examples/from_scores_to_a_decision.py"""

from __future__ import annotations

import numpy as np
import pandas as pd

import foretoken as ft
from foretoken.compute.benchmarks import BENCHMARKS

# 1. What do the curves do? GPT-3's printed scores, few shots, with the levels that are known.
asked = {"Winogrande": 0.94, "SAT Analogies": 0.57, "WiC": 0.8, "3-digit add": None}
rows = [
    {"params": row.params, "task": row.task, "metric": row.metric, "score": row.score / 100, "human": asked[row.task]}
    for row in BENCHMARKS["gpt3_by_size"].scores()
    if row.setting == "few-shot" and row.task in asked
]
found = ft.scores(pd.DataFrame(rows))
for curve in found.curves:
    print(f"{curve.task}: {curve.verdict}; {curve.evidence}")

# 2. How much more for human level? A size with an interval, which may be open above, or a reason why there is none.
for curve in found.curves:
    level = curve.level
    if level:
        ends = f"{level.low:.3g} to {level.high:.3g}" if level.high else f"from {level.low:.3g} on, open above"
        print(f"{curve.task}: {level.name} level at {level.factor:.3g} times the largest size ({ends})")
    print(f"  {curve.level_reason or 'inside the sizes that were tried'}")

# 3. What would that size cost, and what was reported to emerge by that compute? A published law says how long to train.
(winogrande,) = (curve.level for curve in found.curves if curve.task == "Winogrande")
assert winogrande
big = ft.plan(params=winogrande.size, law="besiroglu_2024")
reached = sum(ability.reached for ability in big.abilities)
print(f"{big.params:.3g} parameters: {big.flops:.3g} FLOP, ${big.cost.usd:.3g}")
print(f"{reached} of {len(big.abilities)} abilities were reported in models of no more compute")

# 4. Which of two recipes, at a compute that you have? Small runs of both on one evaluation set, here simulated.
rng = np.random.default_rng(0)
sizes, tokens = (grid.ravel() for grid in np.meshgrid(np.geomspace(3e7, 1e9, 5), np.geomspace(1e9, 3e10, 5)))


def runs(recipe: str, floor: float, scale: float) -> pd.DataFrame:
    """Runs whose loss follows a known law, and whose accuracy follows the loss, from 0.25 by chance."""
    loss = (floor + 400 / sizes**0.34 + scale / tokens**0.33) * np.exp(0.003 * rng.standard_normal(sizes.size))
    accuracy = 0.25 + 0.7 / (1 + np.exp(3 * (loss - 2.4)))
    answers = rng.binomial(10_000, accuracy) / 10_000
    return pd.DataFrame({"recipe": recipe, "params": sizes, "tokens": tokens, "loss": loss, "acc_hellaswag": answers})


ours, theirs = runs("ours", 1.70, 1000), runs("theirs", 1.75, 700)
decision = ft.versus(ours, theirs, compute="1e22", first="ours", second="theirs")
print(f"{decision.winner} wins at {decision.compute:.3g} FLOP; ours with a probability of {decision.p_first:.3f}")
print(f"difference {decision.difference:+.4f} nats ({decision.low:+.4f} to {decision.high:+.4f})")

# 5. What will the winner score there? Through its loss and straight from its size, weighed by what each foretold.
best = ours if decision.winner == "ours" else theirs
split = ft.plan("1e22", fit=ft.fit(best))
told = ft.downstream(best, at=(split.params, split.tokens))
for task in told.tasks:
    print(f"forecast: {task.task} {task.score:.3f} (90 %: {task.low:.3f} to {task.high:.3f})")
    print(f"  {task.compute_factor:.0f} times the compute of the largest run")
