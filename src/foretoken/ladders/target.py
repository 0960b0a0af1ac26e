"""What a target asks of a law: its loss, and its best size; what not knowing them costs, in e-folds of its compute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.ladders.information import Told
from foretoken.ladders.prior import Belief
from foretoken.laws.law import Array

GOALS = ("both", "size", "loss")
AROUND = 0.3
"""Distance, in ln, over which curvature and slope of the loss are taken."""
FLAT = 1e3
"""Spread of a parameter of which a fit assumes nothing."""
LEAST_BEND, LEAST_SLOPE = 1e-5, 1e-3


@dataclass(frozen=True)
class Asked:
    """The target and its questions. Parameters [p] are the law's; bends [b] are those of `bends`."""

    params: float
    tokens: float
    flops: float
    loss: tuple[Array, Array]
    """Gradient of the target's ln loss in the parameters [s, 1, p], and in the bends [s, 1, b]."""
    questions: Array
    """Scaled so that the sum of their squared errors is the share of the target's FLOPs that is lost [s, q, p]."""
    bent: Array
    """The same, of the bends [s, q, b]."""
    prior: Array
    """1 / variance that the fit assumes of each parameter [p]."""
    astray: Array
    """The middle of what the fit assumes, less each law [s, p]."""
    known: Told
    """By the runs that there are."""


def ask(belief: Belief, flops: float | None, params: float | None, tokens: float | None, goal: str) -> Asked:
    """The questions of a target, given by its FLOPs or by its parameters and tokens."""
    if params is None or tokens is None:
        assert flops is not None
        params = float(belief.best_size(np.array([flops]))[0])
        tokens = flops / belief.per_token / params
    else:
        flops = belief.per_token * params * tokens
    target = np.log([params, tokens])
    size, loss, slope = _lost(belief, target)
    asked = {"size": size[:, None], "loss": loss[:, None] / (np.sqrt(2) * slope[:, None, None])}
    chosen = np.concatenate([asked[name] for name in asked if goal in (name, "both")], axis=1)
    prior, astray = _assumed(belief)
    p = len(prior)
    known = Told.by(belief.gradient(belief.known), bends(belief, target, belief.known), 1 / belief.known_variance)
    return Asked(
        params,
        tokens,
        flops,
        (loss[:, None, :p], loss[:, None, p:]),
        chosen[..., :p],
        chosen[..., p:],
        prior,
        astray,
        known,
    )


def bends(belief: Belief, target: Array, x: Array) -> Array:
    """What a truth adds to ln loss that bends away from the law with the square of the distance to it: [r, b]."""
    n, d = (x - target).T
    return np.asarray(belief.misfit * np.stack([n**2, np.sqrt(2) * n * d, d**2], axis=-1))


def _slopes(belief: Belief, target: Array, x: Array) -> Array:
    """Of the law and of the bends [s, r, p + b]."""
    law, bend = belief.gradient(x), bends(belief, target, x)
    return np.concatenate([law, np.broadcast_to(bend, (len(law), *bend.shape))], axis=-1)


def _assumed(belief: Belief) -> tuple[Array, Array]:
    """What the fit will assume: 1 / variance [p], and its middle less each law [s, p]."""
    at_origin = belief.law.log_loss(belief.theta, np.zeros((1, 2)))[0]
    middle = np.stack([belief.law.prior(loss)[0] for loss in at_origin])
    spread = belief.law.prior(np.zeros(1))[1]
    said = np.isfinite(spread)
    return np.where(said, spread, FLAT) ** -2.0, np.where(said, middle - belief.theta, 0.0)


def _lost(belief: Belief, target: Array) -> tuple[Array, Array, Array]:
    """Scaled question of the size [s, p]; gradient of the loss [s, p]; fall of ln loss per e-fold of compute [s].

    At a fixed budget ln loss is a parabola in ln N of curvature k, so an error e of ln N* costs k e^2 / 2 of ln loss,
    and e = (gradient of the slope along the budget) / k. Over the fall per e-fold these are e-folds of compute.
    """
    compute = target.sum()
    best = np.log(_best(belief, float(np.exp(compute) * belief.per_token)))
    middle = np.stack([best, compute - best], axis=-1)
    split, more = AROUND * np.array([1.0, -1.0]), AROUND * np.array([0.5, 0.5])

    def own(x: Array) -> tuple[Array, Array]:
        """Values of ln loss [s] and gradients [s, p] of each draw at its own point x [s, 2]."""
        draws = np.arange(len(x))
        fitted = belief.law.log_loss(belief.near, x - belief.origin)[0]
        return fitted[draws, draws], _slopes(belief, target, x)[draws, draws]

    (here, _), (up, up_slope), (down, down_slope) = own(middle), own(middle + split), own(middle - split)
    bend = np.maximum((up - 2 * here + down) / AROUND**2, LEAST_BEND)
    slope = np.maximum((own(middle - more)[0] - own(middle + more)[0]) / (2 * AROUND), LEAST_SLOPE)
    turn = (up_slope - down_slope) / (2 * AROUND)
    return turn / np.sqrt(2 * bend * slope)[:, None], _slopes(belief, target, target[None])[:, 0], slope


def _best(belief: Belief, flops: float) -> Array:
    """Best size of each draw [s]."""
    law = belief.law
    assert law.optimum is not None
    drawn = [law.named(theta) for theta in law.shift(belief.near, belief.origin)]
    return np.array([float(law.optimum(named, flops, belief.per_token)[0]) for named in drawn])
