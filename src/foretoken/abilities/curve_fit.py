"""All shapes at once fitted to one curve, weighed, and drawn from.

The weight of a shape is its prior times its evidence, the integral of the likelihood over its levels by Laplace's
method (MacKay 2003, chapter 27). The evidence is the product of what the shape says of each size, given the smaller
ones, before that score is seen (Dawid 1984): a shape is weighed by what it forecasts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from foretoken.abilities.likelihoods import Likelihood
from foretoken.abilities.shapes import FAMILIES, PARTS, PRIOR, Family, Shapes, shapes_for
from foretoken.laws.law import Array, Indices

FIRST, MORE, NEAR = 10, 2, 0.02
"""Steps of Fisher scoring at one level of noise at most, and then at each; a step that is too short to go on."""
LONGEST = 2.0
"""The longest step of a free parameter."""
HEAVY, DIVISIONS = 0.04, 2
"""The weight from which on a shape is divided, and how often that is done."""


@dataclass(frozen=True)
class CurveFit:
    """The weighed shapes of one curve: levels [k, noise, PARTS], their covariance, and the log weight [k, noise]."""

    u: Array
    likelihood: Likelihood
    shapes: Shapes
    eta: Array
    lower: Array
    """Cholesky factor of the curvature of the log posterior, the inverse covariance of eta [k, noise, PARTS, PARTS]."""
    log_evidence: Array
    """[k, noise]"""

    @property
    def log_weight(self) -> Array:
        """Prior times evidence, of each shape at each level of noise [k, noise]; the weights sum to 1."""
        joint = self.log_evidence + self.shapes.log_prior[:, None] + self.likelihood.log_prior
        return np.asarray(joint - np.logaddexp.reduce(joint.ravel()))

    def family_evidence(self) -> dict[Family, float]:
        """The log evidence of each family, its shapes and the levels of noise weighed by their priors."""
        joint = self.log_evidence + self.shapes.log_prior[:, None] + self.likelihood.log_prior
        names = np.array(self.shapes.family)
        return {
            name: float(np.logaddexp.reduce(joint[names == name].ravel()) - np.log(PRIOR[name])) for name in FAMILIES
        }

    def family_weights(self) -> dict[Family, float]:
        """The weight of each family."""
        weight = np.exp(self.log_weight).sum(axis=1)
        names = np.array(self.shapes.family)
        return {name: float(weight[names == name].sum()) for name in FAMILIES}

    def without(self, these: NDArray[np.bool_]) -> CurveFit:
        """The fit of the other shapes."""
        kept = ~these
        return replace(
            self,
            shapes=self.shapes.take(kept),
            eta=self.eta[kept],
            lower=self.lower[kept],
            log_evidence=self.log_evidence[kept],
        )

    def and_also(self, other: CurveFit) -> CurveFit:
        """The fit of these shapes and of others, to the same scores."""
        return replace(
            self,
            shapes=self.shapes.and_also(other.shapes),
            eta=np.concatenate([self.eta, other.eta]),
            lower=np.concatenate([self.lower, other.lower]),
            log_evidence=np.concatenate([self.log_evidence, other.log_evidence]),
        )

    def draws(self, count: int, generator: np.random.Generator, *, monotone: bool = False) -> CurveDraws:
        """`count` curves from the weighed shapes, or from those alone that never turn back."""
        log_weight = self.log_weight
        if monotone:
            turns = np.isin(self.shapes.family, ("broken", "turning"))
            log_weight = np.where(turns[:, None], -np.inf, log_weight)
        weight = np.exp(log_weight - log_weight.max()).ravel()
        chosen = generator.choice(len(weight), size=count, p=weight / weight.sum())
        k, noise = np.unravel_index(chosen, self.log_evidence.shape)
        # The curvature is L L', so L'^-1 z has its inverse as covariance.
        shock = generator.standard_normal((count, PARTS, 1))
        free = self.eta[k, noise] + np.linalg.solve(self.lower[k, noise].swapaxes(-1, -2), shock)[..., 0]
        return CurveDraws(self.shapes, self.likelihood, k, noise, self.likelihood.level(free)[0])


@dataclass(frozen=True)
class CurveDraws:
    """Curves drawn from the weighed shapes: the shape, the level of noise [s], and the levels [s, PARTS] of each."""

    shapes: Shapes
    likelihood: Likelihood
    shape: Indices
    noise: Indices
    levels: Array

    def at(self, u: Array) -> Array:
        """The curves at the places `u` [s, g], also beyond the data; not yet cut at bounds."""
        which, back = np.unique(self.shape, return_inverse=True)
        weights = self.shapes.weights(u, which)
        return np.asarray(np.einsum("sgp,sp->sg", weights[back], self.levels))

    def families(self) -> list[Family]:
        """The family of each curve [s]."""
        return [self.shapes.family[k] for k in self.shape]


def fit_curve(u: Array, likelihood: Likelihood, shapes: Shapes | None = None) -> CurveFit:
    """The shapes fitted to scores at the places `u` [n], each from 0 to 1.

    Unless they are given, all that suit the places; those that hold much of the weight alone are then divided, since a
    grid that is coarse against what the data say makes intervals too narrow.
    """
    if shapes is not None:
        return _fit(u, likelihood, shapes, None)
    fit = _fit(u, likelihood, shapes_for(u), None)
    for _ in range(DIVISIONS):
        heavy = (np.exp(fit.log_weight).sum(axis=1) >= HEAVY) & (fit.shapes.step > 0).any(axis=1)
        if not heavy.any():
            break
        children, parent = fit.shapes.take(heavy).divided()
        start = fit.eta[heavy][parent][:, fit.eta.shape[1] // 2][:, None]
        fit = fit.without(heavy).and_also(_fit(u, likelihood, children, start))
    return fit


def _fit(u: Array, likelihood: Likelihood, shapes: Shapes, start: Array | None) -> CurveFit:
    """The shapes fitted, from levels `start` [k, 1, PARTS]."""
    weights = shapes.weights(u)
    used = np.arange(PARTS)[None, :] < shapes.parts[:, None]
    # A flat curve is its first level alone.
    products = (weights[..., :, None] * weights[..., None, :]).reshape(len(shapes), len(u), PARTS * PARTS)
    noises = len(likelihood.log_prior)
    mean = likelihood.start(float(likelihood.y.mean()))
    eta = np.full((len(shapes), 1, PARTS), mean) if start is None else start
    # With as many items at each size the best levels hardly depend on the noise, which only scales the likelihood:
    # most steps are made at one level of noise, and a few more from there at all of them.
    one = likelihood.with_noise(slice(noises // 2, noises // 2 + 1))
    for _ in range(FIRST):
        step, _ = _step(eta, weights, products, used, one)
        eta = eta + step
        if np.abs(step).max() < NEAR:
            break
    eta = np.repeat(eta, noises, axis=1)
    for _ in range(MORE):
        eta = eta + _step(eta, weights, products, used, likelihood)[0]
    _, curvature = _step(eta, weights, products, used, likelihood)
    return _weighed(u, likelihood, shapes, weights, used, eta, curvature)


def _step(
    eta: Array, weights: Array, products: Array, used: NDArray[np.bool_], likelihood: Likelihood
) -> tuple[Array, Array]:
    """A step of Fisher scoring [k, noise, p], and the curvature of the log posterior, turned positive."""
    theta, slope = likelihood.level(eta)
    mu = theta @ weights.transpose(0, 2, 1)
    precision = likelihood.precision(mu)
    gradient = (precision * (likelihood.y - mu)) @ weights * slope
    curvature = (precision @ products).reshape(*eta.shape, PARTS) * slope[..., :, None] * slope[..., None, :]
    _, prior_slope, prior_curvature = likelihood.prior(eta)
    # A level that a shape does not have keeps its start: no slope, and a curvature of 1, whose log is 0 in the
    # evidence.
    gradient = np.where(used[:, None, :], gradient + prior_slope, 0.0)
    diagonal = np.arange(PARTS)
    curvature[..., diagonal, diagonal] += np.where(used[:, None, :], prior_curvature + 1e-9, 1.0)
    # Levels near a bound have flat likelihoods in log odds: an unchecked step would leave for infinity.
    return np.clip(_solved(curvature, gradient), -LONGEST, LONGEST), curvature


def _solved(matrix: Array, right: Array) -> Array:
    """X of matrix x = right, for symmetric matrices of PARTS rows [..., p, p], by cofactors."""
    a, b, c = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 0, 2]
    d, e, f = matrix[..., 1, 1], matrix[..., 1, 2], matrix[..., 2, 2]
    aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
    bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = right[..., 0], right[..., 1], right[..., 2]
    solved = (aa * x + ab * y + ac * z, ab * x + bb * y + bc * z, ac * x + bc * y + cc * z)
    return np.stack(solved, axis=-1) / (a * aa + b * ab + c * ac)[..., None]


def _weighed(
    u: Array,
    likelihood: Likelihood,
    shapes: Shapes,
    weights: Array,
    used: NDArray[np.bool_],
    eta: Array,
    curvature: Array,
) -> CurveFit:
    """The fit with the evidence of each shape."""
    theta, _ = likelihood.level(eta)
    mu = theta @ weights.transpose(0, 2, 1)
    prior = np.where(used[:, None, :], likelihood.prior(eta)[0], 0.0).sum(axis=-1)
    lower = np.asarray(np.linalg.cholesky(curvature), dtype=np.float64)
    log_det = 2.0 * np.log(np.diagonal(lower, axis1=-2, axis2=-1)).sum(axis=-1)
    evidence = likelihood.log_density(mu) + prior + 0.5 * shapes.parts[:, None] * np.log(2 * np.pi) - 0.5 * log_det
    return CurveFit(u, likelihood, shapes, eta, lower, evidence)
