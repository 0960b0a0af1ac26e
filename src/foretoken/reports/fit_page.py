"""The page of a fit: the law and its runs, its doubts, its parameters, and the runs that carry it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.influence import ORDERS, Influence, influence
from foretoken.fits.objectives import MAP
from foretoken.fits.parts import ParameterProfile
from foretoken.fits.result import Fit
from foretoken.laws import find_law, is_formula
from foretoken.reports.forest import Line, forest
from foretoken.reports.html import Html, element, figure, section, table
from foretoken.reports.law_figures import law_figure, residual_title
from foretoken.reports.law_section import law_section, parameter_figure, significant_tick
from foretoken.reports.numbers import count, number, percent, power, significant
from foretoken.reports.palette import Budgets, budget_styles, coloured
from foretoken.reports.summary import Fact, Page, PageOptions, lead
from foretoken.reports.svg import ACCENT, BAND, INK, MUTED, PAPER, drawing, log_axis, responsive

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def fit_page(fit: Fit, options: PageOptions) -> Page:
    """All that a fit holds."""
    shown, budgets = coloured(fit)
    moved = influence(fit)
    sentence = _sentence(fit, moved)
    return Page(
        title=options.source or f"{fit.law} law",
        kicker="foretoken fit",
        sentence=sentence,
        parts=_parts(fit, moved, sentence, shown, budgets),
        styles=budget_styles(budgets),
    )


def _parts(fit: Fit, moved: Influence | None, sentence: str, shown: Fit, budgets: Budgets) -> Iterator[Html | None]:
    yield lead(sentence, _facts(fit), fit.checks)
    yield section("runs", "The law and its runs", law_figure(shown, budgets))
    yield law_section(shown, budgets)
    yield section("parameters-section", "How sure are the parameters?", *_parameter_figures(fit))
    yield _influence(moved)


def _sentence(fit: Fit, moved: Influence | None) -> str:
    if moved is None:
        unknown = f" They do not identify {' and '.join(fit.reasons)}." if fit.reasons else ""
        return f"{_law_words(fit)}, fitted to {_used(fit)} runs. {residual_title(fit)}.{unknown}"
    band = " to ".join(number(end, 3) for end in moved.interval or ())
    interval = f" ({100 * moved.level:g}\u202f%: {band})" if band else ""
    return f"The best size grows as N* ~ C^{number(moved.exponent, 3)}{interval}. {influence_sentence(moved)}."


def _law_words(fit: Fit) -> str:
    """The law's name as a sentence begins with it; a formula is told as it was written."""
    return fit.law if is_formula(fit.law) else fit.law.replace("_", " ").capitalize()


def _used(fit: Fit) -> int:
    return fit.rows.used


def _facts(fit: Fit) -> Iterator[Fact]:
    lost = fit.rows.left_out
    yield "Runs", f"{_used(fit)} used", f"{lost} left out" if lost else "none left out"
    word, _, meaning = fit.status_words.partition(": ")
    yield "Status", word, meaning
    starts = fit.starts
    yield "Starts that agree", f"{starts.agree} of {starts.tried}", "within 1 % of the best"
    low, high = fit.ranges.flops
    yield "Compute", f"{power(low, 1)} to {power(high, 1)}", "FLOP"
    yield "Loss", " to ".join(number(end) for end in fit.ranges.loss), fit.unit
    yield "Sizes", " to ".join(count(end) for end in fit.ranges.params), fit.params_column
    yield "Time", f"{fit.seconds:.2g} s", f"intervals {fit.interval_seconds:.2g} s"


def _parameter_figures(fit: Fit) -> list[Html | None]:
    return [parameter_figure(fit), profile_figure(fit), objective_figure(fit)]


def _influence(moved: Influence | None) -> Html:
    """What leaving out a few runs does."""
    title = "Is the fit driven by a few runs?"
    if moved is None:
        words = "Not tested: this needs a law with a closed-form N*, and at least 20 runs that were not aggregated."
        return section("influence-section", title, element("p", words))
    return section("influence-section", title, influence_figure(moved), _driven_words(moved))


def _driven_words(moved: Influence) -> Html | None:
    """The verdict where the runs of highest loss decide; None where they do not."""
    if not moved.interval or moved.interval[0] <= moved.after("highest_loss", moved.few) <= moved.interval[1]:
        return None
    words = f"Without these {moved.few} runs the exponent lies outside the interval of all runs: they drive the fit."
    return element("p", words, class_="doubt")


INFLUENCE_STYLES = {"highest_loss": (ACCENT, "o", "-"), "lowering": (INK, "v", "--"), "raising": (MUTED, "^", "--")}


def influence_sentence(moved: Influence) -> str:
    """By how much the few runs of highest loss move the exponent."""
    after = moved.after("highest_loss", moved.few)
    runs = f"The {moved.few} runs of highest loss move" if moved.few > 1 else "The run of highest loss moves"
    return f"{runs} the exponent of N* from {number(after, 3)} to {number(moved.exponent, 3)}"


def influence_figure(moved: Influence) -> Html:
    """The exponent against the number of runs left out, for three orders."""
    title = influence_sentence(moved)
    caption = (
        "Exponent a of N* ~ C^a, fitted again without 1, 2, ... runs: "
        + "; ".join(f"{words} ({_mark_words(name)})" for name, words in ORDERS.items())
        + f". Shaded: the {percent(moved.level, 0)} interval with all runs. A mark outside it means that the answer "
        "rests on those few runs: look at each of them before you trust it."
    )
    draw = partial(_draw_influence, moved=moved)
    panels = responsive("influence", draw, title=title, described=caption, wide=(760, 300), narrow=300)
    rows = [
        [
            _mark_words(name),
            str(rank + 1),
            run.run[:24],
            count(run.params),
            count(run.tokens),
            number(run.loss, 4),
            number(a, 4),
        ]
        for name in ORDERS
        for rank, (run, a) in enumerate(zip(moved.left_out[name], moved.exponents[name], strict=True))
    ]
    heads = ["order", "left out", "run", "N", "D", "loss", "exponent without these"]
    return figure("influence", title, panels, caption, table(heads, rows, class_="numbers"))


def _mark_words(order: str) -> str:
    return {"highest_loss": "circles", "lowering": "triangles down", "raising": "triangles up"}[order]


def _draw_influence(axes: Axes, *, moved: Influence) -> None:
    if moved.interval:
        axes.axhspan(*moved.interval, color=BAND, linewidth=0, zorder=0)
    axes.axhline(moved.exponent, color=MUTED, linewidth=1, zorder=1)
    for name, values in moved.exponents.items():
        colour, marker, style = INFLUENCE_STYLES[name]
        counts = range(len(values) + 1)
        axes.plot(counts, [moved.exponent, *values], marker, color=colour, linestyle=style, linewidth=1.3, markersize=6)
    axes.set_xticks(range(len(moved.exponents["highest_loss"]) + 1))
    axes.set_xlabel("runs left out")
    axes.set_ylabel("exponent a of N* ~ C^a")


PROFILE_TOP = 3.0
"""The figure reaches this many times the rise at the interval's ends."""


def profile_figure(fit: Fit) -> Html | None:
    """One panel per profile; None for a fit without any."""
    if not fit.profiles:
        return None
    caption = (
        "The parameter is held at each value and all others are fitted again. Height: by how much the objective then "
        f"lies above its least. Shaded: the values inside the {percent(fit.level, 0)} profile interval; shade that "
        "reaches an end of the axis means that the runs set no bound there. Filled: the unpenalised estimate."
    )
    title = "; ".join(_profile_finding(fit, name, profile) for name, profile in fit.profiles.items())
    panels = [
        drawing(
            f"profile-{rank}",
            (430, 260),
            partial(_draw_profile, name=name, profile=profile, estimate=fit.unpenalised_parameters.get(name)),
            title=_profile_finding(fit, name, profile),
            described=caption,
        )
        for rank, (name, profile) in enumerate(fit.profiles.items())
    ]
    rows = [
        [name, significant(value, 4), percent(rise, 3)]
        for name, profile in fit.profiles.items()
        for value, rise in zip(profile.values, profile.rise, strict=True)
    ]
    data = table(["parameter", "held at", "objective above its least"], rows, class_="numbers")
    return figure("profiles", title, panels, caption, data, columns=2)


def _profile_finding(fit: Fit, name: str, profile: ParameterProfile) -> str:
    """The fit alone says whether a parameter is identified: a profile takes the law's form for granted."""
    low, high = (significant(end) for end in profile.interval)
    if name in fit.reasons and profile.identified:
        return f"The runs do not identify {name}: {low} to {high} holds only if the law's form does"
    if name in fit.reasons or (name != "E" and not profile.identified):
        return f"The runs do not identify {name}: anything from {low} to {high} fits"
    return f"The runs identify {name}: {low} to {high}"


def _draw_profile(axes: Axes, *, name: str, profile: ParameterProfile, estimate: float | None) -> None:
    import numpy as np

    values, rise = np.array(profile.values), 100 * np.array(profile.rise)
    low, high = profile.interval
    # The ends of the interval lie where the rise reaches its threshold, so that height sets the scale of the figure.
    limit = max(float(np.interp([low, high], values, rise).max()), 0.1)
    # Beyond PROFILE_TOP times the threshold a profile says no more than that the value is excluded.
    near = rise <= PROFILE_TOP * limit
    air = (high / low) ** 0.15 if low > 0 else 1.0
    left, right = min(values[near].min(), low / air), max(values[near].max(), high * air)
    if left > 0 and right > 4 * left:
        log_axis(axes, "x", left, right, significant_tick)
    else:
        axes.set_xlim(left - 0.02 * (right - left), right + 0.02 * (right - left))
        axes.locator_params(axis="x", nbins=5)
    axes.axvspan(low, high, color=BAND, linewidth=0, zorder=0)
    axes.plot(values, rise, color=INK, linewidth=1.6, zorder=2)
    if estimate is not None:
        axes.plot(estimate, 0, "o", color=ACCENT, markersize=8, markeredgecolor=PAPER, clip_on=False, zorder=4)
    axes.set_ylim(0, PROFILE_TOP * limit)
    axes.set_xlabel(name)
    axes.set_ylabel("objective above its least (%)")


def objective_figure(fit: Fit) -> Html | None:
    """The loss at 8 times the largest compute by each objective; None for a fit without the comparison."""
    if not fit.sensitivity:
        return None
    law = find_law(fit.law)
    losses = {entry.objective: entry.loss for entry in fit.sensitivity}
    chosen = losses.get(MAP, next(iter(losses.values())))
    apart = max(abs(value / chosen - 1) for value in losses.values()) if chosen else 0.0
    title = f"Another objective moves the forecast at 8 times the compute by at most {percent(apart, 2)}"
    caption = (
        "The law fitted to the same runs by each objective, at 8 times the compute of the largest run. Coloured: the "
        "one that forecasts use. A difference larger than the interval of a forecast is a reason to look at the runs."
    )
    lines = [
        Line(_objective_name(name), value, text=number(value, 4), strong=name == MAP) for name, value in losses.items()
    ]
    panels = forest("objectives", lines, f"{law.column} ({fit.unit})", title=title, described=caption)
    names = list(law.parameters)
    rows = [
        [
            _objective_name(entry.objective),
            number(entry.loss, 4),
            *(significant(entry.parameters[key], 4) for key in names),
        ]
        for entry in fit.sensitivity
    ]
    data = table(["objective", "at 8 × compute", *names], rows, class_="numbers")
    return figure("objectives", title, panels, caption, data)


def _objective_name(objective: str) -> str:
    return {MAP: "MAP: what forecasts use"}.get(objective, objective.replace("_", " "))
