"""What is known of a law before the next run: a fit with its draws, a published law taken loosely, or next to nothing.

Where there is no fit, laws are drawn by what they say of the ladder's largest run: the irreducible share of its loss,
the exponents there, and how far its best size is from the usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.fits.misfit import GROWTH
from foretoken.fits.result import Fit
from foretoken.laws import PUBLISHED, find_law
from foretoken.laws.law import Array, Law

DRAWS = 64
"""Laws that a design is averaged over."""
RATIO, FLOPS_PER_PARAM_TOKEN = 20.0, 6.0
RUN_NOISE, TOKENS_POWER, CELL_NOISE = 0.004, 0.75, 0.001
"""Noise of one run at the most tokens, how its variance falls with tokens, and what more seeds do not average out."""
MISFIT = 2e-4
"""Bend of the truth away from the law: ln loss per squared e-fold of distance from the target."""
LEAST_MISFIT = 0.3
"""A fit never lowers it below this share."""


class _Shape(NamedTuple):
    """Where laws lie: the middle, and the spread of the logarithm."""

    floor: tuple[float, float]
    """Ends of the irreducible share of the loss; evenly between them."""
    slopes: tuple[float, float, float]
    """alpha and beta times the reducible share of the loss, and their spread."""
    offset: float
    """Spread of ln (best tokens per parameter)."""
    gamma: tuple[float, float]


ANYTHING = _Shape((0.05, 0.85), (0.1, 0.1, 0.35), 0.7, (0.7, 0.4))
"""Any irreducible loss, and twenty tokens per parameter within a factor of two. How fast the loss falls is known better
than why: the exponents times the reducible share are 0.10 to 0.11 by Besiroglu et al. 2024, 0.11 by Krajewski et al.
2024 (dense; a third of those exponents), 0.08 and 0.10 by Kaplan et al. 2020 (no irreducible loss), at 1e20 FLOP."""
LOOSER_FLOOR, LOOSER_SLOPE, LOOSER_OFFSET, LOOSER_GAMMA = 0.3, 0.25, 0.4, (1.0, 0.2)
"""How far another text, tokenizer or recipe may be from a published law."""
FLOORS, EXPONENTS, GAMMAS = (0.03, 0.9), (0.05, 1.2), (0.2, 1.0)


@dataclass(frozen=True)
class Belief:
    """Draws of a law, centred at `origin`, and how runs scatter about it."""

    law: Law
    theta: Array
    """Laws that may be true, of ln loss over x - origin [s, p]."""
    origin: Array
    """ln N and ln D of the best run at the ladder's largest compute [2]."""
    noise: tuple[float, float, float]
    """Standard deviation of one run at `most` tokens, power of the tokens, standard deviation of a cell."""
    most: float
    misfit: float
    per_token: float
    """FLOP per parameter and token."""
    known: Array
    """ln N and ln D of the runs that there are [k, 2]."""
    assumed: tuple[str, ...]
    near: Array
    """Where the gradients of each are taken [s, p]: there, or between it and where its fit would land."""

    @property
    def known_variance(self) -> Array:
        """Of ln loss of the runs that there are [k]."""
        return np.asarray(self.run_noise(np.exp(self.known[:, 1])) ** 2 + self.noise[2] ** 2)

    def gradient(self, x: Array) -> Array:
        """Of ln loss in each law's parameters, at ln N and ln D, x [r, 2]: [s, r, p]."""
        return np.asarray(self.law.log_loss(self.near, x - self.origin)[1])

    def run_noise(self, tokens: Array) -> Array:
        """Standard deviation of ln loss of single runs of so many tokens."""
        run, power, _ = self.noise
        return np.asarray(run * np.exp(-0.5 * power * np.minimum(np.log(tokens / self.most), 0.0)))

    def best_size(self, flops: Array) -> Array:
        """The middle of the draws' best sizes at each compute [c]."""
        assert self.law.optimum is not None
        drawn = [self.law.named(theta) for theta in self.law.shift(self.theta, self.origin)]
        sizes = [np.log(self.law.optimum(named, flops, self.per_token)[0]) for named in drawn]
        return np.asarray(np.exp(np.median(sizes, axis=0)))


def believe(known: Fit | str | None, law: str, largest: float, noise: float | None, seed: int) -> Belief:
    """What the user has, as draws. `largest` is the compute of the ladder's largest run, in FLOP.

    Raises ForetokenError for a law without a best size, or a published law of another form.
    """
    if isinstance(known, Fit):
        return _from_fit(known, largest, noise)
    formula = find_law(law)
    if formula.name not in ("chinchilla", "coupled"):
        raise ForetokenError("without a fit the law must be known here", expected="chinchilla or coupled", got=law)
    size = np.sqrt(largest / FLOPS_PER_PARAM_TOKEN / RATIO)
    origin, shape = np.log([size, RATIO * size]), ANYTHING
    said = (
        "nothing is known: any irreducible loss, a fall of 5 % per e-fold of compute (factor 1.3), 20 tokens per"
        " parameter (factor 2)"
    )
    if known is not None:
        origin, shape = _published(known, largest)
        said = f"{known} holds loosely: irreducible share within 30 %, slopes a factor 1.28, tokens per parameter 1.5"
    run = RUN_NOISE if noise is None else noise
    theta = _draws(formula, shape, seed)
    return Belief(
        law=formula,
        theta=theta,
        near=theta,
        origin=origin,
        noise=(run, TOKENS_POWER, CELL_NOISE),
        most=float(np.exp(origin[1])),
        misfit=MISFIT,
        per_token=FLOPS_PER_PARAM_TOKEN,
        known=np.zeros((0, 2)),
        assumed=(
            said,
            f"noise of a run {100 * run:.2g} %, its variance falling like tokens^-{TOKENS_POWER:g};"
            f" {100 * CELL_NOISE:.2g} % that other seeds do not average out",
            f"{FLOPS_PER_PARAM_TOKEN:g} FLOP per parameter and token",
        ),
    )


def _from_fit(fit: Fit, largest: float, noise: float | None) -> Belief:
    law = find_law(fit.law)
    if law.optimum is None or law.features != ("params", "tokens"):
        raise ForetokenError(
            f"the law {law.name!r} has no best size at a budget", expected="a fit of chinchilla or coupled"
        )
    per_token = fit.flops_per_param_token
    size = float(law.optimum(fit.forecast_parameters, largest, per_token)[0])
    origin = np.log([size, largest / per_token / size])
    picked = np.linspace(0, len(fit.draws) - 1, min(DRAWS, len(fit.draws))).astype(int)
    theta = law.shift(np.log(np.array(fit.draws)[picked]), -origin)
    run = fit.noise["run"] if noise is None else noise
    return Belief(
        law=law,
        theta=theta,
        near=theta,
        origin=origin,
        noise=(run, fit.noise.get("tokens_power", 0.0), max(fit.noise.get("shared", 0.0), CELL_NOISE)),
        most=fit.noise.get("tokens", fit.ranges["tokens"][1]),
        misfit=MISFIT * max(fit.noise["growth"] / GROWTH, LEAST_MISFIT),
        per_token=per_token,
        known=np.log([[one.params, one.tokens] for one in fit.residuals]),
        assumed=(f"new runs scatter like the {len(fit.residuals)} of the fit",),
    )


def _published(name: str, largest: float) -> tuple[Array, _Shape]:
    """The best run of a published law at this compute, and the law's shape there."""
    fitting = [key for key, entry in PUBLISHED.items() if entry.law == "chinchilla"]
    if name not in fitting:
        raise ForetokenError("unknown published law of loss", expected=", ".join(fitting), got=repr(name))
    law, parameters = find_law("chinchilla"), PUBLISHED[name].parameters
    assert law.optimum is not None
    params, tokens = law.optimum(parameters, largest, FLOPS_PER_PARAM_TOKEN)
    share = parameters["E"] / float(law.predict(parameters, params, tokens))
    floor = (share * (1 - LOOSER_FLOOR), share * (1 + LOOSER_FLOOR))
    slopes = ((1 - share) * parameters["alpha"], (1 - share) * parameters["beta"], LOOSER_SLOPE)
    return np.log([float(params), float(tokens)]), _Shape(floor, slopes, LOOSER_OFFSET, LOOSER_GAMMA)


def _draws(law: Law, shape: _Shape, seed: int) -> Array:
    """Laws with loss 1 at their best run of the largest compute, which is off the origin along the budget [s, p]."""
    even = iter(_evenly(DRAWS, 5, seed).T)

    def normal() -> Array:
        return np.array([NormalDist().inv_cdf(one) for one in next(even)])

    def near(middle: Array | float, spread: float, ends: tuple[float, float]) -> Array:
        return np.asarray(np.clip(middle * np.exp(spread * normal()), *ends))

    low, high = np.clip(shape.floor, *FLOORS)
    floor = low + (high - low) * next(even)
    alpha, beta = (near(slope / (1 - floor), shape.slopes[2], EXPONENTS) for slope in shape.slopes[:2])
    offset = shape.offset * normal()
    gamma = near(*shape.gamma, GAMMAS) if law.name == "coupled" else np.ones(DRAWS)
    size, data = beta / gamma * np.exp(-alpha / gamma * offset / 2), alpha / gamma * np.exp(beta / gamma * offset / 2)
    scale = (1 - floor) / (size + data) ** gamma
    columns = [floor, scale * size**gamma, scale * data**gamma, alpha, beta]
    return np.asarray(np.log(np.stack([*columns, *([gamma] if law.name == "coupled" else [])], axis=1)))


def _evenly(count: int, dimensions: int, seed: int) -> Array:
    """Points that fill the unit cube evenly (additive recurrence, Roberts 2018), randomly moved [count, d]."""
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = np.arange(1, count + 1)[:, None] * root ** -np.arange(1.0, dimensions + 1)
    return np.asarray(np.clip((np.random.default_rng(seed).random(dimensions) + steps) % 1, 1e-6, 1 - 1e-6))
