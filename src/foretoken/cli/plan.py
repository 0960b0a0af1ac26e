"""`foretoken plan`: from a budget to a size, a length, a price and what is lost by choosing otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foretoken.cli.options import HtmlOption, JsonOption
from foretoken.cli.printing import (
    print_assumed,
    print_checks,
    print_json,
    print_table,
    print_text,
    score_cells,
    write_page,
)
from foretoken.cli.request_options import takes_options
from foretoken.cli.telling import say
from foretoken.plans.request import PlanRequest
from foretoken.runs.loss_units import short_unit
from foretoken.units import format_count, format_duration, format_flops

if TYPE_CHECKING:
    from foretoken.plans.lifecycle_cost import NoSmallerModel, SmallerModel
    from foretoken.plans.lifetime import Life
    from foretoken.plans.result import Plan


PANELS = {
    "What is given": ("compute", "loss", "params", "tokens", "law", "fit", "estimator", "level"),
    "Machines and prices": (
        *("accelerator", "count", "mfu", "precision", "usd_per_hour", "watts", "pue", "grid", "accelerators"),
        *("deadline", "ladder"),
    ),
    "Text": ("unique", "max_epochs", "vocabulary", "context"),
    "The network": ("family", "experts", "active"),
    "Serving": ("serve", "write", "serve_batch", "serve_accelerator", "serve_on", "latency"),
    "Scores": ("scores", "tasks", "rename", "where"),
    "Limits and choices": ("sizes", "max_params", "max_total", "max_tokens", "reference_size", "tolerance"),
}
"""Every option of the request under its heading in the help."""


@takes_options(PlanRequest, PANELS)
def plan(
    request: PlanRequest,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Folder for a study (foretoken run trains it) and, of a decoder, a config.json (transformers).",
        ),
    ] = None,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Plan the big run: size, tokens, loss, cost, what each other choice would lose, and a full recipe.

    Example: foretoken plan --compute '512 H100 for 30 days' --law besiroglu_2024
    """
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
    """Write the study file and the configs into a folder, if one was named."""
    if folder is None:
        return
    from foretoken.plans.export import RUN_BY, export_files
    from foretoken.store.atomic import write_file

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in export_files(decision).items():
        write_file(folder / name, text.encode())
        say(f"wrote {folder / name}; {RUN_BY[name].format(path=folder / name, folder=folder)}")


def show(plan: Plan) -> None:
    """Print a plan: the decision, its price, what else could be done, the recipe, what was assumed."""
    _show_decision(plan)
    _show_life(plan)
    _show_repetition(plan)
    _show_choices(plan)
    _show_alternatives(plan)
    _show_experts(plan)
    _show_recipe(plan)
    _show_scores(plan)
    factors = ", ".join(f"{name} {factor:.3g} times" for name, factor in plan.extrapolation.known.items())
    print_text(f"beyond the law's runs: {factors or 'not recorded'}")
    print_text(_abilities_words(plan))
    print_checks(plan.checks)
    print_assumed(plan.assumed)
    for number in plan.sources.numbers:
        print_text(f"assumed: {number.name} {number.value:.4g} {number.unit} ({number.source})".replace("  ", " "))


def _show_scores(plan: Plan) -> None:
    if plan.scores:
        headings = ("curve", "score", f"{100 * plan.level:g} % interval", "compute", "")
        print_table(headings, map(score_cells, plan.scores), "scores to expect at this size, as fractions", left=1)


def _show_decision(plan: Plan) -> None:
    level, cost = f"{100 * plan.level:g} %", plan.cost
    print_text(
        f"train {_with(plan, 'params', format_count)} {plan.counted} on {_with(plan, 'tokens', format_count)} tokens"
    )
    loss = plan.loss_reason if plan.loss is None else f"loss {_with(plan, 'loss', '{:.4f}'.format)} {plan.loss_unit}"
    print_text(f"{format_flops(plan.flops)}, {loss}" + ("" if plan.interval_reason else f" (intervals: {level})"))
    if plan.band:
        low, high = map(format_count, plan.band.params)
        print_text(f"any size from {low} to {high} is within {100 * plan.band.tolerance:g} % of that loss")
    if plan.binding:
        print_text(f"limited by: {'; '.join(plan.binding)}")
    usd = cost.usd_reason if cost.usd is None else f"${format_count(cost.usd)}"
    same = cost.equivalents
    as_car = "" if same is None else f", as {format_count(same.car_km)} km in a car"
    power = (
        "" if cost.kwh is None else f", {format_count(cost.kwh)} kWh, {cost.tco2e:.3g} t CO2e ({cost.carbon}{as_car})"
    )
    print_text(
        f"{cost.count:g} {cost.accelerator} for {format_duration(3600 * cost.hours)} at MFU {cost.mfu:.2f}:"
        f" {usd}{power}"
    )


def _with(plan: Plan, name: str, text: Callable[[float], str]) -> str:
    """A number of the plan with its interval."""
    ends, value = getattr(plan.interval, name), text(getattr(plan, name))
    return value if ends is None else f"{value} [{text(ends[0])}, {text(ends[1])}]"


def _show_life(plan: Plan) -> None:
    life = plan.whole_life
    if life is None:
        return
    for unit, by_unit, reason in (
        ("FLOP", life.flop, None),
        ("USD", life.usd, life.usd_reason),
        ("kWh", life.kwh, life.kwh_reason),
    ):
        words = reason if by_unit is None else _life_words(by_unit)
        print_text(f"cheapest over its life at that loss, in {unit}: {words}")
    for smaller in life.smaller:
        print_text(_smaller_words(smaller))


def _smaller_words(smaller: SmallerModel | NoSmallerModel) -> str:
    from foretoken.plans.lifecycle_cost import NoSmallerModel

    if isinstance(smaller, NoSmallerModel):
        return f"a smaller model for that loss: {smaller.reason}"
    words = (
        f"a model of {format_count(smaller.params)}, {smaller.params_factor:g} of it, reaches the loss of the best"
        f" split of this compute on {format_count(smaller.tokens)} tokens, for {smaller.overhead:.1%} more training"
    )
    if smaller.pays_after is None:
        return words
    return f"{words}; it pays after {format_count(smaller.pays_after)} tokens served"


def _life_words(life: Life) -> str:
    return (
        f"{format_count(life.params)} on {format_count(life.tokens)} tokens, {life.saved:.0%} less than the size that"
        f" is cheapest to train ({life.training:.3g} training and {life.serving:.3g} serving)"
    )


def _show_repetition(plan: Plan) -> None:
    repetition = plan.repetition
    if repetition is None:
        return
    other = "data" if repetition.better == "compute" else "compute"
    print_text(
        f"each distinct token is seen {repetition.epochs:.3g} times; together they are worth"
        f" {format_count(repetition.effective_tokens)} fresh ones. One more epoch is worth"
        f" {repetition.next_epoch.share:.0%} of a fresh one; twice the {repetition.better} would lower the loss more"
        f" than twice the {other}"
    )


def _show_alternatives(plan: Plan) -> None:
    styles = ("{:.3f}", "{:+.4f}", "{:.2g}", "{:.2g}", "{:.2g}")
    rows = []
    for choice in plan.alternatives:
        numbers = (choice.loss, choice.regret_loss, choice.regret_flops, choice.regret_usd, choice.regret_days)
        cells = ("" if value is None else style.format(value) for value, style in zip(numbers, styles, strict=True))
        rows.append((choice.name, format_count(choice.params), *cells))
    unit = short_unit(plan.loss_unit)
    headings = ("choice", "parameters", f"loss [{unit}]", f"{unit} lost", "FLOP lost", "USD lost", "days lost")
    print_table(headings, rows, "what else could be trained with the same compute, and what it would lose")


def _show_choices(plan: Plan) -> None:
    if plan.choices is None:
        return
    rows = [
        (
            format_count(choice.params),
            format_count(choice.tokens),
            f"{choice.flops:.3g}",
            f"{choice.loss:.3f}",
            f"{choice.regret_loss:+.4f}",
            "" if choice.regret_flops is None else f"{choice.regret_flops:.2g}",
            f"{choice.gain_of_doubling:.4f}",
        )
        for choice in plan.choices
    ]
    unit = short_unit(plan.loss_unit)
    losses = (f"loss [{unit}]", f"{unit} lost", "FLOP lost", f"{unit} gained by doubling")
    headings = ("parameters", "tokens", "FLOP", *losses)
    print_table(headings, rows, "how large, and for how long?")


def _show_experts(plan: Plan) -> None:
    mixed = plan.experts
    if mixed is None:
        return
    unit = short_unit(plan.loss_unit)
    print_text(f"with experts the loss is {mixed.loss_gain:.4f} {unit} less than without")
    same_memory = f"in the memory of the best dense model, {format_count(mixed.max_total)} parameters"
    for title, mixtures in (("at equal compute", mixed.equal_compute), (same_memory, mixed.equal_memory)):
        rows = [
            (
                f"{mixture.experts:g}",
                format_count(mixture.active_params),
                format_count(mixture.total_params),
                format_count(mixture.tokens),
                f"{mixture.loss:.3f}",
                f"{mixture.gain:+.4f}",
            )
            for mixture in mixtures
        ]
        headings = ("experts, 1 active", "active params", "total params", "tokens", f"loss [{unit}]", f"gain [{unit}]")
        print_table(headings, rows, title)
    print_text(f"the law's runs: {mixed.validity}")


def _show_recipe(plan: Plan) -> None:
    recipe = plan.recipe
    if recipe is None:
        print_text(f"no recipe: {plan.recipe_reason}")
        return
    shape = recipe.shape
    print_text(
        f"shape: {shape.layers} layers, width {shape.width}, {shape.heads} heads, feed-forward {shape.feed_forward},"
        f" vocabulary {shape.vocabulary}, context {shape.context}"
        + ("" if plan.experts else f": {format_count(recipe.params_total)} parameters")
    )
    for name in ("batch_tokens", "learning_rate", "warmup_tokens"):
        setting = getattr(recipe, name)
        values = ", ".join(f"{law.value:.3g} {law.id}" for law in setting.laws)
        print_text(f"{name.replace('_', ' ')}: {setting.value:.4g} ({values})")
    settled = ", ".join(f"{name} {value}" for name, value in recipe.settled.items())
    print_text(f"{recipe.steps} steps, {settled}")
    print_text(f"layout: {_layout(plan)}")


def _abilities_words(plan: Plan) -> str:
    """How many abilities of the literature its compute reaches, the next one, and that this is no promise."""
    reached = sum(row.reached for row in plan.abilities)
    words = f"abilities reported to emerge by this compute (Wei et al. 2022): {reached} of {len(plan.abilities)}"
    following = next((row for row in plan.abilities if not row.reached), None)
    if following:
        words += f"; next {following.ability} at {format_flops(following.flops)}"
    return f"{words}. Compute reached is not ability: foretoken models --abilities"


def _layout(plan: Plan) -> str:
    layout = plan.layout
    if layout is None:
        return plan.layout_reason or "none"
    split = layout.split
    return (
        f"tensor {split.tensor} x pipeline {split.pipeline} x data {split.data}, ZeRO {split.zero},"
        f" recompute {split.recompute}, micro-batch {layout.micro_batch}; {layout.memory.total / 1e9:.3g} GB each,"
        f" MFU {layout.mfu:.2f} by arithmetic"
    )
