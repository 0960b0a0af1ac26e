"""Map a function over jobs: worker processes on this machine, and what the machine can do. No torch.

A new launcher is one file with a class that has the methods of `Launcher`, and one line in `LAUNCHERS`.
"""

from __future__ import annotations

from collections.abc import Callable

from foretoken.launchers.launcher import Job, Launcher, Machine, Outcome
from foretoken.launchers.local import LocalLauncher

LAUNCHERS: dict[str, Callable[[], Launcher]] = {"local": LocalLauncher}
"""Launchers by the name that `launch.kind` of a study file gives them."""

__all__ = ["LAUNCHERS", "Job", "Launcher", "LocalLauncher", "Machine", "Outcome"]
