"""Budget -> RunSpecs. A new design is one file and one line in `DESIGNS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from foretoken.designs.isoflop import extend, isoflop
from foretoken.designs.ladder import ladder
from foretoken.designs.memory import check_memory
from foretoken.designs.recipe import Recipe, TokenSource
from foretoken.designs.runs import runs, tuned
from foretoken.designs.target import target
from foretoken.runs.spec import RunSpec

DESIGNS = {"isoflop": isoflop, "ladder": ladder, "runs": runs}


@dataclass(frozen=True)
class Design:
    """The planned runs of a study."""

    runs: list[RunSpec]
    """The small runs."""
    target: RunSpec

    @property
    def all_runs(self) -> list[RunSpec]:
        """The small runs and the target."""
        return [*self.runs, self.target]

    @property
    def trunks(self) -> list[list[RunSpec]]:
        """The small runs by trunk, each trunk's shortest run first."""
        return group_by_trunk(self.runs)

    @property
    def total_flops(self) -> float:
        """FLOPs of the small runs as they are trained: what branches share is counted once."""
        return sum(run.flops / run.steps * steps for trunk in self.trunks for run, steps in own_steps(trunk))

    @property
    def separate_flops(self) -> float:
        """FLOPs of the small runs if each were trained alone."""
        return sum(run.flops for run in self.runs)

    @property
    def compute_factor(self) -> float:
        """FLOPs of the target over those of the largest small run."""
        return self.target.flops / max(run.flops for run in self.runs)

    def rows(self, seconds: Mapping[str, float]) -> list[dict[str, Any]]:
        """Each run, the target last, as people read it; `seconds` are estimates by key."""
        return [
            {
                "id": run.key,
                "group": run.group,
                "params_total": run.parameters.total,
                "params_non_embedding": run.parameters.non_embedding,
                "tokens": run.tokens,
                "flops": run.flops,
                "seconds_estimated": seconds.get(run.key),
                "bytes_estimated": run.memory.total,
            }
            for run in self.all_runs
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"runs": [run.to_json() for run in self.runs], "target": self.target.to_json()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Design:
        """The inverse of `to_json`."""
        return cls([RunSpec.from_json(run) for run in values["runs"]], RunSpec.from_json(values["target"]))


def group_by_trunk(runs: list[RunSpec]) -> list[list[RunSpec]]:
    """Runs that share a trunk together, shortest first; a run without a trunk alone."""
    trunks: dict[str, list[RunSpec]] = {}
    for run in sorted(runs, key=lambda run: run.tokens):
        trunks.setdefault(run.trajectory, []).append(run)
    return list(trunks.values())


def own_steps(trunk: list[RunSpec]) -> list[tuple[RunSpec, int]]:
    """For each run of a trunk the steps that it adds to what its shorter siblings have trained."""
    forks = [0, *(run.fork_step for run in trunk)]
    return [(run, run.steps - fork) for run, fork in zip(trunk, forks, strict=False)]


def make_design(recipe: Recipe, target_threads: int) -> Design:
    """The design of a study. Raises DesignError when a budget cannot be run."""
    planned = DESIGNS[recipe.study.design.kind](recipe)
    runs = list({run.key: run for run in planned}.values())
    return Design(runs, target(recipe, runs, target_threads))


__all__ = [
    "DESIGNS",
    "Design",
    "Recipe",
    "TokenSource",
    "check_memory",
    "extend",
    "group_by_trunk",
    "make_design",
    "own_steps",
    "tuned",
]
