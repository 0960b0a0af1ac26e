"""What is said of launch.limit: at the start that a design goes beyond it, at the end that it is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from foretoken import fits
from foretoken.designs import Design
from foretoken.errors import LimitReachedError
from foretoken.launchers.launcher import Job
from foretoken.runs.launch_values import Limit
from foretoken.runs.spec import RunSpec
from foretoken.store.store import Store
from foretoken.study.design_file import usable_design
from foretoken.study.spending import Meter, Spending, rate, remaining

if TYPE_CHECKING:
    from foretoken.study.runner import StudyRunner

RAISE = "raise launch.limit and run again to go on"


def limit_reached(store: Store, meter: Meter, left: Sequence[Job] = ()) -> LimitReachedError:
    """The end of a study at its limit, kept for `status`. `left` are jobs that do not fit into what is left."""
    spending, limits = meter.spending, meter.limits
    told = [", ".join(spending.spent(meter.launch).told)]
    if kept := usable_design(store.folder):
        runs = kept.design.all_runs if kept.study.target.train else kept.design.runs
        told.append(f"{sum(map(store.is_done, runs))} of {len(runs)} runs done")
    text = f"limit reached: {', '.join(told)}"
    if left:
        shortest = min(left, key=lambda job: job.seconds)
        needs = [limit.in_words(need) for limit in limits if (need := meter.need(limit, shortest)) is not None]
        text += f"; the shortest that could start next is estimated at {' and '.join(needs)}"
    spending.reached = text
    spending.write()
    return LimitReachedError(text, cure=RAISE)


def limit_checks(runner: StudyRunner, design: Design, seconds: Mapping[str, float]) -> list[fits.Check]:
    """A doubt for each limit beyond which what is left to train and to score goes, by estimated seconds; else none."""
    launch, spending, runs = runner.study.launch, Spending(runner.store.folder), runner.to_train(design)
    if not launch.limit or not all(run.key in seconds for run in runs):
        return []
    ahead = runner.trainer.ahead(runs, seconds)
    left = [run for run in runs if run.key in ahead]
    spending.take_records(runner.store, launch)
    rest = {limit: remaining(spending, launch, limit) for limit in launch.limits}
    return [check for limit in rest if (check := _check(runner, limit, left, ahead, rest[limit]))]


def known_limit_checks(runner: StudyRunner, design: Design) -> list[fits.Check]:
    """As `limit_checks`, without measuring anything: a doubt, too, where the times are not known."""
    if not runner.study.launch.limit:
        return []
    runs = runner.to_train(design)
    if not runner.trainer.waiting(runs):
        return []
    if not runner.trainer.known_seconds(runs):
        told = "what the runs take is not known yet: whether they stay within launch.limit cannot be said"
        return [fits.Check("limit", "doubt", told, runner.trainer.unmeasured)]
    return limit_checks(runner, design, runner.trainer.known_seconds(runs))


def _check(
    runner: StudyRunner, limit: Limit, runs: Sequence[RunSpec], seconds: Mapping[str, float], left: float
) -> fits.Check | None:
    target = _takes(runner, limit, [run for run in runs if run.is_target], seconds)
    small = _takes(runner, limit, [run for run in runs if not run.is_target], seconds)
    over = small + target - max(left, 0.0)
    if over <= 0:
        return None
    evidence = (
        f"the runs that are left take an estimated {limit.in_words(small)} and the target {limit.in_words(target)}:"
        f" {limit.in_words(over)} more than is left of {limit}"
    )
    if 0 < small <= left:
        evidence += "; the runs fit, and the target will not be trained"
    return fits.Check("limit", "doubt", evidence, "raise launch.limit, or lower the design or target.compute_factor")


def _takes(runner: StudyRunner, limit: Limit, runs: Sequence[RunSpec], seconds: Mapping[str, float]) -> float:
    """What runs take of a limit, in its unit; of a deadline in hours."""
    trainer, launch = runner.trainer, runner.study.launch
    if limit.kind in ("hours", "until"):
        each = [seconds[run.key] / 3600 for run in runs]
        return max(sum(each) / max(1, runner.workers), max(each, default=0.0))
    return sum(seconds[run.key] * rate(launch, limit, trainer.gpus_of(run), trainer.cores_of(run)) for run in runs)


def tell_limit(runner: StudyRunner, design: Design) -> None:
    """Say before anything is trained where the design goes beyond launch.limit. What fits is trained all the same."""
    if runner.study.launch.limit:
        for check in limit_checks(runner, design, runner.estimate_seconds(design)[0]):
            runner.listener.note(f"{check.evidence}; {check.cure}; what does not fit is not started")
