"""Figure: loss against compute, with the law, its band, the target's forecast, its outcome and the plain rivals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from foretoken.fits.result import Fit
from foretoken.forecasts.forecast import Forecast
from foretoken.forecasts.predict import predict
from foretoken.reports.html import Html, figure, section, table
from foretoken.reports.numbers import factor, number, percent, power
from foretoken.reports.study_results import StudyResults
from foretoken.reports.svg import (
    ACCENT,
    BAND,
    BAND_DEEP,
    INK,
    MUTED,
    RULE,
    SHADE,
    Budget,
    apart,
    drawing,
    log_axis,
    padded,
    short_power,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_PIXELS = 165
"""Room at the right of the target for the names of what is drawn there."""
RIVAL_NAMES = {
    "largest_run": "largest small run",
    "power_law": "power law in compute",
    "power_law_all_runs": "power law, all runs",
    "chinchilla": "approach 3, plain",
}
RIVAL_MARKERS = {"largest_run": "s", "power_law": "D", "power_law_all_runs": "^"}


def forecast_section(study: StudyResults, budgets: dict[str, Budget]) -> Html | None:
    """The section; None while there is neither a loss nor a forecast to draw."""
    if not study.predicted and not _finished(study):
        return None
    return section("forecast", "The forecast", _figure(study, budgets))


def _figure(study: StudyResults, budgets: dict[str, Budget]) -> Html:
    """Loss against compute: once for a wide page, once for a phone."""
    path = path_to_target(study)
    draw = partial(_draw, study=study, budgets=budgets, path=path)
    title = _title(study)
    panels = [
        drawing(f"forecast-{kind}", size, draw, title=title, described=_caption(study, path), class_=kind)
        for kind, size in (("wide", (900, 440)), ("narrow", (380, 380)))
    ]
    return figure("loss-against-compute", title, panels, _caption(study, path), _data(study, path))


def _title(study: StudyResults) -> str:
    told, outcome = study.predicted, study.outcome
    if not told:
        return f"{len(_finished(study))} small runs have a loss; nothing is forecast yet"
    if not outcome:
        return f"The law forecasts {number(told.get('loss'))} at {power(told.get('flops'))} FLOP"
    where = "inside" if outcome.get("inside") else "outside"
    return f"The target reached {number(outcome.get('loss'))}, {where} the interval frozen before it"


def _finished(study: StudyResults) -> list[dict[str, Any]]:
    ladder = study.ladder
    if not len(ladder) or not {"loss", "flops"} <= set(ladder):
        return []
    rows = ladder.dropna(subset=["loss", "flops"]).to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def _used(study: StudyResults) -> set[str] | None:
    return {row.run for row in study.fit.runs} if study.fit else None


def _caption(study: StudyResults, path: Path | None) -> str:
    words = ["Open circles: small runs, coloured by compute budget."]
    if path is not None:
        level = percent(path.outer[0].level, 0)
        words.append(
            f"Line: the law at the target's {path.tokens_per_param:.3g} tokens per parameter, dashed beyond the data; "
            f"runs of other proportions need not lie on it. Bands: where a new run falls ({level}; darker: 50 %)."
        )
    if study.predicted:
        frozen = "frozen " if study.predicted.get("frozen_at") else ""
        words.append(f"Grey: compute beyond the largest small run. Bar with caps: the {frozen}forecast.")
    if study.outcome:
        words.append("Star: what the target reached.")
    if study.rivals:
        words.append("Hollow grey: the plain rivals.")
    if study.entropy_rate is not None:
        words.append("Dotted: the source's entropy rate, below which no model can go.")
    if _crossed(study):
        words.append("Crosses: runs left out of the fit.")
    return " ".join(words)


def _crossed(study: StudyResults) -> bool:
    used = _used(study)
    return used is not None and any(row.get("run") not in used for row in _finished(study))


def _data(study: StudyResults, path: Path | None) -> Html:
    rows: list[list[str]] = [
        [str(row.get("group", "")), power(row["flops"]), number(row["loss"], 4), "", ""] for row in _finished(study)
    ]
    for point in path.outer[::3] if path else []:
        rows.append(["law", power(point.flops), number(point.loss, 4), number(point.low, 4), number(point.high, 4)])
    told = study.predicted
    if told:
        bounds = [number(told.get(key), 4) for key in ("loss", "low", "high")]
        rows.append(["forecast", power(told.get("flops")), *bounds])
    if study.outcome:
        rows.append(["outcome", power(told.get("flops")), number(study.outcome.get("loss"), 4), "", ""])
    return table(["what", "FLOP", "loss (nats per token)", "low", "high"], rows, class_="numbers")


def _draw(axes: Axes, *, study: StudyResults, budgets: dict[str, Budget], path: Path | None) -> None:
    runs, told = _finished(study), study.predicted
    goal = told.get("flops") or (study.design.get("target") or {}).get("flops")
    computes = [row["flops"] for row in runs] + ([goal] if goal else [])
    low, high = padded(computes or [1e11, 1e13], 0.06)
    share = LABEL_PIXELS / (72 * axes.figure.get_figwidth() - 60)  # type: ignore[union-attr]
    high *= (high / low) ** (share / (1 - share)) if told else 1.0
    log_axis(axes, "x", low, high, short_power)
    edge = max((row["flops"] for row in runs), default=low)
    if runs and goal and told:
        _draw_beyond(axes, edge, high, goal)
    if path is not None:
        _draw_path(axes, path, edge)
    _draw_runs(axes, study, runs, budgets)
    if study.entropy_rate is not None:
        axes.axhline(study.entropy_rate, color=MUTED, linestyle=":", linewidth=1.2)
    if goal and told.get("loss") is not None:
        _draw_target(axes, study, goal)
    counted = ", counted matrix products" if study.records else ""
    axes.set_xlabel(f"training compute (FLOP{counted})")
    axes.set_ylabel("validation loss (nats per token)")


def _draw_beyond(axes: Axes, edge: float, high: float, goal: float) -> None:
    """The region that no small run has seen, with how far the target is inside it."""
    axes.axvspan(edge, high, color=SHADE, linewidth=0, zorder=0)
    axes.annotate(
        f"{factor(goal / edge)} beyond the data",
        (edge, 1.0),
        (6, -6),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        va="top",
        color=MUTED,
    )


def _draw_path(axes: Axes, path: Path, edge: float) -> None:
    for forecasts, colour in ((path.outer, BAND), (path.inner, BAND_DEEP)):
        lows, highs = [f.low for f in forecasts], [f.high for f in forecasts]
        axes.fill_between(path.flops, lows, highs, color=colour, linewidth=0, zorder=1)
    inside = [f for f in path.outer if f.flops <= edge]
    beyond = path.outer[max(len(inside) - 1, 0) :]
    for part, style in ((inside, "-"), (beyond, (0, (4, 3)))):
        axes.plot([f.flops for f in part], [f.loss for f in part], color=INK, linestyle=style, linewidth=1.4, zorder=2)


def _draw_runs(axes: Axes, study: StudyResults, runs: list[dict[str, Any]], budgets: dict[str, Budget]) -> None:
    used = _used(study)
    for row in runs:
        budget = budgets.get(str(row.get("group")))
        kept = used is None or row.get("run") in used
        colour = budget.colour if budget else INK
        axes.plot(
            row["flops"],
            row["loss"],
            color=colour,
            markersize=6.5,
            markeredgewidth=1.4,
            linestyle="",
            zorder=3,
            marker="o" if kept else "x",
            markerfacecolor="none",
        )


def _draw_target(axes: Axes, study: StudyResults, goal: float) -> None:
    """Forecast bar, outcome star and rivals at the target's compute, each named at its right."""
    told, outcome = study.predicted, study.outcome or {}
    labels: list[tuple[float, str, str]] = [(told["loss"], f"forecast {number(told['loss'])}", ACCENT)]
    if told.get("low") is not None and told.get("high") is not None:
        bar = [[told["loss"] - told["low"]], [told["high"] - told["loss"]]]
        axes.errorbar(goal, told["loss"], bar, color=ACCENT, linewidth=2, capsize=6, capthick=2, zorder=5)
    axes.plot(goal, told["loss"], marker="_", color=ACCENT, markersize=10, markeredgewidth=2, zorder=5)
    left, right = axes.get_xlim()
    beside, labelled = (goal * (right / left) ** share for share in (0.012, 0.032))
    for name, loss in study.rivals.items():
        marker = RIVAL_MARKERS.get(name, "v")
        axes.plot(beside, loss, marker=marker, markerfacecolor="none", color=MUTED, markersize=6, zorder=4)
        labels.append((loss, f"{RIVAL_NAMES.get(name, name)} {number(loss)}", MUTED))
    if outcome.get("loss") is not None:
        axes.plot(goal, outcome["loss"], marker="*", color=INK, markersize=13, markeredgewidth=0, zorder=6)
        labels.append((outcome["loss"], f"outcome {number(outcome['loss'])}", INK))
    low, high = axes.get_ylim()
    places = apart([loss for loss, _, _ in labels], (high - low) * 0.052)
    for (loss, words, colour), place in zip(labels, places, strict=True):
        axes.plot([beside, labelled], [loss, place], color=RULE, linewidth=0.8, zorder=2)
        axes.annotate(
            words, (labelled, place), (4, 0), textcoords="offset points", va="center", color=colour, fontsize=11
        )
    axes.set_ylim(min(low, *places) - (high - low) * 0.03, high)


PATH_POINTS = 40
INNER_LEVEL = 0.5


@dataclass(frozen=True)
class Path:
    """Forecasts for new runs, in order of compute."""

    outer: list[Forecast]
    inner: list[Forecast]
    """The same at level 0.5."""
    tokens_per_param: float

    @property
    def flops(self) -> list[float]:
        """Compute of each point."""
        return [forecast.flops for forecast in self.outer]


def path_to_target(study: StudyResults) -> Path | None:
    """From about the smallest run's compute to the target's; None without a fit and a target.

    All points have the target's tokens per parameter. Small models spend more on attention and head, so the FLOPs per
    parameter and token follow the runs' own power of the size.
    """
    import numpy as np

    told, fit = study.predicted, study.fit
    if fit is None or not fit.runs or any(told.get(key) is None for key in ("params", "tokens", "flops")):
        return None
    ratio = told["tokens"] / told["params"]
    reach = 0.5 * np.log(told["flops"] / min(row.flops for row in fit.runs))
    steps = np.linspace(-reach, 0.0, PATH_POINTS)
    sizes = told["params"] * np.exp(steps)
    flops = told["flops"] * np.exp((2 + _slope(fit)) * steps)

    def along(level: float) -> list[Forecast]:
        return [
            predict(fit, params=float(n), tokens=float(ratio * n), flops=float(c), level=level)
            for n, c in zip(sizes, flops, strict=True)
        ]

    return Path(along(told.get("level", fit.level)), along(INNER_LEVEL), ratio)


def _slope(fit: Fit) -> float:
    """How the FLOPs per parameter and token change with size: their slope on two log axes."""
    import numpy as np

    sizes = np.log([row.params for row in fit.runs])
    intensities = np.log([row.flops / row.params / row.tokens for row in fit.runs])
    return float(np.polyfit(sizes, intensities, 1)[0]) if np.ptp(sizes) else 0.0
