"""`foretoken plan`: from a budget to a size, a length, a price and what is lost by choosing otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import (
    HtmlOption,
    JsonOption,
    LevelOption,
    print_assumed,
    print_checks,
    print_json,
    write_page,
)

if TYPE_CHECKING:
    from foretoken.plans.plan import Plan


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
    serve: Annotated[str | None, typer.Option(help="Tokens that the model will read over its life.")] = None,
    write: Annotated[str | None, typer.Option(help="Tokens that it will write.")] = None,
    favourite: Annotated[str | None, typer.Option(help="A size whose regret is wanted.")] = None,
    max_params: Annotated[str | None, typer.Option(help="The largest size allowed, by memory or latency.")] = None,
    latency: Annotated[str | None, typer.Option(help="A token is answered within this: '20 ms'.")] = None,
    serve_on: Annotated[int | None, typer.Option(help="The model must fit this many accelerators to serve.")] = None,
    sizes: Annotated[str, typer.Option(help="The only sizes allowed.", metavar="7B,13B,...")] = "",
    tolerance: Annotated[float, typer.Option(help="Share of the loss within which a split is as good.")] = 0.001,
    vocabulary: Annotated[int, typer.Option(help="Tokens of the tokenizer.")] = 32_000,
    context: Annotated[int, typer.Option(help="Longest sequence, in tokens.")] = 4096,
    estimator: Annotated[str, typer.Option(help="Of --fit: pooled or plain.")] = "pooled",
    level: LevelOption = 0.9,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for a study file and configs.")] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Plan the big run: size, tokens, loss, cost, what each other choice would lose, and a full recipe.

    Example: foretoken plan --compute '512 H100 for 30 days' --law besiroglu_2024
    """
    from foretoken.compute.proportions import Proportions
    from foretoken.plans.asking import Machines, planned

    found, losses = planned(
        compute, law=law, fit=fit_file, loss=loss, params=params, tokens=tokens, deadline=deadline, ladder=ladder,
        unique=unique, serve=serve, write=write, favourite=favourite, max_params=max_params, tolerance=tolerance,
        latency=latency, serve_on=serve_on, sizes=_listed(sizes), level=level, estimator=estimator,
        machines=Machines(accelerator=accelerator, count=count, mfu=mfu, usd_per_hour=usd_per_hour, pue=pue,
                          kg_co2e_per_kwh=grid, file=accelerators),
        proportions=Proportions(vocabulary=vocabulary, context=context),
    )  # fmt: skip
    _write(found, out)
    write_page(html, found, losses=losses)
    if json:
        print_json(found.to_json())
    else:
        _show(found)


def _listed(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _write(found: Plan, folder: Path | None) -> None:
    """The study file and the config fragments, into a folder if one was named."""
    if folder is None:
        return
    from foretoken.plans.fragments import fragments
    from foretoken.runs.door import write_file

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in fragments(found).items():
        write_file(folder / name, text.encode())
        typer.echo(f"wrote {folder / name}", err=True)


def _show(found: Plan) -> None:
    from foretoken.units import format_count, format_duration, format_flops

    level, cost = f"{100 * found.level:g} %", found.cost
    typer.echo(
        f"train {_with(found, 'params', format_count)} parameters on {_with(found, 'tokens', format_count)} tokens"
    )
    loss = found.loss_reason if found.loss is None else f"loss {_with(found, 'loss', '{:.4f}'.format)} nats per token"
    typer.echo(f"{format_flops(found.flops)}, {loss}" + ("" if found.interval_reason else f" (intervals: {level})"))
    if found.band:
        low, high = map(format_count, found.band.params)
        typer.echo(f"any size from {low} to {high} is within {100 * found.band.tolerance:g} % of that loss")
    usd = cost["usd_reason"] if cost["usd"] is None else f"${format_count(cost['usd'])}"
    kwh = cost["kwh"]
    power = "" if kwh is None else f", {format_count(kwh)} kWh, {cost['tco2e']:.3g} t CO2e ({cost['carbon']})"
    typer.echo(
        f"{cost['count']:g} {cost['accelerator']} for {format_duration(3600 * cost['hours'])} at MFU {cost['mfu']:.2f}:"
        f" {usd}{power}"
    )
    life = found.lifetime
    if life is not None:
        typer.echo(
            f"cheapest over its life at that loss: {format_count(life.params)} on {format_count(life.tokens)} tokens,"
            f" {life.saved:.0%} less in all ({life.training:.3g} training and {life.serving:.3g} serving {life.unit})"
        )
    _show_alternatives(found)
    _show_recipe(found)
    far = ", ".join(f"{name} {factor:.3g}" for name, factor in found.extrapolation.items())
    typer.echo(f"times beyond the law's runs: {far or 'not recorded'}")
    print_checks(found.checks)
    print_assumed(found.assumed)
    for one in found.sources[1:]:
        typer.echo(f"assumed: {one['name']} {one['value']:.4g} {one['unit']} ({one['source']})".replace("  ", " "))


def _with(found: Plan, name: str, text: Callable[[float], str]) -> str:
    """A number of the plan with its interval."""
    band = found.interval[name]
    told = text(getattr(found, name))
    return told if band is None else f"{told} [{text(band[0])}, {text(band[1])}]"


def _show_alternatives(found: Plan) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from foretoken.units import format_count

    shown = Table(
        title="what else could be trained for the same compute",
        title_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
    )
    shown.add_column("choice", no_wrap=True)
    for name in ("N", "loss", "loses", "FLOP", "$", "days"):
        shown.add_column(name, justify="right", no_wrap=True)
    for one in found.alternatives:
        numbers = (one.loss, one.regret_loss, one.regret_flops, one.regret_usd, one.regret_days)
        styles = ("{:.3f}", "{:+.4f}", "{:.2g}", "{:.2g}", "{:.2g}")
        cells = ("" if value is None else style.format(value) for value, style in zip(numbers, styles, strict=True))
        shown.add_row(one.name, format_count(one.params), *cells)
    Console().print(shown)


def _show_recipe(found: Plan) -> None:
    from foretoken.units import format_count

    made = found.recipe
    if made is None:
        typer.echo(f"no recipe: {found.recipe_reason}")
        return
    shape = made.shape
    typer.echo(
        f"shape: {shape.layers} layers, width {shape.width}, {shape.heads} heads, feed-forward {shape.feed_forward},"
        f" vocabulary {shape.vocabulary}, context {shape.context}: {format_count(made.params_total)} parameters"
    )
    for name in ("batch_tokens", "learning_rate", "warmup_tokens"):
        one = getattr(made, name)
        said = ", ".join(f"{law.value:.3g} {law.id}" for law in one.laws)
        typer.echo(f"{name.replace('_', ' ')}: {one.value:.4g} ({said})")
    settled = ", ".join(f"{name} {value}" for name, value in made.settled.items())
    typer.echo(f"{made.steps} steps, {settled}")
    typer.echo(f"layout: {_cut(found)}")


def _cut(found: Plan) -> str:
    layout = found.layout
    if layout is None:
        return found.layout_reason or "none"
    cut = layout.split
    return (
        f"tensor {cut.tensor} x pipeline {cut.pipeline} x data {cut.data}, ZeRO {cut.zero}, recompute {cut.recompute},"
        f" micro-batch {layout.micro_batch}; {layout.memory.total / 1e9:.3g} GB each,"
        f" MFU {layout.mfu:.2f} by arithmetic"
    )
