"""Quantities of interest at the target (loss and N*), scaled so that squared error is lost compute.

Shapes: s draws, r runs, q quantities, p parameters, b discrepancy terms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foretoken.fits.estimate import assumed
from foretoken.ladders.information import FisherInformation
from foretoken.ladders.prior import Prior
from foretoken.ladders.request import Goal
from foretoken.laws.law import Array

AROUND = 0.3
"""Distance, in ln, over which curvature and slope of the loss are taken."""
FLAT = 1e3
"""Spread of a parameter of which a fit assumes nothing."""
LEAST_CURVATURE, LEAST_SLOPE = 1e-5, 1e-3
"""Below these a draw has no minimum, or no fall, to speak of; a division by it would let that draw decide."""
STEPS, LONGEST = 6, 1.0
"""Gauss-Newton steps to the expected estimate, and the longest of them in one parameter's logarithm."""


@dataclass(frozen=True)
class Target:
    """The target and its quantities of interest, as gradients in the law's parameters and in the discrepancy."""

    params: float
    tokens: float
    flops: float
    loss: Array
    """Gradient of the target's ln loss in the parameters [s, 1, p]."""
    loss_discrepancy: Array
    """What the discrepancy terms add to it [s, 1, b]."""
    quantities: Array
    """Scaled so that the sum of their squared errors is the share of the target's FLOP that is lost [s, q, p]."""
    quantities_discrepancy: Array
    """The same for the discrepancy terms [s, q, b]."""
    prior_precision: Array
    """1 / variance that the fit assumes of each parameter [p]."""
    prior_offset: Array
    """Mean of what the fit assumes, less each draw [s, p]."""
    past: FisherInformation
    """Of the runs that there are."""


def make_target(prior: Prior, flops: float | None, params: float | None, tokens: float | None, goal: Goal) -> Target:
    """The quantities of interest of a target, given by its FLOP or by its parameters and tokens."""
    if params is None or tokens is None:
        assert flops is not None
        params = float(prior.best_size(np.array([flops]))[0])
        tokens = flops / prior.per_token / params
    else:
        flops = prior.per_token * params * tokens
    target = np.log([params, tokens])
    size, loss, slope = _lost_compute(prior, target)
    # An error e of ln loss buys e / slope e-folds of compute too much or too little; half its square is lost.
    scaled = {"size": size[:, None], "loss": loss[:, None] / (np.sqrt(2) * slope[:, None, None])}
    quantities = np.concatenate([scaled[name] for name in scaled if goal in (name, "both")], axis=1)
    precision, offset = _fit_prior(prior)
    p = len(precision)
    past = FisherInformation.of_runs(
        prior.gradient(prior.past_runs), prior.discrepancy(target, prior.past_runs), 1 / prior.past_variance
    )
    return Target(
        params,
        tokens,
        flops,
        loss=loss[:, None, :p],
        loss_discrepancy=loss[:, None, p:],
        quantities=quantities[..., :p],
        quantities_discrepancy=quantities[..., p:],
        prior_precision=precision,
        prior_offset=offset,
        past=past,
    )


def expected_estimate(prior: Prior, target: Target, x: Array, variance: Array) -> Array:
    """For each prior draw, the MAP estimate expected from runs without noise [s, p].

    Runs at ln N and ln D, x [r, 2], with the variance of their ln loss [r]. Gauss-Newton steps from the draw itself on
    sum (ln loss - fitted)^2 / variance + prior_precision (mean - theta)^2.
    """
    law, x = prior.law, x - prior.origin
    true, mean, theta = law.value_and_grad(prior.theta, x)[0], prior.theta + target.prior_offset, prior.theta
    for _ in range(STEPS):
        fitted, gradient = law.value_and_grad(theta, x)
        weighted = np.swapaxes(gradient / variance[:, None], 1, 2)
        slope = weighted @ (true - fitted)[..., None] + (target.prior_precision * (mean - theta))[..., None]
        step = np.linalg.solve(weighted @ gradient + np.diag(target.prior_precision), slope)[..., 0]
        theta = theta + np.clip(step, -LONGEST, LONGEST)
    return theta


def posterior_variance(prior: Prior, target: Target, x: Array, variance: Array) -> tuple[Array, Array]:
    """Of the target's ln loss [s], and the sum over what counts [s], given runs as in `expected_estimate`.

    The discrepancy's terms are unknowns beside the parameters, of standard deviation 1: so runs far from the target say
    little however many they are, and no run widens what is left open.
    """
    # theta and w together: precision = sum (g, d) (g, d)' / v + diag(prior, 1), and a quantity (c, e) has the variance
    # (c, e) precision^-1 (c, e)'. Each run adds a positive semi-definite matrix, so variances only fall.
    both = _gradients(prior, np.log([target.params, target.tokens]), x)
    own = np.append(target.prior_precision, np.ones(both.shape[-1] - len(target.prior_precision)))
    precision = np.swapaxes(both / variance[:, None], 1, 2) @ both + np.diag(own)
    loss = np.concatenate([target.loss, target.loss_discrepancy], axis=-1)
    counted = np.concatenate([target.quantities, target.quantities_discrepancy], axis=-1)
    asked = np.concatenate([loss, counted], axis=1)
    found = (asked * np.swapaxes(np.linalg.solve(precision, np.swapaxes(asked, 1, 2)), 1, 2)).sum(axis=-1)
    return found[:, 0], found[:, 1:].sum(axis=-1)


def half_way_to_estimate(prior: Prior, target: Target, x: Array, variance: Array) -> Prior:
    """The prior with its gradients half way between each draw and the estimate that is expected of it.

    The prior of a fit may pull a parameter as far as the parameter is large; the gradient at the draw then misjudges
    the change of the loss by a third. By the midpoint rule, f(b) - f(a) = f'((a + b) / 2) (b - a) + O((b - a)^3): the
    gradient half way is exact to second order.
    """
    return prior.linearised_at((prior.theta + expected_estimate(prior, target, x, variance)) / 2)


def _gradients(prior: Prior, target: Array, x: Array) -> Array:
    """Of ln loss, in the law's parameters and in the discrepancy terms [s, r, p + b]."""
    law, discrepancy = prior.gradient(x), prior.discrepancy(target, x)
    return np.concatenate([law, np.broadcast_to(discrepancy, (len(law), *discrepancy.shape))], axis=-1)


def _fit_prior(prior: Prior) -> tuple[Array, Array]:
    """What the fit will assume: 1 / variance [p], and its mean less each draw [s, p]."""
    at_origin = prior.law.value_and_grad(prior.theta, np.zeros((1, 2)))[0]
    mean = np.stack([prior.law.prior(loss)[0] for loss in at_origin])
    spread = assumed(prior.law, np.zeros(1), prior.trust)[1]
    proper = np.isfinite(spread)
    return np.where(proper, spread, FLAT) ** -2.0, np.where(proper, mean - prior.theta, 0.0)


def _lost_compute(prior: Prior, target: Array) -> tuple[Array, Array, Array]:
    """Scaled gradient of the size [s, p + b]; of the loss [s, p + b]; fall of ln loss per e-fold of compute [s].

    At a fixed budget ln loss is a parabola in ln N of curvature k, so an error e of ln N* costs k e^2 / 2 of ln loss,
    and e = (gradient of the slope along the budget) / k. Over the fall per e-fold these are e-folds of compute.
    """
    compute = target.sum()
    best = np.log(prior.best_sizes(float(np.exp(compute) * prior.per_token)))
    middle = np.stack([best, compute - best], axis=-1)
    split, more = AROUND * np.array([1.0, -1.0]), AROUND * np.array([0.5, 0.5])

    def own(x: Array) -> tuple[Array, Array]:
        """Values of ln loss [s] and gradients [s, p + b] of each draw at its own point x [s, 2]."""
        draws = np.arange(len(x))
        fitted = prior.law.value_and_grad(prior.linearise_at, x - prior.origin)[0]
        return fitted[draws, draws], _gradients(prior, target, x)[draws, draws]

    (here, _), (up, up_gradient), (down, down_gradient) = own(middle), own(middle + split), own(middle - split)
    curvature = np.maximum((up - 2 * here + down) / AROUND**2, LEAST_CURVATURE)
    slope = np.maximum((own(middle - more)[0] - own(middle + more)[0]) / (2 * AROUND), LEAST_SLOPE)
    turn = (up_gradient - down_gradient) / (2 * AROUND)
    # (k / 2) (turn / k)^2 / slope = (turn / sqrt(2 k slope))^2
    return turn / np.sqrt(2 * curvature * slope)[:, None], _gradients(prior, target, target[None])[:, 0], slope
