"""What the coupled law leaves of a table's losses, and which patterns are in it.

The coupled law contains Hoffmann's and Kaplan's, so a pattern that it cannot take up is in the runs and not in the
form. Tests are of first order: a law's gradient stands for whatever the law could still take up.
Shapes: r runs, p columns that are taken up, k patterns of one kind, b draws or starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from foretoken.errors import RefusedError
from foretoken.fits.estimate import Sample, estimate_unpenalised
from foretoken.fits.rows import Rows, by_budget, refusals
from foretoken.laws import CHINCHILLA, COUPLED
from foretoken.laws.law import Array, Indices

Kind = Literal["rate", "warmup", "break"]
FEWEST, MANY = 14, 5000
"""Runs below which six parameters leave nothing to look at, and above which nothing is looked at run by run."""
BY_CHANCE: dict[Kind, float] = {"rate": 0.006, "warmup": 0.002, "break": 0.002}
"""False alarms of each kind, so that all checks together stay near 2 % of clean tables. A rate that drifts is the
commonest and the hardest to see: between 0.003 and 0.01 it is named in 57 to 69 % of grids of 35 runs with 0.4 % noise
whose losses rise by 1 to 2 % at ten times the tuned size, and in 85 to 89 % of grids of 105 runs."""
BUDGET_BY_CHANCE, BUDGET_LEFT = 0.003, 0.01
"""False alarms of an error that budgets share; and the chance below which it is left beside a pattern."""
AS_GOOD = 6.0
"""Two patterns are told apart where their log likelihoods differ by 3: e^3 = 20 to 1."""
DRAWS = 4000
TUKEY = 4.685
"""Tukey's biweight at 95 % efficiency for normal noise."""
INNER = 4.5
"""Robust deviations within which a run counts in the tests: beyond lies 1 of 150,000 normal runs."""

SHORT = 0.1
LEAST_SEEN = 0.005
"""Share of a loss from which a pattern is counted by runs."""


@dataclass(frozen=True)
class Pattern:
    """The best of the patterns of one kind."""

    chance: float
    """Probability that any of the kind fits noise as well."""
    share: float
    """Of the squared residuals."""
    which: int
    slope: float
    """What ln loss rises by per unit of the pattern, beside all that the law can take up ..."""
    slope_sd: float
    """... and its standard error."""
    column: Array
    """The pattern itself [r]."""
    sure: bool = True
    """False where errors of the budgets would look alike."""


@dataclass(frozen=True)
class Offset:
    """Runs that lie off the others by one factor."""

    off: Indices
    """Numbers of the fewer ones."""
    shift: float
    """Of their ln loss."""
    noise: float
    """Standard deviation inside each of the two."""


@dataclass(frozen=True)
class Surface:
    """A robust coupled law of a table, to first order."""

    rows: Rows
    residual: Array
    """Ln loss less the law [r]."""
    gradient: Array
    """What the law takes up [r, p]."""
    scale: float
    """Robust standard deviation of a run."""

    @cached_property
    def inner(self) -> Indices:
        """Numbers of the runs that are no outliers."""
        return np.flatnonzero(abs(self.residual) <= INNER * self.scale)

    @cached_property
    def inner_or_short(self) -> Indices:
        """The same with those that lie high among the tenth of fewest tokens: a warm-up lifts the shortest far off."""
        short = self.rows.tokens <= np.quantile(self.rows.tokens, SHORT)
        return np.flatnonzero((abs(self.residual) <= INNER * self.scale) | short & (self.residual > 0))

    @cached_property
    def budgets(self) -> Array | None:
        """One column per budget [r, budgets], where there are 4 or more of 3 runs or more on average."""
        found = by_budget(self.rows.group, self.rows.flops)
        if len(found) < 4 or len(self.rows) < 3 * len(found):
            return None
        return np.stack([np.isin(np.arange(len(self.rows)), runs) for runs in found], axis=1).astype(np.float64)

    @cached_property
    def patterns(self) -> dict[Kind, Pattern]:
        """Patterns that are there and not told apart, the likeliest first."""
        found = self._significant(None)
        # What fits the budgets' own errors is a pattern only if it leaves nothing of them, stands out from what it
        # leaves, or is there inside budgets. A break in compute is a difference of budgets: it stays, as a guess.
        if found and self.budgets is not None and self._budget_chance(found) < BUDGET_LEFT:
            apart = {kind: test for kind, test in found.items() if self._stands_out(test) < BY_CHANCE[kind]}
            guess: dict[Kind, Pattern] = {
                kind: replace(test, sure=False) for kind, test in found.items() if kind == "break"
            }
            found = apart or self._significant(self.budgets) or guess
        return found

    def _stands_out(self, pattern: Pattern) -> float:
        """Chance that a pattern takes up so much of what budgets differ by, each budget being one observation."""
        from scipy.special import fdtrc

        assert self.budgets is not None
        use, y = self.inner, self.residual[self.inner]
        parts = [self.gradient, pattern.column[:, None], self.budgets]
        nested = [basis(np.concatenate(parts[: k + 1], axis=1)[use]) for k in range(3)]
        law, both, all_of_it = (float((_less(y, one) ** 2).sum()) for one in nested)
        rest = nested[2].shape[1] - nested[1].shape[1]
        ratio = max(0.0, law - both) / max((both - all_of_it) / max(rest, 1), 1e-300)
        # Times the places that were tried, which is Bonferroni's bound.
        return min(1.0, len(BREAKS) * float(fdtrc(1, rest, ratio))) if rest else 1.0

    @cached_property
    def budget_chance(self) -> float:
        """Probability that budgets differ so much by chance, beside the patterns; 1 where there are no budgets."""
        return self._budget_chance(self.patterns)

    @property
    def free_budgets(self) -> int:
        """In how many ways budgets can differ that neither the law nor one pattern takes up."""
        if self.budgets is None:
            return len(self.inner)
        both = np.concatenate([self.gradient, self.budgets], axis=1)
        return int(basis(both).shape[1] - basis(self.gradient).shape[1] - 1)

    @cached_property
    def taken(self) -> Array:
        """Columns of the law, of its patterns, and of budgets that differ [r, p]."""
        columns = [self.gradient, *(pattern.column[:, None] for pattern in self.patterns.values())]
        if self.budgets is not None and self.budget_chance < BUDGET_LEFT:
            columns.append(self.budgets)
        return np.concatenate(columns, axis=1)

    def groups_chance(self, groups: Array, beside: Array) -> float:
        """F test: chance that groups [r, g] differ as much beside columns [r, p]."""
        from scipy.special import fdtrc

        y = self.residual[self.inner]
        fewer, more = (basis(c[self.inner]) for c in (beside, np.concatenate([beside, groups], axis=1)))
        own, spare = more.shape[1] - fewer.shape[1], len(y) - more.shape[1]
        if own < 1 or spare < 4:
            return 1.0
        without, left = (float((_less(y, q) ** 2).sum()) for q in (fewer, more))
        return float(fdtrc(own, spare, max(0.0, without - left) / own / max(left / spare, 1e-300)))

    def _budget_chance(self, patterns: dict[Kind, Pattern]) -> float:
        if self.budgets is None:
            return 1.0
        beside = [self.gradient, *(pattern.column[:, None] for pattern in patterns.values())]
        return self.groups_chance(self.budgets, np.concatenate(beside, axis=1))

    def _significant(self, beside: Array | None) -> dict[Kind, Pattern]:
        columns = self.gradient if beside is None else np.concatenate([self.gradient, beside], axis=1)
        tests: dict[Kind, Pattern | None] = {kind: self._test(shapes, columns, kind) for kind, shapes in self._shapes()}
        found = {kind: test for kind, test in tests.items() if test and test.chance < BY_CHANCE[kind]}
        best = max((test.share for test in found.values()), default=0.0)
        # Log likelihood of normal residuals: -r / 2 ln(sum of squares).
        return {
            kind: test
            for kind, test in sorted(found.items(), key=lambda item: -item[1].share)
            if len(self.inner) * np.log((1 - test.share) / max(1 - best, 1e-12)) < AS_GOOD
        }

    def _shapes(self) -> Iterator[tuple[Kind, Array]]:
        """The patterns of each kind, of all runs: [r, k]."""
        n, d, c = (np.log(x) for x in (self.rows.params, self.rows.tokens, self.rows.flops))
        # Loss over ln(learning rate) is a parabola at its best, and the best rate a power of N: with one rate the loss
        # rises as the square of ln N from the size that the rate was tuned at.
        yield "rate", np.stack([_beyond(n, q) ** 2 for q in (0.0, 0.25, 0.5)], axis=1)
        # A fixed number of tokens at a low rate is a share of the run that falls as 1 / D; nearby powers for schedules.
        yield "warmup", np.stack([np.exp(-k * (d - d.min())) for k in (0.7, 1.0, 2.0)], axis=1)
        yield "break", np.stack([_beyond(x, q) for x in (n, d, c) for q in BREAKS], axis=1)

    def _test(self, shapes: Array, columns: Array, kind: Kind) -> Pattern | None:
        """The best pattern of a kind, and how often noise alone fits one of them as well."""
        use = self.inner if kind != "warmup" else self.inner_or_short
        taken, y = basis(columns[use]), self.residual[use]
        y, inside = _less(y, taken), shapes[use]
        left = _less(inside, taken)
        size = np.linalg.norm(left, axis=0)
        # A pattern that the law takes up but for a hundredth has no slope worth telling.
        known = size > 0.01 * np.linalg.norm(inside - inside.mean(axis=0), axis=0)
        spare = len(y) - taken.shape[1]
        if not known.any() or spare < 6:
            return None
        unit = left / np.where(known, size, np.inf)
        one_sided = kind != "break"
        cosine = unit.T @ y / max(float(np.linalg.norm(y)), 1e-300)
        which = int((cosine if one_sided else abs(cosine)).argmax())
        chance = _chance(unit[:, known], float(cosine[which]), spare, one_sided)
        slope = float(unit[:, which] @ y / size[which])
        error = float(np.linalg.norm(y) * np.sqrt(max(1 - cosine[which] ** 2, 0) / (spare - 1)) / size[which])
        return Pattern(chance, float(cosine[which] ** 2), which, slope, error, shapes[:, which])


BREAKS = (0.25, 0.4, 0.5, 0.6, 0.75)
"""Quantiles of ln N, ln D and ln C at which a slope may change."""


def surface_of(rows: Rows) -> Surface | None:
    """The surface of a table that a law can be fitted to."""
    if not FEWEST <= len(rows) <= MANY or any(refusals(rows, CHINCHILLA)):
        return None
    try:
        sample = Sample.of(COUPLED, rows.features(COUPLED), rows.y, rows.tokens)
    except RefusedError:
        return None
    theta = estimate_unpenalised(sample).theta
    gradient = COUPLED.value_and_grad(theta[None], sample.x)[1][0]
    residual, scale = _robust(sample.residual(theta), gradient)
    return Surface(rows, residual, gradient, scale)


def _robust(residual: Array, gradient: Array) -> tuple[Array, float]:
    """Residuals [r] after Tukey's biweight in the gradient [r, p], and their robust deviation."""
    scale, free = 0.0, basis(gradient).shape[1]
    for _ in range(30):
        # p parameters can make p residuals vanish, so the median is that of the others.
        scale = 1.4826 * float(np.median(np.sort(abs(residual))[min(free, len(residual) - 2) :]))
        scale = max(scale, 1e-9)
        weight = np.clip(1 - (residual / (TUKEY * scale)) ** 2, 0, None)
        step = np.linalg.lstsq(gradient * weight[:, None], residual * weight, rcond=1e-7)[0]
        residual = residual - gradient @ step
    return residual, scale


def basis(columns: Array) -> Array:
    """Orthonormal columns that span those given [r, p]."""
    unit = columns / (np.linalg.norm(columns, axis=0) + 1e-300)
    left, size, _ = np.linalg.svd(unit, full_matrices=False)
    return np.asarray(left[:, size > 1e-6 * size[0]])


def _less(values: Array, taken: Array) -> Array:
    """Values [r] or [r, k] without what an orthonormal basis [r, p] takes up."""
    return np.asarray(values - taken @ (taken.T @ values))


def _beyond(x: Array, quantile: float) -> Array:
    """How far beyond a quantile, 0 below it."""
    return np.maximum(0.0, x - np.quantile(x, quantile))


def _chance(unit: Array, cosine: float, spare: int, one_sided: bool) -> float:
    """Chance that normal noise lies as near to one of the directions unit [r, k] in a space of `spare` dimensions."""
    # The noise's part in the span of the patterns is normal in that span's own axes; the rest is only a length, chi^2
    # of what is left of the dimensions: so the draws need not be as long as the table.
    span = basis(unit)
    generator = np.random.default_rng(0)
    inside = generator.standard_normal((DRAWS, span.shape[1]))
    length = np.sqrt((inside**2).sum(axis=1) + generator.chisquare(max(1, spare - span.shape[1]), DRAWS))
    near = inside @ (span.T @ unit) / length[:, None]
    most, seen = ((near if one_sided else abs(near)).max(axis=1), cosine if one_sided else abs(cosine))
    return float((1 + (most >= seen).sum()) / (1 + DRAWS))


SPLITS = (0.1, 0.2, 0.33, 0.5, 0.67, 0.8, 0.9)
"""Quantiles of the residuals at which a search for two groups of runs begins."""
LEAST_SHARE, LEAST_RUNS, LEAST_APART = 0.08, 3, 2.0
"""Share and number of runs that are a group, and how many standard deviations of a run it lies off."""
LIKELIER, LIKELIER_BY_COLUMNS = 4.0, 34.0
"""Two groups are told where their log likelihood is above that of one group, normal or with heavy tails, by
4 + 34 p / r: beyond it lie 2 of 1000 tables of 20 to 150 runs of normal noise, 10 with Student's t of 3 degrees."""


def offset(surface: Surface, steps: int = 60) -> Offset | None:
    """Runs that lie off the others by one factor: two normals of one width, by expectation and maximisation."""
    far = abs(surface.residual) > INNER * surface.scale
    # Few far runs are outliers, each for itself; many may be the group that is looked for.
    use = np.flatnonzero(~far) if far.mean() < LEAST_SHARE else np.arange(len(far))
    taken = basis(surface.taken[use])
    y = _less(surface.residual[use], taken)
    runs, spare = len(y), len(y) - taken.shape[1]
    if spare < 8:
        return None
    upper = (y >= np.quantile(y, SPLITS)[:, None]).astype(np.float64)
    for _ in range(steps):
        # Maximisation: the shift is that of least squares beside the columns, for the weights as they are.
        own = upper - (upper @ taken) @ taken.T
        shift = (own @ y) / np.maximum((own * upper).sum(axis=1), 1e-9)
        low = y + (shift[:, None] * (upper @ taken)) @ taken.T
        high = low - shift[:, None]
        variance = np.maximum(((1 - upper) * low**2 + upper * high**2).mean(axis=1), 1e-18)[:, None]
        part = np.clip(upper.mean(axis=1), 1e-3, 1 - 1e-3)[:, None]
        # Expectation: the odds of a run to be of the upper group.
        logs = np.log(1 - part) - low**2 / (2 * variance), np.log(part) - high**2 / (2 * variance)
        upper = 1 / (1 + np.exp(np.clip(logs[0] - logs[1], -50, 50)))
    likelihood = (np.logaddexp(*logs) - 0.5 * np.log(2 * np.pi * variance)).sum(axis=1)
    best = int(likelihood.argmax())
    gain = likelihood[best] - max(_normal(y), *(_student(y, freedom) for freedom in (3.0, 8.0)))
    fewer = upper[best] > 0.5 if upper[best].mean() <= 0.5 else upper[best] <= 0.5
    sign = 1.0 if upper[best].mean() <= 0.5 else -1.0
    noise = float(np.sqrt(variance[best, 0] * runs / spare))
    enough = fewer.sum() >= max(LEAST_RUNS, LEAST_SHARE * runs) and abs(shift[best]) > LEAST_APART * noise
    if gain < LIKELIER + LIKELIER_BY_COLUMNS * taken.shape[1] / runs or not enough:
        return None
    return Offset(use[fewer], sign * float(shift[best]), noise)


def _normal(y: Array) -> float:
    """Log likelihood of one normal at 0."""
    return float(-0.5 * len(y) * (np.log(2 * np.pi * max(float((y**2).mean()), 1e-18)) + 1))


def _student(y: Array, freedom: float) -> float:
    """Log likelihood of one Student's t at 0, at its best width."""
    from scipy.special import gammaln

    square = max(float((y**2).mean()), 1e-18)
    for _ in range(30):
        square = max(float(((freedom + 1) / (freedom + y**2 / square) * y**2).mean()), 1e-18)
    constant = gammaln((freedom + 1) / 2) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi * square)
    return float(len(y) * constant - (freedom + 1) / 2 * np.log1p(y**2 / square / freedom).sum())
