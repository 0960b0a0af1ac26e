"""Launcher: whatever can run jobs somewhere and say what the machine there can do. A study receives one.

A job is one call of a function that is named as text ("package.module:name") with plain values, so that it can be
made in another process or on another machine. What a job reports while it runs are events; how it ended is an outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from foretoken.runs.record import RunStatus


@dataclass(frozen=True)
class Job:
    """One call of the launched function."""

    name: str
    argument_json: dict[str, Any]
    """Plain values: they may travel to another process (see launchers/jobs.py for what they hold)."""
    seconds: float
    """Estimate; longer jobs start first, so that no long one is left alone at the end."""
    gpus: float = 0.0
    """GPUs that it has for itself, or a share of one; 0 where nobody has said."""


@dataclass(frozen=True)
class Started:
    """The job was given to a worker."""


@dataclass(frozen=True)
class Released:
    """No worker has the job any more: it has ended, or waits for another worker."""


@dataclass(frozen=True)
class Step:
    """A run has come to this optimizer step."""

    run: str
    """Key of the run."""
    step: int
    steps: int
    """Steps of the whole run."""
    loss: float | None
    """The newest training loss, nats per token; None before the first point of the curve."""


@dataclass(frozen=True)
class Ended:
    """A run has its record."""

    run: str
    status: RunStatus
    agrees: bool = True
    """False where the run was trained twice and gave two results."""


@dataclass(frozen=True)
class Note:
    """Something that a person should know."""

    text: str


@dataclass(frozen=True)
class Silent:
    """The job has reported nothing for many times as long as it usually takes; it is waited for."""

    seconds: float


Event = Started | Released | Step | Ended | Note | Silent
EVENTS: dict[str, type[Event]] = {
    "started": Started,
    "released": Released,
    "step": Step,
    "ended": Ended,
    "note": Note,
    "silent": Silent,
}
"""Every event by the name that it has in JSON."""
NAMES = {event: name for name, event in EVENTS.items()}


def event_to_json(event: Event) -> dict[str, Any]:
    """Plain values, for a pipe or a file.

    >>> event_to_json(Step("5f3a", 10, 40, 2.5))
    {'kind': 'step', 'run': '5f3a', 'step': 10, 'steps': 40, 'loss': 2.5}
    """
    return {"kind": NAMES[type(event)], **asdict(event)}


def event_from_json(event_json: Mapping[str, Any]) -> Event:
    """The inverse of `event_to_json`; KeyError for a kind that is none, TypeError for other fields."""
    values = dict(event_json)
    return EVENTS[values.pop("kind")](**values)


Report = Callable[[Event], None]
"""What a job calls to report an event."""
Stop = Callable[[], bool]
"""What a job asks now and then: whether it should save and end."""
OnEvent = Callable[[str, Event], None]
"""What the driver is called with: the job's name, and what it reported."""
Admit = Callable[[Job], bool]
"""What a launcher asks, in the driver's thread, before it gives a job to a worker: whether it may start now."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended: with a result, with an error's text, or stopped (both None)."""

    name: str
    result_json: Any = None
    """Plain values that the function returned."""
    error: str | None = None
    fatal: bool = False
    """Whether the error is not the job's own (a full disk, say), so that the other jobs were stopped."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a job has where it runs."""

    cores: int
    memory_bytes: float
    """Bytes that jobs may use together."""
    processor: str
    """Name of the processor: speeds that were measured on another one do not count."""
    bfloat16: bool
    """Whether the processor multiplies bfloat16 natively."""
    count: int = 1
    """Machines like this one, on which the jobs run side by side; a job runs on one."""
    gpus: int | None = None
    """GPUs of one of them, the most that a job can have; None where that is not known."""
    gpu_memory_bytes: float | None = None
    """Bytes of one GPU, the largest that there is; None where that is not known."""

    @classmethod
    def from_json(cls, machine_json: Mapping[str, Any]) -> Machine:
        """The inverse of `dataclasses.asdict`; TypeError for other fields."""
        return cls(**machine_json)


def ignore(job: str, event: Event) -> None:
    """Take no notice of an event."""


def go_on() -> None:
    """Find no reason to stop."""


def always(job: Job) -> bool:
    """Let every job start."""
    return True


class Launcher(Protocol):
    """What a study asks of the place where its runs are trained.

    An implementation may write its own files anywhere below the folder of `log`, and nowhere else.
    """

    def launch(
        self,
        function: str,
        jobs: Sequence[Job],
        *,
        workers: int,
        threads: int,
        log: Path,
        on_event: OnEvent = ignore,
        check: Callable[[], None] = go_on,
        admit: Admit = always,
    ) -> list[Outcome]:
        """Call `function(argument, report, stop)` for each job, `workers` at a time, with `threads` threads each.

        The longest jobs start first. `on_event` is called in this thread, with `Started` before any other event of a
        job but a `Note`. A job that `admit` does not let start is left, and has no outcome unless it may start later; a
        launcher without this argument can train a study that has no `launch.limit`. `check` is called about once a
        second and may raise.

        On KeyboardInterrupt and on any ForetokenError the jobs are asked to stop and save, and what was
        raised is raised again when they have, or when a bounded time has passed; another KeyboardInterrupt ends them
        at once. A job that raises ForetokenError ends all others and is `fatal`; any other exception is that job's
        error alone.
        """
        ...

    def measure(self, log: Path, *, on_event: OnEvent = ignore, check: Callable[[], None] = go_on) -> Machine:
        """The machine as the jobs see it; called before anything is planned, and must be quick.

        Where that has to wait, `on_event` is told for what, and `check` is called as by `launch`.
        """
        ...

    def close(self) -> None:
        """Let go of what is kept between launches (idle processes, say); called when a study has ended or stopped."""
        ...
