"""Moments by two clocks: the one on the wall, which anybody can set, and that of the machine since it was started.

What came first is never read off the wall (see chain.py). The second clock shows that the first one was moved.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Le

from foretoken.errors import ForetokenError

READ = {"extra": "forbid", "allow_inf_nan": False}
"""How pydantic reads what another program may have written."""
SLACK_SECONDS = 30.0
"""What the two clocks may drift apart without a word: a step of the time service after a start is of this size."""


@dataclass(frozen=True)
class Uptime:
    """A clock that nobody sets."""

    __pydantic_config__ = READ

    boot: str
    """Which start of which machine it counts from; empty where the system does not say it."""
    seconds: Annotated[float, Ge(0), Le(1e10)]
    """Since then, sleep included."""


@dataclass(frozen=True)
class Moment:
    """A moment, by both clocks."""

    __pydantic_config__ = READ

    at: str
    """UTC, ISO 8601."""
    uptime: Uptime | None = None
    """None for what an earlier version wrote."""

    @classmethod
    def now(cls) -> Moment:
        """The present moment."""
        return cls(now(), Uptime(boot_id(), _uptime()))

    @property
    def instant(self) -> datetime:
        """By the clock on the wall."""
        return instant(self.at)


def moved(earlier: Moment, later: Moment) -> timedelta:
    """How far the clock on the wall was moved between two moments of known order; 0 where nothing shows it.

    >>> noon, one = "2030-01-31T12:00:00Z", "2030-01-31T13:00:00Z"
    >>> print(moved(Moment(one), Moment(noon)), "|", moved(Moment(noon), Moment(one)))
    -1 day, 23:00:00 | 0:00:00
    >>> print(moved(Moment(noon, Uptime("a", 5.0)), Moment(one, Uptime("a", 65.0))))
    0:59:00
    """
    passed = later.instant - earlier.instant
    if earlier.uptime and later.uptime and earlier.uptime.boot == later.uptime.boot != "":
        passed -= timedelta(seconds=later.uptime.seconds - earlier.uptime.seconds)
    else:
        # Of two machines, or two starts of one, only an order that is turned round shows anything.
        passed = min(passed, timedelta(0))
    return passed if abs(passed.total_seconds()) > SLACK_SECONDS else timedelta(0)


def now() -> str:
    """The present moment by the clock on the wall: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def instant(text: str) -> datetime:
    """An ISO 8601 time as an instant that compares with others; one without a zone is UTC.

    >>> instant("2030-01-31T13:00:00+01:00") == instant("2030-01-31T12:00:00")
    True
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ForetokenError("a time is not readable", expected="ISO 8601, 2030-01-31T12:00:00Z", got=text) from error
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _uptime() -> float:
    # CLOCK_MONOTONIC of Linux stands still while a laptop sleeps, which would look as if the other had been moved.
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def boot_id() -> str:
    """What the machine calls this start of its own; "" where it calls it nothing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
