"""What is known of a law before the next run: a fit with its draws, a published law taken loosely, or next to nothing.

Where there is no fit, laws are drawn by what they say of the ladder's largest run: the irreducible share of its loss,
the exponents there, and how far its best size is from the usual.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from foretoken.errors import ForetokenError
from foretoken.fits.misfit import GROWTH
from foretoken.fits.result import Fit
from foretoken.laws import PUBLISHED, find_law
from foretoken.laws.law import Array, Law

DRAWS = 24
"""Laws that a design is averaged over."""
RATIO, FLOPS_PER_PARAM_TOKEN = 20.0, 6.0
RUN_NOISE, TOKENS_POWER, CELL_NOISE = 0.004, 0.5, 0.001
"""Noise of one run at the most tokens, how its variance falls with tokens, and what more seeds do not average out."""
MISFIT = 2e-4
"""Bend of the truth away from the law: ln loss per squared e-fold of distance from the target."""
LEAST_MISFIT = 0.3
"""A fit never lowers it below this share."""


class _Shape(NamedTuple):
    """Where laws lie: the middle, and the spread of the logarithm."""

    floor: tuple[float, float]
    exponents: tuple[float, float, float]
    """alpha, beta, their spread."""
    offset: float
    """Spread of ln (best tokens per parameter)."""
    gamma: tuple[float, float]


ANYTHING = _Shape((0.4, 0.8), (0.3, 0.3, 0.5), 0.7, (0.6, 0.4))
"""The laws' own weak assumptions, and twenty tokens per parameter within a factor of two."""
LOOSELY = _Shape((0.0, 0.2), (0.0, 0.0, 0.25), 0.4, (1.0, 0.2))
"""How far another text, tokenizer or recipe may be from a published law."""
FLOORS, EXPONENTS, GAMMAS = (0.03, 0.85), (0.06, 1.2), (0.2, 1.0)


@dataclass(frozen=True)
class Belief:
    """Draws of a law, centred at `origin`, and how runs scatter about it."""

    law: Law
    theta: Array
    """Of ln loss over x - origin [s, p]."""
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
        "nothing is known: exponents near 0.3 (factor 1.65), 20 tokens per parameter (factor 2), any irreducible loss"
    )
    if known is not None:
        origin, shape = _published(known, largest)
        said = (
            f"{known} holds loosely: exponents within a factor 1.28, irreducible share 1.22, tokens per parameter 1.5"
        )
    run = RUN_NOISE if noise is None else noise
    return Belief(
        law=formula,
        theta=_draws(formula, shape, np.random.default_rng(seed)),
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
    exponents = (parameters["alpha"], parameters["beta"], LOOSELY.exponents[2])
    return np.log([float(params), float(tokens)]), LOOSELY._replace(
        floor=(share, LOOSELY.floor[1]), exponents=exponents
    )


def _draws(law: Law, shape: _Shape, generator: np.random.Generator) -> Array:
    """Laws with loss 1 at their best run of the largest compute, which is off the origin along the budget [s, p]."""

    def near(middle: float, spread: float, ends: tuple[float, float]) -> Array:
        return np.clip(middle * np.exp(spread * generator.standard_normal(DRAWS)), *ends)

    alpha, beta = (near(middle, shape.exponents[2], EXPONENTS) for middle in shape.exponents[:2])
    floor = near(*shape.floor, FLOORS)
    gamma = near(*shape.gamma, GAMMAS) if law.name == "coupled" else np.ones(DRAWS)
    offset = shape.offset * generator.standard_normal(DRAWS)
    size, data = beta / gamma * np.exp(-alpha / gamma * offset / 2), alpha / gamma * np.exp(beta / gamma * offset / 2)
    scale = (1 - floor) / (size + data) ** gamma
    columns = [floor, scale * size**gamma, scale * data**gamma, alpha, beta]
    return np.log(np.stack([*columns, *([gamma] if law.name == "coupled" else [])], axis=1))
