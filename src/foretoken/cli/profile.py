"""`foretoken profile`: where a training step's time goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load, print_json
from foretoken.units import format_count


def profile(
    study: StudyArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Measure a training step of the smallest, the middle and the largest size and of the target, phase by phase.

    Example: foretoken profile studies/quickstart.toml
    """
    from foretoken.study.preview import profile as profile_steps

    results = profile_steps(load(study, seed), folder)
    if json:
        print_json({"sizes": results})
    else:
        _show(results)


def _show(results: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", *(result["size"] for result in results), box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, tell in ROWS.items():
        table.add_row(label, *(tell(result) for result in results))
    for phase in results[0]["phases"]:
        table.add_row(f"  {phase}", *(_phase(result["phases"], phase) for result in results))
    console = Console()
    console.print(table)
    for result in results:
        costly = ", ".join(f"{one['name']} {one['share']:.0%}" for one in result["operations"])
        console.print(f"\n{result['size']}: {costly}", highlight=False)


ROWS: dict[str, Callable[[dict[str, Any]], str]] = {
    "parameters": lambda result: format_count(result["params_total"]),
    "width x layers": lambda result: f"{result['width']} x {result['layers']}",
    "threads": lambda result: str(result["threads"]),
    "precision": lambda result: result["precision"],
    "tokens/s": lambda result: f"{result['tokens_per_second']:.0f}",
    "share of matmul peak": lambda result: f"{result['share_of_peak']:.0%}",
    "ms per step": lambda result: f"{1e3 * result['seconds_per_step']:.2f}",
}


def _phase(phases: dict[str, float], name: str) -> str:
    return f"{1e3 * phases[name]:.2f} {phases[name] / sum(phases.values()):4.0%}"
