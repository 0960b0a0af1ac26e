"""One set of outputs under a sharp and a smooth metric: is the jump the metric's, or the model's?

Exact match asks for L tokens that are all right: p^L of the probability p that one token is right. A p that climbs
steadily then gives an exact match that leaps (Schaeffer et al. 2023, arXiv 2304.15004). So a leap is the metric's
artefact if the smooth metric does not leap and p^L describes the sharp one; it is real if the smooth metric leaps, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, cast

import numpy as np

from foretoken.abilities.axes import CurveName
from foretoken.abilities.curve import Curve
from foretoken.abilities.curve_fit import CurveDraws, CurveFit
from foretoken.abilities.likelihoods import Proportions
from foretoken.abilities.metrics import SHARP, TOKEN, TOKEN_LOSS
from foretoken.abilities.verdict import Judgement
from foretoken.laws.law import Array
from foretoken.results import with_reasons_json

Origin = Literal["metric_artefact", "real_jump", "cannot_say"]
ORIGIN_WORDS: dict[Origin, str] = {
    "metric_artefact": "the metric's artefact",
    "real_jump": "a real jump",
    "cannot_say": "cannot be said",
}
LENGTHS = np.geomspace(0.5, 300.0, 129)
"""Tokens of an answer that are tried."""
LEAPS, NO_LEAP = 0.5, 0.05
"""From which share of the smooth metric's curves on it leaps, and up to which it does not."""
DESCRIBED, NOT_DESCRIBED = -2.0, -5.0
"""Nats of p^L against the shapes of the sharp metric alone, from which it describes the scores, or does not."""
FEWEST = 8
"""Sizes below which no jump is called the metric's artefact."""
DRAWS = 60
"""Curves of the smooth metric, whose own error counts."""
NO_ITEMS = "the table does not say how many items are behind it: --items"
"""Why the number of items of a score is not told."""
SEEN = 0.95
"""The probability of at least one right answer with the items that are needed."""
REPLICATES = 2000
"""Scores drawn from p^L at each size, for its interval."""


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A curve with its fit, draws and verdict."""

    curve: Curve
    fit: CurveFit
    draws: CurveDraws
    judged: Judgement


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What p^L says of one sharp score, and what it would take to see it."""

    size: float
    score: float
    """The sharp score that was measured, as a share of right answers."""
    expected: float
    """What p^L says."""
    low: float
    """Of a measured score, if p^L holds: with the error of p and L, the luck of the items, the noise between runs."""
    high: float
    inside: bool
    """Whether the measured score lies between the two."""
    items_needed: float
    """For one right answer or more with 95 %: log 0.05 / log(1 - expected)."""
    items: float | None
    """That there were, where it is known."""


@dataclass(frozen=True, kw_only=True)
class MetricPair:
    """A sharp and a smooth metric of one task, side by side."""

    group: str
    task: str
    shots: str
    sharp: str
    smooth: str
    length: float
    """Tokens L in p^L, the median."""
    length_low: float
    length_high: float
    described: float
    """The log evidence of p^L less that of the sharp metric's own shapes, in nats."""
    sharp_leaps: float
    """The share of the weighed curves that leap."""
    smooth_leaps: float
    origin: Origin
    evidence: str
    resolution: list[Resolution]

    @property
    def inside(self) -> int:
        """The number of sharp scores that follow p^L: of runs, of which several may be of one size."""
        return sum(one.inside for one in self.resolution)

    @property
    def name(self) -> CurveName:
        """What names the two: of their group, task and number of shots."""
        return CurveName(self.group, self.task, "", self.shots)

    def to_json(self) -> dict[str, Any]:
        """Plain values; beside every null stands its reason."""
        values = asdict(self)
        return values | {"resolution": [with_reasons_json(one, items=NO_ITEMS) for one in values["resolution"]]}


def metric_pairs(fitted: Sequence[Fitted], probability: float) -> Iterator[MetricPair]:
    """Every pair of a sharp and a smooth metric of one task, group and number of shots, at the same sizes."""
    for sharp in fitted:
        name = sharp.curve.name
        if not SHARP.search(name.metric) or TOKEN.search(name.metric) or not sharp.curve.is_bounded:
            continue
        for smooth in fitted:
            other = smooth.curve.name
            same = (name.group, name.task, name.shots) == (other.group, other.task, other.shots)
            if same and _is_smooth(smooth.curve) and np.array_equal(sharp.curve.x, smooth.curve.x):
                yield _pair(sharp, smooth, probability)


def _is_smooth(curve: Curve) -> bool:
    metric = curve.name.metric
    return (
        bool(TOKEN.search(metric)) if curve.is_bounded else bool(TOKEN_LOSS.search(metric)) and curve.better == "down"
    )


def _token_probability(smooth: Fitted) -> Array:
    """P at each size, by some of the curves drawn from the weighed shapes of the smooth metric [s, n]."""
    curve = smooth.curve
    means = smooth.draws.at(curve.place)[:DRAWS]
    # Of an error, such as the share of tokens that are edited, what is left; of a loss in nats per token, exp(-loss).
    p = means if curve.is_bounded else np.exp(-np.maximum(curve.score_of(means), 0.0))
    return np.asarray(np.clip(p, 1e-6, 1.0 - 1e-6))


def _pair(sharp: Fitted, smooth: Fitted, probability: float) -> MetricPair:
    p = _token_probability(smooth)
    likelihood = cast(Proportions, sharp.fit.likelihood)  # as metric_pairs takes bounded scores alone
    joint = _joint(p, likelihood)
    # The curves of p are averaged over before the length is: its interval holds their error, too.
    whole = float(np.logaddexp.reduce(joint.ravel()))
    weight = np.exp(joint - whole)
    tail = (1.0 - probability) / 2.0
    by_length = weight.sum(axis=(1, 2))
    low, middle, high = np.interp([tail, 0.5, 1.0 - tail], np.cumsum(by_length) - 0.5 * by_length, LENGTHS)
    own = sharp.fit.log_evidence + sharp.fit.shapes.log_prior[:, None] + likelihood.log_prior
    described = whole - float(np.logaddexp.reduce(own.ravel()))
    leaps = sharp.judged.shares["sharp"], smooth.judged.shares["sharp"]
    origin, why = _origin(described, *leaps, smooth)
    name = sharp.curve.name
    return MetricPair(
        group=name.group,
        task=name.task,
        shots=name.shots,
        sharp=name.metric,
        smooth=smooth.curve.name.metric,
        length=float(middle),
        length_low=float(low),
        length_high=float(high),
        described=described,
        sharp_leaps=leaps[0],
        smooth_leaps=leaps[1],
        origin=origin,
        evidence=why,
        resolution=_resolution(
            sharp.curve, p.mean(axis=0) ** float(middle), _interval(p, weight, likelihood, probability)
        ),
    )


def _joint(p: Array, likelihood: Proportions) -> Array:
    """The log of prior times density of the sharp scores, by length, curve of p and level of noise [L, s, noise]."""
    mean = p[None, :, :] ** LENGTHS[:, None, None]
    repeated = np.repeat(mean.reshape(-1, 1, p.shape[1]), len(likelihood.log_prior), axis=1)
    each = likelihood.log_density(repeated).reshape(*mean.shape[:2], -1)
    return np.asarray(each + likelihood.log_prior - np.log(each.shape[0] * each.shape[1]))


def _interval(p: Array, weight: Array, likelihood: Proportions, probability: float) -> Array:
    """Between which two values a measured score lies at each size, if p^L holds [2, n]."""
    generator = np.random.default_rng(0)
    drawn = generator.choice(weight.size, size=REPLICATES, p=weight.ravel() / weight.sum())
    length, curve, noise = np.unravel_index(drawn, weight.shape)
    scores = likelihood.repeated(p[curve] ** LENGTHS[length][:, None], noise, generator)
    tail = (1.0 - probability) / 2.0
    ends = (np.quantile(scores, tail, axis=0, method="lower"), np.quantile(scores, 1.0 - tail, axis=0, method="higher"))
    return np.stack(ends)


def _origin(described: float, sharp_leaps: float, smooth_leaps: float, smooth: Fitted) -> tuple[Origin, str]:
    name = smooth.curve.name.metric
    told = f"{100 * smooth_leaps:.0f} % of the curves of {name} leap, {100 * sharp_leaps:.0f} % of the sharp metric's"
    by_length = f"p^L against free shapes of the sharp metric: {described:+.1f} nats"
    if sharp_leaps < LEAPS:
        return "cannot_say", f"the sharp metric does not leap for sure: {told}"
    if smooth_leaps >= LEAPS:
        return "real_jump", f"the smooth metric leaps, too: {told}"
    if described <= NOT_DESCRIBED and smooth_leaps <= NO_LEAP:
        return "real_jump", f"no length turns the smooth metric into this jump: {by_length}"
    smooth_rises = smooth_leaps <= NO_LEAP and smooth.judged.verdict in ("steady", "saturating")
    if described >= DESCRIBED and smooth_rises and smooth.curve.sizes >= FEWEST:
        return "metric_artefact", f"the smooth metric is {smooth.judged.verdict}, and p^L describes the jump: {told}"
    return "cannot_say", f"{told}; {by_length}"


def _resolution(curve: Curve, expected: Array, interval: Array) -> list[Resolution]:
    # 1 - (1 - mu)^n = 0.95.
    needed = np.log(1.0 - SEEN) / np.log1p(-np.clip(expected, 1e-12, 1.0 - 1e-12))
    score = curve.good(curve.score)
    return [
        Resolution(
            size=float(curve.x[i]),
            score=float(score[i]),
            expected=float(expected[i]),
            low=float(interval[0, i]),
            high=float(interval[1, i]),
            inside=bool(interval[0, i] <= score[i] <= interval[1, i]),
            items_needed=float(max(np.ceil(needed[i]), 1.0)),
            items=None if curve.n is None else float(curve.n[i]),
        )
        for i in range(len(curve.x))
    ]
