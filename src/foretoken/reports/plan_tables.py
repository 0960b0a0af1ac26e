"""Tables of a plan: other choices and what they lose, recipe, costs and their sources, serving, repetition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from foretoken.compute.carbon import SOURCE as CARBON_SOURCE
from foretoken.plans.experts import Mixtures
from foretoken.plans.given_size import Choice
from foretoken.plans.lifecycle_cost import NoSmallerModel, SmallerModel
from foretoken.plans.lifetime import Life
from foretoken.plans.recipe import Recipe, ServedRequest
from foretoken.plans.repetition import Repeated
from foretoken.plans.result import Alternative, Plan
from foretoken.reports.html import Html, as_sentence, element, join, table
from foretoken.reports.numbers import MISSING, count, number, percent, power, significant
from foretoken.runs.loss_units import short_unit
from foretoken.units import format_usd

NAMES = {"mfu": "MFU", "pue": "PUE", "usd_per_hour": "price", "kg_co2e_per_kwh": "CO2e", "watts": "power"}
"""How numbers of a machine are called here."""
SETTINGS = (("batch_tokens", "batch"), ("learning_rate", "learning rate"), ("warmup_tokens", "warm-up"))


def span(bounds: Any, write: Any = count) -> str:
    """Two ends in words; a dash when there are none."""
    return MISSING if not bounds else " to ".join(write(end) for end in bounds)


def usd(value: float | None) -> str:
    """Dollars, or a dash."""
    return MISSING if value is None else format_usd(value)


def alternatives_table(plan: Plan) -> Html:
    """Every other choice, the worst first, with its regret; where the law gives no loss, the sizes."""
    reasons = sorted({choice.reason for choice in plan.alternatives if choice.reason})
    note = element("p", "A dash: ", "; ".join(reasons), ".", class_="care") if reasons else None
    if plan.loss is None:
        by_size = sorted(plan.alternatives, key=lambda choice: choice.params)
        rows = [[*_split(choice), number(choice.tokens / choice.params, 1)] for choice in by_size]
        return join([table(["choice", "N", "D", "D/N"], rows, class_="numbers"), note])
    drawn = any(choice.regret_loss_interval for choice in plan.alternatives)
    unit = short_unit(plan.loss_unit)
    heads = [
        "choice",
        "N",
        "D",
        f"loss ({unit})",
        f"{unit} lost",
        *(["interval"] if drawn else []),
        "FLOP lost",
        "USD lost",
        "days lost",
    ]
    worst_first = sorted(plan.alternatives, key=lambda choice: -(choice.regret_loss or 0.0))
    return join([table(heads, [_regret_row(choice, drawn) for choice in worst_first], class_="numbers"), note])


def _split(choice: Alternative) -> list[str]:
    return [choice.name, count(choice.params), count(choice.tokens)]


def _regret_row(choice: Alternative, drawn: bool) -> list[str]:
    band = [span(choice.regret_loss_interval, lambda end: number(end, 4))] if drawn else []
    compute = MISSING if choice.regret_flops is None else power(choice.regret_flops, 1)
    losses = [number(choice.loss, 4), number(choice.regret_loss, 4)]
    return [*_split(choice), *losses, *band, compute, usd(choice.regret_usd), significant(choice.regret_days, 2)]


def choices_table(choices: Sequence[Choice], unit: str) -> Html:
    """Other lengths of a given size, or sizes for a given length; `unit` is that of a loss, in short."""
    heads = ["N", "D", "FLOP", f"loss ({unit})", f"{unit} lost", "FLOP lost", "twice as much takes off"]
    rows = [
        [
            *(count(choice.params), count(choice.tokens), power(choice.flops)),
            *(number(choice.loss, 4), number(choice.regret_loss, 4)),
            power(choice.regret_flops, 1) if choice.regret_flops else "0",
            number(choice.gain_of_doubling, 4),
        ]
        for choice in choices
    ]
    return table(heads, rows, class_="numbers")


def recipe_tables(recipe: Recipe) -> list[Html]:
    """The shape; settings by laws, each law with its value and source; settings by common practice."""
    shape = recipe.shape
    facts = [
        *([] if shape.experts else [["parameters", _sizes(recipe)]]),
        ["layers, width", f"{shape.layers}, {shape.width}"],
        ["heads", f"{shape.heads}, {shape.kv_heads or shape.heads} of keys and values"],
        ["feed-forward", f"{shape.feed_forward}, {shape.activation}"],
        ["vocabulary, context", f"{shape.vocabulary}, {shape.context}"],
        ["steps", f"{recipe.steps} of {count(recipe.batch_tokens.value)} tokens"],
    ]
    settled = [
        [f"{name.replace('_', ' ')} {value}", recipe.sources.get(name, "")] for name, value in recipe.settled.items()
    ]
    return [
        table(["", ""], facts, class_="plain"),
        table(["value", "setting and source"], list(_settings(recipe)), class_="plain"),
        table(["common practice", "source"], settled, class_="plain"),
    ]


def _sizes(recipe: Recipe) -> str:
    return f"{count(recipe.params_total)}, {count(recipe.params_non_embedding)} without embeddings"


def _settings(recipe: Recipe) -> Iterator[Sequence[object]]:
    for key, name in SETTINGS:
        setting = getattr(recipe, key)
        write = count if setting.unit == "tokens" else significant
        unit = f" in {setting.unit}" if setting.unit else ""
        what = join([element("strong", name + unit), f", the plan: {setting.note}"])
        yield [element("strong", write(setting.value)), what]
        yield from ([write(law.value), f"{law.id}: {law.source}"] for law in setting.laws)


def cost_table(plan: Plan) -> Html:
    """What the training costs; why a number is not known."""
    cost = plan.cost
    low, high = cost.usd_low, cost.usd_high
    rng = f", {usd(low)} to {usd(high)} by known prices" if low and high and low != high else ""
    rows: list[list[object]] = [
        ["machines", f"{number(cost.count, 0)} {cost.accelerator}"],
        ["time", f"{number(cost.days, 1)} days"],
        ["accelerator-hours", count(cost.accelerator_hours)],
        ["price", cost.usd_reason if cost.usd is None else f"{usd(cost.usd)}{rng}"],
        ["energy", cost.kwh_reason if cost.kwh is None else f"{count(cost.kwh)} kWh"],
        ["carbon", MISSING if cost.tco2e is None else f"{significant(cost.tco2e)} t CO2e, {cost.carbon}"],
    ]
    if cost.equivalents:
        km, flights = count(cost.equivalents.car_km), count(cost.equivalents.flights)
        rows.append(["as much as", f"{km} km in a car, or {flights} flights ({CARBON_SOURCE})"])
    return table(["", ""], rows, class_="plain")


def source_table(plan: Plan) -> Html:
    """Every number that was assumed, with its source."""
    law = plan.sources.law
    named = ", ".join(f"{name} {significant(value, 4)}" for name, value in law.value.items())
    counting = f"N counts {law.counting}"
    rows = [["law", f"{law.what}, {named}; {law.source} ({law.status}; {counting})"]]
    for known in plan.sources.numbers:
        ends = f"; from {significant(known.low)} to {significant(known.high)}" if known.low else ""
        name = NAMES.get(known.name, known.name.replace("_", " "))
        rows.append([f"{name} {significant(known.value)} {known.unit}", known.source + ends])
    return table(["number", "source"], rows, class_="plain")


def serving_table(request: ServedRequest) -> Html:
    """One request of the plan's model."""
    served = request.serving
    if served is None:
        return element("p", f"Not served: {request.reason}.")
    hours, price = significant(served.accelerator_hours_per_million), usd(served.usd_per_million)
    rows: list[list[object]] = [
        ["accelerators", request.count],
        ["first token", f"{significant(served.prefill_seconds)} s after {request.prompt} tokens of prompt"],
        ["next tokens", f"{significant(served.tokens_per_second)} a second, bound by {served.bound}"],
        ["a million tokens written", f"{hours} accelerator-hours, {price}, one request at a time"],
        ["for a year", f"{usd(request.usd_per_year)}, busy or not"],
    ]
    return table(["", ""], rows, class_="plain")


def life_tables(plan: Plan) -> list[Html]:
    """The whole life in FLOP, dollars and energy, and what smaller models cost in training for the same loss."""
    life = plan.whole_life
    if life is None:
        return []
    tables: list[Html] = [_life_table(life.flop)]
    for priced, reason in ((life.usd, life.usd_reason), (life.kwh, life.kwh_reason)):
        missing = element("p", as_sentence(reason or "not known"), class_="care")
        tables.append(missing if priced is None else _life_table(priced))
    heads = ["a smaller model", "D", "more training", "price", "pays after tokens served"]
    return [*tables, table(heads, [_smaller_row(row) for row in life.smaller], class_="numbers")]


def _smaller_row(smaller: SmallerModel | NoSmallerModel) -> list[str]:
    if isinstance(smaller, NoSmallerModel):
        return [MISSING, MISSING, as_sentence(smaller.reason), MISSING, MISSING]
    split = [count(smaller.params), count(smaller.tokens)]
    return [*split, percent(smaller.overhead, 1), usd(smaller.usd), count(smaller.pays_after)]


def _life_table(life: Life) -> Html:
    """The size that is cheapest over training and serving, beside the one that is cheapest to train."""
    write = power if life.unit == "FLOP" else significant
    plain, bands = life.cheapest_to_train, life.intervals
    columns: list[tuple[str, str, Callable[[object], str]]] = [
        ("params", "N", count),
        ("tokens", "D", count),
        ("training", f"training ({life.unit})", write),
        ("serving", f"serving ({life.unit})", write),
        ("total", f"whole life ({life.unit})", write),
    ]
    rows = [
        [name, own(getattr(life, key)), span(bands.get(key), own), own(getattr(plain, key))]
        for key, name, own in columns
    ]
    rows.append(["saved", percent(life.saved, 1), span(bands.get("saved"), lambda end: percent(end, 1)), MISSING])
    return table(["", "cheapest over its life", "interval", "cheapest to train"], rows, class_="numbers")


def experts_tables(mixed: Mixtures, unit: str) -> list[Html]:
    """The best split for each number of experts, at equal compute and in equal memory."""
    room = f"In the memory of the best dense model, {count(mixed.max_total)} parameters"
    heads = ["experts", "active", "in all", "D", f"loss ({unit})", f"gains ({unit})"]
    tables = []
    for title, mixtures in (("At equal compute", mixed.equal_compute), (room, mixed.equal_memory)):
        rows = [
            [
                f"{mixture.experts:g}",
                *map(count, (mixture.active_params, mixture.total_params, mixture.tokens)),
                *(number(mixture.loss, 4), number(mixture.gain, 4)),
            ]
            for mixture in mixtures
        ]
        tables += [element("h3", title), table(heads, rows, class_="numbers")]
    return tables


def repetition_table(repeated: Repeated, unit: str) -> Html:
    """Few distinct tokens: what the epochs are worth, and what would help more."""
    epoch, turning = repeated.next_epoch, repeated.turning_flops
    beyond = "" if turning is None else f"; text beyond {power(turning, 1)} FLOP"
    next_epoch = f"{number(epoch.loss, 4)} {unit} for {power(epoch.flops, 1)} FLOP"
    rows = [
        ["epochs", number(repeated.epochs, 2) + _within(repeated.intervals.get("epochs"))],
        ["worth", f"{count(repeated.effective_tokens)} fresh tokens, of {count(repeated.tokens)} seen"],
        ["loss", f"{number(repeated.loss, 4)}; {number(repeated.loss_if_fresh, 4)} with unlimited fresh tokens"],
        ["one more epoch", f"worth {percent(epoch.share, 0)} of a fresh one: {next_epoch}"],
        ["twice the compute", number(repeated.doubled.compute, 4)],
        ["twice the text", number(repeated.doubled.data, 4)],
        ["which helps more", f"twice the {repeated.better}{beyond}"],
        *([f"epochs if R_D is {name}", number(value, 2)] for name, value in repeated.epochs_if.items()),
    ]
    return table(["", ""], rows, class_="plain")


def _within(bounds: list[float] | None) -> str:
    return f" ({span(bounds, lambda end: number(end, 2))})" if bounds else ""


def layout_table(plan: Plan) -> Html:
    """How the training is split over the accelerators."""
    layout = plan.layout
    assert layout is not None
    split = layout.split
    rows: list[list[object]] = [
        ["tensor parallel", split.tensor],
        ["pipeline stages", split.pipeline],
        ["groups of blocks in each", split.interleave],
        ["data parallel", split.data],
        ["ZeRO stage", split.zero],
        ["recomputation", split.recompute],
        ["micro-batches", f"{layout.micro_batches} a step, sequences in each: {layout.micro_batch}"],
        ["by this arithmetic", f"{number(layout.hours(plan.tokens) / 24, 1)} days at MFU {number(layout.mfu, 2)}"],
        ["by usual utilisation", f"{number(plan.cost.days, 1)} days at MFU {number(plan.cost.mfu, 2)}"],
    ]
    return table(["", ""], rows, class_="plain")
