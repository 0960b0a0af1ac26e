"""`foretoken plan`: from a budget to a size, a length, a price and what is lost by choosing otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import HtmlOption, JsonOption, print_json, write_page
from foretoken.cli.request_options import takes_options
from foretoken.plans.request import PlanRequest

if TYPE_CHECKING:
    from foretoken.plans.result import Plan


@takes_options(PlanRequest)
def plan(
    request: PlanRequest,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for a study file and configs.")] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Plan the big run: size, tokens, loss, cost, what each other choice would lose, and a full recipe.

    Example: foretoken plan --compute '512 H100 for 30 days' --law besiroglu_2024
    """
    from foretoken.cli.plan_text import show
    from foretoken.plans.inputs import read_inputs
    from foretoken.plans.planning import make_plan

    inputs = read_inputs(request)
    decision = make_plan(inputs)
    _write(decision, out)
    write_page(html, decision, losses=inputs.loss_model)
    if json:
        print_json(decision.to_json())
    else:
        show(decision)


def _write(decision: Plan, folder: Path | None) -> None:
    """The study file and the configs, into a folder if one was named."""
    if folder is None:
        return
    from foretoken.plans.export import export_files
    from foretoken.store.atomic import write_file

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in export_files(decision).items():
        write_file(folder / name, text.encode())
        typer.echo(f"wrote {folder / name}", err=True)
