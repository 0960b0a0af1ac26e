"""Prior draws of a law before the next run: from a fit, from a published law taken loosely, or from next to nothing.

Without a fit, laws are drawn by what they say of the ladder's largest run: the irreducible share of its loss, the
exponents there, and how far its best size is from the usual one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from foretoken.arguments import nearest
from foretoken.errors import ForetokenError
from foretoken.fits.misfit import WRONG, trust
from foretoken.fits.result import Fit
from foretoken.laws import LAWS, PUBLISHED, find_law
from foretoken.laws.law import Array, Law

DRAWS = 64
"""Laws that a design is averaged over."""
RATIO, FLOPS_PER_PARAM_TOKEN = 20.0, 6.0
"""Tokens per parameter of the best size, and FLOP, where no fit says them."""
RUN_NOISE, TOKENS_POWER, CELL_NOISE = 0.004, 0.75, 0.001
"""Noise of one run at the most tokens, how its variance falls with tokens, and what more seeds do not average out."""
DISCREPANCY_RATE = 2e-4
"""Discrepancy between truth and law: ln loss per squared e-fold of distance from the target."""
LEAST_DISCREPANCY = 0.3
"""A fit never lowers it below this share: its few held-out budgets could not show so small a rate."""
TERMS = ("E", "A", "B", "alpha", "beta")
"""Parameters of a law that can be drawn from its shape at one run; `gamma` may join them."""


class Shape(NamedTuple):
    """Where laws lie at the largest run: middles, and spreads of the logarithm."""

    floor: tuple[float, float]
    """Ends of the irreducible share of the loss; evenly between them."""
    slopes: tuple[float, float, float]
    """alpha and beta times the reducible share of the loss, and their spread."""
    offset: float
    """Spread of ln (best tokens per parameter)."""
    gamma: tuple[float, float]


ANYTHING = Shape((0.05, 0.85), (0.1, 0.1, 0.35), 0.7, (0.7, 0.4))
"""Any irreducible loss, and twenty tokens per parameter within a factor of two. How fast the loss falls is known better
than why: the exponents times the reducible share are 0.10 to 0.11 by Besiroglu et al. 2024, 0.11 by Krajewski et al.
2024 (dense; a third of those exponents), 0.08 and 0.10 by Kaplan et al. 2020 (no irreducible loss), at 1e20 FLOP."""
LOOSER_FLOOR, LOOSER_SLOPE, LOOSER_OFFSET, LOOSER_GAMMA = 0.3, 0.25, 0.4, (1.0, 0.2)
"""How far another text, tokenizer or recipe may be from a published law."""
FLOORS, EXPONENTS, GAMMAS = (0.03, 0.9), (0.05, 1.2), (0.2, 1.0)
"""Ends to which drawn floors, exponents and gammas are clipped."""


class RunNoise(NamedTuple):
    """How runs scatter about a law, on ln loss."""

    run_sd: float
    """Standard deviation of one run at `tokens` and beyond; shorter runs scatter more."""
    tokens_power: float
    """Its variance falls as tokens^-tokens_power up to there."""
    cell_sd: float
    """Standard deviation that all seeds of one size and length share."""
    tokens: float

    def of(self, tokens: Array) -> Array:
        """Standard deviation of ln loss of single runs of so many tokens."""
        below = np.minimum(np.log(tokens / self.tokens), 0.0)
        return np.asarray(self.run_sd * np.exp(-0.5 * self.tokens_power * below))


@dataclass(frozen=True)
class Prior:
    """Draws of a law, centred at `origin`, and how runs scatter about it."""

    law: Law
    theta: Array
    """Laws that may be true, of ln loss over x - origin [s, p]."""
    origin: Array
    """ln N and ln D of the best run at the ladder's largest compute [2]."""
    noise: RunNoise
    discrepancy_rate: float
    per_token: float
    """FLOP per parameter and token."""
    past_runs: Array
    """ln N and ln D of the runs that there are [k, 2]."""
    assumed: tuple[str, ...]
    linearise_at: Array
    """Where the gradients of each draw are taken [s, p]: there, or half way to the estimate that is expected."""
    trust: float = 0.0
    """How surely the fit to come will take the law to hold, 0 to 1: as surely as the fit that there is."""

    @property
    def past_variance(self) -> Array:
        """Of ln loss of the runs that there are [k]."""
        return np.asarray(self.noise.of(np.exp(self.past_runs[:, 1])) ** 2 + self.noise.cell_sd**2)

    def gradient(self, x: Array) -> Array:
        """Of ln loss in each draw's parameters, at ln N and ln D, x [r, 2]: [s, r, p]."""
        return np.asarray(self.law.value_and_grad(self.linearise_at, x - self.origin)[1])

    def discrepancy(self, target: Array, x: Array) -> Array:
        """What a discrepancy between truth and law adds to ln loss at x [r, 2]: [r, b], one standard deviation each.

        It grows with the square of the distance from the target: level and slope of a discrepancy are absorbed by the
        law's own parameters, so the second order of its Taylor series leads. sqrt(2) on the mixed term makes the sum of
        the three squares (n^2 + d^2)^2, so that no direction in (ln N, ln D) is favoured.
        """
        n, d = (x - target).T
        return np.asarray(self.discrepancy_rate * np.stack([n**2, np.sqrt(2) * n * d, d**2], axis=-1))

    def best_size(self, flops: Array) -> Array:
        """The median of the draws' best sizes at each compute [c]."""
        sizes = [np.log(best_params(self, theta, flops)) for theta in self.law.shift(self.theta, self.origin)]
        return np.asarray(np.exp(np.median(sizes, axis=0)))

    def best_sizes(self, flops: float) -> Array:
        """Best size of each draw where it is linearised [s]."""
        return np.array(
            [float(best_params(self, theta, flops)) for theta in self.law.shift(self.linearise_at, self.origin)]
        )

    def linearised_at(self, theta: Array) -> Prior:
        """The same with gradients taken elsewhere [s, p]."""
        return replace(self, linearise_at=theta)


def best_params(prior: Prior, theta: Array, flops: Array | float) -> Array:
    """Best size of one law, theta [p] for x itself, at each compute."""
    return np.asarray(prior.law.best_split(prior.law.named(theta), flops, prior.per_token)[0])


def make_prior(known: Fit | str | None, formula: str, largest: float, noise: float | None, seed: int) -> Prior:
    """Draws from a fit, from the id of a published law, or from nothing (None), of a law of this `formula`.

    `largest` is the compute of the ladder's largest run, in FLOP. Raises ForetokenError for a law without a closed-form
    best size, or a published law of another form.
    """
    if isinstance(known, Fit):
        return _prior_of_fit(known, largest, noise)
    law = find_law(formula)
    if not can_be_drawn(law):
        expected = " or ".join(name for name, other in LAWS.items() if can_be_drawn(other))
        raise ForetokenError("without a fit no draws of this law can be made", expected=expected, got=law.name)
    size = np.sqrt(largest / FLOPS_PER_PARAM_TOKEN / RATIO)
    origin, shape = np.log([size, RATIO * size]), ANYTHING
    meaning = (
        "nothing is known: any irreducible loss, a fall of 5 % per e-fold of compute (factor 1.3), 20 tokens per"
        " parameter (factor 2)"
    )
    if known is not None:
        origin, shape = _published(known, largest)
        meaning = (
            f"{known} holds loosely: irreducible share within 30 %, slopes a factor 1.28, tokens per parameter 1.5"
        )
    run = RUN_NOISE if noise is None else noise
    theta = _draws(law, shape, seed)
    return Prior(
        law=law,
        theta=theta,
        linearise_at=theta,
        origin=origin,
        noise=RunNoise(run, TOKENS_POWER, CELL_NOISE, tokens=float(np.exp(origin[1]))),
        discrepancy_rate=DISCREPANCY_RATE,
        per_token=FLOPS_PER_PARAM_TOKEN,
        past_runs=np.zeros((0, 2)),
        assumed=(
            meaning,
            f"noise of a run {100 * run:.2g} %, its variance falling like tokens^-{TOKENS_POWER:g};"
            f" {100 * CELL_NOISE:.2g} % that other seeds do not average out",
            f"{FLOPS_PER_PARAM_TOKEN:g} FLOP per parameter and token",
        ),
    )


def can_be_drawn(law: Law) -> bool:
    """Whether `_draws` knows the parameters of a law: two power terms and a floor, coupled by gamma or not.

    >>> can_be_drawn(find_law("coupled")), can_be_drawn(find_law("power"))
    (True, False)
    """
    return has_best_size(law) and law.parameters in (TERMS, (*TERMS, "gamma"))


def has_best_size(law: Law) -> bool:
    """Whether a law of size and tokens has its best size at a budget in closed form."""
    return law.optimum is not None and law.features == ("params", "tokens")


def _prior_of_fit(fit: Fit, largest: float, noise: float | None) -> Prior:
    law = find_law(fit.law)
    if not has_best_size(law):
        expected = ", ".join(name for name, other in LAWS.items() if has_best_size(other))
        raise ForetokenError(
            f"the law {law.name!r} has no closed-form optimum in params and tokens, which `next` needs",
            expected=f"a fit of one of {expected}",
            cure="plan its budget with it (foretoken plan), which searches for the best size",
        )
    # A fit's own assumptions are made at its largest run, be that the table's or the ladder's.
    per_token, largest = fit.flops_per_param_token, max(largest, fit.ranges.flops.high)
    origin = np.log(law.best_split(fit.map_parameters, largest, per_token))
    picked = np.linspace(0, len(fit.map_draws) - 1, min(DRAWS, len(fit.map_draws))).astype(int)
    theta = law.shift(np.log(np.array(fit.map_draws)[picked]), -origin)
    return Prior(
        law=law,
        theta=theta,
        linearise_at=theta,
        origin=origin,
        noise=_noise_of_fit(fit, noise),
        discrepancy_rate=DISCREPANCY_RATE * max(fit.noise.misfit_growth / WRONG, LEAST_DISCREPANCY),
        per_token=per_token,
        past_runs=np.log([[run.params, run.tokens] for run in fit.runs]),
        assumed=(f"new runs scatter like the {len(fit.runs)} of the fit",),
        trust=trust(fit.noise.pattern_p_value),
    )


def _noise_of_fit(fit: Fit, noise: float | None) -> RunNoise:
    """How the fit's runs scatter; `noise` replaces the spread of one run."""
    return RunNoise(
        run_sd=fit.noise.run_sd if noise is None else noise,
        tokens_power=fit.noise.tokens_power,
        cell_sd=max(fit.noise.cluster_sd, CELL_NOISE),
        tokens=fit.noise.most_tokens,
    )


def _published(name: str, largest: float) -> tuple[Array, Shape]:
    """The best run of a published law at this compute, and the law's shape there."""
    known = [key for key, entry in PUBLISHED.items() if LAWS[entry.law].parameters == TERMS]
    if name not in known:
        near = nearest(name, known)
        raise ForetokenError(
            "no published law of loss in size and tokens has this id",
            expected=", ".join(known),
            got=repr(name),
            cure=f"did you mean {near[0]!r}?" if near else None,
        )
    law, parameters = LAWS[PUBLISHED[name].law], PUBLISHED[name].parameters
    assert law.optimum is not None
    params, tokens = law.optimum(parameters, largest, FLOPS_PER_PARAM_TOKEN)
    share = parameters["E"] / float(law.evaluate(parameters, params=params, tokens=tokens))
    floor = (share * (1 - LOOSER_FLOOR), share * (1 + LOOSER_FLOOR))
    slopes = ((1 - share) * parameters["alpha"], (1 - share) * parameters["beta"], LOOSER_SLOPE)
    return np.log([float(params), float(tokens)]), Shape(floor, slopes, LOOSER_OFFSET, LOOSER_GAMMA)


def _draws(law: Law, shape: Shape, seed: int) -> Array:
    """Laws with loss 1 at the origin, whose best run of the largest compute lies off it along the budget [s, p].

    With alpha' = alpha / gamma, beta' alike and the best run at (-o / 2, o / 2) from the origin (o: the offset of ln
    tokens per parameter), the slopes of both terms cancel along the budget there: alpha' size = beta' data. So size =
    beta' exp(-alpha' o / 2) and data = alpha' exp(beta' o / 2) at the origin, up to a factor that makes the reducible
    loss (size + data)^gamma equal to 1 - floor.
    """
    uniform = iter(_evenly(DRAWS, 5, seed).T)
    has_gamma = "gamma" in law.parameters

    def normal() -> Array:
        return np.array([NormalDist().inv_cdf(probability) for probability in next(uniform)])

    def log_normal(middle: Array | float, spread: float, ends: tuple[float, float]) -> Array:
        return np.asarray(np.clip(middle * np.exp(spread * normal()), *ends))

    # The columns of `uniform` are used in this order: another order is another ladder for the same seed.
    low, high = np.clip(shape.floor, *FLOORS)
    floor = low + (high - low) * next(uniform)
    alpha, beta = (log_normal(slope / (1 - floor), shape.slopes[2], EXPONENTS) for slope in shape.slopes[:2])
    offset = shape.offset * normal()
    gamma = log_normal(*shape.gamma, GAMMAS) if has_gamma else np.ones(DRAWS)
    size, data = beta / gamma * np.exp(-alpha / gamma * offset / 2), alpha / gamma * np.exp(beta / gamma * offset / 2)
    scale = (1 - floor) / (size + data) ** gamma
    columns = [floor, scale * size**gamma, scale * data**gamma, alpha, beta]
    return np.asarray(np.log(np.stack([*columns, *([gamma] if has_gamma else [])], axis=1)))


def _evenly(count: int, dimensions: int, seed: int) -> Array:
    """Points that fill the unit cube evenly (additive recurrence, Roberts 2018), randomly moved [count, d]."""
    # The steps are powers of 1 / root, root^(d + 1) = root + 1 (the golden ratio for d = 1); 64 iterations converge.
    root = 2.0
    for _ in range(64):
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = np.arange(1, count + 1)[:, None] * root ** -np.arange(1.0, dimensions + 1)
    return np.asarray(np.clip((np.random.default_rng(seed).random(dimensions) + steps) % 1, 1e-6, 1 - 1e-6))
