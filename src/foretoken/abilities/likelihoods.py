"""How a score scatters about its mean: as proportions do, or with one spread where it has no bounds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, gammaln

from foretoken.laws.law import Array, Indices

CORRELATIONS = np.r_[0.0, np.geomspace(3e-4, 0.1, 6)]
"""Of the items of a run: runs differ by more than the items' luck, whatever their number. Of a score of one half, 3e-4
is a standard deviation between runs of 0.035 in log odds, and 0.1 one of 0.6."""
UNKNOWN = np.geomspace(6.0, 1e6, 19)
"""Numbers of items that are tried where none is given."""
SPREADS = np.geomspace(0.003, 0.6, 13)
"""Standard deviations of a score without bounds, in units of its range."""
TINY = 1e-9


@dataclass(frozen=True)
class Proportions:
    """Scores between 0 and 1: binomial, with fewer items than there are, which is overdispersion.

    With m effective items the density of y is that of m y successes out of m. m = n / (1 + (n - 1) rho) is the
    effective number of items whose correlation within a run is rho (beta-binomial: Williams 1982).
    """

    y: Array
    m: Array
    """Effective items [noise, n]."""
    log_prior: Array
    typical: Array
    """Effective items of a new measurement [noise]."""

    @classmethod
    def of(cls, y: Array, n: Array | None) -> Proportions:
        """Scores y [n] of n items [n], or of an unknown number."""
        if n is None:
            m = UNKNOWN[:, None] * np.ones(len(y))
            prior = np.full(len(UNKNOWN), -np.log(len(UNKNOWN)))
        else:
            m = n / (1.0 + (np.maximum(n, 1.0) - 1.0) * CORRELATIONS[:, None])
            prior = np.full(len(CORRELATIONS), -np.log(len(CORRELATIONS)))
        return cls(y, m, prior, np.median(m, axis=1))

    def with_noise(self, which: slice) -> Proportions:
        """The same at some levels of noise."""
        return Proportions(self.y, self.m[which], self.log_prior[which], self.typical[which])

    def level(self, eta: Array) -> tuple[Array, Array]:
        """The logistic function."""
        theta = expit(eta)
        return theta, theta * (1.0 - theta)

    def prior(self, eta: Array) -> tuple[Array, Array, Array]:
        """Every level between 0 and 1 is as likely as another."""
        theta = expit(eta)
        # Of theta uniform between 0 and 1, eta has the density theta (1 - theta): its log, slope, less the curvature.
        spread = theta * (1.0 - theta)
        return np.log(spread + TINY), 1.0 - 2.0 * theta, 2.0 * spread

    def start(self, level: float) -> float:
        """The log odds."""
        level = min(max(level, 0.002), 0.998)
        return float(np.log(level / (1.0 - level)))

    def log_density(self, mu: Array) -> Array:
        """Of a proportion."""
        # m y is no whole number where m is no number of items; the gamma functions go on between them. The factor m
        # makes a density of y of the probability of m y hits, so that levels of noise can be compared.
        hits = self.m * self.y
        constant = np.log(self.m) + gammaln(self.m + 1) - gammaln(hits + 1) - gammaln(self.m - hits + 1)
        mu = np.clip(mu, TINY, 1.0 - TINY)
        return np.asarray((constant + hits * np.log(mu) + (self.m - hits) * np.log1p(-mu)).sum(axis=-1))

    def precision(self, mu: Array) -> Array:
        """M / mu (1 - mu)."""
        mu = np.clip(mu, TINY, 1.0 - TINY)
        return np.asarray(self.m / (mu * (1.0 - mu)))

    def draw(self, mu: Array, noise: Indices, generator: np.random.Generator) -> Array:
        """Beta with the mean and the variance of m effective items."""
        # A beta with m - 1 = a + b has the variance mu (1 - mu) / m of m items, and stays within the bounds.
        m = np.maximum(self.typical[noise][:, None], 1.5)
        mu = np.clip(mu, 1e-6, 1.0 - 1e-6)
        return np.asarray(generator.beta(mu * (m - 1.0), (1.0 - mu) * (m - 1.0)))

    def repeated(self, mu: Array, noise: Indices, generator: np.random.Generator) -> Array:
        """Each score measured again where its mean is `mu` [s, n]: the hits among its effective items."""
        m = np.maximum(np.rint(self.m[noise]), 1.0)
        return np.asarray(generator.binomial(m.astype(np.int64), np.clip(mu, 0.0, 1.0)) / m)


@dataclass(frozen=True)
class Unbounded:
    """Scores without bounds, in units of their range: normal, with one spread."""

    y: Array
    spread: Array
    """[noise]"""
    log_prior: Array

    @classmethod
    def of(cls, y: Array) -> Unbounded:
        """Scores y [n], about 0 to 1."""
        return cls(y, SPREADS, np.full(len(SPREADS), -np.log(len(SPREADS))))

    def with_noise(self, which: slice) -> Unbounded:
        """The same at some levels of noise."""
        return Unbounded(self.y, self.spread[which], self.log_prior[which])

    def level(self, eta: Array) -> tuple[Array, Array]:
        """As it is."""
        return eta, np.ones_like(eta)

    def prior(self, eta: Array) -> tuple[Array, Array, Array]:
        """Normal about the middle, twice as wide as the scores."""
        z = (eta - 0.5) / 2.0
        return -0.5 * z**2 - np.log(2.0 * np.sqrt(2 * np.pi)), -z / 2.0, np.full_like(eta, 0.25)

    def start(self, level: float) -> float:
        """As it is."""
        return level

    def log_density(self, mu: Array) -> Array:
        """Normal."""
        z = (self.y - mu) / self.spread[:, None]
        return np.asarray((-0.5 * z**2 - np.log(self.spread[:, None] * np.sqrt(2 * np.pi))).sum(axis=-1))

    def precision(self, mu: Array) -> Array:
        """The same everywhere."""
        return np.broadcast_to(self.spread[:, None] ** -2.0, mu.shape)

    def draw(self, mu: Array, noise: Indices, generator: np.random.Generator) -> Array:
        """Normal."""
        return np.asarray(mu + self.spread[noise][:, None] * generator.standard_normal(mu.shape))


Likelihood = Proportions | Unbounded
"""Both give the density of scores y [n] about means mu [..., noise, n], at each level of noise that is tried."""
