"""`foretoken profile`: where a training step's time goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load
from foretoken.cli.printing import print_json, print_table, print_text
from foretoken.units import format_count

if TYPE_CHECKING:
    from foretoken.study.preview import StepProfile


def profile(
    study: StudyArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Measure a training step of the smallest, the middle and the largest size and of the target, phase by phase.

    Example: foretoken profile quickstart
    """
    from foretoken.study.preview import profile as profile_steps

    profiles = profile_steps(load(study, seed), folder)
    if json:
        print_json({"sizes": [profile.to_json() for profile in profiles]})
    else:
        show(profiles)


def show(profiles: list[StepProfile]) -> None:
    """Print where the time of a step goes."""
    rows = [(label, *map(cell, profiles)) for label, cell in ROWS.items()]
    rows += [
        (f"  {phase} [ms, share]", *(_phase(profile.times.phases, phase) for profile in profiles))
        for phase in profiles[0].times.phases
    ]
    print_table(("", *(profile.size for profile in profiles)), rows)
    for profile in profiles:
        operations = ", ".join(f"{operation.name} {operation.share:.0%}" for operation in profile.times.operations)
        print_text(f"\nlongest operations, {profile.size}: {operations}")


ROWS: dict[str, Callable[[StepProfile], str]] = {
    "parameters": lambda profile: format_count(profile.params_total),
    "width x layers": lambda profile: f"{profile.width} x {profile.layers}",
    "threads": lambda profile: str(profile.threads),
    "precision": lambda profile: profile.precision,
    "tokens/s": lambda profile: f"{profile.times.tokens_per_second:.0f}",
    "share of matmul peak": lambda profile: f"{profile.times.share_of_peak:.0%}",
    "ms per step": lambda profile: f"{1e3 * profile.times.seconds_per_step:.2f}",
}


def _phase(phases: dict[str, float], name: str) -> str:
    return f"{1e3 * phases[name]:.2f} {phases[name] / sum(phases.values()):4.0%}"
