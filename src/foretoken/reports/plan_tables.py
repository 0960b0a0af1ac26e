"""Tables of a plan: other choices and what they lose, recipe, costs and their sources, serving, repetition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from foretoken.plans.experts import Mixtures
from foretoken.plans.given_size import Choice
from foretoken.plans.lifecycle_cost import NoSmallerModel
from foretoken.plans.lifetime import Life
from foretoken.plans.recipe import Recipe, ServedRequest
from foretoken.plans.repetition import Repeated
from foretoken.plans.result import Alternative, Plan
from foretoken.reports.html import Html, as_sentence, element, join, table
from foretoken.reports.numbers import MISSING, count, number, percent, power, significant
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
    """Every other choice, the worst first, with its regret; where the law tells no loss, the sizes."""
    reasons = sorted({one.reason for one in plan.alternatives if one.reason})
    note = element("p", "A dash: ", "; ".join(reasons), ".", class_="care") if reasons else None
    if plan.loss is None:
        rows = [[one.name, count(one.params), count(one.tokens), number(one.tokens / one.params, 1)]
                for one in sorted(plan.alternatives, key=lambda one: one.params)]  # fmt: skip
        return join([table(["choice", "N", "D", "D/N"], rows, class_="numbers"), note])
    drawn = any(one.regret_loss_interval for one in plan.alternatives)
    heads = ["choice", "N", "D", "loss", "loses (nats)", *(["interval"] if drawn else []), "FLOP", "price", "days"]
    ordered = sorted(plan.alternatives, key=lambda one: -(one.regret_loss or 0.0))
    return join([table(heads, [_lost(one, drawn) for one in ordered], class_="numbers"), note])


def _lost(one: Alternative, drawn: bool) -> list[str]:
    band = [span(one.regret_loss_interval, lambda end: number(end, 4))] if drawn else []
    return [
        one.name, count(one.params), count(one.tokens), number(one.loss, 4), number(one.regret_loss, 4), *band,
        MISSING if one.regret_flops is None else power(one.regret_flops, 1), usd(one.regret_usd),
        significant(one.regret_days, 2),
    ]  # fmt: skip


def choices_table(rows: Sequence[Choice]) -> Html:
    """Other lengths of a given size, or sizes for a given length."""
    heads = ["N", "D", "FLOP", "loss", "loses (nats)", "FLOP lost", "twice as much takes off"]
    cells = [
        [count(one.params), count(one.tokens), power(one.flops), number(one.loss, 4), number(one.regret_loss, 4),
         power(one.regret_flops, 1) if one.regret_flops else "0", number(one.gain_of_doubling, 4)]
        for one in rows
    ]  # fmt: skip
    return table(heads, cells, class_="numbers")


def recipe_tables(made: Recipe) -> list[Html]:
    """The shape; the settings that laws tell, each law with its value and source; those that practice has settled."""
    shape = made.shape
    facts = [
        ["parameters", f"{count(made.params_total)}, {count(made.params_non_embedding)} of them outside embeddings"],
        ["layers, width", f"{shape.layers}, {shape.width}"],
        ["heads", f"{shape.heads}, {shape.kv_heads or shape.heads} of keys and values"],
        ["feed-forward", f"{shape.feed_forward}, {shape.activation}"],
        ["vocabulary, context", f"{shape.vocabulary}, {shape.context}"],
        ["steps", f"{made.steps} of {count(made.batch_tokens.value)} tokens"],
    ]
    settled = [
        [f"{name.replace('_', ' ')} {value}", made.sources.get(name, "")] for name, value in made.settled.items()
    ]
    return [
        table(["", ""], facts, class_="plain"),
        table(["value", "of what, and who says so"], list(_settings(made)), class_="plain"),
        table(["settled", "by whose practice"], settled, class_="plain"),
    ]


def _settings(made: Recipe) -> Iterator[Sequence[object]]:
    for key, name in SETTINGS:
        one = getattr(made, key)
        write = count if one.unit == "tokens" else significant
        unit = f" in {one.unit}" if one.unit else ""
        yield [element("strong", write(one.value)), join([element("strong", name + unit), f", the plan: {one.note}"])]
        yield from ([write(law.value), f"{law.id}: {law.source}"] for law in one.laws)


def cost_table(plan: Plan) -> Html:
    """What the training costs; what is not known says why."""
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
    return table(["", ""], rows, class_="plain")


def source_table(plan: Plan) -> Html:
    """Every number that was assumed, with its source."""
    law = plan.sources.law
    named = ", ".join(f"{name} {significant(value, 4)}" for name, value in law.value.items())
    counting = f"N counts {law.counting}"
    rows = [["law", f"{law.what}, {named}; {law.source} ({law.status}; {counting})"]]
    for one in plan.sources.numbers:
        ends = f"; from {significant(one.low)} to {significant(one.high)}" if one.low else ""
        name = NAMES.get(one.name, one.name.replace("_", " "))
        said = f"{name} {significant(one.value)} {one.unit}"
        rows.append([said, one.source + ends])
    return table(["number", "source"], rows, class_="plain")


def serving_table(request: ServedRequest) -> Html:
    """One request of the plan's model."""
    served = request.serving
    if served is None:
        return element("p", f"Not served: {request.reason}.")
    rows: list[list[object]] = [
        ["accelerators", request.count],
        ["first token", f"{significant(served.prefill_seconds)} s after {request.prompt} tokens of prompt"],
        ["next tokens", f"{significant(served.tokens_per_second)} a second, bound by {served.bound}"],
        ["a million tokens written", f"{significant(served.accelerator_hours_per_million)} accelerator-hours, "
         f"{usd(served.usd_per_million)}, one request at a time"],
    ]  # fmt: skip
    return table(["", ""], rows, class_="plain")


def life_tables(plan: Plan) -> list[Html]:
    """The whole life in FLOP, dollars and energy, and what smaller models cost in training for the same loss."""
    life = plan.whole_life
    if life is None:
        return []
    found: list[Html] = [_life_table(life.flop)]
    for one, reason in ((life.usd, life.usd_reason), (life.kwh, life.kwh_reason)):
        missing = element("p", as_sentence(reason or "not known"), class_="care")
        found.append(missing if one is None else _life_table(one))
    heads = ["a smaller model", "D", "more training", "price", "pays after tokens served"]
    rows = [
        [MISSING, MISSING, as_sentence(row.reason), MISSING, MISSING] if isinstance(row, NoSmallerModel) else
        [count(row.params), count(row.tokens), percent(row.overhead, 1), usd(row.usd),
         count(row.pays_after)]
        for row in life.smaller
    ]  # fmt: skip
    return [*found, table(heads, rows, class_="numbers")]


def _life_table(life: Life) -> Html:
    """The size that is cheapest over training and serving, beside the one that is cheapest to train."""
    write = power if life.unit == "FLOP" else significant
    plain, bands = life.cheapest_to_train, life.intervals
    rows = [
        [name, own(getattr(life, key)), span(bands.get(key), own), own(getattr(plain, key))]
        for key, name, own in (
            ("params", "N", count), ("tokens", "D", count), ("training", f"training ({life.unit})", write),
            ("serving", f"serving ({life.unit})", write), ("total", f"whole life ({life.unit})", write),
        )
    ]  # fmt: skip
    rows.append(["saved", percent(life.saved, 1), span(bands.get("saved"), lambda end: percent(end, 1)), MISSING])
    return table(["", "cheapest over its life", "interval", "cheapest to train"], rows, class_="numbers")


def experts_tables(mixed: Mixtures) -> list[Html]:
    """The best split for each number of experts, at equal compute and in equal memory."""
    room = f"In the memory of the best dense model, {count(mixed.max_total)} parameters"
    heads = ["experts", "active", "in all", "D", "loss", "gains (nats)"]
    found = []
    for title, kind in (("At equal compute", mixed.equal_compute), (room, mixed.equal_memory)):
        rows = [
            [f"{one.experts:g}", count(one.active_params), count(one.total_params), count(one.tokens),
             number(one.loss, 4), number(one.gain, 4)]
            for one in kind
        ]  # fmt: skip
        found += [element("h3", title), table(heads, rows, class_="numbers")]
    return found


def repetition_table(again: Repeated) -> Html:
    """Few distinct tokens: what the epochs are worth, and what would help more."""
    epoch = again.next_epoch
    rows = [
        ["epochs", number(again.epochs, 2) + _within(again.intervals.get("epochs"))],
        ["worth", f"{count(again.effective_tokens)} fresh tokens, of {count(again.tokens)} seen"],
        ["loss", f"{number(again.loss, 4)}; {number(again.loss_if_fresh, 4)} with fresh tokens without end"],
        ["one more epoch", f"worth {percent(epoch.share, 0)} of a fresh one: {number(epoch.loss, 4)} nats for "
         f"{power(epoch.flops, 1)} FLOP"],
        ["twice the compute", number(again.doubled.compute, 4)],
        ["twice the text", number(again.doubled.data, 4)],
        ["which helps more", f"twice the {again.better}" + (
            "" if again.turning_flops is None else f"; text beyond {power(again.turning_flops, 1)} FLOP")],
        *([f"epochs if R_D is {name}", number(value, 2)] for name, value in again.epochs_if.items()),
    ]  # fmt: skip
    return table(["", ""], rows, class_="plain")


def _within(bounds: list[float] | None) -> str:
    return f" ({span(bounds, lambda end: number(end, 2))})" if bounds else ""
