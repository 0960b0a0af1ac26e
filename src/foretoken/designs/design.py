"""Design: the planned runs of a study, and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from foretoken.compute.shape import ModelShape
from foretoken.runs.spec import RunSpec


@dataclass(frozen=True, kw_only=True)
class RunEstimate:
    """A planned run, and what it would take here."""

    id: str
    """Its key."""
    group: str
    params_total: int
    params_non_embedding: int
    tokens: int
    flops: float
    seconds_estimated: float | None
    """None for a run that is not trained, or where nothing can be timed."""
    seconds_estimated_reason: str | None
    """Why it is None."""
    bytes_estimated: float | None
    """What a step holds in memory; None with an own trainer, of which that is not known."""

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


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
        # over the largest and not over the sum: it says how far the law is extrapolated, not what is saved
        return self.target.flops / max(run.flops for run in self.runs)

    @property
    def share_of_target(self) -> float:
        """FLOPs of the small runs, as they are trained, over those of the target."""
        return self.total_flops / self.target.flops

    def estimates(self, seconds: Mapping[str, float], unmeasured: str = "not trained") -> list[RunEstimate]:
        """Each run with what it takes, the target last; `seconds` are estimates by key, `unmeasured` says why not."""
        return [
            RunEstimate(
                id=run.key,
                group=run.group,
                params_total=run.parameters.total,
                params_non_embedding=run.parameters.non_embedding,
                tokens=run.tokens,
                flops=run.flops,
                seconds_estimated=seconds.get(run.key),
                seconds_estimated_reason=None if run.key in seconds else unmeasured,
                bytes_estimated=None if run.trainer else run.memory.total,
            )
            for run in self.all_runs
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"runs": [run.to_json() for run in self.runs], "target": self.target.to_json()}

    @classmethod
    def from_json(cls, design_json: Mapping[str, Any]) -> Design:
        """The inverse of `to_json`."""
        shapes: dict[tuple[Any, ...], ModelShape] = {}  # of thousands of runs few have a shape of their own
        runs = [_run_from_json(run_json, shapes) for run_json in design_json["runs"]]
        return cls(runs, RunSpec.from_json(design_json["target"]))


def _run_from_json(run_json: Mapping[str, Any], shapes: dict[tuple[Any, ...], ModelShape]) -> RunSpec:
    """A run, with the shape that an earlier one has where the two are alike."""
    values = tuple(run_json["shape"].items())
    run = RunSpec.from_json({**run_json, "shape": shapes.get(values, run_json["shape"])})
    shapes[values] = run.shape
    return run


def group_by_trunk(runs: list[RunSpec]) -> list[list[RunSpec]]:
    """Runs that share a trunk together, shortest first; a run without a trunk alone."""
    trunks: dict[str, list[RunSpec]] = {}
    for run in sorted(runs, key=lambda run: run.tokens):
        trunks.setdefault(run.trajectory, []).append(run)
    return list(trunks.values())


def own_steps(trunk: list[RunSpec]) -> list[tuple[RunSpec, int]]:
    """For each run of a trunk the steps that it adds to what its shorter siblings have trained."""
    # A sibling has trained the trunk up to its own fork; only its cooldown is lost to the longer run.
    forks = [0, *(run.fork_step for run in trunk)]
    return [(run, run.steps - fork) for run, fork in zip(trunk, forks, strict=False)]
