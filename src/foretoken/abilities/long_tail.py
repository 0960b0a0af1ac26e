"""tail: answers by mentions and size in, the price of a decade of rarity out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.special import ndtri

from foretoken.abilities.answers import AnswerReading, CountedAnswer, CountedAnswers, read_answers
from foretoken.abilities.surface import Likelihood, Surface, fit_surface
from foretoken.abilities.tail_result import (
    FARTHEST,
    CountBin,
    CurvePoint,
    FrequencyGap,
    ModelTail,
    Price,
    Slope,
    Tail,
    TaskTail,
)
from foretoken.arguments import check_level, takes
from foretoken.errors import ForetokenError, RefusedError
from foretoken.fits.check import Check, listed, plural, worst_first
from foretoken.laws.law import Array
from foretoken.runs.reading import AnyTable
from foretoken.shares import wilson
from foretoken.units import format_times

DRAWS = 4000
HOPELESS = 1000.0
"""Times larger that a model would have to be: beyond it scale is said not to pay."""
FEW_SIZES, FEW_DECADES, FEW_IN_BIN = 4, 1.0, 20
CURVE_POINTS = 25
SURE = 3.0
"""Standard deviations from which on a drop, a misfit or a difference is doubted: of dozens that are looked at, none by
chance."""
TENTH = 0.1


@dataclass(frozen=True)
class TailRequest:
    """What is asked of a table of answers.

    Args:
        table: answers with counts: a file, a frame, or a list of CountedAnswer.
        level: probability that an interval holds, above 0 and below 1.
        chance: what guessing gives, where the table does not say.
        ceiling: the best accuracy there can be; several are tried and weighed unless given.
        unit: `fraction` or `percent`; unless given, told by the numbers.
        rename: columns by other names, as for `read_table`.
        where: which rows to read, as for `read_table`.
        seed: of the drawn surfaces.

    """

    table: AnyTable | Iterable[CountedAnswer]
    level: float = 0.9
    chance: float | None = None
    ceiling: float | None = None
    unit: str = ""
    rename: Mapping[str, str] | None = None
    where: str = ""
    seed: int = 0


@takes(TailRequest)
def tail(request: TailRequest) -> Tail:
    """Accuracy by how often facts stand in the training text and by size, and what ten times fewer mentions cost.

    Raises TableError for a table that cannot be read so, RefusedError where all counts are the same.

    >>> random, answers = np.random.default_rng(0), []
    >>> for params in (1e7, 1e8, 1e9, 1e10):
    ...     for fact, mentions in enumerate(np.geomspace(1, 1e4, 400).round()):
    ...         odds = np.log10(mentions) - 2 + 0.5 * (np.log10(params) - 8.5)
    ...         right = float(random.random() < 1 / (1 + np.exp(-odds)))
    ...         answers.append(CountedAnswer(question=str(fact), count=mentions, correct=right, params=params))
    >>> price = tail(answers).tasks[0].price
    >>> price.verdict, price.low < 100 < price.high
    ('pays', True)
    """
    check_level(request.level)
    if request.ceiling is not None and not 0 < request.ceiling <= 1:
        raise ForetokenError("--ceiling: not a share", expected="above 0, at most 1", got=repr(request.ceiling))
    read = read_answers(request.table, request.rename, request.where, AnswerReading(request.unit, request.chance))
    found, checks, assumed = [], list[Check](), list(read.assumed)
    for number, answers in enumerate(read.tasks):
        one = _Task(answers, request, np.random.default_rng([request.seed, number]))
        found.append(one.result())
        checks += one.checks(found[-1])
        never = answers.n[answers.count <= 0].sum()
        if never:
            assumed.append(f"{plural(int(never), 'answer')} on what is never mentioned: in the bins, not in the fit")
    return Tail(
        tasks=found, level=request.level, checks=worst_first(checks), assumed=list(dict.fromkeys(assumed)),
        source=read.source,
    )  # fmt: skip


def tail_of(answers: CountedAnswers, *, level: float = 0.9, ceiling: float | None = None, seed: int = 0) -> TaskTail:
    """The same for the answers to one task, as they were scored; raises RefusedError as `tail`."""
    request = TailRequest((), level=level, ceiling=ceiling, seed=seed)
    return _Task(answers, request, np.random.default_rng(seed)).result()


class _Task:
    """One task: its surface, and what each model shows."""

    def __init__(self, answers: CountedAnswers, request: TailRequest, random: np.random.Generator) -> None:
        self.all, self.level, self.tail = answers, request.level, (1.0 - request.level) / 2.0
        self.z = float(ndtri(1.0 - self.tail))
        self.answers = answers.mentioned()
        if len(np.unique(self.answers.count)) < 2:
            raise RefusedError(
                "one_count",
                f"{answers.task or 'the table'}: all questions have one count, or are never mentioned",
                "give questions on facts that stand more and less often in the training text, or leave the task out",
            )
        highest = request.ceiling if request.ceiling is not None else 1.0
        if self.answers.chance.max() >= highest:
            raise ForetokenError("--ceiling: below chance", got=f"{highest:g}", cure="correct one of the two")
        self.surface: Surface = fit_surface(self.answers, request.ceiling, DRAWS, random)
        self.separate = Likelihood(self.answers, float(np.median(self.surface.ceiling)), separate=True).fitted()

    def result(self) -> TaskTail:
        along, count = self.surface.params_slope, self._slope(self.surface.count_slope)
        reason = (
            "all models have one size" if along is None else "rarer facts are answered better" if count.high < 0 else ""
        )
        return TaskTail(
            task=self.all.task,
            count_slope=count,
            params_slope=None if along is None else self._slope(along),
            price=None if along is None or reason else self._price(self.surface.count_slope, along),
            price_reason=reason,
            ceiling=float(self.surface.ceiling.mean()),
            models=[self._model(place) for place in range(len(self.all.models))],
        )

    def _slope(self, drawn: Array) -> Slope:
        low, middle, high = np.quantile(drawn, [self.tail, 0.5, 1.0 - self.tail])
        return Slope(float(middle), float(low), float(high))

    def _price(self, count: Array, params: Array) -> Price:
        """All factors that the draws do not rule out (Fieller 1954): where size may do nothing, there is no largest."""
        # A slope of size that is 0 or below makes up for nothing, however large the model.
        decades = np.where(params > 0, count / np.maximum(params, 1e-300), np.inf)
        low, middle, high = np.quantile(decades, [self.tail, 0.5, 1.0 - self.tail], method="inverted_cdf")
        most = math.log10(FARTHEST)
        factors = [10.0 ** float(np.clip(one, -most, most)) for one in (low, middle, high)]
        if np.isfinite(high):
            return Price("pays", factors[1], factors[0], factors[2])
        return Price("does_not_pay" if factors[0] >= HOPELESS else "cannot_say", None, factors[0], None)

    def _model(self, place: int) -> ModelTail:
        rows, model = self.all.model == place, self.all.models[place]
        models = len(self.all.models)
        slope = self.separate.theta[models + place]
        error = math.sqrt(self.separate.covariance[models + place, models + place])
        n, right = self.all.n[rows], (self.all.n * self.all.share)[rows]
        return ModelTail(
            model=model.name,
            params=model.params,
            accuracy=float(right.sum() / n.sum()),
            n=float(n.sum()),
            slope=Slope(float(slope), float(slope - self.z * error), float(slope + self.z * error)),
            bins=list(self._bins(self.all.count[rows], n, right)),
            gap=self._gap(self.all.count[rows], n, right),
            curve=self._curve(place),
        )

    def _bins(self, count: Array, n: Array, right: Array) -> Iterator[CountBin]:
        """Decades of counts; what is never mentioned stands alone."""
        with np.errstate(divide="ignore"):
            decade = np.floor(np.log10(count) + 1e-9)
        for one in np.unique(decade):
            own = decade == one
            total, hits = float(n[own].sum()), float(right[own].sum())
            never = np.isneginf(one)
            low, high = wilson(hits, total, self.z)
            middle = 0.0 if never else 10 ** float(np.average(np.log10(count[own]), weights=n[own]))
            ends = (0.0, 0.0) if never else (10.0**one, 10.0 ** (one + 1))
            yield CountBin(float(ends[0]), float(ends[1]), middle, total, hits / total, low, high)

    def _gap(self, count: Array, n: Array, right: Array) -> FrequencyGap | None:
        """Commonest less rarest tenth (Razeghi et al. 2022), with Newcombe's interval (1998) of a difference."""
        if n.sum() < FEW_IN_BIN:
            return None
        # Questions that tie with the last of a tenth belong to it.
        order = np.argsort(count, kind="stable")
        share = np.cumsum(n[order]) / n.sum()
        least, most = count[order][share >= TENTH][0], count[order][share > 1.0 - TENTH + 1e-12][0]
        ends = []
        for own in (count <= least, count >= most):
            total = float(n[own].sum())
            ends.append((float(right[own].sum()) / total, *wilson(float(right[own].sum()), total, self.z), total))
        (rare, rare_low, rare_high, n_rare), (often, often_low, often_high, n_often) = ends
        gap = often - rare
        low = gap - math.hypot(often - often_low, rare_high - rare)
        high = gap + math.hypot(often_high - often, rare - rare_low)
        return FrequencyGap(gap, low, high, n_rare, n_often)

    def _curve(self, place: int) -> list[CurvePoint]:
        grid = np.geomspace(self.answers.count.min(), self.answers.count.max(), CURVE_POINTS)
        chance = float(self.all.chance[self.all.model == place].mean())
        drawn = self.surface.accuracy(place, grid, chance)
        ends = np.quantile(drawn, [self.tail, 0.5, 1.0 - self.tail], axis=0)
        rows = zip(grid, *ends, strict=True)
        return [CurvePoint(float(x), float(mid), float(low), float(high)) for x, low, mid, high in rows]

    def checks(self, found: TaskTail) -> Iterator[Check]:
        """What is doubtful."""
        name = f"{found.task}: " if found.task else ""
        yield from (
            Check(code, "doubt", name + told, cure) for code, told, cure in (*self._range(found), *self._form(found))
        )
        yield Check(
            "difficulty",
            "note",
            f"{name}facts that are mentioned more often may be easier for other reasons, too",
            "train on text in which mentions were added or taken out, as tasks made by code allow",
        )

    def _range(self, found: TaskTail) -> Iterator[tuple[str, str, str]]:
        """Doubts about what the table spans."""
        sizes, counts = sorted({one.params for one in found.models}), self.answers.count
        span = sizes[-1] / sizes[0]
        if len(sizes) < FEW_SIZES:
            yield (
                "few_sizes",
                f"{plural(len(sizes), 'size')}: the slope of size rests on few models",
                "score more sizes",
            )
        if found.price and found.price.factor and max(found.price.factor, 1 / found.price.factor) > span:
            cost = format_times(found.price.factor)
            told = f"a decade costs {cost} times the parameters, the models span {format_times(span)}"
            yield "extrapolation", told, "score larger and smaller models; take the price for an order of magnitude"
        if np.log10(counts.max() / counts.min()) < FEW_DECADES:
            told = f"counts from {counts.min():g} to {counts.max():g} span less than a decade"
            yield "few_counts", told, "add questions on rarer and commoner facts"
        small = sorted({one.low for model in found.models for one in model.bins if one.n < FEW_IN_BIN})
        if small:
            told = f"fewer than {FEW_IN_BIN} questions in decades that begin at {listed(f'{one:g}' for one in small)}"
            yield "few_questions", told, "add questions there"

    def _form(self, found: TaskTail) -> Iterator[tuple[str, str, str]]:
        """Doubts about the form of the surface."""
        if found.count_slope.low <= 0 <= found.count_slope.high:
            yield "no_effect_of_count", "the slope of mentions is not told apart from 0", "add questions"
        drops = [one.name for one in found.models if _drops(one.bins)]
        if drops:
            told = f"accuracy falls from one decade of mentions to the next in {listed(drops)}"
            yield "not_monotone", told, "look how counts were made: homonyms, or questions of another kind"
        chance = {place: float(self.all.chance[self.all.model == place].mean()) for place in range(len(found.models))}
        floor = [one.name for k, one in enumerate(found.models) if one.accuracy <= chance[k] + 0.02]
        if floor:
            yield "at_floor", f"at chance: {listed(floor)}", "larger models, or a metric that gives part of a point"
        top = [one.name for one in found.models if one.accuracy >= found.ceiling - 0.02]
        if top:
            yield "at_ceiling", f"near the ceiling: {listed(top)}", "rarer facts, or harder questions"
        off = [one.name for one in found.models if _misses(one)]
        if off:
            told = f"bins lie far from the fitted curve in {listed(off)}"
            yield "misfit", told, "read the bins rather than the slopes, or say --ceiling"
        yield from self._slopes_differ(found)

    def _slopes_differ(self, found: TaskTail) -> Iterator[tuple[str, str, str]]:
        """Whether mentions do more, or less, for larger models: the price then depends on where one stands."""
        z = self.answers.log_params - self.answers.log_params.mean()
        models = len(found.models)
        if not np.ptp(z):
            return
        line = np.r_[np.zeros(models), z / (z @ z)]
        trend, error = line @ self.separate.theta, math.sqrt(line @ self.separate.covariance @ line)
        if abs(trend) > SURE * error:
            low, high = found.models[0].slope.value, found.models[-1].slope.value
            told = (
                f"mentions do {'more' if trend > 0 else 'less'} for larger models: {low:.2f} to {high:.2f} per decade"
            )
            yield "slopes_differ", told, "the price is that of the middle of the table"


def _drops(bins: list[CountBin]) -> bool:
    """Whether accuracy falls from one bin to the next, surely."""
    pairs = pairwise(bins)
    return any(_apart(one.accuracy, one.n, other.accuracy, other.n) > SURE for one, other in pairs)


def _apart(first: float, n: float, second: float, m: float) -> float:
    """How much larger the first share is, in standard deviations of the difference."""
    pooled = (first * n + second * m) / (n + m)
    return (first - second) / math.sqrt(max(pooled * (1 - pooled), 1e-9) * (1 / n + 1 / m))


def _misses(model: ModelTail) -> bool:
    """Whether the curve misses a bin, beyond the luck of its questions and its own doubt."""
    x = np.log10([point.count for point in model.curve])
    for one in model.bins:
        if one.middle <= 0:
            continue
        p = float(np.interp(math.log10(one.middle), x, [point.accuracy for point in model.curve]))
        if abs(one.accuracy - p) > (SURE + 1) * math.sqrt(max(p * (1 - p), 1e-4) / one.n) + 0.02:
            return True
    return False
