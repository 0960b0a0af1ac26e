"""Figure: loss against compute, with the law, its band, the forecast, its outcome and the plain rivals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from foretoken.fits.result import Fit
from foretoken.forecasts.entry import Outcome
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.predict import predict
from foretoken.laws import find_law
from foretoken.reports.html import Html, figure, section, table
from foretoken.reports.numbers import factor, number, percent, power
from foretoken.reports.palette import Budgets, colour_of, thinned
from foretoken.reports.svg import (
    ACCENT,
    BAND,
    BAND_DEEP,
    INK,
    MUTED,
    RULE,
    SHADE,
    apart,
    figure_size,
    log_axis,
    padded,
    responsive,
    short_power,
    write_label,
)
from foretoken.runs.loss_units import NATS_PER_TOKEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_PIXELS, AXIS_PIXELS = 165, 60
"""Room at the right of the target for the names of what is drawn there, and for the axis at the left."""
LINE = 0.052
"""Height of one label, as a share of the axis."""
RIVAL_NAMES = {
    "largest_run": "largest small run",
    "power_law": "power law in compute",
    "power_law_all_runs": "power law, all runs",
    "chinchilla": "approach 3, no prior",
}
RIVAL_MARKERS = {"largest_run": "s", "power_law": "D", "power_law_all_runs": "^"}
POINTS = 40
"""Forecasts along the way to the target."""
INNER_LEVEL = 0.5


@dataclass(frozen=True)
class MeasuredRun:
    """A small run that has a loss."""

    group: str
    flops: float
    loss: float
    by_law: float | None = None
    """What the law gives for its size and length; None where the fit does not rest on it, or there is none."""
    left_out: bool = False
    """Whether a fit does not rest on it."""

    @property
    def residual(self) -> float:
        """Loss over that of the law, less 1; 0 where the law's is not known."""
        return self.loss / self.by_law - 1 if self.by_law else 0.0


@dataclass(frozen=True, kw_only=True)
class ForecastView:
    """What the figure shows."""

    runs: Sequence[MeasuredRun]
    forecast: Forecast | None
    fit: Fit | None
    frozen: bool = False
    """Whether the forecast was written down before its run began."""
    outcome: Outcome | None = None
    rivals: Mapping[str, float] = field(default_factory=dict)
    """Losses that the plain rivals forecast, by name."""
    goal: float | None = None
    """Compute of the target while there is no forecast, in FLOP."""
    entropy_rate: float | None = None
    """Nats per token that no model can go below, where it is known."""
    counted: bool = False
    """Whether compute is counted in matrix products, run by run."""

    @property
    def target_flops(self) -> float | None:
        """Compute of the target, in FLOP."""
        return self.forecast.flops if self.forecast else self.goal

    @property
    def loss_unit(self) -> str:
        """What the losses are in: as the forecast has them, or the fit; those of a study are in nats per token."""
        made = self.forecast or self.fit
        return made.unit if made else NATS_PER_TOKEN


@dataclass(frozen=True)
class TargetPath:
    """Forecasts for new runs of the target's tokens per parameter, in order of compute."""

    outer: list[Forecast]
    inner: list[Forecast]
    """The same at level 0.5."""
    tokens_per_param: float

    @property
    def flops(self) -> list[float]:
        """Compute of each point."""
        return [forecast.flops for forecast in self.outer]

    def beside(self, run: MeasuredRun) -> float:
        """The loss at which a run is drawn: as far off the line as it is off the law at its own size and length."""
        import numpy as np

        if run.by_law is None:
            return run.loss
        line = np.interp(math.log(run.flops), np.log(self.flops), [forecast.loss for forecast in self.outer])
        return float(line) * (1 + run.residual)


def path_to_target(forecast: Forecast | None, fit: Fit | None) -> TargetPath | None:
    """Over the compute of the runs and to the target's; None without a fit and a target.

    All points have the target's tokens per parameter. Small models spend more on attention and head, so the FLOPs per
    parameter and token follow the runs' own power of the size.
    """
    import numpy as np

    if fit is None or forecast is None or math.isnan(forecast.params + forecast.tokens + forecast.flops):
        return None
    ratio = forecast.tokens / forecast.params
    # At D = r N and C = k N^s N D the compute is r k N^(2+s).
    power_of_size = 2 + _intensity_slope(fit)
    ends = sorted([0.0, *(math.log(end / forecast.flops) / power_of_size for end in fit.ranges.flops)])
    steps = np.unique([*np.linspace(ends[0], ends[-1], POINTS), 0.0])
    sizes = forecast.params * np.exp(steps)
    computes = forecast.flops * np.exp(power_of_size * steps)

    def along(level: float) -> list[Forecast]:
        return [
            predict(fit, params=float(size), tokens=float(ratio * size), flops=float(flops), level=level, strict=False)
            for size, flops in zip(sizes, computes, strict=True)
        ]

    return TargetPath(along(forecast.level), along(INNER_LEVEL), ratio)


def _intensity_slope(fit: Fit) -> float:
    """How the FLOPs per parameter and token change with size: their slope on two log axes."""
    import numpy as np

    sizes = np.log([run.params for run in fit.runs])
    intensities = np.log([run.flops / run.params / run.tokens for run in fit.runs])
    return float(np.polyfit(sizes, intensities, 1)[0]) if np.ptp(sizes) else 0.0


def has_way(forecast: Forecast, fit: Fit) -> bool:
    """Whether loss can be drawn against compute: a law of the loss in N, D or C alone, and a compute that is known."""
    law = find_law(fit.law)
    known = {"params", "tokens", "flops"}
    return set(law.features) <= known and law.column == "loss" and not math.isnan(forecast.flops)


def view_of(forecast: Forecast, fit: Fit) -> ForecastView:
    """A forecast beside the runs of its fit, whose groups are their colours."""
    # The figure is of the data's shape, and thousands of circles would only blacken it; the law section says the rest.
    drawn = (fit.runs[i] for i in thinned(fit.runs))
    runs = [MeasuredRun(run.group or "", run.flops, run.loss, run.fitted) for run in drawn]
    return ForecastView(runs=runs, forecast=forecast, fit=fit)


def forecast_section(view: ForecastView, budgets: Budgets) -> Html:
    """Loss against compute: once for a wide page, once for a phone."""
    path = path_to_target(view.forecast, view.fit)
    title, caption = _title(view), _caption(view, path)
    draw = partial(draw_forecast, view=view, budgets=budgets, path=path)
    panels = responsive("forecast", draw, title=title, described=caption, wide=(900, 440), narrow=380)
    return section(
        "forecast", "The forecast", figure("loss-against-compute", title, panels, caption, _data(view, path))
    )


def _title(view: ForecastView) -> str:
    if view.forecast is None:
        many = len(view.runs)
        return f"{many} small run{'s have' if many != 1 else ' has'} a loss; nothing is forecast yet"
    if view.outcome is None:
        return f"The law forecasts {number(view.forecast.loss)} at {power(view.forecast.flops)} FLOP"
    return f"The target reached {number(view.outcome.loss)}, {view.outcome.verdict} the interval frozen before it"


def _caption(view: ForecastView, path: TargetPath | None) -> str:
    sentences = ["Open circles: small runs, coloured by compute budget."]
    off = [abs(run.residual) for run in view.runs]
    if path is not None and any(off):
        sentences.append(
            "Each stands as far off the line as the law misses it at the run's own size and length, at most "
            f"{percent(max(off), 2)}: a run of other proportions than the target's is moved with the law."
        )
    if path is not None:
        level = percent(path.outer[0].level, 0)
        sentences.append(
            f"Line: the law at the target's {path.tokens_per_param:.3g} tokens per parameter, dashed beyond the data. "
            f"Bands: where a new run falls ({level}; darker: 50\u202f%)."
        )
    if view.forecast is not None:
        frozen = "frozen " if view.frozen else ""
        sentences.append(f"Grey: compute beyond the largest small run. Bar with caps: the {frozen}forecast.")
    if view.outcome is not None:
        sentences.append("Star: what the target reached.")
    if view.rivals:
        sentences.append("Hollow grey: the plain rivals.")
    if view.entropy_rate is not None:
        sentences.append("Dotted: the source's entropy rate, below which no model can go.")
    if any(run.left_out for run in view.runs):
        sentences.append("Crosses: runs left out of the fit.")
    return " ".join(sentences)


def _data(view: ForecastView, path: TargetPath | None) -> Html:
    rows = [[run.group, power(run.flops), number(run.loss, 4), "", "", number(run.by_law, 4)] for run in view.runs]
    along = [("law", point) for point in path.outer[::3]] if path else []
    along += [("forecast", view.forecast)] if view.forecast else []
    rows += [
        [name, power(point.flops), *(number(value, 4) for value in (point.loss, point.low, point.high)), ""]
        for name, point in along
    ]
    if view.outcome is not None:
        rows.append(["outcome", power(view.target_flops), number(view.outcome.loss, 4), "", "", ""])
    return table(["", "FLOP", f"loss ({view.loss_unit})", "low", "high", "by the law"], rows, class_="numbers")


def draw_forecast(axes: Axes, *, view: ForecastView, budgets: Budgets, path: TargetPath | None) -> None:
    """Loss against compute."""
    goal = view.target_flops
    computes = [run.flops for run in view.runs] + ([goal] if goal else [])
    low, high = padded(computes or [1e11, 1e13], 0.06)
    if view.forecast is not None:
        # The labels take a share of the axis: log(high'/low) (1 - share) = log(high/low).
        share = LABEL_PIXELS / (figure_size(axes)[0] - AXIS_PIXELS)
        high *= (high / low) ** (share / (1 - share))
    log_axis(axes, "x", low, high, short_power)
    edge = max((run.flops for run in view.runs), default=low)
    if view.runs and view.forecast is not None:
        _draw_beyond(axes, edge, high, view.forecast.flops)
    if path is not None:
        _draw_path(axes, path, edge)
    for run in view.runs:
        _draw_run(axes, run, path.beside(run) if path else run.loss, colour_of(run.group, budgets))
    if view.entropy_rate is not None:
        axes.axhline(view.entropy_rate, color=MUTED, linestyle=":", linewidth=1.2)
    if view.forecast is not None:
        _draw_target(axes, view, view.forecast)
    axes.set_xlabel(f"training compute (FLOP{', counted matrix products' if view.counted else ''})")
    axes.set_ylabel(f"validation loss ({view.loss_unit})")


def _draw_run(axes: Axes, run: MeasuredRun, loss: float, colour: str) -> None:
    marker = "x" if run.left_out else "o"
    (mark,) = axes.plot(run.flops, loss, marker, color=colour, markersize=6.5, markeredgewidth=1.4, zorder=3)
    mark.set_markerfacecolor("none")


def _draw_beyond(axes: Axes, edge: float, high: float, goal: float) -> None:
    """Grey ground where no small run lies, with the factor by which the target is beyond them."""
    axes.axvspan(edge, high, color=SHADE, linewidth=0, zorder=0)
    if goal <= edge:
        # A factor below 1 is no distance: the bar then stands among the runs.
        return
    words = f"{factor(goal / edge)} beyond the data"
    write_label(axes, words, (edge, 1.0), (6, -6), colour=MUTED, size=12, va="top", above=True)


def _draw_path(axes: Axes, path: TargetPath, edge: float) -> None:
    # The wide band first: the narrow one, which lies inside it, is painted over it.
    for forecasts, colour in ((path.outer, BAND), (path.inner, BAND_DEEP)):
        lows, highs = [f.low for f in forecasts], [f.high for f in forecasts]
        axes.fill_between(path.flops, lows, highs, color=colour, linewidth=0, zorder=1)
    inside = [f for f in path.outer if f.flops <= edge]
    # The dashed part begins with the last point inside, so that the two parts meet.
    beyond = path.outer[max(len(inside) - 1, 0) :]
    for part, style in ((inside, "-"), (beyond, (0, (4, 3)))):
        axes.plot([f.flops for f in part], [f.loss for f in part], color=INK, linestyle=style, linewidth=1.4, zorder=2)


def _draw_target(axes: Axes, view: ForecastView, forecast: Forecast) -> None:
    """Forecast bar, outcome star and rivals at the target's compute, each named at its right."""
    goal, outcome = forecast.flops, view.outcome
    labels: list[tuple[float, str, str]] = [(forecast.loss, f"forecast {number(forecast.loss)}", ACCENT)]
    bar = [[forecast.loss - forecast.low], [forecast.high - forecast.loss]]
    axes.errorbar(goal, forecast.loss, bar, color=ACCENT, linewidth=2, capsize=6, capthick=2, zorder=5)
    axes.plot(goal, forecast.loss, marker="_", color=ACCENT, markersize=10, markeredgewidth=2, zorder=5)
    left, right = axes.get_xlim()
    # Rivals stand a little to the right of the bar that would hide them, and labels to the right of both.
    beside, labelled = (goal * (right / left) ** share for share in (0.012, 0.032))
    for name, loss in view.rivals.items():
        marker = RIVAL_MARKERS.get(name, "v")
        axes.plot(beside, loss, marker=marker, markerfacecolor="none", color=MUTED, markersize=6, zorder=4)
        labels.append((loss, f"{RIVAL_NAMES.get(name, name)} {number(loss)}", MUTED))
    if outcome is not None:
        axes.plot(goal, outcome.loss, marker="*", color=INK, markersize=13, markeredgewidth=0, zorder=6)
        labels.append((outcome.loss, f"outcome {number(outcome.loss)}", INK))
    low, high = axes.get_ylim()
    heights = apart([loss for loss, _, _ in labels], (high - low) * LINE)
    for (loss, words, colour), height in zip(labels, heights, strict=True):
        axes.plot([beside, labelled], [loss, height], color=RULE, linewidth=0.8, zorder=2)
        write_label(axes, words, (labelled, height), (4, 0), colour=colour)
    # Labels may have moved below the lowest mark; the axis grows with them, so that none is cut.
    axes.set_ylim(min(low, *heights) - (high - low) * 0.03, high)
