"""Whether planned runs fit in this machine's memory."""

from __future__ import annotations

from collections.abc import Sequence

from foretoken.errors import DesignError
from foretoken.runs.spec import RunSpec
from foretoken.units import format_count

GB = 1e9


def check_memory(runs: Sequence[RunSpec], workers: int, available: float) -> None:
    """Raise DesignError when a run, or those that train side by side, hold more than the `available` bytes.

    Runs of one thread train `workers` at a time, one process per trajectory; others train alone. What a process takes
    beside the run itself is not counted, so what passes may still be tight.
    """
    largest = max(runs, key=_bytes)
    if _bytes(largest) > available:
        held = largest.memory
        raise DesignError(
            "a run does not fit in this machine's memory",
            expected=f"at most {available / GB:.3g} GB",
            got=f"{held.total / GB:.3g} GB for a model of {format_count(largest.parameters.total)} parameters, of them"
            f" {held.activations / GB:.3g} GB for the activations of {largest.sequences} sequences",
            cure="lower training.batch_tokens or model.context where activations dominate, else the budgets or sizes",
        )
    beside = _side_by_side(runs)
    if sum(beside[:workers]) > available:
        fitting = next(number for number in range(len(beside), 0, -1) if sum(beside[:number]) <= available)
        raise DesignError(
            "the runs that train side by side do not fit in this machine's memory",
            expected=f"at most {available / GB:.3g} GB",
            got=f"{sum(beside[:workers]) / GB:.3g} GB for {min(workers, len(beside))} runs",
            cure=f"set launch.workers to {fitting} or less",
        )


def _side_by_side(runs: Sequence[RunSpec]) -> list[float]:
    """Bytes of each process that trains beside others, the largest first."""
    processes: dict[str, float] = {}
    for run in runs:
        if run.threads == 1 and not run.is_target:
            # the branches of a trunk train one after another in its process, so the largest of them counts
            processes[run.trajectory] = max(_bytes(run), processes.get(run.trajectory, 0.0))
    return sorted(processes.values(), reverse=True)


def _bytes(run: RunSpec) -> float:
    return run.memory.total
