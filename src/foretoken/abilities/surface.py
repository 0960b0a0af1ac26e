"""The surface of the long tail: log odds of a right answer, linear in log10 of mentions and in log10 of parameters.

m model, f question (or bin), r row, b draw.

    p = chance + (ceiling - chance) / (1 + exp(-(a_m + b_count x_r))),  a_m = a + b_params z_m + e_m

x is log10 of the count and z log10 of the parameters, both less their means; e_m is what a model differs from its
neighbours by, whatever the number of questions, with a spread that the models themselves tell. The first line is
fitted by maximum likelihood; what answers of one question share, being easy or hard for all models, widens its errors
(sandwich by question: Liang and Zeger 1986). The second is a regression over models, whose spread is weighed by its
likelihood. Lower ceilings are tried and weighed in the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, logsumexp

from foretoken.abilities.answers import CountedAnswers
from foretoken.laws.law import Array

CEILINGS = (1.0, 0.97, 0.94, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
"""Of accuracy, that are tried where none is given."""
PRIOR_SD = 5.0
"""Log odds, and log odds per decade: so far they may go where the answers do not say."""
SPREADS = np.r_[0.0, np.geomspace(0.01, 2.0, 24)]
"""Standard deviations of a model about the line of models, in log odds."""
SPREAD_SCALE = 0.2
"""What such a spread is about before the models are seen (half normal): two seeds differ by 0.05 to 0.2."""
SHARED = 0.5
"""Correlation of models' errors on the same questions, where a table does not tell questions apart."""
STEPS, CLOSE = 60, 1e-8
TINY = 1e-12


@dataclass(frozen=True)
class Fitted:
    """The first line at one ceiling: parameters are those of each model, then the slopes."""

    ceiling: float
    theta: Array
    """A of each model, then one b_count, or one for each model."""
    covariance: Array
    log_likelihood: float
    inflation: float
    """How much wider than by independent answers the slope is."""


@dataclass(frozen=True)
class Surface:
    """Draws of the surface [b]."""

    count_slope: Array
    params_slope: Array | None
    """None for models of one size."""
    intercepts: Array
    """a_m [b, m]."""
    ceiling: Array
    centre: float
    """Mean of log10 count."""

    def accuracy(self, model: int, count: Array, chance: float) -> Array:
        """Of a model at some counts [c], for each draw [b, c]."""
        eta = self.intercepts[:, [model]] + self.count_slope[:, None] * (np.log10(count) - self.centre)
        return np.asarray(chance + (self.ceiling[:, None] - chance) * expit(eta))


@dataclass(frozen=True)
class Likelihood:
    """The first line's likelihood at one ceiling; `separate` gives each model a slope of its own."""

    answers: CountedAnswers
    ceiling: float
    separate: bool = False

    @cached_property
    def x(self) -> Array:
        """Log10 count less its mean [r]."""
        log = np.log10(self.answers.count)
        return np.asarray(log - centre_of(self.answers))

    @property
    def models(self) -> int:
        """Number of models."""
        return len(self.answers.models)

    @property
    def slope(self) -> np.ndarray:
        """The place of each row's slope among the parameters [r]."""
        return self.models + (self.answers.model if self.separate else np.zeros_like(self.answers.model))

    @property
    def size(self) -> int:
        """Number of parameters."""
        return self.models + (self.models if self.separate else 1)

    def parts(self, theta: Array) -> tuple[float, Array, Array]:
        """The log posterior, the score of each row's log odds, and what it weighs [r]."""
        rows = self.answers
        level = expit(theta[rows.model] + theta[self.slope] * self.x)
        room = self.ceiling - rows.chance
        p = np.clip(rows.chance + room * level, TINY, 1.0 - TINY)
        slope = room * level * (1.0 - level)
        log = rows.n * (rows.share * np.log(p) + (1.0 - rows.share) * np.log1p(-p))
        variance = p * (1.0 - p)
        score = rows.n * (rows.share - p) * slope / variance
        return float(log.sum() - 0.5 * (theta**2).sum() / PRIOR_SD**2), score, rows.n * slope**2 / variance

    def gradient(self, score: Array, theta: Array) -> Array:
        """Of the log posterior."""
        place, slope = self.answers.model, self.slope
        summed = np.bincount(place, score, self.size) + np.bincount(slope, score * self.x, self.size)
        return np.asarray(summed - theta / PRIOR_SD**2)

    def information(self, weight: Array) -> Array:
        """Fisher's, of the likelihood alone."""
        place, slope, size = self.answers.model, self.slope, self.size
        diagonal = np.bincount(place, weight, size) + np.bincount(slope, weight * self.x**2, size)
        found = np.diag(diagonal)
        both = np.bincount(place * size + slope, weight * self.x, size * size).reshape(size, size)
        return np.asarray(found + both + both.T)

    def fitted(self) -> Fitted:
        """The best parameters, by Fisher's scoring, with the covariance that shared questions give."""
        theta = np.zeros(self.size)
        value, score, weight = self.parts(theta)
        for _ in range(STEPS):
            # Fisher's information, unlike the second derivative, is never negative where chance bends the curve.
            curvature = self.information(weight) + np.eye(self.size) / PRIOR_SD**2
            step = np.linalg.solve(curvature, self.gradient(score, theta))
            for _ in range(30):
                new, score, weight = self.parts(theta + step)
                if new >= value:
                    break
                step = step / 2.0
            theta, gained, value = theta + step, new - value, new
            if abs(gained) < CLOSE * (1.0 + abs(value)) and np.abs(step).max() < 1e-5:
                break
        information, prior = self.information(weight), np.eye(self.size) / PRIOR_SD**2
        # Without its prior beside it, a model at chance, whose answers say nothing, would look sure of itself.
        inverse = np.linalg.inv(information + prior)
        spread = self.spread_by_question(score) if self.answers.by_question else self.spread_by_bin(score, weight)
        covariance = inverse @ (spread + prior) @ inverse
        covariance = (covariance + covariance.T) / 2.0  # of a product of floats the sides differ
        inflation = float(covariance[-1, -1] / max(inverse[-1, -1], TINY))
        return Fitted(self.ceiling, theta, covariance, value, max(1.0, inflation))

    def spread_by_question(self, score: Array) -> Array:
        """Covariance of the gradient: what all answers to one question add to it varies from question to question."""
        questions = int(self.answers.question.max()) + 1
        summed = np.zeros((questions, self.size))
        np.add.at(summed, (self.answers.question, self.answers.model), score)
        np.add.at(summed, (self.answers.question, self.slope), score * self.x)
        return np.asarray(summed.T @ summed * questions / max(questions - 1, 1))

    def spread_by_bin(self, score: Array, weight: Array) -> Array:
        """The same where rows are bins, of which there are few: what the models' errors share is taken to be SHARED."""
        bins = int(self.answers.question.max()) + 1
        # Errors that wholly go together add up as they are, others in their squares.
        root = np.sqrt(weight)
        summed = np.zeros((bins, self.size))
        np.add.at(summed, (self.answers.question, self.answers.model), root)
        np.add.at(summed, (self.answers.question, self.slope), root * self.x)
        freedom = max(len(score) - self.size, 1)
        misfit = float((score**2 / np.maximum(weight, TINY)).sum()) / freedom
        both = SHARED * summed.T @ summed + (1.0 - SHARED) * self.information(weight)
        return np.asarray(max(1.0, misfit) * both)


def centre_of(answers: CountedAnswers) -> float:
    """Mean of log10 count over questions."""
    return float(np.average(np.log10(answers.count), weights=answers.n))


def fit_surface(answers: CountedAnswers, ceiling: float | None, draws: int, random: np.random.Generator) -> Surface:
    """Draws of the surface of answers whose counts are all above 0."""
    # A ceiling at chance would leave nothing that could be learned.
    highest = float(answers.chance.max())
    tried = (ceiling,) if ceiling is not None else (CEILINGS[0], *(one for one in CEILINGS[1:] if one > highest + 0.05))
    fits = [Likelihood(answers, one).fitted() for one in tried]
    # Answers that go together tell ceilings apart less well than as many that do not.
    log = np.array([one.log_likelihood for one in fits]) / max(one.inflation for one in fits)
    weight = np.exp(log - logsumexp(log))
    which = np.sort(random.choice(len(fits), size=draws, p=weight))
    drawn = np.concatenate(
        [random.multivariate_normal(one.theta, one.covariance, int((which == k).sum())) for k, one in enumerate(fits)]
    )
    models = len(answers.models)
    intercepts, slope = drawn[:, :models], drawn[:, models]
    z = answers.log_params
    best = fits[int(weight.argmax())]
    along = None
    if np.ptp(z) > 0:
        along = params_slopes(best.theta[:models], best.covariance[:models, :models], z - z.mean(), intercepts, random)
    return Surface(slope, along, intercepts, np.array([fits[k].ceiling for k in which]), centre_of(answers))


def params_slopes(level: Array, covariance: Array, z: Array, drawn: Array, random: np.random.Generator) -> Array:
    """Draws [b] of the slope of the models' levels a_m [m] along z, for draws of them [b, m].

    The spread of the models about the line is drawn as often as its restricted likelihood says.
    """
    design = np.stack([np.ones_like(z), z], axis=1)
    log, lines = [], []
    for spread in SPREADS:
        inverse = np.linalg.inv(covariance + spread**2 * np.eye(len(z)))
        normal = design.T @ inverse @ design
        line = np.linalg.solve(normal, design.T @ inverse)
        left = level - design @ (line @ level)
        determinants = -np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(normal)[1]
        log.append(-0.5 * (determinants + left @ inverse @ left) - 0.5 * (spread / SPREAD_SCALE) ** 2)
        lines.append(line[1])
    # The grid is not even: a spread stands for the width between its neighbours.
    log = np.array(log) + np.log(np.gradient(SPREADS))
    which = random.choice(len(SPREADS), size=len(drawn), p=np.exp(log - logsumexp(log)))
    # The line of drawn levels with drawn deviations: its slope carries the doubt of both.
    own = SPREADS[which][:, None] * random.standard_normal(drawn.shape)
    return np.asarray(((drawn + own) * np.array(lines)[which]).sum(axis=1))
