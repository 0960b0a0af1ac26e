"""Results of runs that were started by hand, brought home as records of the study."""

from __future__ import annotations

import math
from pathlib import Path

from foretoken._version import __version__
from foretoken.arguments import named_arguments
from foretoken.errors import ForetokenError, RefusedError
from foretoken.forecasts import ledger
from foretoken.own_trainer.result import CommandResult, read_result
from foretoken.runs.record import RunRecord
from foretoken.runs.spec import RunSpec
from foretoken.runs.study_file import Study
from foretoken.store import clock
from foretoken.store.store import is_key
from foretoken.study.frozen import current_forecast, has_begun
from foretoken.study.run_study import study_runner
from foretoken.study.runner import StudyRunner

FEWEST = 4
"""Characters of a run's key that must be given."""


@named_arguments
def record(
    study: Study,
    run: str,
    *,
    loss: float | None = None,
    loss_se: float | None = None,
    result: str | Path | None = None,
    seconds: float | None = None,
    device: str = "",
    folder: str | Path | None = None,
) -> RunRecord:
    """Record a run that was started by hand: it then counts as any other run of the study.

    Args:
        study: a study with an own trainer.
        run: the key of the run, or its first characters.
        loss: nats per token at the end of the run; NaN for one that diverged.
        loss_se: the standard error of the loss.
        result: the file or folder that the command left, in place of `loss`.
        seconds: what the run took.
        device: what it ran on.
        folder: the study's folder.

    Raises ForetokenError for a run that is not planned or has its record, RefusedError for the target before its
    forecast is frozen, TableError for a result that has no loss.

    """
    if study.trainer is None:
        raise ForetokenError(
            "only results of your own trainer can be recorded",
            got=f"the study {study.name}, which foretoken's own loop trains",
            cure="fit a table of runs: foretoken fit runs.csv",
        )
    if (loss is None) == (result is None):
        raise ForetokenError("a result is a loss, or the file that has it", expected="--loss or --result")
    runner = study_runner(study, folder)
    with runner.owned():
        design = runner.planned_design()
        planned = _named(run, runner.to_train(design))
        if runner.store.is_done(planned):
            raise ForetokenError(f"run {planned.key} has its record", cure="records are never replaced")
        if planned.is_target:
            _begin_target(runner, planned)
        if result is not None:
            told = read_result(Path(result), study.trainer.map, planned.batch_tokens)
        else:
            told = CommandResult(loss=float(loss or 0.0), loss_se=loss_se, seconds=seconds, device=device)
        new = _record_of(planned, told)
        runner.store.put_record(new)
        runner.store.seal_records([planned.key])
    return new


def _named(run: str, planned: list[RunSpec]) -> RunSpec:
    found = [one for one in planned if one.key.startswith(run)] if len(run) >= FEWEST else []
    if len(found) == 1 and (is_key(run) or len(run) < len(found[0].key)):
        return found[0]
    keys = ", ".join(one.key for one in (found or planned)[:5])
    raise ForetokenError(
        f"no planned run is {run!r}" if not found else f"{len(found)} planned runs begin with {run!r}",
        expected=f"the key of a run, or its first {FEWEST} characters and more: {keys}, ...",
        cure="foretoken design STUDY --csv lists them",
    )


def _begin_target(runner: StudyRunner, target: RunSpec) -> None:
    """Say in the ledger that the target has begun. Raises RefusedError before a forecast of it is frozen."""
    line = current_forecast(runner.folder, runner.planned_design())
    if line is None:
        raise RefusedError(
            "no_forecast_yet",
            "the target's result would stand before any forecast of it is frozen",
            "record the small runs, then foretoken run STUDY, which freezes the forecast",
        )
    if not has_begun(runner.store, target):
        ledger.begin(runner.folder / "ledger" / line.entry.name, target.key)


def _record_of(run: RunSpec, told: CommandResult) -> RunRecord:
    finished = math.isfinite(told.loss)
    return RunRecord(
        spec=run,
        status="finished" if finished else "diverged",
        loss=told.loss if finished else None,
        loss_se=told.loss_se,
        curve=told.curve,
        tokens_trained=run.tokens,
        seconds=told.seconds or 0.0,
        tokens_per_second=run.tokens / told.seconds if told.seconds else None,
        device=told.device,
        finished_at=clock.now(),
        version=__version__,
        events=("started by hand, and recorded",),
    )
