"""What planned runs already show: refused before anything is trained, or flagged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from foretoken import fits
from foretoken.data import TokenizedCorpus, check_tokens
from foretoken.designs import check_memory
from foretoken.errors import DesignError
from foretoken.ladders.planned import check_planned_runs
from foretoken.launchers import Machine
from foretoken.laws import law_or_heaviest
from foretoken.runs.spec import RunSpec


def check_room(runs: Sequence[RunSpec], corpus: TokenizedCorpus, machine: Machine, workers: int, repeat: bool) -> None:
    """Raise CorpusError for runs that need more text, DesignError for runs that need more memory than there is."""
    longest = max(runs, key=lambda run: run.sequences_read)
    check_tokens(corpus, longest.sequences_read, longest.objective.window(longest.shape), repeat)
    check_memory(runs, workers, machine.memory_bytes)


def check_fittable(runs: Sequence[RunSpec], law: str, *, refuse: bool = True) -> list[fits.Check]:
    """The doubts of a fit of `law` to planned runs, as far as their sizes and lengths show them.

    Raises DesignError, with the code of the check, for what the fit would refuse: too few runs for the law's
    parameters, one size or one length, or size and length that move together. Without `refuse` these are doubts: the
    runs may be meant for another table, as those of `foretoken next --fit`.
    """
    # Of runs that differ in their learning rate alone the best one counts (see designs.tuned): one row each.
    rows = list({replace(run, learning_rate=0.0).key: run for run in runs}.values())
    params = np.array([float(run.parameters.total) for run in rows])
    tokens = np.array([float(run.tokens) for run in rows])
    flops = np.array([run.flops for run in rows])
    # No loss is known yet; one that falls with size and length lets the checks of the losses pass.
    loss = 1.0 + params**-0.1 + tokens**-0.1
    checks = check_planned_runs(law_or_heaviest(law), params, tokens, flops, loss)
    for check in checks:
        if check.is_refusal and refuse:
            raise DesignError(
                f"the law {law_or_heaviest(law).name!r} cannot be fitted to the planned runs",
                got=check.evidence,
                cure=check.cure,
                code=check.code,
            )
    return [replace(check, severity="doubt") if check.is_refusal else check for check in checks]
