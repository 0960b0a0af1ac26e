"""The ladder to run first as a study file that `foretoken design` and `foretoken run` accept."""

from __future__ import annotations

import math
from contextlib import suppress

from foretoken.compute.proportions import Proportions
from foretoken.errors import DesignError
from foretoken.escapes import for_toml
from foretoken.ladders.ladder import NextRun, PlannedRun
from foretoken.plans.export import recipe_toml
from foretoken.plans.recipe import Recipe, recipe

BYTES = 256
"""Vocabulary of the text that the file names until there is a better one."""
SWEEP = 2.0
"""Factor between neighbouring learning rates of a run that tries several."""
STEEPEST = 1.0
"""Most that learning rate and batch follow the size: a law that says more is asked too far outside its runs."""


def ladder_toml(ladder: NextRun, name: str = "next", context: int = 4096) -> str:
    """A study file of the ladder's runs, and of its target, which is forecast and not trained.

    The rules of learning rate and batch go through what the registry's laws say of the target and of the smallest run
    that has good proportions.
    `context` is in tokens. Raises DesignError for a ladder without runs, or where no network has the target's size.

    >>> from foretoken.ladders.ladder import next_run
    >>> ladder = next_run(1e21, spend=2e19, runs=12)
    >>> text = ladder_toml(ladder)
    >>> 'kind = "runs"' in text, text.count("{ params = ") == len(ladder.runs)
    (True, True)
    """
    if not ladder.runs:
        raise DesignError("the ladder has no runs to write", cure="spend more")
    like = Proportions(vocabulary=BYTES, context=context)
    target = ladder.target
    big = recipe(target.params, target.tokens, proportions=like)
    small = _smallest(ladder.runs, like)
    runs = "\n".join(f"    {_line(run)}," for run in ladder.runs)
    return f"""# The runs to train before {target.params:.4g} parameters on {target.tokens:.4g} tokens:
# {ladder.total_flops:.3g} FLOP, {ladder.total_flops / target.flops:.2%} of the target's.
name = {for_toml(name)}

{recipe_toml(big, _slopes(small, big))}
[design]
kind = "runs"
runs = [
{runs}
]

[target]
compute_factor = {target.flops / max(run.flops for run in ladder.runs):.4g}
tokens_per_param = {target.tokens / target.params:.4g}
train = false                   # true: trained too, after its forecast is frozen

[forecast]
law = {for_toml(ladder.law)}
"""


def _line(run: PlannedRun) -> str:
    """One entry of `design.runs`."""
    more = f", seeds = {run.seeds}" if run.seeds > 1 else ""
    if run.learning_rates > 1:
        # Symmetric about the rule in powers of the factor: 1/2, 1, 2 for three.
        steps = range(-(run.learning_rates // 2), (run.learning_rates + 1) // 2)
        more += f", learning_rate_factors = [{', '.join(f'{SWEEP**step:g}' for step in steps)}]"
    return f"{{ params = {run.params:.4g}, tokens = {run.tokens:.4g}{more} }}"


def _smallest(runs: list[PlannedRun], like: Proportions) -> Recipe:
    for run in sorted(runs, key=lambda run: run.params):
        with suppress(DesignError):
            return recipe(run.params, run.tokens, proportions=like)
    raise DesignError("none of the ladder's sizes can be built", cure="name sizes that can: --sizes 10M,25M,60M")


def _slopes(small: Recipe, big: Recipe) -> tuple[float, float]:
    """Exponents of learning rate and batch in the size, through two recipes; 0 where they are of one size."""
    if small.params_total == big.params_total:
        return 0.0, 0.0
    apart = math.log(big.params_total / small.params_total)
    rate, batch = (getattr(big, one).value / getattr(small, one).value for one in ("learning_rate", "batch_tokens"))
    return max(-STEEPEST, math.log(rate) / apart), min(STEEPEST, math.log(batch) / apart)
