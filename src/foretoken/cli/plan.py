"""`foretoken plan`: from a budget to a size, a length, a price and what is lost by choosing otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foretoken.cli.options import HtmlOption, JsonOption, LevelOption, print_json, write_page

if TYPE_CHECKING:
    from foretoken.plans.plan import Plan

MACHINES = {
    **{name: name for name in ("accelerator", "count", "mfu", "usd_per_hour", "pue", "serve_accelerator")},
    "grid": "kg_co2e_per_kwh",
    "accelerators": "file",
}
"""Options that are about the machines, and their names there."""
SHAPE = ("vocabulary", "context", "family")


def plan(
    compute: Annotated[str | None, typer.Option(help="Budget: 5.76e23, '512 H100 for 30 days', '$2M of H100'.")] = None,
    law: Annotated[str | None, typer.Option(help="A published law: an id of `foretoken laws`.")] = None,
    fit_file: Annotated[Path | None, typer.Option("--fit", help="Your own fit, with its draws.")] = None,
    loss: Annotated[float | None, typer.Option(help="The cheapest way to this loss, in nats per token.")] = None,
    params: Annotated[str | None, typer.Option(help="A given size, for example 7B.")] = None,
    tokens: Annotated[str | None, typer.Option(help="A given number of tokens, for example 300B.")] = None,
    accelerator: Annotated[str | None, typer.Option(help="What it runs on, for example H100 or 'RTX 4090'.")] = None,
    count: Annotated[str | None, typer.Option(help="How many of them side by side.")] = None,
    mfu: Annotated[float | None, typer.Option(help="Model FLOPs utilisation; else typical of kind and size.")] = None,
    usd_per_hour: Annotated[float | None, typer.Option(help="Price of one accelerator.")] = None,
    pue: Annotated[float | None, typer.Option(help="Power usage effectiveness of the site.")] = None,
    grid: Annotated[float | None, typer.Option(help="kg CO2e per kWh of the site's grid.")] = None,
    accelerators: Annotated[Path | None, typer.Option(help="Your own accelerators, prices and site (TOML).")] = None,
    deadline: Annotated[str | None, typer.Option(help="At most this long, for example '30 days'.")] = None,
    ladder: Annotated[str | None, typer.Option(help="FLOP of small runs, paid first.")] = None,
    unique: Annotated[str | None, typer.Option(help="Distinct tokens there are; more are seen again.")] = None,
    max_epochs: Annotated[float | None, typer.Option(help="Times each may be seen; 1 for no repetition.")] = None,
    experts: Annotated[int | None, typer.Option(help="Experts of each layer; the law must read them.")] = None,
    active: Annotated[int, typer.Option(help="Experts that a token passes.")] = 1,
    family: Annotated[str, typer.Option(help="Of the recipe: decoder, prefix, encoder, encoder_decoder.")] = "decoder",
    serve: Annotated[str | None, typer.Option(help="Tokens that the model will read over its life.")] = None,
    write: Annotated[str | None, typer.Option(help="Tokens that it will write.")] = None,
    serve_batch: Annotated[int, typer.Option(help="Requests that are answered at once.")] = 32,
    serve_accelerator: Annotated[str | None, typer.Option(help="What it serves on, if something else.")] = None,
    reference_size: Annotated[str | None, typer.Option(help="A size whose regret is shown.")] = None,
    max_params: Annotated[str | None, typer.Option(help="The largest size allowed, by memory or latency.")] = None,
    max_total: Annotated[str | None, typer.Option(help="The most parameters in all, idle experts too.")] = None,
    latency: Annotated[str | None, typer.Option(help="A token is answered within this: '20 ms'.")] = None,
    serve_on: Annotated[int | None, typer.Option(help="The model must fit this many accelerators to serve.")] = None,
    sizes: Annotated[str, typer.Option(help="The only sizes allowed.", metavar="7B,13B,...")] = "",
    tolerance: Annotated[float, typer.Option(help="Share of the loss within which a split is as good.")] = 0.001,
    vocabulary: Annotated[int, typer.Option(help="Tokens of the tokenizer.")] = 32_000,
    context: Annotated[int, typer.Option(help="Longest sequence, in tokens.")] = 4096,
    estimator: Annotated[str, typer.Option(help="Of --fit: map or huber.")] = "map",
    level: LevelOption = 0.9,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for a study file and configs.")] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Plan the big run: size, tokens, loss, cost, what each other choice would lose, and a full recipe.

    Example: foretoken plan --compute '512 H100 for 30 days' --law besiroglu_2024
    """
    _answer(dict(locals()))


def _answer(said: dict[str, Any]) -> None:
    """Plan by what was said, by the options' names, and print it."""
    from foretoken.cli.plan_text import show
    from foretoken.compute.proportions import Proportions
    from foretoken.plans.request import Machines, planned

    out, html, json = (said.pop(name) for name in ("out", "html", "json"))
    machines = Machines(**{name: said.pop(option) for option, name in MACHINES.items()})
    proportions = Proportions(**{name: said.pop(name) for name in SHAPE})
    said |= {"fit": said.pop("fit_file"), "sizes": _listed(said["sizes"])}
    found, losses = planned(machines=machines, proportions=proportions, **said)
    _write(found, out)
    write_page(html, found, losses=losses)
    if json:
        print_json(found.to_json())
    else:
        show(found)


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _write(found: Plan, folder: Path | None) -> None:
    """The study file and the config fragments, into a folder if one was named."""
    if folder is None:
        return
    from foretoken.plans.export import fragments
    from foretoken.store.atomic import write_file

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in fragments(found).items():
        write_file(folder / name, text.encode())
        typer.echo(f"wrote {folder / name}", err=True)
