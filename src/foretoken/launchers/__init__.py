"""Map a function over jobs: processes here, actors of Ray, jobs of SLURM, and what machines can do. No torch.

A new launcher is one file with a class that has the methods of `Launcher`, and one line in `LAUNCHERS`.
"""

from __future__ import annotations

from collections.abc import Callable

from foretoken.launchers.launcher import Job, Launcher, Machine, Outcome
from foretoken.launchers.local import LocalLauncher
from foretoken.launchers.ray_launcher import RayLauncher
from foretoken.launchers.slurm import SlurmLauncher
from foretoken.runs.schema import LaunchSection

LAUNCHERS: dict[str, Callable[[LaunchSection], Launcher]] = {
    "local": lambda launch: LocalLauncher(),
    "ray": lambda launch: RayLauncher(launch.address),
    "slurm": SlurmLauncher,
    "manual": lambda launch: LocalLauncher(),  # which is asked for nothing but what this machine is
}
"""Launchers by the name that `launch.kind` of a study file gives them, made from what else `[launch]` says."""

__all__ = ["LAUNCHERS", "Job", "Launcher", "LocalLauncher", "Machine", "Outcome", "RayLauncher", "SlurmLauncher"]
