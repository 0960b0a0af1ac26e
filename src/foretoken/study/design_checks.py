"""What planned runs already show: refused before anything is trained, or flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foretoken import fits
from foretoken.compute.memory import OPTIMIZER_BYTES
from foretoken.data import TokenizedCorpus, check_tokens
from foretoken.designs import Design, check_memory
from foretoken.errors import DesignError
from foretoken.fits.ladder_line import ladder_line, with_ladder_check
from foretoken.ladders.planned import check_planned_runs
from foretoken.launchers import Machine
from foretoken.launchers.jobs import ThreadSpeed
from foretoken.laws import SATURATING_FLOPS, WEIGHED, law_or_heaviest
from foretoken.runs.schema import DesignSection, LaunchSection
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.units import format_count

WEIGHT_BYTES, STATE_BYTES = 2.0, 4.0 + OPTIMIZER_BYTES["adam"]
"""Bytes of a parameter: in 16 bits; with its gradient and all that Adam keeps, in the usual mixed precision."""
CLEARLY = 1.1
"""Ratio of two speeds that were measured for a second each, above which one is told to be faster."""


def workers_of(launch: LaunchSection, machine: Machine, otherwise: int) -> int:
    """Workers side by side: as the study file says, else as there are GPUs or shares of them, else `otherwise`."""
    if launch.workers or not (launch.gpus and machine.gpus):
        return launch.workers or otherwise
    return max(1, int(machine.gpus / min(one.gpus for one in launch.gpus) + 1e-9)) * machine.count


def check_gpus(runs: Sequence[RunSpec], launch: LaunchSection, machine: Machine) -> None:
    """Raise DesignError for runs with more GPUs than any machine has."""
    most = machine.gpus
    if most is None or not (lacking := [run for run in runs if launch.gpus_of(run.parameters.total) > most]):
        return
    needed = launch.gpus_of(max(run.parameters.total for run in lacking))
    raise DesignError(
        "no machine has as many GPUs as a run needs",
        expected=f"at most {most:g}",
        got=f"{needed:g}, {needed - most:g} too many, for {_named(lacking)}",
        cure="lower launch.gpus",
        code="no_room",
    )


def check_gpu_memory(runs: Sequence[RunSpec], launch: LaunchSection, machine: Machine) -> list[fits.Check]:
    """A doubt where the usual state of a training, cut over a run's GPUs, is more than they hold.

    How a command trains is its own affair: raises DesignError only where its weights alone, in 16 bits, are too many.
    """
    if not (launch.gpus and machine.gpu_memory_bytes):
        return []
    for each, what in ((WEIGHT_BYTES, "weights alone"), (STATE_BYTES, "weights, gradients and Adam's state")):
        lacks = {run: _gpu_bytes_lacking(run, launch, machine.gpu_memory_bytes, each) for run in runs}
        if lacking := [run for run, bytes_ in lacks.items() if bytes_ > 0]:
            most = max(lacks.values())
            text = f"{what} at {each:g} bytes a parameter are {most / 1e9:.3g} GB more than their GPUs hold"
            told, cure = f"{text}, for {_named(lacking)}", "give larger sizes more GPUs in launch.gpus"
            if each == WEIGHT_BYTES:
                raise DesignError("runs do not fit on their GPUs", got=told, cure=cure, code="no_room")
            return [fits.Check("gpu_memory", "doubt", told, cure)]
    return []


def _gpu_bytes_lacking(run: RunSpec, launch: LaunchSection, memory: float, each: float) -> float:
    params = run.parameters.total
    return each * params - launch.gpus_of(params) * memory


def _named(runs: Sequence[RunSpec]) -> str:
    """Some runs by group and size, the largest first."""
    ordered = sorted(runs, key=lambda run: -run.parameters.total)
    names = list(dict.fromkeys(f"{run.group} ({format_count(run.parameters.total)})" for run in ordered))
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def check_room(runs: Sequence[RunSpec], corpus: TokenizedCorpus, machine: Machine, workers: int, repeat: bool) -> None:
    """Raise CorpusError for runs that need more text, DesignError for runs that need more memory than there is."""
    longest = max(runs, key=lambda run: run.sequences_read)
    check_tokens(corpus, longest.sequences_read, longest.objective.window(longest.shape), repeat)
    check_memory(runs, workers, machine.memory_bytes)


def check_sizes(asked: DesignSection, runs: Sequence[RunSpec]) -> list[fits.Check]:
    """A doubt where a budget, or a ladder's length, has fewer sizes than were asked for.

    Sizes are whole networks: two that are asked for close together are one where no network lies between.
    """
    if asked.kind == "ladder" and not asked.params:  # all sizes that an own trainer lists
        return []
    wanted = len(asked.params) or asked.sizes_per_budget
    sizes: dict[str, set[int]] = {}
    for run in runs:
        sizes.setdefault(run.group, set()).add(run.parameters.total)
    fewer = {group: len(found) for group, found in sizes.items() if len(found) < wanted}
    if asked.runs or not fewer:  # a list of runs refuses two that are one network
        return []
    told = ", ".join(f"{count} at {group}" for group, count in fewer.items())
    cure = "ask for fewer sizes or for larger steps between them (design.size_ratio, design.params), or lower "
    return [
        fits.Check(
            "fewer_sizes",
            "doubt",
            f"{wanted} sizes were asked for, and networks that small have only {told}",
            f"{cure}model.width_per_layer",
        )
    ]


def check_planned(study: Study, design: Design) -> list[fits.Check]:
    """The doubts about a study's planned sizes and lengths. Raises DesignError where its law cannot be fitted."""
    fewer = check_sizes(study.design, design.runs)
    try:
        refuse = not study.adds_runs
        return [*fewer, *check_fittable(design.runs, study.forecast.law, design.target, refuse=refuse)]
    except DesignError as error:
        if not fewer:
            raise
        got, cure = f"{error.got}; {fewer[0].evidence}", fewer[0].cure
        raise DesignError(error.message, got=got, cure=cure, code=error.code) from None


def check_threads(measured: Sequence[ThreadSpeed], threads: int) -> list[fits.Check]:
    """A doubt where one thread trains the target clearly faster than the number that the study file asks for."""
    speeds = {speed.threads: speed.tokens_per_second for speed in measured}
    one, asked = speeds.get(1, 0.0), speeds.get(threads, 0.0)
    if one <= CLEARLY * asked:
        return []
    told = f"{threads} threads train {asked:,.0f} tokens per second of the target here and now, one thread {one:,.0f}"
    return [fits.Check("slow_threads", "doubt", told, "say target_threads = 1 in [launch], or 0 to have it measured")]


def check_fittable(
    runs: Sequence[RunSpec], law: str, target: RunSpec | None = None, *, refuse: bool = True
) -> list[fits.Check]:
    """The doubts of a fit of `law` to planned runs, as far as their sizes and lengths show them.

    Raises DesignError, with the code of the check, for what the fit would refuse: too few runs for the law's
    parameters, one size or one length, or size and length that move together. Of the last the weighed laws forecast
    the continuation, a `target` at the same ratio, with a doubt. Without `refuse` all these are doubts: the runs may be
    meant for another table, as those of `foretoken next --fit`.
    """
    # Of runs that differ in their learning rate alone the best one counts (see designs.tuned): one row each.
    rows = list({replace(run, learning_rate=0.0).key: run for run in runs}.values())
    params = np.array([float(run.parameters.total) for run in rows])
    tokens = np.array([float(run.tokens) for run in rows])
    flops = np.array([run.flops for run in rows])
    # No loss is known yet; one that falls with size and length lets the checks of the losses pass.
    loss = 1.0 + params**-0.1 + tokens**-0.1
    formula, along = law_or_heaviest(law), ladder_line(params, tokens) if law == WEIGHED else None
    size, length = (float(target.parameters.total), float(target.tokens)) if target else (params[-1], tokens[-1])
    if along and along.tokens_off(size, length) is None:
        formula = SATURATING_FLOPS
        checks = with_ladder_check(check_planned_runs(formula, params, tokens, flops, loss), params, tokens)
    else:
        checks = check_planned_runs(formula, params, tokens, flops, loss)
        checks += along.checks(size, length) if along else []
    for check in checks:
        if check.is_refusal and refuse:
            raise DesignError(
                f"the law {formula.name!r} cannot be fitted to the planned runs",
                got=check.evidence,
                cure=check.cure,
                code=check.code,
            )
    return [replace(check, severity="doubt") if check.is_refusal else check for check in checks]
