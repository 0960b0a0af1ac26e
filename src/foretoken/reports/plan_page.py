"""The page of a plan: the decision in one sentence, how flat it is, what else could be done, every number behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate

from foretoken.compute.layout import Layout
from foretoken.errors import ForetokenError
from foretoken.fits.ladder_line import COLLINEAR
from foretoken.plans.loss_model import LossModel
from foretoken.plans.result import Alternative, Plan
from foretoken.reports.abilities_figure import abilities_section
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, as_sentence, checks_list, element, figure, join, section, table
from foretoken.reports.numbers import count, factor, number, percent, power, significant
from foretoken.reports.palette import budget_styles
from foretoken.reports.plan_budget_figures import colours, family_figure, frontier_figure, life_figure, served_tokens
from foretoken.reports.plan_curves import Isoflop, frontier, isoflops, life_curves, loss_at, size_curve
from foretoken.reports.plan_limits import limited
from foretoken.reports.plan_size_figure import size_figure, tolerance_words
from foretoken.reports.plan_tables import (
    alternatives_table,
    choices_table,
    cost_table,
    experts_tables,
    layout_table,
    life_tables,
    recipe_tables,
    repetition_table,
    serving_table,
    source_table,
    span,
    usd,
)
from foretoken.reports.summary import Fact, Page, PageOptions, assumed_section, lead
from foretoken.reports.svg import short_count
from foretoken.runs.loss_units import short_unit

GB = 1e9
MEMORY = {
    "weights": "weights",
    "gradients": "gradients",
    "optimizer": "optimizer state",
    "activations": "activations",
}
STEP = (
    ("compute_seconds", "compute"),
    ("tensor_seconds", "tensor communication"),
    ("pipeline_seconds", "pipeline communication"),
    ("data_seconds", "data communication, what nothing hides"),
    ("bubble_seconds", "waiting of pipeline stages"),
)
REACHED = {"params": "size", "flops": "compute"}


def plan_page(plan: Plan, options: PageOptions) -> Page:
    """A plan; with the losses it was made with, the curves too."""
    losses, sentence = options.losses, _sentence(plan)
    curved = losses is not None and plan.loss is not None and not losses.ladder
    family = isoflops(plan, losses) if losses is not None and curved else []
    return Page(
        title=options.source or _title(plan),
        kicker="foretoken plan",
        sentence=sentence,
        parts=_parts(plan, losses, family if curved else None, sentence),
        styles=budget_styles(colours(family)),
    )


def _parts(
    plan: Plan, losses: LossModel | None, family: Sequence[Isoflop] | None, sentence: str
) -> Iterator[Html | None]:
    yield lead(sentence, _facts(plan), plan.checks)
    if losses is None or family is None:
        yield _sizes_alone(plan)
    else:
        yield section("size", "How sure is the size?", size_figure(plan, size_curve(plan, losses)))
        yield _regret(plan)
        drawn = [family_figure(plan, family, colours(family))] if len(family) > 1 else []
        yield section("budgets", "What would another budget buy?", *drawn, _money(plan, losses))
    yield from (_choices(plan), _life(plan, losses), _repetition(plan), _experts(plan), _machines(plan), _recipe(plan))
    yield _scores(plan)
    yield section("costs", "What it costs, by which numbers", cost_table(plan), source_table(plan))
    yield abilities_section(plan.flops, plan.abilities)
    yield section("checks", "What to doubt", _beyond(plan), checks_list(plan.checks))
    yield assumed_section(plan.assumed)


def _scores(plan: Plan) -> Html | None:
    """What the run is expected to score, where a table of scores was given."""
    if not plan.scores:
        return None
    heads = ["curve", "score", f"{percent(plan.level, 0)}, of a new measurement", "beyond the runs", "note"]
    rows = [
        [
            str(one.curve),
            number(one.score, 3),
            "" if one.low is None else f"{number(one.low, 3)} to {number(one.high, 3)}",
            factor(one.compute_factor),
            as_sentence(one.reason),
        ]
        for one in plan.scores
    ]
    return section("scores", "What will it score?", table(heads, rows, class_="words"))


def _title(plan: Plan) -> str:
    # A bare number is FLOP, which a title must say; a budget in words says its own unit.
    words = not re.fullmatch(r"[\d.e+]*", plan.budget)
    return f"Plan for {plan.budget}" if words else f"Plan for {power(plan.flops)} FLOP"


def _sentence(plan: Plan) -> str:
    cost = plan.cost
    clauses = [f"Train {count(plan.params)} {plan.counted} on {count(plan.tokens)} tokens"]
    loss = f": loss {number(plan.loss)} {plan.loss_unit}"
    clauses[0] += f" ({power(plan.flops)} FLOP)" if plan.loss is None else loss
    clauses.append(f"{number(cost.count, 0)} {cost.accelerator} for {cost.days:.3g} days")
    if cost.usd is not None:
        clauses.append(usd(cost.usd))
    if plan.band is not None:
        low_high = span(plan.band.params)
        clauses.append(f"any size from {low_high} is within {tolerance_words(plan)} of that loss")
    elif plan.loss is None:
        clauses.append("the law says how to split compute, not what loss it gives")
    elif COLLINEAR in {check.code for check in plan.checks}:
        clauses.append("split as along the ladder of the fit's runs: which split is best they do not tell")
    return "; ".join(clauses) + "."


def _facts(plan: Plan) -> Iterator[Fact]:
    level, cost, bands = percent(plan.level, 0), plan.cost, plan.interval
    none = "no interval"
    params, tokens = (f"{level}: {span(ends)}" if ends else none for ends in (bands.params, bands.tokens))
    if plan.experts is None:
        yield "Parameters", count(plan.params), params
    else:
        yield "Active parameters", count(plan.params), params
        yield "Parameters in all", count(plan.experts.total_params), f"{plan.experts.experts} experts"
    yield "Tokens", count(plan.tokens), tokens
    yield "Tokens per parameter", number(plan.tokens / plan.params, 1), f"{number(plan.epochs, 1)} epochs"
    if plan.loss is not None:
        band = bands.loss
        words = f"{level}: {span(band, number)}" if band else none
        yield "Loss", number(plan.loss, 4), f"{plan.loss_unit}; {words}"
    yield "Compute", power(plan.flops), "FLOP"
    yield "Time", f"{cost.days:.3g} days", f"{number(cost.count, 0)} {cost.accelerator}"
    if cost.usd is not None:
        low, high = cost.usd_low, cost.usd_high
        yield "Price", usd(cost.usd), f"{usd(low)} to {usd(high)} by known prices" if low != high else ""
    if cost.kwh is not None:
        yield "Energy", f"{count(cost.kwh)} kWh", f"{significant(cost.tco2e)} t CO2e, {cost.carbon}"
    if plan.extrapolation.farthest is not None:
        name, far = plan.extrapolation.farthest
        yield "Beyond the law's runs", factor(far), f"in {REACHED.get(name, name)}"
    if plan.binding:
        yield "Held back by", ", ".join(limit.replace("_", " ") for limit in plan.binding), ""


def _regret(plan: Plan) -> Html:
    words = (
        f"What every other split loses against the best one of its own compute: in {plan.loss_unit}, and the compute, "
        "money and days with which the best split would have reached the same loss. Published laws count N in their "
        "own way; their size is taken as it stands."
        + (
            " A choice that the limits rule out can do better, and then loses less than nothing."
            if limited(plan)
            else ""
        )
    )
    return section("alternatives", "What is lost by choosing otherwise?", element("p", words), alternatives_table(plan))


def _sizes_alone(plan: Plan) -> Html:
    """Where no curve can be drawn: the sizes that others advise, and why there is no more."""
    why = (
        plan.loss_reason
        or plan.band_reason
        or "the curves need the losses of the plan's law: page_of(plan, PageOptions(losses=losses))"
    )
    sizes = [choice.params for choice in plan.alternatives]
    title = f"Other choices for this compute run from {count(min(sizes))} to {count(max(sizes))}" if sizes else ""
    caption = "Size of every other choice for the same compute, each law in its own count of N. Coloured: the plan."
    named: list[tuple[str, Plan | Alternative]] = [("the plan", plan)]
    named += [(choice.name, choice) for choice in plan.alternatives]
    lines = [
        Line(name, choice.params, text=f"{count(choice.params)} on {count(choice.tokens)}", strong=choice is plan)
        for name, choice in sorted(named, key=lambda pair: pair[1].params)
    ]
    panels = forest("choices", lines, "parameters N", title=title, described=caption, log=short_count)
    why_words = element("p", as_sentence(why), class_="doubt")
    drawn = figure("choices", title, panels, caption, alternatives_table(plan)) if sizes else None
    return section("alternatives", "What others would train", why_words, drawn)


def _money(plan: Plan, losses: LossModel) -> Html:
    try:
        near = (loss_at(plan, losses, 0.5), loss_at(plan, losses, 1.0), loss_at(plan, losses, 2.0))
        return frontier_figure(plan, frontier(plan, losses), near)
    except ForetokenError as error:
        return element("p", f"No frontier of cost against loss: {as_sentence(error.message, capital=False)}")


def _life(plan: Plan, losses: LossModel | None) -> Html | None:
    if losses is None or plan.loss is None:
        return None
    try:
        drawn = [life_figure(plan, life_curves(plan, losses, served_tokens(plan)))]
    except ForetokenError as error:
        drawn = [element("p", f"No curve of the whole life: {as_sentence(error.message, capital=False)}")]
    return section("whole-life", "Training and serving together", *drawn, *life_tables(plan))


def _repetition(plan: Plan) -> Html | None:
    again = plan.repetition
    if again is None:
        return None
    table = repetition_table(again, short_unit(plan.loss_unit))
    return section("repetition", "How often is each token seen?", table)


def _choices(plan: Plan) -> Html | None:
    if plan.choices is None:
        return None
    words = (
        "No law says where to stop: more always helps. What it says is what each length or size gives, and what it "
        "loses against the best split of the same compute."
    )
    return section(
        "choices-given",
        "For how long, or how large?",
        element("p", words),
        choices_table(plan.choices, short_unit(plan.loss_unit)),
    )


def _experts(plan: Plan) -> Html | None:
    mixed = plan.experts
    if mixed is None:
        return None
    in_short = short_unit(plan.loss_unit)
    words = (
        f"{mixed.experts} experts, {mixed.active} active, take {number(mixed.loss_gain, 4)} {in_short} off the best "
        f"dense model of the same compute. The law's runs: {mixed.validity}."
    )
    return section("experts", "How many experts?", element("p", words), *experts_tables(mixed, in_short))


def _machines(plan: Plan) -> Html:
    if plan.layout is None:
        words = as_sentence(plan.layout_reason or "no layout was looked for")
        return section("machines", "On the machines", element("p", "No layout. ", words, class_="doubt"))
    drawn = element("div", *machine_figures(plan), class_="stack")
    served = [] if plan.serving is None else [element("h3", "Serving one request"), serving_table(plan.serving)]
    return section("machines", "On the machines", drawn, element("h3", "The layout"), layout_table(plan), *served)


def machine_figures(plan: Plan) -> list[Html]:
    """Memory and step time of the plan's layout; none without one."""
    return [] if plan.layout is None else [_memory(plan, plan.layout), _step(plan.layout)]


def _memory(plan: Plan, layout: Layout) -> Html:
    room, total = plan.cost.memory, layout.memory.total / GB
    name = plan.cost.accelerator
    parts = [(words, getattr(layout.memory, key) / GB) for key, words in MEMORY.items()]
    share = f", {percent(layout.memory.total / room, 0)} of its {room / GB:.3g} GB" if room else ""
    title = f"The fullest accelerator holds {number(total, 1)} GB{share}"
    caption = (
        "Bytes of training on the fullest accelerator, each part after the one above it; without buffers of "
        "communication and what the allocator wastes." + (f" Dotted: the memory of the {name}." if room else "")
    )
    marks = [(room / GB, f"{room / GB:.3g} GB")] if room else []
    lines = _waterfall(parts, "GB")
    panels = forest("memory", lines, "memory (GB)", title=title, described=caption, marks=marks)
    rows = [[words, f"{value:.2f}", percent(value / total, 0)] for words, value in [*parts, ("together", total)]]
    return figure("memory", title, panels, caption, table(["part", "GB", "share"], rows, class_="numbers"))


def _step(layout: Layout) -> Html:
    parts = [(words, getattr(layout, key)) for key, words in STEP]
    total = layout.step_seconds
    title = f"Of the {significant(total)} s of a step, {percent(layout.compute_seconds / total, 0)} are compute"
    caption = (
        "Seconds of one optimizer step by arithmetic, each part after the one above it: a first estimate, to be "
        f"measured before money is spent. Utilisation of the model's own FLOP: {number(layout.mfu, 2)}."
    )
    lines = _waterfall([part for part in parts if part[1] > 0], "s")
    panels = forest("step", lines, "seconds of a step", title=title, described=caption)
    rows = [[words, significant(value), percent(value / total, 1)] for words, value in [*parts, ("together", total)]]
    return figure("step", title, panels, caption, table(["part", "seconds", "share"], rows, class_="numbers"))


def _waterfall(parts: Sequence[tuple[str, float]], unit: str) -> list[Line]:
    """Each part begins where the one before ends; its size stands beside its name."""
    ends = list(accumulate(value for _, value in parts))
    starts = [0.0, *ends[:-1]]
    return [
        Line(f"{name}: {significant(value)} {unit}", end, text=" ", start=start)
        for (name, value), end, start in zip(parts, ends, starts, strict=True)
    ]


def _recipe(plan: Plan) -> Html:
    if plan.recipe is None:
        words = element("p", as_sentence(plan.recipe_reason or "no recipe"), class_="doubt")
        return section("recipe", "The recipe", words)
    return section("recipe", "The recipe", *recipe_tables(plan.recipe))


def _beyond(plan: Plan) -> Html:
    if not plan.extrapolation.known:
        return element("p", "The range of the runs behind the law is not recorded.")
    reach = ", ".join(f"{factor(far)} in {REACHED.get(name, name)}" for name, far in plan.extrapolation.known.items())
    return join([element("p", f"Beyond the runs behind the law: {reach}.")])
