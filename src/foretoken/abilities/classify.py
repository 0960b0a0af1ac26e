"""Score tables in, verdicts out: what scale buys beyond loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from foretoken.abilities.bounds import BARS
from foretoken.abilities.curve import Curve
from foretoken.abilities.curve_fit import CurveDraws, CurveFit, fit_curve
from foretoken.abilities.emergence import HeldOut, emergence_score, held_out, linearity
from foretoken.abilities.level import Level, level_reached
from foretoken.abilities.pairs import Fitted, metric_pairs
from foretoken.abilities.result import BandPoint, CurveVerdict, Point, Scores
from foretoken.abilities.shots import shot_checks, shot_gains
from foretoken.abilities.table import ScoreReading, ScoreTable, read_scores
from foretoken.abilities.verdict import PLACES, Features, Judgement, features, judge
from foretoken.arguments import check_level, takes
from foretoken.errors import ForetokenError
from foretoken.fits.check import Check, listed, plural, worst_first
from foretoken.runs.reading import AnyTable

DRAWS = 600
FEWEST = 3
"""Sizes below which no shape is tried."""
HELD_OUT = 1 / 3
"""The share of the scores, at the largest sizes, that the shapes are compared on."""
AHEAD = 10.0
"""Times the largest size up to which a band is drawn."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScoresRequest:
    """What is asked of a table of scores.

    Args:
        table: scores in long or in wide form: a file, a frame, or what `read_scores` gives.
        level_of: `human`, `ceiling`, `chance`, or a number: the level whose size is looked for.
        level: probability that an interval holds, above 0 and below 1.
        monotone: leave out curves that turn back.
        against: `params`, `tokens`, `flops`, `loss`, or `auto`: what varies.
        group: the column that tells series of models apart.
        unit: `fraction`, `percent` or `raw`; unless given, told by the numbers.
        better: `up` or `down`, for metrics whose name does not say.
        chance: what guessing scores, where the table does not say.
        ceiling: the best score there can be.
        human: what people score.
        items: items (questions) behind each score.
        rename: columns by other names, as for `read_table`.
        where: which rows to read, as for `read_table`.
        seed: of the drawn curves.
        progress: is called with the number of curves done, and of all.

    """

    table: AnyTable | ScoreTable
    level_of: str | float = "human"
    level: float = 0.9
    monotone: bool = False
    against: str = "auto"
    group: str = ""
    unit: str = ""
    better: str = ""
    chance: float | None = None
    ceiling: float | None = None
    human: float | None = None
    items: float | None = None
    rename: Mapping[str, str] | None = None
    where: str = ""
    seed: int = 0
    progress: Progress | None = None

    def read(self) -> ScoreTable:
        """The scores, as they are asked for."""
        levels = (self.chance, self.ceiling, self.human, self.items)
        reading = ScoreReading(self.against, self.group, self.unit, self.better, *levels)
        return read_scores(self.table, self.rename, self.where, reading)


@takes(ScoresRequest)
def scores(request: ScoresRequest) -> Scores:
    """Classify every curve of a table of scores; where each reaches a level, jumps and metrics, the gain of shots.

    Raises TableError for tables that cannot be read so, ForetokenError for a level that is none.
    """
    check_level(request.level)
    target, read = _target(request.level_of), request.read()
    names = list(read.curves())
    found, fitted = [], []
    for number, (name, rows) in enumerate(names, start=1):
        curve = Curve.of(name, rows, read.against)
        generator = np.random.default_rng([request.seed, name.number])
        verdict, one = _curve(curve, target, request.level, request.monotone, generator)
        found.append(verdict)
        fitted += [one] if one else []
        if request.progress:
            request.progress(number, len(names))
    gains = shot_gains(read, request.level)
    return Scores(
        curves=found,
        pairs=list(metric_pairs(fitted, request.level)),
        shots=gains,
        against=read.against,
        level_of=str(request.level_of),
        interval_level=request.level,
        checks=worst_first([*read.checks, *_checks(found), *shot_checks(gains)]),
        assumed=list(read.assumed),
        source=read.source,
    )


def _target(level_of: str | float) -> str | float:
    """The name of a column of levels, or a number. Raises ForetokenError for what is neither."""
    if isinstance(level_of, str) and level_of in BARS:
        return level_of
    text = str(level_of).strip()
    try:
        value = float(text.rstrip("% "))
    except ValueError:
        value = float("nan")
    # 1 % is no score of 1.
    value = value / 100.0 if text.endswith("%") else value
    if not np.isfinite(value):
        raise ForetokenError(
            "--level-of: no level", expected=f"{', '.join(BARS)}, or a score such as 90", got=repr(level_of)
        )
    return value


def _curve(
    curve: Curve, target: str | float, level: float, monotone: bool, generator: np.random.Generator
) -> tuple[CurveVerdict, Fitted | None]:
    """What is found of one curve, and its fit where it has sizes enough for one."""
    if curve.sizes < FEWEST:
        return _verdict(curve, None, None, f"{plural(curve.sizes, 'size')}: no shape can be told", target, level), None
    one, seen = fitted_curve(curve, generator, monotone=monotone)
    return _verdict(curve, one, _held_out(curve, one.fit), _evidence(curve, one.judged, seen), target, level), one


def fitted_curve(curve: Curve, generator: np.random.Generator, *, monotone: bool = False) -> tuple[Fitted, Features]:
    """The weighed shapes of a curve of three sizes or more, curves drawn from them with their features, the verdict."""
    fit = fit_curve(curve.place, curve.likelihood())
    draws = fit.draws(DRAWS, generator, monotone=monotone)
    seen = features(draws.at(PLACES))
    judged = judge(seen.verdicts(curve.smallest_change), curve.sizes)
    return Fitted(curve=curve, fit=fit, draws=draws, judged=judged), seen


def _verdict(
    curve: Curve, fitted: Fitted | None, left: HeldOut | None, evidence: str, target: str | float, level: float
) -> CurveVerdict:
    weights = fitted.fit.family_weights() if fitted else {}
    shape = max(weights.items(), key=lambda pair: pair[1])[0] if weights else None
    name = curve.name
    reached, reason = level_of_curve(curve, fitted, target, level)
    return CurveVerdict(
        group=name.group,
        task=name.task,
        metric=name.metric,
        shots=name.shots,
        sizes=curve.sizes,
        verdict=fitted.judged.verdict if fitted else "not_enough_data",
        shape=shape,
        evidence=evidence,
        emergence_score=emergence_score(curve.means),
        linearity=linearity(curve.means),
        level=reached,
        level_reason=reason,
        shares=fitted.judged.shares if fitted else {},
        weights=weights,
        held_out=left,
        points=_points(curve),
        band=_band(curve, fitted.draws, level) if fitted else [],
        better=curve.better,
        unit=curve.unit,
        chance=curve.chance,
        ceiling=curve.ceiling,
        human=curve.human,
    )


def level_of_curve(
    curve: Curve, fitted: Fitted | None, target: str | float, probability: float
) -> tuple[Level | None, str | None]:
    """Where a curve reaches a level of its own, by its name, or a number, and the reason where that is not said."""
    if isinstance(target, str):
        known = {"human": curve.human, "ceiling": curve.ceiling, "chance": curve.chance}[target]
        if known is None:
            return None, f"no {target} level is given for this task"
        name, value = target, known
    else:
        # Whoever asks for 90 of a score between 0 and 1 means percent; 1 is all of it.
        name = f"{target:g}"
        value = target / 100.0 if curve.is_bounded and target > 1.0 else target
    if fitted is None:
        return None, f"{plural(curve.sizes, 'size')}: no shape can be told"
    return level_reached(curve, fitted.draws, fitted.judged.verdict, name, value, probability)


def _held_out(curve: Curve, fit: CurveFit) -> HeldOut | None:
    """The forecasts of the scores at the largest sizes; None where too few would be left."""
    count = max(1, round(HELD_OUT * len(curve.x)))
    keep = curve.place < curve.place[-count]
    if len(np.unique(curve.place[keep])) < FEWEST:
        return None
    # The same shapes for both: a jump among the sizes left out is one that the smaller ones do not show.
    return held_out(fit, fit_curve(curve.place[keep], curve.likelihood(keep), fit.shapes))


def _evidence(curve: Curve, judged: Judgement, seen: Features) -> str:
    """The numbers behind a verdict, in a sentence."""
    shares = sorted(judged.shares.items(), key=lambda pair: -pair[1])
    told = listed((f"{name.replace('_', '-')} {100 * share:.0f} %" for name, share in shares if share >= 0.05), 3)
    first, last = (curve.score_of(curve.means[[place]])[0] for place in (0, -1))
    move = "falls" if np.median(seen.rise) * (1 if curve.better == "up" else -1) < 0 else "rises"
    if judged.verdict == "flat":
        return f"of the weighed curves: {told}; scores from {curve.score.min():.3g} to {curve.score.max():.3g}"
    parts = [
        f"{100 * np.median(np.clip(seen.steepest_third, 0, 9.99)):.0f} % of the change within a third of the range",
        f"slope at the end {np.median(np.clip(seen.last_slope, -9.99, 9.99)):.2f} of the steepest",
    ]
    if judged.verdict == "u_shaped":
        parts = [f"both ends are {100 * np.median(seen.turn):.0f} % of the range away from the turning point"]
    return f"of the weighed curves: {told}; {move} from {first:.3g} to {last:.3g}, {', '.join(parts)}"


def _points(curve: Curve) -> list[Point]:
    items = [None] * len(curve.x) if curve.n is None else [float(n) for n in curve.n]
    return [Point(float(x), float(y), n) for x, y, n in zip(curve.x, curve.score, items, strict=True)]


def _band(curve: Curve, draws: CurveDraws, level: float) -> list[BandPoint]:
    """A new measurement within the data, and up to AHEAD times the largest size."""
    ahead = np.linspace(1.0, curve.place_of(AHEAD), 9)[1:] if curve.axis != "loss" else np.zeros(0)
    places = np.concatenate([np.linspace(0.0, 1.0, 25), ahead])
    mean = draws.at(places)
    inside = np.clip(mean, 0.0, 1.0) if curve.is_bounded else mean
    # A curve that leaves the bounds beyond the data is cut there before a measurement is drawn about it.
    new = draws.likelihood.draw(inside, draws.noise, np.random.default_rng(0))
    tail = (1.0 - level) / 2.0
    means = np.median(curve.score_of(mean), axis=0)
    low, high = np.quantile(curve.score_of(new), [tail, 1.0 - tail], axis=0)
    rows = zip(curve.size_at(places), means, low, high, places > 1.0, strict=True)
    return [BandPoint(float(size), float(m), float(lo), float(hi), bool(far)) for size, m, lo, hi, far in rows]


def _checks(found: list[CurveVerdict]) -> Iterator[Check]:
    few = [curve for curve in found if curve.verdict == "not_enough_data"]
    if few:
        yield Check(
            "not_enough_data",
            "doubt",
            f"{plural(len(few), 'curve')} of {len(found)} cannot be told: {listed((one.name for one in few), 4)}",
            "score more sizes, or more items per size (column `n`)",
        )
    far = [one for one in found if one.level and one.level.factor > 100.0]
    if far:
        yield Check(
            "far_extrapolation",
            "doubt",
            f"the level lies more than 100 times beyond the largest size for {listed((one.name for one in far), 4)}",
            "take it for an order of magnitude",
        )
