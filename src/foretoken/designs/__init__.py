"""Budget -> RunSpecs. A new design is one file and one line in `DESIGNS`."""

from __future__ import annotations

from foretoken.designs.design import Design, RunEstimate, group_by_trunk, own_steps
from foretoken.designs.isoflop import extend, isoflop
from foretoken.designs.ladder import ladder
from foretoken.designs.memory import check_memory
from foretoken.designs.recipe import Recipe, TokenSource
from foretoken.designs.runs import runs, tuned
from foretoken.designs.target import target

DESIGNS = {"isoflop": isoflop, "ladder": ladder, "runs": runs}


def make_design(recipe: Recipe, target_threads: int) -> Design:
    """The design of a study. Raises DesignError when a budget cannot be run."""
    planned = DESIGNS[recipe.study.design.kind](recipe)
    runs = list({run.key: run for run in planned}.values())
    return Design(runs, target(recipe, runs, target_threads))


__all__ = [
    "DESIGNS",
    "Design",
    "Recipe",
    "RunEstimate",
    "TokenSource",
    "check_memory",
    "extend",
    "group_by_trunk",
    "make_design",
    "own_steps",
    "tuned",
]
