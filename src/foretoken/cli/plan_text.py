"""A plan as text for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from foretoken.cli.options import print_assumed, print_checks
from foretoken.units import format_count, format_duration, format_flops

if TYPE_CHECKING:
    from foretoken.plans.lifetime import Life
    from foretoken.plans.plan import Plan


def show(found: Plan) -> None:
    """Print a plan: the decision, its price, what else could be done, the recipe, what was assumed."""
    _show_decision(found)
    _show_life(found)
    _show_repetition(found)
    _show_choices(found)
    _show_alternatives(found)
    _show_experts(found)
    _show_recipe(found)
    far = ", ".join(f"{name} {factor:.3g}" for name, factor in found.extrapolation.items())
    typer.echo(f"times beyond the law's runs: {far or 'not recorded'}")
    print_checks(found.checks)
    print_assumed(found.assumed)
    for one in found.sources[1:]:
        typer.echo(f"assumed: {one['name']} {one['value']:.4g} {one['unit']} ({one['source']})".replace("  ", " "))


def _show_decision(found: Plan) -> None:
    level, cost = f"{100 * found.level:g} %", found.cost
    typer.echo(
        f"train {_with(found, 'params', format_count)} parameters on {_with(found, 'tokens', format_count)} tokens"
    )
    loss = found.loss_reason if found.loss is None else f"loss {_with(found, 'loss', '{:.4f}'.format)} nats per token"
    typer.echo(f"{format_flops(found.flops)}, {loss}" + ("" if found.interval_reason else f" (intervals: {level})"))
    if found.band:
        low, high = map(format_count, found.band.params)
        typer.echo(f"any size from {low} to {high} is within {100 * found.band.tolerance:g} % of that loss")
    if found.binding:
        typer.echo(f"held back by: {'; '.join(found.binding)}")
    usd = cost["usd_reason"] if cost["usd"] is None else f"${format_count(cost['usd'])}"
    kwh = cost["kwh"]
    power = "" if kwh is None else f", {format_count(kwh)} kWh, {cost['tco2e']:.3g} t CO2e ({cost['carbon']})"
    typer.echo(
        f"{cost['count']:g} {cost['accelerator']} for {format_duration(3600 * cost['hours'])} at MFU {cost['mfu']:.2f}:"
        f" {usd}{power}"
    )


def _with(found: Plan, name: str, text: Callable[[float], str]) -> str:
    """A number of the plan with its interval."""
    band = found.interval[name]
    told = text(getattr(found, name))
    return told if band is None else f"{told} [{text(band[0])}, {text(band[1])}]"


def _show_life(found: Plan) -> None:
    life = found.whole_life
    if life is None:
        return
    for one, reason, unit in (
        (life.flop, None, "FLOP"),
        (life.usd, life.usd_reason, "USD"),
        (life.kwh, life.kwh_reason, "kWh"),
    ):
        typer.echo(f"cheapest over its life at that loss, in {unit}: {reason if one is None else _life_words(one)}")
    for row in life.smaller:
        if "reason" in row:
            typer.echo(f"a smaller model for that loss: {row['reason']}")
            continue
        size = f"a model of {format_count(row['params'])}, {row['params_factor']:g} of it,"
        typer.echo(
            f"{size} reaches the loss of the best split of this compute on {format_count(row['tokens'])} tokens, for"
            f" {row['overhead']:.1%} more training; it pays after {format_count(row['pays_after'])} tokens served"
        )


def _life_words(life: Life) -> str:
    return (
        f"{format_count(life.params)} on {format_count(life.tokens)} tokens, {life.saved:.0%} less than the size that"
        f" is cheapest to train ({life.training:.3g} training and {life.serving:.3g} serving)"
    )


def _show_repetition(found: Plan) -> None:
    again = found.repetition
    if again is None:
        return
    typer.echo(
        f"each distinct token is seen {again.epochs:.3g} times; together they are worth"
        f" {format_count(again.effective_tokens)} fresh ones. One more epoch is worth {again.next_epoch['share']:.0%}"
        f" of a fresh one; twice the {again.better} would lower the loss more than twice the"
        f" {'data' if again.better == 'compute' else 'compute'}"
    )


def _table(title: str, first: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shown = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0))
    shown.add_column(first, no_wrap=True)
    for name in names:
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(*row)
    Console().print(shown)


def _show_alternatives(found: Plan) -> None:
    styles = ("{:.3f}", "{:+.4f}", "{:.2g}", "{:.2g}", "{:.2g}")
    rows = []
    for one in found.alternatives:
        numbers = (one.loss, one.regret_loss, one.regret_flops, one.regret_usd, one.regret_days)
        cells = ("" if value is None else style.format(value) for value, style in zip(numbers, styles, strict=True))
        rows.append((one.name, format_count(one.params), *cells))
    names = ("N", "loss", "loses", "FLOP", "$", "days")
    _table("what else could be trained for the same compute", "choice", names, rows)


def _show_choices(found: Plan) -> None:
    if found.choices is None:
        return
    rows = [
        (
            format_count(one.params),
            format_count(one.tokens),
            f"{one.flops:.3g}",
            f"{one.loss:.3f}",
            f"{one.regret_loss:+.4f}",
            "" if one.regret_flops is None else f"{one.regret_flops:.2g}",
            f"{one.gain_of_doubling:.4f}",
        )
        for one in found.choices
    ]
    names = ("tokens", "FLOP", "loss", "loses", "FLOP lost", "gain of twice")
    _table("for how long, or how large?", "N", names, rows)


def _show_experts(found: Plan) -> None:
    mixed = found.experts
    if mixed is None:
        return
    typer.echo(
        f"{mixed.experts} experts, {mixed.active} active: {format_count(mixed.active_params)} parameters for each token"
        f" of {format_count(mixed.total_params)} in all; {mixed.loss_gain:.4f} nats less than without experts"
    )
    room = f"in the memory of the best dense model, {format_count(mixed.max_total)} parameters"
    for title, kind in (("at equal compute", mixed.equal_compute), (room, mixed.equal_memory)):
        rows = [
            (
                f"{one.experts:g}",
                format_count(one.active_params),
                format_count(one.total_params),
                format_count(one.tokens),
                f"{one.loss:.3f}",
                f"{one.gain:+.4f}",
            )
            for one in kind
        ]
        _table(title, "experts, 1 active", ("active", "total", "tokens", "loss", "gains"), rows)
    typer.echo(f"the law's runs: {mixed.validity}")


def _show_recipe(found: Plan) -> None:
    made = found.recipe
    if made is None:
        typer.echo(f"no recipe: {found.recipe_reason}")
        return
    shape = made.shape
    typer.echo(
        f"shape: {shape.layers} layers, width {shape.width}, {shape.heads} heads, feed-forward {shape.feed_forward},"
        f" vocabulary {shape.vocabulary}, context {shape.context}: {format_count(made.params_total)} parameters"
        + (f", {format_count(made.params_active)} for each token" if shape.experts else "")
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
