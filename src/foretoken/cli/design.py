"""`foretoken design`: what would be run, and what it would take."""

from __future__ import annotations

from typing import Any

from foretoken.cli.options import FolderOption, JsonOption, SeedOption, StudyArgument, load, print_json
from foretoken.units import format_count, format_duration, format_flops


def design(
    study: StudyArgument, seed: SeedOption = None, folder: FolderOption = None, json: JsonOption = False
) -> None:
    """Print each planned run with its size, tokens, FLOPs and estimated seconds; nothing is trained.

    Example: foretoken design studies/quickstart.toml
    """
    from foretoken.study.preview import design as preview

    result = preview(load(study, seed), folder)
    if json:
        print_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("group", "parameters", "tokens", "tokens/param", "FLOP", "estimate", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for row in [*result["runs"], {**result["target"], "group": "target"}]:
        table.add_row(
            row["group"],
            format_count(row["params_total"]),
            format_count(row["tokens"]),
            f"{row['tokens'] / row['params_total']:.0f}",
            format_flops(row["flops"]).removesuffix(" FLOP"),
            _time(row["seconds_estimated"]),
        )
    console = Console()
    console.print(table)
    seconds, workers = sum(row["seconds_estimated"] for row in result["runs"]), result["workers"]
    target = result["target"]
    console.print(
        f"\n{len(result['runs'])} small runs: {format_flops(result['total_flops'])}, "
        f"{100 * result['share_of_target']:.0f} % of the target's; trained one by one from the start they would take "
        f"{format_flops(result['separate_flops'])}."
        f"\nThe target has {result['compute_factor']:.2f} times the FLOPs of the largest of them."
        f"\nEstimate on this machine: {format_duration(seconds / workers)} for the small runs with {workers} workers, "
        f"{_time(target['seconds_estimated'])} for the target.",
        highlight=False,
    )


def _time(seconds: float | None) -> str:
    return "no training" if seconds is None else format_duration(seconds)
